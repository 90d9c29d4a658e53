"""Evaluate an expression on explicit entries: what it *means*, without any rule of this package.

Each matrix becomes a small table of symbols, each operation is done entry by entry, and dA is the
directional derivative of A's entries by SymPy's ordinary ``diff``.  The rules that build a
derivation are checked against this, so nothing here may call them.
"""

import itertools

import sympy as sp
from sympy import MatAdd, MatMul, Trace
from sympy.matrices.expressions.hadamard import HadamardProduct
from sympy.matrices.expressions.special import Identity, OneMatrix, ZeroMatrix
from sympy.matrices.expressions.transpose import Transpose

from rnnlib.calculus import expressions as ex


class Entries:
    """Explicit entries for expressions at one choice of sizes.

    sizes: dict from dimension symbols to integers.
    variables: what may change when a differential is taken; everything else is held constant.
        A ``Named`` expression among them is cut loose from its definition.
    """

    def __init__(self, sizes, variables=()):
        self.sizes = dict(sizes)
        self.variables = tuple(variables)
        self._known = {}
        self._arguments = {}  # long arguments of functions: the symbols that stand for them
        self._changes = {}  # symbols for the changes of those: what they stand for
        self._slopes = {}  # derivatives of those by entries

    def of(self, x):
        """Return a SymPy Matrix for a matrix expression, a SymPy scalar for a scalar.

        Symbols may stand for long arguments of functions in it; ``full`` writes them out.
        """
        if x not in self._known:
            self._known[x] = self._matrix(x) if ex.is_matrix(x) else self._scalar(x)
        return self._known[x]

    def shape(self, x):
        return tuple(int(sp.sympify(n).subs(self.sizes)) for n in x.shape)

    def symbols(self, variable, change=False):
        """Return the table of symbols that stands for a variable, or for its change."""
        if not ex.is_matrix(variable):
            return sp.Symbol(f"d({variable})", real=True) if change else variable
        name = f"d({variable.name})" if change else variable.name
        return sp.Matrix(
            *self.shape(variable), lambda i, j: sp.Symbol(f"{name}[{i},{j}]", real=True)
        )

    def derivative(self, value, variable):
        """Return the derivative of an explicit scalar by each entry of ``variable``."""
        table = self.symbols(variable)
        if not ex.is_matrix(variable):
            return self._diff(value, table)
        return table.applyfunc(lambda entry: self._diff(value, entry))

    def _diff(self, value, entry):
        """Return SymPy's derivative, by way of the symbols for long arguments too."""
        slope = sp.diff(value, entry)
        for argument, symbol in self._arguments_in(value):
            if (symbol, entry) not in self._slopes:
                self._slopes[symbol, entry] = self._diff(argument, entry)
            slope += sp.diff(value, symbol) * self._slopes[symbol, entry]
        return slope

    def _shorten(self, argument):
        """Return a symbol for a long argument of a function, so that nested functions stay small.

        Values that are equal with such symbols are equal.  Others are compared after ``full``.
        """
        if argument.is_Atom or argument.is_number:
            return argument
        symbol = sp.Symbol(f"argument {len(self._arguments)}", real=True)
        return self._arguments.setdefault(argument, symbol)

    def _arguments_in(self, value):
        return [(a, symbol) for a, symbol in self._arguments.items() if value.has(symbol)]

    def unfold(self, value):
        """Yield an explicit scalar, then with one more change of an argument written out."""
        yield value
        for symbol, change in reversed(self._changes.items()):
            if value.has(symbol):
                value = value.xreplace({symbol: change})
                yield value

    def full(self, value):
        """Return an explicit value with everything written out."""
        for symbol, change in reversed(self._changes.items()):
            value = value.xreplace({symbol: change})
        for argument, symbol in reversed(self._arguments.items()):
            value = value.xreplace({symbol: argument})
        return value

    def _matrix(self, x):
        if isinstance(x, sp.MatrixBase):
            return sp.Matrix(x)
        if isinstance(x, ex.Variable) or x in self.variables:
            return self.symbols(x)
        if isinstance(x, ex.Named):
            return self.of(x.definition)
        if isinstance(x, MatAdd):
            return sum((self.of(t) for t in x.args[1:]), self.of(x.args[0]))
        if isinstance(x, MatMul):
            scale, factors = x.as_coeff_matrices()
            return self.of(scale) * sp.prod(map(self.of, factors[1:]), self.of(factors[0]))
        if isinstance(x, Transpose):
            return self.of(x.arg).T
        if isinstance(x, HadamardProduct):
            tables = [self.of(f) for f in x.args]
            return sp.Matrix(*tables[0].shape, lambda i, j: sp.prod(t[i, j] for t in tables))
        if isinstance(x, ex.Elementwise):
            return self.of(x.argument).applyfunc(lambda a: x.function(self._shorten(a)))
        if isinstance(x, ex.HStack):
            return sp.Matrix.hstack(*map(self.of, x.args))
        if isinstance(x, ex.MatrixDifferential):
            return self.of(x.args[0]).applyfunc(self._change)
        constant = {OneMatrix: sp.ones, ZeroMatrix: sp.zeros, Identity: sp.eye}
        for kind, make in constant.items():
            if isinstance(x, kind):
                return make(*self.shape(x))
        raise TypeError(f"explicit entries: no meaning for {type(x).__name__} in {x}")

    def _scalar(self, x):
        if isinstance(x, ex.Inner):
            left, right = map(self.of, x.args)
            return sum(a * b for a, b in zip(left, right, strict=True))
        if isinstance(x, ex.Total):
            return sum(self.of(x.args[0]))
        if isinstance(x, ex.AsScalar):
            return self.of(x.args[0])[0, 0]
        if isinstance(x, Trace):
            return self.of(x.arg).trace()
        if isinstance(x, ex.ScalarDifferential):
            return self._change(self.of(x.args[0]))
        if x in self.sizes:
            return sp.Integer(self.sizes[x])
        if not x.args:
            return x
        arguments = map(self.of, x.args)
        if isinstance(x, (sp.Pow, sp.Function)):
            arguments = map(self._shorten, arguments)
        return x.func(*arguments)

    def _change(self, value):
        """The change of an entry to first order: the sum of its derivatives times the changes."""
        change = sp.S.Zero
        for variable in self.variables:
            table, moves = self.symbols(variable), self.symbols(variable, change=True)
            pairs = zip(table, moves, strict=True) if ex.is_matrix(variable) else [(table, moves)]
            change += sum(sp.diff(value, entry) * move for entry, move in pairs)
        for argument, symbol in self._arguments_in(value):
            change += sp.diff(value, symbol) * self._change_of(argument, symbol)
        return change

    def _change_of(self, argument, symbol):
        move = sp.Symbol(f"d({symbol})", real=True)
        if move not in self._changes:
            self._changes[move] = self._change(argument)
        return move


def leaves(*expressions):
    """Return the variables that expressions are made of, in order of appearance."""
    return [
        x for x in ex.nodes(*expressions) if isinstance(x, ex.Variable) or ex.is_scalar_symbol(x)
    ]


def size_choices(*expressions):
    """Return several choices of sizes: all 1, and unequal ones that put a 1 in turn everywhere.

    Unequal sizes tell a matrix from its transpose; sizes of 1 find products that fit by luck.
    Any two dimensions differ in some choice.
    """
    shapes = {n for x in ex.nodes(*expressions) if ex.is_matrix(x) for n in x.shape}
    symbols = sorted({s for n in shapes for s in sp.sympify(n).free_symbols}, key=str)
    cycles = [(1,), (2, 3, 1), (3, 1, 2), (1, 2, 3)]
    for run in itertools.takewhile(lambda r: r < len(symbols), (3**i for i in itertools.count(1))):
        cycles.append((1,) * run + (2,) * run + (3,) * run)
    choices = [dict(zip(symbols, itertools.cycle(c), strict=False)) for c in cycles]
    choices = [c for c in choices if all(sp.sympify(n).subs(c) > 0 for n in shapes)]
    if not choices:
        raise ValueError(f"sizes: found none that make all of {sorted(shapes, key=str)} positive")
    return [c for i, c in enumerate(choices) if c not in choices[:i]]
