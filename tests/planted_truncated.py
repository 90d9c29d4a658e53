"""Truncated gradients beside torch's, with the graph cut behind each loss; ``test_planted_errors``.

The oracle runs every loss by itself: from the states tau steps before it, which are constants, step
by step through all layers.  All sizes are equal where they can be, so that shapes cannot give a
slip away.
"""

from dataclasses import replace

import numpy as np
import torch
from planted_cells import STEPS, same
from planted_layers import FORMS, SEED
from recurrent_cases import Case

from rnnlib import truncated


def oracle(case, layer, step, tau):
    """All gradients by name, by autograd, loss by loss."""
    x, hx, d_output, d_state = case.arrays()
    p = {name: torch.tensor(a, requires_grad=True) for name, a in layer.parameters.items()}
    x, *starts = (torch.tensor(a, requires_grad=True) for a in (x, *hx))
    d_output, *d_state = map(torch.tensor, (d_output, *d_state))
    lengths = case.lengths() if case.ragged else [case.T] * case.N
    for n in range(case.N):
        at = [[[s[k, n] for s in starts] for k in range(case.num_layers)]]
        for t in range(lengths[n]):
            at.append([[s.detach() for s in state] for state in up(p, step, x[t, n], at[-1])])
        for t in range(lengths[n]):
            first = max(0, t + 1 - tau)
            states = at[first]
            for s in range(first, t + 1):
                states = up(p, step, x[s, n], states)
            loss = (states[-1][0] * d_output[t, n]).sum()
            if t + 1 == lengths[n]:
                for k, state in enumerate(states):
                    loss = loss + sum(
                        (s * d[k, n]).sum() for s, d in zip(state, d_state, strict=True)
                    )
            loss.backward()
    found = {"d_input": x.grad} | {f"d {name}": a.grad for name, a in p.items()}
    for name, start in zip(case.names, starts, strict=True):
        found[f"d_{name}_0"] = start.grad
    return {name: torch.zeros(()) if g is None else g for name, g in found.items()}


def up(p, step, x, states):
    """One time step of one sequence, through all layers."""
    new = []
    for k, state in enumerate(states):
        w = {m.removesuffix(f"_l{k}"): a for m, a in p.items() if m.endswith(f"_l{k}")}
        new.append(step(w, x @ w["weight_ih"].T + w.get("bias_ih", 0), *state))
        x = new[-1][0]
    return new


def found(case, layer, tau):
    """The same from ``bptt``.  What stands behind a sequence's end is NaN on the way in."""
    x, hx, d_output, d_state = case.arrays()
    lengths = case.lengths()
    if lengths is not None:
        behind = np.arange(case.T)[:, None] >= lengths
        x[behind], d_output[behind] = np.nan, np.nan
    d_input, d_starts = truncated.bptt(
        layer, x, d_output, tau, case.as_hx(hx), case.as_hx(d_state), lengths
    )
    d_starts = d_starts if isinstance(d_starts, tuple) else (d_starts,)
    gradients = {"d_input": d_input} | {f"d {name}": g for name, g in layer.grads.items()}
    return gradients | {f"d_{s}_0": d for s, d in zip(case.names, d_starts, strict=True)}


def alike(case, name, tau, more):
    layer = case.layer(**more)
    for g in layer.grads.values():
        g[...] = 1  # To be replaced.
    expected = {k: v.numpy() for k, v in oracle(case, layer, STEPS[name], tau).items()}
    try:
        with np.errstate(over="raise", invalid="raise"):
            return same(found(case, layer, tau), expected)
    except FloatingPointError:
        return False


def check_windows():
    """Each loss is new once, goes k2 steps back at most, and is run from the state before."""
    for steps in range(1, 8):
        for k1 in range(1, 4):
            for k2 in (None, *range(k1, 8)):
                walk, at, back = list(truncated.windows(steps, k1, k2)), 0, k2 or k1
                new = [t for w in walk for t in range(w.first, w.stop)]
                for w in walk:
                    full = w.first + k1 - w.start
                    if w.start != at or not (full == back or (w.start == 0 and full < back)):
                        return False
                    at += w.carry
                if new != list(range(steps)) or at > steps:
                    return False
    return True


def check(name):
    if name == "windows":
        return check_windows()
    kind, more, fixed = FORMS[name]
    case = Case(kind, SEED, T=4, N=4, input_size=4, hidden_size=4, num_layers=2, **fixed)
    cases = case, replace(case, num_layers=1), replace(case, ragged=True)
    return all(alike(c, name, tau, more) for c in cases for tau in (1, 3, 4))
