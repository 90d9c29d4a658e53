"""Result files of scripts: what they say of themselves, and how they are written.

Chapters read them by ``rnnlib.notebook.load_result``.
"""

import argparse
import datetime
import json
import math
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import rnnlib

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments" / "results"


def folder(word):
    """Return the folder that an option names, for argparse."""
    path = Path(word)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"expected a folder, got the file {word}")
    return path


def add_out(parser):
    """Let a parser take --out, for ``settle_out``."""
    parser.add_argument(
        "--out", type=folder, help="folder of the file; the book's, for the book's settings alone"
    )


def settle_out(parser, options, *free):
    """Put the folder of the book's results into ``options.out`` if none was given.

    parser: the one that read the options.  It refuses other settings than its defaults without
    --out: their file would take the place of the book's.
    free: the names of options that change no figure.
    """
    if options.out is not None:
        return
    for name, default in vars(parser.parse_args([])).items():
        if name not in free and getattr(options, name) != default:
            parser.error(
                f"--out: expected a folder, for --{name.replace('_', '-')} is another than in the "
                "book, and without --out the file would replace the book's"
            )
    options.out = EXPERIMENTS


def about(script, seed, packages, **more):
    """Return what a reader needs to judge the figures; packages: whose versions matter."""
    return {
        "script": script,
        "date": datetime.date.today().isoformat(),
        "processor": processor(),
        "seed": seed,
        "python": platform.python_version(),
        "versions": {p: _version(p) for p in packages} | {"rnnlib": rnnlib.__version__},
        **more,
    }


def processor():
    """Return the processor's name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def figure(number):
    """Return a number to five significant digits; None where it is not finite, which JSON lacks."""
    return float(f"{number:.5g}") if math.isfinite(number) else None


def as_json(results):
    """Return results as the text of a file."""
    return json.dumps(results, indent=1) + "\n"


def write(texts, folder):
    """Write each text under its name into the folder, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        partial = folder / f".{name}.partial"
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, folder / name)
