"""Derivations: proved entry by entry, equal to torch's autograd, always the same."""

import time

import numpy as np
import pytest
import sympy as sp
import torch
from calculus_cases import (
    A,
    B,
    C,
    R,
    S,
    W,
    a,
    as_list,
    b,
    c,
    draw,
    each_case,
    fresh,
    h,
    k,
    m,
    n,
    p,
    rnn,
    v,
    x,
    y,
)
from sympy.matrices.expressions.matexpr import MatrixElement
from sympy.matrices.expressions.special import ZeroMatrix

from rnnlib.calculus import (
    d,
    det,
    diag,
    differential,
    equation,
    eye,
    gradient,
    hadamard,
    hstack,
    inner,
    inverse,
    let,
    logdet,
    logsumexp,
    matrix,
    norm2,
    ones,
    sigmoid,
    softmax,
    square,
    tanh,
    to_function,
    total,
    trace,
    vjp,
)
from rnnlib.calculus.explicit import Entries
from rnnlib.calculus.expressions import as_scalar
from rnnlib.calculus.meaning import leaves


@each_case
def test_gradient_is_proved_exactly_and_has_the_variables_shape(case):
    expression, variables, _ = case
    derivation = gradient(expression, variables)
    proof = derivation.verify()
    assert proof, str(proof)
    assert proof.method == "exact"
    assert list(derivation.gradients) == as_list(variables)
    for variable, value in derivation.gradients.items():
        assert getattr(value, "shape", ()) == getattr(variable, "shape", ())


@pytest.mark.parametrize("seed", range(3))
@each_case
def test_to_function_equals_autograd(case, seed):
    expression, variables, in_torch = case
    names = [variable.name for variable in as_list(variables)]
    arrays = draw(np.random.default_rng(seed), expression, *as_list(variables))
    tensors = {name: torch.tensor(a, dtype=torch.float64) for name, a in arrays.items()}
    wanted = [tensors[name].requires_grad_() for name in names]
    loss = in_torch(**{u.name: tensors[u.name] for u in leaves(expression)})
    theirs = torch.autograd.grad(loss + 0 * wanted[0].sum(), wanted)
    function = gradient(expression, variables).to_function()
    for given in (arrays, {name: t.detach() for name, t in tensors.items()}):
        ours = function(**given)
        ours = ours if isinstance(ours, dict) else {names[0]: ours}
        for name, expected in zip(names, theirs, strict=True):
            assert np.shape(ours[name]) == tuple(expected.shape)
            np.testing.assert_allclose(np.asarray(ours[name]), expected, rtol=1e-10, atol=1e-10)


@each_case
def test_the_expression_itself_equals_torch(case):
    expression, _, in_torch = case
    arrays = draw(np.random.default_rng(9), expression)
    tensors = {name: torch.tensor(a, dtype=torch.float64) for name, a in arrays.items()}
    value = to_function(as_scalar(expression))(**arrays)
    np.testing.assert_allclose(value, in_torch(**tensors), rtol=1e-12, atol=1e-12)


DIFFERENTIALS = {
    "product": (A * C, d(A) * C + A * d(C)),
    "inverse": (S**-1, -(inverse(S) * d(S) * inverse(S))),
    "determinant": (det(S), det(S) * trace(inverse(S) * d(S))),
    "power": (S**2, d(S) * S + S * d(S)),
    "through a name": (h, hadamard(1 - hadamard(h, h), d(W) * x + W * d(x) + d(b))),
    "quadratic": (inner(v, S * v), inner(d(v), S * v) + inner(v, d(S) * v + S * d(v))),
    "diagonal": (diag(v) * A, diag(d(v)) * A + diag(v) * d(A)),
    "log-sum-exp": (logsumexp(v), inner(softmax(v), d(v))),
    "scalars": (a**2 * c, 2 * a * c * d(a) + a**2 * d(c)),
}


@pytest.mark.parametrize(("expression", "expected"), DIFFERENTIALS.values(), ids=DIFFERENTIALS)
def test_differential(expression, expected):
    """By the rules alone; against the directional derivative, and against what a person writes."""
    found = differential(expression)
    assert equation(found, d(expression)).verify().method == "exact"
    assert equation(found, expected).verify().method == "exact"


def test_differential_by_some_variables():
    assert differential(A * C, C) == A * d(C)
    assert differential(A * C, [A]) == d(A) * C
    assert differential(A * C, x) == 0 * (A * C)
    assert differential(a * c, [c]) == a * d(c)
    assert differential(h, h) == d(h)
    with pytest.raises(TypeError, match="no rule for HStack"):
        differential(hstack(A, B))


def test_rectangular_choices_without_an_inverse_are_left_out():
    gram = A.T * A
    proof = gradient(logdet(gram), A).verify()
    assert proof.method == "exact"
    assert all(choice[m] <= choice[n] for choice in (*proof.sizes, proof.larger))
    with pytest.raises(ValueError, match="every inverse exist"):
        equation(inverse(v * v.T + y * y.T - y * y.T - v * v.T + 0 * S), S).verify()


def test_vjp_takes_a_gradient_back_through_names():
    derivation = vjp(h, [W, x, b], v)
    assert derivation.verify().method == "exact"
    slope = hadamard(v, 1 - hadamard(h, h))
    assert equation(derivation.gradients[W], slope * x.T).verify()
    assert equation(derivation.gradients[x], W.T * slope).verify()
    assert derivation.gradients[b] == slope


def test_a_named_expression_counts_as_a_variable_of_its_own():
    pre = let("pre", W * x + b)
    state = let("state", tanh(pre))
    assert vjp(state, pre, v).value == hadamard(v, 1 - hadamard(state, state))
    # pre is used twice: beside state, and inside it, where state is held as a variable.
    both = gradient(inner(state, state) + inner(pre, pre), [state, W])
    assert both.verify().method == "exact"
    assert both.gradients[state] == 2 * state
    assert both.gradients[W] == (2 * pre) * x.T


def test_a_gradient_that_cancels_is_zero():
    derivation = gradient(inner(A, W) - trace(A.T * W) + total(x), W)
    assert isinstance(derivation.value, ZeroMatrix)
    assert all(term != 0 for step in derivation.steps for term in step.terms)
    assert derivation.verify()


def test_the_transpose_of_zero():
    zero = B - B
    assert isinstance(zero, ZeroMatrix)
    assert zero.T.shape == tuple(reversed(B.shape))
    assert zero.T + B.T == B.T
    assert (zero.T).T.shape == zero.shape


# On SymPy alone, quickly


def test_works_without_numpy():
    code = """
        import sys
        sys.modules["numpy"] = sys.modules["array_api_compat"] = None
        from rnnlib.calculus import *
        n, m = dims("n m")
        W, x, y = matrix("W", n, m), vector("x", m), vector("y", n)
        h = let("h", tanh(W * x))
        derivation = vjp(h, W, y)
        assert derivation.verify()
        assert check(hadamard(y, 1 - hadamard(h, h)) * x.T, inner(y, h), W)
        assert not check(hadamard(y, 1 - h) * x.T, inner(y, h), W)
        print(derivation.value)
    """
    assert "x.T" in fresh(code)


def test_an_unrolled_network_takes_milliseconds():
    loss = rnn(3)
    start = time.perf_counter()
    derivation = gradient(loss, S)
    derivation.latex()
    assert time.perf_counter() - start < 0.5


# With SymPy

NODES = {
    "product": 2 * A * C, "sum": A - 3 * B, "Hadamard": hadamard(A, B, 2 * W), "transpose": A.T,
    "function": sigmoid(A * tanh(x)) * x.T, "name": h, "name transposed": h.T,
    "stack": hstack(A, B), "softmax": softmax(A), "softmax of a column": softmax(v),
    "rows": logsumexp(A), "squared norm": norm2(A) * A, "matrix power": S**3 * A,
    "diagonal": diag(v) * A, "diagonal of a matrix": diag(S * R), "unit": eye(n) - S,
    "inner": inner(A, B) * A, "total": p, "1×1": (x.T * x) * A, "ones": ones(n, m) + A,
    "gradient": gradient(inner(y, h), W).value, "power": square(A) / a,
}  # fmt: skip
SIZES = {n: 2, m: 3, k: 2}


@pytest.mark.parametrize("expression", NODES.values(), ids=NODES)
def test_nodes_are_sympy_expressions(expression):
    assert isinstance(expression, sp.MatrixExpr)
    entries = Entries(SIZES)
    tables = {x.name: entries.symbols(x) for x in leaves(expression)}
    here = expression.subs(SIZES)
    assert all(size.is_Integer for size in map(sp.sympify, here.shape))
    by_sympy = here.doit().as_explicit().doit().replace(
        lambda e: isinstance(e, MatrixElement),
        lambda e: tables[e.parent.name][e.i, e.j],
    )  # fmt: skip
    by_entries = entries.of(expression).applyfunc(entries.full)
    assert here.as_explicit().shape == by_sympy.shape == by_entries.shape
    assert (by_sympy - by_entries).applyfunc(sp.expand) == sp.zeros(*by_sympy.shape)


def test_tables_of_numbers_can_stand_in_expressions():
    M, X = sp.Matrix([[1, 2], [3, 4]]), matrix("X", 2, 2)
    derivation = gradient(trace(M * X * X) + total(X - M + M), X)
    assert derivation.verify().method == "exact"
    at = np.array([[1.0, 2.0], [0.5, -1.0]])
    expected = np.array(M, dtype=float).T @ at.T + at.T @ np.array(M, dtype=float).T + 1
    np.testing.assert_allclose(derivation.to_function()(X=at), expected)


def test_sums_products_and_numbers_keep_their_order():
    assert (sum([B, A]) + 1 - S * W).args == (B, A, ones(n, m), -(S * W))
    assert ones(n, m) - A == 1 - A
    assert sp.Integer(1) - A == ones(n, m) - A
    assert A - A == 0 * A
    assert A + A == 2 * A
    assert a * A * c == (a * c) * A
    assert hadamard(A) == A
    assert (A.T).T == A
    assert A @ x == A * x
