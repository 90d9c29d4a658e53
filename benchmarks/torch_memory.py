"""Measure the memory of one training step on the CPU: rnnlib.torch beside torch.nn.

    python benchmarks/torch_memory.py [--threads 2] [--out benchmarks/results]

Each figure is the rise of a fresh process's peak during one step, forward and backward, in float32,
parameters and data apart; the middle of three processes.  Writes torch_memory.json, with the
machine, versions and date.
"""

import os
import statistics
import sys
from pathlib import Path

from cpu import ARGUMENTS, KINDS, SHAPES


def main():
    ARGUMENTS.description = __doc__.partition("\n")[0]
    arguments = ARGUMENTS.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(arguments.threads)
    root = Path(__file__).parents[1]
    sys.path[:0] = [str(root), str(root / "tools")]
    import measure
    import results_file
    from contestants import IN_TORCH

    steps = [
        {
            "kind": kind,
            "shape": shape,
            "bytes": {
                name: statistics.median(measure.memory(kind, name, shape) for _ in range(3))
                for name in IN_TORCH
            },
        }
        for kind in KINDS
        for shape in SHAPES
    ]
    about = measure.about(arguments.threads, 3, "benchmarks/torch_memory.py")
    texts = {"torch_memory.json": results_file.as_json({"about": about, "steps": steps})}
    results_file.write(texts, arguments.out)
    for step in steps:
        print(step["kind"], step["shape"], {k: v / 1e6 for k, v in step["bytes"].items()})


if __name__ == "__main__":
    main()
