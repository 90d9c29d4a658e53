"""What ``torch_layers.py`` measures: times, peak memory, and the floors under both."""

import os
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import measure
import results_file
import torch
from contestants import GATES, draw
from report import geometric_mean
from torch_steps import RUNGS, STEPS, finish

from rnnlib.torch import ladder

# How far from torch.nn, of the largest entry.
TOLERANCES = {torch.float32: 2e-4, torch.bfloat16: 5e-2}
# The sides of the product, and the bytes of the copy, whose rates are the floors' measure.
SIDE = {"cpu": 2048, "cuda": 8192}
COPY = {"cpu": 2**28, "cuda": 2**32}


def about(device, threads, rounds):
    """Return what a reader needs to judge the figures."""
    torch.set_num_threads(threads)
    more = {"device": "cpu", "threads": threads, "rounds": rounds}
    if device.type == "cuda":
        more["device"] = torch.cuda.get_device_name(device)
        more |= {"driver": _driver(), "cuda": torch.version.cuda, "tf32": True}
        more["cudnn"] = torch.backends.cudnn.version()
    packages = ("numpy", "torch", "triton")
    return results_file.about("benchmarks/torch_layers.py", 0, packages, **more)


def _driver():
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    return subprocess.run(query, check=True, capture_output=True, text=True).stdout.strip()


def rates(device):
    """Return, a second, the operations of a large product by type, and the bytes of a copy."""
    n, found = SIDE[device.type], {}
    for dtype in TOLERANCES:
        a, b, c = (torch.ones(n, n, device=device, dtype=dtype) for _ in range(3))
        found[_name(dtype)] = 2 * n**3 / _fastest(lambda: torch.mm(a, b, out=c), device)  # noqa: B023
    source = torch.ones(COPY[device.type] // 4, device=device)
    goal = torch.empty_like(source)
    seconds = _fastest(lambda: goal.copy_(source), device)
    return found | {"bytes": 2 * COPY[device.type] / seconds}


def _fastest(work, device, times=20):
    seconds = []
    for _ in range(times):
        finish(device)
        start = time.perf_counter()
        work()
        finish(device)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def least(kind, shape, itemsize):
    """Return the operations of a step, and the bytes that it has to move.

    Three products for each of the two weights, one forward and two back.  Moved are x (read for the
    sums and for the weights' gradient) and its gradient, y (written, and read for W_hh's gradient),
    dy, what is kept for the way back (written and read), and the weights (read twice) with their
    gradients.
    """
    T, N, I, H = shape  # noqa: E741
    G, kept = GATES[kind], {"RNN": 0, "LSTM": 5, "GRU": 4}[kind]
    a_step = 3 * I + 3 * H + 2 * kept * H
    weights = 3 * (G * H * (I + H) + 2 * G * H)
    return 6 * T * N * G * H * (I + H), itemsize * (T * N * a_step + weights)


def compare(kind, shape, dtype, device, rounds, pause):
    """Return medians in seconds and peak bytes by contestant, after comparing the numbers."""
    arrays = draw(kind, shape)
    steps = makers(kind, shape, dtype, device)
    steps = {name: make(kind, shape, arrays, device, dtype) for name, make in steps.items()}
    expected = steps["torch.nn"]()
    for name in steps.keys() - {"torch.nn", "products alone"}:
        measure.check_same(steps[name](), expected, TOLERANCES[dtype], f"{name}, {kind} {shape}")
    seconds = measure.in_turn(steps, rounds, pause, f"{kind} {shape} {_name(dtype)}")
    took = steps["rnnlib.torch"].module.took
    operations, moved = least(kind, shape, dtype.itemsize)
    del steps, expected
    return {
        "kind": kind,
        "shape": shape,
        "dtype": _name(dtype),
        "took": took,
        "seconds": seconds,
        "bytes": peaks(kind, shape, dtype, device),
        "least": {"operations": operations, "bytes": moved},
    }


def makers(kind, shape, dtype, device):
    """Return the contestants that can run here."""
    form = {"RNN": "RNN_TANH"}.get(kind, kind)
    T, N, _, H = shape
    weights = {"weight_hh": torch.empty(0, H, dtype=dtype, device=device)}
    valid = ladder.valid(form, weights, dtype, device, [N] * T)
    return {name: make for name, make in STEPS.items() if name in valid or name not in RUNGS}


def peaks(kind, shape, dtype, device):
    """Return by contestant how far a step raises the peak, weights and data apart."""
    names = ("torch.nn", "rnnlib.torch", "autograd loop")
    if device.type == "cpu":
        # The middle of three processes.  They do not disturb one another: nothing is timed.
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = [*pool.map(lambda name: measure.memory(kind, name, shape), names * 3)]
        return {name: statistics.median(found[k :: len(names)]) for k, name in enumerate(names)}
    return {name: _peak_on_card(kind, name, shape, dtype, device) for name in names}


def _peak_on_card(kind, name, shape, dtype, device):
    step = STEPS[name](kind, shape, draw(kind, shape), device, dtype)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    for _ in range(3):  # The rung may change with the second call.
        step()
    return torch.cuda.max_memory_allocated(device) - before


def _name(dtype):
    return str(dtype).removeprefix("torch.")


def floors(results, step):
    """Return the seconds that a step takes at least, by arithmetic and by bytes."""
    least, rates = step["least"], results["rates"]
    return {
        "arithmetic": least["operations"] / rates[step["dtype"]],
        "bytes": least["bytes"] / rates["bytes"],
    }


def summary(results):
    """Return the times as multiples of torch.nn's, a line a case and their geometric means."""
    lines, ratios = [], {}
    for step in results["steps"]:
        seconds, case = step["seconds"], (step["kind"], step["dtype"])
        one = seconds["torch.nn"]
        parts = [f"{name} {taken / one:.2f}" for name, taken in seconds.items()]
        parts += [f"{name} floor {s / one:.2f}" for name, s in floors(results, step).items()]
        lines.append(f"{case} {step['shape']} {1e3 * one:.2f} ms: " + ", ".join(parts))
        ratios.setdefault(case, []).append(seconds["rnnlib.torch"] / one)
    every = [ratio for values in ratios.values() for ratio in values]
    means = [f"{case} {geometric_mean(values):.3f}" for case, values in ratios.items()]
    return "\n".join([*lines, *means, f"geometric mean of all {geometric_mean(every):.3f}"])
