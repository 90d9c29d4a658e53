"""The benchmark compares before it times, and its reports are whole."""

import json
from pathlib import Path

import contestants
import measure
import numpy as np
import pytest
import report
import torch
import torch_measure
import torch_steps

SHAPE = (3, 2, 4, 5)
RESULTS = Path(report.__file__).parent / "results" / "cpu.json"
STORED = pytest.mark.parametrize(
    "path", sorted(RESULTS.parent.glob("*.json")), ids=lambda p: p.stem
)


@pytest.mark.parametrize("kind", contestants.GATES)
def test_the_contestants_compute_the_same(kind):
    arrays = contestants.draw(kind, SHAPE)
    expected = torch_steps.torch_nn(kind, SHAPE, arrays)()
    assert len(expected) == 6
    in_torch = [torch_steps.STEPS[name] for name in ("rnnlib.torch", "loop", "autograd loop")]
    for make in (contestants.ours, *in_torch):
        found = make(kind, SHAPE, arrays)()
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


def test_a_wrong_contestant_is_not_timed(monkeypatch):
    def wrong(kind, shape, arrays):
        step = torch_steps.torch_nn(kind, shape, arrays)
        return lambda: {name: 1.01 * value for name, value in step().items()}

    monkeypatch.setitem(measure.CONTESTANTS, "rnnlib", wrong)
    with pytest.raises(AssertionError, match=r"rnnlib, GRU .* is not what torch.nn computes"):
        measure.compare("GRU", SHAPE, 1, 0)


def small_results():
    steps = [
        {"kind": kind, "shape": SHAPE, **measure.compare(kind, SHAPE, 1, 0)}
        for kind in contestants.GATES
    ]
    growth = [
        {
            "along": along,
            "size": size,
            "seconds": {"torch.nn": 1e-3, "rnnlib": 2e-3},
            "bytes": {"torch.nn": 10**6, "rnnlib": 0},
        }
        for along in "TNH"
        for size in (2, 4)
    ]
    return {"about": measure.about(1, 1, 1), "steps": steps, "growth": growth}


def test_the_report(tmp_path, capsys):
    results = small_results()
    report.write(results, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cpu.json", "cpu.md", "cpu.svg"]
    assert json.loads((tmp_path / "cpu.json").read_text())["about"]["threads"] == 1
    table = (tmp_path / "cpu.md").read_text()
    step = results["steps"][0]["seconds"]
    assert f"| {step['rnnlib'] / step['torch.nn']:.2f} |" in table
    assert table in capsys.readouterr().out
    assert "<svg" in (tmp_path / "cpu.svg").read_text()


CPU = torch.device("cpu")


@pytest.mark.parametrize("kind", contestants.GATES)
def test_the_rungs_are_timed_and_stand_above_the_floors(kind, monkeypatch):
    monkeypatch.setattr(torch_measure, "SIDE", {"cpu": 256})
    monkeypatch.setattr(torch_measure, "COPY", {"cpu": 2**20})
    monkeypatch.setattr(measure, "memory", lambda *case: 1)  # It has a test of its own.
    results = {"rates": torch_measure.rates(CPU)}
    results["steps"] = [torch_measure.compare(kind, (20, 4, 8, 16), torch.float32, CPU, 1, 0)]
    (step,) = results["steps"]
    assert step["took"] == "inplace"
    names = ["torch.nn", "rnnlib.torch", "loop", "products", "inplace", "autograd loop"]
    assert list(step["seconds"]) == [*names, "products alone"]
    assert step["bytes"] == dict.fromkeys(["torch.nn", "rnnlib.torch", "autograd loop"], 1)
    for floor in torch_measure.floors(results, step).values():
        assert 0 < floor < min(step["seconds"].values())
    ratio = step["seconds"]["loop"] / step["seconds"]["torch.nn"]
    assert f"loop {ratio:.2f}" in torch_measure.summary(results)


def test_a_wrong_rung_is_not_timed(monkeypatch):
    def wrong(*case):
        step = torch_steps.torch_nn(*case)
        return lambda: {name: 1.01 * value for name, value in step().items()}

    monkeypatch.setitem(torch_measure.STEPS, "inplace", wrong)
    with pytest.raises(AssertionError, match=r"inplace, GRU .* is not what torch.nn computes"):
        torch_measure.compare("GRU", SHAPE, torch.float32, CPU, 1, 0)


def test_the_least_work_of_a_step():
    """Counted by hand: two weights of one gate, 2·3 and 3·3 numbers, in a batch of one step."""
    operations, moved = torch_measure.least("RNN", (1, 1, 2, 3), 4)
    assert operations == 3 * 2 * (2 * 3 + 3 * 3)
    assert moved == 4 * (3 * 2 + 3 * 3 + 3 * (2 * 3 + 3 * 3 + 2 * 3))


def test_a_case_is_timed_in_fresh_processes(monkeypatch):
    own, runs = measure._of_own, []
    monkeypatch.setattr(
        measure, "_of_own", lambda *arguments: runs.append(own(*arguments)) or runs[-1]
    )
    found = measure.in_processes("RNN", SHAPE, 1, 0, 3)["seconds"]
    taken = sorted(run["seconds"]["rnnlib"] for run in runs)
    assert found["rnnlib"] == taken[1]
    assert 0 < taken[0] < taken[2], "three processes took exactly the same time"


def test_memory_of_a_step_is_measured_in_a_process_of_its_own():
    small, large = (measure.memory("LSTM", "rnnlib", (T, 16, 64, 64)) for T in (10, 1000))
    assert large > small
    # The output, the input's gradient and six arrays a step, in float32.
    assert large > 8 * 1000 * 16 * 64 * 4 / 2


@STORED
def test_the_stored_results_say_where_they_come_from(path):
    about = json.loads(path.read_text(encoding="utf-8"))["about"]
    for name in ("script", "date", "processor", "threads", "seed", "python", "versions"):
        assert about[name] is not None, name
    assert (RESULTS.parents[2] / about["script"]).is_file()


def test_the_stored_table_is_that_of_the_stored_figures():
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert (RESULTS.parent / "cpu.md").read_text(encoding="utf-8") == report.table(results)
