"""What is measured: medians of steps taken in turn, and the highest memory of one step."""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import results_file
import torch
from contestants import CONTESTANTS, draw
from torch_steps import STEPS
from tqdm import tqdm


def about(threads, rounds, processes):
    """Return what a reader needs to judge the figures."""
    torch.set_num_threads(threads)
    packages = ("numpy", "torch", "numpy-ml")
    counts = {"threads": threads, "rounds": rounds, "processes": processes}
    return results_file.about("benchmarks/cpu.py", 0, packages, **counts)


def in_processes(kind, shape, rounds, pause, processes):
    """Return the medians of ``compare`` over fresh processes.

    Where the arrays of a process happen to lie in the machine's memory can make its steps half as
    long again, for as long as it lives.
    """
    arguments = ("compare", kind, rounds, pause, torch.get_num_threads(), *shape)
    runs = [_of_own(*arguments)["seconds"] for _ in range(processes)]
    medians = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    return {"seconds": medians}


def compare(kind, shape, rounds, pause):
    """Return the medians in seconds by contestant, after comparing the numbers."""
    arrays = draw(kind, shape)
    steps = {name: make(kind, shape, arrays) for name, make in CONTESTANTS.items()}
    steps = {name: step for name, step in steps.items() if step is not None}
    expected = steps["torch.nn"]()
    for name in ("rnnlib", "autograd loop"):
        check_same(steps[name](), expected, 2e-4, f"{name}, {kind} {shape}")
    return {"seconds": in_turn(steps, rounds, pause, f"{kind} {shape}")}


def check_same(found, expected, tolerance, title):
    """Raise AssertionError unless all arrays are equal, up to a share of the largest entry."""
    for key, value in expected.items():
        ours, theirs = (np.asarray(_as_array(a)) for a in (found[key], value))
        if not np.allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max()):
            raise AssertionError(f"{title}: {key} is not what torch.nn computes")


def _as_array(array):
    return array.float().cpu() if torch.is_tensor(array) else array


# A turn lasts at least so long, in seconds, so that a short step is timed in its stride.
TURN = 0.02


def in_turn(steps, rounds, pause, title):
    """Time the steps in turn; return the median over the turns of each one's mean time."""
    seconds = {name: [] for name in steps}
    for _ in tqdm(range(rounds), desc=title, leave=False):
        for name, step in steps.items():
            time.sleep(pause)
            step()
            start, taken, count = time.perf_counter(), 0, 0
            while taken < TURN:
                step()
                count += 1
                taken = time.perf_counter() - start
            seconds[name].append(taken / count)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def growth(along, size, start, pause):
    """Return time and memory of an LSTM's step with one size changed."""
    sizes = start | {along: size}
    if along == "H":
        sizes["I"] = size
    shape = tuple(sizes[name] for name in "TNIH")
    arrays = draw("LSTM", shape)
    steps = {name: CONTESTANTS[name]("LSTM", shape, arrays) for name in ("torch.nn", "rnnlib")}
    k = max(1, round(sizes["T"] ** 0.5))
    steps["rnnlib, checkpoint"] = CONTESTANTS["rnnlib"]("LSTM", shape, arrays, checkpoint=k)
    return {
        "shape": shape,
        "seconds": in_turn(steps, 5, pause, f"LSTM, {along} = {size}"),
        "bytes": {name: memory("LSTM", name, shape) for name in steps},
    }


def memory(kind, name, shape):
    """Return by how many bytes a step raises the peak of a fresh process, data apart."""
    return _of_own("memory", kind, name, *shape)


def _of_own(*arguments):
    """Run this file with arguments in a process of its own; return what it prints as JSON."""
    command = [sys.executable, __file__, *map(str, arguments)]
    paths = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=paths)
    return json.loads(done.stdout)


def _peak():
    """Return the highest memory of this process so far, in bytes.

    Linux counts what the parent had into ru_maxrss, so its own figure for the process comes first.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
    except (OSError, StopIteration):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak


def _one_step(kind, name, shape):
    # A small step first, so that libraries have loaded what they load late.
    for sizes in ((2, 2, 2, 2), shape):
        arrays = draw(kind, sizes)
        checkpoint = {"checkpoint": round(sizes[0] ** 0.5)} if "checkpoint" in name else {}
        make = (STEPS | CONTESTANTS)[name.partition(",")[0]]
        step = make(kind, sizes, arrays, **checkpoint)
        before = _peak()
        step()
    return _peak() - before


def _main(task, kind, *rest):
    if task == "memory":
        return _one_step(kind, rest[0], tuple(map(int, rest[1:])))
    rounds, pause, threads, *shape = rest
    torch.set_num_threads(int(threads))
    return compare(kind, tuple(map(int, shape)), int(rounds), float(pause))


if __name__ == "__main__":
    print(json.dumps(_main(*sys.argv[1:])))
