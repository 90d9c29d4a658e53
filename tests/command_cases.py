"""Running ``python -m rnnlib`` in processes of its own, for its tests."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
COMMAND = (sys.executable, "-m", "rnnlib")
# A network and a run so small that a step takes a millisecond.
SMALL = "--hidden 12 --layers 1 --batch 4 --window 10 --dropout 0 --lr 0.02".split()
QUICK = [*SMALL, "--steps", "60", "--every", "20"]
on_posix = pytest.mark.skipif(os.name != "posix", reason="signals and terminals of POSIX")


def environment(**changes):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TQDM_")}
    return kept | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | changes


def run(folder, *words, code=None, **changes):
    """Run a command in a folder; with ``code``, Python code in place of ``-m rnnlib``."""
    command = COMMAND if code is None else (sys.executable, "-c", code)
    return subprocess.run(
        [*command, *map(str, words)],
        cwd=folder,
        env=environment(**changes),
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )


def complaint(done):
    """The one line of a command that has refused."""
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    return done.stderr


def sentences(count=150, end="\n"):
    chooser = random.Random(0)
    who, what = ["Ada", "Chloé", "my aunt"], ["baked a cake 🍰", "ate two loaves", "painted 🐈"]
    return "".join(f"{chooser.choice(who)} {chooser.choice(what)}.{end}" for _ in range(count))
