"""tools/build_book.py: which changes make stored outputs stale."""

import build_book
import nbformat
import pytest
from jupyter_cache import get_cache

OUTPUTS_DEPEND_ON = (
    "rnnlib/layers/base.py",
    "rnnlib/drawings/lstm.svg",
    "benchmarks/measure.py",
    "benchmarks/results/cpu.json",
    "experiments/train.py",
    "experiments/results/train.json",
    "requirements.txt",
)


@pytest.mark.parametrize("name", OUTPUTS_DEPEND_ON)
def test_a_change_outside_the_chapters_is_noticed(name, tmp_path, monkeypatch):
    monkeypatch.setattr(build_book, "ROOT", tmp_path)
    found = [build_book.fingerprint()]
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    for content in ("a = 1", "a = 2"):
        path.write_text(content)
        found.append(build_book.fingerprint())
    assert len(set(found)) == 3
    assert build_book.fingerprint() == found[-1]


def test_stale_outputs_are_thrown_away_and_others_are_kept(tmp_path, monkeypatch):
    cache = tmp_path / ".jupyter_cache"
    for name, path in (
        ("BUILD", tmp_path),
        ("CACHE", cache),
        ("COMPUTED_WITH", tmp_path / ".computed-with"),
        ("ENDED_WELL", tmp_path / ".ended-well"),
    ):
        monkeypatch.setattr(build_book, name, path)
    build_book.forget_stale_outputs("one")
    cache.mkdir()
    build_book.forget_stale_outputs("one")
    assert cache.exists()
    build_book.forget_stale_outputs("two")
    assert not cache.exists()


def test_chapters_run_before_the_build_and_a_failing_one_is_left_to_it(tmp_path, monkeypatch):
    monkeypatch.setattr(build_book, "ROOT", tmp_path)
    monkeypatch.setattr(build_book, "CACHE", tmp_path / "cache")
    (tmp_path / "_toc.yml").write_text("root: good\nchapters: [{file: bad}, {file: plain}]\n")
    (tmp_path / "_config.yml").write_text("execute: {timeout: 60}\n")
    for name, source in {"good": "print(6 * 7)", "bad": "1 / 0"}.items():
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
        nbformat.write(notebook, tmp_path / f"{name}.ipynb")
    build_book.run_chapters()
    cache = get_cache(tmp_path / "cache")
    (record,) = cache.list_cache_records()
    assert record.uri == str(tmp_path / "good.ipynb")
    (cell,) = cache.get_cache_bundle(record.pk).nb.cells
    assert cell.outputs[0]["text"] == "42\n"
