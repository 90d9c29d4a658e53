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
        ("mean", "terms, xp.exp(log_p) - y, scale", "terms, xp.exp(log_p) + y, scale"),
        ("mean", "terms, xp.exp(log_p) - y, scale", "terms, y - xp.exp(log_p), scale"),
        ("mean", "terms, xp.exp(log_p) - y, scale", "terms, xp.exp(log_p), scale"),
        ("sum", "terms, xp.exp(log_p) - y, scale", "terms, (xp.exp(log_p) - y) / 2, scale"),
        ("mean", "terms, xp.exp(log_p) - y, scale", "terms, log_p - y, scale"),
        ("mean", "return shifted - xp.log", "return shifted + xp.log"),
        ("mean", "xp.exp(shifted), axis=-1", "xp.exp(shifted), axis=0"),
        ("mean", "terms = -xp.where", "terms = xp.where"),
        ("mean", "xp.sum(terms * scale), slopes * scale", "xp.sum(terms * scale), slopes"),
        ("mean", "xp.sum(terms * scale), slopes * scale", "xp.sum(terms), slopes * scale"),
        # The loss and its gradient wrong together: only a loss computed otherwise tells.
        ("weights", "scale = _scale(xp, weights, weights", "scale = _scale(xp, weights, counted"),
        ("weights", "weights = weights * xp.sum(y * weight", "weights = weights * xp.sum(weight"),
        ("weights", "(counted[..., None], logits.dtype)", "(counted[..., None] | True, y.dtype)"),
        ("weights", "weights * xp.asarray(1 / total", "weights * xp.asarray(1 / parts.size"),
        ("binary", "scale = _scale(xp, weights, counted", "scale = _scale(xp, weights, weights"),
        ("binary", "1 / total", "1 / parts.size"),
        ("binary", "y, 1 - y", "y, 1 - y * y"),
        ("binary", "if_zero * xp.exp(-cost_of_one)", "if_zero * xp.exp(-cost_of_zero)"),
        ("binary", "- if_one * xp.exp", "- y * xp.exp"),
        ("binary", "- if_one * xp.exp", "+ if_one * xp.exp"),
        ("binary", "if_one * cost_of_one + if", "if_one * cost_of_one - if"),
        ("binary", "_softplus(xp, -z), _softplus(xp, z)", "_softplus(xp, z), _softplus(xp, -z)"),
        ("binary", "slopes = if_zero", "slopes = xp.exp(-cost_of_one) * if_zero"),
        ("binary", "xp.log1p(xp.exp(-xp.abs(z)))", "xp.log1p(xp.exp(xp.abs(z)))"),
        ("squared", "(p - y) / 2, p - y", "(p - y) / 2, y - p"),
        ("squared", "(p - y) / 2, p - y", "(p - y) / 2, 2 * (p - y)"),
        ("squared", "(p - y) / 2, p - y", "(p - y), 2 * (p - y)"),
        ("gaussian", "terms, (m - y) / v", "terms, m - y"),
        ("gaussian", "terms, (m - y) / v", "terms, (y - m) / v"),
        ("gaussian", "terms, (m - y) / v", "terms, (m - y) / v**0.5"),
        ("gaussian", "+ xp.log(v)", "+ xp.log(v) / 2"),
        ("gaussian", "math.log(2 * math.pi)", "math.log(math.pi)"),
        ("gaussian", "xp.where(counted, array", "xp.where(~counted, array"),
    ],
    "optim.py": [
        (
            "momentum",
            "g = g + self.weight_decay * p\n        if self.momentum:\n            b = self",
            "g = g - self.weight_decay * p\n        if self.momentum:\n            b = self",
        ),
        ("momentum", "if self.steps == 1:", "if False:"),
        ("momentum", "b[...] = g", "b[...] = (1 - self.dampening) * g"),
        ("momentum", "b += (1 - self.dampening) * g", "b += g"),
        ("momentum", "b += (1 - self.dampening) * g", "b += (1 + self.dampening) * g"),
        ("nesterov", "ahead = self.momentum * b", "ahead = 1 * b"),
        ("nesterov", "ahead += g", "pass"),
        ("nesterov", "g = ahead if self.nesterov else b", "g = b"),
        ("momentum", "g = ahead if self.nesterov else b", "pass"),
        ("momentum", "p -= self.lr * g\n", "p += self.lr * g\n"),
        ("adagrad", "s += g * g", "s += g"),
        ("adagrad", "s += g * g", "s[...] = g * g"),
        ("adagrad", "np.sqrt(s) + self.eps", "np.sqrt(s + self.eps)"),
        ("adagrad", "step /= root\n        p -= step", "step /= root\n        p += step"),
        ("rmsprop", "_average_square(v, g, self.alpha)", "_average_square(v, g, 1 - self.alpha)"),
        ("rmsprop", "_average_square(v, g, self.alpha)", "_average(v, g, self.alpha)"),
        ("centered", "_average(m, g, self.alpha)", "_average_square(m, g, self.alpha)"),
        ("centered", "np.subtract(v, root, out=root)", "np.add(v, root, out=root)"),
        ("centered", "np.multiply(m, m, out=", "np.multiply(m, 1, out="),
        ("rmsprop", "np.sqrt(root, out=root)\n        root += self.eps", "np.sqrt(root, out=root)"),
        ("rmsprop", "np.divide(g, root, out=root)", "np.multiply(g, root, out=root)"),
        ("centered", "b *= self.momentum\n            b += step", "b += step"),
        ("centered", "step[...] = b", "pass"),
        ("adam", "_average(m, g, beta1)", "_average(m, g, beta2)"),
        ("adam", "_average_square(v, g, beta2)", "_average_square(v, g, beta1)"),
        ("adam", "root /= (1 - beta2**self.steps) ** 0.5", "root /= 1 - beta2**self.steps"),
        ("adam", "root /= (1 - beta2**self.steps) ** 0.5", "pass"),
        ("adam", "(1 - beta1**self.steps)", "(1 - beta1)"),
        ("adam", "g + self.weight_decay * p if", "g - self.weight_decay * p if"),
        ("adam", "np.divide(m, root, out=root)", "np.divide(g, root, out=root)"),
        ("adamw", "p *= 1 - self.lr * self.weight_decay", "p *= 1 - self.weight_decay"),
        ("adamw", "p *= 1 - self.lr * self.weight_decay", "g = g + self.weight_decay * p"),
        ("adam", "mean += (1 - keep) * new", "mean += new"),
        ("adam", "part *= new", "pass"),
        ("adam", "self.steps += 1", "self.steps = 1"),
    ],
    "calculus/rules.py": [
        ("inner", "lambda c: ex.mul(c, b)", "lambda c: ex.mul(-1, c, b)"),
        ("inner", "lambda c: ex.mul(c, a)", "lambda c: c * b"),
        ("inner", "in reversed(pairs) if", "in pairs[:1] if"),
        ("square", '"squared norm", a, 2 * a)', '"squared norm", a, a)'),
        (
            "scalar",
            "[_times(*t.as_coeff_Mul()) for t in terms]",
            "[_times(1, t) for t in terms[:1]]",
        ),
        (
            "factor",
            '"constant factor", [_times(number, rest)]',
            '"constant factor", [_times(1, rest)]',
        ),
        ("scalar", "_times(outer.subs(inside, argument), argument)", "_times(1, argument)"),
        ("factor", "lambda c: c * number)", "lambda c: c / number)"),
        ("sum", "[_unchanged(t) for t in x.args if depends(t)]", "[_unchanged(x.args[0])]"),
        ("product", "*_transposed(left), g, *_t", "-1, *_transposed(left), g, *_t"),
        ("product", "ex.mul(scale, *_transposed(left), g", "ex.mul(*_transposed(left), g"),
        (
            "product",
            "*_transposed(left), g, *_transposed(right))",
            "*_transposed(right), g, *_transposed(left))",
        ),
        ("product", "ex.mul(scale, *_transposed(left), g", "ex.mul(scale, *left, g"),
        ("product", "for f in reversed(factors)]", "for f in factors]"),
        ("product", "_between(scale, factors[:i], factor,", "_between(scale, [], factor,"),
        ("product", "lambda g: ex.inner(g, rest)", "lambda g: -ex.inner(g, rest)"),
        ("product", "ex.mul(scale, *left, change, *right)", "ex.mul(scale, *right, change, *left)"),
        ("transpose", "Part(x.arg, ex.transpose, ex.transpose)", "_unchanged(x.arg)"),
        ("transpose", "ex.transpose, ex.transpose)", "ex.transpose, lambda g: g)"),
        ("hadamard", "ex.hadamard(g, *before, *after)", "g"),
        ("hadamard", "ex.hadamard(*before, change, *after)", "change"),
        ("hadamard", "before, after = x.args[:i], x", "before, after = x.args[: i + 1], x"),
        ("elementwise", "lambda g: ex.hadamard(g, f))", "lambda g: g)"),
        ("elementwise", "lambda change: ex.hadamard(f, change)", "lambda change: change"),
        ("trace", "nodes.Eye(x.arg.rows), ex.trace", "ex.ones(*x.arg.shape), ex.trace"),
        ("total", "nodes.Ones(*a.shape), ex.total", "nodes.Eye(a.rows), ex.total"),
        ("determinant", "ex.mul(x, ex.transpose(inverse))", "ex.mul(x, inverse)"),
        ("determinant", "ex.mul(x, ex.transpose(inverse))", "ex.transpose(inverse)"),
        ("inverse", "_between(-1, [x], x.arg, [x])", "_between(1, [x], x.arg, [x])"),
        ("inverse", "_between(-1, [x], x.arg, [x])", "_between(-1, [x], x.arg, [x.arg])"),
        ("matrix power", "ex.matrix_power(a, k - 1 - r)", "ex.matrix_power(a, k - r)"),
        ("matrix power", "for r in range(k)", "for r in range(1, k)"),
        ("softmax", "ex.mul(-ex.inner(p, g), ones)", "ex.mul(ex.inner(p, g), ones)"),
        ("softmax", "ex.mul(-ex.inner(p, g), ones)", "ex.mul(-1, p)"),
        ("softmax rows", "ex.mul(-1, row_sums)", "row_sums"),
        ("softmax rows", "ex.hadamard(p, ex.add(g, ex.mul(-1, row_sums)))", "ex.hadamard(p, g)"),
        (
            "log-sum-exp",
            '"log-sum-exp", x.args[0], ex.softmax(x.args[0])',
            '"log-sum-exp", x.args[0], x.args[0]',
        ),
        (
            "log-sum-exp rows",
            "ex.hadamard(p, ex.mul(g, ex.ones(1, a.cols)))",
            "ex.mul(g, ex.ones(1, a.cols))",
        ),
        ("diagonal", "x.args[0], ex.diag, ex.diag)", "x.args[0], ex.diag, lambda g: -ex.diag(g))"),
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


def other_loss(name):
    """Compare a loss with a plain form of it, and its gradient with differences of that form."""
    from rnnlib import losses
    from rnnlib.gradcheck import gradcheck

    rng = np.random.default_rng(4)
    z, y = rng.standard_normal((2, 2, 3, 3))
    y = np.abs(y) / 4
    targets, mask = np.array([[0, 1, 1], [2, 0, 1]]), np.array([[1, 1, 0], [0, 1, 1]])
    w, p, v = rng.uniform(0.5, 2, (3, 3))
    chosen = np.eye(3)[targets]
    share = w[targets] * mask
    per_entry = mask[..., None] * np.ones(3)
    plain = {
        "weights": lambda z: (
            -np.sum(share * np.log(np.sum(chosen * np.exp(z), -1) / np.sum(np.exp(z), -1)))
            / np.sum(share)
        ),
        "binary": lambda z: np.mean(
            (w * (p * y * np.log1p(np.exp(-z)) + (1 - y) * np.log1p(np.exp(z))))[mask == 1]
        ),
        "squared": lambda z: np.mean((z - y)[mask == 1] ** 2) / 2,
        "gaussian": lambda z: np.mean(
            ((z - y) ** 2 / (2 * v) + np.log(np.sqrt(2 * np.pi * v)))[mask == 1]
        ),
    }[name]
    ours, gradient = {
        "weights": lambda: losses.softmax_cross_entropy(z, targets, weight=w, mask=mask),
        "binary": lambda: losses.binary_cross_entropy_with_logits(
            z, y, weight=w, pos_weight=p, mask=per_entry
        ),
        "squared": lambda: losses.squared_error(z, y, "mean", mask=per_entry),
        "gaussian": lambda: losses.gaussian_nll(z, y, v, mask=per_entry),
    }[name]()
    report = gradcheck(lambda a: plain(a["z"]), {"z": z}, {"z": gradient}, allow_zero=["z"])
    return report and abs(ours - plain(z)) < 1e-12


def optimizer(name):
    """Take ten steps beside torch's optimizer."""
    import torch

    from rnnlib import optim

    kind, options = {
        "momentum": ("SGD", {"momentum": 0.8, "dampening": 0.3, "weight_decay": 0.2}),
        "nesterov": ("SGD", {"momentum": 0.8, "nesterov": True}),
        "adagrad": ("Adagrad", {"eps": 0.1}),
        "rmsprop": ("RMSprop", {"alpha": 0.7, "eps": 0.1}),
        "centered": ("RMSprop", {"alpha": 0.7, "momentum": 0.8, "centered": True}),
        "adam": ("Adam", {"betas": (0.6, 0.7), "weight_decay": 0.2}),
        "adamw": ("AdamW", {"weight_decay": 0.2}),
    }[name]
    rng = np.random.default_rng(5)
    p = rng.standard_normal((3, 3))
    q = torch.tensor(p)
    ours = getattr(optim, kind)({"p": p}, lr=0.1, **options)
    theirs = getattr(torch.optim, kind)([q], lr=0.1, **options)
    for g in rng.standard_normal((10, 3, 3)):
        q.grad = torch.tensor(g)
        ours.step({"p": g})
        theirs.step()
    return np.abs(p - q.numpy()).max() < 1e-12


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
        "determinant": lambda: c.gradient(c.det(W * X), [W, X]),
        "inverse": lambda: c.vjp(c.inverse(W), W, D),
        "matrix power": lambda: c.vjp(W**3, W, D),
        "softmax": lambda: c.vjp(c.softmax(W * x), [W, x], delta),
        "softmax rows": lambda: c.vjp(c.softmax(W * X), [W, X], D),
        "log-sum-exp": lambda: c.gradient(c.logsumexp(W * x), [W, x]),
        "log-sum-exp rows": lambda: c.vjp(c.logsumexp(W * X), [W, X], delta),
        "diagonal": lambda: c.gradient(c.inner(s, c.diag(W * c.diag(x))), [W, x]),
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
    **{
        name: lambda name=name: other_loss(name)
        for name in ("weights", "binary", "squared", "gaussian")
    },
    **{
        name: lambda name=name: optimizer(name)
        for name in ("momentum", "nesterov", "adagrad", "rmsprop", "centered", "adam", "adamw")
    },
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
