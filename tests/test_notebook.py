"""Results of longer runs on a page."""

import json

import pytest

from rnnlib.notebook import load_result

ABOUT = {
    "script": "benchmarks/x.py",
    "date": "2026-01-01",
    "processor": "p",
    "seed": 0,
    "versions": {},
}


def test_a_result_is_found_from_any_folder_of_the_repository(tmp_path, monkeypatch):
    (tmp_path / "experiments" / "results").mkdir(parents=True)
    result = {"about": ABOUT, "value": 3}
    (tmp_path / "experiments" / "results" / "x.json").write_text(json.dumps(result))
    (tmp_path / "chapters" / "deep").mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "chapters", tmp_path / "chapters" / "deep"):
        monkeypatch.chdir(folder)
        assert load_result("x") == result


def test_a_result_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"nothing\.json.*benchmarks/results"):
        load_result("nothing")


def test_a_result_that_does_not_say_where_it_comes_from(tmp_path, monkeypatch):
    (tmp_path / "benchmarks" / "results").mkdir(parents=True)
    about = {k: v for k, v in ABOUT.items() if k != "script"}
    (tmp_path / "benchmarks" / "results" / "x.json").write_text(json.dumps({"about": about}))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="expected script"):
        load_result("x")
