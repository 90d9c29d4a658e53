"""Layers and one-step cells beside torch, for ``test_planted_errors``.

Every number is compared, forward and backward, with torch.nn or with a literal loop, so that a
forward pass that is wrong in itself is noticed too.  The sizes are equal where they can be, so
that shapes cannot give a slip away.
"""

from dataclasses import replace
from unittest import mock

import numpy as np
import numpy.ma  # It would read the docstring of np.empty while that is replaced.
import torch
from planted_cells import STEPS, same
from recurrent_cases import Case, randomize, run, run_torch

from rnnlib.layers import LSTM, RNN, GRUCell, Linear, LSTMCell, RNNCell, base, columns, plain

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
# By the plain equations: forms that the layers run on columns.
PLAIN = {
    **{f: lambda w, _, f=f: plain.PlainRNN(w, f) for f in ("tanh", "relu", "sigmoid")},
    "lstm": lambda w, _: plain.PlainLSTM(w),
    "gru": lambda w, _: plain.PlainGRU(w),
}


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


CHECKS = {
    **{name: lambda name=name: layer(name) for name in FORMS},
    **{f"plain {name}": lambda name=name: layer(name, PLAIN[name]) for name in PLAIN},
    "blocks": lambda: all(layer(name, COLUMNS=6) for name in ("tanh", "lstm", "gru")),
    # Two or three steps of the largest case.
    "chunks": lambda: all(
        layer(name, CACHE=size) for name, size in (("tanh", 150), ("lstm", 2000), ("gru", 600))
    ),
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
