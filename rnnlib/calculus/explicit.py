"""Entries: every expression as a small table of symbols, every differential by SymPy's ``diff``."""

import itertools
import random

import sympy as sp

from rnnlib.calculus import expressions as ex
from rnnlib.calculus.meaning import Evaluator

# Decimal digits of numbers, and the step of a numerical derivative: its error is about STEP².
DIGITS = 80
STEP = sp.Float(10, DIGITS) ** -20
# An entry of a product with more symbols than this gets a symbol of its own.
LONG = 6


class Tables(Evaluator):
    """The operations on SymPy matrices."""

    name = "explicit entries"

    def __init__(self, sizes):
        super().__init__({n: sp.Integer(size) for n, size in sizes.items()})

    def numbers(self, x):
        return sp.Matrix(x)

    def filled(self, number, rows, cols):
        return sp.ones(rows, cols) * number

    def identity(self, size):
        return sp.eye(size)

    def matmul(self, a, b):
        return a * b

    def times(self, a, b):
        return a.multiply_elementwise(b)

    def diag(self, a):
        return sp.diag(*a)

    def diagonal(self, a):
        return a.diagonal().T

    def hstack(self, blocks):
        return sp.Matrix.hstack(*blocks)

    def sum(self, a):
        return sum(a)

    def softmax(self, x):
        return self.of(x.definition)

    logsumexp = softmax


class Entries(Tables):
    """Explicit symbolic entries at one choice of sizes.

    sizes: dict from dimension symbols to integers.
    variables: what may change when a differential is taken; everything else is held constant.
        A named expression among them is cut loose from its definition.

    Symbols may stand for long entries in the values of ``of``, so that what is made of them stays
    small; ``full`` writes them out.  Values that are equal with such symbols are equal.
    """

    def __init__(self, sizes, variables=()):
        super().__init__(sizes)
        self.variables = tuple(variables)
        self._symbols = {}  # long values: the symbols that stand for them
        self._values = {}  # these symbols: their values
        self._changes = {}  # symbols for the changes of those: what they stand for
        self._slopes = {}  # derivatives of those by entries

    def variable(self, x):
        return self.symbols(x)

    def named(self, x):
        return self.symbols(x) if x in self.variables else self.of(x.definition)

    def symbols(self, variable, change=False):
        """Return the table of symbols that stands for a variable, or for its change."""
        name = f"d({variable.name})" if change else variable.name
        if not ex.is_matrix(variable):
            plain = isinstance(variable, sp.Symbol) and not change
            return variable if plain else sp.Symbol(name, real=True)
        return sp.Matrix(
            *self.shape(variable), lambda i, j: sp.Symbol(f"{name}[{i},{j}]", real=True)
        )

    def scalar(self, x):
        if not x.args:
            return x
        arguments = map(self.of, x.args)
        if isinstance(x, (sp.Pow, sp.Function)):
            arguments = map(self._shorten, arguments)
        return x.func(*arguments)

    def apply(self, function, a):
        return a.applyfunc(lambda entry: function(self._shorten(entry)))

    def matmul(self, a, b):
        return (a * b).applyfunc(lambda entry: self._shorten(entry) if _is_long(entry) else entry)

    def det(self, a):
        return sp.expand(a.applyfunc(self._shorten).det(method="berkowitz"))

    def inverse(self, a):
        """Return the inverse by Cramer's rule, with one symbol for the determinant."""
        a = a.applyfunc(self._shorten)
        return a.adjugate(method="berkowitz") * (1 / self._shorten(self.det(a)))

    def change(self, x):
        value = self.of(x)
        return value.applyfunc(self._change) if ex.is_matrix(x) else self._change(value)

    def derivative(self, value, variable):
        """Return the derivative of an explicit scalar by each entry of ``variable``."""
        table = self.symbols(variable)
        if not ex.is_matrix(variable):
            return self._diff(value, table)
        return table.applyfunc(lambda entry: self._diff(value, entry))

    def _diff(self, value, entry):
        """Return SymPy's derivative, by way of the symbols for long values too."""
        slope = sp.diff(value, entry)
        for symbol in self._symbols_in(value):
            if (symbol, entry) not in self._slopes:
                self._slopes[symbol, entry] = self._diff(self._values[symbol], entry)
            slope += sp.diff(value, symbol) * self._slopes[symbol, entry]
        return slope

    def _shorten(self, value):
        value = sp.expand(value)
        if value.is_Atom or value.is_number:
            return value
        if value not in self._symbols:
            symbol = sp.Symbol(f"value {len(self._symbols)}", real=True)
            self._symbols[value], self._values[symbol] = symbol, value
        return self._symbols[value]

    def _symbols_in(self, value):
        return sorted(value.free_symbols & self._values.keys(), key=str)

    def meanings(self, value):
        """Yield what symbols in a value stand for: none, then those that matter most, then all."""
        yield {}
        below = {p.base for p in value.atoms(sp.Pow) if p.exp.is_negative}
        below |= {p.base for c in self._changes.values() for p in c.atoms(sp.Pow)}
        yield self._changes | {s: v for s, v in self._values.items() if s in below}
        yield self._changes | self._values

    def full(self, value):
        """Return an explicit value with everything written out."""
        for symbols in (self._changes, self._values):
            for symbol, meaning in reversed(symbols.items()):
                value = value.xreplace({symbol: meaning})
        return value

    def _change(self, value):
        """The change of an entry to first order: the sum of its derivatives times the changes."""
        value = sp.sympify(value)
        moves = [(entry, move) for entry, move in self._moves() if entry in value.free_symbols]
        moves += [(symbol, self._change_of(symbol)) for symbol in self._symbols_in(value)]
        return sp.Add(*(sp.diff(value, entry) * move for entry, move in moves))

    def _moves(self):
        """Yield each entry of the variables with the symbol for its change."""
        for variable in self.variables:
            table, moves = self.symbols(variable), self.symbols(variable, change=True)
            yield from (
                zip(table, moves, strict=True) if ex.is_matrix(variable) else [(table, moves)]
            )

    def _change_of(self, symbol):
        move = sp.Symbol(f"d({symbol})", real=True)
        if move not in self._changes:
            self._changes[move] = self._change(self._values[symbol])
        return move


class Numbers(Tables):
    """Numbers of 80 digits, at sizes for which symbols would be too many.

    A differential is the slope along one random direction, by central differences.
    """

    def __init__(self, sizes, variables=(), shift=0):
        super().__init__(sizes)
        self.variables, self.shift = tuple(variables), shift
        self._sides = None

    def variable(self, x):
        return self.shifted(x)

    def named(self, x):
        return self.shifted(x) if x in self.variables else self.of(x.definition)

    def shifted(self, x):
        """Return random entries for x, the same for each name, moved along x's direction."""
        rng = random.Random(f"{x.name}")
        rows, cols = self.shape(x) if ex.is_matrix(x) else (1, 1)
        start, direction = (
            sp.Matrix(rows, cols, lambda i, j: _random_float(rng)) for _ in range(2)
        )
        value = start + self.shift * direction if self.shift and x in self.variables else start
        return value if ex.is_matrix(x) else value[0]

    def scalar(self, x):
        if ex.is_scalar_symbol(x):
            return self.shifted(x)
        return sp.N(x.func(*map(self.of, x.args)) if x.args else x, DIGITS)

    def apply(self, function, a):
        return a.applyfunc(lambda entry: sp.N(function(entry), DIGITS))

    def det(self, a):
        return a.det(method="berkowitz")

    def inverse(self, a):
        return a.adjugate(method="berkowitz") / self.det(a)

    def change(self, x):
        if self._sides is None:
            self._sides = [Numbers(self.sizes, self.variables, s * STEP) for s in (1, -1)]
        ahead, behind = (side.of(x) for side in self._sides)
        return (ahead - behind) / (2 * STEP)


def _is_long(value):
    return len(value.free_symbols) > LONG


def _random_float(rng):
    return sp.Float(rng.choice((-1, 1)) * rng.randint(3, 60), DIGITS) / rng.randint(20, 45)


def size_choices(*expressions):
    """Return several choices of sizes: all 1, and unequal ones that put a 1 in turn everywhere.

    Unequal sizes tell a matrix from its transpose; sizes of 1 find products that fit by luck.
    Any two dimensions differ in some choice.  Choices at which something is divided by 0, or a
    matrix without an inverse inverted, are left out.
    """
    shapes, symbols = _dimensions(expressions)
    cycles = [(1,), (2, 3, 1), (3, 1, 2), (1, 2, 3)]
    for run in itertools.takewhile(lambda r: r < len(symbols), (3**i for i in itertools.count(1))):
        cycles.append((1,) * run + (2,) * run + (3,) * run)
    choices = list(_possible(cycles, symbols, shapes, expressions))
    if not choices:
        raise ValueError(
            f"sizes: found none that make all of {sorted(shapes, key=str)} positive, and every "
            "inverse exist"
        )
    return choices


def larger_sizes(*expressions):
    """Return one choice of unequal sizes of four and more, or None if none is possible."""
    shapes, symbols = _dimensions(expressions)
    cycles = [(5, 4, 6), (4, 6, 5), (6, 5, 4)]
    return next(_possible(cycles, symbols, shapes, expressions), None) if symbols else None


def _dimensions(expressions):
    shapes = {n for x in ex.walk(*expressions) if ex.is_matrix(x) for n in x.shape}
    symbols = {s for n in shapes for s in sp.sympify(n).free_symbols}
    return shapes, sorted(symbols, key=str)


def _possible(cycles, symbols, shapes, expressions):
    divisors = [d for x in ex.walk(*expressions) for d in _divisors(x)]
    seen = []
    for cycle in cycles:
        choice = dict(zip(symbols, itertools.cycle(cycle), strict=False))
        if choice in seen or any(sp.sympify(n).subs(choice) <= 0 for n in shapes):
            continue
        seen.append(choice)
        numbers = Numbers(choice)
        if all(abs(numbers.of(d)) > STEP for d in divisors):
            yield choice


def _divisors(x):
    """Yield the numbers by which a node divides: a determinant, or the base of 1/s."""
    if isinstance(x, sp.Inverse):
        yield ex.det(x.arg)
    elif isinstance(x, sp.Pow) and x.exp.is_negative and not ex.is_bound(x):
        yield x.base
