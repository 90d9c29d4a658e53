"""Recurrent used wrongly: errors that say what to do, and nothing half done."""

import numpy as np
import pytest
import torch
from planted_pieces import close, data, made, stepped

from rnnlib import recurrent as r
from rnnlib.recurrent import Linear, Recurrent, Sequential

# Errors -------------------------------------------------------------------------------------


def test_backward_before_forward():
    net, (x, d_y) = made(), data(2)
    with pytest.raises(RuntimeError, match="expected a forward call before it, but there was none"):
        net.backward(d_y[0])
    net(x[0])
    net.forget()
    with pytest.raises(RuntimeError, match="none since forget"):
        net.backward(d_y[0])


def test_backward_twice():
    net, (x, d_y) = made(), data(2)
    stepped(net, x, d_y)
    grads = {k: g.copy() for k, g in net.grads.items()}
    text = r"all 2 have been gone back through; call forget\(\) or detach\(\), then forward"
    with pytest.raises(RuntimeError, match=text):
        net.backward(d_y[0])
    assert close(net.grads, grads, 1e-300)


def test_backward_out_of_order():
    net, (x, d_y) = made(), data(3)
    for x_t in x:
        net(x_t)
    text = "expected step 3, the last one not gone back through, got 1; go back in the reverse"
    with pytest.raises(RuntimeError, match=text):
        net.backward(d_y[0], step=1)
    net.backward(d_y[2], step=3)
    with pytest.raises(RuntimeError, match=r"expected step 2, .* got 3"):
        net.backward(d_y[2], step=3)
    net.backward(d_y[1], step=2)


def test_forward_after_backward():
    net, (x, d_y) = made(), data(3)
    stepped(net, x, d_y, back=1)
    with pytest.raises(RuntimeError, match=r"gone back through 1 of 3 steps; call forget\(\)"):
        net(x[0])
    net.backward(d_y[1], step=2)


def test_backward_further_than_rho():
    net, (x, d_y) = made(rho=2), data(4)
    stepped(net, x, d_y, back=2)
    with pytest.raises(RuntimeError, match="at most rho = 2 calls after 4 steps"):
        net.backward(d_y[1])


def test_backward_through_time_says_that_backward_does_its_work():
    net, (x, _) = made(), data(1)
    net(x[0])
    with pytest.raises(RuntimeError, match="backward now does this work: call backward once for"):
        net.backward_through_time()


@pytest.mark.parametrize("name", ["mask_zero", "trim_zero"])
def test_masks_are_refused(name):
    text = f"{name}: .*the first step of Recurrent uses another one .*use Recurrence"
    with pytest.raises(TypeError, match=text):
        getattr(made(), name)()


@pytest.mark.parametrize(
    ("wrong", "error", "text"),
    [
        (
            np.zeros(4),
            ValueError,
            r"d_output: expected shape \(2, 4\) \(the output's\), got \(4,\)",
        ),
        (np.zeros((1, 4)), ValueError, "d_output: expected shape"),
        (np.zeros((2, 4), int), TypeError, "d_output: expected floating-point numbers"),
        (torch.zeros(2, 4), TypeError, "d_output: expected numpy.ndarray .* got torch.Tensor"),
        ([0.0] * 4, TypeError, "d_output: expected an array"),
        (1.0, TypeError, "d_output: expected an array"),
    ],
)
def test_a_wrong_gradient_changes_nothing(wrong, error, text):
    net, (x, d_y) = made(), data(3)
    theirs = stepped(made(), x, d_y)
    for x_t in x:
        net(x_t)
    for d in d_y[::-1]:
        with pytest.raises(error, match=text):
            net.backward(wrong)
        net.backward(d)
    assert close(net.grads, {k: theirs[f"d {k}"] for k in net.grads}, 1e-300)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (np.zeros((2, 5)), ValueError),
        (np.zeros(3), ValueError),
        (np.zeros((3, 3)), ValueError),
        (np.zeros((2, 3), int), TypeError),
        (torch.zeros(2, 3), TypeError),
        ([1.0, 2.0, 3.0], TypeError),
        (None, TypeError),
    ],
)
def test_a_wrong_input_is_no_step(wrong, error):
    net, (x, d_y) = made(rho=2), data(3)
    theirs = stepped(made(rho=2), x, d_y, 2)
    net(x[0])
    for x_t in x[1:]:
        for _ in range(3):
            with pytest.raises(error, match=r"input"):
                net(wrong)
        net(x_t)
    assert net.clones == 3
    for d in d_y[:0:-1]:
        net.backward(d)
    assert close(net.grads, {k: theirs[f"d {k}"] for k in net.grads}, 1e-300)


class Broken(r.Module):
    """Raises on the way back, or when told so."""

    def _forward(self, x):
        return x, ()

    def _backward(self, dy, _):
        raise ArithmeticError("broken")


def test_a_module_that_fails_inside_leaves_nothing_half_done():
    net = Recurrent(4, Sequential(Broken(), Linear(3, 4)), Linear(4, 4))
    x, d_y = data(2)
    net(x[0]), net(x[1])
    with pytest.raises(ArithmeticError):
        net.backward(d_y[1])
    assert net.step == 0
    with pytest.raises(RuntimeError, match="none since forget"):
        net.backward(d_y[1])
    net(x[0])
