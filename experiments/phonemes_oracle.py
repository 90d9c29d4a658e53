"""An oracle for the models of the chapter on the four shapes: torch's layers, weights copied.

Written apart from ``phonemes.py`` and from the chapter: nothing here calls their forward or
backward passes but ``compare``, which runs both sides.
"""

import numpy as np
import torch
from torch.nn.functional import cross_entropy, one_hot

from rnnlib import GRU, Linear, words

F64 = torch.float64


def layers_of(model):
    """Return a model's layers by the attribute's name."""
    return {k: v for k, v in vars(model).items() if hasattr(v, "grads")}


def peer_of(layer):
    """Return torch's layer of the same sizes; for attention, its three linear maps."""
    sizes = {name: p.shape for name, p in layer.parameters.items()}
    if isinstance(layer, GRU):
        options = {"bidirectional": layer.bidirectional, "dtype": F64}
        return torch.nn.GRU(layer.input_size, layer.hidden_size, **options)
    if isinstance(layer, Linear):
        rows, columns = sizes["weight"]
        return torch.nn.Linear(columns, rows, "bias" in sizes, dtype=F64)
    parts = {}
    for name in ("query", "memory", "score"):
        rows, columns = sizes[f"{name}.weight"]
        parts[name] = torch.nn.Linear(columns, rows, name == "query", dtype=F64)
    return torch.nn.ModuleDict(parts)


def peers_of(model):
    """Return torch's layers with the same names and weights."""
    peers = {}
    for name, layer in layers_of(model).items():
        peers[name] = peer_of(layer)
        weights = {n: torch.tensor(p) for n, p in layer.state_dict().items()}
        peers[name].load_state_dict(weights)
    return torch.nn.ModuleDict(peers)


def hot(codes, size):
    """Return codes as one-hot rows."""
    return one_hot(torch.as_tensor(codes).long(), size).to(F64)


def packed(rnn, x, lengths):
    """Return what a layer says of sequences of these lengths, and its last states."""
    pack = torch.nn.utils.rnn.pack_padded_sequence(
        x, torch.as_tensor(lengths), enforce_sorted=False
    )
    output, h_n = rnn(pack)
    return torch.nn.utils.rnn.pad_packed_sequence(output)[0], h_n


def masked_mean(z, targets, mask):
    """Return the mean cross-entropy of the steps that count."""
    goal = torch.as_tensor(targets).flatten()
    losses = cross_entropy(z.flatten(0, 1), goal, reduction="none")
    return losses[torch.as_tensor(mask).flatten()].mean()


def writer(p, languages, codes):
    """One to many: the first state is the language's."""
    x, targets, lengths = words.padded(codes)
    h_0 = p["first"](hot(languages, p["first"].in_features))[None]
    output, _ = p["rnn"](hot(x, p["rnn"].input_size), h_0)
    return masked_mean(p["top"](output), targets, words.mask(lengths))


def guesser(p, languages, codes):
    """Many to one: from each sequence's own last state."""
    x, _, lengths = words.padded(codes)
    _, h_n = packed(p["rnn"], hot(x, p["rnn"].input_size), lengths)
    return cross_entropy(p["top"](h_n[0]), torch.as_tensor(languages))


def restorer(p, x, targets, mask, lengths):
    """Many to many, aligned: from the states of both directions."""
    output, _ = packed(p["rnn"], hot(x, p["rnn"].input_size), lengths)
    return masked_mean(p["top"](output), targets, mask)


def speller(p, batch):
    """Many to many, lengths differ: encoder, decoder, and attention where there is one."""
    letters, lengths, given, targets, counts = batch
    memory, h_n = packed(p["encoder"], hot(letters, p["encoder"].input_size), lengths)
    first = torch.cat([h_n[0], h_n[1]], -1)[None]
    seen, _ = p["decoder"](hot(given, p["decoder"].input_size), first)
    if "attention" in p:
        a = p["attention"]
        both = a["query"](seen)[:, None] + a["memory"](memory)
        scores = a["score"](torch.tanh(both))[..., 0]  # (T, S, N)
        there = torch.as_tensor(words.mask(lengths))
        weights = scores.masked_fill(~there, -np.inf).softmax(dim=1)
        context = torch.einsum("tsn,snm->tnm", weights, memory)
        seen = torch.cat([seen, context], -1)
    return masked_mean(p["readout"](torch.tanh(p["mix"](seen))), targets, counts)


def shake(model, seed=0, spread=0.4):
    """Draw weights and biases at random, none of them zero, and return the model."""
    rng = np.random.default_rng(seed)
    for p in model.collect("parameters").values():
        p[...] = rng.normal(0.1, spread, p.shape)
    return model


def compare(model, torch_loss, *batch):
    """Return the largest difference to autograd of each gradient, by name, and of the loss."""
    peers = peers_of(model)
    loss = torch_loss(peers, *batch)
    loss.backward()
    mine, grads = float(model.loss(*batch)), model.collect("grads")
    theirs = {n: p.grad.numpy() for n, p in peers.named_parameters()}
    assert set(theirs) == set(grads)
    gaps = {n: np.abs(grads[n] - theirs[n]).max() for n in grads}
    return gaps | {"loss": abs(mine - loss.item())}


def own_numbers(model, batch, size=1e-5):
    """Return the largest difference of the way back to differences of the model's own loss."""
    model.loss(batch)
    grads = {n: g.copy() for n, g in model.collect("grads").items()}
    rng, off = np.random.default_rng(5), []
    for name, p in model.collect("parameters").items():
        way, values = rng.normal(size=p.shape), []
        for sign in (1, -1):
            p += sign * size * way
            values.append(float(model.loss(batch)))
            p -= sign * size * way
        slope = (values[0] - values[1]) / (2 * size)
        off.append(abs(slope - (grads[name] * way).sum()))
    return max(off)
