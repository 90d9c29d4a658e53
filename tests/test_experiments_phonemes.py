"""experiments/phonemes.py: a whole file from tiny runs, or none; the pieces of its figures."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
sys.path.insert(0, str(EXPERIMENTS))

import phonemes  # noqa: E402

TINY = "--seeds 2 --steps 3 --hidden 8 --batch-size 4 --test-words 5 --validation-words 4".split()
SOUNDS = ["AA", "B", "C", "D"]
PAIRS = [
    (a + b + c + end, (SOUNDS[k % 4], *SOUNDS[: 1 + (j + k) % 3]))
    for k, a in enumerate("bcdfglmprt")
    for j, b in enumerate("aeiou")
    for c in "bcdfglm"
    for end in ("", "s", "tory")
]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """No bar, and a small made-up dictionary."""
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.setattr(phonemes.pronunciations, "load_pronunciations", lambda: PAIRS)
    test = phonemes.pronunciations.split_pronunciations(PAIRS).test
    monkeypatch.setattr(phonemes, "SHOWN", [word for word, _ in test[:2]])


def test_the_file_has_every_run(tmp_path):
    phonemes.main([*TINY, "--out", str(tmp_path)])
    result = json.loads((tmp_path / "phonemes.json").read_text())
    about, runs = result["about"], result["runs"]
    assert about["script"] == "experiments/phonemes.py"
    assert about["seed"] == [0, 1]
    assert about["words"]["test"] == 5
    assert [(r["attention"], r["seed"]) for r in runs] == [
        (attend, seed) for seed in (0, 1) for attend in (True, False)
    ]
    for run in runs:
        assert [update for update, _ in run["curve"]] == [1, 2, 3]
        assert len(run["first_losses"]) == 3
        assert set(run["own"]) == {"1", "3", "5"}
        assert run["told"]["word"] == run["own"]["1"]["word"]
        table = np.array(run["by_length"])
        assert table[:, 1].sum() == 5
        assert (table[:, 4] <= table[:, 1]).all()
        assert table[:, 3].sum() / table[:, 2].sum() == pytest.approx(
            run["own"]["1"]["phoneme"], rel=1e-4
        )
        assert len(run["alignments"]) == 2 * run["attention"]
        assert (run["forward"] is not None) == run["attention"]
        for found in run["alignments"]:
            word, _ = PAIRS[found["place"]]
            weights = np.array(found["weights"])
            assert word in phonemes.SHOWN
            assert weights.shape == (len(found["codes"]) + 1, len(word))
            assert weights.sum(axis=1) == pytest.approx(1, abs=0.02)
    first = [run["first_losses"] for run in runs]
    assert first[0] != first[1] != first[2]


def test_batches():
    words_ = phonemes.Words([("bad", ("B", "AA", "D")), ("ab", ("AA",))], SOUNDS)
    letters, lengths, given, targets, counts = words_.batch([1, 0])
    assert letters.tolist() == [[0, 1], [1, 0], [0, 3]]
    assert lengths.tolist() == [2, 3]
    assert given.tolist() == [[5, 5], [1, 2], [0, 1], [0, 4]]
    assert targets.tolist() == [[1, 2], [0, 1], [0, 4], [0, 0]]
    assert counts.tolist() == [[True, True], [True, True], [False, True], [False, True]]


@pytest.mark.parametrize("attend", [True, False])
def test_a_word_alone_and_in_a_batch(attend):
    """Greedy search agrees with the batch told what it wrote; padding changes nothing."""
    model = phonemes.EncoderDecoder(5, 8, attend, dtype=np.float64, rng=1)
    words_ = phonemes.Words(PAIRS[:40:7], SOUNDS)
    batch = words_.batch(range(len(words_)))
    _, together = phonemes.loss_of(model, batch)
    for n in range(len(words_)):
        _, alone = phonemes.loss_of(model, words_.batch([n]))
        assert (together[: len(alone), n] == alone[:, 0]).all()
        wrote = phonemes.search(model, words_.letters[n], 1)[0]
        told = phonemes.Words([], SOUNDS)
        told.letters, told.phonemes = [words_.letters[n]], [wrote.codes]
        _, predicted = phonemes.loss_of(model, told.batch([0]))
        assert predicted[: len(wrote.codes), 0].tolist() == wrote.codes
        assert not wrote.ended or predicted[len(wrote.codes), 0] == phonemes.END


@pytest.mark.parametrize("attend", [True, False])
def test_the_way_back(attend):
    """Against differences of the loss, in one random direction for each parameter."""
    model = phonemes.EncoderDecoder(5, 6, attend, dtype=np.float64, rng=2)
    rng = np.random.default_rng(3)
    for p in model.collect("parameters").values():
        p[...] = rng.normal(0.1, 0.5, p.shape)
    batch = phonemes.Words(PAIRS[:60:9], SOUNDS).batch(range(5))
    model.loss(batch)
    grads = {name: g.copy() for name, g in model.collect("grads").items()}
    for name, p in model.collect("parameters").items():
        way, size = rng.normal(size=p.shape), 1e-5
        start, values = p.copy(), []
        for sign in (1, -1):
            p[...] = start + sign * size * way
            values.append(float(model.loss(batch)))
        p[...] = start
        slope = (values[0] - values[1]) / (2 * size)
        assert (grads[name] * way).sum() == pytest.approx(slope, abs=1e-8), name


def test_it_learns():
    pairs = [(a + b, (SOUNDS[k], "AA")) for k, a in enumerate("bcdf") for b in "aei"]
    words_ = phonemes.Words(pairs, SOUNDS)
    model = phonemes.EncoderDecoder(5, 16, rng=0)
    rng = np.random.default_rng(0)
    losses = phonemes.train(model, words_, 150, rng, lr=0.03, batch_size=8)
    assert losses[-1] < 0.1 < 1 < losses[0]
    answers = [phonemes.search(model, x, 3)[0].codes for x in words_.letters]
    assert phonemes.errors(answers, words_.phonemes) == {"phoneme": 0.0, "word": 0.0}


def test_counting_errors():
    assert phonemes.errors([[1, 2], [3]], [[1, 2], [4, 4]]) == {"phoneme": 0.5, "word": 0.5}
    assert phonemes.until_end([3, 1, 0, 2]) == [3, 1]
    assert phonemes.until_end([3]) == [3]
    # Two words of 1 and 3 phonemes: what is predicted behind a word's last step does not count.
    told = np.array([[3, 3], [4, 0], [5, 4], [6, 0]])
    assert phonemes.answers_when_told(told, [[3], [3, 2, 4]]) == [[3, 4], [3]]
    assert phonemes.chosen(list(range(10)), 3) == [0, 3, 6]
    assert phonemes.chosen([1, 2], 3) == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "0"], "--seeds: expected an integer of at least 1, got '0'"),
        (["--lr", "-1"], "--lr: expected a number > 0, got '-1'"),
        (["--steps", "x"], "--steps: expected an integer of at least 1, got 'x'"),
        (["--hidden", "7"], "--hidden: expected an even number, got 7"),
        (["--out", __file__], "--out: expected a folder, got the file"),
    ],
)
def test_wrong_options_are_refused(arguments, message, capsys):
    with pytest.raises(SystemExit):
        phonemes.main(arguments)
    assert message in capsys.readouterr().err


def test_no_file_is_left_after_a_failure(tmp_path, monkeypatch):
    def broken(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr(phonemes, "forward_share", broken)
    with pytest.raises(RuntimeError, match="broken"):
        phonemes.main([*TINY, "--out", str(tmp_path)])
    assert not list(tmp_path.iterdir())
