"""tools/results_file.py: the book's result files are replaced by the book's own runs alone."""

import argparse
import re
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import results_file  # noqa: E402

SCRIPTS = "digits five_models glimpses hidden_units irnn maze phonemes words".split()


@pytest.mark.parametrize("script", SCRIPTS)
def test_other_seeds_than_the_book_s_need_a_folder(script, capsys):
    read_options = runpy.run_path(str(ROOT / "experiments" / f"{script}.py"))["read_options"]
    part = ["text"] if script == "irnn" else []
    with pytest.raises(SystemExit):
        read_options([*part, "--seeds", "7"])
    told = capsys.readouterr().err
    assert "--out: expected a folder, for --seeds is another than in the book" in told


def settled(*arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch-size", type=int, default=3)
    parser.add_argument("--anew", action="store_true")
    results_file.add_out(parser)
    options = parser.parse_args(arguments)
    results_file.settle_out(parser, options, "anew")
    return options.out


def test_the_folder_of_a_run(tmp_path, capsys):
    for same in ([], ["--batch-size=3"], ["--anew"]):
        assert settled(*same) == ROOT / "experiments" / "results"
    assert settled("--batch-size=4", f"--out={tmp_path}") == tmp_path
    with pytest.raises(SystemExit):
        settled("--batch-size=4")
    assert "--out: expected a folder, for --batch-size is another" in capsys.readouterr().err


def test_every_script_that_makes_the_book_s_files_is_looked_at():
    made = re.findall(r"experiments/(\w+)\.py", (ROOT / "Makefile").read_text("utf-8"))
    assert sorted(set(made)) == SCRIPTS
