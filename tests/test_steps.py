"""The fast form of a block of steps against the plain one, which runs ``rnnlib.cells``."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlib.layers import column_cells, columns
from rnnlib.layers.grads import Grads
from rnnlib.layers.memory import Memory
from rnnlib.layers.plain import Plain
from rnnlib.layers.sweep import Sweep
from rnnlib.sequences import GRUSequence, LSTMSequence, RNNSequence

# name: (gates, number of states, plain form, fast form)
FORMS = {
    "rnn": (1, 1, lambda w: Plain(RNNSequence(w)), column_cells.ColumnsRNN),
    "relu": (
        1,
        1,
        lambda w: Plain(RNNSequence(w, "relu")),
        lambda w, m: column_cells.ColumnsRNN(w, m, "relu"),
    ),
    "sigmoid": (
        1,
        1,
        lambda w: Plain(RNNSequence(w, "sigmoid")),
        lambda w, m: column_cells.ColumnsRNN(w, m, "sigmoid"),
    ),
    "lstm": (4, 2, lambda w: Plain(LSTMSequence(w)), column_cells.ColumnsLSTM),
    "gru": (3, 1, lambda w: Plain(GRUSequence(w)), column_cells.ColumnsGRU),
}
SIZES = st.integers(1, 5)


def weights(rng, gates, I, H, bias):  # noqa: E741
    shapes = {"weight_ih": (gates * H, I), "weight_hh": (gates * H, H)}
    if bias:
        shapes |= {"bias_ih": (gates * H,), "bias_hh": (gates * H,)}
    return {name: 0.7 * rng.standard_normal(shape) for name, shape in shapes.items()}


def whole_run(steps, w, x, state, active, dy, d_state, checkpoint=None):
    """Everything a sweep gives, in a list."""
    sweep = Sweep(steps, checkpoint)
    y, ends = sweep.forward(x, state, active)
    grads = {name: np.full_like(p, np.nan) for name, p in w.items()}
    dx, d_start = sweep.backward(dy, d_state, grads)
    return [y, *ends, dx, *d_start, *grads.values()]


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(list(FORMS)),
    st.integers(0, 2**32),
    st.integers(1, 7),
    SIZES,
    SIZES,
    SIZES,
    st.booleans(),
    st.booleans(),
    st.sampled_from([1, 6, 512]),
)
def test_fast_equals_plain(name, seed, k, N, I, H, bias, ragged, together):  # noqa: E741
    gates, states, make_plain, make_fast = FORMS[name]
    rng = np.random.default_rng(seed)
    w = weights(rng, gates, I, H, bias)
    draw = rng.standard_normal
    x, dy = draw((k, N, I)), draw((k, N, H))
    state, d_state = (tuple(draw((N, H)) for _ in range(states)) for _ in range(2))
    active = sorted(rng.integers(1, N + 1, k).tolist(), reverse=True) if ragged else [N] * k
    given = w, x, state, active, dy, d_state
    expected = whole_run(make_plain(w), *given)
    memory = Memory(x.dtype)
    for checkpoint in (None, 1, 2, 3):
        # The memory is used again and again, with whatever stands in it.
        with mock.patch.object(columns, "COLUMNS", together):
            found = whole_run(make_fast(w, memory), *given, checkpoint)
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-11)
        found = whole_run(make_plain(w), *given, checkpoint)
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-11)


def test_memory_is_used_again_and_grows():
    memory = Memory(np.dtype("f4"))
    first = memory("a", 2, 3)
    assert np.shares_memory(first, memory("a", 6))
    assert np.shares_memory(first, memory("a", 1, 2))
    assert not np.shares_memory(first, memory("b", 2, 3))
    assert memory("a", 7).shape == (7,)
    assert first.dtype == np.float32


@pytest.mark.parametrize("rows", [1, 31, 32, 33, 200])
@pytest.mark.parametrize("columns_of_it", [1, 100, 128, 256])
def test_a_transpose_in_pieces_is_the_transpose(rows, columns_of_it):
    a = np.random.default_rng(0).standard_normal((2, rows, columns_of_it))
    out = np.full((2, columns_of_it, rows), np.nan)
    columns.transpose(out, a)
    np.testing.assert_array_equal(out, a.swapaxes(1, 2))


def test_grads_overwrite_first_and_add_then():
    arrays = {"w": np.full((2, 2), np.nan), "b": np.full(2, np.nan)}
    grads = Grads(arrays)
    eye = np.eye(2)
    for factor in (1, 2):
        grads.add("w", eye)
        grads.add("b", np.ones(2))
        np.testing.assert_array_equal(arrays["w"], factor * eye)
        np.testing.assert_array_equal(arrays["b"], factor * np.ones(2))


@pytest.mark.parametrize("T", [1, 7, 100])
@pytest.mark.parametrize("checkpoint", [None, 1, 3, 100, 1000])
def test_blocks_cover_all_steps_once(T, checkpoint):
    w = weights(np.random.default_rng(0), 1, 2, 3, True)
    sweep = Sweep(column_cells.ColumnsRNN(w, Memory(np.dtype("f8"))), checkpoint)
    y, _ = sweep.forward(np.ones((T, 2, 2)), (np.zeros((2, 3)),), [2] * T)
    covered = [t for block, _ in sweep.kept for t in range(T)[block]]
    assert covered == list(range(T))
    assert y.shape == (T, 2, 3)
