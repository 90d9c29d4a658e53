"""Truncated backpropagation through time against autograd with the graph cut behind each loss."""

import numpy as np
import planted_truncated
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_cells import STEPS
from planted_layers import FORMS
from planted_truncated import found, oracle
from recurrent_cases import Case, assert_equal, cases, run

from rnnlib import GRU, LSTM, RNN, text
from rnnlib.sequences import LSTMSequence
from rnnlib.truncated import Pass, Window, bptt, truncated, windows

T = 7


@pytest.mark.parametrize("tau", [1, 4, 5, T, T + 3])
@pytest.mark.parametrize("name", FORMS)
def test_it_equals_autograd_cut_behind_each_loss(name, tau):
    kind, more, fixed = FORMS[name]
    case = Case(kind, seed=11, T=T, N=2, input_size=3, hidden_size=4, **fixed)
    layer = case.layer(**more)
    assert_equal(found(case, layer, tau), oracle(case, layer, STEPS[name], tau))


@settings(deadline=None, max_examples=30)
@given(
    cases(with_hx=True, with_d_state=True, bidirectional=False, batch_first=False, batched=True),
    st.integers(1, 6),
)
def test_stacks_and_lengths_equal_autograd(case, tau):
    layer = case.layer()
    name = case.nonlinearity if case.kind == "RNN" else case.kind.lower()
    step = STEPS[name]
    if not case.bias:
        step = without_bias(step)
    assert_equal(found(case, layer, tau), oracle(case, layer, step, tau))


def without_bias(step):
    return lambda w, *rest: step({**w, "bias_hh": torch.zeros(len(w["weight_hh"]))}, *rest)


@settings(deadline=None, max_examples=30)
@given(cases(bidirectional=False))
def test_from_tau_T_on_it_is_the_layers_own_backward(case):
    layer = case.layer()
    x, hx, d_output, d_state = case.arrays()
    given = case.laid_out(d_output), case.as_hx(hx), case.as_hx(d_state), case.lengths()
    d_output, hx, d_state, lengths = given
    x = case.laid_out(x)
    d_input, d_start = bptt(layer, x, d_output, case.T, hx, d_state, lengths)
    grads = {name: g.copy() for name, g in layer.grads.items()}
    layer(x, hx, lengths)
    ours = d_start if isinstance(d_start, tuple) else (d_start,)
    d_input_full, d_start = layer.backward(d_output, d_state)
    theirs = d_start if isinstance(d_start, tuple) else (d_start,)
    assert_equal({"x": d_input}, {"x": d_input_full})
    assert_equal(grads, layer.grads)
    assert_equal(dict(enumerate(ours)), dict(enumerate(theirs)))


def wildml(layer, x, d_output, tau):
    """The gradient of W_hh by a loop over the losses, as WildML's, with tau copies a loss."""
    h, _ = layer(x)
    before = np.concatenate([np.zeros_like(h[:1]), h[:-1]])
    W, dW, steps = layer.parameters["weight_hh_l0"], 0, 0
    for t in range(len(x)):
        g = d_output[t]
        for s in reversed(range(max(0, t - tau + 1), t + 1)):
            da = g * (1 - h[s] ** 2)
            dW = dW + np.outer(da, before[s])
            g, steps = da @ W, steps + 1
    return dW, steps


@pytest.mark.parametrize("tau", [1, 2, 5, T])
def test_the_loop_over_losses_gives_the_same(tau):
    case = Case("RNN", seed=12, T=T, batched=False)
    layer = case.layer()
    x, _, d_output, _ = (
        case.laid_out(a) if isinstance(a, np.ndarray) else a for a in case.arrays()
    )
    dW, steps = wildml(layer, x, d_output, tau)
    bptt(layer, x, d_output, tau)
    np.testing.assert_allclose(layer.grads["weight_hh_l0"], dW, rtol=1e-12, atol=1e-12)
    assert steps == sum(min(tau, t) for t in range(1, T + 1))


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_differences_of_the_full_loss_find_it_wrong_until_tau_is_T(kind):
    case = Case(kind, seed=13, T=T, hidden_size=3)
    layer = case.layer()
    x, hx, d_output, _ = case.arrays()
    p = layer.parameters["weight_hh_l0"]

    def loss():
        return np.sum(layer(x, case.as_hx(hx))[0] * d_output)

    full, eps = np.zeros_like(p), 1e-5
    for place in np.ndindex(p.shape):
        kept = p[place]
        p[place] = kept + eps
        above = loss()
        p[place] = kept - eps
        full[place] = (above - loss()) / (2 * eps)
        p[place] = kept
    gaps = []
    for tau in (1, 3, T - 1, T):
        bptt(layer, x, d_output, tau, case.as_hx(hx))
        gap = np.linalg.norm(layer.grads["weight_hh_l0"] - full) / np.linalg.norm(full)
        gaps.append(gap)
    assert gaps[0] > 0.1
    assert gaps[1] > 0.01
    assert gaps[2] > 1e-4  # One path of the last loss is missing.
    assert gaps[3] < 1e-7


def test_the_layers_own_backward_is_left_alone():
    case = Case("LSTM", seed=14)
    layer = case.layer()
    expected = run(case, layer)
    x, _, d_output, d_state = case.arrays()
    bptt(layer, 2 * x, d_output, tau=2)
    d_input, _ = layer.backward(d_output, case.as_hx(d_state))
    np.testing.assert_array_equal(d_input, expected["d_input"])


def test_it_keeps_the_type_and_leaves_its_arguments_alone():
    layer, rng = LSTM(3, 4, num_layers=2, dtype=np.float32, rng=0), np.random.default_rng(0)
    x, d_output = rng.standard_normal((2, 5, 2, 3))[..., :3], rng.standard_normal((5, 2, 4))
    copies = x[0].copy(), d_output.copy(), layer.state_dict()
    d_input, d_starts = bptt(layer, x[0], d_output, tau=3)
    assert {a.dtype for a in (d_input, *d_starts, *layer.grads.values())} == {np.dtype("f4")}
    np.testing.assert_array_equal(x[0], copies[0])
    np.testing.assert_array_equal(d_output, copies[1])
    for name, p in layer.parameters.items():
        np.testing.assert_array_equal(p, copies[2][name])


@pytest.mark.parametrize("N", [0, 1])
def test_one_step_and_an_empty_batch(N):
    layer = GRU(2, 3, rng=0)
    x, d_output = np.ones((1, N, 2)), np.ones((1, N, 3))
    d_input, d_h_0 = bptt(layer, x, d_output, tau=1)
    layer(x)
    expected = layer.backward(d_output)
    np.testing.assert_allclose(d_input, expected[0])
    np.testing.assert_allclose(d_h_0, expected[1])


def test_the_rounds_serve_torch_too():
    case = Case("LSTM", seed=15, T=T)
    layer = case.layer()
    x, hx, d_output, d_state = case.arrays()
    expected = found(case, layer, 3)
    names = {n: n.removesuffix("_l0") for n in layer.parameters}
    weights = {names[n]: torch.tensor(p) for n, p in layer.parameters.items()}
    rows = torch.tensor(x).reshape(-1, x.shape[-1])
    start, d_end = (tuple(torch.tensor(s[0]) for s in states) for states in (hx, d_state))
    way = Pass(LSTMSequence(weights), rows, start, [case.N] * T)
    dy = torch.tensor(d_output).reshape(T * case.N, -1)
    (d_start,), (gradients,) = truncated([way], dy, [d_end], 3)
    ours = {f"d {n}": gradients[names[n]]().numpy() for n in names}
    ours |= {f"d_{s}_0": d.numpy()[None] for s, d in zip("hc", d_start, strict=True)}
    ours["d_input"] = gradients["x"]().numpy().reshape(x.shape)
    assert_equal(ours, expected)


LAYER = RNN(2, 3, rng=0)
INPUT, D_OUTPUT = np.ones((4, 1, 2)), np.ones((4, 1, 3))


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"tau": 0}, ValueError, "tau: expected at least 1, got 0"),
        ({"tau": 1.5}, TypeError, "tau: expected an integer, got 1.5"),
        ({"layer": "rnn"}, TypeError, "layer: expected an RNN, LSTM or GRU of rnnlib, got 'rnn'"),
        ({"layer": RNN(2, 3, bidirectional=True)}, ValueError, "layer: expected one direction"),
        (
            {"layer": GRU(2, 3, num_layers=2, dropout=0.5)},
            ValueError,
            "layer: expected no dropout.* got dropout=0.5 while training",
        ),
        ({"input": np.ones((4, 1, 5))}, ValueError, "input: expected shape"),
        ({"d_output": np.ones((4, 1, 2))}, ValueError, r"d_output: expected shape \(4, 1, 3\)"),
        ({"d_output": None}, TypeError, "d_output: expected an array of real numbers"),
        ({"hx": np.ones((1, 1, 2))}, ValueError, "hx: expected shape"),
        ({"d_state": np.ones((1, 2, 3))}, ValueError, "d_state: expected shape"),
        ({"lengths": [5]}, ValueError, "lengths: expected numbers from 1 to 4"),
    ],
)
def test_bad_input_is_named(changed, error, message):
    given = {"layer": LAYER, "input": INPUT, "d_output": D_OUTPUT, "tau": 2} | changed
    with pytest.raises(error, match=message):
        bptt(**given)


def test_dropout_is_no_obstacle_when_it_does_nothing():
    layer = GRU(2, 3, num_layers=2, dropout=0.5, rng=0).eval()
    assert bptt(layer, INPUT, D_OUTPUT, tau=2)[0].any()


# Windows ----------------------------------------------------------------------------------


def test_windows_walk_as_they_should():
    assert planted_truncated.check_windows()
    assert list(windows(7, 2, 5)) == [
        Window(start=0, first=0, stop=2, carry=0),
        Window(start=0, first=2, stop=4, carry=1),
        Window(start=1, first=4, stop=6, carry=2),
        Window(start=3, first=6, stop=7, carry=2),
    ]


def test_equal_k1_and_k2_are_the_batches_of_a_text():
    codes, N, k = np.arange(31), 3, 5
    streams = codes[:30].reshape(N, -1).T
    pairs = zip(windows(10, k), text.batches(codes, N, k), strict=True)
    for window, (inputs, _) in pairs:
        assert window.start == window.first
        np.testing.assert_array_equal(streams[window.start : window.stop], inputs)


@pytest.mark.parametrize(("k1", "k2"), [(1, 1), (2, 2), (2, 5), (3, 4), (9, 9)])
def test_windows_equal_autograd_with_the_carried_state_cut(k1, k2):
    """All windows at the same weights: each new loss is cut where its window starts."""
    case = Case("GRU", seed=16, T=T)
    layer = case.layer()
    x, (h_0,), d_output, _ = case.arrays()
    module = case.module(layer)
    h, theirs = h_0, torch.tensor(h_0)
    total = dict.fromkeys(layer.parameters, 0)
    for w in windows(T, k1, k2):
        layer(x[w.start : w.stop], h)
        d = d_output[w.start : w.stop].copy()
        d[: w.first - w.start] = 0
        layer.backward(d)
        total = {name: total[name] + g for name, g in layer.grads.items()}
        if w.carry:
            _, h = layer(x[w.start : w.start + w.carry], h)
        start = theirs
        if w.start:
            start = module(torch.tensor(x[: w.start]), theirs)[1].detach()
        y, _ = module(torch.tensor(x[w.start : w.stop]), start)
        new = slice(w.first - w.start, None)
        (y[new] * torch.tensor(d_output[w.first : w.stop])).sum().backward()
    for name, p in module.named_parameters():
        np.testing.assert_allclose(total[name], p.grad.numpy(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0, 1), ValueError, "steps: expected at least 1, got 0"),
        ((5, 0), ValueError, "k1: expected at least 1, got 0"),
        ((5, 2.0), TypeError, "k1: expected an integer, got 2.0"),
        ((5, 3, 2), ValueError, "k2: expected at least k1=3, since windows leave no gap, got 2"),
    ],
)
def test_bad_windows_are_named_at_the_call(arguments, error, message):
    with pytest.raises(error, match=message):
        windows(*arguments)
