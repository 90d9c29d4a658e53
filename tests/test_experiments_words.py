"""The script behind the chapter on words: a small run, its result file, and what it refuses."""

import json
import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from rnnlib.notebook import load_result
from rnnlib.words import UNKNOWN

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "experiments" / "words.py"
SMALL = (
    "--seeds 0 1 --epochs 2 --steps 5 --vocabulary 40 --hidden 6 --classes 5 --tokens 60".split()
)
SMALL += "--orders 3 --block 5 --examples 1".split()


@pytest.fixture(scope="module")
def words():
    """The script as a module."""
    sys.path[:0] = [str(SCRIPT.parent)]
    try:
        import words
    finally:
        sys.path.remove(str(SCRIPT.parent))
    return words


@pytest.fixture
def book(tmp_path):
    """A text of 120 sentences."""
    rng = np.random.default_rng(0)
    names, verbs, things = "ahab ishmael queequeg", "saw sought lost", "whale ship sea boat harpoon"
    pick = lambda some: rng.choice(some.split())  # noqa: E731
    lines = [
        f"{pick(names)} {pick(verbs)} the {pick(things)} and {pick(verbs)} a {pick(things)}."
        for _ in range(119)
    ]
    path = tmp_path / "book.txt"
    path.write_text("\n\n".join([*lines, "A rare word."]), encoding="utf-8")
    return path


def run(*arguments):
    return subprocess.run(
        [sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True
    )


def test_a_small_run(book, tmp_path, monkeypatch):
    done = run("--text", book, "--out", tmp_path / "experiments" / "results", *SMALL)
    assert done.returncode == 0, done.stderr
    assert [p.name for p in (tmp_path / "experiments" / "results").iterdir()] == ["words.json"]
    monkeypatch.chdir(tmp_path)
    result = load_result("words")
    assert result["about"]["text"] == "book.txt"
    assert result["about"]["seed"] == [0, 1]
    assert result["about"]["options"]["vocabulary"] == 40
    assert [p["sentences"] for p in result["parts"].values()] == [100, 10, 10]
    assert [g["order"] for g in result["n-grams"]] == [1, 2, 3]
    assert [r["seed"] for r in result["runs"]] == [0, 1]
    for r in result["runs"]:
        assert len(r["training"]) == len(r["validation"]) == len(r["rate"]) == 2
        assert r["best_epoch"] == 1 + int(np.argmin(r["validation"]))
        # At weight 0 the mixture is the n-gram, at 1 the network.
        best = min(*r["validation"], result["n-grams"][result["order"] - 1]["validation"])
        assert r["mixture validation"] <= best + 1e-6
        assert 0 <= r["weight"] <= 1
        assert math.isfinite(r["test"] + r["mixture"])
    # The groups by context hold all test targets.
    groups = result["by context"]
    assert sum(groups["targets"]) == result["parts"]["test"]["targets"]
    mean = sum(n * loss for n, loss in zip(groups["targets"], groups["n-gram"], strict=True) if n)
    best = result["n-grams"][result["order"] - 1]["test"]
    assert math.isclose(mean / sum(groups["targets"]), best)
    for drawn in result["examples"].values():
        assert not any(UNKNOWN in sentence for sentence in drawn["sentences"])


def test_a_seed_gives_the_same_again(book, tmp_path):
    found = []
    for folder in (tmp_path / "1", tmp_path / "2"):
        assert run("--text", book, "--out", folder, *SMALL).returncode == 0
        runs = json.loads((folder / "words.json").read_text())["runs"]
        found.append([{k: v for k, v in r.items() if k != "seconds"} for r in runs])
    assert found[0] == found[1]
    assert found[0][0]["validation"] != found[0][1]["validation"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "--epochs: expected an integer of at least 1, got '0'"),
        (["--dropout", "1"], "--dropout: expected a number from 0 to below 1, got '1'"),
        (["--lr", "fast"], "--lr: expected a number > 0, got 'fast'"),
        (
            ["--block", "1000"],
            "--block 1000: expected a text of at least ten blocks of sentences, got 120 sentences",
        ),
        (["--classes", "1000"], "number: expected at most"),
        (["--text", "nowhere.txt"], "words.py: --text: nowhere.txt: No such file"),
        (["--text", "EMPTY"], "empty.txt: expected a text, got an empty file"),
        (
            ["--text", "BAD"],
            "bad.txt: expected UTF-8, got byte 0xFF at offset 3 (line 2, column 1)",
        ),
    ],
)
def test_what_is_refused(arguments, message, book, tmp_path):
    out = tmp_path / "out"
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "bad.txt").write_bytes(b"ab\r\xff")
    names = {"EMPTY": tmp_path / "empty.txt", "BAD": tmp_path / "bad.txt"}
    arguments = [names.get(a, a) for a in arguments]
    done = run("--text", book, "--out", out, *SMALL, *arguments)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not out.exists() or not list(out.iterdir())


@pytest.mark.parametrize("own", [["--text", "book.txt"], ["--seeds", "4"], ["--epochs", "1"]])
def test_another_run_than_the_book_s_needs_a_folder(own, words, capsys):
    with pytest.raises(SystemExit):
        words.read_options(own)
    told = capsys.readouterr().err
    assert f"--out: expected a folder, for {own[0]} is another than in the book" in told
    assert words.read_options([*own, "--out", "runs"]).out == Path("runs")
    assert words.read_options([]).out == ROOT / "experiments" / "results"


def test_the_split(words):
    parts = words.split(list(range(45)), 2)
    assert parts["validation"] == [16, 17, 36, 37]
    assert parts["test"] == [18, 19, 38, 39]
    assert sorted(item for part in parts.values() for item in part) == list(range(45))


def test_batches_hold_each_sentence_once(words):
    rng = np.random.default_rng(0)
    codes = [np.full(n, k) for k, n in enumerate(rng.integers(2, 30, 50))]
    for generator in (None, rng):
        groups = words.batches(codes, 60, generator)
        assert sorted(int(c[0]) for group in groups for c in group) == list(range(50))
        assert max(len(group) * max(map(len, group)) for group in groups) < 60 + 2 * 30


def test_the_network_s_gradient(words):
    """Differences of the loss, with a fixed dropout mask, in each kind of parameter."""
    codes = [np.array(c) for c in ([0, 3, 4, 1], [0, 5, 1], [0, 2, 3, 3, 1])]
    classes = np.array([0, 0, 1, 1, 2, 2])

    def loss_at(name=None, place=None, step=0.0):
        network = words.Network(6, 4, classes, 0.3, np.random.default_rng(1))
        if name:
            network.merged("parameters")[name][place] += step
        return network.differentiate(codes), network

    _, network = loss_at()
    for name, grads in network.merged("grads").items():
        place = np.unravel_index(np.abs(grads).argmax(), grads.shape)
        difference = (loss_at(name, place, 5e-3)[0] - loss_at(name, place, -5e-3)[0]) / 1e-2
        assert math.isclose(grads[place], difference, rel_tol=0.02, abs_tol=2e-4), name


def test_scores_stand_in_the_order_given(words):
    codes = [np.array(c) for c in ([0, 3, 4, 1], [0, 5, 1], [0, 2, 3, 3, 1])]
    network = words.Network(6, 4, np.array([0, 0, 1, 1, 2, 2]), 0.3, np.random.default_rng(1))
    alone = [network.log_probabilities([c])[0] for c in codes]
    np.testing.assert_allclose(network.scores(codes, 4), np.concatenate(alone), rtol=1e-5)


def test_the_longest_known_context(words):
    parts = {"train": [np.array([0, 3, 4, 1])], "test": [np.array([0, 3, 5, 4, 1])]}
    # Before 3: START; before 5: START 3; before 4: 5 is new; before END: 4, but not 5 4.
    assert words.longest_known(SimpleNamespace(parts=parts), 3).tolist() == [1, 2, 0, 1]


def test_a_second_batch_starts_from_zero(words):
    network = words.Network(6, 4, np.array([0, 0, 1, 1, 2, 2]), 0.3, np.random.default_rng(1))
    network.differentiate([np.array([0, 3, 4, 1])])
    network.differentiate([np.array([0, 5, 1])])
    assert np.flatnonzero(network.d_embedding.any(axis=1)).tolist() == [0, 5]


def test_the_best_epoch_is_kept_and_the_rate_halves(words, book, monkeypatch):
    losses, embeddings = iter([3.0, 1.0, 2.0, 2.5]), []

    def scores(network, codes_list):
        embeddings.append(network.embedding.copy())
        return np.array([-next(losses)])

    monkeypatch.setattr(words.Network, "scores", scores)
    options = words.read_options([*SMALL, "--out=runs", "--lr", "0.1", "--epochs", "4"])
    text = words.Text(book.read_text(encoding="utf-8"), options.vocabulary, options.block)
    network, record = words.train(text, 0, options)
    assert record["best_epoch"] == 2
    assert record["rate"] == [0.1, 0.1, 0.1, 0.05]
    assert [np.array_equal(network.embedding, e) for e in embeddings] == [False, True, False, False]


def test_the_mixture(words):
    ours, theirs = np.log([0.5, 0.25]), np.log([0.25, 0.75])
    wanted = -np.log([0.3 * 0.5 + 0.7 * 0.25, 0.3 * 0.25 + 0.7 * 0.75]).mean()
    assert math.isclose(words.mixture_loss(0.3, ours, theirs), wanted)


def test_sentences_with_the_unknown_word_are_dropped(words, book):
    options = words.read_options([*SMALL, "--out=runs", "--examples", "2"])
    text = words.Text(book.read_text(encoding="utf-8"), options.vocabulary, options.block)
    long, unknown = [0, 3, 4, 5, 6, 7, 8, 1], [0, 3, 4, 5, text.unknown, 7, 8, 1]
    drawn = iter(3 * [unknown, None, long, [0, 3, 1], long])
    network = SimpleNamespace(sentence=lambda *_: next(drawn))
    for found in words.examples(network, text, options).values():
        sentence = text.vocabulary.join(text.vocabulary.decode(np.array(long)))
        assert found == {
            "sentences": [sentence, sentence],
            "tries": 5,
            "too long": 1,
            "with unknown": 1,
        }
