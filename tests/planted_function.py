"""The torch function of rnnlib.torch beside literal loops, for ``test_planted_errors``.

All in float64 where nothing else is said, with random cotangents and biases far from zero.
"""

from contextlib import nullcontext
from unittest import mock

import numpy as np
import torch
from planted_layers import literal_rows, row_arrays
from torch.autograd import forward_ad
from torch.utils._python_dispatch import TorchDispatchMode

import rnnlib.torch
from rnnlib import sequences
from rnnlib.torch import function, inplace, ladder

SEED = 40


FORMS = {
    "tanh": "RNN_TANH",
    "relu": "RNN_RELU",
    "lstm": "LSTM",
    "projected": "LSTM",
    "gru": "GRU",
    "reset before": "GRU_RESET_BEFORE",
}


# The forms for which "auto" is not "products".
IN_PLACE = ("tanh", "relu", "lstm", "gru")


# rung: the class whose ``forward`` and ``backward`` run on it
RUNS = {"products": sequences.Sequence, "inplace": inplace.InPlace}


def drawn(shape, seed=SEED):
    return torch.tensor(np.random.default_rng(seed).standard_normal(tuple(shape)))


def beside(ours, theirs, tolerance=1e-9):
    """Compare lists of tensors."""
    return len(ours) == len(theirs) and all(
        a.shape == b.shape and a.dtype == b.dtype and torch.allclose(a, b, tolerance, tolerance)
        for a, b in zip(ours, theirs, strict=True)
    )


def ours_and_theirs(name, counts, reverse, rung="auto"):
    """``run`` and the literal loop as functions of the same tensors, and such tensors."""
    w, x, state = row_arrays(name, counts)
    w.pop("weight_peephole", None)

    def of(f):
        def called(x, *arrays):
            s, w_arrays = arrays[: len(state)], arrays[len(state) :]
            return f(dict(zip(w, w_arrays, strict=True)), x, s)

        return called

    def ours(weights, x, s):
        chosen = ladder.choose(rung, FORMS[name], weights, x.dtype, x.device, counts)
        y, after = function.run(FORMS[name], chosen, weights, x, s, counts, reverse)
        return y, *after

    def theirs(weights, x, s):
        return literal_rows(name, weights, x, s, counts, reverse)

    return of(ours), of(theirs), [torch.tensor(a) for a in (x, *state, *w.values())]


def ways(name, rungs=("products", "auto")):
    for counts in ([4, 4, 4], [3, 2, 2, 1]):
        for reverse in (False, True):
            for rung in rungs if name in IN_PLACE else rungs[:1]:
                yield ours_and_theirs(name, counts, reverse, rung)


def first(f, tensors, wanted=None):
    """The results and their derivatives; wanted: of which results, else of all."""
    tensors = [t.clone().requires_grad_() for t in tensors]
    results = f(*tensors)
    chosen = [results[k] for k in (range(len(results)) if wanted is None else wanted)]
    seeds = [drawn(part.shape, SEED + k) for k, part in enumerate(chosen)]
    return [part.detach() for part in results], torch.autograd.grad(
        chosen, tensors, seeds, materialize_grads=True, allow_unused=True
    )


def once(name):
    """The results and their derivatives, with gradients of some of the results only, too."""
    for ours, theirs, tensors in ways(name):
        states = 2 if name in ("lstm", "projected") else 1
        for wanted in (None, *((k,) for k in range(1 + states))):
            (results, grads), (expected, d_expected) = (
                first(f, tensors, wanted) for f in (ours, theirs)
            )
            if not (beside(results, expected) and beside(grads, d_expected)):
                return False
    return True


def second(f, tensors):
    """Derivatives of derivatives, by what came in and by the gradients that came back."""
    tensors = [t.clone().requires_grad_() for t in tensors]
    results = f(*tensors)
    seeds = [drawn(r.shape, SEED + k).requires_grad_() for k, r in enumerate(results)]
    grads = torch.autograd.grad(results, tensors, seeds, create_graph=True)
    return torch.autograd.grad(
        grads,
        [*tensors, *seeds],
        [drawn(g.shape, SEED + 9 + k) for k, g in enumerate(grads)],
        materialize_grads=True,
        allow_unused=True,
    )


def twice(name):
    try:
        return all(
            beside(*(second(f, tensors) for f in (ours, theirs)))
            for ours, theirs, tensors in ways(name)
        )
    except RuntimeError as error:  # What torch says of a step in place.
        if "automatic differentiation" not in str(error):
            raise
        return False


def forward_over_back(name):
    """Tangents of gradients of which torch keeps no graph."""

    def found(f, tensors):
        moved = [t.clone().requires_grad_() for t in tensors]
        with forward_ad.dual_level():
            moved[0] = forward_ad.make_dual(moved[0], drawn(moved[0].shape, SEED + 1))
            loss = sum((part**2).sum() for part in f(*moved))
            grads = torch.autograd.grad(loss, moved)
            pushed = [forward_ad.unpack_dual(g).tangent for g in grads]
        pairs = zip(tensors, pushed, strict=True)
        return [torch.zeros_like(t) if v is None else v for t, v in pairs]

    return all(
        beside(*(found(f, tensors) for f in (ours, theirs))) for ours, theirs, tensors in ways(name)
    )


def forward_mode(name):
    """Tangents of all that comes in, and of one thing only; then with nothing kept."""
    for ours, theirs, tensors in ways(name, ["products"]):
        tangents = [drawn(t.shape, SEED + k) for k, t in enumerate(tensors)]
        for moving in (range(len(tensors)), *((k,) for k in range(len(tensors)))):

            def of(f, moving=moving, tensors=tensors):
                def called(*moved):
                    arrays = list(tensors)
                    for k, t in zip(moving, moved, strict=True):
                        arrays[k] = t
                    return f(*arrays)

                return called

            given = tuple(tuple(a[k] for k in moving) for a in (tensors, tangents))
            expected = torch.func.jvp(of(theirs), *given)
            for mode in (nullcontext, torch.no_grad):
                try:
                    with mode():
                        found = torch.func.jvp(of(ours), *given)
                except RuntimeError:
                    return False
                if not all(beside(a, b) for a, b in zip(found, expected, strict=True)):
                    return False
    return True


def vmapped():
    """Gradients of several inputs at once."""
    ours, theirs, (x, *rest) = ours_and_theirs("gru", [3, 2, 2, 1], True)

    def slope(f):
        return torch.func.grad(lambda x: (f(x, *rest)[0] ** 2).sum())

    several = drawn((3, *x.shape))
    try:
        found = torch.func.vmap(slope(ours))(several)
    except RuntimeError:
        return False
    return beside([found], [torch.stack([slope(theirs)(x) for x in several])])


def batched(name):
    """Gradients of several cotangents at once, after a way forward by itself."""
    for ours, theirs, tensors in ways(name):

        def back(f, tensors=tensors):
            tensors = [t.clone().requires_grad_() for t in tensors]
            results = f(*tensors)
            seeds = [drawn((3, *r.shape), SEED + k) for k, r in enumerate(results)]
            return seeds, lambda *u: torch.autograd.grad(results, tensors, u, retain_graph=True)

        seeds, found = back(ours)
        _, one = back(theirs)
        expected = [one(*(s[k] for s in seeds)) for k in range(3)]
        try:
            grads = torch.func.vmap(found)(*seeds)
        except RuntimeError:
            return False
        if not beside(grads, [torch.stack(parts) for parts in zip(*expected, strict=True)]):
            return False
    return True


class Operations(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        self.names.append(str(operation))
        return operation(*args, **(kwargs or {}))


def spared(rung):
    """Nothing is kept, computed or made up that nobody asked for."""
    asked = []

    def forward(self, x, state, counts, reverse=False, keep=True):
        asked.append(("keep", keep))
        return there(self, x, state, counts, reverse, keep)

    def backward(self, *args):
        asked.append(args[8] if len(args) > 8 else None)
        return back(self, *args)

    def apply(*args):
        made.append(there_and_made(*args))
        return made[-1]

    there, back = RUNS[rung].forward, RUNS[rung].backward
    there_and_made, made = function.Derived.apply, []
    ours, _, tensors = ours_and_theirs("lstm", [3, 2, 2, 1], False, rung)
    kept = {"products": 6, "inplace": 3}[rung]
    names = ["x", "h", "c", *row_arrays("lstm", [4])[0]]
    with (
        mock.patch.multiple(RUNS[rung], forward=forward, backward=backward),
        mock.patch.object(function.Derived, "apply", apply),
    ):
        with torch.no_grad():
            ours(*tensors)
        if asked != [("keep", False)]:
            return False
        # All, nothing but the weights, each alone, and two of the weights.
        for needed in (names, names[3:], *([name] for name in names), names[3:5], names[5:]):
            asked.clear()
            pairs = zip(names, tensors, strict=True)
            results = ours(*(t.clone().requires_grad_(name in needed) for name, t in pairs))
            if [part.requires_grad for part in made[-1]] != [True] * 3 + [False] * kept:
                return False
            seeds = [torch.ones_like(part) for part in results]
            with Operations() as operations:
                torch.autograd.backward(results, seeds)
            if any("zeros" in name for name in operations.names):
                return False
            if asked != [("keep", True), [name for name in needed if name not in ("h", "c")]]:
                return False
    return True


def nested():
    """Forward mode within forward mode is refused; one level of it, and each with the way back."""
    ours, theirs, (x, *rest) = ours_and_theirs("gru", [3, 2, 2, 1], True)

    def loss(f):
        return lambda x: (f(x, *rest)[0] ** 2).sum()

    fwd, rev, v = torch.func.jacfwd, torch.func.jacrev, drawn(x.shape, SEED + 1)

    def moved(f):
        return lambda x: torch.func.jvp(f, (x,), (v,))[1]

    for twice in (
        lambda f: fwd(fwd(f)),
        lambda f: moved(moved(f)),
        lambda f: moved(rev(moved(f))),
        lambda f: fwd(fwd(fwd(f))),
    ):
        try:
            twice(loss(ours))(x)
        except RuntimeError as error:
            if "forward mode within forward mode" in str(error):
                continue
        except ValueError:  # torch stumbles later on.
            pass
        return False
    try:
        return all(
            beside([way(loss(ours))(x)], [way(loss(theirs))(x)])
            for way in (
                fwd,
                moved,
                lambda f: fwd(rev(f)),
                lambda f: rev(fwd(f)),
                lambda f: moved(rev(f)),
                lambda f: rev(rev(f)),
            )
        )
    except RuntimeError:
        return False


def autocast(rung):
    """Under autocast all is of its type but float64; the gradients are of the weights' type."""
    ours, theirs, tensors = ours_and_theirs("gru", [3, 2, 2, 1], False, rung)
    there, modes = RUNS[rung].forward, []

    def forward(self, *args):
        modes.append(torch.is_autocast_enabled("cpu"))
        return there(self, *args)

    half, single = ([t.to(kind) for t in tensors] for kind in (torch.bfloat16, torch.float32))
    results, grads = first(ours, half)
    grads, outside = [g.float() for g in grads], first(theirs, single)
    with torch.autocast("cpu", torch.bfloat16):
        with mock.patch.object(RUNS[rung], "forward", forward):
            found = [first(ours, single), first(ours, tensors)]
        try:
            ours(single[0].to(torch.int64), *single[1:])
        except RuntimeError:
            pass
        else:
            return False
    if any(modes):
        return False
    expected = [(results, grads), first(ours, tensors)]
    # Outside, then backward alone under autocast.
    x = [t.clone().requires_grad_() for t in single]
    results = ours(*x)
    seeds = [drawn(r.shape, SEED + k) for k, r in enumerate(results)]
    there = [r.detach() for r in results]
    for mode in (nullcontext(), torch.autocast("cpu", torch.bfloat16)):
        with mode:
            back = torch.autograd.grad(results, x, seeds, retain_graph=True)
        if not all(beside(*pair, 1e-5) for pair in zip((there, back), outside, strict=True)):
            return False
    return all(
        beside(a, b) for ab in zip(found, expected, strict=True) for a, b in zip(*ab, strict=True)
    )


def elsewhere():
    """On a device without autocast."""
    for rung in RUNS:
        ours, _, tensors = ours_and_theirs("gru", [3, 2, 2, 1], False, rung)
        try:
            y, h = ours(*(t.to("meta") for t in tensors))
        except RuntimeError:
            return False
        if y.shape != (8, 4) or h.shape != (3, 4):
            return False
    return True


def below():
    """Derivatives of derivatives, and tangents, take the products, whichever rung ran."""
    for rung in ("loop", "inplace"):
        ours, _, tensors = ours_and_theirs("gru", [3, 2, 2, 1], False, rung)
        with mock.patch.object(function, "make", wraps=ladder.make) as make:
            second(ours, tensors)
            with torch.no_grad(), forward_ad.dual_level():
                ours(forward_ad.make_dual(tensors[0], drawn(tensors[0].shape)), *tensors[1:])
        rungs = [call.args[1] for call in make.call_args_list]
        # Forward and the way back; forward and its tangents.
        if rungs != [rung, "products", rung, "products"]:
            return False
    return True


def compiled():
    """In one graph, in which a layer is one piece however long the sequences are."""
    layer, sizes = rnnlib.torch.GRU(2, 2, dtype=torch.float64), []

    def backend(graph, example_inputs):
        sizes.append(len(graph.graph.nodes))
        return graph.forward

    for T in (2, 3):
        x = drawn((T, 1, 2))
        torch.compiler.reset()
        try:
            output, _ = torch.compile(layer, backend=backend, fullgraph=True)(x)
        except Exception as error:
            if not type(error).__module__.startswith("torch._dynamo"):
                raise
            return False
        if not beside([output], [layer(x)[0]]):
            return False
    return sizes[0] == sizes[1]


CHECKS = {
    **{name: lambda name=name: once(name) for name in FORMS},
    **{f"twice {name}": lambda name=name: twice(name) for name in FORMS},
    **{f"forward over back {name}": lambda name=name: forward_over_back(name) for name in FORMS},
    **{f"tangents {name}": lambda name=name: forward_mode(name) for name in FORMS},
    **{f"batched {name}": lambda name=name: batched(name) for name in FORMS},
    "vmap": vmapped,
    "nested": nested,
    **{f"spared {rung}": lambda rung=rung: spared(rung) for rung in RUNS},
    "spared": lambda: all(spared(rung) for rung in RUNS),
    "autocast": lambda: all(autocast(rung) for rung in RUNS),
    "below": below,
    "elsewhere": elsewhere,
    "compiled": compiled,
}


def check(name):
    return CHECKS[name]()
