"""One step of each gated cell and of Jordan's network: NumPy, torch, autograd, extremes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlib import cells

SIZES = st.integers(1, 5)
TOLERANCE = {"rtol": 1e-12, "atol": 1e-12}


def lstm(p, like):
    """An LSTM step from the formulas of the paper, gate by gate, in torch."""
    s = like["a"] + like["h_prev"] @ like["weight_hh"].T + like["bias_hh"]
    H = like["c_prev"].shape[1]
    a_i, a_f, a_g, a_o = s.split(H, dim=1)
    p_i, p_f, p_o = like["peephole"].split(H) if p else (0, 0, 0)
    i = torch.sigmoid(a_i + p_i * like["c_prev"])
    f = torch.sigmoid(a_f + p_f * like["c_prev"])
    c = f * like["c_prev"] + i * torch.tanh(a_g)
    m = torch.sigmoid(a_o + p_o * c) * torch.tanh(c)
    return m, c


def gru(like, reset_after):
    H = like["h_prev"].shape[1]
    W, b = like["weight_hh"].split(H), like["bias_hh"].split(H)
    a_r, a_z, a_n = like["a"].split(H, dim=1)
    h = like["h_prev"]
    r = torch.sigmoid(a_r + h @ W[0].T + b[0])
    z = torch.sigmoid(a_z + h @ W[1].T + b[1])
    if reset_after:
        n = torch.tanh(a_n + r * (h @ W[2].T + b[2]))
    else:
        n = torch.tanh(a_n + (r * h) @ W[2].T + b[2])
    return (1 - z) * n + z * h


class Lstm:
    def __init__(self, peephole, project):
        self.peephole, self.project = peephole, project

    def shapes(self, N, H):
        R = 2 if self.project else H
        shapes = {"a": (N, 4 * H), "h_prev": (N, R), "c_prev": (N, H)}
        shapes |= {"weight_hh": (4 * H, R), "bias_hh": (4 * H,)}
        return shapes | {"peephole": (3 * H,), "weight_hr": (R, H)}

    def options(self, p):
        return {
            "peephole": p["peephole"] if self.peephole else None,
            "weight_hr": p["weight_hr"] if self.project else None,
        }

    def reference(self, p):
        m, c = lstm(self.peephole, p)
        return m @ p["weight_hr"].T if self.project else m, c

    def forward(self, p):
        return cells.lstm_forward(
            p["a"], p["h_prev"], p["c_prev"], p["weight_hh"], p["bias_hh"], **self.options(p)
        )

    def backward(self, d, cache, p):
        return dict(
            zip(
                ("a", "h_prev", "c_prev"),
                cells.lstm_backward(*d, cache, p["weight_hh"], **self.options(p)),
                strict=True,
            )
        )


class Gru:
    def __init__(self, reset_after):
        self.reset_after = reset_after

    def shapes(self, N, H):
        return {"a": (N, 3 * H), "h_prev": (N, H), "weight_hh": (3 * H, H), "bias_hh": (3 * H,)}

    def reference(self, p):
        return (gru(p, self.reset_after),)

    def forward(self, p):
        f = cells.gru_forward if self.reset_after else cells.gru_reset_before_forward
        h, cache = f(p["a"], p["h_prev"], p["weight_hh"], p["bias_hh"])
        return (h,), cache

    def backward(self, d, cache, p):
        if self.reset_after:
            da, ds, dh_prev = cells.gru_backward(*d, cache, p["weight_hh"])
            return {"a": da, "h_prev": dh_prev, "weight_hh": ds.T @ p["h_prev"]}
        da, dh_prev = cells.gru_reset_before_backward(*d, cache, p["weight_hh"])
        return {"a": da, "h_prev": dh_prev}


class Jordan:
    def shapes(self, N, H):
        O = 2  # noqa: E741
        shapes = {"a": (N, H), "y_prev": (N, O), "weight_yh": (H, O), "weight_hy": (O, H)}
        return shapes | {"bias_yh": (H,), "bias_hy": (O,)}

    def reference(self, p):
        h = torch.tanh(p["a"] + p["y_prev"] @ p["weight_yh"].T + p["bias_yh"])
        return (torch.tanh(h @ p["weight_hy"].T + p["bias_hy"]),)

    def forward(self, p):
        y, h = cells.jordan_forward(
            *(p[n] for n in ("a", "y_prev", "weight_yh", "weight_hy", "bias_yh", "bias_hy"))
        )
        return (y,), (y, h)

    def backward(self, d, cache, p):
        y, h = cache
        da, ds, dy_prev = cells.jordan_backward(*d, y, h, p["weight_yh"], p["weight_hy"])
        return {"a": da, "y_prev": dy_prev, "weight_hy": ds.T @ h, "weight_yh": da.T @ p["y_prev"]}


FORMS = {
    "lstm": Lstm(False, False),
    "peephole lstm": Lstm(True, False),
    "projected lstm": Lstm(False, True),
    "projected peephole lstm": Lstm(True, True),
    "gru": Gru(True),
    "gru, reset before": Gru(False),
    "jordan": Jordan(),
}
EACH = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def draw(form, seed, N=4, H=3):
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(shape) for name, shape in form.shapes(N, H).items()}


def cotangents(outputs, seed):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(tuple(y.shape)) for y in outputs]


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(list(FORMS)), st.integers(0, 2**32), SIZES, SIZES)
def test_forward_and_backward_equal_autograd(name, seed, N, H):
    form = FORMS[name]
    p = draw(form, seed, N, H)
    outputs, cache = form.forward(p)
    d = cotangents(outputs, seed + 1)
    ours = form.backward(d, cache, p)
    t = {k: torch.tensor(v, requires_grad=True) for k, v in p.items()}
    theirs = form.reference(t)
    for y, y_t in zip(outputs, theirs, strict=True):
        np.testing.assert_allclose(y, y_t.detach().numpy(), **TOLERANCE)
    grads = torch.autograd.grad(theirs, [t[k] for k in ours], [torch.tensor(v) for v in d])
    for k, g in zip(ours, grads, strict=True):
        assert ours[k].shape == tuple(g.shape), k
        np.testing.assert_allclose(ours[k], g.numpy(), **TOLERANCE, err_msg=k)


@EACH
def test_numpy_and_torch_give_the_same_numbers(device, form):
    p = draw(form, 1)
    t = {k: torch.tensor(v, device=device) for k, v in p.items()}
    outputs, cache = form.forward(p)
    outputs_t, cache_t = form.forward(t)
    d = cotangents(outputs, 2)
    ours = form.backward(d, cache, p)
    theirs = form.backward([torch.tensor(v, device=device) for v in d], cache_t, t)
    for y, y_t in zip([*outputs, *ours.values()], [*outputs_t, *theirs.values()], strict=True):
        assert y_t.device.type == device
        np.testing.assert_allclose(y, y_t.cpu().numpy(), **TOLERANCE)


@EACH
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_dtype_is_kept(form, dtype):
    p = {k: v.astype(dtype) for k, v in draw(form, 3).items()}
    for convert, expected in ((np.asarray, dtype), (torch.tensor, f"torch.{dtype}")):
        q = {k: convert(v) for k, v in p.items()}
        outputs, cache = form.forward(q)
        d = [convert(v.astype(dtype)) for v in cotangents(outputs, 4)]
        found = [*outputs, *form.backward(d, cache, q).values()]
        assert {str(y.dtype) for y in found} == {expected}


@EACH
def test_without_biases(form):
    p = draw(form, 5)
    zero = {k: np.zeros_like(v) if k.startswith("bias") else v for k, v in p.items()}
    none = {k: None if k.startswith("bias") else v for k, v in p.items()}
    for y, expected in zip(form.forward(none)[0], form.forward(zero)[0], strict=True):
        np.testing.assert_array_equal(y, expected)


@EACH
def test_saturated_gates_stay_finite(form):
    """pyproject turns warnings into errors: an overflow would show."""
    p = {k: 1e4 * v for k, v in draw(form, 6).items()}
    outputs, cache = form.forward(p)
    found = form.backward(cotangents(outputs, 7), cache, p)
    assert all(np.isfinite(y).all() for y in [*outputs, *found.values()])


@EACH
def test_backward_changes_no_argument(form):
    p = draw(form, 8)
    outputs, cache = form.forward(p)
    d = cotangents(outputs, 9)
    first = form.backward(d, cache, p)
    again = form.backward(d, cache, p)
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
