"""What Lua's Recurrent did, one by one; its buffers, its errors, its printed tree."""

import inspect

import numpy as np
import pytest
import torch
from planted_pieces import close, data, grads_of, made, randomize, stepped

from rnnlib import recurrent as r
from rnnlib.recurrent import Add, CAddTable, Linear, Recurrent, Sequential, Sigmoid, Tanh

# The constructor ----------------------------------------------------------------------------


def test_defaults():
    net = Recurrent(4, Linear(3, 4), Linear(4, 4))
    assert list(net.children) == ["start", "input", "feedback", "transfer", "merge"]
    assert isinstance(net.children["start"], Add)
    assert net.children["start"].size == (4,)
    assert isinstance(net.children["transfer"], Sigmoid)
    assert isinstance(net.children["merge"], CAddTable)
    assert net.rho == 99999
    other = Recurrent(4, Linear(3, 4), Linear(4, 4))
    assert other.children["transfer"] is not net.children["transfer"]
    assert other.children["merge"] is not net.children["merge"]


def test_order_of_the_arguments():
    names = list(inspect.signature(Recurrent).parameters)
    assert names[:6] == ["start", "input", "feedback", "transfer", "rho", "merge"]


@pytest.mark.parametrize("start", [4, (4,), [4], np.int64(4), torch.Size([4])])
def test_start_as_a_size_is_a_learned_bias(start):
    net = Recurrent(start, Linear(3, 4), Linear(4, 4))
    assert repr(net.children["start"]) == "Add(4)"
    assert "start.bias" in net.parameters


def test_start_of_two_axes():
    net = randomize(Recurrent((2, 3), Add((2, 3)), Add((2, 3))), 0)
    x = np.random.default_rng(0).standard_normal((5, 2, 3))
    p = net.parameters
    first = 1 / (1 + np.exp(-(x + p["input.bias"] + p["start.bias"])))
    assert np.allclose(net(x), first)


def test_start_as_a_module_is_used_as_it_is():
    start = Linear(4, 4)
    assert Recurrent(start, Linear(3, 4), Linear(4, 4)).children["start"] is start


@pytest.mark.parametrize("start", ["4", 4.0, None, True, (), (4, 2.0), np.zeros(4), Linear])
def test_start_as_anything_else_is_an_error(start):
    text = r"start: expected an integer, a size \(a tuple of integers\) or a Module, got"
    with pytest.raises(TypeError, match=text):
        Recurrent(start, Linear(3, 4), Linear(4, 4))


@pytest.mark.parametrize("start", [0, -1, (3, 0)])
def test_start_below_one(start):
    with pytest.raises(ValueError, match="start: expected at least 1"):
        Recurrent(start, Linear(3, 4), Linear(4, 4))


def test_arguments_that_are_no_modules():
    with pytest.raises(TypeError, match="input: expected a Module, got 3"):
        Recurrent(4, 3, Linear(4, 4))
    with pytest.raises(TypeError, match="feedback: expected a Module, got None"):
        Recurrent(4, Linear(3, 4), None)
    with pytest.raises(TypeError, match="transfer: expected a Module"):
        Recurrent(4, Linear(3, 4), Linear(4, 4), np.tanh)
    with pytest.raises(TypeError, match="merge: expected a Module"):
        Recurrent(4, Linear(3, 4), Linear(4, 4), merge="add")
    with pytest.raises(ValueError, match="rho: expected at least 1, got 0"):
        Recurrent(4, Linear(3, 4), Linear(4, 4), rho=0)
    with pytest.raises(TypeError, match="rho: expected an integer"):
        Recurrent(4, Linear(3, 4), Linear(4, 4), rho=2.0)
    square = Linear(4, 4)
    with pytest.raises(ValueError, match="Linear twice; use shared_clone"):
        Recurrent(4, square, square)


# Stepping -----------------------------------------------------------------------------------


def test_forward_is_the_equation_and_step_advances():
    net, (x, _) = made(), data(3)
    p = net.parameters

    def sigma(a):
        return 1 / (1 + np.exp(-a))

    assert net.step == 0
    y = None
    for t, x_t in enumerate(x):
        a = x_t @ p["input.weight"].T + p["input.bias"]
        if t == 0:
            y = sigma(a + p["start.bias"])
        else:
            y = sigma(a + y @ p["feedback.weight"].T + p["feedback.bias"])
        assert np.allclose(net(x_t), y, atol=1e-14)
        assert net.step == t + 1


def test_the_input_module_runs_at_the_first_step_too():
    net, (x, d_y) = made(), data(1)
    stepped(net, x, d_y)
    assert np.abs(net.grads["input.weight"]).max() > 0
    assert not net.grads["feedback.weight"].any()
    assert not net.grads["feedback.bias"].any()


def test_start_runs_at_the_first_step_only():
    net, (x, d_y) = made(), data(3)
    stepped(net, x, d_y, back=2)
    assert not net.grads["start.bias"].any()
    net.backward(d_y[0])
    assert net.grads["start.bias"].all()


def test_grad_inputs_in_the_order_of_the_steps():
    net, (x, d_y) = made(), data(3)
    for x_t in x:
        net(x_t)
    returned = [net.backward(d) for d in d_y[::-1]]
    assert all(a is b for a, b in zip(net.grad_inputs, returned[::-1], strict=True))
    net.forget()
    assert net.grad_inputs == []


def test_grad_state_is_what_the_next_call_adds():
    net, (x, d_y) = made(), data(2)
    whole = stepped(net, x, d_y)
    net.forget()
    for x_t in x:
        net(x_t)
    assert net.grad_state is None
    net.backward(d_y[1])
    carried = net.grad_state
    net.forget()
    net(x[0])
    assert close({"d": net.backward(d_y[0] + carried)}, {"d": whole["d_x 0"]})


def test_no_gradient_stands_for_zeros():
    net, (x, d_y) = made(), data(3)
    d_y[:2] = 0
    theirs = stepped(net, x, d_y)
    net.forget()
    net.zero_grad_parameters()
    ours = stepped(net, x, [None, None, d_y[2]])
    assert close(ours, theirs, 1e-15)


def test_update_and_zero_grad_parameters():
    net, (x, d_y) = made(), data(3)
    stepped(net, x, d_y)
    before = {k: a.copy() for k, a in net.parameters.items()}
    grads = {k: g.copy() for k, g in net.grads.items()}
    net.update_parameters(0.1)
    assert close(net.parameters, {k: before[k] - 0.1 * grads[k] for k in before}, 1e-15)
    assert all(g.any() for g in net.grads.values())
    net.zero_grad_parameters()
    assert not any(g.any() for g in net.grads.values())


def test_forget_begins_a_new_sequence():
    net, (x, d_y) = made(), data(3)
    first = stepped(net, x, d_y)
    net.forget()
    net.zero_grad_parameters()
    assert net.step == 0
    assert close(stepped(net, x, d_y), first, 1e-15)


def test_forget_in_the_middle():
    net, (x, d_y) = made(), data(3)
    first = stepped(net, x, d_y)
    for steps, back in ((2, 0), (3, 1)):
        net.forget()
        stepped(net, x[:steps], d_y[:steps], back)
    net.forget()
    net.zero_grad_parameters()
    assert close(stepped(net, x, d_y), first, 1e-15)


def test_detach_goes_on_with_a_constant_state():
    net, (x, d_y) = made(), data(4)
    whole = [net(x_t) for x_t in x]
    net.forget()
    found = [net(x[0]), net(x[1])]
    net.backward(d_y[1])
    net.detach()
    net.zero_grad_parameters()
    found += [net(x[2]), net(x[3])]
    assert np.array_equal(found, whole)
    assert net.step == 4
    net.backward(d_y[3], step=4)
    net.backward(d_y[2], step=3)
    with pytest.raises(RuntimeError, match="all 2 have been gone back through"):
        net.backward(d_y[1])
    cut = made(rho=2)
    assert close(net.grads, grads_of(cut, x, d_y, 2))


def test_forward_and_backward_in_turn_is_truncation_to_one_step():
    """What the loops of before 2016 do when backward does its work at once."""
    net, (x, d_y) = made(), data(4)
    for x_t, d in zip(x, d_y, strict=True):
        net(x_t)
        net.backward(d)
        net.detach()
    total = dict.fromkeys(net.grads, 0)
    for T in range(1, 5):
        grads = grads_of(made(rho=1), x[:T], d_y[:T], 1)
        total = {name: total[name] + grads[name] for name in total}
    assert close(net.grads, total)


# Rewards and print --------------------------------------------------------------------------


class Rewarded(r.Identity):
    """Keeps its reward and sends it back."""

    def reinforce(self, reward):
        self.reward = reward

    def _backward(self, dy, _):
        return dy * 0 + self.reward


@pytest.mark.parametrize(("reward", "each"), [(2.0, [2, 2, 2]), ([1, 2, 3], [1, 2, 3])])
def test_one_reward_for_all_steps_or_one_a_step(reward, each):
    net = Recurrent(r.Identity(), Linear(3, 4), Linear(4, 4), Rewarded())
    net.children["feedback"].parameters["weight"][...] = 0
    x, _ = data(3)
    for x_t in x:
        net(x_t)
    net.reinforce(reward)
    weight = net.parameters["input.weight"]
    for _ in range(3):
        net.backward(None)
    expected = [np.full((2, 4), e) @ weight for e in each]
    assert close(dict(enumerate(net.grad_inputs)), dict(enumerate(expected)))


def test_rewards_of_another_number():
    net, (x, _) = made(), data(3)
    with pytest.raises(RuntimeError, match="reinforce: expected a forward call in training"):
        net.reinforce(1.0)
    for x_t in x:
        net(x_t)
    with pytest.raises(ValueError, match="reward: expected one for all steps, or a list of 3"):
        net.reinforce([1.0, 2.0])


def test_printed_tree():
    net = Recurrent(Sequential(Add(4), Tanh()), Linear(3, 4), Sequential(Tanh(), Linear(4, 4)))
    assert (
        repr(net)
        == """\
Recurrent {
  [{input(t), output(t-1)} -> (1) -> (2) -> (3) -> output(t)]
  (1): {
    input(t)
      `-> input: Linear(3 -> 4)
          |`-> (t == 0) to (3): start: Sequential
          |       (0): Add(4)
          |       (1): Tanh
           `-> (t != 0) to (2)
    output(t-1)
      `-> feedback: Sequential
            (0): Tanh
            (1): Linear(4 -> 4)
  }
  (2): merge: CAddTable
  (3): transfer: Sigmoid
}"""
    )
    nested = repr(r.Sequencer(Sequential(net, Linear(4, 2)))).splitlines()
    assert nested[:3] == ["Sequencer", "  (module): Sequential", "    (0): Recurrent {"]
    assert nested[4] == "      (1): {"
    assert nested[-1] == "    (1): Linear(4 -> 2)"
