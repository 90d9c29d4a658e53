"""Slips in the source, each of which a check has to notice.

A slip is planted in a copy of the package, and the check that guards the line runs on the copy,
in a process of its own: this file, started as a script.
A slip counts as noticed only when the check *reports* it: the sizes are chosen so that shapes
cannot give it away.  When a line here no longer stands in its file, the test fails, so that the
list stays true.
"""

import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "rnnlib"

# file: [(name of the check below, the line as it stands, the slip)]
SLIPS = {
    "cells.py": [
        ("tanh", "lambda h: 1 - h * h", "lambda h: 1 + h * h"),
        ("tanh", "lambda h: 1 - h * h", "lambda h: 1 - h"),
        ("relu", "astype(h > 0, h.dtype)", "astype(h < 0, h.dtype)"),
        ("relu", "lambda h: array_namespace(h).astype(h > 0, h.dtype)", "lambda h: 1 + 0 * h"),
        ("sigmoid", "lambda h: h * (1 - h)", "lambda h: h * (1 + h)"),
        ("sigmoid", "lambda h: h * (1 - h)", "lambda h: 1 - h * h"),
        ("sigmoid", "tanh(a / 2)", "tanh(a)"),
        ("tanh", "da = dh * slope(h)", "da = dh"),
        ("tanh", "da = dh * slope(h)", "da = -dh * slope(h)"),
        ("tanh", "return da, da @ weight_hh", "return da, da @ weight_hh.T"),
        ("tanh", "return da, da @ weight_hh", "return da, dh @ weight_hh"),
        ("tanh", "f(a + linear(h_prev, weight_hh, bias_hh))", "f(a + linear(h_prev, weight_hh))"),
        ("tanh", "f(a + linear(", "f(a - linear("),
        ("tanh", "linear(h_prev, weight_hh, bias_hh)", "linear(h_prev, weight_hh.T, bias_hh)"),
        ("linear", "y = x @ weight.T", "y = x @ weight"),
        ("linear", "y if bias is None else y + bias", "y"),
        ("linear", "y if bias is None else y + bias", "y if bias is None else y - bias"),
        ("linear", "return dy @ weight,", "return dy @ weight.T,"),
        ("linear", "dy.T @ x, xp.sum", "x.T @ dy, xp.sum"),
        ("linear", "xp.sum(dy, axis=0)", "xp.sum(dy, axis=1)"),
        ("linear", "xp.sum(dy, axis=0)", "xp.mean(dy, axis=0)"),
        ("tanh", "xp.sum(dy, axis=0)", "xp.sum(dy, axis=1)"),
        ("tanh", "dy.T @ x, xp.sum", "-dy.T @ x, xp.sum"),
    ],
    "layers.py": [
        ("tanh", "d_output[t] + dh", "d_output[t] - dh"),
        ("tanh", "d_output[t] + dh", "d_output[t]"),
        ("tanh", "d_output[t] + dh", "d_output[-1] + dh"),
        ("tanh", "h[t + 1], self.parameters", "h[t], self.parameters"),
        ("tanh", "reversed(range(T))", "range(T)"),
        ("tanh", "reversed(range(T))", "reversed(range(1, T))"),
        ("tanh", "h[:-1].reshape", "h[1:].reshape"),
        ("tanh", "h[:-1].reshape", "h[:-1, ::-1].reshape"),
        ("tanh", "if d_state is None:", "if True:"),
        ("tanh", "0 if h_0 is None else self._state", "0 if True else self._state"),
        ("tanh", '"weight_hh_l0": da.T @ h_rows', '"weight_hh_l0": h_rows.T @ da'),
        ("tanh", '"weight_hh_l0": da.T @ h_rows', '"weight_hh_l0": -da.T @ h_rows'),
        ("tanh", '"weight_hh_l0": da.T @ h_rows', '"weight_hh_l0": d_weight_ih'),
        ("tanh", '"bias_hh_l0": d_bias', '"bias_hh_l0": -d_bias'),
        ("tanh", '"bias_hh_l0": d_bias', '"bias_hh_l0": 0 * d_bias'),
        (
            "tanh",
            'x_rows, self.parameters["weight_ih_l0"]',
            'x_rows, self.parameters["weight_hh_l0"]',
        ),
        ("tanh", 'a[t], h[t], p["weight_hh_l0"]', 'a[t], h[0], p["weight_hh_l0"]'),
        ("tanh", 'p.get("bias_hh_l0"), self', 'p.get("bias_ih_l0"), self'),
        ("batch_first", "d_output = self._layout(d_output, batched, inverse=True)", "pass"),
        ("batch_first", "return self._layout(dx, batched),", "return dx,"),
        ("linear", "x.reshape(-1, self.in_features)", "x.reshape(-1, self.in_features)[::-1]"),
        ("linear", '"weight": d_weight, "bias"', '"weight": -d_weight, "bias"'),
        ("linear", "self.grads[name][...] = g", "self.grads[name][...] += g"),
    ],
    "losses.py": [
        ("mean", "(xp.exp(log_p) - y) * scale", "(xp.exp(log_p) + y) * scale"),
        ("mean", "(xp.exp(log_p) - y) * scale", "(y - xp.exp(log_p)) * scale"),
        ("mean", "(xp.exp(log_p) - y) * scale", "xp.exp(log_p) * scale"),
        ("mean", "(xp.exp(log_p) - y) * scale", "xp.exp(log_p) - y"),
        ("sum", "(xp.exp(log_p) - y) * scale", "(xp.exp(log_p) - y) / 2"),
        ("mean", "(xp.exp(log_p) - y) * scale", "(log_p - y) * scale"),
        ("mean", "zeros_like(log_p)) * scale)", "zeros_like(log_p)))"),
        ("mean", "return shifted - xp.log", "return shifted + xp.log"),
        ("mean", "xp.exp(shifted), axis=-1", "xp.exp(shifted), axis=0"),
        ("mean", "loss = -xp.sum", "loss = xp.sum"),
    ],
    "calculus/rules.py": [
        (
            "inner",
            "Term(ex.mul(scale, other), side) for",
            "Term(ex.mul(-1, scale, other), side) for",
        ),
        ("square", "scale = 2 * c if a == b else c", "scale = c"),
        ("inner", "sides = [(b, a)] if a == b else [(b, a), (a, b)]", "sides = [(b, a)]"),
        ("scalar", "terms = [Term(c * number, rest)", "terms = [Term(c, rest)"),
        ("factor", "term = Term(c * number, rest)", "term = Term(c, rest)"),
        ("scalar", "Term(c * outer.subs(inside, argument), argument)", "Term(c, argument)"),
        ("sum", "_plain(g, [t for t in x.args if depends(t)])", "_plain(g, list(x.args)[:1])"),
        (
            "product",
            "ex.mul(scale, *_transposed(left), g, *_transposed(right))",
            "ex.mul(-1, scale, *_transposed(left), g, *_transposed(right))",
        ),
        (
            "product",
            "ex.mul(scale, *_transposed(left), g, *_transposed(right))",
            "ex.mul(*_transposed(left), g, *_transposed(right))",
        ),
        (
            "product",
            "ex.mul(scale, *_transposed(left), g, *_transposed(right))",
            "ex.mul(scale, *_transposed(right), g, *_transposed(left))",
        ),
        (
            "product",
            "ex.mul(scale, *_transposed(left), g, *_transposed(right))",
            "ex.mul(scale, *left, g, *_transposed(right))",
        ),
        ("product", "for f in reversed(factors)]", "for f in factors]"),
        ("product", "left, right = factors[:i], factors[i + 1 :]", "left, right = factors[:i], []"),
        ("product", "Term(ex.inner(g, rest), scale)", "Term(-ex.inner(g, rest), scale)"),
        ("transpose", "Term(ex.transpose(g), x.arg)", "Term(g, x.arg)"),
        ("transpose", "Term(ex.transpose(g), x.arg)", "Term(ex.mul(-1, ex.transpose(g)), x.arg)"),
        ("hadamard", "Term(ex.hadamard(g, *others), factor)", "Term(g, factor)"),
        ("hadamard", "x.args[:i] + x.args[i + 1 :]", "x.args[: i + 1] + x.args[i + 1 :]"),
        ("elementwise", "Term(ex.hadamard(g, f), x.argument)", "Term(g, x.argument)"),
        (
            "trace",
            '_to_inner("trace", lambda a: Identity(a.rows))',
            '_to_inner("trace", lambda a: ex.Ones(*a.shape))',
        ),
        ("total", "lambda a: ex.Ones(*a.shape)", "lambda a: Identity(a.rows)"),
    ],
    "calculus/functions.py": [
        (
            "sigmoid",
            "hadamard(output, add(one, mul(-1, output)))",
            "hadamard(output, add(one, output))",
        ),
        ("sigmoid", "hadamard(output, add(one, mul(-1, output)))", "add(one, mul(-1, output))"),
        (
            "tanh",
            "add(one, mul(-1, hadamard(output, output)))",
            "add(one, hadamard(output, output))",
        ),
        ("tanh", "add(one, mul(-1, hadamard(output, output)))", "add(one, mul(-1, output))"),
        ("exp", "        return output\n", "        return mul(-1, output)\n"),
        ("elementwise", "result = sp.diff(expression, z)", "result = expression"),
        ("inside", "body == sp.tanh(z)", "body.func is sp.tanh"),
        ("power", "return mul(factor, argument)", "return argument"),
        ("power", "return mul(factor, Elementwise(", "return mul(-1, factor, Elementwise("),
    ],
}


def rnn(**options):
    from rnnlib.gradcheck import check_layer
    from rnnlib.layers import RNN

    # T * N = H = I: a gradient that is transposed or summed wrongly still has the right shape.
    layer = RNN(4, 4, **options)
    rng = np.random.default_rng(2)
    layer.load_state_dict({k: rng.normal(0.2, 0.6, p.shape) for k, p in layer.parameters.items()})
    return check_layer(layer, rng.standard_normal((2, 2, 4)), rng.standard_normal((1, 2, 4)))


def linear():
    from rnnlib.gradcheck import check_layer
    from rnnlib.layers import Linear

    layer, x = Linear(4, 4, rng=1), np.random.default_rng(2).standard_normal((4, 4))
    layer(x)
    layer.backward(x)  # A second call shows whether gradients pile up.
    return check_layer(layer, x)


def loss(reduction):
    from rnnlib.gradcheck import gradcheck
    from rnnlib.losses import softmax_cross_entropy

    z = np.random.default_rng(3).standard_normal((2, 3, 3))
    targets = np.array([[0, 1, 1], [2, 0, 1]])
    _, gradient = softmax_cross_entropy(z, targets, reduction)
    return gradcheck(
        lambda p: softmax_cross_entropy(p["z"], targets, reduction)[0], {"z": z}, {"z": gradient}
    )


def derivation(name):
    """Derive something that needs the rule ``name``, on square matrices alone, and verify it."""
    from rnnlib import calculus as c

    n = c.dims("n")
    W, X, U, D = (c.matrix(k, n, n) for k in "WXUD")
    x, s, delta = (c.vector(k, n) for k in ("x", "s", "delta"))
    r = c.scalar("r")
    derived = {
        "inner": lambda: c.gradient(c.inner(x, W * x), [x, W]),
        "square": lambda: c.gradient(c.inner(x, x), x),
        "scalar": lambda: c.gradient(3 * c.inner(x, s) + c.inner(x, x) ** 2, x),
        "factor": lambda: c.gradient(3 * c.inner(x, s), x),
        "sum": lambda: c.vjp(W * x + s, [x, s], delta),
        "product": lambda: c.vjp(r * W * X * U, [r, W, X, U], D),
        "transpose": lambda: c.vjp(W.T * X, W, D),
        "hadamard": lambda: c.vjp(c.hadamard(W, X), [W, X], D),
        "elementwise": lambda: c.vjp(c.sin(W * x), [W, x], delta),
        "trace": lambda: c.gradient(c.trace(W * X), [W, X]),
        "total": lambda: c.gradient(c.total(W * X), [W, X]),
        "exp": lambda: c.vjp(c.let("h", c.exp(W * x)), [W, x], delta),
        "tanh": lambda: c.vjp(c.let("h", c.tanh(W * x)), [W, x], delta),
        "sigmoid": lambda: c.vjp(c.let("h", c.sigmoid(W * x)), [W, x], delta),
        "inside": lambda: c.vjp(c.elementwise(lambda z: c.tanh(2 * z), x), x, delta),
        "power": lambda: c.vjp(c.square(x) + c.elementwise(lambda z: z**3, x), x, delta),
    }
    return derived[name]().verify()


ARRAY_CHECKS = {
    "tanh": lambda: rnn(nonlinearity="tanh"),
    "relu": lambda: rnn(nonlinearity="relu"),
    "sigmoid": lambda: rnn(nonlinearity="sigmoid"),
    "batch_first": lambda: rnn(batch_first=True),
    "linear": linear,
    "mean": lambda: loss("mean"),
    "sum": lambda: loss("sum"),
}


def passes(package, file, check):
    """Import the package as it now stands on the disk, and return the verdict of the check."""
    for module in [m for m in sys.modules if m.split(".")[0] == "rnnlib"]:
        del sys.modules[module]
    assert Path(importlib.import_module("rnnlib").__file__).parent == package
    if not file.startswith("calculus"):
        return bool(ARRAY_CHECKS[check]())
    # SymPy remembers results of classes that the last import has replaced.
    importlib.import_module("sympy.core.cache").clear_cache()
    return bool(derivation(check))


def complaints(package, file):
    """Plant each slip of one file; say what the checks make of them, if it is not as it should."""
    path = package / file
    source = path.read_text(encoding="utf-8")
    for check in dict.fromkeys(check for check, _, _ in SLIPS[file]):
        if not passes(package, file, check):
            yield f"{check} fails on the code as it stands"
    for check, old, new in SLIPS[file]:
        if source.count(old) != 1:
            yield f"{old!r} stands {source.count(old)} times in the file, not once"
            continue
        path.write_text(source.replace(old, new), encoding="utf-8")
        try:
            if passes(package, file, check):
                yield f"{check} does not notice {new!r} for {old!r}"
        except Exception as error:
            yield f"{check} stops at {new!r} for {old!r} instead of reporting it: {error!r}"


@pytest.mark.parametrize("file", SLIPS)
def test_every_slip_is_reported(file, tmp_path):
    ignore = shutil.ignore_patterns("__pycache__")
    package = Path(shutil.copytree(PACKAGE, tmp_path.resolve() / "rnnlib", ignore=ignore))
    result = subprocess.run(
        # Without -B a stale .pyc could hide a slip that keeps the length and the second.
        [sys.executable, "-B", __file__, package, file],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert not found, "\n".join(found)


if __name__ == "__main__":
    print(json.dumps(list(complaints(Path(sys.argv[1]), sys.argv[2]))))
