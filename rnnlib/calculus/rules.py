"""The rules of differentials, one function each.

The state of a derivation is a sum of terms c·dL or ⟨G, dE⟩.  A rule opens one dE.  It returns a
list of pairs: how the opened term looks, and the new term after everything beside the differential
has been moved to the other side of the inner product.  Factors that do not depend on the variables
are constant, and their differential is left out.
"""

from dataclasses import dataclass

import sympy as sp
from sympy import MatAdd, MatMul, Trace
from sympy.matrices.expressions.hadamard import HadamardProduct
from sympy.matrices.expressions.special import Identity
from sympy.matrices.expressions.transpose import Transpose

from rnnlib.calculus import expressions as ex
from rnnlib.calculus.functions import derivative, slope


@dataclass(frozen=True)
class Term:
    """⟨weight, d target⟩, or weight·d target where both are scalars."""

    weight: sp.Basic
    target: sp.Basic

    def expression(self):
        return pair(self.weight, ex.d(self.target))


def pair(weight, change):
    """Return ⟨weight, change⟩ for matrices and the plain product for scalars."""
    return ex.inner(weight, change) if ex.is_matrix(weight) else weight * change


@dataclass(frozen=True)
class Opened:
    """What a rule made of a term: its name, the opened parts, and what moved them."""

    rule: str
    parts: tuple  # of (expression as opened, Term after the move)
    move: str = ""


class UnknownRule(TypeError):
    """No rule gives the differential of this expression."""


def open_term(term, depends):
    """Apply the rule that fits ``term.target``; ``depends(x)`` says whether x varies."""
    target = term.target
    for kinds, rule in _RULES:
        if isinstance(target, kinds):
            return rule(term.weight, target, depends)
    raise UnknownRule(
        f"differential: no rule for {type(target).__name__} in {target} ({ex.shape_text(target)})"
    )


def _plain(weight, targets):
    """Parts that need no move: ⟨G, dA⟩ + ⟨G, dB⟩."""
    terms = [Term(weight, t) for t in targets]
    return tuple((t.expression(), t) for t in terms)


def _inner(c, x, depends):
    a, b = x.args
    sides = [(b, a)] if a == b else [(b, a), (a, b)]
    scale = 2 * c if a == b else c
    terms = [Term(ex.mul(scale, other), side) for other, side in sides if depends(side)]
    return Opened("inner product", tuple((t.expression(), t) for t in terms))


def _to_inner(rule, weight_of):
    def apply(c, x, depends):
        term = Term(ex.mul(c, weight_of(x.args[0])), x.args[0])
        return Opened(rule, ((term.expression(), term),))

    return apply


def _scalar_function(c, x, depends):
    """A scalar sum, product, power or function of scalars: the chain rule of school."""
    if x.is_Add:
        pieces = [t.as_coeff_Mul() for t in x.as_ordered_terms() if depends(t)]
        terms = [Term(c * number, rest) for number, rest in pieces]
        return Opened("sum rule", tuple((t.expression(), t) for t in terms))
    number, rest = x.as_coeff_Mul()
    if number != 1:
        term = Term(c * number, rest)
        return Opened("constant factor", ((term.expression(), term),))
    parts = []
    for i, argument in enumerate(x.args):
        if depends(argument):
            if not isinstance(argument, sp.Expr):
                raise UnknownRule(f"differential: no rule for {type(x).__name__} in {x} (scalar)")
            inside = sp.Dummy(real=True)
            outer = derivative(x.func(*x.args[:i], inside, *x.args[i + 1 :]), inside)
            parts.append(Term(c * outer.subs(inside, argument), argument))
    name = "product rule" if x.is_Mul else "function of a number"
    return Opened(name, tuple((t.expression(), t) for t in parts))


def _named(g, x, depends):
    if isinstance(x.definition, ex.Elementwise):
        opened = _elementwise(g, x.definition, depends, output=x)
        return Opened(f"elementwise function, {{{x.name}}}", opened.parts, opened.move)
    return Opened(f"definition of {{{x.name}}}", _plain(g, [x.definition]))


def _sum(g, x, depends):
    return Opened("sum rule", _plain(g, [t for t in x.args if depends(t)]))


def _product(g, x, depends):
    scale, factors = x.as_coeff_matrices()
    parts = []
    if depends(scale):
        rest = ex.mul(*factors)
        opened = ex.inner(g, ex.mul(ex.d(scale), rest))
        parts.append((opened, Term(ex.inner(g, rest), scale)))
    for i, factor in enumerate(factors):
        if depends(factor):
            left, right = factors[:i], factors[i + 1 :]
            opened = ex.inner(g, ex.mul(scale, *left, ex.d(factor), *right))
            moved = ex.mul(scale, *_transposed(left), g, *_transposed(right))
            parts.append((opened, Term(moved, factor)))
    return Opened("product rule", tuple(parts), "move the factors across")


def _transposed(factors):
    return [ex.transpose(f) for f in reversed(factors)]


def _transpose(g, x, depends):
    opened = ex.inner(g, ex.Transposed(ex.d(x.arg)))
    return Opened("transpose", ((opened, Term(ex.transpose(g), x.arg)),), "transpose both sides")


def _hadamard(g, x, depends):
    parts = []
    for i, factor in enumerate(x.args):
        if depends(factor):
            others = x.args[:i] + x.args[i + 1 :]
            opened = ex.inner(g, ex.hadamard(*x.args[:i], ex.d(factor), *x.args[i + 1 :]))
            parts.append((opened, Term(ex.hadamard(g, *others), factor)))
    return Opened("Hadamard product", tuple(parts), "move the factor across")


def _elementwise(g, x, depends, output=None):
    f = slope(x, x if output is None else output)
    opened = ex.inner(g, ex.hadamard(f, ex.d(x.argument)))
    term = Term(ex.hadamard(g, f), x.argument)
    return Opened("elementwise function", ((opened, term),), "move the factor across")


_RULES = (
    (ex.Inner, _inner),
    (ex.Total, _to_inner("sum of all entries", lambda a: ex.Ones(*a.shape))),
    (Trace, _to_inner("trace", lambda a: Identity(a.rows))),
    (ex.AsScalar, _to_inner("1×1 matrix as a scalar", lambda a: Identity(1))),
    (ex.Named, _named),
    (MatAdd, _sum),
    (MatMul, _product),
    (Transpose, _transpose),
    (HadamardProduct, _hadamard),
    (ex.Elementwise, _elementwise),
    ((sp.Add, sp.Mul, sp.Pow, sp.Function), _scalar_function),
)
