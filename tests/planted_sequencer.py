"""Recurrence, masks, Sequencer and the gated modules beside loops of torch; for planted slips."""

import numpy as np
import planted_recurrent
import torch
from planted_pieces import (
    Rewarded,
    close,
    drawn,
    expected,
    guarded,
    in_torch,
    inputs,
    raises,
    randomize,
    recurrent_in_torch,
    stepped,
    tensors,
)

from rnnlib import recurrent as r


def joined(size=4, activation=r.Tanh):
    """A module for Recurrence: of [x, y] the tanh of a sum of products."""
    sums = r.ParallelTable(r.Linear(size, size), r.Linear(size, size))
    return r.Sequential(sums, r.CAddTable(), activation())


def recurrence_in_torch(module, xs, p, prefix, before, cut=0, masked=None):
    """Return the outputs of a ``Recurrence`` from the state before."""
    outputs = []
    for t, x in enumerate(xs):
        before = before.detach() if t == cut else before
        before = in_torch(module, [x, before], p, prefix)
        if masked is not None:
            before = torch.where(torch.tensor(masked[t])[:, None], 0.0, before)
        outputs.append(before)
    return outputs


def recurrence():
    """From zeros and from a start, whole and truncated."""
    right = True
    for seed, (T, rho, given) in enumerate([(1, 9, 0), (4, 9, 0), (4, 9, 1), (5, 2, 0), (5, 1, 1)]):
        start = drawn(4, 4, seed=9) if given else None
        net = randomize(r.Recurrence(joined(), 4, rho, start), seed)
        x, d_y, back = drawn(T, 4, 4, seed=seed), drawn(T, 4, 4, seed=50 + seed), min(T, rho)
        p, xs = tensors(net), inputs(x)
        before = torch.tensor(drawn(4, 4, seed=9) if given else np.zeros((4, 4))).requires_grad_()
        cut = T - back or -1
        module = net.children["module"]
        outputs = recurrence_in_torch(module, xs, p, "module.", before, cut)
        theirs = expected(xs, d_y, p, outputs, back)
        right = right and close(stepped(net, x, d_y, back), theirs)
        if back == T:
            right = right and close({"d": net.grad_state}, {"d": before.grad})
    return right


def padded(T=6, N=4):
    """Return x whose rows are zero here and there, before and between sequences, and where."""
    masked = np.zeros((T, N), bool)
    masked[:2, 0], masked[2:4, 1], masked[0, 2], masked[5, 3] = True, True, True, True
    x = drawn(T, N, 4)
    x[0, 3, :3] = 0  # Not all of the row.
    return np.where(masked[..., None], 0.0, x), masked


@guarded
def masks():
    """MaskZero inside, and mask_zero: against torch, and against each sequence on its own."""
    x, masked = padded()
    d_y, right = drawn(*x.shape, seed=1), True
    plain = randomize(r.Recurrence(joined(), 4), 2)
    inside = r.Recurrence(r.MaskZero(plain.children["module"].clone()), 4)
    asked = plain.clone().mask_zero()
    p, xs = tensors(plain), inputs(x)
    zeros = torch.zeros(4, 4, dtype=torch.float64)
    module = plain.children["module"]
    outputs = recurrence_in_torch(module, xs, p, "module.", zeros, masked=masked)
    theirs = expected(xs, d_y, p, outputs)
    for net, name in ((asked, "d module."), (inside, "d module.module.")):
        found = stepped(net, x, d_y)
        right = right and all(not found[f"y {t}"][masked[t]].any() for t in range(6))
        right = right and all(not found[f"d_x {t}"][masked[t]].any() for t in range(6))
        wanted = {k: v for k, v in theirs.items() if not k.startswith("d_x")}
        wanted = {k.replace("d module.", name): v for k, v in wanted.items()}
        wanted |= {
            k: np.where(masked[int(k[4:])][:, None], 0, v.numpy())
            for k, v in theirs.items()
            if k.startswith("d_x")
        }
        right = right and close(found, wanted)
    alone = plain.clone()
    last = [alone(step) for step in x[4:, 1:2]]
    asked.forget()
    found = [asked(step)[1:2] for step in x][4:]
    right = right and close({"y": found}, {"y": last})
    lstm = randomize(r.LSTM(4, 4), 3)
    new = lstm.clone()
    lstm.mask_zero()
    found = [lstm(step)[1:2] for step in x][4:]
    right = right and close({"y": found}, {"y": [new(step) for step in x[4:, 1:2]]})
    return right and raises(lambda: r.MaskZero(r.Sequential(plain)), "start anew", ValueError)


# Gated ------------------------------------------------------------------------------------


def gates_in_torch(net, x, state, p):
    """One step by the words of the definitions."""
    kind = type(net).__name__
    if kind == "FastLSTM" or (kind == "GRU" and net.reset_after):
        cell = torch.lstm_cell if kind == "FastLSTM" else torch.gru_cell
        h = state if kind == "FastLSTM" else state[0]
        out = cell(x, h, p["weight_ih"], p["weight_hh"], p["bias_ih"], p["bias_hh"])
        return out if kind == "FastLSTM" else (out,)
    U = p["weight_hh"].chunk(4 if kind == "LSTM" else 3)
    a = (x @ p["weight_ih"].T + p["bias_ih"] + p["bias_hh"]).chunk(len(U), 1)
    h = state[0]
    if kind == "GRU":
        reset = torch.sigmoid(a[0] + h @ U[0].T)
        z = torch.sigmoid(a[1] + h @ U[1].T)
        return ((1 - z) * torch.tanh(a[2] + (reset * h) @ U[2].T) + z * h,)
    c, (to_i, to_f, to_o) = state[1], p["weight_peephole"].chunk(3)
    i = torch.sigmoid(a[0] + h @ U[0].T + to_i * c)
    f = torch.sigmoid(a[1] + h @ U[1].T + to_f * c)
    c = f * c + i * torch.tanh(a[2] + h @ U[2].T)
    return torch.sigmoid(a[3] + h @ U[3].T + to_o * c) * torch.tanh(c), c


def gated(on=np.asarray):
    """LSTM, FastLSTM and both GRUs, from zeros and from a start, whole and truncated."""
    right = True
    for k, kind in enumerate([r.LSTM, r.FastLSTM, r.GRU, lambda *a: r.GRU(*a, reset_after=True)]):
        for T, rho, given in ((1, 9, False), (4, 9, True), (5, 2, False)):
            net = randomize(kind(4, 4, rho), k)
            first = [drawn(4, 4, seed=j) * given for j in range(net.parts)]
            net.map(on)
            if given:
                net.start = [on(a) for a in first] if net.parts > 1 else on(first[0])
            x, d_y, back = drawn(T, 4, 4, seed=k), drawn(T, 4, 4, seed=k + 9), min(T, rho)
            p, xs = tensors(net), inputs(x)
            begin = state = [torch.tensor(a).requires_grad_() for a in first]
            outputs = []
            for t, x_t in enumerate(xs):
                state = [s.detach() for s in state] if t and t == T - back else state
                state = gates_in_torch(net, x_t, state, p)
                outputs.append(state[0])
            theirs = expected(xs, d_y, p, outputs, back)
            right = right and close(stepped(net, on(x), on(d_y), back), theirs)
            if back == T:
                found = net.grad_state if net.parts > 1 else [net.grad_state]
                wanted = {j: s.grad for j, s in enumerate(begin)}
                right = right and close(dict(enumerate(found)), wanted)
    return right


# Whole sequences --------------------------------------------------------------------------


def network(seed=0, rho=99999, transfer=None):
    rng = np.random.default_rng(seed)
    net = r.Recurrent(4, r.Linear(4, 4, rng=rng), r.Linear(4, 4, rng=rng), transfer, rho, rng=rng)
    return randomize(net, seed)


def called(net, x, d_y):
    """Everything that one call of a module over sequences gives."""
    y = net(x)
    return {"y": y, "d_x": net.backward(d_y)} | {f"d {k}": g for k, g in net.grads.items()}


def by_autograd(y, x, p, d_y):
    y.backward(torch.tensor(d_y))
    return {"y": y.detach(), "d_x": x.grad} | {f"d {k}": a.grad for k, a in p.items()}


def in_every_way(net, x, d_y, theirs):
    """Whether arrays, a second call, lists and evaluation agree with torch."""
    right = close(called(net, x, d_y), theirs)
    net.zero_grad_parameters()  # The second call forgets the first.
    right = right and close(called(net, x, d_y), theirs)
    net.zero_grad_parameters()
    found = called(net, list(x), list(d_y))
    right = right and isinstance(found["y"], list) and isinstance(found["d_x"], list)
    right = right and close(found, theirs)
    net.evaluate()
    return right and close({"y": net(x)}, {"y": theirs["y"]})


@guarded
def sequencer():
    """A recurrent module, a whole network, and a module without steps; arrays and lists."""
    x, d_y, right = drawn(5, 4, 4), drawn(5, 4, 4, seed=1), True
    inner, top = network(), randomize(r.Linear(4, 4), 5)
    makers = {
        "recurrent": lambda: network(),
        "network": lambda: r.Sequential(inner.clone(), r.Tanh(), top.clone()),
        "no steps": lambda: r.Sequential(top.clone(), r.Tanh()),
    }
    for kind, make in makers.items():
        net = r.Sequencer(make())
        p, xt = tensors(net), torch.tensor(x).requires_grad_()
        if kind == "recurrent":
            y = recurrent_in_torch(net.children["module"], xt, p, "module.")
        elif kind == "network":
            y = recurrent_in_torch(inner, xt, p, "module.0.")
            y = [in_torch(top, torch.tanh(y_t), p, "module.2.") for y_t in y]
        else:
            y = [in_torch(net.children["module"], x_t, p, "module.") for x_t in xt]
        theirs = by_autograd(torch.stack(y), xt, p, d_y)
        right = right and in_every_way(net, x, d_y, theirs)
    short = r.Sequencer(network(rho=2))
    short(x)
    return right and raises(lambda: short.backward(d_y), "at most rho = 2 steps, got 5")


@guarded
def remember():
    """What goes on from call to call, and in which mode."""
    x, d_y, right = drawn(6, 4, 4), drawn(6, 4, 4, seed=1), True
    whole = np.stack([y for net in [network()] for y in map(net, x)])
    anew = np.stack([y for net in [network()] for y in map(net, x[3:])])
    for when in ("both", "train", "eval", "neither"):
        for deep in (False, True):
            inside = r.Sequential(network(), r.Identity()) if deep else network()
            net = r.Sequencer(inside).remember(when)
            for mode in ("train", "eval"):
                net.training() if mode == "train" else net.evaluate()
                goes_on = when in ("both", mode)
                found = np.concatenate([net(x[:3]), net(x[3:])])
                wanted = np.concatenate([whole[:3], whole[3:] if goes_on else anew])
                right = right and close({"y": found}, {"y": wanted})
    net = r.Sequencer(network()).remember()
    p, xs = tensors(net), inputs(x)
    outputs = recurrent_in_torch(net.children["module"], xs, p, "module.", cut=3)
    theirs = expected(xs, d_y, p, outputs, 3)
    net(x[:3])
    net.backward(d_y[:3])
    net.zero_grad_parameters()
    net(x[3:])
    d_x = net.backward(d_y[3:])
    found = {f"d_x {t + 3}": d for t, d in enumerate(d_x)}
    found |= {f"d {k}": g for k, g in net.grads.items()}
    right = right and close(found, {k: v for k, v in theirs.items() if k in found})
    text = "when: expected one of"
    return right and raises(lambda: net.remember("always"), text, ValueError)


@guarded
def both_ways():
    x, right = drawn(5, 4, 4), True
    merges = [(None, 8), (r.CAddTable(), 4), (r.Sequential(r.JoinTable(), r.Linear(8, 4)), 4)]
    for merge, width in merges:
        net = randomize(r.BiSequencer(network(1), network(2), merge), 3)
        p, xt = tensors(net), torch.tensor(x).requires_grad_()
        ways = net.children
        there = recurrent_in_torch(ways["forward"], xt, p, "forward.")
        back = recurrent_in_torch(ways["backward"], xt.flip(0), p, "backward.")[::-1]
        pairs = zip(there, back, strict=True)
        y = [in_torch(ways["merge"], list(pair), p, "merge.") for pair in pairs]
        d_y = drawn(5, 4, width, seed=1)
        theirs = by_autograd(torch.stack(y), xt, p, d_y)
        right = right and in_every_way(net, x, d_y, theirs) and not ways["merge"].train
    stochastic = r.BiSequencer(Rewarded(), Rewarded(), r.CAddTable())
    stochastic(x)
    stochastic.reinforce([1.0, 2.0, 3.0, 4.0, 5.0])
    sent = 2 * np.arange(1.0, 6)[:, None, None] + 0 * x
    right = right and close({"d": stochastic.backward(None)}, {"d": sent})
    one = network(1)
    one.grads["start.bias"][...] = 1
    net = r.BiSequencer(one, rng=0)
    pairs = [(net.children["forward"], net.children["backward"])]
    for a, b in pairs:
        right = right and all((a.parameters[k] != b.parameters[k]).all() for k in a.parameters)
        right = right and not b.grads["start.bias"].any()
    return right


@guarded
def repeater():
    x, d_y = drawn(4, 4), drawn(3, 4, 4, seed=1)
    net = r.Repeater(network(), 3)
    p, xt = tensors(net), torch.tensor(x).requires_grad_()
    y = torch.stack(recurrent_in_torch(net.children["module"], [xt] * 3, p, "module."))
    theirs = by_autograd(y, xt, p, d_y)
    right = close(called(net, x, d_y), theirs)
    net.zero_grad_parameters()
    return right and close(called(net, x, d_y), theirs)


@guarded
def jordan():
    """The output, not the hidden state, is fed back."""
    net = randomize(r.Jordan(4, 4, 4), 0)
    x, d_y = drawn(4, 4, 4), drawn(4, 4, 4, seed=1)
    p, xs, y, outputs = tensors(net), inputs(x), None, []
    for x_t in xs:
        a = x_t @ p["input.weight"].T + p["input.bias"]
        if y is None:
            a = a + p["start.bias"]
        else:
            a = a + y @ p["feedback.weight"].T + p["feedback.bias"]
        h = torch.tanh(a)
        y = torch.tanh(h @ p["transfer.1.weight"].T + p["transfer.1.bias"])
        outputs.append(y)
    return close(stepped(net, x, d_y), expected(xs, d_y, p, outputs))


@guarded
def starts():
    """What does not fit at the first step, or after it."""
    x, right, V, T = drawn(4, 4), True, ValueError, TypeError
    for start, error in ((drawn(3, 4), V), (drawn(4), V), (np.zeros((4, 4), int), T)):
        net = r.Recurrence(joined(), 4, start=start)
        right = right and raises(lambda net=net: net(x), "start: expected", error)
        net = r.LSTM(4, 4, start=(start, x))
        right = right and raises(lambda net=net: net(x), "start[0]: expected", error)
    wrong = r.Recurrence(r.JoinTable(), 4)
    right = right and raises(lambda: wrong(x), "output of module: expected shape (4, 4)", V)
    for kind in (r.LSTM, r.FastLSTM, r.GRU):
        net = kind(4, 16, rng=0)
        for _ in range(2):
            right = right and all(0.2 < np.abs(a).max() <= 0.25 for a in net.parameters.values())
            net.reset(1)
        net(x[:1])
        right = right and raises(
            lambda net=net: net(x), "expected 1 rows, as at the step before", V
        )
    right = right and "weight_peephole" in r.LSTM(4, 4).parameters
    right = right and "weight_peephole" not in r.FastLSTM(4, 4).parameters
    right = right and not r.GRU(4, 4).reset_after
    recursor = r.Recursor(r.Tanh())
    return right and raises(recursor.mask_zero, "inside", TypeError)


@guarded
def modes():
    """Training and evaluation of what is inside; forgetting; sequences without steps."""
    x, right = drawn(5, 4, 4), True
    for net in (
        r.Sequencer(r.Sequential(network(), r.Tanh())),
        r.Sequencer(r.Tanh()),
        r.BiSequencer(network(1), network(2)),
        r.BiSequencer(r.Tanh(), r.Tanh()),
    ):
        steppers = [w._stepper for w in getattr(net, "_ways", {"": net}).values()]
        net(x)
        right = right and all(s.clones == 5 and len(s._kept) == 5 for s in steppers)
        net.forget()
        right = right and not any(s._kept for s in steppers)
        net.evaluate()(x)
        right = right and not any(m.train for m in net.modules())
        right = right and not any(s._kept for s in steppers)
        for other in (net.shared_clone(), net.clone()):
            other(x)
            steppers = [w._stepper for w in getattr(other, "_ways", {"": other}).values()]
            right = right and not any(s._kept for s in steppers)
        net.training()(x)
        text = "input: expected at least 1 step"
        right = right and raises(lambda net=net: net(x[:0]), text, ValueError)
    inner = network()
    r.Sequencer(r.Sequential(inner, r.Tanh()))(x)
    right = right and inner.step == 5
    for whole in (r.Sequencer(network()), r.BiSequencer(network(1), network(2), r.CAddTable())):
        net, d_y = r.Recursor(whole), drawn(5, 4, 4, seed=1)
        net(x), net(2 * x)
        found = [net.backward(d_y), net.backward(2 * d_y)][::-1]
        theirs = whole.clone()
        wanted = [called(theirs, k * x, (3 - k) * d_y)["d_x"] for k in (1, 2)]
        right = right and close(dict(enumerate(found)), dict(enumerate(wanted)))
    return right


@guarded
def masked_rewards():
    """A masked row's reward reaches no weight; what runs whole sequences is not masked."""
    x, reward = drawn(4, 4), np.arange(1.0, 5)[:, None]
    x[2] = 0
    net = r.MaskZero(r.Sequential(r.Linear(4, 4), Rewarded()))
    net(x)
    net.reinforce(reward)
    net.backward(None)
    right = (net.grads["module.0.bias"] == 1 + 2 + 4).all()
    module = r.Sequential(r.ParallelTable(r.Linear(4, 4), r.Linear(4, 4)), r.CAddTable())
    net = r.Recurrence(r.Sequential(module, Rewarded()), 4).mask_zero()
    net(x)
    net.reinforce([reward])
    net.backward(None)
    right = right and (net.grads["module.0.0.0.bias"] == 1 + 2 + 4).all()
    wholes = r.Sequencer(r.Tanh()), r.Repeater(r.Tanh(), 2), r.BiSequencer(r.Tanh(), r.Tanh())
    for whole in wholes:
        right = right and raises(lambda w=whole: r.MaskZero(w), "put MaskZero inside", ValueError)
    return right


CHECKS = {
    **planted_recurrent.CHECKS,
    "starts": starts,
    "modes": modes,
    "recurrence": recurrence,
    "masks": masks,
    "masked rewards": masked_rewards,
    "gated": gated,
    "sequencer": sequencer,
    "remember": remember,
    "both ways": both_ways,
    "repeater": repeater,
    "jordan": jordan,
}


def check(name):
    return CHECKS[name]()
