"""LaTeX in the form a person writes: order kept, one minus sign, parentheses only where needed."""

import re

import sympy as sp
from sympy import Inverse, MatAdd, MatMul, MatPow
from sympy.matrices.expressions.hadamard import HadamardProduct
from sympy.matrices.expressions.special import Identity, OneMatrix, ZeroMatrix
from sympy.matrices.expressions.transpose import Transpose
from sympy.printing.latex import LatexPrinter

from rnnlib.calculus import expressions as ex

_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
).split()
_FUNCTIONS = {"Sigmoid": r"\sigma", "Relu": r"\operatorname{relu}", "Step": r"\operatorname{step}"}


class BookPrinter(LatexPrinter):
    """SymPy's printer, with the few SymPy nodes that the book writes another way."""

    def _print_Trace(self, expr):
        return rf"\operatorname{{tr}}{_braced(self._print(expr.arg))}"

    def _print_Determinant(self, expr):
        return rf"\det{_braced(self._print(expr.arg))}"

    def _print_Identity(self, expr):
        return "I"

    def _print_OneMatrix(self, expr):
        return _ones(expr)

    def _print_ZeroMatrix(self, expr):
        return "0"

    def _print_log(self, expr, exp=None):
        return self._call(r"\log", expr, exp)

    def _print_Sigmoid(self, expr, exp=None):
        return self._call(_FUNCTIONS["Sigmoid"], expr, exp)

    def _print_Relu(self, expr, exp=None):
        return self._call(_FUNCTIONS["Relu"], expr, exp)

    def _print_Step(self, expr, exp=None):
        return self._call(_FUNCTIONS["Step"], expr, exp)

    def _call(self, name, expr, exp):
        power = "" if exp is None else f"^{{{exp}}}"
        return rf"{name}{power}{_braced(self._print(expr.args[0]))}"

    def _print_Pow(self, expr):
        base, exponent = expr.args
        if isinstance(base, ex.Norm2) and exponent.is_positive:
            # Powers of a squared norm: the 2 is part of its print.
            norm, _ = self._print(base).rsplit("^", 1)
            power = self._print(2 * exponent)
            return norm if power == "1" else f"{norm}^{{{power}}}"
        if isinstance(base, ex.NamedScalar) and "^" in self._print(base) and exponent.is_Integer:
            return f"{_braced(self._print(base))}^{{{self._print(exponent)}}}"
        return super()._print_Pow(expr)

    def _print_Add(self, expr, order=None):
        return signed_sum([self._print(t) for t in ex.ordered_terms(expr)])

    def _print_Mul(self, expr):
        # A product of matrices keeps to itself beside other scalars.
        several = len([f for f in expr.args if not f.is_number]) > 1
        braced = [f for f in expr.args if _is_sum(f) or (several and _is_product(f))]
        expr = expr.xreplace({f: _Text(_braced(self._print(f))) for f in braced})
        return super()._print_Mul(expr)


class _Text(sp.Symbol):
    """A symbol whose name is printed as it is."""

    def _latex(self, printer):
        return self.name


def latex(expression):
    """Return the LaTeX of a scalar or matrix expression."""
    return BookPrinter()._print(ex.sympify(expression))


def signed_sum(parts):
    """Join LaTeX terms with + and -."""
    text = parts[0]
    for part in parts[1:]:
        text += f" - {part[1:].lstrip()}" if part.startswith("-") else f" + {part}"
    return text


def width(text):
    """About how many characters a formula shows, one below the other counted once."""
    while r"\frac" in text:
        start = text.index(r"\frac")
        top, end = _group(text, start + len(r"\frac"))
        bottom, end = _group(text, end)
        text = text[:start] + max(top, bottom, key=width) + text[end:]
    text = re.sub(r"\\(left|right|mathrm|mathbf|operatorname|small|text)\b", "", text)
    text = re.sub(r"\\(tanh|exp|log|cos|sin)\b", "fun", text)
    text = re.sub(r"\\[,;]", " ", text)
    return len(re.sub(r"[{}_^ ]", "", re.sub(r"\\[a-zA-Z]+", "x", text)))


def _group(text, start):
    """Return the content of the braces that open at ``start``, and where they end."""
    depth, end = 0, start
    while depth or end == start:
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        end += 1
    return text[start + 1 : end - 1], end


def name_latex(name):
    """Turn ``W_ih`` into W_{ih} and ``delta_t`` into \\delta_{t}."""
    base, _, index = name.partition("_")
    index = index.replace("_", r"\_")
    base = re.sub(rf"^({'|'.join(_GREEK)})$", r"\\\1", base)
    return f"{base}_{{{index}}}" if index else base


def matrix_latex(x, printer):
    p = printer._print
    if isinstance(x, (ex.Variable, ex.Named)):
        return x.latex_name or name_latex(x.name)
    if isinstance(x, MatAdd):
        return signed_sum([p(t) for t in x.args])
    if isinstance(x, MatMul):
        return _product(x, p)
    if isinstance(x, HadamardProduct):
        return r" \circ ".join(_guard(f, p(f), (MatAdd, MatMul)) for f in x.args)
    if isinstance(x, Transpose):
        return _exponent(x.arg, r"\top", p)
    if isinstance(x, Inverse):
        if isinstance(x.arg, Transpose):
            return _exponent(x.arg.arg, r"-\top", p)
        return _exponent(x.arg, "-1", p)
    if isinstance(x, MatPow):
        if isinstance(x.base, Inverse):
            return _exponent(x.base.arg, f"-{p(x.exp)}", p)
        return _exponent(x.base, p(x.exp), p)
    if isinstance(x, (ex.Diag, ex.Diagonal)):
        return rf"\operatorname{{diag}}{_braced(p(x.args[0]))}"
    if isinstance(x, ex.Softmax):
        return rf"\operatorname{{softmax}}{_braced(p(x.argument))}"
    if isinstance(x, ex.RowLogSumExp):
        return rf"\operatorname{{lse}}{_braced(p(x.args[0]))}"
    if isinstance(x, ex.HStack):
        return rf"\begin{{bmatrix}}{' & '.join(map(p, x.args))}\end{{bmatrix}}"
    if isinstance(x, ex.MatrixDifferential):
        return _differential(x.args[0], p)
    if isinstance(x, ex.Elementwise):
        return _elementwise(x, p)
    if isinstance(x, (OneMatrix, Identity, ZeroMatrix)):
        return _ones(x) if isinstance(x, OneMatrix) else "I" if isinstance(x, Identity) else "0"
    raise TypeError(f"latex: no rule for {type(x).__name__}")


def _exponent(x, exponent, p):
    compound = (MatAdd, MatMul, HadamardProduct, Transpose, ex.Elementwise, ex.MatrixDifferential)
    if isinstance(x, MatPow):
        return rf"{_braced(p(x))}^{{{exponent}}}"
    return rf"{_based(_guard(x, p(x), compound))}^{{{exponent}}}"


def _ones(x):
    # A row of ones is the transpose of the column.
    return r"\mathbf{1}^{\top}" if x.rows == 1 != x.cols else r"\mathbf{1}"


def scalar_latex(x, printer):
    p = printer._print
    if isinstance(x, ex.NamedScalar):
        return x.latex_name or name_latex(x.name)
    if isinstance(x, ex.Norm2):
        return rf"\left\lVert {p(x.args[0])} \right\rVert^{{2}}"
    if isinstance(x, ex.LogSumExp):
        return rf"\operatorname{{lse}}{_braced(p(x.args[0]))}"
    if isinstance(x, ex.Inner):
        return rf"\langle {p(x.args[0])},\; {p(x.args[1])} \rangle"
    if isinstance(x, ex.Total):
        return rf"\operatorname{{sum}}{_braced(p(x.args[0]))}"
    if isinstance(x, ex.AsScalar):
        return p(x.args[0])
    if isinstance(x, ex.ScalarDifferential):
        return _differential(x.args[0], p)
    raise TypeError(f"latex: no rule for {type(x).__name__}")


def _product(x, p):
    scale, factors = x.as_coeff_matrices()
    # A Hadamard product needs parentheses beside another matrix, not behind a number.
    kinds = (MatAdd, HadamardProduct) if len(factors) > 1 else MatAdd
    body = r"\, ".join(_guard(f, p(f), kinds) for f in factors)
    if scale == 1:
        return body
    if scale == -1:
        return f"-{body}"
    numerator, denominator = sp.fraction(scale)
    if not denominator.is_number:
        if numerator.could_extract_minus_sign():
            return f"-{p(ex.mul(-scale, *factors))}"
        top = p(ex.mul(numerator, *factors))
        return rf"\frac{{{top}}}{{{p(denominator)}}}"
    text = _braced(p(scale)) if scale.is_Add or _is_product(scale) else p(scale)
    return rf"{text}\, {body}"


def _differential(x, p):
    simple = isinstance(x, (ex.Variable, ex.Named, ex.NamedScalar, sp.Symbol))
    return rf"\mathrm{{d}}{p(x) if simple else _braced(p(x))}"


def _elementwise(x, p):
    (z,), body = x.function.variables, x.function.expr
    argument = p(x.argument)
    if body.args == (z,):
        if isinstance(body, sp.Abs):
            return rf"\left|{argument}\right|"
        return f"{_function_name(body.func.__name__)}{_braced(argument)}"
    if body.is_Pow and body.base == z:
        atom = isinstance(x.argument, (ex.Variable, ex.Named))
        return rf"{_based(argument) if atom else _braced(argument)}^{{\circ {p(body.exp)}}}"
    function = rf"{p(z)} \mapsto {p(body)}"
    return _braced(function) + _braced(argument)


def _function_name(name):
    if name in _FUNCTIONS:
        return _FUNCTIONS[name]
    known = ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh")
    return rf"\{name}" if name in known else rf"\operatorname{{{name.replace('_', '')}}}"


def _is_sum(x):
    return isinstance(x, ex.AsScalar) and isinstance(x.args[0], MatAdd)


def _is_product(x):
    """Is this scalar a product of matrices, but for a number before it?"""
    x = x.as_coeff_Mul()[1]
    return isinstance(x, ex.AsScalar) and not isinstance(x.args[0], (ex.Variable, ex.Named))


def _based(text):
    """Make room for an exponent behind a name that has one."""
    return f"{{{text}}}" if "^" in text and not text.startswith(r"\left(") else text


def _braced(text):
    return rf"\left({text}\right)"


def _guard(x, text, kinds):
    return _braced(text) if isinstance(x, kinds) else text
