"""The initialisers: what they promise, torch's own beside them, and what they refuse."""

import numpy as np
import pytest
import torch
from planted_init import check

from rnnlib import LSTM, init


@pytest.mark.parametrize("name", ["orthogonal", "uniform", "eye"])
def test_what_they_promise(name):
    assert check(name)


@pytest.mark.parametrize("shape", [(3, 3), (2, 5), (5, 2)])
def test_the_identity_is_torchs(shape):
    expected = torch.nn.init.eye_(torch.empty(shape)).numpy()
    np.testing.assert_array_equal(init.eye_(np.full(shape, np.nan)), expected)
    np.testing.assert_array_equal(init.eye_(np.full(shape, np.nan), -0.5), -0.5 * expected)


@pytest.mark.parametrize("fill", [init.orthogonal_, init.eye_])
def test_they_fill_views_in_place_and_keep_the_dtype(fill):
    packed = np.ones((8, 2), np.float32)
    part = packed[2:4]
    assert fill(part) is part
    assert packed.dtype == np.float32
    np.testing.assert_allclose(packed[2:4] @ packed[2:4].T, np.eye(2), atol=1e-6)
    assert (packed[:2] == 1).all()
    assert (packed[4:] == 1).all()


def test_a_layer_takes_them():
    layer = LSTM(2, 3, rng=0)
    for block in np.split(layer.parameters["weight_hh_l0"], 4):
        init.orthogonal_(block, rng=1)
    weight = layer.state_dict()["weight_hh_l0"]
    np.testing.assert_allclose(weight.T @ weight, 4 * np.eye(3), atol=1e-12)


def test_a_seed_repeats_and_a_generator_goes_on():
    first, again = (init.orthogonal_(np.empty((3, 3)), rng=7) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    rng = np.random.default_rng(7)
    np.testing.assert_array_equal(init.orthogonal_(np.empty((3, 3)), rng=rng), first)
    assert not np.allclose(init.orthogonal_(np.empty((3, 3)), rng=rng), first)


@pytest.mark.parametrize("fill", [init.orthogonal_, init.eye_])
@pytest.mark.parametrize(
    ("array", "gain", "error", "message"),
    [
        (np.empty(3), 1.0, ValueError, r"array: expected two axes, got shape \(3,\)"),
        (np.empty((2, 2, 2)), 1.0, ValueError, r"array: expected two axes"),
        (np.empty((2, 2), int), 1.0, TypeError, r"array: expected a writeable .* got dtype int"),
        ([[1.0]], 1.0, TypeError, r"array: expected a writeable .* got list"),
        (np.broadcast_to(1.0, (2, 2)), 1.0, TypeError, r"array: .* got a read-only array"),
        (np.empty((2, 2)), np.nan, ValueError, r"gain: expected a finite number, got nan"),
        (np.empty((2, 2)), "2", ValueError, r"gain: expected a finite number, got '2'"),
    ],
)
def test_what_is_refused(fill, array, gain, error, message):
    before = np.array(array, copy=True)
    with pytest.raises(error, match=message):
        fill(array, gain)
    np.testing.assert_array_equal(array, before)


def test_orthogonal_refuses_an_empty_matrix_and_a_wrong_seed():
    with pytest.raises(ValueError, match=r"array: expected at least one entry, got shape \(0, 3\)"):
        init.orthogonal_(np.empty((0, 3)))
    with pytest.raises(TypeError, match=r"rng: expected a seed or a NumPy Generator"):
        init.orthogonal_(np.empty((2, 2)), rng="x")
