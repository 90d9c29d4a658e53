"""The character model: its gradient beside torch's, what it samples, its file, its training."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from character_cases import KINDS, SYMBOLS, in_torch, parts_of, random_codes, small, torch_scores

from rnnlib import text
from rnnlib.character import CharacterModel, Training
from rnnlib.gradcheck import check_backward
from rnnlib.text import Vocabulary

# The gradient


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_every_gradient_is_that_of_autograd(kind, layers):
    model, rng = small(kind, layers), np.random.default_rng(2)
    network = in_torch(model)
    # A first window, so that the state that is carried into the second one is no zero.
    first, second, targets = random_codes(3, 7, 3)
    _, carried = model(first)
    loss, d_logits, after = model.loss(second, targets, carried)
    d_after = tuple(rng.standard_normal(part.shape) for part in parts_of(after))
    d_carried = model.backward(d_logits, d_after if isinstance(after, tuple) else d_after[0])

    _, hx = torch_scores(network, first)
    hx = tuple(part.detach().requires_grad_() for part in parts_of(hx))
    scores, their_after = torch_scores(network, second, hx if kind == "LSTM" else hx[0])
    their_loss = torch.nn.functional.cross_entropy(
        scores.flatten(0, 1), torch.tensor(targets).flatten()
    )
    pushed = zip(parts_of(their_after), d_after, strict=True)
    (their_loss + sum((a * torch.tensor(d)).sum() for a, d in pushed)).backward()

    assert abs(loss - their_loss.item()) < 1e-10
    theirs = dict(network.named_parameters())
    assert set(model.grads) == set(model.parameters) == set(theirs)
    for name, gradient in model.grads.items():
        assert np.abs(gradient - theirs[name].grad.numpy()).max() < 1e-10, name
        assert np.abs(gradient).max() > 1e-4, name
    for ours, their in zip(parts_of(d_carried), hx, strict=True):
        assert np.abs(ours - their.grad.numpy()).max() < 1e-10


@pytest.mark.parametrize("layers", [1, 2])
def test_the_gradient_with_dropout(layers):
    model = small("LSTM", layers, dropout=0.4)
    codes, before = random_codes(6, 2), model._rng.bit_generator.state

    def forward(point):
        model.load_state_dict(point)
        model._rng.bit_generator.state = before  # The same units are dropped each time.
        return model(codes)[0]

    def backward(d_logits):
        model.backward(d_logits)
        return model.grads

    assert check_backward(forward, backward, model.state_dict())
    dropped = model._mask
    assert set(np.unique(dropped)) == {0, 1 / 0.6}
    assert model.rnn.dropout == (0.4 if layers > 1 else 0)


def test_without_training_nothing_is_dropped():
    model, codes = small(layers=2, dropout=0.4), random_codes(6, 2)
    plain = small(layers=2)
    plain.load_state_dict(model.state_dict())
    assert not np.array_equal(model(codes)[0], model(codes)[0])
    np.testing.assert_array_equal(model.eval()(codes)[0], plain(codes)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_windows_with_carried_state_are_one_long_window(kind):
    model, codes = small(kind, 2), random_codes(9, 2)
    whole, end = model(codes)
    first, state = model(codes[:4])
    rest, state = model(codes[4:], state)
    np.testing.assert_allclose(np.concatenate([first, rest]), whole, atol=1e-12)
    for ours, expected in zip(parts_of(state), parts_of(end), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-12)


@pytest.mark.parametrize(("streams", "window"), [(1, 100), (1, 7), (3, 4), (3, 1), (5, 13)])
def test_evaluate_is_the_mean_over_the_text(streams, window):
    model, codes = small(layers=2, dropout=0.5), random_codes(60)
    network, length = in_torch(model), 59 // streams
    losses = []
    for j in range(streams):
        stream = codes[j * length : (j + 1) * length + 1]
        scores, _ = torch_scores(network, stream[:-1])
        losses.append(torch.nn.functional.cross_entropy(scores, torch.tensor(stream[1:])).item())
    assert abs(model.evaluate(codes, streams, window) - np.mean(losses)) < 1e-12
    assert model.training
    assert not model.eval().training
    model.evaluate(codes)
    assert not model.training
    assert not model.rnn.training


def test_it_starts_near_a_uniform_guess():
    model = CharacterModel(Vocabulary(map(chr, range(65, 125))), hidden=64, rng=0)
    loss = model.evaluate(random_codes(2000, V=60), 4)
    assert abs(loss - math.log(60)) < 0.1


# Sampling


@pytest.mark.parametrize("kind", KINDS)
def test_the_likeliest_text(kind):
    model = small(kind, dropout=0.5, layers=2)
    sampled = model.sample("ab", 12, temperature=0)
    network, told = in_torch(model), list(model.vocabulary.encode("ab"))
    for _ in range(12):  # Each time from the beginning: the state is carried rightly.
        told.append(int(torch_scores(network, np.array(told))[0][-1].argmax()))
    assert sampled == model.vocabulary.decode(told[2:])
    assert model.sample("ab", 12, top_k=1, rng=3) == sampled
    assert model.sample("ab", 12, top_p=1e-9, rng=4) == sampled
    assert model.training


def test_a_stream_draws_what_a_sample_does():
    model = small("GRU", dropout=0.5, layers=2)
    stream = model.stream("ab", 30, 0.9, 3, 0.95, 1)
    first = [next(stream) for _ in range(10)]
    assert not model.training
    assert "".join([*first, *stream]) == model.sample("ab", 30, 0.9, 3, 0.95, 1)
    assert model.training
    left = model.stream("ab", 30)
    next(left)
    left.close()
    assert model.training
    with pytest.raises(ValueError, match="prompt: expected at least one character"):
        next(model.stream("", 3))


def test_samples_follow_the_seed():
    model = small()
    assert model.sample("a", 40, rng=1) == model.sample("a", 40, rng=np.random.default_rng(1))
    assert model.sample("a", 40, rng=1) != model.sample("a", 40, rng=2)
    assert model.sample("a", 40, 1e6, rng=1) != model.sample("a", 40, 1.0, rng=1)
    assert set(model.sample("a", 300, rng=1)) == set(SYMBOLS)
    assert model.sample("a", 0) == ""


def test_sampling_errors():
    model = small()
    with pytest.raises(ValueError, match="prompt: expected at least one character, got none"):
        model.sample("", 3)
    with pytest.raises(ValueError, match="got 'x' at position 1"):
        model.sample("ax", 3)
    with pytest.raises(ValueError, match="length: expected an integer >= 0, got -1"):
        model.sample("a", -1)
    with pytest.raises(ValueError, match="temperature: expected"):
        model.sample("a", 3, -1)


# Training


def test_epochs_read_the_text_in_streams():
    codes = np.arange(65) % 60  # No window can be mistaken for another.
    model = CharacterModel(Vocabulary(map(chr, range(65, 125))), hidden=3, rng=0)
    training = Training(model, codes, batch=2, window=5, steps=40, rng=3)
    starts, states = set(), []
    loss = model.loss

    def watched(inputs, targets, state):
        seen.append((inputs, targets))
        states.append(state)
        return loss(inputs, targets, state)

    model.loss = watched
    for _ in range(6):
        seen = []
        training.step()
        while len(seen) < (len(codes) - 1 - int(seen[0][0][0, 0])) // 10:
            training.step()
        inputs, targets = (np.concatenate(part) for part in zip(*seen, strict=True))
        start = int(inputs[0, 0])
        starts.add(start)
        np.testing.assert_array_equal(inputs.T.ravel(), codes[start : start + inputs.size])
        np.testing.assert_array_equal(targets.T.ravel(), codes[start + 1 :][: inputs.size])
    assert starts <= set(range(5))
    assert len(starts) > 2
    assert [state is None for state in states].count(True) == 6


@pytest.mark.parametrize("kind", KINDS)
def test_steps_are_those_of_torch(kind):
    model, codes = small(kind, 2), random_codes(50)
    network = in_torch(model)
    training = Training(model, codes, batch=2, window=6, steps=9, lr=0.05, clip=0.1, rng=0)
    start = int(np.random.default_rng(0).integers(6))
    adam = torch.optim.Adam(network.parameters(), lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, 9)
    state = None
    for inputs, targets in list(text.batches(codes[start:], 2, 6))[:3]:
        scores, state = torch_scores(network, inputs, state)
        state = tuple(s.detach() for s in state) if kind == "LSTM" else state.detach()
        adam.zero_grad()
        loss = torch.nn.functional.cross_entropy(
            scores.flatten(0, 1), torch.tensor(targets).flatten()
        )
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), 0.1)
        assert norm > 0.1
        adam.step()
        schedule.step()
        assert abs(training.step() - loss.item()) < 1e-10
    for name, weight in network.named_parameters():
        np.testing.assert_allclose(model.parameters[name], weight.detach(), atol=1e-8)


def test_it_learns_what_there_is_to_learn():
    line = "abc é🐋\n" * 60
    model = CharacterModel(Vocabulary.from_text(line), hidden=16, dropout=0.1, rng=0)
    codes = model.vocabulary.encode(line)
    training = Training(model, codes, batch=4, window=14, steps=120, lr=0.02, rng=0)
    losses = [training.step() for _ in range(120)]
    assert abs(losses[0] - math.log(7)) < 0.3
    assert model.evaluate(codes) < 0.05
    assert model.sample("abc", 11, rng=0) == " é🐋\nabc é🐋\n"
    assert training.optimizer.lr < 1e-9


def test_the_seed_decides():
    def run(seed):
        model = small(dtype=np.float32, dropout=0.2, layers=2)
        training = Training(model, random_codes(80), batch=2, window=5, steps=9, rng=seed)
        return [training.step() for _ in range(9)]

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_a_loss_that_is_not_finite_stops_before_the_weights_do():
    model = small()
    training = Training(model, random_codes(50), batch=2, window=5, steps=3)
    training.step()
    model.parameters["head.bias"][0] = np.nan
    before = model.state_dict()
    with pytest.raises(FloatingPointError, match="expected a finite loss and gradient, got a loss"):
        training.step()
    for name, weight in model.parameters.items():
        np.testing.assert_array_equal(weight, before[name])


def test_too_few_codes():
    with pytest.raises(ValueError, match=r"batch_size \* seq_len \+ 1 = 13 codes, got 12"):
        Training(small(), random_codes(12), batch=2, window=6, steps=1)
    Training(small(), random_codes(13), batch=2, window=6, steps=1).step()


# Bad input


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"vocabulary": "abc"},
            TypeError,
            "vocabulary: expected a rnnlib.text.Vocabulary, got str",
        ),
        ({"kind": "CNN"}, ValueError, "kind: expected one of 'RNN', 'LSTM', 'GRU', got 'CNN'"),
        ({"hidden": 0}, ValueError, "hidden: expected at least 1, got 0"),
        ({"layers": 1.5}, TypeError, r"layers: expected an integer, got 1\.5"),
        ({"dropout": 1}, ValueError, r"dropout: expected a number in \[0, 1\), got 1"),
        ({"dtype": int}, TypeError, "dtype: expected a floating-point type"),
        ({"rng": "dice"}, TypeError, "rng: expected a seed or a NumPy Generator, got 'dice'"),
    ],
)
def test_sizes_that_are_none(options, error, message):
    with pytest.raises(error, match=message):
        CharacterModel(**({"vocabulary": Vocabulary("ab")} | options))


def test_codes_that_are_none():
    model = small()
    with pytest.raises(ValueError, match="codes: expected codes from 0 to 6, got 7"):
        model(np.array([[7]]))
    with pytest.raises(ValueError, match="codes: expected codes from 0 to 6, got -1"):
        model.loss(np.array([[0]]), np.array([[-1]]))
    with pytest.raises(TypeError, match=r"codes: expected integers \(T, N\), got int64 \(3,\)"):
        model(np.zeros(3, np.int64))
    with pytest.raises(TypeError, match=r"codes: expected integers \(T, N\), got float64"):
        model(np.zeros((3, 1)))
    with pytest.raises(RuntimeError, match="expected a forward call before it"):
        small().backward(np.zeros((1, 1, 7)))


def test_weights_that_do_not_fit_change_nothing():
    model = small()
    before = model.state_dict()
    for change in ({"head.bias": np.zeros(3)}, {"more": np.zeros(1)}):
        with pytest.raises((KeyError, ValueError)):
            model.load_state_dict({name: w + 1 for name, w in before.items()} | change)
        for name, weight in model.parameters.items():
            np.testing.assert_array_equal(weight, before[name])


def test_it_does_without_torch():
    code = "import sys, rnnlib.character, rnnlib.commands; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
