"""Optimizers and clipping against torch over several steps, and against independent formulas."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlib.optim import SGD, Adagrad, clip_grad_norm_, clip_grad_value_

SEEDS = st.integers(0, 2**32)
POSITIVE = st.floats(1e-3, 10)
SHAPES = st.lists(
    st.lists(st.integers(0, 4), max_size=3).map(tuple), min_size=1, max_size=4
).filter(lambda shapes: any(0 not in shape for shape in shapes))


def draw(rng, shapes):
    """A dict of arrays of very different sizes, with some exact zeros."""
    return {
        f"p{i}": np.array(rng.normal(size=s) * 10.0 ** rng.integers(-3, 4) * (rng.random(s) < 0.8))
        for i, s in enumerate(shapes)
    }


def tensors(arrays):
    return {name: torch.tensor(a.copy(), dtype=torch.float64) for name, a in arrays.items()}


def assert_close(ours, theirs):
    for name in theirs:
        np.testing.assert_allclose(ours[name], theirs[name].numpy(), rtol=1e-12, atol=1e-12)


def follow_torch(ours, theirs, seed, shapes, steps=6):
    rng = np.random.default_rng(seed)
    parameters = draw(rng, shapes)
    arrays = dict(parameters)
    reference = tensors(parameters)
    ours, theirs = ours(parameters), theirs(list(reference.values()))
    for _ in range(steps):
        grads = draw(rng, shapes)
        kept = {name: g.copy() for name, g in grads.items()}
        for name, g in tensors(grads).items():
            reference[name].grad = g
        ours.step(grads)
        theirs.step()
        assert_close(parameters, reference)
        for name in grads:
            np.testing.assert_array_equal(grads[name], kept[name])
    assert all(parameters[name] is arrays[name] for name in arrays)  # Updated in place.


@settings(deadline=None)
@given(SEEDS, SHAPES, POSITIVE)
def test_sgd_equals_torch(seed, shapes, lr):
    follow_torch(lambda p: SGD(p, lr), lambda p: torch.optim.SGD(p, lr), seed, shapes)


@settings(deadline=None)
@given(SEEDS, SHAPES, POSITIVE, st.sampled_from([1e-10, 1e-8, 1e-2, 1.0]))
def test_adagrad_equals_torch(seed, shapes, lr, eps):
    follow_torch(
        lambda p: Adagrad(p, lr, eps=eps),
        lambda p: torch.optim.Adagrad(p, lr, eps=eps),
        seed,
        shapes,
    )


def test_adagrad_has_torchs_defaults():
    follow_torch(Adagrad, torch.optim.Adagrad, 4, [(2, 3), (3,)])


@settings(deadline=None)
@given(SEEDS, SHAPES, st.sampled_from([1e-8, 1e-2, 1.0]))
def test_eps_inside_is_the_form_of_min_char_rnn(seed, shapes, eps):
    rng = np.random.default_rng(seed)
    parameters = draw(rng, shapes)
    start, history = {k: p.copy() for k, p in parameters.items()}, []
    optimizer = Adagrad(parameters, lr=0.1, eps=eps, eps_inside=True)
    for _ in range(5):
        history.append(draw(rng, shapes))
        optimizer.step(history[-1])
    for name in parameters:
        g = np.stack([grads[name] for grads in history])
        steps = 0.1 * g / (np.cumsum(g**2, axis=0) + eps) ** 0.5
        expected = start[name] - steps.sum(axis=0)
        np.testing.assert_allclose(parameters[name], expected, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(optimizer.sums[name], (g**2).sum(axis=0), rtol=1e-12)


def test_the_two_places_of_eps_differ():
    parameters = {form: np.zeros(1) for form in ("inside", "outside")}
    for form, p in parameters.items():
        Adagrad({"p": p}, lr=1, eps=0.25, eps_inside=form == "inside").step({"p": np.ones(1)})
    assert parameters["outside"][0] == pytest.approx(-1 / 1.25)
    assert parameters["inside"][0] == pytest.approx(-1 / math.sqrt(1.25))


@pytest.mark.parametrize("optimizer", [SGD, Adagrad])
def test_float32_stays_float32(optimizer):
    parameters = {"p": np.ones(3, np.float32)}
    optimizer(parameters, np.float64(0.1)).step({"p": np.ones(3)})
    assert parameters["p"].dtype == np.float32
    np.testing.assert_allclose(parameters["p"], 0.9, rtol=1e-6)


def test_the_learning_rate_can_change_between_steps():
    parameters = {"p": np.zeros(1)}
    optimizer = SGD(parameters, lr=1)
    optimizer.step({"p": np.ones(1)})
    optimizer.lr = 0.5
    optimizer.step({"p": np.ones(1)})
    assert parameters["p"] == -1.5
    with pytest.raises(ValueError, match="lr: expected a finite number > 0, got 0"):
        optimizer.lr = 0


@pytest.mark.parametrize("optimizer", [SGD, Adagrad])
@pytest.mark.parametrize(
    ("grads", "error", "text"),
    [
        ({"a": np.ones(2)}, KeyError, r"grads: expected .*missing \['b'\], unknown \[\]"),
        (
            {"a": np.ones(2), "b": np.ones((2, 3)), "c": np.ones(1)},
            KeyError,
            r"missing \[\], unknown \['c'\]",
        ),
        (
            {"a": np.ones(2), "b": np.ones((3, 2))},
            ValueError,
            r"grads\['b'\]: expected shape \(2, 3\) \(the parameter's\), got \(3, 2\)",
        ),
        # Either would broadcast.
        ({"a": np.ones(2), "b": np.ones(3)}, ValueError, r"grads\['b'\]: .* got \(3,\)"),
        ({"a": np.ones(2), "b": 1.0}, ValueError, r"grads\['b'\]: .* got \(\)"),
        ({"a": np.ones(2), "b": np.ones((2, 3)) * 1j}, TypeError, r"grads\['b'\]: expected .*real"),
    ],
)
def test_wrong_grads_update_nothing(optimizer, grads, error, text):
    parameters = {"a": np.ones(2), "b": np.ones((2, 3))}
    optimizer = optimizer(parameters, lr=0.1)
    with pytest.raises(error, match=text):
        optimizer.step(grads)
    assert all((p == 1).all() for p in parameters.values())
    assert all((s == 0).all() for s in getattr(optimizer, "sums", {}).values())


@pytest.mark.parametrize("optimizer", [SGD, Adagrad])
@pytest.mark.parametrize("lr", [0, -1, math.inf, math.nan, "fast", None])
def test_learning_rates_that_are_none(optimizer, lr):
    with pytest.raises(ValueError, match="lr: expected a finite number > 0, got"):
        optimizer({"p": np.ones(1)}, lr=lr)


def test_constructor_errors():
    with pytest.raises(ValueError, match="eps: expected a finite number > 0, got 0"):
        Adagrad({"p": np.ones(1)}, eps=0)
    with pytest.raises(ValueError, match="parameters: expected at least one array, got none"):
        SGD({}, lr=1)
    with pytest.raises(
        TypeError, match=r"parameters\['p'\]: expected a writeable .* got dtype int"
    ):
        SGD({"p": np.ones(1, int)}, lr=1)
    with pytest.raises(TypeError, match=r"parameters\['p'\]: .* got list"):
        SGD({"p": [1.0]}, lr=1)
    fixed = np.ones(1)
    fixed.flags.writeable = False
    with pytest.raises(TypeError, match=r"parameters\['p'\]: .* got a read-only array"):
        SGD({"p": fixed}, lr=1)


# Clipping


def clip_both(ours, theirs, grads, limit):
    """Clip a copy with rnnlib and one with torch; compare and return what both returned."""
    mine, reference = {k: g.copy() for k, g in grads.items()}, tensors(grads)
    arrays = dict(mine)
    for t in reference.values():
        t.grad = t.clone()
    returned = ours(mine, limit), theirs(reference.values(), limit)
    assert_close(mine, {name: t.grad for name, t in reference.items()})
    assert all(mine[name] is arrays[name] for name in arrays)
    return returned


@settings(deadline=None)
@given(SEEDS, SHAPES, POSITIVE)
def test_clip_by_value_equals_torch(seed, shapes, limit):
    grads = draw(np.random.default_rng(seed), shapes)
    returned = clip_both(clip_grad_value_, torch.nn.utils.clip_grad_value_, grads, limit)
    assert returned == (None, None)


@settings(deadline=None)
@given(SEEDS, SHAPES, st.floats(1e-6, 1e6))
def test_clip_by_norm_equals_torch(seed, shapes, limit):
    grads = draw(np.random.default_rng(seed), shapes)
    total, expected = clip_both(clip_grad_norm_, torch.nn.utils.clip_grad_norm_, grads, limit)
    assert type(total) is float
    assert total == pytest.approx(float(expected), rel=1e-12)
    assert total == pytest.approx(math.sqrt(sum((g**2).sum() for g in grads.values())), rel=1e-12)


def test_small_gradients_are_left_alone_and_the_denominator_has_its_millionth():
    grads = {"a": np.array([3.0]), "b": np.array([4.0])}
    assert clip_grad_norm_(grads, 6) == 5
    assert (grads["a"], grads["b"]) == (3, 4)
    assert clip_grad_norm_(grads, math.inf) == 5
    assert (grads["a"], grads["b"]) == (3, 4)
    assert clip_grad_norm_(grads, 1) == 5
    assert grads["a"][0] == pytest.approx(3 / (5 + 1e-6), rel=1e-15)
    assert clip_grad_norm_({}, 1) == 0


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_non_finite_gradients_as_in_torch(bad):
    grads = {"a": np.array([1.0, bad, -2.0]), "b": np.array([[5.0]])}
    clip_both(clip_grad_value_, torch.nn.utils.clip_grad_value_, grads, 1.5)
    total, expected = clip_both(clip_grad_norm_, torch.nn.utils.clip_grad_norm_, grads, 1.5)
    np.testing.assert_equal(total, float(expected))
    assert not math.isfinite(total)
    kept = {name: g.copy() for name, g in grads.items()}
    with pytest.raises(RuntimeError, match=r"grads: expected a finite norm, got (inf|nan)"):
        clip_grad_norm_(grads, 1.5, error_if_nonfinite=True)
    np.testing.assert_equal(grads, kept)


@pytest.mark.parametrize(
    ("clip", "name"), [(clip_grad_value_, "clip_value"), (clip_grad_norm_, "max_norm")]
)
def test_clipping_errors_change_nothing(clip, name):
    grads = {"a": np.full(2, 9.0), "b": [9.0]}
    for limit in (0, -1, math.nan, "x"):
        with pytest.raises(ValueError, match=f"{name}: expected a number > 0, got"):
            clip(grads, limit)
    with pytest.raises(TypeError, match=r"grads\['b'\]: expected a writeable .* got list"):
        clip(grads, 1)
    assert (grads["a"] == 9).all()


def test_float32_gradients():
    grads = {"a": np.full(4, 1e30, np.float32)}  # Their squares are beyond float32.
    assert clip_grad_norm_(grads, 1) == pytest.approx(2e30)
    assert grads["a"].dtype == np.float32
    np.testing.assert_allclose(grads["a"], 0.5, rtol=1e-6)
