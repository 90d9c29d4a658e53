"""Perplexity, bits and accuracy: known values, laws, and errors."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rnnlib import softmax_cross_entropy
from rnnlib.metrics import accuracy, bits, perplexity


def test_a_uniform_guess_has_the_perplexity_of_its_size():
    loss, _ = softmax_cross_entropy(np.zeros((3, 8)), np.array([0, 5, 7]))
    assert perplexity(loss) == pytest.approx(8, rel=1e-14)
    assert bits(loss) == pytest.approx(3, rel=1e-14)


@given(st.floats(0, 600))
def test_the_two_say_the_same(nats):
    assert 2 ** bits(nats) == pytest.approx(perplexity(nats), rel=1e-11)
    assert isinstance(perplexity(nats), float)
    assert isinstance(bits(nats), float)


@pytest.mark.parametrize("value", [0, 0.0, np.float32(0), np.array(0.0), torch.tensor(0.0)])
def test_nothing_left_to_guess(value):
    assert perplexity(value) == 1.0
    assert bits(value) == 0.0
    assert type(perplexity(value)) is type(bits(value)) is float


def test_arrays():
    np.testing.assert_allclose(perplexity([[0.0, math.log(3)]]), [[1, 3]], rtol=1e-14)
    np.testing.assert_allclose(bits([[0.0, math.log(8)]]), [[0, 3]], rtol=1e-14)


def test_too_large_for_a_float():
    """No warning: pyproject makes errors of them."""
    assert perplexity(1e4) == math.inf
    assert perplexity(math.inf) == bits(math.inf) == math.inf


@pytest.mark.parametrize("measure", [perplexity, bits])
@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (math.nan, ValueError, "mean_nll: expected nats >= 0, got nan"),
        (-0.1, ValueError, "mean_nll: expected nats >= 0, got -0.1"),
        ([1.0, math.nan], ValueError, "mean_nll: expected nats >= 0, got nan"),
        ("2", TypeError, "mean_nll: expected an array of real numbers"),
        (None, TypeError, "mean_nll: expected an array of real numbers"),
    ],
)
def test_what_is_no_loss(measure, value, error, message):
    with pytest.raises(error, match=message):
        measure(value)


LOGITS = np.array([[0.1, 0.9, 0.3], [2.0, -1.0, 0.0], [5.0, 5.0, 5.0], [-3.0, -2.0, -1.0]])


@pytest.mark.parametrize(
    ("targets", "mask", "expected"),
    [
        ([1, 0, 0, 2], None, 1),
        ([1, 0, 1, 1], None, 0.5),  # Of equals the first.
        ([0, 1, 2, 0], None, 0),
        ([1, 1, 0, 1], [1, 1, 0, 0], 0.5),
        ([1, 1, 0, 1], [True, False, True, True], 2 / 3),
        ([1, 9, 0, -1], [1, 0, 1, 0], 1),  # What does not count may not exist.
    ],
)
def test_accuracy(device, targets, mask, expected):
    assert accuracy(LOGITS, np.array(targets), mask) == expected
    tensors = torch.tensor(LOGITS, device=device), torch.tensor(targets, device=device)
    assert accuracy(*tensors, mask) == expected
    assert type(accuracy(LOGITS, np.array(targets), mask)) is float


def test_accuracy_in_more_axes():
    logits, targets = LOGITS.reshape(2, 2, 3), np.array([[1, 0], [1, 1]])
    assert accuracy(logits, targets) == 0.5
    assert accuracy(logits, targets, np.array([[1, 0], [1, 1]])) == 1 / 3
    assert accuracy(np.array([0.0, 1.0]), np.array(1)) == 1.0


def test_where_nothing_counts_there_may_be_no_numbers():
    logits = LOGITS.copy()
    logits[1] = np.nan
    assert accuracy(logits, np.array([1, 0, 0, 2]), [1, 0, 1, 1]) == 1
    with pytest.raises(ValueError, match="logits: expected numbers, got nan"):
        accuracy(logits, np.array([1, 0, 0, 2]), [1, 1, 1, 1])


@pytest.mark.parametrize(
    ("logits", "targets", "mask", "error", "message"),
    [
        (LOGITS, [0, 1, 2, 3], None, ValueError, "targets: expected classes from 0 to 2, got 3"),
        (LOGITS, [0, 1, 2, -1], None, ValueError, "targets: expected classes from 0 to 2, got -1"),
        (LOGITS, [0, 1, 2], None, ValueError, r"targets: expected shape \(4,\)"),
        (LOGITS, [0.0, 1.0, 2.0, 0.0], None, TypeError, "targets: expected integers"),
        (LOGITS.astype(int), [0, 1, 2, 0], None, TypeError, "logits: expected floating-point"),
        (LOGITS, [0, 1, 2, 0], [1, 0], ValueError, "mask: expected shape"),
        (LOGITS, [0, 1, 2, 0], [1, 0, 2, 0], ValueError, "mask: expected only 0 and 1, got 2"),
        (LOGITS, [0, 1, 2, 0], [0, 0, 0, 0], ValueError, "mask: expected at least one target"),
        (LOGITS[:0], [], None, ValueError, "mask: expected at least one target"),
    ],
)
def test_accuracy_names_a_bad_argument(logits, targets, mask, error, message):
    targets = np.array(targets, dtype=np.int64) if not targets else np.array(targets)
    with pytest.raises(error, match=message):
        accuracy(logits, targets, mask)
