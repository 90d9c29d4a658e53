"""The rules of differentials, one function each.

A rule says how an expression changes with its arguments: d f = Σ forward(d argument).  Beside each
forward stands its adjoint, backward, which moves everything but the differential to the other side
of an inner product: ⟨G, forward(dA)⟩ = ⟨backward(G), dA⟩.  Arguments that do not depend on the
variables are constant and left out.  Nothing here is trusted: every line of a derivation is proved
from outside, see ``proof``.
"""

from collections.abc import Callable
from dataclasses import dataclass

import sympy as sp
from sympy import Determinant, Inverse, MatAdd, MatMul, MatPow, Trace
from sympy.matrices.expressions.hadamard import HadamardProduct
from sympy.matrices.expressions.transpose import Transpose

from rnnlib.calculus import expressions as ex
from rnnlib.calculus import nodes
from rnnlib.calculus.functions import derivative, slope


@dataclass(frozen=True)
class Part:
    """One argument of an expression, what its change does, and the way back."""

    argument: sp.Basic
    forward: Callable  # dA ↦ its share of the expression's differential
    backward: Callable  # G ↦ the weight of dA


@dataclass(frozen=True)
class Opened:
    """What a rule made of an expression: its name, the parts, and how weights are moved."""

    rule: str
    parts: list
    move: str = ""


class UnknownRule(TypeError):
    """No rule gives the differential of this expression."""


def open_expression(x, depends):
    """Apply the rule that fits ``x``; ``depends(a)`` says whether an argument varies."""
    if ex.is_named(x):
        return _named(x, depends)
    return _rule_for(x)(x, depends, x)


def _rule_for(x):
    for kinds, rule in _RULES:
        if isinstance(x, kinds):
            return rule
    raise UnknownRule(f"differential: no rule for {type(x).__name__} in {x} ({ex.shape_text(x)})")


def _named(x, depends):
    if isinstance(x.definition, (nodes.Elementwise, nodes.Softmax)):
        # The slope of these is written with their output, so the name goes along.
        opened = _rule_for(x.definition)(x.definition, depends, x)
        return Opened(f"{opened.rule}, {{{x.name}}}", opened.parts, opened.move)
    return Opened(f"definition of {{{x.name}}}", [_unchanged(x.definition)])


def _unchanged(a):
    return Part(a, lambda change: change, lambda g: g)


# Scalars: their weight is a number c, and c·⟨W, dA⟩ = ⟨c·W, dA⟩ needs no move.


def _inner(x, depends, _):
    a, b = x.args
    if a == b:
        return _from_weight("squared norm", a, 2 * a)
    pairs = [
        Part(a, lambda change: ex.inner(change, b), lambda c: ex.mul(c, b)),
        Part(b, lambda change: ex.inner(a, change), lambda c: ex.mul(c, a)),
    ]
    return Opened("inner product", [p for p in reversed(pairs) if depends(p.argument)])


def _from_weight(rule, a, weight, forward=None):
    """The differential is ⟨weight, dA⟩, perhaps better known as ``forward`` of dA."""
    forward = forward or (lambda change: ex.inner(weight, change))
    return Opened(rule, [Part(a, forward, lambda c: ex.mul(c, weight))])


def _total(x, *_):
    (a,) = x.args
    return _from_weight("sum of entries", a, nodes.Ones(*a.shape), ex.total)


def _trace(x, *_):
    return _from_weight("trace", x.arg, nodes.Eye(x.arg.rows), ex.trace)


def _as_scalar(x, *_):
    return _from_weight("1×1 matrix as a scalar", x.args[0], nodes.Eye(1), ex.as_scalar)


def _determinant(x, *_):
    a = x.arg
    inverse = ex.inverse(a)
    return _from_weight(
        "determinant",
        a,
        ex.mul(x, ex.transpose(inverse)),
        lambda change: x * ex.trace(ex.mul(inverse, change)),
    )


def _log_sum_exp(x, *_):
    return _from_weight("log-sum-exp", x.args[0], ex.softmax(x.args[0]))


def _scalar_function(x, depends, _):
    """A scalar sum, product, power or function of scalars: the chain rule of school."""
    if x.is_Add:
        terms = [t for t in ex.ordered_terms(x) if depends(t)]
        return Opened("sum rule", [_times(*t.as_coeff_Mul()) for t in terms])
    number, rest = x.as_coeff_Mul()
    if number != 1:
        return Opened("constant factor", [_times(number, rest)])
    parts = []
    for i, argument in enumerate(x.args):
        if depends(argument):
            if ex.is_matrix(argument) or not isinstance(argument, sp.Expr):
                raise UnknownRule(
                    f"differential: no rule for {type(x).__name__} in {x} (scalar); a function of "
                    "each entry is elementwise(function, A)"
                )
            inside = sp.Dummy(real=True)
            outer = derivative(x.func(*x.args[:i], inside, *x.args[i + 1 :]), inside)
            parts.append(_times(outer.subs(inside, argument), argument))
    if x.is_Mul:
        return Opened("product rule" if len(parts) > 1 else "constant factor", parts)
    return Opened("function of a number", parts)


def _times(number, argument):
    return Part(argument, lambda change: number * change, lambda c: c * number)


# Matrices.


def _sum(x, depends, _):
    return Opened("sum rule", [_unchanged(t) for t in x.args if depends(t)])


def _product(x, depends, _):
    scale, factors = x.as_coeff_matrices()
    if len(factors) == 1 and not depends(scale):
        return Opened("constant factor", [_between(scale, [], factors[0], [])])
    parts = []
    if depends(scale):
        rest = ex.mul(*factors)
        parts.append(Part(scale, lambda change: ex.mul(change, rest), lambda g: ex.inner(g, rest)))
    parts += [
        _between(scale, factors[:i], factor, factors[i + 1 :])
        for i, factor in enumerate(factors)
        if depends(factor)
    ]
    return Opened("product rule", parts, "move the factors across")


def _between(scale, left, argument, right):
    """The change of an argument between factors: they leave to their own side, transposed."""
    return Part(
        argument,
        lambda change: ex.mul(scale, *left, change, *right),
        lambda g: ex.mul(scale, *_transposed(left), g, *_transposed(right)),
    )


def _transposed(factors):
    return [ex.transpose(f) for f in reversed(factors)]


def _power(x, *_):
    a, k = x.base, int(x.exp)
    parts = [
        _between(1, [ex.matrix_power(a, r)], a, [ex.matrix_power(a, k - 1 - r)]) for r in range(k)
    ]
    return Opened("power", parts, "move the factors across")


def _inverse(x, *_):
    return Opened("inverse", [_between(-1, [x], x.arg, [x])], "move the factors across")


def _transpose(x, *_):
    part = Part(x.arg, ex.transpose, ex.transpose)
    return Opened("transpose", [part], "transpose both sides")


def _hadamard(x, depends, _):
    def part(i, factor):
        before, after = x.args[:i], x.args[i + 1 :]
        return Part(
            factor,
            lambda change: ex.hadamard(*before, change, *after),
            lambda g: ex.hadamard(g, *before, *after),
        )

    parts = [part(i, factor) for i, factor in enumerate(x.args) if depends(factor)]
    return Opened("Hadamard product", parts, "move the factor across")


def _elementwise(x, _, output):
    f = slope(x, output)
    part = Part(x.argument, lambda change: ex.hadamard(f, change), lambda g: ex.hadamard(g, f))
    return Opened("elementwise function", [part], "move the factor across")


def _softmax(x, _, p):
    ones = ex.ones(*x.shape)

    def centred(g):
        if x.axis == 0:
            return ex.hadamard(p, ex.add(g, ex.mul(-ex.inner(p, g), ones)))
        row_sums = ex.mul(ex.hadamard(p, g), ex.ones(x.cols), ex.ones(1, x.cols))
        return ex.hadamard(p, ex.add(g, ex.mul(-1, row_sums)))

    # The map is its own adjoint.
    return Opened("softmax", [Part(x.argument, centred, centred)], "move the factors across")


def _row_log_sum_exp(x, *_):
    (a,) = x.args
    p = ex.softmax(a)
    part = Part(
        a,
        lambda change: ex.mul(ex.hadamard(p, change), ex.ones(a.cols)),
        lambda g: ex.hadamard(p, ex.mul(g, ex.ones(1, a.cols))),
    )
    return Opened("log-sum-exp", [part], "move the factors across")


def _diag(x, *_):
    return Opened("diagonal", [Part(x.args[0], ex.diag, ex.diag)], "move the diagonal across")


_RULES = (
    (nodes.Inner, _inner),
    (nodes.Total, _total),
    (nodes.LogSumExp, _log_sum_exp),
    (nodes.AsScalar, _as_scalar),
    (Trace, _trace),
    (Determinant, _determinant),
    (MatAdd, _sum),
    (MatMul, _product),
    (Inverse, _inverse),
    (MatPow, _power),
    (Transpose, _transpose),
    (HadamardProduct, _hadamard),
    (nodes.Elementwise, _elementwise),
    (nodes.Softmax, _softmax),
    (nodes.RowLogSumExp, _row_log_sum_exp),
    ((nodes.Diag, nodes.Diagonal), _diag),
    ((sp.Add, sp.Mul, sp.Pow, sp.Function), _scalar_function),
)
