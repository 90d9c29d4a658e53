"""Matrix expressions with symbolic dimensions that keep the order in which you write them.

Every class here is a SymPy expression: sums, products, transposes and Hadamard products extend
SymPy's own, so that ``.shape``, ``.subs``, ``.doit()`` and ``.as_explicit()`` work.  SymPy sorts
factors and terms; a derivation must not, so the operators are defined here.  Building an
expression simplifies it only as a person would without a word: ones and zeros go, transposes move
in, numbers come first, equal terms are added up.
"""

import sympy as sp
from sympy import MatAdd, MatMul, MatrixExpr, MatrixSymbol, Trace
from sympy.core.symbol import Str
from sympy.matrices.exceptions import ShapeError
from sympy.matrices.expressions.hadamard import HadamardProduct
from sympy.matrices.expressions.special import Identity, OneMatrix, ZeroMatrix
from sympy.matrices.expressions.transpose import Transpose
from sympy.printing.precedence import PRECEDENCE


class Operators:
    """``+ - *`` and ``.T`` that keep the written order."""

    __slots__ = ()
    # Above SymPy's matrix expressions, so that mixed operations arrive here.
    _op_priority = 12.0

    def __add__(self, other):
        return add(self, other)

    def __radd__(self, other):
        return add(other, self)

    def __sub__(self, other):
        return add(self, mul(-1, other))

    def __rsub__(self, other):
        return add(other, mul(-1, self))

    def __neg__(self):
        return mul(-1, self)

    def __mul__(self, other):
        return mul(self, other)

    def __rmul__(self, other):
        return mul(other, self)

    __matmul__, __rmatmul__ = __mul__, __rmul__

    def __truediv__(self, other):
        return mul(self, 1 / as_scalar(other))

    def __rtruediv__(self, other):
        return mul(other, 1 / as_scalar(self))

    def __pow__(self, exponent):
        return as_scalar(self) ** exponent if self.shape == (1, 1) else super().__pow__(exponent)

    def transpose(self):
        return transpose(self)

    @property
    def T(self):
        return transpose(self)

    def _latex(self, printer):
        from rnnlib.calculus.latex import matrix_latex

        return matrix_latex(self, printer)


class Variable(Operators, MatrixSymbol):
    """A matrix or column vector with a name, a shape and the way it is printed."""

    def __new__(cls, name, rows, cols, latex=""):
        plain = MatrixSymbol(str(name), rows, cols)
        return sp.Basic.__new__(cls, *plain.args, Str(str(latex)))

    @property
    def latex_name(self):
        return self.args[3].name


class Named(Operators, MatrixExpr):
    """A name for an expression, as in h = tanh(a): printed by its name, known by its definition."""

    def __new__(cls, name, definition, latex=""):
        return sp.Basic.__new__(cls, Str(str(name)), definition, Str(str(latex)))

    name = property(lambda self: self.args[0].name)
    definition = property(lambda self: self.args[1])
    latex_name = property(lambda self: self.args[2].name)
    shape = property(lambda self: self.definition.shape)

    def _entry(self, i, j, **kwargs):
        return self.definition._entry(i, j, **kwargs)

    def doit(self, **hints):
        return self.definition.doit(**hints)

    def _sympystr(self, printer):
        return self.name


class MatrixSum(Operators, MatAdd):
    """A sum in written order."""

    def _sympystr(self, printer):
        return " + ".join(map(printer._print, self.args)).replace("+ -", "- ")


class MatrixProduct(Operators, MatMul):
    """A product in written order, a scalar factor first."""


class Transposed(Operators, Transpose):
    """The transpose of something that has no simpler one."""


class Hadamard(Operators, HadamardProduct):
    """The elementwise product A ∘ B in written order."""

    def _sympystr(self, printer):
        return f"hadamard({', '.join(map(printer._print, self.args))})"


class Ones(Operators, OneMatrix):
    """A matrix of ones, the neutral element of the Hadamard product."""

    def _sympystr(self, printer):
        return f"ones({', '.join(map(str, self.shape))})"


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


class ScalarOfMatrices(sp.Expr):
    """A scalar made from matrices."""

    is_commutative = True

    def _latex(self, printer):
        from rnnlib.calculus.latex import scalar_latex

        return scalar_latex(self, printer)

    def _sympystr(self, printer):
        return f"{type(self).__name__.lower()}({', '.join(map(printer._print, self.args))})"


class Inner(ScalarOfMatrices):
    """⟨A, B⟩ = tr(AᵀB), the sum of the products of matching entries."""

    def doit(self, **hints):
        left, right = (_explicit(a, **hints) for a in self.args)
        if all(isinstance(a, sp.MatrixBase) for a in (left, right)):
            return sum(a * b for a, b in zip(left, right, strict=True))
        return Trace(MatMul(Transpose(left), right)).doit(**hints)


class Total(ScalarOfMatrices):
    """The sum of all entries of a matrix."""

    def doit(self, **hints):
        whole = _explicit(self.args[0], **hints)
        return sum(whole) if isinstance(whole, sp.MatrixBase) else Total(whole)


class AsScalar(ScalarOfMatrices):
    """A 1×1 matrix used as the number it holds."""

    # A product of matrices, to a printer that must set parentheses around it.
    precedence = PRECEDENCE["Mul"]

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

    def _sympystr(self, printer):
        return f"d({printer._print(self.args[0])})"


def nodes(*expressions):
    """Yield every node of the expressions once, definitions of names included."""
    seen, waiting = set(), [sp.sympify(x) for x in reversed(expressions)]
    while waiting:
        x = waiting.pop()
        if x not in seen:
            seen.add(x)
            yield x
            waiting += reversed(x.args)


def check_names(*expressions):
    """Raise ValueError if one name stands for two different things."""
    known = {}
    for x in nodes(*expressions):
        if isinstance(x, (Variable, Named)) or is_scalar_symbol(x):
            other = known.setdefault(x.name, x)
            if other != x:
                raise ValueError(
                    f"the name {x.name} stands for two different things: {_identity(other)} "
                    f"and {_identity(x)}"
                )


def _identity(x):
    kind = f"the definition {x.definition}" if isinstance(x, Named) else "a variable"
    printed = f", printed as {x.latex_name}" if is_matrix(x) and x.latex_name else ""
    return f"{kind} ({shape_text(x)}{printed})"


def is_scalar_symbol(x):
    """Is this a scalar variable, neither a dimension nor the bound variable of a function?"""
    return isinstance(x, sp.Symbol) and not x.is_integer and not isinstance(x, sp.Dummy)


def sympify(x):
    """Return x as a SymPy object in which 0.5 is 1/2: proofs are exact, so numbers are too."""
    x = sp.sympify(x)
    if not isinstance(x, (sp.Basic, sp.MatrixBase)):
        raise TypeError(f"expected an expression, got {x!r}")
    floats = {f: sp.Rational(str(f)) for f in nodes(x) if isinstance(f, sp.Float)}
    return x.xreplace(floats) if floats else x


def is_matrix(x):
    return isinstance(x, (MatrixExpr, sp.MatrixBase))


def is_zero(x):
    return isinstance(x, ZeroMatrix) or x == 0


def shape_text(x):
    return "×".join(map(str, x.shape)) if is_matrix(x) else "scalar"


def _clash(operation, left, right):
    return ShapeError(
        f"{operation}: the shapes of {left} ({shape_text(left)}) and {right} "
        f"({shape_text(right)}) do not fit"
    )


def coefficient(x):
    """Split a matrix expression into a scalar factor and the rest."""
    if isinstance(x, MatMul):
        scale, factors = x.as_coeff_matrices()
        if scale != 1:
            return scale, factors[0] if len(factors) == 1 else MatrixProduct(*factors)
    return sp.S.One, x


def add(*terms):
    """Return the sum.  A number c added to a matrix stands for c times the matrix of ones."""
    terms = [sp.sympify(t) if is_matrix(t) else sympify(t) for t in terms]
    matrices = [t for t in terms if is_matrix(t)]
    if not matrices:
        return sp.Add(*terms)
    if matrices[0].shape == (1, 1) and any(not is_matrix(t) for t in terms):
        return sp.Add(*(as_scalar(t) for t in terms))
    flat = []
    for t in terms:
        t = _as_matrix(t, matrices[0])
        if t.shape != matrices[0].shape:
            raise _clash("sum", matrices[0], t)
        flat += t.args if isinstance(t, MatAdd) else [t]
    return _collect(flat, matrices[0].shape)


def _as_matrix(t, like):
    if is_matrix(t):
        return t
    if not t.is_number:
        raise ShapeError(f"sum: {t} is a scalar and {like} has shape {shape_text(like)}; "
                         "write the scalar times ones(...)")  # fmt: skip
    return mul(t, Ones(*like.shape))


def _collect(terms, shape):
    counts = {}
    for t in terms:
        scale, core = coefficient(t)
        if not isinstance(core, ZeroMatrix):
            counts[core] = counts.get(core, 0) + scale
    kept = [mul(scale, core) for core, scale in counts.items() if scale != 0]
    if not kept:
        return ZeroMatrix(*shape)
    return kept[0] if len(kept) == 1 else MatrixSum(*kept)


def mul(*factors):
    """Return the product.  A 1×1 matrix beside a matrix of another size counts as a scalar."""
    scale, matrices = sp.S.One, []
    for f in map(sp.sympify, factors):
        if not is_matrix(f):
            scale *= sympify(f)
            continue
        c, parts = f.as_coeff_matrices() if isinstance(f, MatMul) else (sp.S.One, [f])
        scale *= c
        if matrices and matrices[-1].cols != parts[0].rows:
            scale, matrices, parts = _scalar_factor(scale, matrices, parts)
        matrices += parts
    if not matrices:
        return scale
    return _product(scale, matrices)


def _scalar_factor(scale, left, right):
    """One side of a product that does not fit may be a 1×1 matrix, used as a number."""
    whole_left, whole_right = (_product(sp.S.One, side) for side in (left, right))
    if whole_left.shape == (1, 1):
        return scale * as_scalar(whole_left), [], right
    if whole_right.shape == (1, 1):
        return scale * as_scalar(whole_right), left, []
    raise _clash("product", whole_left, whole_right)


def _product(scale, matrices):
    shape = matrices[0].rows, matrices[-1].cols
    if scale == 0 or any(isinstance(m, ZeroMatrix) for m in matrices):
        return ZeroMatrix(*shape)
    factors = [m for m in matrices if not _is_unit(m, Identity)] or [Identity(shape[0])]
    if scale == 1 and len(factors) == 1:
        return factors[0]
    if len(factors) == 1 and isinstance(factors[0], MatAdd) and scale == -1:
        return MatrixSum(*(mul(-1, t) for t in factors[0].args))
    return MatrixProduct(*([scale] if scale != 1 else []), *factors)


def _is_unit(x, kind):
    """Is x of this kind, or the 1×1 matrix 1, which is both the identity and the ones?"""
    return isinstance(x, kind) or (isinstance(x, (Identity, OneMatrix)) and x.shape == (1, 1))


def transpose(a):
    """Return Aᵀ, moved in to the variables."""
    if isinstance(a, Transpose):
        return a.arg
    if isinstance(a, MatAdd):
        return add(*map(transpose, a.args))
    if isinstance(a, MatMul):
        scale, factors = a.as_coeff_matrices()
        return mul(scale, *map(transpose, reversed(factors)))
    if isinstance(a, HadamardProduct):
        return hadamard(*map(transpose, a.args))
    if isinstance(a, Elementwise):
        return Elementwise(a.function, transpose(a.argument))
    if isinstance(a, OneMatrix):
        return Ones(*reversed(a.shape))
    if isinstance(a, (Identity, ZeroMatrix, sp.MatrixBase)) or a.shape == (1, 1):
        return a.T if isinstance(a, (ZeroMatrix, sp.MatrixBase)) else a
    return Transposed(a)


def hadamard(*factors):
    """Return A ∘ B ∘ …, the product entry by entry, of matrices of one shape."""
    scale, parts = sp.S.One, []
    factors = [sp.sympify(f) for f in factors]
    tiny = any(is_matrix(f) and f.shape == (1, 1) for f in factors)
    for f in factors:
        if not is_matrix(f) and tiny:  # as in h ∘ (1 - h), where 1 - h is a number
            scale *= sympify(f)
            continue
        if not is_matrix(f):
            raise TypeError(f"hadamard: expected matrices, got the scalar {f}")
        if parts and f.shape != parts[0].shape:
            raise _clash("hadamard", parts[0], f)
        c, core = coefficient(f)
        scale *= c
        parts += core.args if isinstance(core, HadamardProduct) else [core]
    if not parts:
        raise TypeError("hadamard: expected at least one matrix, got none")
    shape = parts[0].shape
    if any(isinstance(p, ZeroMatrix) for p in parts):
        return ZeroMatrix(*shape)
    kept = [p for p in parts if not _is_unit(p, OneMatrix)] or [Ones(*shape)]
    return mul(scale, kept[0] if len(kept) == 1 else Hadamard(*kept))


def hstack(*blocks):
    """Return the blocks side by side, [A B …]; all have the same number of rows."""
    if not blocks:
        raise TypeError("hstack: expected at least one matrix, got none")
    for b in blocks:
        if not is_matrix(b):
            raise TypeError(f"hstack: expected matrices, got the scalar {b}")
        if b.rows != blocks[0].rows:
            raise _clash("hstack", blocks[0], b)
    return HStack(*blocks)


def inner(a, b):
    """Return ⟨A, B⟩ = tr(AᵀB), a scalar.  Both have one shape."""
    for x in (a, b):
        if not is_matrix(x):
            raise TypeError(f"inner: expected two matrices, got {x}")
    if a.shape != b.shape:
        raise _clash("inner", a, b)
    scale_a, a = coefficient(a)
    scale_b, b = coefficient(b)
    if any(isinstance(x, ZeroMatrix) for x in (a, b)):
        return sp.S.Zero
    return scale_a * scale_b * Inner(a, b)


def total(a):
    """Return the sum of all entries of A, a scalar."""
    if not is_matrix(a):
        raise TypeError(f"total: expected a matrix, got {a}")
    return Total(a)


def trace(a):
    """Return tr(A), the sum of the diagonal of a square matrix."""
    if not is_matrix(a):
        raise TypeError(f"trace: expected a matrix, got {a}")
    if a.rows != a.cols:
        raise ShapeError(f"trace: expected a square matrix, got {a} ({shape_text(a)})")
    return Trace(a)


def as_scalar(a):
    """Return a 1×1 matrix as the scalar it holds; a scalar stays as it is."""
    if not is_matrix(a):
        return sympify(a)
    if a.shape != (1, 1):
        raise ShapeError(f"expected a scalar or a 1×1 matrix, got {a} ({shape_text(a)})")
    scale, core = coefficient(a)
    return scale * (sp.S.One if isinstance(core, (Identity, OneMatrix)) else AsScalar(core))


def d(x):
    """Return the differential dX, unevaluated; its meaning is a directional derivative."""
    x = sp.sympify(x)
    return MatrixDifferential(x) if is_matrix(x) else ScalarDifferential(x)


def dims(names):
    """Return symbols for dimensions: ``n, m = dims("n m")``; one symbol for one name."""
    symbols = sp.symbols(names, integer=True, positive=True)
    return symbols


def scalar(name):
    """Return a real scalar symbol."""
    return sp.Symbol(name, real=True)


def vector(name, n, latex=""):
    """Return a column vector, an n×1 matrix.  ``latex`` changes how it is printed."""
    return Variable(name, n, 1, latex)


def matrix(name, n, m, latex=""):
    """Return an n×m matrix.  ``latex`` changes how it is printed."""
    return Variable(name, n, m, latex)


def ones(n, m=1):
    """Return the n×m matrix of ones."""
    return Ones(n, m)


def let(name, definition, latex=""):
    """Name an expression: ``h = let("h", tanh(a))`` prints as h and is known as tanh(a)."""
    if not is_matrix(definition):
        raise TypeError(f"let: expected a matrix expression for {name!r}, got {definition!r}")
    return Named(name, definition, latex)
