"""Slips in the source, each of which a check has to notice.

A slip is planted in a copy of the package, and the check that guards the line runs on the copy,
in a process of its own: this file, started as a script.
A slip counts as noticed only when the check *reports* it: the sizes are chosen so that shapes
cannot give it away.  When a line no longer stands in its file, the test fails, so that the
lists stay true.

The slips stand in ``slips_*.py`` and the checks in ``planted_*.py``.
"""

import compileall
import importlib
import json
import os
import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import slips_attention
import slips_calculus
import slips_cells
import slips_choice
import slips_columns
import slips_forecast
import slips_function
import slips_graph
import slips_init
import slips_inplace
import slips_ladder
import slips_language_model
import slips_layers
import slips_modules
import slips_names
import slips_recurrent
import slips_reinforce
import slips_sequencer
import slips_sequences
import slips_training
import slips_truncated
import slips_words

PACKAGE = Path(__file__).resolve().parents[1] / "rnnlib"

# file: (the module with its checks, its slips)
FILES = {
    file: (room.CHECKS, slips)
    for room in (
        slips_cells,
        slips_sequences,
        slips_layers,
        slips_columns,
        slips_function,
        slips_inplace,
        slips_modules,
        slips_ladder,
        slips_choice,
        slips_graph,
        slips_training,
        slips_truncated,
        slips_init,
        slips_language_model,
        slips_words,
        slips_attention,
        slips_forecast,
        slips_names,
        slips_recurrent,
        slips_reinforce,
        slips_sequencer,
        slips_calculus,
    )
    for file, slips in room.SLIPS.items()
}


def passes(package, checks, name):
    """Import the package as it now stands on the disk, and return the verdict of the check."""
    for module in list(sys.modules):
        if module.split(".")[0] in ("rnnlib", "recurrent_cases") or module.startswith("planted_"):
            del sys.modules[module]
    assert Path(importlib.import_module("rnnlib").__file__).parent == package
    return bool(importlib.import_module(checks).check(name))


def complaints(package, file):
    """Plant each slip of one file; say what the checks make of them, if it is not as it should."""
    path = package / file
    source = path.read_text(encoding="utf-8")
    checks, slips = FILES[file]
    for check in dict.fromkeys(check for check, _, _ in slips):
        if not passes(package, checks, check):
            yield f"{check} fails on the code as it stands"
    for check, old, new in slips:
        if source.count(old) != 1:
            yield f"{old!r} stands {source.count(old)} times in the file, not once"
            continue
        path.write_text(source.replace(old, new), encoding="utf-8")
        try:
            if passes(package, checks, check):
                yield f"{check} does not notice {new!r} for {old!r}"
        except Exception as error:
            yield f"{check} stops at {new!r} for {old!r} instead of reporting it: {error!r}"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """A copy of the package, compiled for speed; a file is known by its hash, not by its time."""
    copy = tmp_path_factory.mktemp("compiled") / "rnnlib"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    by_hash = py_compile.PycInvalidationMode.CHECKED_HASH
    assert compileall.compile_dir(copy, quiet=1, invalidation_mode=by_hash)
    return copy


@pytest.mark.parametrize("file", FILES)
def test_every_slip_is_reported(file, compiled, tmp_path):
    package = Path(shutil.copytree(compiled, tmp_path.resolve() / "rnnlib"))
    result = subprocess.run(
        # -B: what a slip was compiled to is not kept.
        [sys.executable, "-B", __file__, package, file],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert not found, "\n".join(found)


if __name__ == "__main__":
    print(json.dumps(list(complaints(Path(sys.argv[1]), sys.argv[2]))))
