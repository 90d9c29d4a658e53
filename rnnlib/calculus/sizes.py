"""Choices of sizes at which a statement about matrices of every size is tried."""

import itertools

import sympy as sp

from rnnlib.calculus import expressions as ex
from rnnlib.calculus.explicit import STEP, Numbers
from rnnlib.calculus.meaning import leaves


def size_choices(*expressions):
    """Return several choices of sizes: all 1, all 2, and unequal ones with a 1 in turn everywhere.

    Unequal sizes tell a matrix from its transpose; sizes of 1 find products that fit by luck.
    Any two dimensions differ in some choice.  Choices at which something is divided by 0, or a
    matrix without an inverse inverted, are left out, and others found until each dimension has
    been more than 1.

    Raises ValueError when there is no such choice.
    """
    possible = _Possible(expressions)
    count = len(possible.symbols)
    cycles = [(1,), (2, 3, 1), (3, 1, 2), (1, 2, 3), (2,)]
    for run in itertools.takewhile(lambda r: r < count, (3**i for i in itertools.count(1))):
        cycles.append((1,) * run + (2,) * run + (3,) * run)
    choices = possible.among(cycles)
    stuck = possible.always_one(choices)
    if stuck:
        # Unequal sizes first.
        more = list(itertools.islice(itertools.product((3, 2, 1), repeat=count), 3**6))
        for choice in possible.among(sorted(more, key=lambda sizes: -len(set(sizes)))):
            if any(choice[s] > 1 for s in stuck):
                choices.append(choice)
                stuck = possible.always_one(choices)
    if not choices or stuck:
        raise ValueError(
            f"sizes: found none{f' with {stuck[0]} > 1' if stuck and choices else ''} that make "
            f"all of {sorted(possible.shapes, key=str)} positive and every inverse exist"
        )
    return choices


def larger_sizes(*expressions):
    """Return choices of sizes of four and more, at which symbols would be too many.

    One of equal and one of unequal sizes; one more where dimensions stand as numbers, whose
    factors such as n - 5 may vanish.
    """
    possible = _Possible(expressions)
    if not possible.symbols:
        return []
    cycles = [(5, 4, 6), (4, 6, 5), (6, 5, 4), (4, 5, 6), (5, 6, 4)]
    choices = [*possible.among([(4,)]), *possible.among(cycles)[:1]]
    if any(_has_dimension(x) for x in ex.walk(*expressions)) and not possible.divisors:
        choices += possible.among([(11, 13, 7), (13, 7, 11)])[:1]
    return choices


def _has_dimension(x):
    if isinstance(x, (sp.Trace, ex.Total, ex.Inner)) and not leaves(x):
        return True  # such as tr(I), which is a dimension
    return (
        isinstance(x, sp.Expr)
        and not ex.is_matrix(x)
        and any(
            isinstance(a, sp.Symbol) and a.is_integer and not isinstance(a, sp.Dummy)
            for a in x.args
        )
    )


class _Possible:
    """The dimensions of expressions, and the sizes at which all that they contain exists."""

    def __init__(self, expressions):
        nodes = list(ex.walk(*expressions))
        self.shapes = {n for x in nodes if ex.is_matrix(x) for n in x.shape}
        symbols = {s for n in self.shapes for s in sp.sympify(n).free_symbols}
        self.symbols = sorted(symbols, key=str)
        self.divisors = [d for x in nodes for d in _divisors(x)]

    def always_one(self, choices):
        """Return the dimensions that are 1 in every choice."""
        return [s for s in self.symbols if all(choice[s] == 1 for choice in choices)]

    def among(self, cycles):
        """Return the choices that these cycles give, each once, where they are possible."""
        choices = []
        for cycle in cycles:
            choice = dict(zip(self.symbols, itertools.cycle(cycle), strict=False))
            if choice not in choices and self._exists(choice):
                choices.append(choice)
        return choices

    def _exists(self, choice):
        if any(sp.sympify(n).subs(choice) <= 0 for n in self.shapes):
            return False
        # Several seeds: a divisor such as relu(x) is 0 at half of all points.
        tries = [Numbers(choice, seed=seed) for seed in range(12)]
        return all(any(abs(t.of(d)) > STEP for t in tries) for d in self.divisors)


def _divisors(x):
    """Yield the numbers by which a node divides: a determinant, or the base of 1/s."""
    if isinstance(x, sp.Inverse):
        yield ex.det(x.arg)
    elif isinstance(x, sp.Pow) and x.exp.is_negative and not x.has(sp.Dummy):
        yield x.base
