"""Expressions, and the same in torch, that the tests of the calculus share."""

import os
import subprocess
import sys
import textwrap

import pytest
import sympy as sp
import torch

from rnnlib.calculus import (
    cos,
    det,
    diag,
    dims,
    elementwise,
    exp,
    hadamard,
    inner,
    inverse,
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
    total,
    trace,
    unroll,
    vector,
)
from rnnlib.calculus.functions import Sigmoid
from rnnlib.calculus.meaning import leaves

n, m, k = dims("n m k")
A, B, W = matrix("A", n, m), matrix("B", n, m), matrix("W", n, m)
C, S, R = matrix("C", m, k), matrix("S", n, n), matrix("R", n, n)
x, v, y, b = vector("x", m), vector("v", n), vector("y", n), vector("b", n)
a, c = scalar("a"), scalar("c")
h = let("h", tanh(W * x + b))
p = let("p", exp(v) / total(exp(v)))


def rnn(steps):
    """The loss of an unrolled network that uses the same weights at every step."""

    def step(state, t):
        return let(f"h_{t}", tanh(W * vector(f"x_{t}", m) + b + S * state))

    states = unroll(step, steps, vector("h_0", n))
    return sum(inner(vector(f"delta_{t}", n), h) for t, h in enumerate(states[1:], 1))


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


each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


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


def e_4(X):
    """24 times the sum of all products of four different eigenvalues: 0 for sizes up to 3."""
    t = {k: trace(X**k) for k in (1, 2, 3, 4)}
    return t[1] ** 4 - 6 * t[1] ** 2 * t[2] + 3 * t[2] ** 2 + 8 * t[1] * t[3] - 6 * t[4]


def fresh(code, **environment):
    """Run code in a new interpreter; returns what it prints."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout
