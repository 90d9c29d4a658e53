"""Small character models, and the same network in torch."""

import numpy as np
import torch

from rnnlib.character import CharacterModel
from rnnlib.text import Vocabulary

KINDS = ("RNN", "LSTM", "GRU")
SYMBOLS = "\n abcé🐋"
SUFFIXES = (".safetensors", ".npz")


def small(kind="GRU", layers=1, seed=0, symbols=SYMBOLS, **options):
    return CharacterModel(Vocabulary(symbols), kind, 5, layers, rng=seed, **options)


def random_codes(*shape, seed=1, V=7):
    return np.random.default_rng(seed).integers(0, V, shape)


def parts_of(state):
    return state if isinstance(state, tuple) else (state,)


def in_torch(model):
    """The same network of torch's own modules, with the same weights."""
    V, H = len(model.vocabulary), model.hidden
    network = torch.nn.ModuleDict(
        {
            "embedding": torch.nn.Embedding(V, H),
            "rnn": getattr(torch.nn, model.kind)(H, H, model.layers),
            "head": torch.nn.Linear(H, V),
        }
    ).double()
    weights = {name: torch.tensor(w) for name, w in model.state_dict().items()}
    network.load_state_dict(weights)
    return network


def torch_scores(network, codes, state=None):
    output, state = network["rnn"](network["embedding"](torch.tensor(codes)), state)
    return network["head"](output), state
