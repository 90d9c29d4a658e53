"""Trees of ``rnnlib.recurrent`` and the same of torch's functions; for tests and planted slips.

``in_torch`` reads a tree and computes what it should, step by step, with autograd behind it.  It
uses nothing of the package but the names and sizes in the tree.
"""

from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st

from rnnlib import recurrent as r

CURVES = {
    "Identity": lambda a: a,
    "Sigmoid": torch.sigmoid,
    "Tanh": torch.tanh,
    "ReLU": torch.relu,
    "LogSoftMax": lambda a: torch.log_softmax(a, -1),
    "CAddTable": sum,
}


def in_torch(tree, x, p, prefix=""):
    """Return what a module without steps makes of x; p: {name: tensor} for the whole network."""
    kind = type(tree).__name__
    inside = [(f"{prefix}{name}.", child) for name, child in tree.children.items()]
    if kind == "Linear":
        return torch.nn.functional.linear(x, p[f"{prefix}weight"], p.get(f"{prefix}bias"))
    if kind == "Add":
        return x + p[f"{prefix}bias"]
    if kind == "JoinTable":
        return torch.cat(list(x), tree.axis)
    if kind == "ParallelTable":
        pairs = zip(inside, x, strict=True)
        return [in_torch(child, part, p, name) for (name, child), part in pairs]
    if kind == "Sequential":
        for name, child in inside:
            x = in_torch(child, x, p, name)
        return x
    return CURVES[kind](x)


def recurrent_in_torch(net, xs, p, prefix="", cut=0):
    """Return the outputs of a ``Recurrent``; the output of step ``cut`` goes on as a constant."""
    part = {name: (child, f"{prefix}{name}.") for name, child in net.children.items()}

    def run(name, x):
        return in_torch(part[name][0], x, p, part[name][1])

    outputs = []
    for t, x in enumerate(xs):
        a = run("input", x)
        if t == 0:
            a = run("start", a)
        else:
            before = outputs[-1].detach() if t == cut else outputs[-1]
            a = run("merge", [a, run("feedback", before)])
        outputs.append(run("transfer", a))
    return outputs


def tensors(module):
    """The parameters as tensors of torch that want gradients."""
    found = {}
    for name, array in module.parameters.items():
        found[name] = torch.tensor(np.asarray(array)).requires_grad_()
    return found


def randomize(module, seed, scale=0.7):
    """Replace all parameters; the biases come out far from zero."""
    rng = np.random.default_rng(seed)
    for array in module.parameters.values():
        array[...] = rng.normal(0.2, scale, array.shape)
    for grad in module.grads.values():
        grad[...] = 0
    return module


def close(ours, theirs, tolerance=1e-10):
    """By name; NaN is close to nothing."""
    for name, expected in theirs.items():
        mine = np.asarray(ours[name])
        expected = np.zeros_like(mine) if expected is None else np.asarray(expected)
        if mine.shape != expected.shape or not (np.abs(mine - expected) < tolerance).all():
            return False
    return True


@dataclass(frozen=True)
class Case:
    """One Recurrent and one sequence; arrays and weights follow from the seed."""

    seed: int = 0
    T: int = 4
    N: int = 4
    I: int = 4  # noqa: E741
    H: int = 4
    O: int = 4  # noqa: E741
    rho: int = 99999
    start: str = "size"
    input: str = "linear"
    feedback: str = "linear"
    transfer: str = "Sigmoid"
    merge: str = "add"

    def net(self):
        I, H, rng = self.I, self.H, np.random.default_rng(self.seed)  # noqa: E741
        start = {
            "size": lambda: H,
            "tuple": lambda: (H,),
            "linear": lambda: r.Linear(H, H, rng=rng),
            "deep": lambda: r.Sequential(r.Add(H), r.Tanh(), r.Linear(H, H)),
            "identity": r.Identity,
        }[self.start]()
        feeds = {
            "linear": lambda n: r.Linear(n, H, rng=rng),
            "no bias": lambda n: r.Linear(n, H, bias=False),
            "deep": lambda n: r.Sequential(r.Linear(n, 3), r.Tanh(), r.Linear(3, H)),
        }
        merge = {
            "add": lambda: None,
            "join": lambda: r.Sequential(r.JoinTable(), r.Linear(2 * H, H)),
            "parallel": lambda: r.Sequential(
                r.ParallelTable(r.Tanh(), r.Linear(H, H)), r.CAddTable()
            ),
        }[self.merge]()
        width = self.O if self.transfer == "output layer" else H
        transfer = {
            "Sigmoid": lambda: None,
            "output layer": lambda: r.Sequential(r.Tanh(), r.Linear(H, self.O), r.Sigmoid()),
        }.get(self.transfer, lambda: getattr(r, self.transfer)())()
        net = r.Recurrent(
            start, feeds[self.input](I), feeds[self.feedback](width), transfer, self.rho, merge
        )
        return randomize(net, self.seed + 1)

    def arrays(self):
        """Return x: (T, N, I) and random cotangents (T, N, O)."""
        draw = np.random.default_rng(self.seed + 2).standard_normal
        width = self.O if self.transfer == "output layer" else self.H
        return draw((self.T, self.N, self.I)), draw((self.T, self.N, width))

    @property
    def back(self):
        return min(self.rho, self.T)


def cases():
    sizes = st.integers(1, 4)
    return st.builds(
        Case,
        seed=st.integers(0, 2**32),
        T=st.integers(1, 6),
        N=sizes,
        I=sizes,
        H=sizes,
        O=sizes,
        rho=st.sampled_from([1, 2, 3, 5, 99999]),
        start=st.sampled_from(["size", "tuple", "linear", "deep", "identity"]),
        input=st.sampled_from(["linear", "no bias", "deep"]),
        feedback=st.sampled_from(["linear", "no bias", "deep"]),
        transfer=st.sampled_from(
            ["Sigmoid", "Tanh", "ReLU", "Identity", "LogSoftMax", "output layer"]
        ),
        merge=st.sampled_from(["add", "join", "parallel"]),
    )


def stepped(net, x, d_y, back=None):
    """Everything that a network stepped by hand gives, by name."""
    outputs = [net(step) for step in x]
    back = len(x) if back is None else back
    for t in reversed(range(len(x) - back, len(x))):
        net.backward(d_y[t], step=t + 1)
    found = {f"y {t}": y for t, y in enumerate(outputs)}
    found |= {f"d_x {len(x) - back + k}": d for k, d in enumerate(net.grad_inputs)}
    return found | {f"d {name}": grad for name, grad in net.grads.items()}


def expected(x, d_y, p, outputs, back=None):
    """The same from autograd; outputs: tensors that were made of the tensors x and p."""
    back = len(x) if back is None else back
    pairs = zip(outputs[-back:], d_y[-back:], strict=True)
    loss = sum((y * torch.as_tensor(c)).sum() for y, c in pairs)
    loss.backward()
    found = {f"y {t}": y.detach() for t, y in enumerate(outputs)}
    found |= {f"d_x {t}": x[t].grad for t in range(len(x) - back, len(x))}
    return found | {f"d {name}": tensor.grad for name, tensor in p.items()}


def inputs(x):
    return [torch.tensor(step).requires_grad_() for step in x]


def run(case):
    """Return (ours, torch's) of one case."""
    net, (x, d_y) = case.net(), case.arrays()
    p, xs = tensors(net), inputs(x)
    theirs = expected(xs, d_y, p, recurrent_in_torch(net, xs, p, cut=case.T - case.back), case.back)
    return stepped(net, x, d_y, case.back), theirs


def made(rho=99999, **options):
    """A Recurrent of 4 units with 3 inputs."""
    return Case(rho=rho, I=3, H=4, **options).net()


def data(T, seed=0):
    """Inputs for it, and gradients for its outputs; two examples."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((T, 2, 3)), rng.standard_normal((T, 2, 4))


def grads_of(net, x, d_y, back):
    """The gradients after so many steps back."""
    stepped(net, x, d_y, back)
    return net.grads


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


def raises(function, text, error=RuntimeError):
    """Whether the function raises; with text=None, whether it does not."""
    try:
        function()
    except error as found:
        return text is not None and text in str(found)
    except Exception:
        return False
    return text is None


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


class Broken(r.Identity):
    """Raises on the way back, or forward when it is given ones."""

    def _forward(self, x):
        if x.min() == 1:
            raise ArithmeticError("broken")
        return super()._forward(x)

    def _backward(self, dy, _):
        raise ArithmeticError("broken")


class Rewarded(r.Identity):
    """Keeps its reward and sends it back."""

    reward = np.nan

    def reinforce(self, reward):
        self.reward = reward

    def _backward(self, dy, _):
        return 0 * dy + self.reward
