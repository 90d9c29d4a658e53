"""Time one training step on the CPU: rnnlib beside torch.nn, a loop with autograd, and numpy-ml.

    python benchmarks/cpu.py [--threads 2] [--rounds 3] [--processes 3] [--out benchmarks/results]

The contestants take turns within one run, on the same weights and inputs, in float32.  Before each
turn comes a pause, because the threads of one library go on spinning for a while after its last
call and would slow down the next one, and a call that is not timed.  A turn takes as many steps as
fit into 20 ms, at least one.  Reported are medians over fresh processes of medians over the turns:
the same code can take half as long again in one process as in another.  Before anything is timed,
the outputs and all gradients are compared.

Writes cpu.json, with the machine, versions and date, and from it cpu.md and cpu.svg.
"""

import argparse
import os
import sys
from pathlib import Path

ARGUMENTS = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
ARGUMENTS.add_argument("--threads", type=int, default=os.cpu_count(), help="for each library")
ARGUMENTS.add_argument("--rounds", type=int, default=3, help="turns of each contestant")
ARGUMENTS.add_argument("--processes", type=int, default=3, help="that time each case anew")
ARGUMENTS.add_argument("--out", type=Path, default=Path(__file__).parent / "results")

SHAPES = [
    (100, 32, 256, 256),
    (28, 100, 28, 128),
    (25, 1, 65, 100),
    (50, 64, 512, 512),
    (8, 512, 42, 256),
]
KINDS = ("RNN", "LSTM", "GRU")
# Where growth is measured, one size is changed at a time.
START = {"T": 50, "N": 32, "I": 128, "H": 128}
GROWTH = {"T": (25, 50, 100, 200, 400), "N": (8, 16, 32, 64, 128), "H": (32, 64, 128, 256, 512)}
PAUSE = 0.15  # seconds


def main():
    arguments = ARGUMENTS.parse_args()
    # The thread pools read these when NumPy and torch load.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(arguments.threads)
    here = Path(__file__).parent
    sys.path[:0] = [str(here), str(here.parent), str(here.parent / "tools")]
    import measure
    import report

    results = {
        "about": measure.about(arguments.threads, arguments.rounds, arguments.processes),
        "steps": [
            {"kind": kind, "shape": shape}
            | measure.in_processes(kind, shape, arguments.rounds, PAUSE, arguments.processes)
            for kind in KINDS
            for shape in SHAPES
        ],
        "growth": [
            {"along": along, "size": size, **measure.growth(along, size, START, PAUSE)}
            for along, sizes in GROWTH.items()
            for size in sizes
        ],
    }
    report.write(results, arguments.out)


if __name__ == "__main__":
    main()
