"""Time one training step in torch: each rung of rnnlib.torch beside torch.nn and an autograd loop.

    python benchmarks/torch_layers.py [--device cpu] [--threads 2] [--rounds 9] [--out FOLDER]

All take the same weights and inputs, in turn within one run; medians are reported.  Before anything
is timed, the outputs and all gradients are compared.  Beside the times stand the peak memory of a
step, and two floors: its arithmetic at the rate of one large product, and its bytes at the rate of
one large copy, both measured here.

Writes torch_layers_cpu.json or torch_layers_cuda.json, with the machine, versions and date.  On a
graphics card products in float32 may use TF32, which is cuDNN's default.
"""

import argparse
import os
import sys
from pathlib import Path

from cpu import KINDS, PAUSE, SHAPES

ARGUMENTS = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
ARGUMENTS.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
ARGUMENTS.add_argument("--threads", type=int, default=os.cpu_count(), help="on the CPU")
ARGUMENTS.add_argument("--rounds", type=int, default=9, help="turns of each contestant")
ARGUMENTS.add_argument("--out", type=Path, default=Path(__file__).parent / "results")

# (T, N, I, H) for a graphics card: one that does not fit on chip, and smaller ones.
ON_CARD = [(512, 32, 512, 512), (512, 32, 128, 128), (512, 32, 64, 64), (512, 256, 128, 128)]


def main():
    arguments = ARGUMENTS.parse_args()
    # The thread pools read these when torch loads.
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(arguments.threads)
    here = Path(__file__).parent
    sys.path[:0] = [str(here), str(here.parent), str(here.parent / "tools")]
    import results_file
    import torch
    import torch_measure

    device = torch.device(arguments.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("torch_layers.py: --device cuda: torch finds no graphics card here")
    on_card = device.type == "cuda"
    torch.set_float32_matmul_precision("high" if on_card else "highest")
    cases = [
        (kind, shape, dtype)
        for kind in KINDS
        for shape in SHAPES + ON_CARD * on_card
        for dtype in [torch.float32] + [torch.bfloat16] * on_card
    ]
    results = {
        "about": torch_measure.about(device, arguments.threads, arguments.rounds),
        "rates": torch_measure.rates(device),
        "steps": [
            torch_measure.compare(*case, device, arguments.rounds, 0 if on_card else PAUSE)
            for case in cases
        ],
    }
    name = f"torch_layers_{device.type}.json"
    results_file.write({name: results_file.as_json(results)}, arguments.out)
    print(torch_measure.summary(results))


if __name__ == "__main__":
    main()
