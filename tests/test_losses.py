"""Softmax cross-entropy against torch, at extreme logits, and by its own laws."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlib.gradcheck import gradcheck
from rnnlib.losses import log_softmax, softmax, softmax_cross_entropy

SEEDS = st.integers(0, 2**32)
LEADS = st.lists(st.integers(1, 4), max_size=3).map(tuple)
REDUCTIONS = ["mean", "sum"]


def draw(seed, lead, V, scale=1.0):
    rng = np.random.default_rng(seed)
    return scale * rng.standard_normal((*lead, V)), rng.integers(0, V, lead)


def by_torch(logits, targets, reduction):
    """Return torch's loss and gradient as NumPy arrays."""
    V = logits.shape[-1]
    z = torch.tensor(logits, requires_grad=True)
    loss = torch.nn.functional.cross_entropy(
        z.reshape(-1, V), torch.tensor(targets).reshape(-1), reduction=reduction
    )
    loss.backward()
    return loss.detach().numpy(), z.grad.numpy()


def assert_equals_torch(logits, targets, reduction):
    expected = by_torch(logits, targets, reduction)
    for ours, theirs in zip(
        softmax_cross_entropy(logits, targets, reduction), expected, strict=True
    ):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


@settings(deadline=None)
@given(SEEDS, LEADS, st.integers(1, 6), st.floats(0.01, 100), st.sampled_from(REDUCTIONS))
def test_equals_torch(seed, lead, V, scale, reduction):
    assert_equals_torch(*draw(seed, lead, V, scale), reduction)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("lead", [(), (1,), (5,), (7, 3), (2, 3, 4)])
def test_equals_torch_in_the_named_shapes(lead, reduction):
    assert_equals_torch(*draw(1, lead, 5), reduction)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_numpy_and_torch_give_the_same_numbers(device, reduction):
    logits, targets = draw(2, (4, 3), 5)
    tensors = torch.tensor(logits, device=device), torch.tensor(targets, device=device)
    theirs = softmax_cross_entropy(*tensors, reduction)
    assert all(isinstance(t, torch.Tensor) and t.device.type == device for t in theirs)
    for a, b in zip(softmax_cross_entropy(logits, targets, reduction), theirs, strict=True):
        np.testing.assert_allclose(a, b.cpu().numpy(), rtol=1e-12, atol=1e-14)


def test_the_default_is_the_mean():
    logits, targets = draw(3, (6,), 4)
    mean, d_mean = softmax_cross_entropy(logits, targets)
    total, d_total = softmax_cross_entropy(logits, targets, "sum")
    np.testing.assert_allclose([mean * 6, *(d_mean * 6).flat], [total, *d_total.flat], rtol=1e-13)


def test_known_values():
    loss, d_logits = softmax_cross_entropy(np.zeros((2, 4)), np.array([0, 3]))
    np.testing.assert_allclose(loss, np.log(4), rtol=1e-15)
    expected = [[-3 / 8, 1 / 8, 1 / 8, 1 / 8], [1 / 8, 1 / 8, 1 / 8, -3 / 8]]
    np.testing.assert_allclose(d_logits, expected, rtol=1e-15)


@pytest.mark.parametrize("convert", [np.asarray, torch.tensor], ids=["numpy", "torch"])
def test_extreme_logits_stay_finite(convert):
    """pyproject turns warnings into errors: an overflow would show."""
    logits = np.array([[1e4, -1e4, 0.0], [1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [1e4, 1e4, 1e4]])
    targets = np.array([0, 1, 2, 0])
    loss, d_logits = softmax_cross_entropy(convert(logits), convert(targets), "sum")
    third = 1 / 3
    np.testing.assert_allclose(float(loss), 2e4 + 2 * np.log(3), rtol=1e-14)
    expected = [
        [0, 0, 0],
        [1, -1, 0],
        [third, third, third - 1],
        [third - 1, third, third],
    ]
    np.testing.assert_allclose(np.asarray(d_logits), expected, atol=1e-12)


def test_a_class_that_is_ruled_out_costs_nothing_unless_it_is_the_target():
    logits = np.array([[0.0, -np.inf, 0.0]])
    loss, d_logits = softmax_cross_entropy(logits, np.array([2]))
    np.testing.assert_allclose(loss, np.log(2), rtol=1e-15)
    np.testing.assert_allclose(d_logits, [[0.5, 0, -0.5]], rtol=1e-15)
    assert softmax_cross_entropy(logits, np.array([1]))[0] == np.inf


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("lead", [(), (4,), (3, 2)])
def test_the_gradient_passes_the_check(lead, reduction):
    logits, targets = draw(4, lead, 5)
    _, d_logits = softmax_cross_entropy(logits, targets, reduction)
    report = gradcheck(
        lambda a: softmax_cross_entropy(a["logits"], targets, reduction)[0],
        {"logits": logits},
        {"logits": d_logits},
    )
    assert report, report
    assert len(report.entries) == logits.size


@settings(deadline=None)
@given(SEEDS, LEADS, st.integers(1, 6), st.floats(0.01, 1e4), st.sampled_from(REDUCTIONS))
def test_laws(seed, lead, V, scale, reduction):
    logits, targets = draw(seed, lead, V, scale)
    loss, d_logits = softmax_cross_entropy(logits, targets, reduction)
    # The probabilities of a row sum to one, and so does its one-hot target.
    np.testing.assert_allclose(d_logits.sum(-1), np.zeros(lead), atol=1e-13)
    assert loss >= 0
    assert np.abs(d_logits).max() <= 1
    chosen = np.take_along_axis(d_logits, targets[..., None], -1)
    assert (chosen <= 0).all()
    # A constant added to a row changes nothing.
    shift = scale * np.random.default_rng(seed).standard_normal((*lead, 1))
    moved, d_moved = softmax_cross_entropy(logits + shift, targets, reduction)
    count = targets.size if reduction == "sum" else 1
    np.testing.assert_allclose(moved, loss, rtol=1e-10, atol=1e-15 * scale * 10 * count)
    np.testing.assert_allclose(d_moved, d_logits, atol=1e-14 * (1 + scale))


@settings(deadline=None, max_examples=40)
@given(SEEDS, LEADS, st.integers(1, 6), st.floats(0.01, 1e4))
def test_softmax_and_its_logarithm(seed, lead, V, scale):
    logits, _ = draw(seed, lead, V, scale)
    t = torch.tensor(logits)
    tolerance = {"rtol": 1e-10, "atol": 1e-14}
    np.testing.assert_allclose(softmax(logits), torch.softmax(t, -1).numpy(), **tolerance)
    np.testing.assert_allclose(log_softmax(logits), torch.log_softmax(t, -1).numpy(), **tolerance)
    np.testing.assert_allclose(softmax(logits).sum(-1), np.ones(lead), rtol=1e-13)


def test_float32_stays_float32():
    logits, targets = draw(6, (3, 2), 4)
    loss, d_logits = softmax_cross_entropy(logits.astype(np.float32), targets)
    assert loss.dtype == d_logits.dtype == np.float32
    np.testing.assert_allclose(loss, by_torch(logits, targets, "mean")[0], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.uint64])
def test_any_integer_type_will_do(dtype):
    logits, targets = draw(7, (5,), 200)
    targets = targets % 100
    for a, b in zip(
        softmax_cross_entropy(logits, targets.astype(dtype)),
        softmax_cross_entropy(logits, targets),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_the_arguments_are_not_changed():
    logits, targets = draw(8, (3,), 4)
    copies = logits.copy(), targets.copy()
    _, d_logits = softmax_cross_entropy(logits, targets)
    d_logits[...] = np.nan
    np.testing.assert_array_equal(logits, copies[0])
    np.testing.assert_array_equal(targets, copies[1])


@pytest.mark.parametrize("convert", [np.asarray, torch.tensor], ids=["numpy", "torch"])
@pytest.mark.parametrize(
    ("shape", "targets", "error", "message"),
    [
        ((2, 3), [0, 3], ValueError, "expected classes from 0 to 2, got 3"),
        ((2, 3), [-1, 0], ValueError, "expected classes from 0 to 2, got -1"),
        ((3,), 7, ValueError, "expected classes from 0 to 2, got 7"),
        ((2, 3), [0.0, 1.0], TypeError, "expected integers, got dtype .*float"),
        ((2, 3), [True, False], TypeError, "expected integers, got dtype .*bool"),
        ((2, 3), [0, 1, 2], ValueError, r"expected shape \(2,\) .*, got \(3,\)"),
        ((2, 3), [[0], [1]], ValueError, r"expected shape \(2,\) .*, got \(2, 1\)"),
        ((2, 3), 0, ValueError, r"expected shape \(2,\) .*, got \(\)"),
        ((4, 2, 3), [[0, 1]] * 2, ValueError, r"expected shape \(4, 2\) .*, got \(2, 2\)"),
        ((), 0, ValueError, "expected shape"),
    ],
)
def test_targets_that_do_not_fit(convert, shape, targets, error, message):
    with pytest.raises(error, match=f"^targets: {message}"):
        softmax_cross_entropy(convert(np.zeros(shape)), convert(np.array(targets)))


def test_unknown_reduction():
    with pytest.raises(ValueError, match=r"^reduction: expected one of 'mean', 'sum', got 'none'"):
        softmax_cross_entropy(np.zeros((2, 3)), np.array([0, 1]), "none")
