"""experiments/irnn.py: right figures in a file, whole or not at all."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rnnlib import data, text

SCRIPT = Path(__file__).resolve().parents[1] / "experiments" / "irnn.py"
SENTENCE = "The sea was as calm as a dish, and nobody spoke. "
SMALL = {
    "adding": ("--T=6", "--batch=2", "--steps=60"),
    "text": ("--epochs=1", "--length=3000"),
}


@pytest.fixture
def irnn(monkeypatch):
    """The script's names; its text is a short one, so that nothing is downloaded."""
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.setattr(data, "load_text", lambda name: SENTENCE * 200)
    return runpy.run_path(str(SCRIPT))


@pytest.fixture
def small(irnn, tmp_path):
    def run(part, *more):
        arguments = (*SMALL[part], "--seeds", "0", "1", "--hidden=5", f"--out={tmp_path}", *more)
        irnn["main"]([part, *arguments])
        return json.loads((tmp_path / f"irnn_{part}.json").read_text())

    return run


def test_adding_has_every_network_at_every_rate_from_every_seed(irnn, small):
    result = small("adding")
    found = {(r["model"], r["rate"], r["seed"]) for r in result["runs"]}
    wanted = {(m, r, s) for m in irnn["ADDING"] for r in irnn["RATES"] for s in (0, 1)}
    assert found == wanted
    assert len(result["runs"]) == len(wanted)
    assert all(len(r["training"]) == 2 and 0 < r["new"] < 10 for r in result["runs"])
    assert result["about"]["seed"] == [0, 1]
    assert result["settings"]["T"] == 6


def test_text_has_the_schedules_that_the_page_compares(irnn, small):
    result = small("text")
    found = [(r["model"], r["schedule"]) for r in result["runs"]]
    assert found[::2] == [("tanh", "slow"), *((m, "fast") for m in irnn["TEXT"])]
    assert all(len(r["validation"]) == 2 for r in result["runs"])
    assert all(0 < loss < 10 for r in result["runs"] for loss in r["validation"])


@pytest.mark.parametrize("part", ["adding", "text"])
def test_a_seed_repeats_and_another_differs(small, part):
    first, again = small(part)["runs"], small(part)["runs"]
    assert first == again
    figures = [r.get("training", r.get("validation")) for r in first[:2]]
    assert figures[0] != figures[1]


@pytest.mark.parametrize("part", ["adding", "text"])
def test_the_seeds_are_a_list(small, part):
    both, one = small(part)["runs"], small(part, "--seeds", "1")
    assert one["about"]["seed"] == [1]
    assert one["runs"] == [r for r in both if r["seed"] == 1]


def test_another_text(small, tmp_path):
    mine = tmp_path / "mine.txt"
    mine.write_text("a b\r\nc d e" * 400, encoding="utf-8", newline="")
    book = small("text")
    assert book["about"]["text"] == "moby_dick"
    result = small("text", f"--text={mine}")
    assert result["about"]["text"] == "mine.txt"
    assert result["settings"]["length"] == 3000 == book["settings"]["length"]
    first = result["runs"][0]["validation"][0]
    assert first < book["runs"][0]["validation"][0]
    assert small("text", f"--text={mine}", "--length=9000")["settings"]["length"] == 3600


@pytest.mark.parametrize(
    "own", [("text", "--text=mine.txt"), ("text", "--seeds=7"), ("adding", "--T=9")]
)
def test_another_run_than_the_book_s_needs_a_folder(irnn, own, capsys):
    with pytest.raises(SystemExit):
        irnn["read_options"](own)
    option = own[1].partition("=")[0]
    told = capsys.readouterr().err
    assert f"--out: expected a folder, for {option} is another than in the book" in told
    assert irnn["read_options"]([own[0]]).out == irnn["results_file"].EXPERIMENTS


def test_what_the_networks_start_from(irnn):
    def start(model):
        layer = irnn["network"](model, 2, 6, np.random.default_rng(0))
        return layer, layer.parameters["weight_hh_l0"].astype(float)

    for model in ("relu, identity", "tanh, identity"):
        layer, weight = start(model)
        assert layer.nonlinearity == model[:4]
        np.testing.assert_array_equal(weight, np.eye(6))
    _, weight = start("tanh, orthogonal")
    np.testing.assert_allclose(weight @ weight.T, np.eye(6), atol=1e-6)
    assert np.abs(start("tanh")[1] @ start("tanh")[1].T - np.eye(6)).max() > 0.1
    assert np.abs(start("relu, identity, small")[0].parameters["weight_ih_l0"]).max() < 0.01
    bias = start("LSTM")[0].parameters["bias_hh_l0"]
    assert (bias[:6] == -irnn["KEEP"]).all()
    assert (bias[6:12] == irnn["KEEP"]).all()


def test_the_gradients_are_those_of_the_loss(irnn):
    rng = np.random.default_rng(1)
    net = irnn["CharacterNet"]("tanh", 7, 5, rng)
    inputs, targets = rng.integers(0, 7, size=(2, 4, 3))
    net.loss(inputs, targets)
    grads = {name: g.copy() for name, g in net.gradients().items()}
    for name, p in net.parameters.items():
        direction = rng.standard_normal(p.shape).astype(np.float32)
        losses = []
        for side in (1e-2, -2e-2):
            p += side * direction
            losses.append(float(net.loss(inputs, targets)))
        p += 1e-2 * direction
        slope = np.sum(grads[name] * direction)
        assert (losses[0] - losses[1]) / 2e-2 == pytest.approx(slope, rel=0.02, abs=1e-3), name


def test_the_windows_cover_the_text_and_keep_the_last_fifth_apart(irnn):
    train, valid = irnn["text_samples"]((SENTENCE * 200)[:5000])
    codes = text.Vocabulary.from_text(SENTENCE).encode((SENTENCE * 200)[:5000])
    np.testing.assert_array_equal(train[:, :8].ravel(), codes[: 8 * len(train)])
    np.testing.assert_array_equal(train[:-1, 8], train[1:, 0])
    np.testing.assert_array_equal(valid[:, :8].ravel(), codes[4000 : 4000 + 8 * len(valid)])
    assert (len(train), len(valid)) == (499, 124)


def test_the_adding_problem(irnn):
    x, y = irnn["adding_problem"](np.random.default_rng(0), 9, 1000)
    marked = x[..., 1] == 1
    assert (marked[:4].sum(axis=0) == 1).all()
    assert (marked[4:].sum(axis=0) == 1).all()
    np.testing.assert_allclose(y[:, 0], (x[..., 0] * marked).sum(axis=0), rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "part"),
        (("poem",), "invalid choice: 'poem'"),
        (("adding", "--steps=0"), "--steps: expected an integer of at least 1, got '0'"),
        (("adding", "--T=1"), "--T: expected an integer of at least 2, got '1'"),
        (("text", "--seeds=x"), "--seeds: expected an integer of at least 0, got 'x'"),
        (("text", "--length=100"), "--length: expected at least 1282 characters, got 100"),
        (("text", "--text={tiny}"), "--text, --length: expected at least 1282 characters, got 4"),
        (("text", "--text={bad}"), "bad.txt: expected UTF-8, got byte 0xFF at offset 3 (line 2, "),
        (("adding", "--out={file}"), "--out: expected a folder, got the file"),
    ],
)
def test_a_wrong_argument_is_refused_and_leaves_nothing(
    arguments, message, tmp_path, tmp_path_factory
):
    (tmp_path / "file").write_text("")
    texts = tmp_path_factory.mktemp("texts")
    (texts / "tiny.txt").write_text("abcd")
    (texts / "bad.txt").write_bytes(b"ab\r\xff")
    names = {"file": tmp_path / "file", "tiny": texts / "tiny.txt", "bad": texts / "bad.txt"}
    out = [f"--out={tmp_path / 'new'}"] if arguments and arguments[0] in SMALL else []
    given = [a.format(**names) for a in arguments]
    done = subprocess.run(
        [sys.executable, SCRIPT, *given[:1], *out, *given[1:]], capture_output=True, text=True
    )
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_run_that_fails_leaves_no_file(irnn, small, tmp_path, monkeypatch):
    def fails(*arguments):
        raise RuntimeError("stop")

    monkeypatch.setitem(irnn["main"].__globals__["PARTS"], "adding", fails)
    with pytest.raises(RuntimeError, match="stop"):
        small("adding")
    assert not list(tmp_path.iterdir())
