"""Recurrent against torch, every gradient by name; truncation; torch's tensors."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from planted_pieces import (
    Case,
    cases,
    close,
    expected,
    inputs,
    recurrent_in_torch,
    run,
    stepped,
    tensors,
)

from rnnlib.gradcheck import check_backward


@settings(deadline=None, max_examples=150)
@given(cases())
def test_equals_torch(case):
    assert close(*run(case))


@pytest.mark.parametrize("T", [1, 2, 5])
@pytest.mark.parametrize("rho", [1, 2, 3, 5, 6])
def test_truncation_equals_autograd_cut_at_T_minus_rho(T, rho):
    case = Case(T=T, rho=rho, N=3, I=2, seed=T * rho)
    assert close(*run(case))


def test_truncation_loses_something():
    """Else the test above would prove nothing."""
    whole, _ = run(Case(T=5))
    cut, _ = run(Case(T=5, rho=2))
    assert not close(cut, {"d feedback.weight": whole["d feedback.weight"]}, 1e-3)


def test_feedback_of_the_oldest_step_counts():
    """y_{T-rho} is a constant, but its product with feedback's weights is part of the step."""
    ours, theirs = run(Case(T=4, rho=1))
    assert np.abs(ours["d feedback.weight"]).max() > 1e-3
    assert close(ours, theirs)


@pytest.mark.parametrize("rho", [2, 99999])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_on_tensors_of_torch(rho, dtype):
    case = Case(T=4, rho=rho, transfer="output layer", merge="join", start="deep", I=2, O=3)
    net, (x, d_y) = case.net(), case.arrays()
    p, xs = tensors(net), inputs(x)
    outputs = recurrent_in_torch(net, xs, p, cut=case.T - case.back)
    theirs = expected(xs, d_y, p, outputs, case.back)
    net.map(lambda a: torch.from_numpy(a).to(dtype))
    ours = stepped(net, *(torch.from_numpy(a).to(dtype) for a in (x, d_y)), case.back)
    assert all(isinstance(a, torch.Tensor) and a.dtype == dtype for a in ours.values())
    assert close(ours, theirs, 1e-10 if dtype == torch.float64 else 1e-4)


def test_equals_finite_differences():
    case = Case(T=3, I=2, N=2, H=3)
    net, (x, _) = case.net(), case.arrays()

    def forward(point):
        for name, array in net.parameters.items():
            array[...] = point[name]
        net.forget()
        return np.stack([net(step) for step in point["x"]])

    def backward(d_y):
        net.zero_grad_parameters()
        for d in d_y[::-1]:
            net.backward(d)
        return {"x": np.stack(net.grad_inputs), **net.grads}

    copies = {name: array.copy() for name, array in net.parameters.items()}
    report = check_backward(forward, backward, {"x": x, **copies})
    assert report, report


def test_gradients_add_up_over_calls():
    case = Case(T=2)
    once, _ = run(case)
    net, (x, d_y) = case.net(), case.arrays()
    stepped(net, x, d_y)
    net.forget()
    twice = stepped(net, x, d_y)
    assert close(twice, {k: 2 * v for k, v in once.items() if k.startswith("d ")})
