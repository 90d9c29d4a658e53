"""False statements and claims that were made up to fool the checker; none may pass."""

import numpy as np
import pytest
import sympy as sp
from calculus_cases import e_4

from rnnlib.calculus import (
    check,
    cos,
    d,
    det,
    diag,
    dims,
    elementwise,
    equation,
    exp,
    eye,
    gradient,
    hadamard,
    inner,
    inverse,
    let,
    logdet,
    matrix,
    norm2,
    ones,
    recursion,
    relu,
    scalar,
    sigmoid,
    sin,
    softmax,
    square,
    tanh,
    total,
    trace,
    vector,
)
from rnnlib.calculus.functions import Relu, Step

n, m, p, q = dims("n m p q")
W, A, B = matrix("W", n, m), matrix("A", n, m), matrix("B", n, m)
S, R, X = matrix("S", n, n), matrix("R", n, n), matrix("X", n, n)
Q, T = matrix("Q", q, p), matrix("T", q, q)
v, y, x = vector("v", n), vector("y", n), vector("x", m)
a, c, k_ = scalar("a"), scalar("c"), vector("k", n)
x_ = vector("q", n)
G, H = inverse(W * W.T), inverse(Q * Q.T)
kinks = [scalar(f"a{i}") for i in range(14)]


def of_entries(f):
    return elementwise(f, v)


LIES = {
    "a dimension as a number": (total(v) * (n - 1) * (n - 2) * (n - 3) * (n - 5), 0),
    "tiny": (v * sp.Rational(1, 10**50), 0 * v),
    "tanh is never 1": (tanh(v + 100), ones(n)),
    "exp is never 0": (exp(v - 200), 0 * v),
    "square root of a square": (of_entries(lambda z: sp.sqrt(z**2 + 200 * z + 10000)), v + 100),
    "arcsine of sine": (of_entries(lambda z: sp.asin(sp.sin(z / 10))), v / 10),
    "acosh of cosh": (of_entries(lambda z: sp.acosh(sp.cosh(z + 100))), v + 100),
    "modulo": (of_entries(lambda z: sp.Mod(z + 100, 1000)), v + 100),
    "fraction": (of_entries(lambda z: sp.frac((z + 100) / 1000)), (v + 100) / 1000),
    "argument": (of_entries(lambda z: sp.arg(z + 100)), 0 * v),
    "delta": (of_entries(sp.DiracDelta), 0 * v),
    "sign of relu": (sp.sign(Relu(a)), 2 * Step(a) - 1),
    "product of fourteen kinks": (sp.Mul(*map(relu, kinks)), 0),
    "twelve kinks": (total(hadamard(*(relu(vector(f"a{i}", n)) for i in range(12)))), 0),
    "named like a value": (tanh(a + c), tanh(scalar("value 0"))),
    "named like an entry": (matrix("x", 1, 1), scalar("x[0,0]")),
    "named like a change": (d(a), scalar("d(a)")),
    "named like changes": (d(matrix("A2", 2, 2)), matrix("d(A2)", 2, 2)),
    "named like a side": (relu(a), sp.Symbol("side 0", real=True) * a),
    "four eigenvalues": (trace(S) + e_4(S), trace(S)),
    "steps of sums of kinks": (
        elementwise(Step, relu(a) + relu(c)) + elementwise(Step, -relu(a) - relu(c)),
        1,
    ),
    "equal sizes only": (det(A * A.T) * det(A.T * A) * norm2(S - S.T), 0),
    "a dimension as a trace": (sp.Mul(*(trace(eye(n)) - size for size in (1, 2, 3, 5))) * a, 0),
    "root of a square with sines": (sp.sqrt(1 - sp.sin(21 * a) ** 2), sp.cos(21 * a)),
    "saturated square": (square(tanh(100000 * v)), ones(n)),
    "a bell too narrow to meet": (sp.sin(a) ** 2 + sp.cos(a) ** 2 + sp.exp(-(10**9) * a**2), 1),
}


@pytest.mark.parametrize("sides", LIES.values(), ids=LIES)
def test_false_statements_do_not_pass(sides):
    proof = equation(*sides).verify()
    assert not proof
    assert proof.method in ("refuted", "undecided")


CLAIMS = {
    "order of factors": (-2 * S * G * G * W, trace(G * S), W),
    "dropped transpose": (-2 * (H * T * H * Q), trace(H * T), Q),
    "trace outside": (-2 * trace(T) * (H * H * Q), trace(H * T), Q),
    "one row": (norm2(Q) * Q, norm2(Q * Q.T) / 4, Q),
    "factor of dimensions": (v * (1 + (n - 1) * (n - 2) * (n - 3)), norm2(v) / 2, v),
    "of both": (W * (1 + (m - 1) * (n - 1) * (m - 2) * (m - 3)), norm2(W) / 2, W),
    "four eigenvalues": (S + e_4(S) * S, norm2(S) / 2, S),
    "tiny": (v + y * sp.Rational(1, 10**45), norm2(v) / 2, v),
    "zero for tiny": (0 * v, sp.Rational(1, 10**50) * norm2(v), v),
    "zero for saturated": (0 * v, total(tanh(v + 100)), v),
    "saturated": (ones(n), total(square(sigmoid(v + 200))) / 2 + total(v), v),
    "sign of relu": (2 * elementwise(Step, v) - 1, inner(v, elementwise(sp.sign, relu(v))), v),
    "kinks": (0, sp.Mul(*map(relu, kinks)), kinks[0]),
    "named like a value": (1 - tanh(scalar("value 0")) ** 2, tanh(a + c), a),
    "equal sizes only": (A + (n - 1) * det(A * A.T) * det(A.T * A) * A, norm2(A) / 2, A),
    "root of a square": (
        of_entries(lambda z: 2 * z - 80),
        total(of_entries(lambda z: sp.sqrt(sp.expand(((z - 20) * (z - 60)) ** 2)))), v),
    "steep": (0 * v, total(tanh(100000 * v)), v),
    "steps of sums of kinks": (
        ones(n) - elementwise(Step, -(S * relu(y) + R * relu(k_))),
        inner(v, elementwise(Step, S * relu(y) + R * relu(k_))), v),
}  # fmt: skip


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_false_claims_do_not_pass(claim):
    assert not check(*claim)


centred = v - total(v) / n * ones(n)
TRUTHS = {
    "softmax behind tanh": (inner(v, softmax(S * tanh(R * y))), R),
    "softmax behind sigmoid": (inner(v, softmax(S * sigmoid(R * y))), R),
    "softmax behind softmax": (inner(v, softmax(S * softmax(R * y))), R),
    "by rows": (inner(A, softmax(S * softmax(W))), W),
    "sample variance": (norm2(centred) / (n - 1), v),
    "centred and scaled": (inner(y, centred / sp.sqrt(norm2(centred))), v),
    "relu of a logarithm": (relu(logdet(X)), X),
    "Gaussian": (logdet(S) / 2 + inner(y, inverse(S) * y) / 2, S),
    "ridge": (inner(y, W * inverse(W.T * W + a**2 * matrix("I", m, m)) * W.T * y), y),
}  # fmt: skip


@pytest.mark.parametrize("truth", TRUTHS.values(), ids=TRUTHS)
def test_right_gradients_pass(truth):
    expression, variable = truth
    derivation = gradient(expression, variable)
    assert derivation.verify(), str(derivation.verify())
    assert check(derivation.value, expression, variable)


TRUE = {
    "a zero with a factor": (
        hadamard(y, sin(v + x_) - hadamard(sin(v), cos(x_)) - hadamard(cos(v), sin(x_))), 0 * v),
    "another": (a * (sp.sin(c) ** 2 + sp.cos(c) ** 2 - 1), 0),
    "powers of a root": (sp.sqrt(norm2(v)) ** 3 / norm2(v), sp.sqrt(norm2(v))),
}  # fmt: skip


@pytest.mark.parametrize("sides", TRUE.values(), ids=TRUE)
def test_true_statements_pass(sides):
    assert equation(*sides).verify()


def test_a_kink_in_a_denominator_is_no_reason_to_stop():
    for name in "vxuws":
        one = scalar(name)
        assert gradient(1 / relu(one), one).verify()
    assert not equation(relu(a) / (relu(a) + relu(c)), Step(a)).verify()


def test_what_cannot_be_decided_is_called_so():
    maximum = equation(of_entries(lambda z: sp.Max(z, 0)), relu(v)).verify()
    assert maximum.method == "undecided"
    assert str(maximum).startswith("not decided: ")
    verdict = check(elementwise(Step, v), total(of_entries(lambda z: sp.Max(z, 0))), v)
    assert not verdict
    assert "decided" in str(verdict)


def test_every_dimension_is_more_than_one_somewhere():
    for derivation in (gradient(logdet(Q * Q.T), Q), gradient(trace(G * S), W)):
        proof = derivation.verify()
        for dimension in proof.sizes[0]:
            assert max(choice[dimension] for choice in proof.sizes) > 1
    with pytest.raises(ValueError, match="n > 1"):
        gradient(logdet(v * y.T), v).verify()


# Recursions -------------------------------------------------------------------------------

h_prev, c_prev, g, k = vector("h_prev", n), vector("c_prev", n), vector("g", n), vector("k", n)
pre = let("pre", S * h_prev + W * x)
h = let("h", tanh(pre))
one = let("one", S * h_prev + c_prev)
two = let("two", hadamard(h_prev, c_prev) + c_prev)
REFUSED = {
    "a claim for the new state": ({h_prev: h}, {h: g}, {h_prev: 0 * h_prev, h: g}),
    "a claim for what is between": (
        {h_prev: h}, {h: g}, {h_prev: 0 * h_prev, pre: hadamard(g, 1 - hadamard(h, h))}),
    "one adjoint for two": (
        {h_prev: one, c_prev: two}, {one: g, two: g},
        {h_prev: S.T * g + hadamard(g, c_prev), c_prev: 2 * g + hadamard(g, h_prev)}),
    "one state for two": ({h_prev: one, c_prev: one}, {one: g}, {h_prev: S.T * g, c_prev: g}),
    "an old state as adjoint": (
        {h_prev: let("next", W * x)}, {let("next", W * x): h_prev}, {h_prev: 0 * h_prev}),
    "a differential in a claim": ({h_prev: one}, {one: g}, {h_prev: S.T * g + d(c_prev)}),
    "nothing": ({}, {}, {}),
}  # fmt: skip


@pytest.mark.parametrize("given", REFUSED.values(), ids=REFUSED)
def test_recursions_that_hide_something_are_refused(given):
    with pytest.raises(ValueError, match=r"expected|missing"):
        recursion(*given)


def test_zero_claims_have_a_print():
    zero = recursion({h_prev: let("next", W * x)}, {let("next", W * x): g}, {h_prev: 0 * h_prev})
    assert zero.verify()
    assert zero.latex()


# What is no expression --------------------------------------------------------------------

Z, NUMBERS = matrix("Z", 2, 2), np.ones((2, 2))
ODD = {
    "array on the right": lambda: Z * NUMBERS,
    "array on the left": lambda: NUMBERS * Z,
    "array added": lambda: Z + NUMBERS,
    "array multiplied": lambda: NUMBERS @ Z,
    "let": lambda: let("h", NUMBERS),
    "differential": lambda: d(NUMBERS),
    "gradient": lambda: gradient(NUMBERS, v),
    "text": lambda: tanh("x"),
    "nothing": lambda: tanh(None),
    "list": lambda: tanh([1, 2]),
    "none as power": lambda: S**None,
    "two equal texts": lambda: equation("a", "a"),
    "infinity": lambda: W / 0,
    "remainder": lambda: W % 2,
    "whole part": lambda: W // 2,
    "power of two": lambda: 2**S,
    "absolute value": lambda: abs(W),
    "no name": lambda: matrix("", n, m),
    "a size that is text": lambda: matrix("A", "n", m),
    "a size that is a scalar": lambda: matrix("A", a, m),
    "a negative size": lambda: vector("v", -1),
    "variable in a list of lists": lambda: check(v, norm2(v), "v"),
    "a function as claim": lambda: check(lambda: v, norm2(v), v),
    "factors that do not commute": lambda: equation(
        *(sp.Mul(*pair, evaluate=False) for pair in [sp.symbols("A_ B_", commutative=False)] * 2)),
}  # fmt: skip


@pytest.mark.parametrize("act", ODD.values(), ids=ODD)
def test_odd_things_are_refused_with_a_type_error(act):
    with pytest.raises(TypeError):
        act()


def test_numbers_of_numpy_are_numbers():
    assert np.float64(2.0) * W == 2 * W
    assert W * np.int64(3) == 3 * W


def test_determinants_of_constants():
    assert det(2 * S) == 2**n * det(S)
    assert equation(det(2 * S), 2**n * det(S)).verify()
    assert diag(diag(v)) == v
