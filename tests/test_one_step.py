"""RNNCell, LSTMCell and GRUCell against torch's cells, alone and in a loop over time."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from recurrent_cases import randomize

import rnnlib
from rnnlib import GRU, GRUCell, LSTMCell, RNNCell
from rnnlib.gradcheck import check_layer

KINDS = pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
SIZES = st.integers(1, 5)


def pair(kind, seed, input_size=2, hidden_size=3, **options):
    """Return the rnnlib cell and torch's, with the same weights far from zero."""
    cell = getattr(rnnlib, kind)(input_size, hidden_size, **options)
    randomize(cell, seed)
    module = getattr(torch.nn, kind)(input_size, hidden_size, dtype=torch.float64, **options)
    assert list(cell.parameters) == list(module.state_dict())
    module.load_state_dict({k: torch.tensor(p) for k, p in cell.parameters.items()})
    return cell, module


def as_tuple(states):
    return states if isinstance(states, tuple) else (states,)


def as_hx(states):
    return tuple(states) if len(states) > 1 else states[0]


@settings(deadline=None, max_examples=100)
@given(
    st.sampled_from(["RNNCell", "LSTMCell", "GRUCell"]),
    st.integers(0, 2**32),
    SIZES,
    SIZES,
    SIZES,
    SIZES,
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["tanh", "relu"]),
)
def test_a_loop_equals_torch(kind, seed, T, N, I, H, bias, batched, with_hx, f):  # noqa: E741
    options = {"bias": bias} | ({"nonlinearity": f} if kind == "RNNCell" else {})
    cell, module = pair(kind, seed, I, H, **options)
    rng = np.random.default_rng(seed)
    lead = (N,) if batched else ()
    x = rng.standard_normal((T, *lead, I))
    starts = [rng.standard_normal((*lead, H)) for _ in cell.states] if with_hx else None
    d_states = [[rng.standard_normal((*lead, H)) for _ in cell.states] for _ in range(T)]

    t_x = torch.tensor(x, requires_grad=True)
    t_starts = [torch.tensor(s, requires_grad=True) for s in starts or ()]
    state, t_state = (as_hx(starts), as_hx(t_starts)) if starts else (None, None)
    roots, seeds = [], []
    for t in range(T):
        state, t_state = cell(x[t], state), module(t_x[t], t_state)
        for ours, theirs in zip(as_tuple(state), as_tuple(t_state), strict=True):
            np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-10, atol=1e-10)
        roots += as_tuple(t_state)
        seeds += [torch.tensor(d) for d in d_states[t]]
    torch.autograd.backward(roots, seeds)

    carried = [0] * len(cell.states)
    for t in reversed(range(T)):
        whole = [d + c for d, c in zip(d_states[t], carried, strict=True)]
        dx, carried = cell.backward(as_hx(whole))
        carried = as_tuple(carried)
        np.testing.assert_allclose(dx, t_x.grad[t].numpy(), rtol=1e-10, atol=1e-10)
    for ours, theirs in zip(carried, t_starts, strict=False):
        assert ours.shape == theirs.grad.shape
        np.testing.assert_allclose(ours, theirs.grad.numpy(), rtol=1e-10, atol=1e-10)
    for name, p in module.named_parameters():
        np.testing.assert_allclose(
            cell.grads[name], p.grad.numpy(), rtol=1e-10, atol=1e-10, err_msg=name
        )


def test_reset_before_equals_the_layer():
    rng = np.random.default_rng(0)
    cell, layer = GRUCell(2, 3, reset_after=False), GRU(2, 3, reset_after=False)
    randomize(cell, 1)
    layer.load_state_dict({f"{name}_l0": p for name, p in cell.parameters.items()})
    x, h, d = rng.normal(size=(4, 2)), rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    output, _ = layer(x[None], h[None])
    d_x, d_h = layer.backward(d[None])
    np.testing.assert_allclose(cell(x, h), output[0], rtol=1e-12)
    dx, dh = cell.backward(d)
    np.testing.assert_allclose(dx, d_x[0], rtol=1e-12)
    np.testing.assert_allclose(dh, d_h[0], rtol=1e-12)
    for name, g in cell.grads.items():
        np.testing.assert_allclose(g, layer.grads[f"{name}_l0"], rtol=1e-12)


@KINDS
def test_grads_add_up_within_one_way_back_and_start_anew_after_a_call(kind):
    cell, _ = pair(kind, 0)
    x, ones = np.random.default_rng(1).normal(size=(4, 2)), np.ones((4, 3))
    d = as_hx([ones] * len(cell.states))
    state = cell(x)
    cell.backward(d)
    once = {name: g.copy() for name, g in cell.grads.items()}
    cell(x)
    cell(x, state)
    cell.backward(d)
    assert any((cell.grads[name] != once[name]).any() for name in once)
    cell.backward(d)
    cell(x)
    cell.backward(d)
    for name, g in once.items():
        np.testing.assert_array_equal(cell.grads[name], g)


@KINDS
def test_a_call_after_a_backward_forgets_what_was_left(kind):
    cell, _ = pair(kind, 0)
    x, d = np.ones((4, 2)), as_hx([np.ones((4, 3))] * len(pair(kind, 0)[0].states))
    for _ in range(3):
        cell(x)
    cell.backward(d)
    cell(x)
    cell.backward(d)
    with pytest.raises(RuntimeError, match=r"^backward: expected a forward call before it"):
        cell.backward(d)


@KINDS
def test_nothing_is_remembered_in_eval_or_after_forget(kind):
    cell, _ = pair(kind, 0)
    d = as_hx([np.ones((4, 3))] * len(cell.states))
    cell.eval()(np.ones((4, 2)))
    with pytest.raises(RuntimeError, match=r"^backward: expected a forward call"):
        cell.backward(d)
    cell.train()(np.ones((4, 2)))
    cell.forget()
    with pytest.raises(RuntimeError, match=r"^backward: expected a forward call"):
        cell.backward(d)


@KINDS
def test_a_caller_may_write_into_states(kind):
    cell, _ = pair(kind, 0)
    rng = np.random.default_rng(2)
    x, hx = rng.normal(size=(4, 2)), [rng.normal(size=(4, 3)) for _ in cell.states]
    d = as_hx([rng.normal(size=(4, 3)) for _ in cell.states])
    cell(x, as_hx(hx))
    expected = cell.backward(d)[0]
    new = cell(x, as_hx(hx))
    for a in [*hx, *as_tuple(new)]:
        a[...] = np.nan
    np.testing.assert_array_equal(cell.backward(d)[0], expected)


@KINDS
def test_one_buffer_may_serve_all_inputs(kind):
    cell, _ = pair(kind, 0)
    x = np.random.default_rng(3).normal(size=(3, 4, 2))
    grads = []
    for buffer in (None, np.empty((4, 2))):
        state = None
        for x_t in x:
            if buffer is not None:
                buffer[...] = x_t
            state = cell(x_t if buffer is None else buffer, state)
        for _ in x:
            cell.backward(as_hx([np.ones((4, 3))] * len(cell.states)))
        grads.append({name: g.copy() for name, g in cell.grads.items()})
    for name, g in grads[0].items():
        np.testing.assert_array_equal(grads[1][name], g)


@KINDS
def test_a_call_in_eval_between_two_steps_back_changes_nothing(kind):
    cell, _ = pair(kind, 0)
    x, d = np.ones((4, 2)), as_hx([np.ones((4, 3))] * len(cell.states))
    cell(x, cell(x))
    cell.backward(d)
    cell.eval()(x)
    cell.train().backward(d)


@KINDS
def test_check_layer_takes_cells_and_leaves_them_clean(kind):
    cell, _ = pair(kind, 0)
    rng = np.random.default_rng(4)
    hx = as_hx([rng.normal(size=(4, 3)) for _ in cell.states])
    for state, zero in ((hx, ()), (None, ["weight_hh"])):
        report = check_layer(cell, rng.normal(size=(4, 2)), state, allow_zero=zero)
        assert report, report
    with pytest.raises(RuntimeError, match=r"^backward: expected a forward call"):
        cell.backward(hx)


@KINDS
def test_a_copy_remembers_no_calls(kind):
    cell, _ = pair(kind, 0)
    cell(np.ones((4, 2)))
    with pytest.raises(RuntimeError, match=r"^backward: expected a forward call"):
        copy.deepcopy(cell).backward(as_hx([np.ones((4, 3))] * len(cell.states)))


def test_no_gradient_is_not_a_zero_gradient():
    cell, _ = pair("GRUCell", 0)
    cell(np.ones((4, 2)))
    with pytest.raises(TypeError, match=r"^d_state: expected the gradient of the state, got None"):
        cell.backward(None)


@KINDS
def test_float32_stays_float32(kind):
    cell = getattr(rnnlib, kind)(2, 3, dtype=np.float32)
    new = as_tuple(cell(np.ones((4, 2))))
    dx, before = cell.backward(as_hx([np.ones((4, 3))] * len(cell.states)))
    found = [*new, dx, *as_tuple(before), *cell.grads.values()]
    assert {a.dtype for a in found} == {np.dtype(np.float32)}


ERRORS = {
    "last axis": (RNNCell, (np.zeros((4, 3)),), ValueError, r"input: .* \(4, 2\) \(input_size"),
    "axes": (RNNCell, (np.zeros((1, 4, 2)),), ValueError, "input: expected 1 axis"),
    "state": (RNNCell, (np.zeros((4, 2)), np.zeros((5, 3))), ValueError,
              r"hx: expected shape \(4, 3\) \(h\), got \(5, 3\)"),
    "pair": (LSTMCell, (np.zeros((4, 2)), np.zeros((4, 3))), TypeError,
             r"hx: expected a pair \(h, c\), got ndarray"),
    "cell": (LSTMCell, (np.zeros((4, 2)), (np.zeros((4, 3)), np.zeros((4, 2)))), ValueError,
             r"hx\[1\]: expected shape \(4, 3\) \(c\)"),
    "one example": (GRUCell, (np.zeros(2), np.zeros((1, 3))), ValueError,
                    r"hx: expected shape \(3,\) \(h\)"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "given", "error", "text"), ERRORS.values(), ids=ERRORS)
def test_wrong_calls(make, given, error, text):
    with pytest.raises(error, match=f"^{text}"):
        make(2, 3)(*given)


@KINDS
@pytest.mark.parametrize("sizes", [(0, 3), (2, 0), (2.0, 3)])
def test_wrong_sizes(kind, sizes):
    with pytest.raises((ValueError, TypeError), match=r"^(input|hidden)_size: expected"):
        getattr(rnnlib, kind)(*sizes)


def test_a_wrong_backward_keeps_the_call():
    cell, _ = pair("LSTMCell", 0)
    cell(np.ones((4, 2)))
    with pytest.raises(TypeError, match=r"^d_state: expected a pair \(h, c\)"):
        cell.backward(np.ones((4, 3)))
    cell.backward((np.ones((4, 3)), np.ones((4, 3))))
