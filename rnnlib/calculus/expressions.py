"""Build expressions: symbols, operations, names.

Building simplifies only as a person would without a word: ones and zeros go, transposes and
inverses move in, numbers come first, equal neighbours become a power, equal terms are added up.
"""

import sympy as sp
from sympy import (
    Determinant,
    Inverse,
    KroneckerProduct,
    MatAdd,
    MatMul,
    MatPow,
    MatrixExpr,
    MatrixSymbol,
    Trace,
)
from sympy.matrices.exceptions import NonSquareMatrixError, ShapeError
from sympy.matrices.expressions.hadamard import HadamardProduct
from sympy.matrices.expressions.special import Identity, OneMatrix, ZeroMatrix
from sympy.matrices.expressions.transpose import Transpose

from rnnlib.calculus.nodes import (
    AsScalar,
    Diag,
    Diagonal,
    Elementwise,
    Eye,
    Hadamard,
    HStack,
    Inner,
    Inverted,
    LogSumExp,
    MatrixDifferential,
    MatrixPower,
    MatrixProduct,
    MatrixSum,
    Named,
    NamedScalar,
    Norm2,
    Ones,
    RowLogSumExp,
    ScalarDifferential,
    Softmax,
    Total,
    Transposed,
    Variable,
    Zeros,
)

# A dummy, so that no variable of a reader can be mistaken for it.
_z = sp.Dummy("z", real=True)


def walk(*expressions):
    """Yield every node of the expressions once, definitions of names included."""
    seen, waiting = set(), [sp.sympify(x) for x in reversed(expressions)]
    while waiting:
        x = waiting.pop()
        if x not in seen:
            seen.add(x)
            yield x
            waiting += reversed(x.args)


def check_names(*expressions):
    """Raise ValueError if one name stands for two different things, TypeError for odd symbols."""
    known = {}
    for x in walk(*expressions):
        if isinstance(x, MatrixSymbol) and not isinstance(x, Variable):
            raise TypeError(f"expected what matrix or vector returns, got SymPy's MatrixSymbol {x}")
        if isinstance(x, sp.Symbol) and not x.is_commutative:
            raise TypeError(f"expected a scalar that commutes, got {x}; use matrix or vector")
        if isinstance(x, (Variable, Named, NamedScalar)) or is_scalar_symbol(x):
            other = known.setdefault(x.name, x)
            if other != x:
                raise ValueError(
                    f"the name {x.name} stands for two different things: {_identity(other)} "
                    f"and {_identity(x)}"
                )


def _identity(x):
    kind = f"the definition {x.definition}" if is_named(x) else "a variable"
    latex = getattr(x, "latex_name", "")
    printed = f", printed as {latex}" if latex else ""
    return f"{kind} ({shape_text(x)}{printed})"


def is_scalar_symbol(x):
    """Is this a scalar variable, neither a dimension nor the bound variable of a function?"""
    return isinstance(x, sp.Symbol) and not x.is_integer and not isinstance(x, sp.Dummy)


def differentials_in(x):
    """Return the differentials that stand in an expression."""
    kinds = (MatrixDifferential, ScalarDifferential)
    return [found for found in walk(x) if isinstance(found, kinds)]


def sympify(x):
    """Return x as a SymPy object in which 0.5 is 1/2: proofs are exact, so numbers are too.

    Raises TypeError for what is neither a number nor an expression.
    """
    if isinstance(x, MatrixExpr):
        return x
    try:
        x = sp.sympify(x, strict=True)
    except sp.SympifyError:
        x = None if not isinstance(x, (list, tuple)) else x
    if not isinstance(x, (sp.Expr, sp.MatrixBase)) or x.has(sp.nan, sp.zoo, sp.oo):
        raise TypeError(f"expected an expression or a finite number, got {x!r}")
    if isinstance(x, sp.MatrixBase):
        return sp.ImmutableMatrix(x.applyfunc(sympify))
    floats = {f: sp.Rational(str(f)) for f in walk(x) if isinstance(f, sp.Float)}
    return x.xreplace(floats) if floats else x


def is_matrix(x):
    return isinstance(x, (MatrixExpr, sp.MatrixBase))


def is_named(x):
    return isinstance(x, (Named, NamedScalar))


def is_zero(x):
    return isinstance(x, ZeroMatrix) or x == 0


def shape_text(x):
    return "×".join(map(str, x.shape)) if is_matrix(x) else "scalar"


def clash(operation, left, right):
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
    terms = list(map(sympify, terms))
    matrices = [t for t in terms if is_matrix(t)]
    if not matrices:
        return sp.Add(*terms)
    if matrices[0].shape == (1, 1) and any(not is_matrix(t) for t in terms):
        return sp.Add(*(as_scalar(t) for t in terms))
    flat = []
    for t in terms:
        t = _as_matrix(t, matrices[0])
        if t.shape != matrices[0].shape:
            raise clash("sum", matrices[0], t)
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
        return Zeros(*shape)
    return kept[0] if len(kept) == 1 else MatrixSum(*kept)


def mul(*factors):
    """Return the product.  A 1×1 matrix beside a matrix of another size counts as a scalar."""
    scale, matrices = sp.S.One, []
    for f in map(sympify, factors):
        if not is_matrix(f):
            scale *= f
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
    raise clash("product", whole_left, whole_right)


def _product(scale, matrices):
    shape = matrices[0].rows, matrices[-1].cols
    if scale == 0 or any(isinstance(m, ZeroMatrix) for m in matrices):
        return Zeros(*shape)
    factors = _merged([m for m in matrices if not _is_unit(m, Identity)]) or [Eye(shape[0])]
    if scale == 1 and len(factors) == 1:
        return factors[0]
    if len(factors) == 1 and isinstance(factors[0], MatAdd) and scale == -1:
        return MatrixSum(*(mul(-1, t) for t in factors[0].args))
    return MatrixProduct(*([scale] if scale != 1 else []), *factors)


def _merged(factors):
    """Write A A as A², and leave out A A⁻¹."""
    done = []
    for f in factors:
        base, exponent = _base_and_exponent(f)
        last, before = _base_and_exponent(done[-1]) if done else (None, 0)
        if base == last and base.rows == base.cols:
            done.pop()
            whole = matrix_power(base, before + exponent)
            done += [] if isinstance(whole, Identity) else [whole]
        else:
            done.append(f)
    return done


def _base_and_exponent(f):
    """Return B and k, k = -1, 1, 2, …, with f = Bᵏ; for (B⁻¹)ᵏ the exponent is -k."""
    exponent = 1
    if isinstance(f, MatrixPower):
        f, exponent = f.base, int(f.exp)
    return (f.arg, -exponent) if isinstance(f, Inverse) else (f, exponent)


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
    if isinstance(a, Inverse):
        return inverse(transpose(a.arg))
    if isinstance(a, MatPow):
        return matrix_power(transpose(a.base), a.exp)
    if isinstance(a, Elementwise):
        return Elementwise(a.function, transpose(a.argument))
    if isinstance(a, OneMatrix):
        return Ones(*reversed(a.shape))
    if isinstance(a, ZeroMatrix):
        return Zeros(*reversed(a.shape))
    if isinstance(a, sp.MatrixBase):
        return a.T
    if isinstance(a, (Identity, Diag)) or a.shape == (1, 1):
        return a
    return Transposed(a)


def hadamard(*factors):
    """Return A ∘ B ∘ …, the product entry by entry, of matrices of one shape."""
    scale, parts = sp.S.One, []
    factors = list(map(sympify, factors))
    tiny = any(is_matrix(f) and f.shape == (1, 1) for f in factors)
    for f in factors:
        if not is_matrix(f) and tiny:  # as in h ∘ (1 - h), where 1 - h is a number
            scale *= f
            continue
        if not is_matrix(f):
            raise TypeError(f"hadamard: expected matrices, got the scalar {f}")
        if parts and f.shape != parts[0].shape:
            raise clash("hadamard", parts[0], f)
        c, core = coefficient(f)
        scale *= c
        parts += core.args if isinstance(core, HadamardProduct) else [core]
    if not parts:
        raise TypeError("hadamard: expected at least one matrix, got none")
    shape = parts[0].shape
    if any(isinstance(p, ZeroMatrix) for p in parts):
        return Zeros(*shape)
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
            raise clash("hstack", blocks[0], b)
    return HStack(*blocks)


def matrix_power(a, exponent):
    """Return Aᵏ of a square matrix, for an integer k; A⁻¹ is the inverse and A⁰ the identity.

    Of a 1×1 matrix any power, as of the number that it holds.
    """
    if a.shape == (1, 1) and not isinstance(a, (Variable, MatrixPower, Inverse)):
        return as_scalar(a) ** exponent
    a, k = _square("power", a), sympify(exponent)
    if not k.is_Integer:
        raise TypeError(
            f"power: expected an integer exponent for the matrix {a} ({shape_text(a)}), got {k}; "
            "power(A, k) is the power entry by entry"
        )
    if k == 0:
        return Identity(a.rows)
    if k < 0:
        return matrix_power(inverse(a), -k)
    if k == 1 or isinstance(a, Identity):
        return a
    if isinstance(a, MatPow) and not isinstance(a, Inverse):
        return matrix_power(a.base, a.exp * k)
    scale, core = coefficient(a)
    return mul(scale**k, MatrixPower(core, k))


def inverse(a):
    """Return A⁻¹ of a square matrix; whether it exists is for the one who writes it to know."""
    a = _square("inverse", a)
    if isinstance(a, Identity):
        return a
    if isinstance(a, Inverse):
        return a.arg
    if isinstance(a, MatPow):
        return matrix_power(inverse(a.base), a.exp)
    scale, core = coefficient(a)
    return mul(1 / scale, Inverted(core))


def det(a):
    """Return the determinant of a square matrix, a scalar."""
    a = _square("det", a)
    if isinstance(a, Identity):
        return sp.S.One
    if isinstance(a, Transpose):
        return det(a.arg)
    scale, core = coefficient(a)
    return scale**a.rows * Determinant(core)


def logdet(a):
    """Return log det A of a square matrix, a scalar; real where the determinant is positive."""
    return sp.log(det(a))


def diag(a):
    """Return the diagonal matrix of a column, or the diagonal of a square matrix as a column."""
    if not is_matrix(a):
        raise TypeError(f"diag: expected a matrix, got the scalar {a}")
    if a.cols == 1:
        return Diag(a)
    scale, core = coefficient(_square("diag", a))
    if isinstance(core, MatMul) and len(core.args) == 2 and core.args[0].cols == 1:
        return mul(scale, hadamard(core.args[0], transpose(core.args[1])))
    if isinstance(core, (ZeroMatrix, Identity)):
        return Zeros(a.rows, 1) if isinstance(core, ZeroMatrix) else mul(scale, ones(a.rows))
    return mul(scale, core.args[0] if isinstance(core, Diag) else Diagonal(core))


def _square(operation, a):
    if not is_matrix(a):
        raise TypeError(f"{operation}: expected a matrix, got the scalar {a}")
    if a.rows != a.cols:
        raise NonSquareMatrixError(
            f"{operation}: expected a square matrix, got {a} ({shape_text(a)})"
        )
    return a


def elementwise(function, x):
    """Apply a SymPy function of one variable to a scalar, or to each entry of a matrix."""
    x = sympify(x)
    if not is_matrix(x):
        return function(x)
    expression = sympify(function(_z))
    if expression.free_symbols - {_z}:
        shown = expression.xreplace({_z: sp.Symbol("z")})
        raise ValueError(f"elementwise: expected a function of z alone, got {shown}")
    return Elementwise(sp.Lambda(_z, expression), x)


def softmax(z):
    """Return exp(z) / sum(exp(z)) of a column (n×1), or of each row of a matrix of many columns."""
    if not is_matrix(z):
        raise TypeError(f"softmax: expected a matrix, got the scalar {z}")
    return Softmax(z, sp.Integer(0 if z.cols == 1 else 1))


def logsumexp(z):
    """Return log sum exp: of a column a scalar, of a matrix of many columns one for each row."""
    if not is_matrix(z):
        raise TypeError(f"logsumexp: expected a matrix, got the scalar {z}")
    return LogSumExp(z) if z.cols == 1 else RowLogSumExp(z)


def inner(a, b):
    """Return ⟨A, B⟩ = tr(AᵀB), a scalar.  Both have one shape."""
    for x in (a, b):
        if not is_matrix(x):
            raise TypeError(f"inner: expected two matrices, got {x}")
    if a.shape != b.shape:
        raise clash("inner", a, b)
    scale_a, a = coefficient(a)
    scale_b, b = coefficient(b)
    if any(isinstance(x, ZeroMatrix) for x in (a, b)):
        return sp.S.Zero
    return scale_a * scale_b * Inner(a, b)


def norm2(a):
    """Return ‖A‖², the sum of the squares of all entries, a scalar."""
    if not is_matrix(a):
        raise TypeError(f"norm2: expected a matrix, got the scalar {a}")
    scale, core = coefficient(a)
    return scale**2 * Norm2(core, core)


def total(a):
    """Return the sum of all entries of A, a scalar."""
    if not is_matrix(a):
        raise TypeError(f"total: expected a matrix, got {a}")
    return sp.S.Zero if isinstance(a, ZeroMatrix) else Total(a)


def trace(a):
    """Return tr(A), the sum of the diagonal of a square matrix."""
    a = _square("trace", a)
    if isinstance(a, ZeroMatrix):
        return sp.S.Zero
    if isinstance(a, KroneckerProduct):
        return sp.Mul(*map(trace, a.args))
    return Trace(a)


def as_scalar(a):
    """Return a 1×1 matrix as the scalar it holds; a scalar stays as it is."""
    if not is_matrix(a):
        return sympify(a)
    if a.shape != (1, 1):
        raise ShapeError(f"expected a scalar or a 1×1 matrix, got {a} ({shape_text(a)})")
    scale, core = coefficient(a)
    return scale * (sp.S.One if isinstance(core, (Identity, OneMatrix)) else AsScalar(core))


def ordered_terms(scalar_sum):
    """Return the terms of a sum of scalars, those with a minus sign last."""
    terms = scalar_sum.as_ordered_terms()
    return sorted(terms, key=lambda t: t.could_extract_minus_sign())


def d(x):
    """Return the differential dX, unevaluated; its meaning is a directional derivative."""
    x = sympify(x)
    if is_zero(x) or x.is_number is True:
        return Zeros(*x.shape) if is_matrix(x) else sp.S.Zero
    return MatrixDifferential(x) if is_matrix(x) else ScalarDifferential(x)


def dims(names):
    """Return symbols for dimensions: ``n, m = dims("n m")``; one symbol for one name."""
    return sp.symbols(names, integer=True, positive=True)


def _named(name):
    if not isinstance(name, str) or not name:
        raise TypeError(f"expected a name, got {name!r}")
    return name


def _size(n):
    """Return a number of rows or columns, or raise TypeError."""
    size = sympify(n)
    if not size.is_integer or size.is_positive is False:
        raise TypeError(f"expected a size, 1, 2, … or what dims returns, got {n}")
    return size


def scalar(name):
    """Return a real scalar symbol."""
    _named(name)
    return sp.Symbol(name, real=True)


def vector(name, n, latex=""):
    """Return a column vector, an n×1 matrix.  ``latex`` changes how it is printed."""
    return Variable(_named(name), _size(n), 1, latex)


def matrix(name, n, m, latex=""):
    """Return an n×m matrix.  ``latex`` changes how it is printed."""
    return Variable(_named(name), _size(n), _size(m), latex)


def ones(n, m=1):
    """Return the n×m matrix of ones."""
    return Ones(_size(n), _size(m))


def eye(n):
    """Return the n×n identity matrix."""
    return Eye(_size(n))


def let(name, definition, latex=""):
    """Name an expression: ``h = let("h", tanh(a))`` prints as h and is known as tanh(a).

    name: a string, or a symbol of the definition's shape, whose name and print are taken over.
    definition: a matrix or scalar expression.
    """
    if isinstance(name, (Variable, sp.Symbol)):
        if shape_text(name) != shape_text(definition):
            raise clash("let", name, definition)
        latex = latex or getattr(name, "latex_name", "")
        name = name.name
    if not isinstance(name, str) or not name:
        raise TypeError(f"let: expected a name or a symbol first, got {name!r}")
    definition = sympify(definition)
    return (Named if is_matrix(definition) else NamedScalar)(name, definition, latex)
