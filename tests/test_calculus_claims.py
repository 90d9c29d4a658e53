"""Verdicts on claims: no wrong one passes, no right one fails, and the reason given is right."""

import random

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlib.calculus import (
    check,
    cos,
    d,
    dims,
    elementwise,
    exp,
    gradient,
    hadamard,
    inner,
    let,
    log,
    matrix,
    ones,
    relu,
    scalar,
    sigmoid,
    sin,
    square,
    tanh,
    to_function,
    total,
    trace,
    vector,
)
from rnnlib.calculus.expressions import as_scalar
from rnnlib.calculus.functions import Step
from rnnlib.calculus.meaning import leaves

n, m = dims("n m")
W, S, R = matrix("W", n, m), matrix("S", n, n), matrix("R", n, n)
x, v, y, b = vector("x", m), vector("v", n), vector("y", n), vector("b", n)
a, c = scalar("a"), scalar("c")
h = let("h", tanh(W * x + b))
g = hadamard(v, 1 - hadamard(h, h))
p = let("p", exp(v) / total(exp(v)))

TANH = inner(v, h)
GRAM = trace(S.T * S * R)
SQUARE = total(square(W * x - v)) / 2
ENTROPY = log(total(exp(v))) - inner(y, v)

RIGHT = {
    "as derived": (g * x.T, TANH, W),
    "with the function for its name": (hadamard(v, 1 - square(tanh(W * x + b))) * x.T, TANH, W),
    "another function": (hadamard(v, elementwise(lambda z: sp.cosh(z) ** -2, W * x + b)), TANH, b),
    "factors inside": (hadamard(v * x.T, (1 - hadamard(h, h)) * ones(m).T), TANH, W),
    "other order": (S * R.T + S * R, GRAM, S),
    "factored": (S * (R + R.T), GRAM, S),
    "transposed whole": (((R + R.T) * S.T).T, GRAM, S),
    "multiplied out": (W * x * x.T - v * x.T, SQUARE, W),
    "numbers": (0.5 * (2 * (W * x - v)) * x.T, SQUARE, W),
    "softmax by its name": (p * total(y) - total(y) * p + p - y, ENTROPY, v),
    "sigmoid by its formula": (
        elementwise(lambda z: sp.exp(-z) / (1 + sp.exp(-z)) ** 2, v), total(sigmoid(v)), v),
    "sine of the double": (elementwise(lambda z: sp.sin(2 * z), v), total(square(sin(v))), v),
    "relu": (elementwise(Step, 2 * (W * x)) * x.T, total(relu(W * x)), W),
    "absolute": (elementwise(sp.sign, v), total(elementwise(sp.Abs, v)), v),
    "scalar": (inner(v, y), a * (v.T * y), a),
    "1×1 for a scalar": (v.T * y, a * inner(v, y), a),
    "dimensions": (2 * W / (n * m), inner(W, W) / (n * m), W),
    "zero": (0 * W, inner(x, x), W),
    "for a name": (v, TANH, h),
}  # fmt: skip

# claim, expression, variable, what the verdict says
WRONG = {
    "sign": (-g * x.T, TANH, W, "The sign is wrong"),
    "factor": (2 * g * x.T, TANH, W, "your answer is 2 times the gradient"),
    "fraction": (-g * x.T / 3, TANH, W, "your answer is -1/3 times the gradient"),
    "transpose": ((R + R.T) * S.T, GRAM, S, "the transpose of the gradient"),
    "missing term": (S * R, GRAM, S, "A term is missing: S*R.T"),
    "sign of a term": (W * x * x.T + v * x.T, inner(W * x, W * x) / 2 - v.T * W * x, W,
                       "The sign of one term is wrong: the gradient contains the term -v*x.T"),
    "shape": (x * g.T, TANH, W, "Wrong shape: the gradient for W is n×m like W, and yours is m×n"),
    "scalar for a matrix": (a, TANH, W, "n×m like W, and yours is scalar"),
    "matrix for a scalar": (v, a * inner(v, y), a, "scalar like a, and yours is n×1"),
    "slope of sigmoid": (hadamard(v, h, 1 - h) * x.T, TANH, W, "the entry W[0, 0] of your answer"),
    "no slope": (v * x.T, TANH, W, "the entry W[0, 0] of your answer"),
    "swapped factors": (S * R * R, trace(S * R * S.T), S, "the entry S[0, 0]"),
    "one transpose too many": (S.T * (R + R.T), GRAM, S, "transpose is wrong: look again at S"),
    "one Hadamard too many": (hadamard(S, R + R.T), GRAM, S, "at n=2 the entry S[0, 0]"),
    "another variable": (a * (g * x.T), TANH, W, "the entry"),
    "dimension for a number": (n * (g * x.T), TANH, W, "at m=2, n=3 the entry"),
    "other dimension": (2 * W / n**2, inner(W, W) / (n * m), W, "at m=2, n=3 the entry"),
    "y - p": (y - p, ENTROPY, v, "The sign is wrong"),
    "no target": (p, ENTROPY, v, "A term is missing: -y"),
    "zero gradient": (W, inner(x, x), W, "the gradient's is 0"),
    "relu without its mask": (ones(n) * x.T, total(relu(W * x)), W, "the entry"),
    "kink out of reach": (ones(n), total(relu(v + 100)), v, "Wrong"),
    "two masks": (hadamard(elementwise(Step, v), elementwise(Step, y)), total(relu(v)), v, "Wrong"),
    "scalar mask": (1, relu(a), a, "Wrong"),
    "absolute without sign": (ones(n), total(elementwise(sp.Abs, v)), v, "Wrong"),
    "a differential": (g * x.T + d(v) * x.T, TANH, W, "yours contains d(v)"),
    "no answer": (None, TANH, W, "No answer yet"),
    "dots": (..., TANH, W, "No answer yet"),
}  # fmt: skip


@pytest.mark.parametrize(("claim", "expression", "variable"), RIGHT.values(), ids=RIGHT)
def test_right_claims_are_accepted_in_any_form(claim, expression, variable):
    verdict = check(claim, expression, variable)
    assert verdict, str(verdict)
    assert str(verdict) == f"Right: this is the gradient for {variable}."


@pytest.mark.parametrize(("claim", "expression", "variable", "reason"), WRONG.values(), ids=WRONG)
def test_wrong_claims_are_rejected_with_the_reason(claim, expression, variable, reason):
    verdict = check(claim, expression, variable)
    assert not verdict
    assert reason in str(verdict)


def test_first_differing_entry_is_shown_with_both_values():
    verdict = check(2 * hadamard(W, W), inner(W, W), W)
    assert str(verdict) == (
        "Wrong: at m=1, n=1 the entry W[0, 0] of your answer is 4.77686, "
        "and the gradient's is 3.09091."
    )


def test_a_term_too_many_is_named():
    verdict = check(2 * W + ones(n, m), inner(W, W), W)
    assert str(verdict) == "A term is too many: ones(n, m)."


def test_what_is_no_expression_is_no_claim():
    with pytest.raises(TypeError, match="expected an expression"):
        check([1, 2], TANH, W)


@pytest.mark.parametrize("position", range(1, 4))
def test_a_dropped_time_step_is_noticed(position):
    states, alphas, carried = [vector("h_0", n)], [], None
    for t in (1, 2, 3):
        states.append(let(f"h_{t}", tanh(W * vector(f"x_{t}", m) + S * states[-1])))
    deltas = [vector(f"delta_{t}", n) for t in (1, 2, 3)]
    for t in (3, 2, 1):
        total_gradient = deltas[t - 1] if carried is None else deltas[t - 1] + carried
        alphas.insert(0, hadamard(total_gradient, 1 - hadamard(states[t], states[t])))
        carried = S.T * alphas[0]
    loss = sum(inner(delta, state) for delta, state in zip(deltas, states[1:], strict=True))
    terms = [alpha * state.T for alpha, state in zip(alphas, states[:-1], strict=True)]
    dropped = sum(terms[:position] + terms[position + 1 :], 0 * S)
    assert bool(check(dropped, loss, S)) == (position == 3)


# Random expressions

SHAPES = [(n, m), (m, n), (n, n), (n, 1), (1, m), (1, 1)]
FUNCTIONS = (tanh, sigmoid, square, sin, cos, exp, relu)


def variable(rng, shape):
    return matrix(rng.choice("AB") + "".join(map(str, shape)), *shape)


def tree(rng, shape, depth):
    """A random matrix expression, built as a reader builds one."""
    if depth == 0 or rng.random() < 0.1:
        return variable(rng, shape)

    def part(shape=shape):
        return tree(rng, shape, depth - 1)

    between = rng.choice((n, m, sp.S.One))
    return rng.choice((
        lambda: part() + part(),
        lambda: part() - part(),
        lambda: part((shape[0], between)) * part((between, shape[1])),
        lambda: part((shape[0], between)) * part((shape[1], between)).T,
        lambda: part(shape[::-1]).T,
        lambda: hadamard(part(), part()),
        lambda: rng.choice(FUNCTIONS)(part()),
        lambda: rng.choice((2, -3, sp.Rational(1, 2), a, 1 / (1 + c**2))) * part(),
        lambda: let(f"name{rng.random()}", part()),
    ))()  # fmt: skip


def loss(rng, depth):
    shape = rng.choice(SHAPES)
    return rng.choice((
        lambda: inner(tree(rng, shape, depth), tree(rng, shape, depth)),
        lambda: total(tree(rng, shape, depth)),
        lambda: trace(tree(rng, (shape[0], shape[0]), depth)),
        lambda: as_scalar(tree(rng, (sp.S.One, sp.S.One), depth)),
        lambda: tanh(total(tree(rng, shape, depth))) ** 2,
    ))()  # fmt: skip


def spoiled(value, rng):
    """Some changes that a slip of the pen makes, each equal to the value only by chance."""
    yield -value
    yield 2 * value
    if getattr(value, "shape", ()) and value.rows == value.cols:
        yield value.T
    if isinstance(value, sp.MatAdd):
        terms = list(value.args)
        yield value - rng.choice(terms)
        yield value - 2 * rng.choice(terms)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_random_expressions(seed):
    rng, numbers = random.Random(seed), np.random.default_rng(seed)
    expression = loss(rng, depth=2)
    x = rng.choice(leaves(expression))
    derivation = gradient(expression, x)
    proof = derivation.verify()
    assert proof, f"{expression}: {proof}"
    sizes = {n: 4, m: 5}
    shapes = {u.name: getattr(u, "shape", ()) for u in leaves(expression)}
    points = [
        {u: numbers.normal(size=[sizes.get(r, 1) for r in shape]) for u, shape in shapes.items()}
        for _ in range(6)
    ]
    truth = derivation.to_function()
    assert check(derivation.value, expression, x)
    for claim in spoiled(derivation.value, rng):
        claimed = to_function(claim, expression)
        equal = all(np.allclose(claimed(**at), truth(**at), rtol=1e-9, atol=0) for at in points)
        assert bool(check(claim, expression, x)) == equal, f"{claim} for {expression}"


def test_a_transpose_inside_the_claim_is_named():
    H = dims("H")
    W, h_prev, g = matrix("W_hh", H, H), vector("h_prev", H), vector("g", H)
    h_1 = let("h_1", tanh(W * h_prev))
    h_2 = let("h_2", tanh(W * h_1))
    loss = inner(g, h_2)
    second = hadamard(g, 1 - hadamard(h_2, h_2))

    def claim(back):
        first = hadamard(back * second, 1 - hadamard(h_1, h_1))
        return second * h_1.T + first * h_prev.T

    assert check(claim(W.T), loss, W)
    verdict = check(claim(W), loss, W)
    assert not verdict
    assert str(verdict) == "A transpose is wrong: look again at W_hh."


def test_a_name_and_what_it_stands_for_are_the_same_in_a_claim():
    pre = let("pre", W * x + b)
    loss = inner(v, tanh(pre))
    for a in (pre, W * x + b):
        assert check(hadamard(v, 1 - hadamard(tanh(a), tanh(a))), loss, pre)
        assert not check(hadamard(v, 1 - tanh(a)), loss, pre)
