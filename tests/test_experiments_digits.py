"""experiments/digits.py: a whole file from tiny runs, or none."""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
sys.path.insert(0, str(EXPERIMENTS))

import digits  # noqa: E402

TINY = ["--seeds", "2", "--images", "200", "--budget", "0.005"]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """No bar, and random images in MNIST's shapes: what they show does not matter here."""
    monkeypatch.setenv("TQDM_DISABLE", "1")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (400, 28, 28), dtype=np.uint8)
    labels = rng.integers(0, 10, 400, dtype=np.uint8)
    set_ = digits.data.digits.Digits(images, labels, images[:200], labels[:200])
    monkeypatch.setattr(digits.data, "load_mnist", lambda: set_)
    small = {"hidden": 8, "batch": 20, "square": 4}  # No test has time for 784 steps.
    cases = [dataclasses.replace(case, **small) for case in digits.all_cases()]
    monkeypatch.setattr(digits, "all_cases", lambda: cases)


def made(out, *more):
    digits.main([*TINY, "--out", str(out), *more])
    return json.loads((out / "digits.json").read_text())


def test_the_file_has_every_case_from_every_seed(tmp_path):
    result = made(tmp_path)
    assert result["about"]["script"] == "experiments/digits.py"
    assert result["about"]["seed"] == [0, 1]
    cases = {(c["name"], c["order"]): c for c in result["cases"]}
    assert len(cases) == len(digits.all_cases())
    runs = [(r["case"], r["order"], r["seed"]) for r in result["runs"]]
    seeds = {key: range(case["seeds"] or 2) for key, case in cases.items()}
    assert sorted(runs) == sorted((*case, seed) for case in cases for seed in seeds[case])
    assert {len(found) for found in seeds.values()} == {1, 2}
    for run in result["runs"]:
        case = cases[run["case"], run["order"]]
        notes = -(-case["updates"] // case["every"])
        assert {len(curve) for curve in run["curves"].values()} == {notes}
        assert 0 <= run["accuracy"] <= 1
        assert run["level"] > 0
    assert [p.name for p in tmp_path.iterdir()] == ["digits.json"]


def test_the_same_seed_gives_the_same_run(tmp_path):
    assert made(tmp_path / "a")["runs"] == made(tmp_path / "b")["runs"]


def test_runs_that_are_there_are_kept(tmp_path, monkeypatch):
    first = made(tmp_path)
    calls, run = [], digits.run
    monkeypatch.setattr(digits, "run", lambda *a: calls.append(a[:2]) or run(*a))
    assert made(tmp_path)["runs"] == first["runs"]
    assert not calls
    changed = list(digits.all_cases())
    changed[3] = dataclasses.replace(changed[3], rate=0.5)
    monkeypatch.setattr(digits, "all_cases", lambda: changed)
    second = made(tmp_path)
    assert calls == [(changed[3], 0), (changed[3], 1)]
    same = [a == b for a, b in zip(first["runs"], second["runs"], strict=True)]
    assert same.count(False) == 2
    assert not same[6]
    assert not same[7]
    made(tmp_path, "--anew")
    assert len(calls) == 2 + len(first["runs"])


def test_a_setting_that_an_earlier_file_lacks_had_the_value_of_today(tmp_path, monkeypatch):
    first = made(tmp_path)
    path = tmp_path / "digits.json"
    for case in first["cases"]:
        del case["layers"]
    path.write_text(json.dumps(first))
    calls, run = [], digits.run
    monkeypatch.setattr(digits, "run", lambda *a: calls.append(a[0]) or run(*a))
    assert made(tmp_path)["runs"] == first["runs"]
    # One layer is not the default, so these may have been something else.
    assert set(calls) == {case for case in digits.all_cases() if case.layers == 1}


def test_another_budget_keeps_nothing(tmp_path, monkeypatch):
    made(tmp_path)
    calls, run = [], digits.run
    monkeypatch.setattr(digits, "run", lambda *a: calls.append(a[:2]) or run(*a))
    made(tmp_path, "--budget", "0.003")
    assert len(calls) == sum(min(2, case.seeds or 2) for case in digits.all_cases())


def test_what_a_case_says_is_done():
    cases = {(c.name, c.order): c for c in digits.all_cases()}
    torch.manual_seed(0)
    orthogonal = digits.Reader(cases["RNN", "rows"], 28).rnn.weight_hh_l1
    assert torch.allclose(orthogonal @ orthogonal.T, torch.eye(8), atol=1e-6)
    plain = digits.Reader(cases["RNN, not orthogonal", "rows"], 28).rnn.weight_hh_l1
    assert not torch.allclose(plain @ plain.T, torch.eye(8), atol=0.1)
    irnn = digits.Reader(cases["IRNN", "pixels"], 1).rnn
    assert irnn.nonlinearity == "relu"
    assert torch.equal(irnn.weight_hh_l0, torch.eye(8))
    lstm = digits.Reader(cases["LSTM", "pixels"], 1).rnn
    assert torch.equal(lstm.bias_ih_l0[8:16], torch.ones(8))
    assert digits.start_state(cases["as published", "rows"], 5).shape == (2, 5, 8)
    assert digits.start_state(cases["RNN", "rows"], 5) is None
    x = torch.randn(28, 5, 28)
    mean = digits.Reader(cases["mean of all steps", "rows"], 28)
    scores, output = mean(x, None)
    assert torch.allclose(scores, mean.head(output.mean(dim=0)))


def test_the_other_optimizer_moves_nothing():
    case = next(c for c in digits.all_cases() if c.optimizer == "another")
    images = digits.data.load_mnist()
    train = digits.Images(images.train_images, images.train_labels, "rows", 4)
    result = digits.run(case, 0, 30, train, train, digits.tqdm(disable=True))
    assert np.ptp(result["curves"]["shared"]) < 0.01
    own = dataclasses.replace(case, optimizer="own")
    result = digits.run(own, 0, 30, train, train, digits.tqdm(disable=True))
    assert np.ptp(result["curves"]["shared"]) > 0.02


def test_rates():
    case = digits.Case("repairs", "", 100, 0.1, schedule="falling")
    rates = [digits.rate_at(case, update, 100) for update in range(100)]
    assert max(rates) == rates[digits.WARM_UP - 1]
    assert 0 < rates[-1] < rates[0] < 0.01
    constant = dataclasses.replace(case, schedule="constant")
    assert {digits.rate_at(constant, update, 100) for update in range(100)} == {0.1}


def test_pixels_are_rows_averaged_and_put_in_order():
    images = digits.data.load_mnist()
    pixels, shuffled = (
        digits.Images(images.train_images, images.train_labels, order, 4)
        for order in ("pixels", "shuffled")
    )
    index = torch.arange(3)
    x, _ = pixels.batch(index)
    assert x.shape == (49, 3, 1)
    corner = images.train_images[1, :4, 4:8].mean() / 255
    assert x[1, 1, 0].item() == pytest.approx(corner, rel=1e-5)
    y, _ = shuffled.batch(index)
    assert torch.equal(y, x[shuffled.pixels])
    assert sorted(shuffled.pixels.tolist()) == list(range(49))
    assert not torch.equal(y, x)
    whole, _ = digits.Images(images.train_images, images.train_labels, "pixels", 1).batch(index)
    assert whole.shape == (784, 3, 1)
    assert torch.equal(whole[:, 1, 0] * 255, torch.from_numpy(images.train_images[1].flatten()))


def test_memories_of_all_lengths():
    case = next(c for c in digits.all_cases() if c.forget == "spread")
    torch.manual_seed(0)
    lstm = digits.Reader(dataclasses.replace(case, hidden=1000, square=1), 1).rnn
    i, f = (lstm.bias_ih_l0 + lstm.bias_hh_l0)[:2000].split(1000)
    assert torch.equal(i, -f)
    steps = 1 / (1 - torch.sigmoid(f))
    assert 2 <= steps.min() < 20
    assert 760 < steps.max() <= 784
    assert 350 < steps.median() < 430


def test_spreads():
    scores = torch.tensor([[1.0, 3.0], [1.0, 3.0]])
    assert digits.spreads(scores + 5) == (1.0, 0.0)
    assert digits.spreads(torch.tensor([[1.0, 3.0], [3.0, 1.0]])) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "0"], "--seeds: expected an integer of at least 1, got '0'"),
        (["--budget", "-1"], "--budget: expected a number > 0, got '-1'"),
        (["--budget", "x"], "--budget: expected a number > 0, got 'x'"),
        (["--images", "10"], "--images: expected at least 200, got 10"),
        (["--out", __file__], "--out: expected a folder, got the file"),
    ],
)
def test_wrong_options_are_refused(arguments, message, capsys):
    with pytest.raises(SystemExit):
        digits.main(arguments)
    assert message in capsys.readouterr().err


def test_no_file_is_left_after_a_failure(tmp_path, monkeypatch):
    def broken(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr(digits, "accuracy", broken)
    with pytest.raises(RuntimeError, match="broken"):
        digits.main([*TINY, "--out", str(tmp_path)])
    assert not list(tmp_path.iterdir())
