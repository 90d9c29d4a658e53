"""One step of each cell beside its formulas in torch, for ``test_planted_errors``.

Every number is compared, forward and backward, so that a forward pass that is wrong in itself is
noticed too.  All sizes are equal, so that shapes cannot give a slip away.
"""

import numpy as np
import torch

from rnnlib import cells

SEED = 40


def same(ours, theirs):
    """Compare by name; ours may have more."""
    return all(
        ours[k].shape == v.shape and np.allclose(ours[k], v, 1e-9, 1e-9) for k, v in theirs.items()
    )


# Steps from the formulas, gate by gate, in torch ------------------------------------------


def elman(f):
    return lambda w, a, h: (f(a + h @ w["weight_hh"].T + w["bias_hh"]),)


def jordan(w, a, y):
    h = torch.tanh(a + y @ w["weight_yh"].T + w["bias_yh"])
    return (torch.tanh(h @ w["weight_hy"].T + w["bias_hy"]),)


def lstm(w, a, h, c):
    p_i, p_f, p_o = w["weight_peephole"].chunk(3) if "weight_peephole" in w else (0, 0, 0)
    a_i, a_f, a_g, a_o = (a + h @ w["weight_hh"].T + w["bias_hh"]).chunk(4, dim=-1)
    i, f = torch.sigmoid(a_i + p_i * c), torch.sigmoid(a_f + p_f * c)
    c = f * c + i * torch.tanh(a_g)
    h = torch.sigmoid(a_o + p_o * c) * torch.tanh(c)
    return h @ w["weight_hr"].T if "weight_hr" in w else h, c


def gru(reset_after):
    def step(w, a, h):
        (W_r, W_z, W_n), (b_r, b_z, b_n) = w["weight_hh"].chunk(3), w["bias_hh"].chunk(3)
        a_r, a_z, a_n = a.chunk(3, dim=-1)
        r, z = torch.sigmoid(a_r + h @ W_r.T + b_r), torch.sigmoid(a_z + h @ W_z.T + b_z)
        m = r * (h @ W_n.T + b_n) if reset_after else (r * h) @ W_n.T + b_n
        return ((1 - z) * torch.tanh(a_n + m) + z * h,)

    return step


STEPS = {
    "tanh": elman(torch.tanh),
    "relu": elman(torch.relu),
    "sigmoid": elman(torch.sigmoid),
    "jordan": jordan,
    **dict.fromkeys(("lstm", "peephole", "projected"), lstm),
    "gru": gru(True),
    "reset before": gru(False),
}


# One step of a cell -----------------------------------------------------------------------


def one_elman(p, d, name):
    h = cells.rnn_forward(p["a"], p["h"], p["weight_hh"], p["bias_hh"], name)
    da, dh = cells.rnn_backward(*d, h, p["weight_hh"], name)
    return (h,), {"a": da, "h": dh, "weight_hh": da.T @ p["h"]}


def one_jordan(p, d, _):
    y, h = cells.jordan_forward(
        p["a"], p["h"], p["weight_yh"], p["weight_hy"], p["bias_yh"], p["bias_hy"]
    )
    da, ds, dy = cells.jordan_backward(*d, y, h, p["weight_yh"], p["weight_hy"])
    return (y,), {"a": da, "h": dy, "weight_yh": da.T @ p["h"], "weight_hy": ds.T @ h}


def one_lstm(p, d, _):
    more = {"peephole": p.get("weight_peephole"), "weight_hr": p.get("weight_hr")}
    new, cache = cells.lstm_forward(p["a"], p["h"], p["c"], p["weight_hh"], p["bias_hh"], **more)
    da, dh, dc = cells.lstm_backward(*d, cache, p["weight_hh"], **more)
    return new, {"a": da, "h": dh, "c": dc, "weight_hh": da.T @ p["h"]}


def one_gru(p, d, _):
    h, cache = cells.gru_forward(p["a"], p["h"], p["weight_hh"], p["bias_hh"])
    da, ds, dh = cells.gru_backward(*d, cache, p["weight_hh"])
    return (h,), {"a": da, "h": dh, "weight_hh": ds.T @ p["h"], "bias_hh": ds.sum(axis=0)}


def one_reset_before(p, d, _):
    h, cache = cells.gru_reset_before_forward(p["a"], p["h"], p["weight_hh"], p["bias_hh"])
    da, dh = cells.gru_reset_before_backward(*d, cache, p["weight_hh"])
    return (h,), {"a": da, "h": dh, "bias_hh": da.sum(axis=0)}


def one_step(name):
    """One step of a cell on rows, N = H: what it returns and every gradient."""
    draw, n = np.random.default_rng(SEED).standard_normal, 4
    gates, ours = {
        "jordan": (1, one_jordan),
        **dict.fromkeys(("lstm", "peephole", "projected"), (4, one_lstm)),
        "gru": (3, one_gru),
        "reset before": (3, one_reset_before),
    }.get(name, (1, one_elman))
    p = {"a": draw((n, gates * n)), "h": draw((n, n))}
    if ours is one_lstm:
        p["c"] = draw((n, n))
    states = list(p)[1:]
    if name == "jordan":
        p |= {f"weight_{k}": draw((n, n)) for k in ("yh", "hy")}
        p |= {f"bias_{k}": draw(n) for k in ("yh", "hy")}
    else:
        p |= {"weight_hh": draw((gates * n, n)), "bias_hh": draw(gates * n)}
    if name in ("peephole", "projected"):
        p["weight_peephole"] = draw(3 * n)
    if name == "projected":
        p["weight_hr"] = draw((n, n))
    d = [draw((n, n)) for _ in states]
    outputs, gradients = ours(p, d, name)

    t = {k: torch.tensor(v, requires_grad=True) for k, v in p.items()}
    expected = STEPS[name](t, t["a"], *(t[s] for s in states))
    torch.autograd.backward(expected, [torch.tensor(v) for v in d])
    return same(dict(enumerate(outputs)), dict(enumerate(y.detach() for y in expected))) and same(
        gradients, {k: t[k].grad for k in gradients}
    )


def rows():
    """The product that serves all steps of an input, and the way back."""
    draw = np.random.default_rng(SEED).standard_normal
    x, weight, dy, bias = *draw((3, 4, 4)), draw(4)
    y = np.array([[sum(weight[i] * row) + bias[i] for i in range(4)] for row in x])
    dx, d_weight, d_bias = cells.linear_backward(dy, x, weight)
    expected = {
        "y": y,
        "no bias": y - bias,
        "dx": np.einsum("no,oi->ni", dy, weight),
        "dweight": np.einsum("no,ni->oi", dy, x),
        "dbias": np.einsum("no->o", dy),
    }
    ys = cells.linear(x, weight, bias), cells.linear(x, weight)
    return same(dict(zip(expected, [*ys, dx, d_weight, d_bias], strict=True)), expected)


def check(name):
    return rows() if name == "linear" else one_step(name)
