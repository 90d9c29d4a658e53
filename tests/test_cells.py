"""The cells' equations on NumPy and torch, against autograd and against the derived formulas."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlib import cells
from rnnlib.calculus import dims, let, matrix, relu, sigmoid, tanh, vector, vjp
from rnnlib.gradcheck import check_backward

NONLINEARITIES = pytest.mark.parametrize("nonlinearity", ["tanh", "relu", "sigmoid"])
SIZES = st.integers(1, 5)
SEEDS = st.integers(0, 2**32)
TOLERANCE = {"rtol": 1e-12, "atol": 1e-12}


def draw(seed, N=4, input_size=2, hidden_size=3):
    """Random arrays for one step, by the names of the cells' arguments."""
    rng = np.random.default_rng(seed)
    shapes = {
        "x": (N, input_size),
        "h_prev": (N, hidden_size),
        "weight_ih": (hidden_size, input_size),
        "weight_hh": (hidden_size, hidden_size),
        "bias_ih": (hidden_size,),
        "bias_hh": (hidden_size,),
        "dh": (N, hidden_size),
    }
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def step(arrays, nonlinearity, bias=True):
    """One step forward and backward; returns all numbers by name."""
    p = arrays
    a = cells.linear(p["x"], p["weight_ih"], p["bias_ih"] if bias else None)
    bias_hh = p["bias_hh"] if bias else None
    h = cells.rnn_forward(a, p["h_prev"], p["weight_hh"], bias_hh, nonlinearity)
    da, dh_prev = cells.rnn_backward(p["dh"], h, p["weight_hh"], nonlinearity)
    dx, dweight_ih, dbias = cells.linear_backward(da, p["x"], p["weight_ih"])
    _, dweight_hh, _ = cells.linear_backward(da, p["h_prev"], p["weight_hh"])
    return {
        "h": h,
        "da": da,
        "h_prev": dh_prev,
        "x": dx,
        "weight_ih": dweight_ih,
        "weight_hh": dweight_hh,
        "bias_ih": dbias,
        "bias_hh": dbias,
    }


def assert_close(ours, theirs, names=None):
    for name in ours if names is None else names:
        assert ours[name].shape == theirs[name].shape, name
        np.testing.assert_allclose(ours[name], theirs[name], **TOLERANCE, err_msg=name)


@NONLINEARITIES
@pytest.mark.parametrize("bias", [True, False])
def test_numpy_and_torch_give_the_same_numbers(device, nonlinearity, bias):
    arrays = draw(1)
    tensors = {name: torch.tensor(a, device=device) for name, a in arrays.items()}
    result = step(tensors, nonlinearity, bias)
    assert all(isinstance(t, torch.Tensor) and t.device.type == device for t in result.values())
    result = {name: t.cpu().numpy() for name, t in result.items()}
    assert_close(step(arrays, nonlinearity, bias), result)


@NONLINEARITIES
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_dtype_is_kept(nonlinearity, dtype):
    arrays = {name: a.astype(dtype) for name, a in draw(2).items()}
    assert {str(a.dtype) for a in step(arrays, nonlinearity).values()} == {dtype}
    tensors = {name: torch.tensor(a) for name, a in arrays.items()}
    assert {str(t.dtype) for t in step(tensors, nonlinearity).values()} == {f"torch.{dtype}"}


@settings(deadline=None, max_examples=40)
@given(SEEDS, SIZES, SIZES, SIZES, st.sampled_from(["tanh", "relu", "sigmoid"]))
def test_backward_equals_autograd(seed, N, input_size, hidden_size, nonlinearity):
    arrays = draw(seed, N, input_size, hidden_size)
    t = {k: torch.tensor(a, requires_grad=True) for k, a in arrays.items()}
    a = t["x"] @ t["weight_ih"].T + t["bias_ih"] + t["h_prev"] @ t["weight_hh"].T + t["bias_hh"]
    h = getattr(torch, nonlinearity)(a)
    names = ["x", "h_prev", "weight_ih", "weight_hh", "bias_ih", "bias_hh"]
    grads = torch.autograd.grad(h, [a, *(t[k] for k in names)], t["dh"].detach())
    theirs = dict(zip(["da", *names], (g.numpy() for g in grads), strict=True))
    theirs["h"] = h.detach().numpy()
    assert_close(step(arrays, nonlinearity), theirs)


def test_the_slope_of_relu_at_zero_is_zero_as_in_torch():
    a = np.array([[0.0, -0.0, 1e-300, -1e-300]])
    zeros, dh = np.zeros((4, 4)), np.full((1, 4), 3.0)
    h = cells.rnn_forward(a, np.zeros((1, 4)), zeros, None, "relu")
    da, _ = cells.rnn_backward(dh, h, zeros, "relu")
    t = torch.tensor(a, requires_grad=True)
    torch.relu(t).backward(torch.tensor(dh))
    np.testing.assert_array_equal(da, t.grad.numpy())
    np.testing.assert_array_equal(da, [[0, 0, 3, 0]])


@NONLINEARITIES
def test_backward_equals_the_derived_formulas(nonlinearity):
    """The paper's columns are the code's rows, and the gradient of a batch is a sum of examples."""
    n, m = dims("n m")
    W, U = matrix("weight_ih", n, m), matrix("weight_hh", n, n)
    x, s, b = vector("x", m), vector("h_prev", n), vector("bias_ih", n)
    f = {"tanh": tanh, "relu": relu, "sigmoid": sigmoid}[nonlinearity]
    h = let("h", f(W * x + b + U * s))
    derivation = vjp(h, [x, s, W, U, b], vector("dh", n))
    assert derivation.verify()
    formula = derivation.to_function()
    arrays = draw(4)
    ours = step({**arrays, "bias_hh": np.zeros(3)}, nonlinearity)
    total = {}
    for i in range(4):
        columns = {k: arrays[k][i][:, None] for k in ("x", "h_prev", "dh")}
        columns |= {"bias_ih": arrays["bias_ih"][:, None]}
        columns |= {k: arrays[k] for k in ("weight_ih", "weight_hh")}
        g = formula(**columns)
        for name in ("x", "h_prev"):
            np.testing.assert_allclose(ours[name][i], g[name][:, 0], **TOLERANCE)
        for name in ("weight_ih", "weight_hh", "bias_ih"):
            total[name] = total.get(name, 0) + g[name]
    total["bias_ih"] = total["bias_ih"][:, 0]
    assert_close(ours, total, total)


@NONLINEARITIES
@pytest.mark.parametrize("convert", [np.asarray, torch.tensor], ids=["numpy", "torch"])
def test_extreme_inputs_stay_finite(nonlinearity, convert):
    """pyproject turns warnings into errors: an overflow would show."""
    a = convert(np.array([[-1e4, -700.0, -1.0, 0.0, 1.0, 700.0, 1e4]]))
    zeros = 0 * a
    weight = convert(np.eye(7))
    h = cells.rnn_forward(a, zeros, weight, None, nonlinearity)
    da, dh_prev = cells.rnn_backward(zeros + 1, h, weight, nonlinearity)
    for result in map(np.asarray, (h, da, dh_prev)):
        assert np.isfinite(result).all()
    assert (np.diff(np.asarray(h)) >= 0).all()
    assert (np.asarray(da) >= 0).all()


@NONLINEARITIES
@pytest.mark.parametrize("convert", [np.asarray, torch.tensor], ids=["numpy", "torch"])
def test_nan_is_not_hidden(nonlinearity, convert):
    a = convert(np.array([[np.nan, 1.0]]))
    h_prev, weight = convert(np.zeros((1, 2))), convert(np.zeros((2, 2)))
    h = np.asarray(cells.rnn_forward(a, h_prev, weight, None, nonlinearity))
    np.testing.assert_array_equal(np.isnan(h), [[True, False]])


@NONLINEARITIES
def test_the_step_passes_the_check_with_a_random_cotangent(nonlinearity):
    arrays = draw(6)
    dh = {}
    a = arrays["x"] @ arrays["weight_ih"].T
    point = {"a": a, "h_prev": arrays["h_prev"]}

    def forward(p):
        dh["h"] = cells.rnn_forward(
            p["a"], p["h_prev"], arrays["weight_hh"], arrays["bias_hh"], nonlinearity
        )
        return dh["h"]

    def backward(cotangent):
        da, dh_prev = cells.rnn_backward(cotangent, dh["h"], arrays["weight_hh"], nonlinearity)
        return {"a": da, "h_prev": dh_prev}

    report = check_backward(forward, backward, point)
    assert report, report


def test_the_sum_over_time_is_one_product():
    rng = np.random.default_rng(9)
    da, x = rng.standard_normal((6, 4, 3)), rng.standard_normal((6, 4, 2))
    weight = rng.standard_normal((3, 2))
    dx, dweight, dbias = cells.linear_backward(da.reshape(-1, 3), x.reshape(-1, 2), weight)
    steps = [cells.linear_backward(da[t], x[t], weight) for t in range(6)]
    np.testing.assert_allclose(dx.reshape(x.shape), [s[0] for s in steps], **TOLERANCE)
    np.testing.assert_allclose(dweight, sum(s[1] for s in steps), **TOLERANCE)
    np.testing.assert_allclose(dbias, sum(s[2] for s in steps), **TOLERANCE)
