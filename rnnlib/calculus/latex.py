"""LaTeX in the form a person writes: order kept, one minus sign, parentheses only where needed."""

import re

import sympy as sp
from sympy import MatAdd, MatMul
from sympy.matrices.expressions.hadamard import HadamardProduct
from sympy.matrices.expressions.special import OneMatrix
from sympy.matrices.expressions.transpose import Transpose
from sympy.printing.latex import LatexPrinter

from rnnlib.calculus import expressions as ex

_GREEK = "alpha beta gamma delta epsilon eta theta lambda mu sigma tau phi psi omega".split()
_FUNCTIONS = {"Sigmoid": r"\sigma", "Relu": r"\operatorname{relu}", "Step": r"\operatorname{step}"}


class BookPrinter(LatexPrinter):
    """SymPy's printer, with the few SymPy nodes that the book writes another way."""

    def _print_Trace(self, expr):
        return rf"\operatorname{{tr}}{_braced(self._print(expr.arg))}"

    def _print_Identity(self, expr):
        return "I"

    def _print_OneMatrix(self, expr):
        return r"\mathbf{1}"

    def _print_ZeroMatrix(self, expr):
        return "0"

    def _print_log(self, expr, exp=None):
        return rf"\log{_braced(self._print(expr.args[0]))}"


def latex(expression):
    """Return the LaTeX of a scalar or matrix expression."""
    return BookPrinter()._print(sp.sympify(expression))


def signed_sum(parts):
    """Join LaTeX terms with + and -."""
    text = parts[0]
    for part in parts[1:]:
        text += f" - {part[1:].lstrip()}" if part.startswith("-") else f" + {part}"
    return text


def broken_sum(parts, limit):
    """Like ``signed_sum``, with line breaks where a line of an aligned block grows too wide."""
    lines, current = [], []
    for part in parts:
        if current and _width(signed_sum([*current, part])) > limit:
            lines.append(signed_sum(current))
            current = [part if part.startswith("-") else f"+ {part}"]
        else:
            current.append(part)
    return [*lines, signed_sum(current)]


def _width(text):
    """About how many characters a formula shows."""
    text = re.sub(r"\\(left|right|mathrm|mathbf|operatorname|small|text)\b", "", text)
    text = re.sub(r"\\(tanh|exp|log|cos|sin)\b", "fun", text)
    text = re.sub(r"\\[,;]", " ", text)
    return len(re.sub(r"[{}_^ ]", "", re.sub(r"\\[a-zA-Z]+", "x", text)))


def name_latex(name):
    """Turn ``W_ih`` into W_{ih} and ``delta_t`` into \\delta_{t}."""
    base, _, index = name.partition("_")
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
        compound = (MatAdd, MatMul, HadamardProduct, ex.Elementwise, ex.MatrixDifferential)
        return rf"{_guard(x.arg, p(x.arg), compound)}^{{\top}}"
    if isinstance(x, ex.HStack):
        return rf"\begin{{bmatrix}}{' & '.join(map(p, x.args))}\end{{bmatrix}}"
    if isinstance(x, ex.MatrixDifferential):
        return _differential(x.args[0], p)
    if isinstance(x, ex.Elementwise):
        return _elementwise(x, p)
    if isinstance(x, OneMatrix):
        return r"\mathbf{1}"
    raise TypeError(f"latex: no rule for {type(x).__name__}")


def scalar_latex(x, printer):
    p = printer._print
    if isinstance(x, ex.Inner):
        return rf"\langle {p(x.args[0])},\; {p(x.args[1])} \rangle"
    if isinstance(x, ex.Total):
        return rf"\operatorname{{sum}}{_braced(p(x.args[0]))}"
    if isinstance(x, ex.AsScalar):
        return _guard(x.args[0], p(x.args[0]), MatAdd)
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
    numerator, denominator = scale.as_numer_denom()
    if not denominator.is_number:
        top = body if numerator == 1 else p(ex.mul(numerator, *factors))
        return rf"\frac{{{top}}}{{{p(denominator)}}}"
    text = p(scale)
    if scale.is_Add:
        text = _braced(text)
    return rf"{text}\, {body}"


def _differential(x, p):
    simple = isinstance(x, (ex.Variable, ex.Named, sp.Symbol))
    return rf"\mathrm{{d}}{p(x) if simple else _braced(p(x))}"


def _elementwise(x, p):
    (z,), body = x.function.variables, x.function.expr
    argument = p(x.argument)
    if body.args == (z,):
        name = _FUNCTIONS.get(body.func.__name__, rf"\{body.func.__name__}")
        return rf"{name}{_braced(argument)}"
    if body == sp.exp(z):
        return rf"\exp{_braced(argument)}"
    if body.is_Pow and body.base == z:
        atom = isinstance(x.argument, (ex.Variable, ex.Named))
        return rf"{argument if atom else _braced(argument)}^{{\circ {p(body.exp)}}}"
    return p(body.subs(z, sp.Symbol(_braced(argument))))


def _braced(text):
    return rf"\left({text}\right)"


def _guard(x, text, kinds):
    return _braced(text) if isinstance(x, kinds) else text
