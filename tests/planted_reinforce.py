"""Stochastic modules beside torch.distributions and enumerated gradients; ``test_planted_errors``.

The enumeration: a recurrent policy so small that the expected gradient is a sum over all sequences
of actions.  torch differentiates that sum; the modules get every sequence as a row of one batch,
its reward times its probability as the reward.
"""

import functools
import itertools

import numpy as np
import torch
from torch import distributions

from rnnlib import losses
from rnnlib.recurrent import module, reinforce, simple

STEPS, ACTIONS, HIDDEN = 3, 2, 2
KINDS = {
    "bernoulli": (reinforce.Bernoulli, lambda p: distributions.Bernoulli(probs=p)),
    "categorical": (reinforce.Categorical, lambda s: distributions.OneHotCategorical(logits=s)),
    "normal": (
        functools.partial(reinforce.Normal, 0.3),
        lambda m: distributions.Normal(m, torch.tensor(0.3, dtype=torch.float64)),
    ),
}


def inputs(kind, shape, seed):
    """Return what a module of this kind may get."""
    x = np.random.default_rng(seed).normal(size=shape)
    if kind == "categorical":
        return losses.log_softmax(x)
    return 1 / (1 + np.exp(-x)) if kind == "bernoulli" else x


def check_score(kind, rows=4):
    """The gradient against autograd of -reward log p, for one reward a row and a reward a part."""
    for shape, axes in (((rows, 4), 1), ((2, rows, 4), 1), ((2, rows, 4), 2)):
        x, rng = inputs(kind, shape, 1), np.random.default_rng(2)
        made, named = KINDS[kind]
        ours, reward = made(rng=3), rng.normal(size=shape[:axes])
        drawn = ours(x)
        ours.reinforce(reward)
        theirs = torch.tensor(x, requires_grad=True)
        # Not through torch's logits, which it normalizes first: the input is what it is.
        if kind == "categorical":
            log_p = (theirs * torch.tensor(drawn)).sum(-1)
        else:
            log_p = named(theirs).log_prob(torch.tensor(drawn)).sum(-1)
        factor = torch.tensor(reward[(..., *[None] * (log_p.ndim - axes))])
        (-factor * log_p).sum().backward()
        if not np.allclose(ours.backward(None), theirs.grad.numpy(), 1e-12, 1e-12):
            return False
    return True


def check_draws(kind, n=40_000):
    """Mean and variance of many draws, within five standard errors."""
    x = inputs(kind, (1, 4), 4)
    made, named = KINDS[kind]
    drawn = made(rng=5)(np.repeat(x, n, axis=0))
    expected = named(torch.tensor(x[0]))
    mean, variance = expected.mean.numpy(), expected.variance.numpy()
    off = np.abs(drawn.mean(axis=0) - mean) / np.sqrt(variance / n)
    if kind == "normal":  # A standard error of a variance is that times sqrt(2 / n).
        spread = np.abs(drawn.var(axis=0) / variance - 1) * np.sqrt(n / 2)
    else:
        spread = np.where(np.isin(drawn, (0.0, 1.0)).all(), 0, np.inf)
    one = kind != "categorical" or (drawn.sum(axis=1) == 1).all()
    return bool(one and off.max() < 5 and np.max(spread) < 5)


def check_likeliest():
    """The most likely output, and no draw, after ``evaluate()``."""
    for kind, (made, _) in KINDS.items():
        x, ours = inputs(kind, (5, 4), 6), made(rng=7).evaluate()
        before = ours.rng.bit_generator.state
        expected = {"bernoulli": x > 0.5, "categorical": x == x.max(-1, keepdims=True), "normal": x}
        if not (ours(x) == expected[kind]).all() or ours.rng.bit_generator.state != before:
            return False
    return True


def check_shared():
    """Clones draw from one generator, and a reward is for one clone and one draw."""
    x = inputs("normal", (3, 4), 8)
    first = KINDS["normal"][0](rng=9)
    second = first.shared_clone()
    drawn = np.stack([first(x), second(x)])
    expected = x + 0.3 * np.random.default_rng(9).standard_normal((2, 3, 4))
    if not np.allclose(drawn, expected):
        return False
    first.reinforce(np.ones(3))
    try:
        second.backward(None)
    except RuntimeError:
        return bool(first.backward(None).any())
    return False


# The enumeration --------------------------------------------------------------------------


class Forced(reinforce.Categorical):
    """Draws what it is told: rows of one-hot actions, one call after the other."""

    def _draw(self, log_p):
        return next(self.told)


class Step(module.Module):
    """(x, h) -> (action, h): an Elman step, scores, a draw."""

    def __init__(self, features, draw, rng):
        cell = simple.Linear(features + HIDDEN, HIDDEN, rng=rng)
        readout = simple.Linear(HIDDEN, ACTIONS, rng=rng)
        super().__init__(children={"cell": cell, "readout": readout, "draw": draw})
        for p in self.parameters.values():
            p[...] = rng.normal(0.1, 0.8, p.shape)

    def _forward(self, table):
        h = np.tanh(self.children["cell"](np.concatenate(table, axis=-1)))
        self.log_p = losses.log_softmax(self.children["readout"](h))
        return (self.children["draw"](self.log_p), h), (h, self.log_p)

    def _backward(self, d_output, cache):
        h, log_p = cache
        d_log_p = self.children["draw"].backward(None)
        d_z = d_log_p - np.exp(log_p) * d_log_p.sum(-1, keepdims=True)
        d_h = d_output[1] + self.children["readout"].backward(d_z)
        return self.children["cell"].backward(d_h * (1 - h * h))[:, -HIDDEN:]


def sequences():
    """Return all sequences of actions, one-hot: (STEPS, number of sequences, ACTIONS)."""
    return np.eye(ACTIONS)[np.array(list(itertools.product(range(ACTIONS), repeat=STEPS))).T]


def world(rng):
    """Return the first input, and the reward of every action after every history."""
    table = rng.normal(size=(STEPS, *[ACTIONS] * STEPS))
    for t in range(STEPS):  # The reward of step t knows nothing of later actions.
        table[t] = table[t][(..., *[slice(0, 1)] * (STEPS - 1 - t))]
    return rng.normal(size=ACTIONS), table


def episodes(step, first, actions):
    """Run a batch; return the steps, their log-probabilities (T, N), and the actions."""
    clones = [step.shared_clone() for _ in range(STEPS)]
    N = actions.shape[1]
    x, h, log_p = np.repeat(first[None], N, 0), np.zeros((N, HIDDEN)), []
    for t, clone in enumerate(clones):
        if hasattr(clone.children["draw"], "told"):
            clone.children["draw"].told = iter([actions[t]])
        x, h = clone((x, h))
        actions[t] = x
        log_p.append((clone.log_p * x).sum(-1))
    return clones, np.stack(log_p), actions


def gradient(step, clones, reward):
    """Return the gradients by name for rewards (T, N)."""
    step.zero_grad_parameters()
    d_h = None
    for clone, r in zip(reversed(clones), reward[::-1], strict=True):
        clone.reinforce(r)
        d_h = clone.backward((None, d_h))
    return {name: g.copy() for name, g in step.grads.items()}


def rewards(table, actions):
    """Return the rewards of each step and sequence, (T, N)."""
    index = tuple(actions.argmax(-1))
    return np.stack([table[t][index] for t in range(STEPS)])


def exact(step, first, table):
    """Return the gradients of minus the expected sum of rewards, by autograd over all sequences."""
    p = {name: torch.tensor(a, requires_grad=True) for name, a in step.parameters.items()}
    expected = 0
    for actions in sequences().transpose(1, 0, 2):
        x, h, log_p = torch.tensor(first), torch.zeros(HIDDEN, dtype=torch.float64), 0
        for a in torch.tensor(actions):
            h = torch.tanh(p["cell.weight"] @ torch.cat([x, h]) + p["cell.bias"])
            z = p["readout.weight"] @ h + p["readout.bias"]
            log_p, x = log_p + (torch.log_softmax(z, 0) * a).sum(), a
        total = rewards(table, actions[:, None]).sum()
        expected = expected - torch.exp(log_p) * total
    expected.backward()
    return {name: a.grad.numpy() for name, a in p.items()}


# What each action is rewarded with, from the rewards (T, N) of the steps.
SIGNALS = {
    "whole": lambda r: np.repeat(r.sum(0)[None], STEPS, 0),
    "baseline": lambda r: np.repeat(r.sum(0)[None] - 0.7, STEPS, 0),
    "to go": lambda r: r[::-1].cumsum(0)[::-1],
}


def check_enumerated(seed=10):
    rng = np.random.default_rng(seed)
    step = Step(ACTIONS, Forced(), rng)
    first, table = world(rng)
    step.children["draw"].told = iter(())
    clones, log_p, actions = episodes(step, first, sequences())
    expected = exact(step, first, table)
    for signal in SIGNALS.values():
        reward = signal(rewards(table, actions)) * np.exp(log_p.sum(0))
        ours = gradient(step, clones, reward)
        if any(np.abs(ours[name] - g).max() > 1e-10 for name, g in expected.items()):
            return False
        clones, _, _ = episodes(step, first, sequences())
    return True


def sampled(signal, seed, n=20_000):
    """Return how many standard errors the mean of n sampled gradients is off, at most."""
    rng = np.random.default_rng(seed)
    step = Step(ACTIONS, reinforce.Categorical(rng=rng), rng)
    first, table = world(rng)
    parts, batches = [], 100
    for _ in range(batches):
        shape = STEPS, n // batches, ACTIONS
        clones, _, actions = episodes(step, first, np.zeros(shape))
        reward = SIGNALS[signal](rewards(table, actions)) / shape[1]
        parts.append(gradient(step, clones, reward))
    expected, worst = exact(step, first, table), 0
    for name, g in expected.items():
        found = np.stack([part[name] for part in parts])
        error = found.std(axis=0, ddof=1) / np.sqrt(batches)
        worst = max(worst, np.max(np.abs(found.mean(axis=0) - g) / error))
    return worst


# The criterion ----------------------------------------------------------------------------


def check_criterion():
    """Loss, gradients and what the module is told, with a baseline and a scale."""
    rng = np.random.default_rng(12)
    for columns in ((), (1,)):
        scores, target = rng.normal(size=(4, 4)), np.array([0, 1, 2, 3])
        target[:2] = scores[:2].argmax(-1)
        target[2:] = scores[2:].argmin(-1)
        draw = reinforce.Normal(1.0, rng=13)
        criterion = reinforce.RewardCriterion(draw, scale=2.5)
        means, baseline = rng.normal(size=(4, 4)), rng.normal(size=(4, *columns))
        noise = draw(means) - means
        loss = criterion((scores, baseline), target)
        d_scores, d_baseline = criterion.backward()
        reward = np.array([2.5, 2.5, 0, 0])
        flat = torch.tensor(baseline.reshape(4), requires_grad=True)
        (torch.nn.functional.mse_loss(flat, torch.tensor(reward)) / 2).backward()
        told = (reward - baseline.reshape(4)) / 4
        fine = (
            abs(loss + 1.25) < 1e-12
            and not d_scores.any()
            and d_baseline.shape == baseline.shape
            and np.allclose(d_baseline.reshape(4), flat.grad.numpy())
            and np.allclose(draw.backward(None), -told[:, None] * noise)
        )
        if not fine:
            return False
    return True


CHECKS = {
    **{f"score, {kind}": functools.partial(check_score, kind) for kind in KINDS},
    **{f"draws, {kind}": functools.partial(check_draws, kind) for kind in KINDS},
    "likeliest": check_likeliest,
    "shared": check_shared,
    "enumerated": check_enumerated,
    "criterion": check_criterion,
}


def check(name):
    with np.errstate(all="ignore"):
        return CHECKS[name]()
