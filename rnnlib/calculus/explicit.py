"""Entries: every expression as a small table of symbols, every differential by SymPy's ``diff``."""

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
        self._tables = {}  # variables and their changes: their entries
        self._symbols = {}  # long values: the symbols that stand for them
        self._values = {}  # these symbols: their values
        self._changes = {}  # symbols for the changes of those: what they stand for
        self._moves_of = {}  # symbols for long values: the symbols for their changes
        self._slopes = {}  # derivatives of those by entries

    def variable(self, x):
        return self.symbols(x)

    def named(self, x):
        return self.symbols(x) if x in self.variables else self.of(x.definition)

    def symbols(self, variable, change=False):
        """Return the table of symbols that stands for a variable, or for its change."""
        if isinstance(variable, sp.Symbol) and not change:
            return variable
        if (variable, change) not in self._tables:
            name = f"d({variable.name})" if change else variable.name
            # Dummies, so that no name of a reader can be mistaken for one of these.
            self._tables[variable, change] = (
                sp.Matrix(
                    *self.shape(variable), lambda i, j: sp.Dummy(f"{name}[{i},{j}]", real=True)
                )
                if ex.is_matrix(variable)
                else sp.Dummy(name, real=True)
            )
        return self._tables[variable, change]

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
            symbol = sp.Dummy(f"value {len(self._symbols)}", real=True)
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
        meanings = self._changes | self._values
        while value.free_symbols & meanings.keys():
            value = value.xreplace({s: meanings[s] for s in value.free_symbols & meanings.keys()})
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
        if symbol not in self._moves_of:
            self._moves_of[symbol] = move = sp.Dummy(f"d({symbol})", real=True)
            self._changes[move] = self._change(self._values[symbol])
        return self._moves_of[symbol]


class Numbers(Tables):
    """Numbers of 80 digits, at sizes for which symbols would be too many.

    A differential is the slope along one random direction, by central differences.
    """

    def __init__(self, sizes, variables=(), seed=0, shift=0):
        super().__init__(sizes)
        self.variables, self.seed, self.shift = tuple(variables), seed, shift
        self._sides = None

    def variable(self, x):
        return self.shifted(x)

    def named(self, x):
        return self.shifted(x) if x in self.variables else self.of(x.definition)

    def shifted(self, x):
        """Return random entries for x, the same for each name, moved along x's direction."""
        rng = random.Random(f"{x.name} {self.seed}")
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
            self._sides = [
                Numbers(self.sizes, self.variables, self.seed, s * STEP) for s in (1, -1)
            ]
        ahead, behind = (side.of(x) for side in self._sides)
        return (ahead - behind) / (2 * STEP)


def _is_long(value):
    return len(value.free_symbols) > LONG


def _random_float(rng):
    return sp.Float(rng.choice((-1, 1)) * rng.randint(3, 60), DIGITS) / rng.randint(20, 45)
