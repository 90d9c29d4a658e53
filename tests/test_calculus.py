"""Derivations: proved entry by entry, equal to torch's autograd, readable, always the same."""

import dataclasses
import os
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import sympy as sp
import torch
from sympy.matrices.exceptions import ShapeError
from sympy.matrices.expressions.matexpr import MatrixElement
from sympy.matrices.expressions.special import ZeroMatrix

from rnnlib.calculus import (
    cos,
    d,
    det,
    diag,
    differential,
    dims,
    elementwise,
    equation,
    exp,
    eye,
    gradient,
    hadamard,
    hstack,
    inner,
    inverse,
    latex,
    let,
    log,
    logdet,
    logsumexp,
    matrix,
    norm2,
    ones,
    power,
    relu,
    scalar,
    sigmoid,
    sin,
    softmax,
    square,
    tanh,
    to_function,
    total,
    trace,
    vector,
    vjp,
)
from rnnlib.calculus.explicit import Entries
from rnnlib.calculus.expressions import as_scalar
from rnnlib.calculus.functions import Sigmoid
from rnnlib.calculus.meaning import leaves
from rnnlib.calculus.sizes import size_choices

n, m, k = dims("n m k")
A, B, W = matrix("A", n, m), matrix("B", n, m), matrix("W", n, m)
C, S, R = matrix("C", m, k), matrix("S", n, n), matrix("R", n, n)
x, v, y, b = vector("x", m), vector("v", n), vector("y", n), vector("b", n)
a, c = scalar("a"), scalar("c")
h = let("h", tanh(W * x + b))
p = let("p", exp(v) / total(exp(v)))


def rnn(steps):
    """The loss of an unrolled network that uses the same weights at every step."""
    state, terms = vector("h_0", n), []
    for t in range(1, steps + 1):
        pre = W * vector(f"x_{t}", m) + b + S * state
        state = let(f"h_{t}", tanh(pre))
        terms.append(inner(vector(f"delta_{t}", n), state))
    return sum(terms)


def torch_rnn(W, S, b, h_0, **others):
    state, loss = h_0, 0
    for t in (1, 2, 3):
        state = torch.tanh(W @ others[f"x_{t}"] + b + S @ state)
        loss = loss + (others[f"delta_{t}"] * state).sum()
    return loss


def cross_entropy(z):
    return log(total(exp(z))) - inner(y, z)


SIGMA = torch.sigmoid
# name: (expression, variables, the same in torch)
CASES = {
    "linear": (inner(v, W * x), [W, x, v], lambda v, W, x: (v * (W @ x)).sum()),
    "quadratic": (x.T * A.T * A * x, [x, A], lambda x, A: ((A @ x) ** 2).sum()),
    "square form": (v.T * S * v, [v, S], lambda v, S: (v.T @ S @ v).sum()),
    "form plus scalar": (
        v.T * S * v + 3 * a + 1, [v, a], lambda v, S, a: (v.T @ S @ v).sum() + 3 * a + 1),
    "trace of a square": (trace(S * S), S, lambda S: torch.trace(S @ S)),
    "trace of a cube": (trace(S * R * S * S), [S, R], lambda S, R: torch.trace(S @ R @ S @ S)),
    "transposed": (trace(A.T * B) + total(W.T * A), [A, W],
                   lambda A, B, W: (A * B).sum() + (W.T @ A).sum()),
    "gram": (inner(R, S * S.T) + inner(R, S.T * S), S,
             lambda R, S: (R * (S @ S.T + S.T @ S)).sum()),
    "Hadamard": (total(hadamard(A, B, A)), [A, B], lambda A, B: (A * B * A).sum()),
    "Hadamard of products": (
        inner(A, hadamard(W, v * x.T)), [W, v, x], lambda A, W, v, x: (A * W * (v @ x.T)).sum()),
    "sigmoid": (total(sigmoid(W * x)), [W, x], lambda W, x: SIGMA(W @ x).sum()),
    "scaled sigmoid": (
        total(elementwise(lambda z: Sigmoid(2 * z), A)), A, lambda A: SIGMA(2 * A).sum()),
    "sum of functions": (
        total(elementwise(lambda z: Sigmoid(2 * z) + z**3, A)), A,
        lambda A: (SIGMA(2 * A) + A**3).sum()),
    "tanh": (inner(v, tanh(W * x)), [W, x], lambda v, W, x: (v * torch.tanh(W @ x)).sum()),
    "relu": (inner(v, relu(W * x)), [W, x], lambda v, W, x: (v * torch.relu(W @ x)).sum()),
    "exp": (total(exp(A * x)), [A, x], lambda A, x: torch.exp(A @ x).sum()),
    "log": (total(log(1 + exp(A))), A, lambda A: torch.log(1 + torch.exp(A)).sum()),
    "sin, cos": (inner(sin(A), cos(B)), [A, B], lambda A, B: (torch.sin(A) * torch.cos(B)).sum()),
    "square": (total(square(W * x - v)) / 2, [W, x, v],
               lambda W, x, v: ((W @ x - v) ** 2).sum() / 2),
    "decimal": (0.5 * inner(v, v) + total(0.1 * v), v,
                lambda v: 0.5 * (v * v).sum() + 0.1 * v.sum()),
    "norm": (sp.sqrt(1 + inner(A, A)), A, lambda A: torch.sqrt(1 + (A * A).sum())),
    "quotient": ((v.T * y) / (1 + v.T * v), [v, y],
                 lambda v, y: (v * y).sum() / (1 + (v * v).sum())),
    "mean": (total(square(A)) / (n * m), A, lambda A: (A * A).mean()),
    "scalar variable": (inner(v, tanh(a * y)) + sigmoid(a) ** 2 * c, [a, c],
                        lambda v, a, y, c: (v * torch.tanh(a * y)).sum() + SIGMA(a) ** 2 * c),
    "scalar coefficient": (inner(A, (a + 1 / (1 + c**2)) * W), [W, a, c],
                           lambda A, a, W, c: (a + 1 / (1 + c**2)) * (A * W).sum()),
    "scalars alone": (sigmoid(a) * c**3 - a, [a, c], lambda a, c: SIGMA(a) * c**3 - a),
    "1×1 beside a matrix": (
        total((y.T * v) * A), [y, v, A], lambda y, v, A: (y * v).sum() * A.sum()),
    "two layers": (
        cross_entropy(let("z", S * let("s", sigmoid(W * x + b)))), [W, S, b, x],
        lambda S, W, x, b, y: torch.logsumexp(S @ SIGMA(W @ x + b), 0).sum()
        - (y * (S @ SIGMA(W @ x + b))).sum()),
    "softmax cross-entropy": (
        cross_entropy(v), v, lambda v, y: torch.logsumexp(v, 0).sum() - (y * v).sum()),
    "softmax": (inner(y, p), v, lambda v, y: (y * torch.softmax(v, 0)).sum()),
    "batch": (inner(matrix("D", k, n), tanh(C.T * W.T + ones(k) * b.T)), [W, C, b],
              lambda D, C, W, b: (D * torch.tanh(C.T @ W.T + b.T)).sum()),
    "unrolled": (rnn(3), [S], torch_rnn),
    "diamond": (
        inner(h, h) + total(hadamard(h, S * h)), [W, b],
        lambda W, x, b, S: (lambda h: (h * h).sum() + (h * (S @ h)).sum())(torch.tanh(W @ x + b))),
    "many times": (
        inner(v, S * v) + inner(S * v, S * S * v) + trace(S), [S],
        lambda v, S: (v * (S @ v)).sum() + ((S @ v) * (S @ S @ v)).sum() + torch.trace(S)),
    "squared norm": (norm2(W * x - v) / 2, [W, x, v],
                     lambda W, x, v: ((W @ x - v) ** 2).sum() / 2),
    "norm again": (sp.sqrt(norm2(W * x)) + norm2(3 * v), [W, v],
                   lambda W, x, v: torch.linalg.norm(W @ x) + 9 * (v * v).sum()),
    "determinant": (det(S * R) + c * det(S), [S, c],
                    lambda S, R, c: torch.det(S @ R) + c * torch.det(S)),
    "inverse": (trace(inverse(S) * R) + total(inverse(S + R)), [S, R],
                lambda S, R: torch.trace(torch.inverse(S) @ R) + torch.inverse(S + R).sum()),
    "log-determinant": (logdet(S * S.T), S, lambda S: torch.logdet(S @ S.T)),
    "matrix powers": (trace(S**4 * R) + trace(S**-2), [S, R],
                      lambda S, R: torch.trace(S @ S @ S @ S @ R)
                      + torch.trace(torch.inverse(S) @ torch.inverse(S))),
    "W twice": (inner(v, S * v + S**2 * v), [S, v], lambda v, S: (v * (S @ v + S @ S @ v)).sum()),
    "softmax node": (inner(y, softmax(S * v)), [S, v],
                     lambda y, S, v: (y * torch.softmax(S @ v, 0)).sum()),
    "softmax of rows": (inner(A, softmax(A * 2 + B)), [A, B],
                        lambda A, B: (A * torch.softmax(2 * A + B, 1)).sum()),
    "log-sum-exp": (logsumexp(S * v) - inner(y, S * v), [S, v],
                    lambda y, S, v: torch.logsumexp(S @ v, 0).sum() - (y * (S @ v)).sum()),
    "log-sum-exp of rows": (inner(v, logsumexp(A)), [v, A],
                            lambda v, A: (v * torch.logsumexp(A, 1, keepdim=True)).sum()),
    "attention": (
        total(hadamard(softmax(A * W.T / sp.sqrt(m)) * B, B)), [A, W, B],
        lambda A, W, B: ((torch.softmax(A @ W.T / A.shape[1] ** 0.5, 1) @ B) * B).sum()),
    "diagonals": (inner(y, diag(v) * S * v) + inner(v, diag(S * R)), [v, S],
                  lambda y, v, S, R: (y * (v * (S @ v))).sum()
                  + (v[:, 0] * torch.diagonal(S @ R)).sum()),
    "entry by entry": (total(power(1 + square(A), sp.Rational(-3, 2)) + elementwise(sp.atan, A)), A,
                       lambda A: ((1 + A**2) ** -1.5 + torch.atan(A)).sum()),
    "named scalar": (
        log(let("s", total(exp(v)))) + let("q", inner(v, y)) ** 2, v,
        lambda v, y: torch.logsumexp(v, 0).sum() + (v * y).sum() ** 2),
    "layer norm": (
        inner(y, let("u", v - total(v) / n * ones(n)) / sp.sqrt(let("q", norm2(
            let("u", v - total(v) / n * ones(n))) / n))), v,
        lambda v, y: (y * (v - v.mean()) / (v - v.mean()).pow(2).mean().sqrt()).sum()),
    "constant": (inner(v, v) + a, W, lambda v, a: (v * v).sum() + a),
    "cancels": (inner(A, W) - trace(A.T * W) + 0 * a, W, lambda A, W: 0 * (A * W).sum()),
    "matrices of one row": (matrix("P", 1, n) * sigmoid(v * matrix("Q", 1, 1)), v,
                            lambda P, v, Q: (P @ SIGMA(v @ Q)).sum()),
}  # fmt: skip


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def draw(rng, *expressions):
    sizes = dict(zip((n, m, k), rng.permutation([2, 3, 4, 5])[:3], strict=True))
    return {
        v.name: rng.normal(size=[int(sizes.get(r, r)) for r in v.shape])
        if hasattr(v, "shape")
        else float(rng.normal())
        for v in leaves(*expressions)
    }


def as_list(variables):
    return variables if isinstance(variables, list) else [variables]


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


# Lines and proofs


def test_every_step_names_its_rule(case):
    expression, variables, _ = case
    derivation = gradient(expression, variables)
    text = derivation.latex()
    assert len(derivation.steps) > 1
    for step in derivation.steps[1:]:
        words, _, _ = step.rule.partition("{")  # behind it stands the name that was opened
        assert len(words) > 4
        assert rf"\text{{{words}" in text


def test_a_wrong_line_or_gradient_is_refuted():
    derivation = gradient(inner(v, tanh(W * x)), [W, x])
    steps = derivation.steps
    for i, step in enumerate(steps[1:], start=1):
        for terms in ((-step.terms[0], *step.terms[1:]), step.terms[1:], (2 * step.terms[0],)):
            forged = dataclasses.replace(step, terms=terms)
            wrong = dataclasses.replace(derivation, steps=(*steps[:i], forged, *steps[i + 1 :]))
            assert not wrong.verify()
    for wrong in (-derivation.gradients[W], v * x.T, 0 * W):
        forged = dataclasses.replace(derivation, gradients={**derivation.gradients, W: wrong})
        assert "gradient" in str(forged.verify())
    # Lines and gradient that agree with each other, for another loss.
    other = gradient(inner(v, sigmoid(W * x)), [W, x])
    assert not dataclasses.replace(other, expression=derivation.expression).verify()


def test_a_proof_says_how_and_at_which_sizes():
    assert str(gradient(inner(A, B), A).verify()) == (
        "proved exactly, entry by entry, at m=1, n=1; m=2, n=3; m=3, n=1; m=1, n=2; m=2, n=2, "
        "and in numbers at m=5, n=4"
    )
    angle = W * x + b
    proof = equation(sin(3 * angle), 3 * sin(angle) - 4 * power(sin(angle), 3)).verify()
    assert proof.method == "50 digits"
    assert "50 digits" in str(proof)


@pytest.mark.parametrize("count", range(1, 12))
def test_sizes_tell_any_two_dimensions_apart(count):
    symbols = dims(" ".join(f"n{i}" for i in range(count)) + ",")
    choices = size_choices(*(vector(f"v{i}", s) for i, s in enumerate(symbols)))
    for i, first in enumerate(symbols):
        assert {choice[first] for choice in choices} == {1, 2, 3}
        for second in symbols[:i]:
            assert any(choice[first] != choice[second] for choice in choices)


def test_sizes_leave_room_for_differences_of_dimensions():
    shifted = matrix("D", n - 1, n)
    assert gradient(total(shifted * v), v).verify().sizes == ({n: 2}, {n: 3})


TRUE = {
    "product": (d(A * C), d(A) * C + A * d(C)),
    "cyclic": (trace(A * B.T), trace(B.T * A), inner(A, B)),
    "three ways": (inner(A, B), trace(A.T * B), total(hadamard(A, B))),
    "transposed product": ((A * C).T, C.T * A.T),
    "transposed Hadamard": (hadamard(A, W).T, hadamard(W.T, A.T)),
    "tanh": (d(tanh(A)), hadamard(1 - hadamard(tanh(A), tanh(A)), d(A))),
    "through a name": (d(h), hadamard(1 - hadamard(h, h), d(W) * x + W * d(x) + d(b))),
    "stack": (hstack(A * x, b) * hstack(A * x, b).T, A * x * x.T * A.T + b * b.T),
    "number of ones": (total(ones(n, m)), n * m),
    "1×1 as a scalar": (x.T * x, inner(x, x)),
    "distributed": ((A + B) * x, A * x + B * x),
    "softmax sums to 1": (total(p), 1),
    "sigmoid": (sigmoid(-v), 1 - sigmoid(v)),
    "relu": (relu(v) - relu(-v), v),
    "relu twice": (relu(relu(A)), relu(A)),
    "relu of a multiple": (relu(3 * v), 3 * relu(v)),
    "sines": (square(sin(A)) + square(cos(A)), ones(n, m)),
    "constants do not move": (d(2 * ones(n, m)), 0 * A),
}
FALSE = {
    "sign": (d(A * C), d(A) * C - A * d(C)),
    "swapped factors": (trace(S * R * S.T), trace(S * S.T * R.T)),
    "dropped term": (d(A * C), d(A) * C),
    "missing transpose": (trace(S * R), trace(S.T * R)),
    "transposed square": (S * S.T, S.T * S),
    "wrong slope": (d(sigmoid(A)), hadamard(1 - sigmoid(A), d(A))),
    "Hadamard for product": (S * R, hadamard(S, R)),
    "factor": (d(hadamard(A, A)), hadamard(A, d(A))),
    "dimension": (total(ones(n, m)), n * n),
    "kink out of reach": (relu(v + 100), v + 100),
    "relu is not linear": (relu(A + B), relu(A) + relu(B)),
    "a variable named like a change": (d(x), vector("dx", m)),
    "exponential of a sum": (exp(S * v), S * exp(v)),
    "logarithm": (log(1 + exp(A)), A),
}


@pytest.mark.parametrize("sides", TRUE.values(), ids=TRUE)
def test_true_equations_are_proved(sides):
    proof = equation(*sides).verify()
    assert proof, str(proof)


@pytest.mark.parametrize("sides", FALSE.values(), ids=FALSE)
def test_false_equations_are_refuted(sides):
    proof = equation(*sides).verify()
    assert not proof
    assert str(proof).startswith("refuted: side 2 differs at ")


def test_dimensions_that_a_short_cycle_would_confuse():
    q, r, s, t = dims("q r s t")
    D = matrix("D", q, t)
    assert equation(total(ones(q, t)) * r * s, q * t * total(ones(r, s))).verify()
    assert not equation(q * total(D) * total(ones(r, s)), t * total(D) * r * s).verify()


def e_4(X):
    """24 times the sum of all products of four different eigenvalues: 0 for sizes up to 3."""
    t = {k: trace(X**k) for k in (1, 2, 3, 4)}
    return t[1] ** 4 - 6 * t[1] ** 2 * t[2] + 3 * t[2] ** 2 + 8 * t[1] * t[3] - 6 * t[4]


def test_what_is_true_at_small_sizes_alone_is_refuted():
    for size in (1, 2, 3):
        entries = Entries({n: size})
        assert sp.expand(entries.full(entries.of(e_4(S)))) == 0
    proof = equation(trace(S * R) + e_4(S), trace(S * R)).verify()
    assert str(proof) == "refuted: side 2 differs at n=4"
    assert not equation(d(trace(S * R) + e_4(S)), d(trace(S * R))).verify()
    forged = gradient(trace(S * R), S)
    assert not dataclasses.replace(forged, expression=forged.expression + e_4(S)).verify()


# LaTeX

WRITTEN = {
    W * x + b + S * v + y: r"W\, x + b + S\, v + y",
    (A + B) * C: r"\left(A + B\right)\, C",
    -((A + B) * C): r"-\left(A + B\right)\, C",
    -(A + B): "-A - B",
    A - 2 * (B * C * C.T): r"A - 2\, B\, C\, C^{\top}",
    (A + B).T: r"A^{\top} + B^{\top}",
    (A * C).T: r"C^{\top}\, A^{\top}",
    S * hadamard(A, B): r"S\, \left(A \circ B\right)",
    hadamard(A, A * C * C.T): r"A \circ \left(A\, C\, C^{\top}\right)",
    hadamard(A, 1 - B): r"A \circ \left(\mathbf{1} - B\right)",
    tanh(A + B) * x: r"\tanh\left(A + B\right)\, x",
    tanh(A).T: r"\tanh\left(A^{\top}\right)",
    d(A): r"\mathrm{d}A",
    d(A + B): r"\mathrm{d}\left(A + B\right)",
    d(A).T: r"\left(\mathrm{d}A\right)^{\top}",
    square(A): r"A^{\circ 2}",
    square(A * C): r"\left(A\, C\right)^{\circ 2}",
    exp(v) / total(exp(v)):
        r"\frac{\exp\left(v\right)}{\operatorname{sum}\left(\exp\left(v\right)\right)}",
    A - B / a: r"A - \frac{B}{a}",
    A / (-a): r"-\frac{A}{a}",
    A / 2: r"\frac{1}{2}\, A",
    (a + 1) * A: r"\left(a + 1\right)\, A",
    (y.T * v) * A: r"\left(y^{\top}\, v\right)\, A",
    A / (x.T * x): r"\frac{A}{x^{\top}\, x}",
    (x.T * x) ** 2: r"\left(x^{\top}\, x\right)^{2}",
    a * as_scalar(x.T * x): r"a \left(x^{\top}\, x\right)",
    log(a) ** 2: r"\log^{2}\left(a\right)",
    sigmoid(a): r"\sigma\left(a\right)",
    S**-1: "S^{-1}",
    (S**-1).T: r"S^{-\top}",
    (S * R) ** -1: r"\left(S\, R\right)^{-1}",
    S**2 * S: "S^{3}",
    S * S**-1 * A: "A",
    S**-3 * S: "S^{-2}",
    (S**2).T: r"\left(S^{\top}\right)^{2}",
    (A.T * A) ** 2 * x: r"\left(A^{\top}\, A\right)^{2}\, x",
    det(S.T) * A: r"\det\left(S\right)\, A",
    logdet(S): r"\log\left(\det\left(S\right)\right)",
    norm2(A * x - b): r"\left\lVert A\, x - b \right\rVert^{2}",
    diag(v) * A: r"\operatorname{diag}\left(v\right)\, A",
    diag(v * y.T): r"v \circ y",
    softmax(v): r"\operatorname{softmax}\left(v\right)",
    logsumexp(v) - inner(y, v):
        r"\operatorname{lse}\left(v\right) - \langle y,\; v \rangle",
    let("s", inner(v, y)) * A: r"s\, A",
    let(vector("q", n, latex="q_t"), S * v): "q_t",
    eye(n) - S: "I - S",
    matrix("W_ih", n, m): "W_{ih}",
    vector("delta_t", n): r"\delta_{t}",
    matrix("W", n, m, latex="W^{(1)}").T: r"{W^{(1)}}^{\top}",
    elementwise(lambda z: z**2 + 1, A) * x: r"\left(z \mapsto z^{2} + 1\right)\left(A\right)\, x",
    1.0 * A: "A",
    ones(n, m) - 0.5 * A: r"\mathbf{1} - \frac{1}{2}\, A",
}  # fmt: skip


@pytest.mark.parametrize(("expression", "written"), WRITTEN.items(), ids=map(str, WRITTEN))
def test_latex_is_what_a_person_writes(expression, written):
    assert latex(expression) == written


def test_latex_has_no_traces_of_the_machine(case):
    expression, variables, _ = case
    text = gradient(expression, variables).latex()
    for trace_of_machine in (
        "(-1)",
        "1.0",
        "0.5",
        "Dummy",
        "_z",
        "+ -",
        "- -",
        "lambda",
        "Sigmoid",
        "None",
    ):
        assert trace_of_machine not in text
    assert text.count("{") == text.count("}")
    assert text.count(r"\left(") == text.count(r"\right)")
    assert text.startswith(r"\begin{aligned}")


def fresh(code, **environment):
    """Run code in a new interpreter; returns what it prints."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_latex_is_the_same_in_every_process():
    code = """
        from rnnlib.calculus import *
        n, m = dims("n m")
        W, S, x = matrix("W", n, m), matrix("S", n, n), vector("x", m)
        b, y = vector("b", n), vector("y", n)
        a, c = scalar("a"), scalar("c")
        s = let("s", sigmoid(W * x + b))
        z = let("z", S * s + b)
        L = log(total(exp(z))) - inner(y, z) + a * c**2 * trace(S * S) / (1 + a**2) + total(relu(z))
        print(gradient(L, [W, S, b, x, a, c]).latex())
        print(equation(d(S * W), d(S) * W + S * d(W)).latex())
    """
    assert fresh(code, PYTHONHASHSEED="1") == fresh(code, PYTHONHASHSEED="2")


def test_a_sum_of_products_keeps_its_parentheses():
    energy = as_scalar(y.T * v + b.T * v)
    whole = r"\left(y^{\top}\, v + b^{\top}\, v\right)"
    for expression in (-energy, a - energy, relu(1 - energy), sigmoid(-energy), (1 - energy) * v):
        assert whole in latex(expression), latex(expression)


def test_a_name_within_a_name_is_written_once():
    inside = let("a", S * v)
    text = gradient(norm2(let("h_a", tanh(inside))), S).latex()
    assert r"\text{elementwise function, $h_{a}$}" in text


def test_the_trace_style_writes_traces():
    derivation = gradient(inner(v, tanh(W * x)), [W])
    text = derivation.latex("trace")
    assert r"\operatorname{tr}\left(v^{\top}\, \mathrm{d}\left(\tanh" in text
    assert r"\mathrm{d}W\right)" in text
    assert text.splitlines()[-2] == derivation.latex().splitlines()[-2]
    lines = text.splitlines()[2:-2]
    assert all("langle" not in line for line in lines)


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


# Errors

ERRORS = {
    "sum": (lambda: A + x, ShapeError, "A (n×m) and x (m×1)"),
    "product": (lambda: A * v, ShapeError, "A (n×m) and v (n×1)"),
    "long product": (lambda: (A * x) * (B * x), ShapeError, "A*x (n×1) and B*x (n×1)"),
    "Hadamard": (lambda: hadamard(A, A * C), ShapeError, "A (n×m) and A*C (n×k)"),
    "inner": (lambda: inner(tanh(A), x), ShapeError, "tanh(A) (n×m) and x (m×1)"),
    "trace": (lambda: trace(A), ShapeError, "A (n×m)"),
    "stack": (lambda: hstack(A, x), ShapeError, "A (n×m) and x (m×1)"),
    "no stack": (lambda: hstack(), TypeError, "at least one matrix"),
    "scalar plus matrix": (lambda: A + a, ShapeError, "a is a scalar and A has shape n×m"),
    "quotient of matrices": (lambda: A / B, ShapeError, "B (n×m)"),
    "equation": (lambda: equation(A, B.T), ShapeError, "A (n×m) cannot equal B.T (m×n)"),
    "one side": (lambda: equation(A), ValueError, "two sides"),
    "no scalar": (lambda: gradient(square(A * x), A), ShapeError, "(A*x)**2 (n×1)"),
    "no variable": (lambda: gradient(inner(A, B), A + B), TypeError, "A + B"),
    "dimension": (lambda: gradient(n * total(A), n), TypeError, "got n"),
    "unknown function": (
        lambda: gradient(total(elementwise(sp.floor, A)), A), TypeError, "floor(z)"),
    "named unknown function": (
        lambda: gradient(total(elementwise(sp.Function("f"), A)), A), TypeError, "f(z)"),
    "power": (lambda: S**n, TypeError, "expected an integer exponent for the matrix S (n×n)"),
    "power of a rectangle": (lambda: A**2, ShapeError, "power: expected a square matrix, got A"),
    "inverse": (lambda: inverse(A), ShapeError, "inverse: expected a square matrix, got A (n×m)"),
    "determinant": (lambda: det(A), ShapeError, "det: expected a square matrix, got A (n×m)"),
    "elementwise exponent": (lambda: power(A, n), TypeError, "a number as the exponent, got n"),
    "diagonal": (lambda: diag(A), ShapeError, "diag: expected a square matrix, got A (n×m)"),
    "softmax of a scalar": (lambda: softmax(a), TypeError, "softmax: expected a matrix"),
    "norm of a scalar": (lambda: norm2(a), TypeError, "norm2: expected a matrix"),
    "function of a matrix": (
        lambda: gradient(sp.exp(S) * a, a) and gradient(sp.exp(S), S), TypeError, "elementwise"),
    "style": (lambda: gradient(trace(S), S).latex("index"), ValueError, '"inner" or "trace"'),
    "stack has no rule": (lambda: gradient(total(hstack(A, B)), A), TypeError, "HStack"),
    "function of two": (lambda: elementwise(lambda z: a * z, A), ValueError, "a*z"),
    "let with another shape": (lambda: let(b, W), ShapeError, "b (n×1) and W (n×m)"),
    "let without a name": (lambda: let(W * x, b), TypeError, "a name or a symbol first"),
    "Hadamard of scalars": (lambda: hadamard(A, a), TypeError, "the scalar a"),
    "no Hadamard": (lambda: hadamard(), TypeError, "at least one"),
    "total of a scalar": (lambda: total(a), TypeError, "total: expected a matrix, got a"),
    "delta with the variable": (lambda: vjp(W * x, W, W * x), ValueError, "W"),
    "delta's shape": (lambda: vjp(W * x, W, x), ShapeError, "x (m×1) and W*x (n×1)"),
    "one name, two shapes": (
        lambda: gradient(inner(x, x) + total(vector("x", n)), x), ValueError, "the name x"),
    "scalar and matrix": (
        lambda: gradient(scalar("A") * total(A), A), ValueError, "the name A stands for two"),
    "one name, two definitions": (
        lambda: equation(let("h", tanh(v)), let("h", sigmoid(v))), ValueError, "tanh(v)"),
    "several values": (lambda: gradient(inner(A, B), [A, B]).value, ValueError, "A, B"),
    "missing array": (
        lambda: gradient(inner(A, B), A).to_function()(A=np.ones((2, 3))), TypeError, "['B']"),
    "unknown array": (
        lambda: to_function(A)(A=np.ones((2, 3)), Q=1.0), TypeError, "unknown ['Q']"),
    "array's shape": (
        lambda: to_function(A * x)(A=np.ones((2, 3)), x=np.ones((2, 1))), ValueError, "(3, 1)"),
    "flat vector": (lambda: to_function(v)(v=np.ones(2)), ValueError, "got (2,)"),
    "unknown size": (
        lambda: gradient(total(A), A).to_function()(), TypeError, "the size n is not known"),
}  # fmt: skip


@pytest.mark.parametrize(("act", "kind", "message"), ERRORS.values(), ids=ERRORS)
def test_errors_show_what_came(act, kind, message):
    with pytest.raises(kind) as caught:
        act()
    assert message in str(caught.value)


def test_symbols_of_sympy_are_refused_where_they_have_no_meaning():
    Q = sp.MatrixSymbol("Q", m, n)
    with pytest.raises(TypeError, match="MatrixSymbol Q"):
        gradient(trace(Q * W), W).verify()
