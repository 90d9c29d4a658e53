"""The modules without time, and the criteria, beside torch; for planted slips.

All sizes are equal where a shape could give a slip away.
"""

import copy
from functools import partial
from itertools import product

import numpy as np
import torch
from planted_pieces import Broken, close, drawn, guarded, one, raises, tensors

from rnnlib import recurrent as r

F = torch.nn.functional


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


def gaussian_nll(mean, target, reduction):
    variance = torch.full_like(mean, 1.7)
    return F.gaussian_nll_loss(mean, target, variance, full=True, reduction=reduction)


def criteria_beside_torch():
    """Yield (criterion, input, target, torch's loss of the same)."""
    x, y, p = drawn(3, 4), drawn(3, 4, seed=1), 1 / (1 + np.exp(-drawn(3, 4, seed=2)))
    target, classes = np.random.default_rng(3).random((3, 4)), np.array([3, 0, 1])
    yield r.SSECriterion(), x, y, lambda a, b: F.mse_loss(a, b, reduction="sum") / 2
    with_logits = F.binary_cross_entropy_with_logits
    pairs = [
        (r.MSECriterion, x, y, F.mse_loss),
        (r.BCECriterion, p, target, F.binary_cross_entropy),
        (r.BCEWithLogitsCriterion, x, target, with_logits),
        (r.ClassNLLCriterion, x, classes, F.nll_loss),
        (r.CrossEntropyCriterion, x, classes, F.cross_entropy),
        (partial(r.GaussianNLLCriterion, 1.7), x, y, gaussian_nll),
    ]
    for how, (criterion, input, wanted, theirs) in product(("mean", "sum"), pairs):
        yield criterion(reduction=how), input, wanted, partial(theirs, reduction=how)
    each, repeated = r.MSECriterion(), r.RepeaterCriterion(r.CrossEntropyCriterion())
    x, y, labels = drawn(3, 4, 4), drawn(3, 4, 4, seed=1), np.array([0, 2, 1, 3])
    yield r.SequencerCriterion(each), x, y, lambda a, b: sum(map(F.mse_loss, a, b))
    yield repeated, x, labels, lambda a, b: sum(F.cross_entropy(a_t, b) for a_t in a)


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


CHECKS = {
    "pieces": pieces,
    "tables": tables,
    "criteria": criteria,
    "modules": modules,
}
