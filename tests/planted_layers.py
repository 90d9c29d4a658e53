"""Layers and one-step cells beside torch, for ``test_planted_errors``.

Every number is compared, forward and backward, with torch.nn or with a literal loop, so that a
forward pass that is wrong in itself is noticed too.  The sizes are equal where they can be, so
that shapes cannot give a slip away.
"""

import weakref
from dataclasses import replace
from unittest import mock

import numpy as np
import numpy.ma  # It would read the docstring of np.empty while that is replaced.
import torch
from planted_cells import STEPS, same
from recurrent_cases import Case, randomize, run, run_torch

from rnnlib import cells, sequences
from rnnlib.layers import GRU, LSTM, RNN, GRUCell, Linear, LSTMCell, RNNCell, base, columns
from rnnlib.layers.memory import Memory
from rnnlib.layers.plain import Plain
from rnnlib.sequences import GRUSequence, LSTMSequence, ResetBeforeGRUSequence, RNNSequence

# With these seeds of ``Case`` three or four sequences stand in an order that is not undone by
# sorting them once more.  With SEED all lengths differ; with LATE all reach the second step.
SEED, LATE = 40, 136


def literal(case, layer, step, masks):
    """All that ``run`` finds, by loops over sequences, layers, directions and steps."""
    x, hx, d_output, d_state = case.arrays()
    p = {name: torch.tensor(a, requires_grad=True) for name, a in layer.parameters.items()}
    t_x, *starts = (torch.tensor(a, requires_grad=True) for a in (x, *hx))
    d_output, *d_state = map(torch.tensor, (d_output, *d_state))
    found = {"output": np.zeros(d_output.shape)}
    found |= {f"{s}_n": np.zeros(h.shape) for s, h in zip(case.names, hx, strict=True)}
    root, directions = 0, ("", "_reverse")[: 1 + case.bidirectional]
    lengths = case.lengths()
    for n in range(case.N):
        T = case.T if lengths is None else lengths[n]
        below = list(t_x[:T, n])
        for k in range(case.num_layers):
            if k and masks[k] is not None:
                below = [b * torch.tensor(m) for b, m in zip(below, masks[k][:, n], strict=True)]
            sides = []
            for d, direction in enumerate(directions):
                suffix = f"_l{k}{direction}"
                w = {m.removesuffix(suffix): p[m] for m in p if m.endswith(suffix)}
                place, out = k * len(directions) + d, []
                state = [s[place, n] for s in starts]
                for b in below[::-1] if d else below:
                    state = step(w, b @ w["weight_ih"].T + w["bias_ih"], *state)
                    out.append(state[0])
                sides.append(out[::-1] if d else out)
                for name, s, g in zip(case.names, state, d_state, strict=True):
                    found[f"{name}_n"][place, n] = s.detach()
                    root = root + (s * g[place, n]).sum()
            below = [torch.cat(parts) for parts in zip(*sides, strict=True)]
        below = torch.stack(below)
        found["output"][:T, n] = below.detach()
        root = root + (below * d_output[:T, n]).sum()
    root.backward()
    found |= {f"d_{s}_0": h.grad.numpy() for s, h in zip(case.names, starts, strict=True)}
    found |= {f"d {name}": a.grad.numpy() for name, a in p.items()}
    return found | {"d_input": t_x.grad.numpy()}


def in_uses(kind, more, **fixed):
    """A layer with all sizes equal, with T·N = H = I, both ways, with lengths, in blocks."""
    n = 4 if kind == "LSTM" else 3
    even = Case(kind, SEED, T=n, N=n, input_size=n, hidden_size=n, num_layers=2)
    even = replace(even, **fixed)
    yield even, more
    yield replace(even, T=2, N=2, input_size=4, hidden_size=4), more
    # Now I = 2H makes the first layer and the second equal in shape.
    both = replace(even, bidirectional=True, input_size=2 * n)
    yield both, more
    yield replace(both, ragged=True), more
    yield replace(both, ragged=True, seed=LATE), {**more, "checkpoint": 2}


FORMS = {
    **{f: ("RNN", {}, {"nonlinearity": f}) for f in ("tanh", "relu", "sigmoid")},
    "lstm": ("LSTM", {}, {}),
    "projected": ("LSTM", {}, {"project": True}),
    "peephole": ("LSTM", {"peephole": True}, {}),
    "gru": ("GRU", {}, {}),
    "reset before": ("GRU", {"reset_after": False}, {}),
}
SEQUENCES = {
    **{f: lambda w, f=f: RNNSequence(w, f) for f in ("tanh", "relu", "sigmoid")},
    **dict.fromkeys(("lstm", "projected", "peephole"), LSTMSequence),
    "gru": GRUSequence,
    "reset before": ResetBeforeGRUSequence,
}
# By the plain equations: forms that the layers run on columns.
PLAIN = {f: lambda w, _, f=f: Plain(SEQUENCES[f](w)) for f in ("tanh", "lstm", "gru")}


def dirty(shape, dtype=float):
    """For np.empty: what stands in fresh memory is never by chance what should stand there."""
    dtype = np.dtype(dtype)
    return np.full(shape, np.finfo(dtype).max / 4 if dtype.kind == "f" else 1, dtype)


def alike(case, name, more, steps=None):
    """One way to use a layer against torch.nn, or against the loop where torch lacks the form."""
    layer = case.layer(**more)
    if steps:
        layer._steps = steps
    for g in layer.grads.values():
        g[...] = 1  # To be replaced.
    try:
        with mock.patch.object(np, "empty", dirty), np.errstate(over="raise", invalid="raise"):
            ours = run(case, layer)
    except FloatingPointError:
        return False
    if name in ("sigmoid", "peephole", "reset before") or "dropout" in more:
        return same(ours, literal(case, layer, STEPS[name], layer._cache[1]))
    return same(ours, run_torch(case, case.module(layer)))


def layer(name, steps=None, **sizes):
    """A layer in its uses: two deep, both ways, of unequal lengths; sizes: those of ``columns``."""
    kind, more, fixed = FORMS[name]
    with mock.patch.dict(vars(columns), sizes):
        return all(alike(case, name, more, steps) for case, more in in_uses(kind, more, **fixed))


def laid_out():
    """Batch first, and one sequence alone, with T = N = H = I."""
    case = Case("LSTM", SEED, T=4, N=4, input_size=4, hidden_size=4, bidirectional=True)
    return all(
        alike(replace(case, **options), "lstm", {})
        for options in ({"batch_first": True}, {"batched": False}, {"with_hx": False})
    )


def no_bias():
    case = Case("GRU", SEED, T=3, N=3, input_size=3, hidden_size=3, bias=False)
    return all(
        alike(replace(case, kind=kind), kind.lower(), {}, steps)
        for kind in ("LSTM", "GRU")
        for steps in (None, PLAIN[kind.lower()])
    )


def dropout():
    """The masks between the layers, as drawn, forward and back; and how they are drawn."""
    case = Case("GRU", SEED, T=3, N=3, input_size=3, hidden_size=3, num_layers=3)
    if not alike(case, "gru", {"dropout": 0.4, "rng": 1}):
        return False
    net = case.layer(dropout=0.3, rng=1)
    net(case.arrays()[0])
    if [mask is None for mask in net._cache[1]] != [True, False, False]:
        return False
    mask, another = net._mask((200, 200)), net._mask((200, 200))
    return (
        not np.array_equal(mask, another)
        and abs((mask == 0).mean() - 0.3) < 0.02
        and np.allclose(mask[mask != 0], 1 / 0.7)
        and net.eval()._mask((2, 2)) is None
        and not case.layer(dropout=1.0)._mask((2, 2)).any()
    )


def again(**options):
    """Two backward calls, after a forward call whose states the caller has overwritten."""
    case = Case("LSTM", SEED, T=4, N=4, input_size=4, hidden_size=4, num_layers=2, **options)
    net = case.layer()
    expected = run_torch(case, case.module(net))
    run(replace(case, seed=5, T=7), net)  # Something else in the memory.
    x, hx, d_output, d_state = case.arrays()
    output, ends = net(x, case.as_hx(hx), lengths=case.lengths())
    ours = {"output": output.copy(), "h_n": ends[0].copy(), "c_n": ends[1].copy()}
    for a in (output, *hx, *ends):
        a[...] = 9
    for _ in range(2):
        dx, (dh, dc) = net.backward(d_output, case.as_hx(d_state))
    ours |= {"d_input": dx, "d_h_0": dh, "d_c_0": dc}
    return same(ours | {f"d {k}": g for k, g in net.grads.items()}, expected)


def checkpoints():
    """What is kept: with checkpoints, the states before each block, and one block."""
    case = Case("GRU", SEED, T=5, N=3, input_size=3, hidden_size=3, checkpoint=2)
    net = case.layer()
    net(case.arrays()[0])
    (sweep,) = net._cache[0]
    if ("kept", 1) in net._memories["_l0"]._flat:
        return False
    return [block for block, _ in sweep.kept] == [slice(0, 2), slice(2, 4), slice(4, 5)] and all(
        len(kept) == 1 and kept[0].shape == (3, 3) for _, kept in sweep.kept
    )


def drawn():
    """U(-bound, bound), with bound² = 1/H, or 1/I for a linear layer."""
    nets = (kind(25, 25, rng=1) for kind in (RNN, GRUCell, Linear))
    return all(
        0.19 < p.max() < 0.2 and -0.2 < p.min() < -0.19
        for net in nets
        for p in net.parameters.values()
        if p.size > 100
    )


# Sequences as rows -----------------------------------------------------------------------


def literal_rows(name, w, x, state, counts, reverse):
    """What ``Sequence.forward`` means, row by row in torch: the rows of y, and the state after."""
    firsts, y, ends = np.cumsum([0, *counts]), [None] * len(x), []
    w = {f"bias_{k}": torch.zeros(len(w[f"weight_{k}"]), dtype=x.dtype) for k in ("ih", "hh")} | w
    for n in range(counts[0]):
        rows = [first + n for first, count in zip(firsts, counts, strict=False) if n < count]
        s = [part[n] for part in state]
        for row in rows[::-1] if reverse else rows:
            s = STEPS[name](w, x[row] @ w["weight_ih"].T + w["bias_ih"], *s)
            y[row] = s[0]
        ends.append(s)
    return torch.stack(y), *(torch.stack(parts) for parts in zip(*ends, strict=True))


def row_arrays(name, counts, bias=True, n=4):
    """Weights, rows x, and the state, at random; all sizes are equal."""
    draw, gates = np.random.default_rng(SEED).standard_normal, {"gru": 3, "reset before": 3}
    gates = gates.get(name, 4 if name in ("lstm", "projected", "peephole") else 1)
    w = {"weight_ih": draw((gates * n, n)), "weight_hh": draw((gates * n, n))}
    if bias:
        w |= {"bias_ih": draw(gates * n), "bias_hh": draw(gates * n)}
    if name == "projected":
        w["weight_hr"] = draw((n, n))
    if name in ("projected", "peephole"):
        w["weight_peephole"] = draw(3 * n)
    return w, draw((sum(counts), n)), tuple(draw((1 + (gates == 4), counts[0], n)))


def sequence(name, counts, reverse, bias):
    """One run over rows, there and back, with all that its options promise."""
    w, x, state = row_arrays(name, counts, bias)
    t_w = {k: torch.tensor(a, requires_grad=True) for k, a in w.items()}
    t_x, *t_state = (torch.tensor(a, requires_grad=True) for a in (x, *state))
    theirs = literal_rows(name, t_w, t_x, t_state, counts, reverse)
    draw = np.random.default_rng(SEED + 1).standard_normal
    seeds = [draw(tuple(part.shape)) for part in theirs]
    torch.autograd.backward(theirs, [torch.tensor(a) for a in seeds])

    run = SEQUENCES[name](w)
    y, after, kept = run.forward(x, state, counts, reverse)
    if not same(dict(enumerate((y, *after))), dict(enumerate(part.detach() for part in theirs))):
        return False
    y_alone, _, nothing = run.forward(x, state, counts, reverse, keep=False)
    given = seeds[0], tuple(seeds[1:]), x, state, y, kept, counts, reverse
    d_state, grads = run.backward(*given)
    ours = {**dict(enumerate(d_state)), **grads}
    expected = {"x": t_x.grad, **{k: s.grad for k, s in enumerate(t_state)}}
    return (
        np.array_equal(y_alone, y)
        and nothing == ()
        and all(len(slot) == len(x) for slot in kept)
        and [*grads] == ["x", *w]
        and same(ours, expected | {k: a.grad for k, a in t_w.items()})
        and all(
            only(run, given, d_state, grads, wanted)
            for wanted in ([], *([name] for name in grads), [*w][::-1], ["x", *w][::2])
        )
    )


def only(run, given, d_state, grads, wanted):
    """Only what is wanted is computed, and it is what it was among all."""
    asked = []

    def products(*args):
        found = there(*args)
        return {name: lambda name=name: asked.append(name) or found[name]() for name in found}

    there = run.products
    with mock.patch.object(run, "products", products):
        again, found = run.backward(*given, wanted=wanted)
    return (
        asked == wanted == [*found]
        and same(found, {name: grads[name] for name in wanted})
        and same(dict(enumerate(again)), dict(enumerate(d_state)))
    )


def rows_of(name):
    """Equal and unequal lengths, in both directions, with biases and without."""
    return all(
        sequence(name, counts, reverse, bias)
        for counts in ([4] * 4, [4, 3, 3, 1])
        for reverse in (False, True)
        for bias in (True, False)
    )


def memory():
    """The inputs' share is freed before the steps are gathered, and each of these as it is."""
    w, x, state = row_arrays("lstm", [2, 2])
    sums, freed, alive = [], [], []

    def linear(*args):
        a = linear_there(*args)
        sums.append(weakref.ref(a))
        return a

    def gathered(xp, steps, reverse):
        # What came first is the sum of the inputs, for all steps.
        freed.append(sums[0]() is None)
        return there(xp, steps, reverse)

    there, linear_there = sequences._gathered, cells.linear
    with (
        mock.patch.object(sequences.cells, "linear", linear),
        mock.patch.object(sequences, "_gathered", gathered),
    ):
        LSTMSequence(w).forward(x, state, [2, 2])

    steps = [tuple(np.ones((2, 2)) for _ in range(3)) for _ in range(4)]
    arrays = [weakref.ref(part) for step in steps for part in step]

    class Counting:
        @staticmethod
        def concat(parts):
            alive.append(sum(ref() is not None for ref in arrays))
            return np.concatenate(parts)

    there(Counting, steps, False)
    return freed == [True] and alive == [12, 8, 4]


def views():
    """Cut once, and again when the sizes are others or the memory has grown."""
    memory = Memory(np.dtype(float))

    def cut(size):
        return memory.views("steps", size, lambda: list(memory("a", size)[:, None]))

    first = cut(3)
    if cut(3) is not first or len(cut(2)) != 2:
        return False
    cut(3)
    return np.shares_memory(memory("a", 9), cut(3)[0])


def one_block():
    case = Case("GRU", SEED, T=5, N=3, input_size=3, hidden_size=3)
    net = case.layer()
    net._steps = PLAIN["gru"]
    net(case.arrays()[0])
    (sweep,) = net._cache[0]
    return [block for block, _ in sweep.kept] == [slice(0, 5)]


# Cells one step at a time, and what all layers share ---------------------------------------


def loop(kind, name, **options):
    """A cell over three steps against its literal step; then again, and in eval()."""
    n, T = 4, 3
    cell = {"RNN": RNNCell, "LSTM": LSTMCell, "GRU": GRUCell}[kind](n, n, **options)
    randomize(cell, SEED)
    draw, count = np.random.default_rng(SEED).standard_normal, len(cell.states)
    x, starts, d = draw((T, n, n)), draw((count, n, n)), draw((T, count, n, n))

    def one(states):
        return tuple(states) if count > 1 else states[0]

    def parts(states):
        return states if count > 1 else (states,)

    def there_and_back():
        state, found, buffer = one(starts), {}, np.empty((n, n))
        for t in range(T):
            buffer[...] = x[t]
            state = cell(buffer, state)
            found |= {f"{t} {k}": s for k, s in enumerate(parts(state))}
        carried = one(np.zeros_like(starts))
        for t in reversed(range(T)):
            found[f"dx {t}"], carried = cell.backward(one(d[t] + np.array(parts(carried))))
        found |= {f"d start {k}": s for k, s in enumerate(parts(carried))}
        return found | {f"d {k}": g.copy() for k, g in cell.grads.items()}

    ours = there_and_back()
    w = {k: torch.tensor(p, requires_grad=True) for k, p in cell.parameters.items()}
    t_x, t_starts = (torch.tensor(a, requires_grad=True) for a in (x, starts))
    state, theirs, root = tuple(t_starts), {}, 0
    for t in range(T):
        state = STEPS[name](w, t_x[t] @ w["weight_ih"].T + w["bias_ih"], *state)
        theirs |= {f"{t} {k}": s.detach() for k, s in enumerate(state)}
        root = root + sum((s * torch.tensor(g)).sum() for s, g in zip(state, d[t], strict=True))
    root.backward()
    theirs |= {f"dx {t}": t_x.grad[t] for t in range(T)}
    theirs |= {f"d start {k}": g for k, g in enumerate(t_starts.grad)}
    theirs |= {f"d {k}": p.grad for k, p in w.items()}
    if not (same(ours, theirs) and same(there_and_back(), theirs)):
        return False
    for t in range(2):
        cell(x[t])
    cell.backward(one(d[0]))
    cell.eval()(x[2])  # Neither remembered nor a new start.
    kept = len(cell._calls)
    cell.train()(x[2])  # A new start.
    return kept == len(cell._calls) == 1


def linear():
    """Two calls, the second of which replaces the gradients."""
    net, draw = Linear(4, 4), np.random.default_rng(SEED).standard_normal
    randomize(net, SEED)
    x, d = draw((2, 2, 2, 4))
    t = torch.nn.Linear(4, 4, dtype=torch.float64)
    t.load_state_dict({k: torch.tensor(p) for k, p in net.parameters.items()})
    for _ in range(2):
        ours = {"y": net(x), "dx": net.backward(d), **net.grads}
    t_x = torch.tensor(x, requires_grad=True)
    y = t(t_x)
    y.backward(torch.tensor(d))
    theirs = {"y": y.detach(), "dx": t_x.grad, "weight": t.weight.grad, "bias": t.bias.grad}
    return same(ours, theirs)


def weights():
    """What a layer's dicts promise: copies out, in place in, one mode."""
    net, other = Linear(4, 4, rng=1), Linear(4, 4, rng=2)
    arrays, first = dict(net.parameters), net.state_dict()
    net.load_state_dict(other.state_dict())
    return (
        all(net.parameters[k] is a for k, a in arrays.items())
        and same(net.parameters, other.parameters)
        and not np.array_equal(net.parameters["weight"], first["weight"])
        and {"bias_hh_l0", "weight_peephole_l0"} <= set(LSTM(2, 3, peephole=True).parameters)
        and net.training
        and not net.eval().training
        and net.train().training
        and not any(g.any() for g in net.grads.values())
        and not base.checked_states("hx", "h", None, [(2, 2)], float)[0].any()
    )


def equations():
    """Every layer of a stack, run by its equations, gives what the stack gives."""
    rng = np.random.default_rng(3)
    for cls, options in (
        (RNN, {"nonlinearity": "relu"}),
        (RNN, {}),
        (LSTM, {}),
        (GRU, {}),
        (GRU, {"reset_after": False}),
    ):
        stack = cls(4, 4, 2, rng=rng, **options)
        x = rng.normal(size=(3, 4, 4))
        rows, zero = x.reshape(12, 4), (np.zeros((4, 4)),) * (2 if cls is LSTM else 1)
        for suffix in ("_l0", "_l1"):
            rows, *_ = stack._equations(suffix).forward(rows, zero, [4, 4, 4])
        if not np.allclose(rows.reshape(x.shape), stack(x)[0], 1e-12, 1e-12):
            return False
    return True


CHECKS = {
    "equations": equations,
    **{name: lambda name=name: layer(name) for name in FORMS},
    **{f"plain {name}": lambda name=name: layer(name, PLAIN[name]) for name in PLAIN},
    **{f"rows {name}": lambda name=name: rows_of(name) for name in SEQUENCES},
    "memory": memory,
    "views": views,
    "one block": one_block,
    "blocks": lambda: all(layer(name, BLOCK=6) for name in ("tanh", "lstm", "gru")),
    "chunks": lambda: all(layer(name, COLUMNS=8) for name in ("tanh", "lstm", "gru")),
    # All rows lie badly, and one or two of them are transposed at a time.
    "clash": lambda: all(layer(name, CLASH=8, BYTES=64) for name in ("tanh", "lstm", "gru")),
    "layout": laid_out,
    "no bias": no_bias,
    "dropout": dropout,
    "again": lambda: again(ragged=True) and again(checkpoint=2),
    "checkpoints": checkpoints,
    "drawn": drawn,
    "cell tanh": lambda: loop("RNN", "tanh"),
    "cell relu": lambda: loop("RNN", "relu", nonlinearity="relu"),
    "cell lstm": lambda: loop("LSTM", "lstm"),
    "cell gru": lambda: loop("GRU", "gru"),
    "cell reset before": lambda: loop("GRU", "reset before", reset_after=False),
    "linear": linear,
    "weights": weights,
}


def check(name):
    return CHECKS[name]()
