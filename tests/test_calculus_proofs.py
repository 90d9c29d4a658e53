"""Lines, equations and sizes: what is proved, and what is refuted."""

import dataclasses

import pytest
import sympy as sp
from calculus_cases import (
    A,
    B,
    C,
    R,
    S,
    W,
    b,
    e_4,
    each_case,
    h,
    m,
    n,
    p,
    v,
    x,
)

from rnnlib.calculus import (
    cos,
    d,
    dims,
    equation,
    exp,
    gradient,
    hadamard,
    hstack,
    inner,
    log,
    matrix,
    ones,
    power,
    relu,
    sigmoid,
    sin,
    square,
    tanh,
    total,
    trace,
    vector,
)
from rnnlib.calculus.explicit import Entries
from rnnlib.calculus.sizes import size_choices

# Lines and proofs


@each_case
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


def test_what_is_true_at_small_sizes_alone_is_refuted():
    for size in (1, 2, 3):
        entries = Entries({n: size})
        assert sp.expand(entries.full(entries.of(e_4(S)))) == 0
    proof = equation(trace(S * R) + e_4(S), trace(S * R)).verify()
    assert str(proof) == "refuted: side 2 differs at n=4"
    assert not equation(d(trace(S * R) + e_4(S)), d(trace(S * R))).verify()
    forged = gradient(trace(S * R), S)
    assert not dataclasses.replace(forged, expression=forged.expression + e_4(S)).verify()
