"""Recurrences: unrolled, and proved for every number of steps."""

import time

import numpy as np
import pytest
import torch
from sympy.matrices.exceptions import ShapeError

from rnnlib.calculus import (
    check,
    dims,
    gradient,
    hadamard,
    inner,
    let,
    matrix,
    recursion,
    sigmoid,
    tanh,
    unroll,
    vector,
)

I_, H = dims("I H")
x, h_prev, c_prev = vector("x", I_), vector("h_prev", H), vector("c_prev", H)
g_h, g_c = vector("g_h", H), vector("g_c", H)
W, U, b = matrix("W", H, I_), matrix("U", H, H), vector("b", H)


def elman(state, t):
    return let(f"h_{t}", tanh(W * vector(f"x_{t}", I_) + U * state + b))


def loss_of(states):
    return sum(
        (inner(vector(f"delta_{t}", H), h) for t, h in enumerate(states[2:], start=2)),
        inner(vector("delta_1", H), states[1]),
    )


def elman_claims():
    h = let("h", tanh(W * x + U * h_prev + b))
    alpha = let("alpha", hadamard(g_h, 1 - hadamard(h, h)))
    claims = {h_prev: U.T * alpha, W: alpha * x.T, U: alpha * h_prev.T, b: alpha, x: W.T * alpha}
    return h, alpha, claims


# An LSTM, with its weights by gate.
GATES = {q: (matrix(f"W_{q}", H, I_), matrix(f"U_{q}", H, H), vector(f"b_{q}", H)) for q in "ifgo"}


def lstm_step(state, inputs, suffix=""):
    h, c = state
    gate = {
        q: let(f"{q}{suffix}", (tanh if q == "g" else sigmoid)(w * inputs + u * h + v))
        for q, (w, u, v) in GATES.items()
    }
    new_c = let(f"c{suffix}", hadamard(gate["f"], c) + hadamard(gate["i"], gate["g"]))
    r = let(f"r{suffix}", tanh(new_c))
    return let(f"h{suffix}", hadamard(gate["o"], r)), new_c, gate, r


def lstm_claims():
    h, c, gate, r = lstm_step((h_prev, c_prev), x)
    i, f, g, o = (gate[q] for q in "ifgo")
    to_c = let("g_c_total", hadamard(g_h, o, 1 - hadamard(r, r)) + g_c)
    alpha = {
        "i": hadamard(to_c, g, i, 1 - i),
        "f": hadamard(to_c, c_prev, f, 1 - f),
        "g": hadamard(to_c, i, 1 - hadamard(g, g)),
        "o": hadamard(g_h, r, o, 1 - o),
    }
    claims = {c_prev: hadamard(to_c, f)}
    for q, (w, u, v) in GATES.items():
        claims |= {w: alpha[q] * x.T, u: alpha[q] * h_prev.T, v: alpha[q]}
    claims[h_prev] = sum(
        (u.T * alpha[q] for q, (_, u, _) in GATES.items() if q != "i"), GATES["i"][1].T * alpha["i"]
    )
    return {h_prev: h, c_prev: c}, {h: g_h, c: g_c}, claims, to_c


# Unrolling --------------------------------------------------------------------------------


def test_unrolled_states_share_their_weights():
    states = unroll(elman, 3, vector("h_0", H))
    assert [s.name for s in states] == ["h_0", "h_1", "h_2", "h_3"]
    derivation = gradient(loss_of(states), [U, W, b, states[0]])
    assert derivation.verify().method == "exact"
    rng = np.random.default_rng(0)
    sizes = {"U": (4, 4), "W": (4, 3), "b": (4, 1), "h_0": (4, 1)}
    sizes |= {f"x_{t}": (3, 1) for t in (1, 2, 3)} | {f"delta_{t}": (4, 1) for t in (1, 2, 3)}
    arrays = {name: rng.normal(size=size) for name, size in sizes.items()}
    tensors = {name: torch.tensor(a, requires_grad=True) for name, a in arrays.items()}
    h, loss = tensors["h_0"], 0
    for t in (1, 2, 3):
        h = torch.tanh(tensors["W"] @ tensors[f"x_{t}"] + tensors["U"] @ h + tensors["b"])
        loss = loss + (tensors[f"delta_{t}"] * h).sum()
    loss.backward()
    for name, ours in derivation.to_function()(**arrays).items():
        np.testing.assert_allclose(ours, tensors[name].grad, rtol=1e-10, atol=1e-10)


def test_a_state_may_have_parts():
    states = unroll(
        lambda state, t: lstm_step(state, vector(f"x_{t}", I_), f"_{t}")[:2], 2, (h_prev, c_prev)
    )
    assert [tuple(part.name for part in s) for s in states[1:]] == [("h_1", "c_1"), ("h_2", "c_2")]
    assert gradient(inner(g_h, states[2][0]), GATES["f"][1]).verify().method == "exact"


@pytest.mark.parametrize("T", [0, -1, 2.0, None])
def test_a_wrong_number_of_steps(T):
    with pytest.raises(ValueError, match="T: expected a number of steps"):
        unroll(elman, T, vector("h_0", H))


def test_a_step_keeps_the_shape_of_the_state():
    with pytest.raises(ShapeError, match=r"unroll, step 1: .* h_0 \(H×1\) and W\*h_0"):
        unroll(lambda s, t: matrix("W", I_, H) * s, 2, vector("h_0", H))


# Induction --------------------------------------------------------------------------------


def test_bptt_is_proved_for_every_number_of_steps():
    h, _, claims = elman_claims()
    proof = recursion({h_prev: h}, {h: g_h}, claims).verify()
    assert proof.method == "induction"
    assert str(proof).startswith("proved for every number of steps by induction")


def test_the_proved_recursion_is_the_gradient_of_unrolled_networks():
    """Run the recursion by hand over T steps: the shares add up to the whole gradient."""
    for T in (1, 2, 3):
        states = unroll(elman, T, vector("h_0", H))
        carried, shares = None, []
        for t in range(T, 0, -1):
            delta = vector(f"delta_{t}", H)
            g = delta if carried is None else delta + carried
            alpha = let(f"alpha_{t}", hadamard(g, 1 - hadamard(states[t], states[t])))
            shares.append(alpha * states[t - 1].T)
            carried = U.T * alpha
        loss = loss_of(states)
        assert check(sum(shares[1:], shares[0]), loss, U)
        assert check(carried, loss, vector("h_0", H))
        if T > 1:
            assert not check(shares[0], loss, U)


WRONG = {
    "no slope on the way back": lambda h, alpha: {h_prev: U.T * g_h},
    "transpose": lambda h, alpha: {h_prev: U * alpha},
    "sign": lambda h, alpha: {h_prev: -(U.T * alpha)},
    "nothing carried": lambda h, alpha: {h_prev: 0 * h_prev},
    "state after the step": lambda h, alpha: {U: alpha * h.T},
    "slope of sigmoid": lambda h, alpha: {b: hadamard(g_h, h, 1 - h)},
    "half a share": lambda h, alpha: {W: alpha * x.T / 2},
    "a constant added": lambda h, alpha: {b: alpha + c_prev},
}


@pytest.mark.parametrize("slip", WRONG.values(), ids=WRONG)
def test_wrong_recursions_are_refuted(slip):
    h, alpha, claims = elman_claims()
    proof = recursion({h_prev: h}, {h: g_h}, claims | slip(h, alpha)).verify()
    assert not proof
    assert "the step is wrong at" in str(proof)


def test_what_has_no_claim_is_constant():
    h, _, claims = elman_claims()
    assert recursion({h_prev: h}, {h: g_h}, {h_prev: claims[h_prev]}).verify()


def test_the_lstm_is_proved_whole():
    steps, adjoints, claims, to_c = lstm_claims()
    assert recursion(steps, adjoints, claims).verify().method == "induction"
    # The slip that stood in published tutorials: the cell's carry without the forget gate.
    assert not recursion(steps, adjoints, claims | {c_prev: to_c}).verify()
    # Or with what comes from h alone, the gradient of later cells forgotten.
    f_gate = next(x for x in steps[c_prev].atoms(type(to_c)) if x.name == "f")
    forgotten = hadamard(to_c - g_c, f_gate)
    assert not recursion(steps, adjoints, claims | {c_prev: forgotten}).verify()


def test_the_gradient_of_an_lstm_step_takes_less_than_a_second():
    h, *_ = lstm_step((h_prev, c_prev), x)
    start = time.perf_counter()
    derivation = gradient(inner(g_h, h), GATES["f"][1])
    derivation.latex()
    assert time.perf_counter() - start < 1
    assert derivation.verify().method == "exact"


def test_its_latex_is_the_inductive_step():
    h, _, claims = elman_claims()
    text = recursion({h_prev: h}, {h: g_h}, {h_prev: claims[h_prev]}).latex()
    assert r"\langle g_{h},\; \mathrm{d}h \rangle &= \langle U^{\top}\, \alpha" in text


ERRORS = {
    "no claim": (lambda h: ({h_prev: h}, {h: g_h}, {b: g_h}), ValueError, "a claim missing"),
    "no adjoint": (
        lambda h: ({h_prev: h}, {b: g_h}, {h_prev: g_h}), ValueError, "an adjoint missing"),
    "used adjoint": (
        lambda h: ({h_prev: h}, {h: b}, {h_prev: b}), ValueError, "a fresh symbol for h"),
    "adjoint is no symbol": (
        lambda h: ({h_prev: h}, {h: 2 * g_h}, {h_prev: g_h}), ValueError, "a fresh symbol for h"),
    "old state is no symbol": (
        lambda h: ({2 * h_prev: h}, {h: g_h}, {2 * h_prev: g_h}), ValueError, "steps: expected"),
    "shape of a claim": (
        lambda h: ({h_prev: h}, {h: g_h}, {h_prev: g_h, W: g_h}), ShapeError, "W (H×I) and g_h"),
    "stray adjoint": (
        lambda h: ({h_prev: h}, {h: g_h, b: g_c}, {h_prev: g_h}), ValueError, "not among"),
}  # fmt: skip


@pytest.mark.parametrize(("given", "kind", "message"), ERRORS.values(), ids=ERRORS)
def test_errors(given, kind, message):
    h, *_ = elman_claims()
    with pytest.raises(kind) as caught:
        recursion(*given(h))
    assert message in str(caught.value)
