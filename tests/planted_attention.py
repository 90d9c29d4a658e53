"""Attention beside autograd, beam search and edit distance beside plain forms; for planted slips.

The oracle of attention computes one query of one sequence at a time, from the positions that exist.
All sizes are equal, so that shapes cannot give a slip away.
"""

import functools
import itertools

import numpy as np
import torch

from rnnlib import attention, beam, edit_distance
from rnnlib.attention import AdditiveAttention

# Additive attention -----------------------------------------------------------------------


def made(query_size, memory_size, attention_size, seed=0, **options):
    """A layer whose parameters, the bias too, are far from zero."""
    layer = AdditiveAttention(query_size, memory_size, attention_size, **options)
    rng = np.random.default_rng(seed)
    layer.load_state_dict({k: rng.normal(0.2, 0.8, p.shape) for k, p in layer.parameters.items()})
    return layer


def drawn(layer, T, N, S, seed=1, ragged=True):
    """Return query, memory, lengths or None, d_context; the padding is not a number."""
    rng = np.random.default_rng(seed)
    query = rng.standard_normal((T, N, layer.query_size))
    memory = rng.standard_normal((S, N, layer.memory_size))
    d_context = rng.standard_normal((T, N, layer.memory_size))
    lengths = rng.integers(1, S + 1, N) if ragged else None
    if ragged:
        memory[np.arange(S)[:, None] >= lengths] = np.nan
    return query, memory, lengths, d_context


def found(layer, query, memory, lengths, d_context):
    """Everything that the layer computes, by name."""
    for g in layer.grads.values():
        g[...] = 1  # To be replaced.
    context, weights = layer(query, memory, lengths)
    d_query, d_memory = layer.backward(d_context)
    result = {"context": context, "weights": weights, "d_query": d_query, "d_memory": d_memory}
    return result | {f"d {name}": g.copy() for name, g in layer.grads.items()}


def oracle(layer, query, memory, lengths, d_context):
    """The same by torch, in the words of the definition."""
    (T, N, _), S = query.shape, len(memory)
    p = {k: torch.tensor(a, requires_grad=True) for k, a in layer.parameters.items()}
    s, h = (torch.tensor(a, requires_grad=True) for a in (query, memory))
    weights, contexts = torch.zeros(T, N, S, dtype=torch.float64), []
    for t, n in itertools.product(range(T), range(N)):
        there = [h[j, n] for j in range(S if lengths is None else lengths[n])]
        q = p["query.weight"] @ s[t, n] + p["query.bias"]
        e = [p["score.weight"][0] @ torch.tanh(q + p["memory.weight"] @ x) for x in there]
        share = torch.exp(torch.stack(e)) / torch.exp(torch.stack(e)).sum()
        weights[t, n, : len(there)] = share.detach()
        contexts.append(sum(a * x for a, x in zip(share, there, strict=True)))
    context = torch.stack(contexts).reshape(d_context.shape)
    context.backward(torch.tensor(d_context))
    result = {"context": context, "weights": weights, "d_query": s.grad, "d_memory": h.grad}
    result |= {f"d {name}": a.grad for name, a in p.items()}
    return {name: a.detach().numpy() for name, a in result.items()}


def close(ours, theirs):
    """No NaN is close to anything."""
    return all(
        ours[k].shape == a.shape and bool((np.abs(ours[k] - a) < 1e-10).all())
        for k, a in theirs.items()
    )


def in_layer():
    layer, right = made(4, 4, 4), True
    with np.errstate(all="ignore"):
        for ragged, seed in itertools.product((True, False), range(3)):
            arrays = drawn(layer, 4, 4, 4, seed, ragged)
            right = right and close(found(layer, *arrays), oracle(layer, *arrays))
    return right


def padding():
    """Exactly zero where nothing stands."""
    layer = made(4, 4, 4)
    arrays = _, memory, lengths, _ = drawn(layer, 4, 4, 4)
    with np.errstate(all="ignore"):
        result = found(layer, *arrays)
    behind = np.arange(4)[:, None] >= lengths
    hidden = attention.unpadded(memory, ~behind)
    return (
        not result["weights"][:, behind.T].any()
        and not result["d_memory"][behind].any()
        and not hidden[behind].any()
        and np.array_equal(hidden[~behind], memory[~behind])
        and attention.unpadded(memory) is memory
    )


def projected():
    """Step by step on a memory that was projected once, and on chosen rows of it."""
    layer = made(4, 4, 4)
    query, memory, lengths, _ = drawn(layer, 4, 4, 4)
    context, weights = layer(query, memory, lengths)
    ready, right = layer.project(memory, lengths), True
    for t in range(4):
        one = layer(query[t : t + 1], ready)
        right = right and close(dict(enumerate(one)), {0: context[[t]], 1: weights[[t]]})
    rows = [2, 0, 2, 3]
    some = layer(query[:, rows], ready.rows(rows))
    right = right and close(dict(enumerate(some)), {0: context[:, rows], 1: weights[:, rows]})
    open_ended = layer.project(np.nan_to_num(memory)).rows(rows)
    return right and open_ended.mask is None and open_ended.memory.shape == memory.shape


def kept():
    """What backward needs is not what the caller holds; bounds are those of torch's Linear."""
    layer = made(4, 4, 4)
    query, memory, lengths, d_context = arrays = drawn(layer, 4, 4, 4)
    expected = found(layer, *arrays)
    _, weights = layer(query, memory, lengths)
    weights[...] = 7
    d_query, d_memory = layer.backward(d_context)
    right = close({"q": d_query, "m": d_memory}, {"q": expected["d_query"]})
    fresh = AdditiveAttention(4, 100, 400, rng=0).parameters
    sizes = {"query.weight": 4, "query.bias": 4, "memory.weight": 100, "score.weight": 400}
    largest = {name: np.abs(p).max() * sizes[name] ** 0.5 for name, p in fresh.items()}
    return right and all(0.9 < value <= 1 for value in largest.values())


# Beam search ------------------------------------------------------------------------------


class Automaton:
    """A small random network that writes: what comes next depends on all that came before."""

    def __init__(self, seed, V=3, sharp=1.5, impossible=False):
        rng = np.random.default_rng(seed)
        self.V, self.calls = V, 0
        self.inputs, self.recurrent = rng.normal(0, sharp, (V + 1, 4)), rng.normal(0, 1, (4, 4))
        self.readout = rng.normal(0, sharp, (4, V))
        self.never = rng.random((V + 1, V)) < 0.3 if impossible else np.zeros((V + 1, V), bool)
        self.start, self.end, self.state = V, 0, rng.normal(0, 1, (1, 4))
        self.never[:, self.end] = False

    def __call__(self, codes, state):
        self.calls += 1
        state = np.tanh(self.inputs[codes] + state @ self.recurrent)
        z = np.where(self.never[codes], -np.inf, state @ self.readout)
        return z - np.log(np.exp(z).sum(axis=1, keepdims=True)), state

    def next(self, codes):
        """The log probabilities of what follows these codes, from the very beginning."""
        state = self.state
        for code in (self.start, *codes):
            log_p, state = self(np.array([code]), state)
        return log_p[0]

    def search(self, *limits, **options):
        return beam.beam_search(self, self.state, self.start, self.end, *limits, **options)


def score(log_prob, drawn_symbols, alpha):
    """Equation 14 of Wu et al. (2016), as printed there."""
    return log_prob / ((5 + drawn_symbols) ** alpha / (5 + 1) ** alpha)


def everything(automaton, max_len, alpha=0.0):
    """Each sequence that can be, (score, codes, log_prob), best first."""
    open_now, over = [((), 0.0)], []
    for length in range(1, max_len + 1):
        grown = []
        for codes, log_prob in open_now:
            for code, more in enumerate(automaton.next(codes)):
                if more == -np.inf:
                    continue
                if code == automaton.end:
                    over.append((score(log_prob + more, length, alpha), codes, log_prob + more))
                else:
                    grown.append(((*codes, code), log_prob + more))
        open_now = grown
    over += [(score(log_prob, max_len, alpha), codes, log_prob) for codes, log_prob in open_now]
    return sorted(over, reverse=True)


def plain_search(automaton, width, max_len, alpha=0.0):
    """A beam search with lists that never stops early."""
    beam_now, over = [((), 0.0)], []
    for length in range(1, max_len + 1):
        grown = []
        for codes, log_prob in beam_now:
            for code, more in enumerate(automaton.next(codes)):
                if more > -np.inf:
                    grown.append((log_prob + more, (*codes, code)))
        best = sorted(grown, reverse=True)[:width]
        for log_prob, codes in best:
            if codes[-1] == automaton.end:
                over.append((score(log_prob, length, alpha), codes[:-1], log_prob))
        beam_now = [(codes, log_prob) for log_prob, codes in best if codes[-1] != automaton.end]
    over += [(score(log_prob, max_len, alpha), codes, log_prob) for codes, log_prob in beam_now]
    return sorted(over, reverse=True)[:width]


def alike(hypotheses, expected, max_len):
    """The same sequences in the same order, with the same numbers."""
    return len(hypotheses) == len(expected) and all(
        tuple(h.codes) == codes
        and abs(h.score - value) < 1e-9
        and abs(h.log_prob - log_prob) < 1e-9
        and h.ended == (len(codes) < max_len)
        for h, (value, codes, log_prob) in zip(hypotheses, expected, strict=True)
    )


def beam_check():
    right = True
    for seed, width, alpha in itertools.product(range(12), (1, 2, 3, 5), (0.0, 0.9, 3.0)):
        automaton = Automaton(seed, impossible=seed % 2)
        ours = automaton.search(width, 5, alpha)
        right = right and alike(ours, plain_search(automaton, width, 5, alpha), 5)
    return right


def maximum():
    right = True
    for seed, alpha in itertools.product(range(6), (0.0, 0.9)):
        automaton = Automaton(seed, impossible=seed % 2)
        ours = automaton.search(200, 4, alpha)
        right = right and alike(ours, everything(automaton, 4, alpha), 4)
        right = right and abs(sum(np.exp(h.log_prob) for h in ours) - 1) < 1e-12
    return right


def stop():
    """It asks no more than it needs."""
    calls = []

    def step(codes, state):
        calls.append(len(codes))
        return np.log(np.tile([0.6, 0.3, 0.1], (len(codes), 1))), state

    def count(width, max_len, alpha=0.0):
        calls.clear()
        beam.beam_search(step, np.zeros(1), 1, 0, width, max_len, alpha)
        return list(calls)

    return (
        count(1, 9) == [1]
        and count(2, 9) == [1, 1]  # .6; then .18 is ahead of all that is open.
        and count(2, 9, 50.0) == [1, *[1] * 8]  # Length pays so well that it goes on.
    )


def ties():
    """Of equal ones the earlier and the smaller come first."""

    def step(codes, state):
        return np.log(np.full((len(codes), 4), 0.25)), state

    try:
        got = [h.codes for h in beam.beam_search(step, np.zeros(1), 0, 3, 3, 2)]
    except ValueError:
        return False
    return got == [[0, 0], [0, 1], [0, 2]]


def states(seed=None):
    """A tuple of arrays, and a state whose rows lie along its second axis."""
    if seed is None:
        return all(map(states, range(6)))
    automaton = Automaton(seed)
    expected = automaton.search(3, 5)

    def in_tuple(codes, state):
        log_p, after = automaton(codes, np.concatenate(state, axis=1))
        return log_p, (after[:, :1], after[:, 1:])

    def second_axis(codes, state):
        log_p, after = automaton(codes, state[0])
        return log_p, after[None]

    first, rest = automaton.state, (automaton.start, automaton.end, 3, 5)
    try:
        pair = beam.beam_search(in_tuple, (first[:, :1], first[:, 1:]), *rest)
    except (IndexError, ValueError):
        return False
    other = beam.beam_search(second_axis, first[None], *rest, select=lambda s, rows: s[:, rows])
    return pair == expected and other == expected


# Edit distance ----------------------------------------------------------------------------


def by_definition(a, b):
    """Return Levenshtein's distance by its recursion on what is left of both."""

    @functools.cache
    def left(i, j):
        if i == len(a) or j == len(b):
            return len(a) - i + len(b) - j
        changed = left(i + 1, j + 1) + (a[i] != b[j])
        return min(changed, 1 + left(i + 1, j), 1 + left(i, j + 1))

    return left(0, 0)


def distance():
    """Random strings, and strings of which one is the other one turned round."""
    rng = np.random.default_rng(5)
    words = ["".join(rng.choice(list("ab"), rng.integers(0, 10))) for _ in range(60)]
    pairs = list(zip(words, [*words[1:], words[0]], strict=True))
    pairs += [(a, a[2:] + a[:2]) for a in words]
    right = all(edit_distance.edit_distance(a, b) == by_definition(a, b) for a, b in pairs)
    pairs = pairs[:59]
    ours = edit_distance.error_rate(*zip(*pairs, strict=True))
    expected = sum(by_definition(a, b) for a, b in pairs) / sum(len(b) for _, b in pairs)
    return right and abs(ours - expected) < 1e-12


CHECKS = {
    "attention": in_layer,
    "padding": padding,
    "projected": projected,
    "kept": kept,
    "beam": beam_check,
    "maximum": maximum,
    "stop": stop,
    "ties": ties,
    "states": states,
    "distance": distance,
}


def check(name):
    return CHECKS[name]()
