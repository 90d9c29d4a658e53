"""How derivations print: as a person writes them, and always the same."""

import pytest
from calculus_cases import (
    A,
    B,
    C,
    R,
    S,
    W,
    a,
    b,
    each_case,
    fresh,
    m,
    n,
    v,
    x,
    y,
)

from rnnlib.calculus import (
    d,
    det,
    diag,
    elementwise,
    exp,
    eye,
    gradient,
    hadamard,
    inner,
    latex,
    let,
    log,
    logdet,
    logsumexp,
    matrix,
    norm2,
    ones,
    relu,
    sigmoid,
    softmax,
    square,
    tanh,
    total,
    vector,
)
from rnnlib.calculus.expressions import as_scalar

# LaTeX

WRITTEN = {
    W * x + b + S * v + y: r"W\, x + b + S\, v + y",
    (A + B) * C: r"\left(A + B\right)\, C",
    -((A + B) * C): r"-\left(A + B\right)\, C",
    -(A + B): "-A - B",
    A - 2 * (B * C * C.T): r"A - 2\, B\, C\, C^{\top}",
    (A + B).T: r"A^{\top} + B^{\top}",
    (A * C).T: r"C^{\top}\, A^{\top}",
    S * hadamard(A, B): r"S\, \left(A \circ B\right)",
    hadamard(A, A * C * C.T): r"A \circ \left(A\, C\, C^{\top}\right)",
    hadamard(A, 1 - B): r"A \circ \left(\mathbf{1} - B\right)",
    tanh(A + B) * x: r"\tanh\left(A + B\right)\, x",
    tanh(A).T: r"\tanh\left(A^{\top}\right)",
    d(A): r"\mathrm{d}A",
    d(A + B): r"\mathrm{d}\left(A + B\right)",
    d(A).T: r"\left(\mathrm{d}A\right)^{\top}",
    square(A): r"A^{\circ 2}",
    square(A * C): r"\left(A\, C\right)^{\circ 2}",
    exp(v) / total(exp(v)):
        r"\frac{\exp\left(v\right)}{\operatorname{sum}\left(\exp\left(v\right)\right)}",
    A - B / a: r"A - \frac{B}{a}",
    A / (-a): r"-\frac{A}{a}",
    A / 2: r"\frac{1}{2}\, A",
    (a + 1) * A: r"\left(a + 1\right)\, A",
    (y.T * v) * A: r"\left(y^{\top}\, v\right)\, A",
    A / (x.T * x): r"\frac{A}{x^{\top}\, x}",
    (x.T * x) ** 2: r"\left(x^{\top}\, x\right)^{2}",
    a * as_scalar(x.T * x): r"a \left(x^{\top}\, x\right)",
    log(a) ** 2: r"\log^{2}\left(a\right)",
    sigmoid(a): r"\sigma\left(a\right)",
    S**-1: "S^{-1}",
    (S**-1).T: r"S^{-\top}",
    (S * R) ** -1: r"\left(S\, R\right)^{-1}",
    S**2 * S: "S^{3}",
    S * S**-1 * A: "A",
    S**-3 * S: "S^{-2}",
    (S**2).T: r"\left(S^{\top}\right)^{2}",
    (A.T * A) ** 2 * x: r"\left(A^{\top}\, A\right)^{2}\, x",
    det(S.T) * A: r"\det\left(S\right)\, A",
    logdet(S): r"\log\left(\det\left(S\right)\right)",
    norm2(A * x - b): r"\left\lVert A\, x - b \right\rVert^{2}",
    diag(v) * A: r"\operatorname{diag}\left(v\right)\, A",
    diag(v * y.T): r"v \circ y",
    softmax(v): r"\operatorname{softmax}\left(v\right)",
    logsumexp(v) - inner(y, v):
        r"\operatorname{lse}\left(v\right) - \langle y,\; v \rangle",
    let("s", inner(v, y)) * A: r"s\, A",
    let(vector("q", n, latex="q_t"), S * v): "q_t",
    eye(n) - S: "I - S",
    matrix("W_ih", n, m): "W_{ih}",
    vector("delta_t", n): r"\delta_{t}",
    matrix("W", n, m, latex="W^{(1)}").T: r"{W^{(1)}}^{\top}",
    elementwise(lambda z: z**2 + 1, A) * x: r"\left(z \mapsto z^{2} + 1\right)\left(A\right)\, x",
    1.0 * A: "A",
    ones(n, m) - 0.5 * A: r"\mathbf{1} - \frac{1}{2}\, A",
}  # fmt: skip


@pytest.mark.parametrize(("expression", "written"), WRITTEN.items(), ids=map(str, WRITTEN))
def test_latex_is_what_a_person_writes(expression, written):
    assert latex(expression) == written


@each_case
def test_latex_has_no_traces_of_the_machine(case):
    expression, variables, _ = case
    text = gradient(expression, variables).latex()
    for trace_of_machine in (
        "(-1)",
        "1.0",
        "0.5",
        "Dummy",
        "_z",
        "+ -",
        "- -",
        "lambda",
        "Sigmoid",
        "None",
    ):
        assert trace_of_machine not in text
    assert text.count("{") == text.count("}")
    assert text.count(r"\left(") == text.count(r"\right)")
    assert text.startswith(r"\begin{aligned}")


def test_latex_is_the_same_in_every_process():
    code = """
        from rnnlib.calculus import *
        n, m = dims("n m")
        W, S, x = matrix("W", n, m), matrix("S", n, n), vector("x", m)
        b, y = vector("b", n), vector("y", n)
        a, c = scalar("a"), scalar("c")
        s = let("s", sigmoid(W * x + b))
        z = let("z", S * s + b)
        L = log(total(exp(z))) - inner(y, z) + a * c**2 * trace(S * S) / (1 + a**2) + total(relu(z))
        print(gradient(L, [W, S, b, x, a, c]).latex())
        print(equation(d(S * W), d(S) * W + S * d(W)).latex())
    """
    assert fresh(code, PYTHONHASHSEED="1") == fresh(code, PYTHONHASHSEED="2")


def test_a_sum_of_products_keeps_its_parentheses():
    energy = as_scalar(y.T * v + b.T * v)
    whole = r"\left(y^{\top}\, v + b^{\top}\, v\right)"
    for expression in (-energy, a - energy, relu(1 - energy), sigmoid(-energy), (1 - energy) * v):
        assert whole in latex(expression), latex(expression)


def test_a_name_within_a_name_is_written_once():
    inside = let("a", S * v)
    text = gradient(norm2(let("h_a", tanh(inside))), S).latex()
    assert r"\text{elementwise function, $h_{a}$}" in text


def test_the_trace_style_writes_traces():
    derivation = gradient(inner(v, tanh(W * x)), [W])
    text = derivation.latex("trace")
    assert r"\operatorname{tr}\left(v^{\top}\, \mathrm{d}\left(\tanh" in text
    assert r"\mathrm{d}W\right)" in text
    assert text.splitlines()[-2] == derivation.latex().splitlines()[-2]
    lines = text.splitlines()[2:-2]
    assert all("langle" not in line for line in lines)
