"""Bad input to the calculus: errors that show what came."""

import numpy as np
import pytest
import sympy as sp
from calculus_cases import (
    A,
    B,
    C,
    S,
    W,
    a,
    b,
    m,
    n,
    v,
    x,
)
from sympy.matrices.exceptions import ShapeError

from rnnlib.calculus import (
    det,
    diag,
    elementwise,
    equation,
    gradient,
    hadamard,
    hstack,
    inner,
    inverse,
    let,
    norm2,
    power,
    scalar,
    sigmoid,
    softmax,
    square,
    tanh,
    to_function,
    total,
    trace,
    vector,
    vjp,
)

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
