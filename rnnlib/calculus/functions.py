"""Elementwise functions and their slopes.

Each function takes a scalar or a matrix expression.  A slope is written with the output where that
is how a person writes it: for h = σ(a) the slope is h ∘ (1 - h).
"""

import sympy as sp

from rnnlib.calculus.expressions import add, elementwise, hadamard, mul, sympify
from rnnlib.calculus.nodes import Elementwise, Ones


class Sigmoid(sp.Function):
    """1 / (1 + exp(-z)), kept as a name so that its derivative reads σ(1 - σ)."""

    def fdiff(self, argindex=1):
        return self * (1 - self)

    def _eval_is_real(self):
        return self.args[0].is_real

    def _eval_is_positive(self):
        return self.args[0].is_real or None

    def _eval_evalf(self, prec):
        return (1 / (1 + sp.exp(-self.args[0])))._eval_evalf(prec)


class Relu(sp.Function):
    """max(z, 0)."""

    @classmethod
    def eval(cls, z):
        if z.is_number and z.is_real:
            return sp.Max(z, 0)

    def fdiff(self, argindex=1):
        return Step(self.args[0])


class Step(sp.Function):
    """1 where z > 0, else 0: the slope of relu, which at 0 is taken as 0."""

    @classmethod
    def eval(cls, z):
        if z.is_number and z.is_real:
            return sp.S.One if z > 0 else sp.S.Zero

    def fdiff(self, argindex=1):
        return sp.S.Zero


def sigmoid(x):
    """σ(x) = 1 / (1 + exp(-x))."""
    return elementwise(Sigmoid, x)


def tanh(x):
    """The hyperbolic tangent."""
    return elementwise(sp.tanh, x)


def relu(x):
    """max(x, 0)."""
    return elementwise(Relu, x)


def exp(x):
    """The exponential."""
    return elementwise(sp.exp, x)


def log(x):
    """The natural logarithm."""
    return elementwise(sp.log, x)


def sin(x):
    """The sine."""
    return elementwise(sp.sin, x)


def cos(x):
    """The cosine."""
    return elementwise(sp.cos, x)


def square(x):
    """x², entry by entry."""
    return power(x, 2)


def power(x, exponent):
    """x to the power of a number, entry by entry."""
    exponent = sympify(exponent)
    if not exponent.is_number:
        raise TypeError(f"power: expected a number as the exponent, got {exponent}")
    return elementwise(lambda z: z**exponent, x)


def slope(application, output):
    """Return f'(A) for ``application`` = f(A), which is known as ``output``, shaped like A."""
    (z,), body = application.function.variables, application.function.expr
    one = Ones(*application.shape)
    if body == Sigmoid(z):
        return hadamard(output, add(one, mul(-1, output)))
    if body == sp.tanh(z):
        return add(one, mul(-1, hadamard(output, output)))
    if body == sp.exp(z):
        return output
    return _apply(derivative(body, z), z, application.argument)


def derivative(expression, z):
    """Return the ordinary derivative; TypeError for a function that has none."""
    result = sp.diff(expression, z)
    if result.has(sp.Derivative, sp.Subs):
        shown = expression.xreplace({z: sp.Symbol("z")})
        raise TypeError(f"differential: no derivative is known for {shown}")
    return result


def _apply(expression, z, argument):
    """Return ``expression`` of z at ``argument``; a constant or a multiple of z needs no f."""
    if z not in expression.free_symbols:
        return mul(expression, Ones(*argument.shape))
    factor, rest = expression.as_independent(z, as_Add=False)
    if rest == z:
        return mul(factor, argument)
    return mul(factor, Elementwise(sp.Lambda(z, rest), argument))
