"""experiments/glimpses.py: the windows, the network beside torch's, and the file."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
sys.path.insert(0, str(EXPERIMENTS))

import glimpses  # noqa: E402

TINY = ["--seeds=2", "--updates=3", "--batch=5", "--hidden=6"]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """No bar, and a few random images in MNIST's shapes."""
    monkeypatch.setenv("TQDM_DISABLE", "1")
    monkeypatch.setattr(glimpses, "KEPT_BACK", 40)
    monkeypatch.setattr(glimpses, "EVERY", 2)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (200, 28, 28), dtype=np.uint8)
    labels = rng.integers(0, 10, 200, dtype=np.uint8)
    set_ = glimpses.data.digits.Digits(images, labels, images[:50], labels[:50])
    monkeypatch.setattr(glimpses.data, "load_mnist", lambda: set_)
    return set_


def made(out, *more):
    glimpses.main([*TINY, f"--out={out}", *more])
    return json.loads((out / "glimpses.json").read_text())


def test_a_window_is_a_part_of_the_image(small):
    images = small.train_images[:4]
    places = np.array([[0, 0], [-1, 1], [1, 1], [5, -5]], float)
    seen = glimpses.window(images, places).reshape(4, 8, 8) * 255
    assert np.allclose(seen[0], images[0, 10:18, 10:18])  # 13.5 is rounded to the even 14.
    expected = np.zeros((8, 8))
    expected[4:, :5] = images[1, :4, 23:]
    assert np.allclose(seen[1], expected)
    expected = np.zeros((8, 8))
    expected[:5, :5] = images[2, 23:, 23:]
    assert np.allclose(seen[2], expected)
    expected = np.zeros((8, 8))
    expected[:5, 4:] = images[3, 23:, :4]
    assert np.allclose(seen[3], expected)


def torch_gradients(reader, images, labels, places, reward, spread):
    """The same by autograd: cross-entropy, -(reward - baseline) log p, half the squared error."""
    p = reader.named("parameters")
    p = {n: torch.tensor(a, requires_grad=True) for n, a in p.items()}

    def linear(name, x):
        return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    h, loss = torch.zeros(len(images), reader.hidden, dtype=torch.float64), 0
    for place in places:
        constant = h.detach()
        mean = torch.tanh(linear("choice.0", constant))
        expected = linear("baseline", constant)[:, 0]
        log_p = torch.distributions.Normal(mean, spread).log_prob(torch.tensor(place)).sum(1)
        loss = loss - ((reward - expected.detach()) * log_p).mean()
        loss = loss + ((reward - expected) ** 2).mean() / 2
        seen = torch.tensor(glimpses.window(images, place))
        g = torch.relu(linear("glimpse.0.0", seen) + linear("glimpse.0.1", torch.tensor(place)))
        h = torch.relu(linear("core.0.0", g) + linear("core.0.1", h))
    scores = h @ p["weight"].T + p["bias"]
    loss = loss + torch.nn.functional.cross_entropy(scores, torch.tensor(labels))
    loss.backward()
    return {name: a.grad.numpy() for name, a in p.items()}


def test_every_gradient_is_autograds(small):
    rng = np.random.default_rng(3)
    reader = glimpses.Reader("learned", 6, rng, dtype=np.float64)
    for a in reader.named("parameters").values():
        a[...] = rng.normal(0.1, 0.4, a.shape)
    reader.set_spread(0.3)
    images, labels = small.train_images[:7], small.train_labels[:7].astype(int)
    _, d_scores = glimpses.softmax_cross_entropy(reader.scores(images), labels)
    places = [look.place for look in reader.looks]
    reward = rng.random(7)
    reader.backward(d_scores, reward)
    theirs = torch_gradients(reader, images, labels, places, torch.tensor(reward), 0.3)
    ours = reader.named("grads")
    assert ours.keys() == theirs.keys()
    for name, g in theirs.items():
        assert np.abs(g).max() > 0, name
        np.testing.assert_allclose(ours[name], g, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("case", glimpses.CASES)
def test_who_looks_where(small, case):
    reader = glimpses.Reader(case, 6, np.random.default_rng(1))
    named, places = reader.read(small.test_images, parts=3)
    assert named.shape == (50,)
    assert places.shape == (4, 50, 2)
    assert (np.ptp(places, axis=1).max() > 0) == (case in ("learned", "random"))
    trained = reader.named("parameters")
    assert any("choice" in name for name in trained) == (case == "learned")
    again, _ = reader.read(small.test_images, parts=5)
    assert (named == again).all() or case == "random"


def test_the_first_place_is_the_same_for_all_images(small):
    reader = glimpses.Reader("learned", 6, np.random.default_rng(1))
    _, places = reader.read(small.test_images)
    assert np.ptp(places[0], axis=0).max() == 0
    assert np.ptp(places[1], axis=0).max() > 0


def test_the_file_has_every_case_from_every_seed(tmp_path):
    result = made(tmp_path)
    found = [(run["case"], run["seed"]) for run in result["runs"]]
    assert found == [(case, seed) for case in glimpses.CASES for seed in (0, 1)]
    for run in result["runs"]:
        assert [update for update, _ in run["validation"]] == [2, 3]
        assert 0 <= run["test"] <= 1
        assert np.shape(run["place"]) == np.shape(run["scatter"]) == (4, 2)
    assert np.shape(result["runs"][0]["places"]) == (12, 4, 2)
    assert len(result["runs"][0]["named"]) == 12
    assert all("places" not in run for run in result["runs"][1:])
    assert result["about"]["script"] == "experiments/glimpses.py"
    assert [p.name for p in tmp_path.iterdir()] == ["glimpses.json"]


def test_the_same_seed_gives_the_same_run(tmp_path):
    assert made(tmp_path / "a")["runs"] == made(tmp_path / "b")["runs"]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--seeds=0", "--seeds: expected an integer of at least 1, got '0'"),
        ("--rate=0", "--rate: expected a number > 0, got '0'"),
        (f"--out={__file__}", "--out: expected a folder, got the file"),
    ],
)
def test_wrong_options_are_refused(argument, message, capsys):
    with pytest.raises(SystemExit):
        glimpses.main([argument])
    assert message in capsys.readouterr().err


def test_no_file_is_left_after_a_failure(tmp_path, monkeypatch):
    def broken(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr(glimpses.Reader, "read", broken)
    with pytest.raises(RuntimeError, match="broken"):
        glimpses.main([*TINY, f"--out={tmp_path}"])
    assert not list(tmp_path.iterdir())
