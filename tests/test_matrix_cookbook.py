"""The first-order derivatives of sections 2.1 to 2.5 of The Matrix Cookbook, each one proved.

Petersen and Pedersen, version of November 15, 2012; the numbers are its equations.  Its tables of
single entries (a derivative of one entry by another) are put as ⟨M, F(X)⟩ for an arbitrary M.  Left
out, as in our promise: second derivatives (48), eigenvalues (65-68), functions of a matrix that are
neither elementwise nor powers (98, 128).  A symmetric matrix is written M + Mᵀ.
"""

import pytest
import sympy as sp

from rnnlib.calculus import (
    check,
    d,
    det,
    differential,
    dims,
    equation,
    eye,
    gradient,
    hadamard,
    inner,
    inverse,
    let,
    logdet,
    matrix,
    norm2,
    ones,
    total,
    trace,
    vector,
    vjp,
)

n, m, k = dims("n m k")
X, A, B, C, D = (matrix(name, n, n) for name in "XABCD")
Y = matrix("Y", n, m)  # n×m, not square
a, b, c, x, s = (vector(name, n) for name in "abcxs")
M, N = matrix("M", n, n), matrix("N", n, n)
S = M + M.T  # symmetric
R = N + N.T
gram = Y.T * Y
pinv = inverse(gram) * Y.T  # of a tall matrix
I_n = eye(n)
quad = Y.T * A * Y
squad = Y.T * S * Y


def power_sum(term, count):
    return sum((term(r) for r in range(1, count)), term(0))


def around(middle, k):
    """The sum of (Xʳ)ᵀ M (X^(k-1-r))ᵀ over r = 0, …, k - 1."""
    return power_sum(lambda r: (X.T) ** r * middle * (X.T) ** (k - 1 - r), k)


# name, with the number in the book: (scalar, variable, gradient as the book has it)
ENTRIES = {
    # 2.1 determinants
    "49 det(X)": (det(X), X, det(X) * inverse(X).T),
    "51 det(AXB)": (det(A * X * B), X, det(A * X * B) * inverse(X.T)),
    "52 det(X'AX), X square": (det(X.T * A * X), X, 2 * det(X.T * A * X) * inverse(X.T)),
    "53 det(X'AX), A symmetric": (det(squad), Y, 2 * det(squad) * S * Y * inverse(squad)),
    "54 det(X'AX)": (
        det(quad), Y,
        det(quad) * (A * Y * inverse(quad) + A.T * Y * inverse(Y.T * A.T * Y))),
    "55 ln det(X'X)": (logdet(gram), Y, 2 * pinv.T),
    "57 ln|det(X)|": (sp.log(sp.Abs(det(X))), X, inverse(X).T),
    "58 det(X²)": (det(X**2), X, 2 * det(X**2) * inverse(X.T)),
    "58 det(X³)": (det(X**3), X, 3 * det(X**3) * inverse(X.T)),
    # 2.2 inverses
    "60 X⁻¹ by entries": (inner(M, inverse(X)), X, -(inverse(X).T * M * inverse(X).T)),
    "61 a'X⁻¹b": (a.T * inverse(X) * b, X, -(inverse(X).T * a * b.T * inverse(X).T)),
    "62 det(X⁻¹)": (det(inverse(X)), X, -det(inverse(X)) * inverse(X).T),
    "63 tr(AX⁻¹B)": (trace(A * X**-1 * B), X, -(X**-1 * B * A * X**-1).T),
    "64 tr((X+A)⁻¹)": (trace(inverse(X + A)), X, -(inverse(X + A) * inverse(X + A)).T),
    # 2.4 forms of the first order
    "69 x'a": (x.T * a, x, a),
    "69 a'x": (a.T * x, x, a),
    "70 a'Xb": (a.T * X * b, X, a * b.T),
    "71 a'X'b": (a.T * X.T * b, X, b * a.T),
    "72 a'Xa": (a.T * X * a, X, a * a.T),
    "72 a'X'a": (a.T * X.T * a, X, a * a.T),
    "74 XA by entries": (inner(M, X * A), X, M * A.T),
    "75 X'A by entries": (inner(M, X.T * A), X, A * M.T),
    # of the second order
    "76 sum of all products": (total(X) ** 2, X, 2 * total(X) * ones(n, n)),
    "77 b'X'Xc": (b.T * X.T * X * c, X, X * (b * c.T + c * b.T)),
    "78 (Bx+b)'C(Dx+d)": (
        (B * x + b).T * C * (D * x + c), x,
        B.T * C * (D * x + c) + D.T * C.T * (B * x + b)),
    "80 X'BX by entries": (inner(M, X.T * B * X), X, B * X * M.T + B.T * X * M),
    "81 x'Bx": (x.T * B * x, x, (B + B.T) * x),
    "82 b'X'DXc": (b.T * X.T * D * X * c, X, D.T * X * b * c.T + D * X * c * b.T),
    "83 (Xb+c)'D(Xb+c)": ((X * b + c).T * D * (X * b + c), X, (D + D.T) * (X * b + c) * b.T),
    "84 (x-As)'W(x-As) by s": ((x - A * s).T * S * (x - A * s), s, -2 * A.T * S * (x - A * s)),
    "85 (x-s)'W(x-s) by x": ((x - s).T * S * (x - s), x, 2 * S * (x - s)),
    "86 (x-s)'W(x-s) by s": ((x - s).T * S * (x - s), s, -2 * S * (x - s)),
    "87 (x-As)'W(x-As) by x": ((x - A * s).T * S * (x - A * s), x, 2 * S * (x - A * s)),
    "88 (x-As)'W(x-As) by A": ((x - A * s).T * S * (x - A * s), A, -2 * S * (x - A * s) * s.T),
    # of higher order
    "90 X³ by entries": (inner(M, X**3), X, around(M, 3)),
    "91 a'X²b": (a.T * X**2 * b, X, around(a * b.T, 2)),
    "91 a'X³b": (a.T * X**3 * b, X, around(a * b.T, 3)),
    "93 s'Ar": (
        (B * x + b).T * A * hadamard(x, x), x,
        B.T * A * hadamard(x, x) + 2 * hadamard(x, A.T * (B * x + b))),
    "94 x'A'Ax / x'B'Bx": (
        (x.T * A.T * A * x) / (x.T * B.T * B * x), x,
        2 * A.T * A * x / (x.T * B.T * B * x)
        - 2 * (x.T * A.T * A * x) * B.T * B * x / (x.T * B.T * B * x) ** 2),
    "96 x'Ax + b'x": (x.T * A * x + b.T * x, x, (A + A.T) * x + b),
    # 2.5 traces of the first order
    "99 tr(X)": (trace(X), X, I_n),
    "100 tr(XA)": (trace(X * A), X, A.T),
    "101 tr(AXB)": (trace(A * X * B), X, A.T * B.T),
    "102 tr(AX'B)": (trace(A * X.T * B), X, B * A),
    "103 tr(X'A)": (trace(X.T * A), X, A),
    "104 tr(AX')": (trace(A * X.T), X, A),
    "105 tr(A⊗X)": (trace(sp.KroneckerProduct(A, X)), X, trace(A) * I_n),
    # of the second order
    "106 tr(X²)": (trace(X**2), X, 2 * X.T),
    "107 tr(X²B)": (trace(X**2 * B), X, (X * B + B * X).T),
    "108 tr(X'BX)": (trace(X.T * B * X), X, B * X + B.T * X),
    "109 tr(BXX')": (trace(B * X * X.T), X, B * X + B.T * X),
    "110 tr(XX'B)": (trace(X * X.T * B), X, B * X + B.T * X),
    "111 tr(XBX')": (trace(X * B * X.T), X, X * B.T + X * B),
    "112 tr(BX'X)": (trace(B * X.T * X), X, X * B.T + X * B),
    "113 tr(X'XB)": (trace(X.T * X * B), X, X * B.T + X * B),
    "114 tr(AXBX)": (trace(A * X * B * X), X, A.T * X.T * B.T + B.T * X.T * A.T),
    "115 tr(X'X)": (trace(Y.T * Y), Y, 2 * Y),
    "115 tr(XX')": (trace(Y * Y.T), Y, 2 * Y),
    "116 tr(B'X'CXB)": (
        trace(B.T * X.T * C * X * B), X, C.T * X * B * B.T + C * X * B * B.T),
    "117 tr(X'BXC)": (trace(X.T * B * X * C), X, B * X * C + B.T * X * C.T),
    "118 tr(AXBX'C)": (trace(A * X * B * X.T * C), X, A.T * C.T * X * B.T + C * A * X * B),
    "119 tr((AXB+C)(AXB+C)')": (
        trace((A * X * B + C) * (A * X * B + C).T), X, 2 * A.T * (A * X * B + C) * B.T),
    "120 tr(X⊗X)": (trace(sp.KroneckerProduct(X, X)), X, 2 * trace(X) * I_n),
    # of higher order
    "121 tr(X³)": (trace(X**3), X, 3 * (X**2).T),
    "121 tr(X⁵)": (trace(X**5), X, 5 * (X**4).T),
    "122 tr(AX³)": (
        trace(A * X**3), X, power_sum(lambda r: (X**r * A * X ** (2 - r)).T, 3)),
    "123 tr(B'X'CXX'CXB)": (
        trace(B.T * X.T * C * X * X.T * C * X * B), X,
        C * X * X.T * C * X * B * B.T + C.T * X * B * B.T * X.T * C.T * X
        + C * X * B * B.T * X.T * C * X + C.T * X * X.T * C.T * X * B * B.T),
    # others
    "124 tr(AX⁻¹B)": (trace(A * inverse(X) * B), X, -(inverse(X.T) * A.T * B.T * inverse(X.T))),
    "125 tr((X'CX)⁻¹A)": (
        trace(inverse(squad) * matrix("A", m, m)), Y,
        -(S * Y * inverse(squad) * (matrix("A", m, m) + matrix("A", m, m).T) * inverse(squad))),
    "126 tr((X'CX)⁻¹(X'BX))": (
        trace(inverse(squad) * Y.T * R * Y), Y,
        -2 * S * Y * inverse(squad) * Y.T * R * Y * inverse(squad) + 2 * R * Y * inverse(squad)),
    "129 norm of x-a": (sp.sqrt(norm2(x - a)), x, (x - a) / sp.sqrt(norm2(x - a))),
    "132 norm² of X": (norm2(Y), Y, 2 * Y),
}  # fmt: skip

# (56): by the pseudoinverse P of X, with ln det(X'X) = -ln det(PP').
P = matrix("P", m, n)
ENTRIES["56 ln det(X'X) by X⁺"] = (-logdet(P * P.T), P, -2 * inverse(P * P.T) * P)


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_entry(entry):
    expression, variable, book = entry
    derivation = gradient(expression, variable)
    proof = derivation.verify()
    assert proof.method == "exact", str(proof)
    assert derivation.value.shape == variable.shape
    same = equation(derivation.value, book).verify()
    assert same.method == "exact", str(same)
    assert check(book, expression, variable)
    for wrong in (-book, book + variable):
        assert not check(wrong, expression, variable)


def test_46_47_and_59_are_differentials():
    assert equation(d(det(X)), det(X) * trace(inverse(X) * d(X))).verify().method == "exact"
    assert equation(d(logdet(X)), trace(inverse(X) * d(X))).verify().method == "exact"
    assert equation(d(inverse(X)), -(inverse(X) * d(X) * inverse(X))).verify().method == "exact"
    assert differential(inverse(X)) == -(inverse(X) * d(X) * inverse(X))
    assert differential(det(X)) == det(X) * trace(inverse(X) * d(X))


def test_64_a_gradient_for_the_inverse_taken_back_to_the_matrix():
    W = let("W", inverse(X))
    back = vjp(W, X, M)
    assert back.verify().method == "exact"
    assert equation(back.value, -(inverse(X).T * M * inverse(X).T)).verify()


def test_92_as_printed_lacks_a_transpose():
    """The book's first term is X^(n-1-r) a b' (X^n)' X^r; the proof asks for its transpose."""
    power = 2
    loss = a.T * (X**power).T * X**power * b
    second = power_sum(lambda r: (X.T) ** r * X**power * a * b.T * (X.T) ** (power - 1 - r), power)
    printed = power_sum(lambda r: X ** (power - 1 - r) * a * b.T * (X.T) ** power * X**r, power)
    verdict = check(printed + second, loss, X)
    assert not verdict
    assert check(printed.T + second, loss, X)
    assert gradient(loss, X).verify().method == "exact"
