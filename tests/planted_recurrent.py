"""Recurrent beside torch, and its books; for planted slips.

All sizes are equal where a shape could give a slip away.
"""

import itertools

import numpy as np
import planted_family
import planted_rewards
from planted_pieces import (
    Broken,
    Case,
    close,
    drawn,
    expected,
    guarded,
    inputs,
    raises,
    randomize,
    recurrent_in_torch,
    run,
    stepped,
    tensors,
)

from rnnlib import recurrent as r


@guarded
def recurrent():
    """Every start, input, feedback, transfer and merge, whole and truncated."""
    plans = [
        {},
        {"start": "linear", "merge": "join", "transfer": "output layer"},
        {"start": "deep", "merge": "parallel", "transfer": "Tanh"},
        {"start": "identity", "transfer": "LogSoftMax"},
    ]
    sizes = [(1, 9), (2, 9), (5, 9), (5, 5), (5, 3), (5, 1)]
    return all(
        close(*run(Case(T=T, rho=rho, seed=seed, **plan)))
        for seed, (plan, (T, rho)) in enumerate(itertools.product(plans, sizes))
    )


@guarded
def books():
    """Steps, buffers, errors, and what is left after each."""
    net, (x, d_y) = Case(rho=2).net(), Case(T=5).arrays()
    right = net.step == 0 and raises(lambda: net.backward(d_y[0]), "none since forget()")
    for t, x_t in enumerate(x):
        net(x_t)
        right = right and net.step == t + 1 and net.clones == min(t + 1, 3)
    right = right and raises(lambda: net.backward(d_y[0], step=4), "expected step 5")
    right = right and net.grad_state is None
    back = [net.backward(d_y[4], step=5)]
    right = right and net.grad_state.shape == (4, 4)
    right = right and raises(lambda: net(x[0]), "gone back through 1 of 2 steps")
    right = right and raises(lambda: net.backward(d_y[4], step=5), "expected step 4")
    back.insert(0, net.backward(d_y[3], step=4))
    right = right and raises(lambda: net.backward(d_y[2]), "at most rho = 2 calls after 5 steps")
    right = right and all(a is b for a, b in zip(net.grad_inputs, back, strict=True))
    right = right and net.clones == 3 and net.step == 5
    free = [m for clone in net._free for m in clone.modules()]
    right = right and len(net._free) == 3 and all(m._cache is None for m in free)
    net.forget()
    right = right and net.step == 0 and net.grad_inputs == [] and net.grad_state is None
    net(x[0]), net(x[1])
    net.backward(None), net.backward(None)
    right = right and raises(lambda: net.backward(d_y[0]), "all 2 have been gone back through")
    right = right and net.clones == 3 and net.grad_state is None
    net.forget()
    net(x[0])
    net.forget()
    right = right and raises(lambda: net.backward(d_y[0]), "none since forget()")
    for x_t in x:
        net(x_t)
    net.evaluate()(x[1])
    right = right and net.clones <= 3 and not net._kept and net.step == 6
    right = right and raises(lambda: net.backward(d_y[0]), "forward call in training")
    right = right and raises(lambda: net.reinforce(1.0), "forward call in training")
    return right and net.training() is net and net.forget().step == 0


@guarded
def windows():
    """detach and forget: what goes on, and what does not."""
    net, (x, d_y) = Case().net(), Case(T=5).arrays()
    p, xs = tensors(net), inputs(x)
    outputs = recurrent_in_torch(net, xs, p, cut=3)
    theirs = expected(xs, d_y, p, outputs, 2)
    ys = [net(x_t) for x_t in x[:3]]
    net.detach()
    net.zero_grad_parameters()
    right = net.step == 3 and raises(lambda: net.backward(d_y[2]), "before detach()")
    ys += [net(x_t) for x_t in x[3:]]
    net.backward(d_y[4], step=5)
    net.backward(d_y[3], step=4)
    right = right and raises(lambda: net.backward(d_y[2]), "all 2 have been")
    found = {f"y {t}": y for t, y in enumerate(ys)} | {f"d {k}": g for k, g in net.grads.items()}
    found |= {f"d_x {t}": d for t, d in zip((3, 4), net.grad_inputs, strict=True)}
    right = right and close(found, theirs)
    net.detach()
    right = right and net.grad_inputs == [] and net.grad_state is None
    again = net.forget()(x[0])
    right = right and np.array_equal(again, ys[0])
    again[...] = 0
    changed = x[1].copy()
    net(changed)
    changed[...] = 0
    net.zero_grad_parameters()
    net.backward(d_y[1]), net.backward(d_y[0])
    clean = Case().net()
    whole = stepped(clean, x[:2], d_y[:2])
    return right and close(net.grads, {k: whole[f"d {k}"] for k in net.grads})


class Switch(r.Identity):
    """Negates when it is not training."""

    def _forward(self, x):
        return x if self.train else -x, ()


@guarded
def mistakes():
    """Errors that say what to do, after which all is as it was."""
    (x, d_y), V, T = Case(T=4).arrays(), ValueError, TypeError
    net, theirs = Case(rho=2).net(), stepped(Case(rho=2).net(), x, d_y, 2)
    right = True
    for x_t in x:
        for _ in range(4):
            right = right and raises(lambda: net(x[0, 0]), "input: expected shape", V)
        right = right and net.clones > 0
        net(x_t)
    right = right and net.clones == 3
    right = right and all(m._cache is None for clone in net._free for m in clone.modules())
    right = right and raises(lambda: net.backward(d_y[0, 0]), "d_output: expected shape", V)
    net.backward(d_y[3]), net.backward(d_y[2])
    right = right and close(net.grads, {k: theirs[f"d {k}"] for k in net.grads})
    a, b = r.Linear(4, 4), r.Linear(4, 4)
    for start in ("4", 4.0, None, True, ()):
        allowed = "start: expected an integer, a size (a tuple of integers) or a Module, got"
        right = right and raises(lambda start=start: r.Recurrent(start, a, b), allowed, T)
    right = right and raises(lambda: r.Recurrent(0, a, b), "start: expected at least 1", V)
    right = right and type(r.Recurrent(4, a, b).children["transfer"]) is r.Sigmoid
    for name in ("mask_zero", "trim_zero"):
        right = right and raises(getattr(net, name), "use Recurrence", TypeError)
    right = right and raises(net.backward_through_time, "backward now does this work")
    net = r.Recurrent(4, r.Sequential(Broken(), r.Linear(4, 4)), r.Linear(4, 4))
    net(x[0])
    right = right and raises(lambda: net.backward(d_y[0]), "broken", ArithmeticError)
    right = right and raises(lambda: net.backward(d_y[0]), "none since forget()")
    net = r.Recurrent(4, r.Linear(4, 4), r.Linear(4, 4), Switch())
    y = net(x[0])
    right = right and np.array_equal(net.forget().evaluate()(x[0]), -y)
    return right and np.array_equal(net.forget().training()(x[0]), y)


@guarded
def nested():
    """A Recurrent in a Recurrent takes a step when it does, and forgets when it does."""
    inner = Case(transfer="Tanh").net()
    outer = randomize(r.Recurrent(4, inner, r.Linear(4, 4)), 7)
    alone, rest = inner.clone(), outer.clone()
    rest.children["input"] = r.Identity()
    x, d_y = Case(T=4).arrays()
    right = True
    for window in (x, x[:2], x[2:]):
        for x_t in window:
            right = right and close({"y": outer(x_t)}, {"y": rest(alone(x_t))})
        for d in d_y[: len(window)]:
            d_x = alone.backward(rest.backward(d))
            right = right and close({"d": outer.backward(d)}, {"d": d_x})
        last = (outer, alone, rest)
        for net in last:
            net.forget() if len(window) == 4 else net.detach()
    right = right and outer.step == inner.step == 4
    theirs = {f"input.{k}": g for k, g in alone.grads.items()} | rest.grads
    right = right and close(outer.grads, theirs)
    outer.evaluate()
    outer.forget()
    alone.forget(), rest.forget()
    right = right and inner.step == 0
    for x_t in x:
        right = right and close({"y": outer(x_t)}, {"y": rest(alone(x_t))})
    outer.training()
    right = right and raises(lambda: outer(x[0, 0]), "input: expected", ValueError)
    return right and outer.step == inner.step == 0


@guarded
def edges():
    """Buffers that a caller writes to on the way back, and errors that name the part."""
    x, d_y, right = drawn(3, 2, 4), drawn(3, 2, 4, seed=1), True

    def gone_back(write):
        net = r.Recurrent(4, r.Identity(), r.Identity(), r.Identity(), rng=1)
        for x_t in x:
            net(x_t)
        for d in d_y[::-1]:
            d = d.copy()
            d_x = net.backward(d)
            if write == "result":
                d_x *= 0
            elif write == "argument":
                d *= 0
        return {name: g.copy() for name, g in net.grads.items()}

    for write in ("result", "argument"):
        right = right and close(gone_back(write), gone_back(None))
    through = r.Recurrent(r.Identity(), r.Identity(), r.Identity(), r.Identity())
    for x_t in x[:2]:
        through(x_t)
    buffer = np.ones((2, 4))
    through.backward(buffer)
    buffer *= 0
    right = right and close({"d": through.grad_inputs[0]}, {"d": np.ones((2, 4))})
    lua = r.Recurrent(4, r.Linear(4, 4), r.Linear(4, 4))
    lua(x[0])
    right = right and raises(lambda: lua.backward(x[0], d_y[0]), "not the input", TypeError)
    right = right and raises(lambda: lua(x[1][:1]), "expected 2 rows, as at the step", ValueError)
    wrong = r.Recurrent(5, r.Linear(4, 4), r.Linear(4, 4))
    return right and raises(lambda: wrong(x[0]), "start: input: expected", ValueError)


CHECKS = {
    **planted_family.CHECKS,
    **planted_rewards.CHECKS,
    "recurrent": recurrent,
    "books": books,
    "windows": windows,
    "mistakes": mistakes,
    "nested": nested,
    "edges": edges,
}


def check(name):
    return CHECKS[name]()
