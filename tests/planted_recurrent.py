"""The modules of ``rnnlib.recurrent`` beside torch, and their books; for planted slips.

All sizes are equal where a shape could give a slip away.
"""

import copy
import itertools

import numpy as np
import torch
from planted_pieces import (
    Case,
    close,
    expected,
    in_torch,
    inputs,
    randomize,
    recurrent_in_torch,
    run,
    stepped,
    tensors,
)

from rnnlib import recurrent as r

F = torch.nn.functional


def drawn(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def guarded(check):
    """An error of the package's own is a verdict too."""

    def checked():
        try:
            return bool(check())
        except (RuntimeError, TypeError, ArithmeticError):
            return False

    return checked


# Without time -----------------------------------------------------------------------------


def one(module, x, d_y):
    """(ours, torch's) of one call; x: an array or a list of arrays; gradients come on top of 1."""
    randomize(module, 3)
    for grad in module.grads.values():
        grad[...] = 1
    p = tensors(module)
    parts = [torch.tensor(a).requires_grad_() for a in (x if isinstance(x, list) else [x])]
    y = in_torch(module, parts if isinstance(x, list) else parts[0], p)
    outputs, pulls = (y, d_y) if isinstance(y, list) else ([y], [d_y])
    torch.autograd.backward(outputs, [torch.tensor(d) for d in pulls])
    theirs = {f"y {k}": a.detach() for k, a in enumerate(outputs)}
    theirs |= {f"d_x {k}": a.grad for k, a in enumerate(parts)}
    theirs |= {f"d {k}": 1 + a.grad for k, a in p.items()}
    ours = module(x)
    d_x = module.backward(d_y)
    ours = {f"y {k}": a for k, a in enumerate(ours if isinstance(y, list) else [ours])}
    ours |= {f"d_x {k}": a for k, a in enumerate(d_x if isinstance(x, list) else [d_x])}
    return ours | {f"d {k}": a for k, a in module.grads.items()}, theirs


def pieces():
    trees = [
        r.Linear(4, 4),
        r.Linear(4, 4, bias=False),
        r.Add(4),
        r.Identity(),
        r.Sigmoid(),
        r.Tanh(),
        r.ReLU(),
        r.LogSoftMax(),
        r.Sequential(r.Linear(4, 4), r.Tanh(), r.Linear(4, 4), r.Sigmoid()),
    ]
    return all(close(*one(tree, drawn(4, 4), drawn(4, 4, seed=1))) for tree in trees)


def tables():
    x = [drawn(4, 4, seed=k) for k in range(3)]
    d = [drawn(4, 4, seed=k) for k in (5, 6, 7)]
    parallel = r.ParallelTable(r.Linear(4, 4), r.Tanh(), r.Linear(4, 4))
    return (
        close(*one(parallel, x, d))
        and close(*one(r.CAddTable(), x, d[0]))
        and close(*one(r.CAddTable(), x[:1], d[0]))
        and close(*one(r.JoinTable(), x, drawn(4, 12)))
        and close(*one(r.JoinTable(0), x, drawn(12, 4)))
        and close(*one(r.JoinTable(-2), [drawn(2, 4), drawn(1, 4)], drawn(3, 4)))
    )


def criteria_beside_torch():
    """Yield (criterion, input, target, torch's loss of the same)."""
    x, y, p = drawn(3, 4), drawn(3, 4, seed=1), 1 / (1 + np.exp(-drawn(3, 4, seed=2)))
    target, classes = np.random.default_rng(3).random((3, 4)), np.array([3, 0, 1])
    half, seq = 0.5, (lambda one: lambda a, b: sum(one(a[t], b[t]) for t in range(3)))
    yield r.SSECriterion(), x, y, lambda a, b: half * F.mse_loss(a, b, reduction="sum")
    for how in ("mean", "sum"):
        options = {"reduction": how}
        yield r.MSECriterion(how), x, y, lambda a, b, o=options: F.mse_loss(a, b, **o)
        yield (
            r.BCECriterion(how),
            p,
            target,
            lambda a, b, o=options: F.binary_cross_entropy(a, b, **o),
        )
        yield (
            r.BCEWithLogitsCriterion(how),
            x,
            target,
            lambda a, b, o=options: F.binary_cross_entropy_with_logits(a, b, **o),
        )
        yield r.ClassNLLCriterion(how), x, classes, lambda a, b, o=options: F.nll_loss(a, b, **o)
        yield (
            r.CrossEntropyCriterion(how),
            x,
            classes,
            lambda a, b, o=options: F.cross_entropy(a, b, **o),
        )
        yield (
            r.GaussianNLLCriterion(1.7, how),
            x,
            y,
            lambda a, b, o=options: F.gaussian_nll_loss(
                a, b, torch.full_like(a, 1.7), full=True, **o
            ),
        )
    yield (
        r.SequencerCriterion(r.MSECriterion()),
        drawn(3, 4, 2),
        drawn(3, 4, 2, seed=1),
        seq(F.mse_loss),
    )
    yield (
        r.RepeaterCriterion(r.CrossEntropyCriterion()),
        drawn(3, 4, 4),
        np.array([0, 2, 1, 3]),
        lambda a, b: sum(F.cross_entropy(a[t], b) for t in range(3)),
    )


@guarded
def criteria():
    for criterion, x, target, theirs in criteria_beside_torch():
        tensor = torch.tensor(x).requires_grad_()
        wanted = theirs(tensor, torch.tensor(target))
        wanted.backward()
        found = {"loss": criterion(x, target), "d": criterion.backward()}
        if not close(found, {"loss": wanted.detach(), "d": tensor.grad}):
            return False
    edge = r.BCECriterion("sum")
    right = edge(np.array([0.0, 1.0]), np.array([0.0, 1.0])) == 0
    right = right and np.array_equal(edge.backward(), [1.0, -1.0])
    nll = r.ClassNLLCriterion()
    right = right and nll(np.array([[0.0, -np.inf]]), np.array([0])) == 0
    in_list = r.SequencerCriterion(r.SSECriterion())
    in_list(list(drawn(3, 4)), drawn(3, 4, seed=9))
    right = right and isinstance(in_list.backward(), list)
    right = right and raises(in_list.backward, "expected a forward call of SequencerCriterion")
    right = right and raises(r.MSECriterion().backward, "expected a forward call of MSECriterion")
    for empty in (r.BCECriterion(), r.ClassNLLCriterion()):
        target = np.zeros((0, 3)) if isinstance(empty, r.BCECriterion) else np.zeros(0, int)
        right = right and raises(
            lambda e=empty, t=target: e(np.zeros((0, 3)), t), "no targets", ValueError
        )
    text = "target: expected 3 steps (the input's), got 4"
    return right and raises(lambda: in_list(drawn(3, 4), drawn(4, 4)), text, ValueError)


# Modules ----------------------------------------------------------------------------------


def raises(function, text, error=RuntimeError):
    """Whether the function raises; with text=None, whether it does not."""
    try:
        function()
    except error as found:
        return text is not None and text in str(found)
    except Exception:
        return False
    return text is None


@guarded
def modules():
    first = r.Linear(4, 4, rng=1)
    right = not any(g.any() for g in first.grads.values())
    right = right and list(r.Sequential(r.Sequential(r.Add(4))).parameters) == ["0.0.bias"]
    drawn_once = np.abs(r.Linear(4, 16, rng=0).parameters["weight"]).max()
    right = right and 0.45 < drawn_once <= 0.5
    drawn_once = np.abs(r.Add((2, 32), rng=0).parameters["bias"]).max()
    right = right and 0.1 < drawn_once <= 0.125
    net = r.Sequential(first, r.Tanh(), first.shared_clone(), r.Add(4))
    names = ["0.weight", "0.bias", "3.bias"]
    x, d_y = drawn(4, 4), drawn(4, 4, seed=1)
    right = right and list(net.parameters) == names and list(net.grads) == names
    right = right and raises(lambda: net.backward(d_y), "expected a forward call of Sequential")
    p = tensors(net)
    W, b, c = list(p.values())[:3]
    wanted = torch.tanh(torch.tensor(x) @ W.T + b) @ W.T + b + c
    wanted.backward(torch.tensor(d_y))
    y = net(x)
    right = right and close({"y": y}, {"y": wanted.detach()})
    right = right and net.output is y
    net.backward(d_y)
    right = right and net.output is None and raises(lambda: net.backward(d_y), "gone back through")
    right = right and close(net.grads, {k: a.grad for k, a in p.items()})
    before = {k: a.copy() for k, a in net.parameters.items()}
    net.update_parameters(0.5)
    right = right and close(
        net.parameters, {k: before[k] - 0.5 * p[k].grad.numpy() for k in before}
    )
    own = net.clone()
    net.zero_grad_parameters()
    right = right and not any(g.any() for g in net.grads.values())
    right = right and all(g.any() for g in own.grads.values())
    own.reset(5)
    right = right and all((own.parameters[k] != a).all() for k, a in net.parameters.items())
    right = right and all(
        0.2 < np.abs(a).max() <= 0.5 and a.min() < 0 < a.max() for a in own.parameters.values()
    )
    right = right and own.children["0"].own is own.children["2"].own
    net.evaluate()
    right = right and not any(m.train for m in net.modules())
    net.training()
    right = right and all(m.train for m in net.modules())
    net(x)
    other = net.shared_clone()
    right = right and other.output is None and other.children["0"].output is None
    right = right and copy.deepcopy(net).output is None
    net.forget()
    right = right and all(m.output is None and m._cache is None for m in net.modules())
    rng = np.random.default_rng(0)
    net(x)
    net.map(lambda a: a + rng.random())
    right = right and raises(lambda: net.backward(d_y), "expected a forward call of Sequential")
    right = right and net.parameters["0.weight"] is net.children["2"].own["weight"]
    right = right and not np.array_equal(net.grads["0.bias"], np.zeros(4))
    return bool(right) and refused() and failing()


def refused():
    """What does not fit is said to, and changes nothing."""
    linear, x = r.Linear(4, 4), drawn(4, 4)
    linear(x)
    T, V = TypeError, ValueError
    wrong = [
        (lambda: linear.backward(torch.zeros(4, 4, dtype=torch.float64)), "d_output: expected", T),
        (lambda: linear.backward(np.ones((4, 4), int)), "d_output: expected floating", T),
        (lambda: linear.backward(x[0]), "d_output: expected shape (4, 4)", V),
        (lambda: linear.backward(list(x)), "d_output: expected an array", T),
        (lambda: r.Module(children={"a": 3}), "a: expected a Module, got 3", T),
        (lambda: r.Module({"a": np.arange(3)}), "a: expected floating-point numbers", T),
        (lambda: r.LogSoftMax()(np.array(1.0)), "input: expected shape (..., V), got ()", V),
        (lambda: r.Sequential(linear, r.Sequential(linear)), "Linear twice", V),
    ]
    right = all(raises(*case) for case in wrong) and not linear.grads["weight"].any()
    right = right and raises(lambda: linear.backward(x), None)
    for bad, error in ((x[None], V), (x[0], V), (x.astype(int), T), (torch.tensor(x), T)):
        right = right and raises(lambda bad=bad: r.Linear(4, 4)(bad), "input: expected", error)
    return right


class Broken(r.Identity):
    """Raises on the way back, or forward when it is given ones."""

    def _forward(self, x):
        if x.min() == 1:
            raise ArithmeticError("broken")
        return super()._forward(x)

    def _backward(self, dy, _):
        raise ArithmeticError("broken")


def failing():
    """After a module inside raised, nothing is half done."""
    net, x = r.Sequential(r.Tanh(), Broken(), r.Tanh()), drawn(4, 4)
    net(x)
    right = raises(lambda: net.backward(x), "broken", ArithmeticError)
    right = right and all(m.output is None for m in net.modules())
    net = r.Sequential(r.Identity(), Broken())
    net(x)
    right = right and raises(lambda: net(np.ones((4, 4))), "broken", ArithmeticError)
    right = right and raises(lambda: net.backward(x), "expected a forward call of Sequential")
    linear = r.Sequential(r.Linear(4, 4))
    y = linear(x)
    zeros = linear.backward(None)
    right = right and y.any() and not zeros.any() and zeros.shape == (4, 4)
    return right and not linear.grads["0.weight"].any()


# Recurrent --------------------------------------------------------------------------------


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
        right = right and raises(getattr(net, name), "use Recurrence", NotImplementedError)
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


class Rewarded(r.Identity):
    """Keeps its reward and sends it back."""

    reward = np.nan

    def reinforce(self, reward):
        self.reward = reward

    def _backward(self, dy, _):
        return 0 * dy + self.reward


@guarded
def rewards():
    """One reward for all steps, or one a step, also through modules around and inside."""
    x, right = drawn(3, 4, 4), True

    def rewarded():
        net = r.Recurrent(r.Identity(), r.Identity(), r.Linear(4, 4), Rewarded())
        net.parameters["feedback.weight"][...] = 0
        return net

    nets = [
        rewarded(),
        r.Recursor(Rewarded()),
        r.Recursor(r.Sequential(rewarded(), r.Tanh())),
        r.Recursor(r.Sequential(r.Recurrent(4, r.Identity(), r.Linear(4, 4)), Rewarded())),
        r.Sequencer(rewarded()),
        r.Repeater(Rewarded(), 3),
    ]
    for net, (reward, each) in itertools.product(nets, [(2.0, [2, 2, 2]), ([1, 2, 5], [1, 2, 5])]):
        wanted = np.array(each)[:, None, None] + 0 * x
        if isinstance(net, r.AbstractRecurrent):
            for x_t in x:
                net(x_t)
            few = "expected one for all steps, or a list of 3"
            right = right and raises(lambda net=net: net.reinforce([1.0, 2.0]), few, ValueError)
            net.reinforce(reward)
            found = [net.backward(None) for _ in x][::-1]
            net.forget()
        else:
            net(x if isinstance(net, r.Sequencer) else x[0])
            net.reinforce(reward)
            found = net.backward(None)
        if isinstance(net, r.Repeater):
            wanted = wanted.sum(axis=0)
        if net is nets[3]:  # Its reward has a way to go.
            right = right and len(found) == 3 and all(np.abs(d).max() > 0 for d in found)
        else:
            right = right and close({"d": found}, {"d": wanted})
    return right


@guarded
def inside():
    """Rewards of modules inside that do not run at every step, or have steps of their own."""
    x, right, idle = drawn(3, 2, 4), True, r.Identity

    def stepping():
        net = r.Recurrent(idle(), idle(), r.Linear(4, 4), Rewarded())
        net.parameters["feedback.weight"][...] = 0
        return net

    def told(start, feedback, rho, rewards):
        """What each input is told."""
        net = r.Recurrent(start, idle(), feedback, idle(), rho)
        for x_t in x[: len(rewards)] if rho > 3 else x:
            net(x_t)
        net.reinforce(rewards)
        for _ in rewards:
            net.backward(None)
        return [d[0, 0] for d in net.grad_inputs]

    for feedback in (Rewarded, stepping, lambda: r.Sequential(stepping(), idle())):
        # Feedback sends its reward to the step before.
        right = right and told(idle(), feedback(), 9, [1, 2, 5]) == [2, 5, 0]
        right = right and told(idle(), feedback(), 9, [1]) == [0]
        right = right and told(idle(), feedback(), 2, [2, 5]) == [5, 0]
    long, feedback = drawn(9, 2, 4), stepping()
    net = r.Recurrent(idle(), idle(), feedback, idle(), 2)
    for x_t in long:
        net(x_t)
    right = right and feedback.clones <= 3
    plain = r.Sequential(idle(), Rewarded())
    plain(x[0])
    plain.reinforce(3)
    right = right and (plain.backward(None) == 3).all()
    for kind in (Rewarded, lambda: r.Sequential(Rewarded(), idle())):
        right = right and told(kind(), idle(), 9, [1, 2, 5]) == [1, 0, 0]
    return right


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
    "pieces": pieces,
    "edges": edges,
    "inside": inside,
    "tables": tables,
    "criteria": criteria,
    "modules": modules,
    "recurrent": recurrent,
    "books": books,
    "windows": windows,
    "mistakes": mistakes,
    "nested": nested,
    "rewards": rewards,
}


def check(name):
    return CHECKS[name]()
