"""What a Recurrent keeps: buffers used again, nothing in evaluation, copies of its own."""

import copy
import pickle
import weakref

import numpy as np
import pytest
import torch
from planted_pieces import close, data, grads_of, made, stepped

from rnnlib import recurrent as r
from rnnlib.recurrent import Linear, Recurrent, Sequential, Tanh

# Buffers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rho", [1, 2, 5])
def test_at_most_rho_plus_one_clones(rho):
    net, (x, d_y) = made(rho=rho), data(12)
    for sequence in range(3):
        for t, x_t in enumerate(x):
            net(x_t)
            assert net.clones == min(t + 1 + 99 * sequence, rho + 1)
        for d in d_y[: -rho - 1 : -1]:
            net.backward(d)
            assert net.clones == rho + 1
        net.forget()
        assert net.clones == rho + 1


def test_clones_share_weights_and_gradients():
    net, (x, _) = made(), data(3)
    for x_t in x:
        net(x_t)
    own = {id(a) for a in (*net.parameters.values(), *net.grads.values())}
    for clone in net._kept:
        arrays = (*clone.parameters.values(), *clone.grads.values())
        assert {id(a) for a in arrays} == own


def test_recycled_buffers_hold_nothing():
    net, (x, _) = made(rho=2), data(6)
    for x_t in x:
        net(x_t)
    free = [module for clone in net._free for module in clone.modules()]
    assert free
    assert all(module.output is None and module._cache is None for module in free)


def test_memory_is_bounded_by_rho():
    """Inputs of old steps are gone: nothing holds their copies any more."""
    net, seen = made(rho=2), []

    class Spy(r.Identity):
        def _forward(self, x):
            seen.append(weakref.ref(x))
            return super()._forward(x)

    net.children["input"] = Sequential(Spy(), net.children["input"])
    x, _ = data(7)
    for x_t in x:
        net(x_t)
    assert [ref() is not None for ref in seen] == [False] * 5 + [True] * 2


def test_evaluate_keeps_nothing_but_the_last_output():
    net, (x, d_y) = made(), data(4)
    trained = [net(x_t) for x_t in x]
    net.forget()
    net = made().evaluate()
    assert np.array_equal([net(x_t) for x_t in x], trained)
    assert net.clones == 1
    assert not net._kept
    assert net.step == 4
    (clone,) = net._free
    assert all(m.output is None and m._cache is None for m in clone.modules())
    with pytest.raises(RuntimeError, match=r"expected a forward call in training before it"):
        net.backward(d_y[3])


def test_training_after_evaluate_takes_the_state_as_a_constant():
    net, (x, d_y) = made(), data(3)
    net.evaluate()
    net(x[0]), net(x[1])
    net.training()
    net(x[2])
    net.backward(d_y[2], step=3)
    assert close(net.grads, grads_of(made(rho=1), x, d_y, 1))
    with pytest.raises(RuntimeError):
        net.backward(d_y[1])


def test_evaluate_reaches_the_buffers():
    class Switch(r.Identity):
        def _forward(self, x):
            return x if self.train else 0 * x, ()

    net, (x, _) = made(), data(1)
    net.children["transfer"] = Switch()
    train = net(x[0])
    assert train.any()
    assert not net.forget().evaluate()(x[0]).any()
    assert np.array_equal(net.forget().training()(x[0]), train)


def test_what_the_caller_does_to_arrays_does_not_matter():
    theirs = stepped(made(), *data(3))
    net, (x, d_y) = made(), data(3)
    one = np.empty_like(x[0])
    for x_t in x:
        one[...] = x_t
        net(one)[...] = 7
    for d in d_y[::-1]:
        net.backward(d)
    assert close(net.grads, {k: theirs[f"d {k}"] for k in net.grads}, 1e-300)


def test_copies_remember_no_call_and_have_their_own_weights():
    net, (x, d_y) = made(), data(2)
    ours = [net(x_t) for x_t in x]
    for other in (copy.deepcopy(net), net.clone(), pickle.loads(pickle.dumps(net))):
        assert other.step == 0
        assert other.clones == 0
        assert np.array_equal([other(x_t) for x_t in x], ours)
        other.backward(d_y[1])
        assert not net.grads["input.weight"].any()
    net.backward(d_y[1])


def test_shared_clone_steps_on_its_own_and_shares_gradients():
    net, (x, d_y) = made(), data(2)
    other = net.shared_clone()
    assert np.array_equal(net(x[0]), other(x[0]))
    assert other.step == 1
    net(x[1])
    net.backward(d_y[1])
    assert close(other.grads, net.grads, 1e-300)
    assert other.grads["input.weight"].any()


def test_map_reaches_the_buffers():
    net, (x, d_y) = made(), data(3)
    stepped(net, x, d_y)
    net.map(torch.from_numpy)
    assert net.step == 0
    net.zero_grad_parameters()
    found = stepped(net, torch.from_numpy(x), torch.from_numpy(d_y))
    assert close(found, stepped(made(), x, d_y))


def test_a_recurrent_inside_a_recurrent_steps_along():
    rng = np.random.default_rng(0)
    inner = Recurrent(4, Linear(3, 4, rng=rng), Linear(4, 4, rng=rng), Tanh(), rng=rng)
    outer = Recurrent(4, inner, Linear(4, 4, rng=rng), rng=rng)
    alone, rest = inner.clone(), outer.clone()
    rest.children["input"] = r.Identity()
    x, d_y = data(3)
    middle = [alone(x_t) for x_t in x]
    assert close(dict(enumerate(outer(x_t) for x_t in x)), dict(enumerate(map(rest, middle))))
    for d in d_y[::-1]:
        outer.backward(d)
        alone.backward(rest.backward(d))
    assert inner.step == 3
    theirs = {f"input.{k}": g for k, g in alone.grads.items()} | rest.grads
    assert close(outer.grads, theirs)
    outer.forget()
    assert inner.step == 0
