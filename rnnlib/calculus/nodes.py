"""The nodes of expressions: what can be written down.

Every class here is a SymPy expression: sums, products, transposes and Hadamard products extend
SymPy's own, so that ``.shape``, ``.subs``, ``.doit()`` and ``.as_explicit()`` work.  SymPy sorts
factors and terms; a derivation must not, so the operators are our own.  What ``A * B`` builds is
decided in ``expressions``; what a node means, entry by entry, in ``meaning``.
"""

import sympy as sp
from sympy import Inverse, MatAdd, MatMul, MatPow, MatrixExpr, MatrixSymbol, Trace
from sympy.core.symbol import Str
from sympy.matrices.expressions.hadamard import HadamardProduct
from sympy.matrices.expressions.special import Identity, OneMatrix, ZeroMatrix
from sympy.matrices.expressions.transpose import Transpose
from sympy.printing.precedence import PRECEDENCE

from rnnlib.calculus import expressions as ex


class Operators:
    """``+ - * **`` and ``.T`` that keep the written order."""

    __slots__ = ()
    # Above SymPy's matrix expressions, so that mixed operations arrive here.
    _op_priority = 12.0
    # NumPy's arrays leave mixed operations to these classes, which refuse them.
    __array_ufunc__ = None

    def __add__(self, other):
        return ex.add(self, other)

    def __radd__(self, other):
        return ex.add(other, self)

    def __sub__(self, other):
        return ex.add(self, ex.mul(-1, other))

    def __rsub__(self, other):
        return ex.add(other, ex.mul(-1, self))

    def __neg__(self):
        return ex.mul(-1, self)

    def __mul__(self, other):
        return ex.mul(self, other)

    def __rmul__(self, other):
        return ex.mul(other, self)

    __matmul__, __rmatmul__ = __mul__, __rmul__

    def __truediv__(self, other):
        return ex.mul(self, 1 / ex.as_scalar(other))

    def __rtruediv__(self, other):
        return ex.mul(other, 1 / ex.as_scalar(self))

    def __pow__(self, exponent):
        return ex.matrix_power(self, exponent)

    def _refused(self, *_):
        raise TypeError(f"{self} ({ex.shape_text(self)}) is a matrix: it has no //, %, abs or 2**A")

    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __rpow__ = __abs__ = __iter__ = _refused

    def transpose(self):
        return ex.transpose(self)

    @property
    def T(self):
        return ex.transpose(self)

    @property
    def I(self):  # noqa: E743
        return ex.inverse(self)

    def _latex(self, printer):
        from rnnlib.calculus.latex import matrix_latex

        return matrix_latex(self, printer)

    def _sympystr(self, printer):
        return f"{type(self).__name__.lower()}({', '.join(map(printer._print, self.args))})"


class Variable(Operators, MatrixSymbol):
    """A matrix or column vector with a name, a shape and the way it is printed."""

    def __new__(cls, name, rows, cols, latex=""):
        plain = MatrixSymbol(str(name), rows, cols)
        return sp.Basic.__new__(cls, *plain.args, Str(str(latex)))

    latex_name = property(lambda self: self.args[3].name)

    def _sympystr(self, printer):
        return self.name


class WithDefinition:
    """Something known by its definition; a name for an expression, as in h = tanh(a)."""

    __slots__ = ()

    def __new__(cls, name, definition, latex=""):
        return sp.Basic.__new__(cls, Str(str(name)), definition, Str(str(latex)))

    name = property(lambda self: self.args[0].name)
    definition = property(lambda self: self.args[1])
    latex_name = property(lambda self: self.args[2].name)

    def doit(self, **hints):
        return self.definition.doit(**hints)

    def _sympystr(self, printer):
        return self.name


class Named(WithDefinition, Operators, MatrixExpr):
    """A name for a matrix."""

    shape = property(lambda self: self.definition.shape)

    def _entry(self, i, j, **kwargs):
        return self.definition._entry(i, j, **kwargs)


class MatrixSum(Operators, MatAdd):
    """A sum in written order."""

    def _sympystr(self, printer):
        return " + ".join(map(printer._print, self.args)).replace("+ -", "- ")


class MatrixProduct(Operators, MatMul):
    """A product in written order, a scalar factor first."""

    def _sympystr(self, printer):
        return printer._print_MatMul(self)


class MatrixPower(Operators, MatPow):
    """Aᵏ for k = 2, 3, …"""

    def _sympystr(self, printer):
        return printer._print_MatPow(self)


class Inverted(Operators, Inverse):
    """A⁻¹."""

    def _sympystr(self, printer):
        return f"inverse({printer._print(self.arg)})"


class Transposed(Operators, Transpose):
    """The transpose of something that has no simpler one."""

    def _sympystr(self, printer):
        return printer._print_Transpose(self)


class Hadamard(Operators, HadamardProduct):
    """The elementwise product A ∘ B in written order."""

    precedence = PRECEDENCE["Func"]  # in Python's print it is a call


class Ones(Operators, OneMatrix):
    """A matrix of ones, the neutral element of the Hadamard product."""

    def _sympystr(self, printer):
        return f"ones({', '.join(map(str, self.shape))})"


class Eye(Operators, Identity):
    """The identity matrix."""

    def _sympystr(self, printer):
        return f"eye({self.rows})"


class Zeros(Operators, ZeroMatrix):
    """A matrix of zeros."""

    def _sympystr(self, printer):
        return "0"


class Diag(Operators, MatrixExpr):
    """The diagonal matrix that has the entries of a column on its diagonal."""

    shape = property(lambda self: (self.args[0].rows, self.args[0].rows))

    def _entry(self, i, j, **kwargs):
        return self.args[0]._entry(i, 0, **kwargs) * sp.KroneckerDelta(i, j)


class Diagonal(Operators, MatrixExpr):
    """The diagonal of a square matrix, as a column."""

    shape = property(lambda self: (self.args[0].rows, 1))

    def _entry(self, i, j, **kwargs):
        return self.args[0]._entry(i, i, **kwargs)


class HStack(Operators, MatrixExpr):
    """Matrices of equal height side by side."""

    shape = property(lambda self: (self.args[0].rows, sum(a.cols for a in self.args)))

    def _entry(self, i, j, **kwargs):
        return sp.BlockMatrix([list(self.args)])._entry(i, j, **kwargs)


class Elementwise(Operators, MatrixExpr):
    """f(A), entry by entry; ``function`` is a SymPy Lambda of one variable."""

    def __new__(cls, function, argument):
        return sp.Basic.__new__(cls, function, argument)

    function = property(lambda self: self.args[0])
    argument = property(lambda self: self.args[1])
    shape = property(lambda self: self.argument.shape)

    @property
    def precedence(self):
        return PRECEDENCE["Func" if self.function.expr.args == self.function.variables else "Add"]

    def _entry(self, i, j, **kwargs):
        return self.function(self.argument._entry(i, j, **kwargs))

    def doit(self, **hints):
        argument = self.argument.doit(**hints) if hints.get("deep", True) else self.argument
        if isinstance(argument, sp.MatrixBase):
            return argument.applyfunc(self.function)
        return Elementwise(self.function, argument)

    def _sympystr(self, printer):
        (z,), body = self.function.variables, self.function.expr
        inside = printer._print(self.argument)
        if body.args == (z,):
            return f"{body.func.__name__.lower()}({inside})"
        return printer._print(body.xreplace({z: sp.Symbol(f"({inside})")}))


class Softmax(Operators, MatrixExpr):
    """exp(z) / sum(exp(z)) of a column (axis 0), or of each row of a matrix (axis 1)."""

    argument = property(lambda self: self.args[0])
    axis = property(lambda self: self.args[1])
    shape = property(lambda self: self.args[0].shape)

    @property
    def definition(self):
        e = ex.elementwise(sp.exp, self.argument)
        if self.axis == 0:
            return e / ex.total(e)
        reciprocal = ex.elementwise(lambda z: 1 / z, e * ex.ones(e.cols))
        return ex.hadamard(e, reciprocal * ex.ones(1, e.cols))

    def _entry(self, i, j, **kwargs):
        return self.definition._entry(i, j, **kwargs)

    def _sympystr(self, printer):
        return f"softmax({printer._print(self.argument)})"


class RowLogSumExp(Operators, MatrixExpr):
    """log sum exp of each row of a matrix, as a column."""

    shape = property(lambda self: (self.args[0].rows, 1))

    @property
    def definition(self):
        e = ex.elementwise(sp.exp, self.args[0])
        return ex.elementwise(sp.log, e * ex.ones(e.cols))

    def _entry(self, i, j, **kwargs):
        return self.definition._entry(i, j, **kwargs)

    def _sympystr(self, printer):
        return f"logsumexp({printer._print(self.args[0])})"


class ScalarOfMatrices(sp.Expr):
    """A scalar made from matrices."""

    is_commutative = True
    __array_ufunc__ = None

    def _latex(self, printer):
        from rnnlib.calculus.latex import scalar_latex

        return scalar_latex(self, printer)

    def _sympystr(self, printer):
        return f"{type(self).__name__.lower()}({', '.join(map(printer._print, self.args))})"


class NamedScalar(WithDefinition, ScalarOfMatrices):
    """A name for a scalar."""


class Inner(ScalarOfMatrices):
    """⟨A, B⟩ = tr(AᵀB), the sum of the products of matching entries."""

    def doit(self, **hints):
        left, right = (_explicit(a, **hints) for a in self.args)
        if all(isinstance(a, sp.MatrixBase) for a in (left, right)):
            return sum(a * b for a, b in zip(left, right, strict=True))
        return Trace(MatMul(Transpose(left), right)).doit(**hints)


class Norm2(Inner):
    """‖A‖² = ⟨A, A⟩, the sum of the squares of all entries."""

    def _sympystr(self, printer):
        return f"norm2({printer._print(self.args[0])})"


class Total(ScalarOfMatrices):
    """The sum of all entries of a matrix."""

    def doit(self, **hints):
        whole = _explicit(self.args[0], **hints)
        return sum(whole) if isinstance(whole, sp.MatrixBase) else Total(whole)


class LogSumExp(ScalarOfMatrices):
    """log sum exp of a column."""

    @property
    def definition(self):
        return sp.log(ex.total(ex.elementwise(sp.exp, self.args[0])))

    def doit(self, **hints):
        return self.definition.doit(**hints)


class AsScalar(ScalarOfMatrices):
    """A 1×1 matrix used as the number it holds."""

    @property
    def precedence(self):
        """To a printer that must set parentheses around it, it is what it holds."""
        return PRECEDENCE["Add" if isinstance(self.args[0], MatAdd) else "Mul"]

    def _sympystr(self, printer):
        return printer._print(self.args[0])

    def doit(self, **hints):
        return _explicit(self.args[0], **hints)[0, 0]


def _explicit(a, **hints):
    """Return A evaluated, as a table of entries if its sizes are numbers."""
    a = a.doit(**hints)
    return a.as_explicit() if all(n.is_Integer for n in map(sp.sympify, a.shape)) else a


class MatrixDifferential(Operators, MatrixExpr):
    """dA: the change of A, to first order, when the variables change."""

    def __new__(cls, expression):
        return sp.Basic.__new__(cls, expression)

    shape = property(lambda self: self.args[0].shape)

    def _sympystr(self, printer):
        return f"d({printer._print(self.args[0])})"


class ScalarDifferential(ScalarOfMatrices):
    """dL for a scalar L."""

    precedence = PRECEDENCE["Pow"]

    def _sympystr(self, printer):
        return f"d({printer._print(self.args[0])})"
