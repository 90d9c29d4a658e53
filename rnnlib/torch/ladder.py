"""The rungs of the ladder, from the plainest to the fastest, and which one runs.

========== ============================================= =======================================
rung       what it does                                  where it is valid
========== ============================================= =======================================
loop       every product at every step                   everywhere
products   one product for all inputs before the loop,   everywhere; torch can differentiate and
           and one for each weight's gradient after it   transform it
inplace    nothing is allocated inside the loop; gates   RNN, LSTM without projection, GRU with
           turn into factors of the way back in place    reset after; not under torch.func or
                                                         torch.compile (there products)
fused      all gates of a step in one Triton kernel      as inplace, with Triton, on a graphics
                                                         card; LSTM and GRU
graph      the kernels of all steps recorded once, and   as inplace, on a graphics card, all
           started by one call from then on              sequences equally long
onchip     one Triton kernel for all steps, with the     as graph, with Triton, where the recurrent
           recurrent weights on chip                     weights fit on a multiprocessor
========== ============================================= =======================================

The order of the last three goes by how often a kernel is started: several times a step, once a step
and product, a few times a sequence, once.
"""

from functools import lru_cache, partial
from importlib.util import find_spec
from itertools import count

import torch

from rnnlib import sequences
from rnnlib.torch import inplace
from rnnlib.torch.graph import RECORDINGS, Graphed
from rnnlib.torch.loop import Loop

PRODUCTS = {
    "RNN_TANH": sequences.RNNSequence,
    "RNN_RELU": partial(sequences.RNNSequence, nonlinearity="relu"),
    "LSTM": sequences.LSTMSequence,
    "GRU": sequences.GRUSequence,
    "GRU_RESET_BEFORE": sequences.ResetBeforeGRUSequence,
}
IN_PLACE = {
    "RNN_TANH": inplace.InPlaceRNN,
    "RNN_RELU": partial(inplace.InPlaceRNN, nonlinearity="relu"),
    "LSTM": inplace.InPlaceLSTM,
    "GRU": inplace.InPlaceGRU,
}
RUNGS = ("loop", "products", "inplace", "fused", "graph", "onchip")
# What "auto" tries, by the kind of device.
FASTEST_FIRST = {"cuda": RUNGS[:0:-1]}
ELSEWHERE = ("inplace", "products")


@lru_cache(maxsize=1)
def fused():
    """Return by form the sequences with fused gates."""
    from rnnlib.torch.kernels import gates

    return {"LSTM": gates.FusedLSTM, "GRU": gates.FusedGRU}


@lru_cache(maxsize=1)
def on_chip():
    """Return by form the sequences that keep their weights on chip."""
    from rnnlib.torch.kernels import gru, lstm, rnn

    return {
        "RNN_TANH": rnn.OnChipRNN,
        "RNN_RELU": partial(rnn.OnChipRNN, nonlinearity="relu"),
        "LSTM": lstm.OnChipLSTM,
        "GRU": gru.OnChipGRU,
    }


def make(form, rung, weights):
    """Return the ``Sequence`` that runs this form, a key of ``PRODUCTS``, on this rung."""
    if rung == "loop":
        return Loop(PRODUCTS[form](weights))
    if rung == "graph":
        w = weights["weight_hh"]
        below = IN_PLACE if _not_fused(form, w.dtype, w.device) else fused()
        return Graphed(below[form], weights)
    rooms = {"products": lambda: PRODUCTS, "inplace": lambda: IN_PLACE}
    rooms |= {"fused": fused, "onchip": on_chip}
    return rooms[rung]()[form](weights)


def choose(rung, form, weights, dtype, device, counts):
    """Return the rung to run on: the one given, or for "auto" the fastest that is valid.

    dtype: in which the numbers will be; counts: as in ``sequences.Sequence``.

    Raises ValueError for a rung that does not exist, and for one that is not valid here.
    """
    if rung not in ("auto", *RUNGS):
        raise ValueError(f"rung: expected auto, {', '.join(RUNGS)}, got {rung!r}")
    case = form, weights, dtype, device, counts
    if rung == "auto":
        order = FASTEST_FIRST.get(device.type, ELSEWHERE)
        return next(r for r in order if not _why_not(r, *case) and _worth_it(r, *case))
    if why_not := _why_not(rung, *case):
        raise ValueError(
            f"rung: {rung} is not valid here ({why_not}); expected auto, {', '.join(valid(*case))}"
        )
    return rung


def valid(form, weights, dtype, device, counts):
    """Return the rungs that are valid here; arguments as for ``choose``."""
    return [r for r in RUNGS if not _why_not(r, form, weights, dtype, device, counts)]


def _worth_it(rung, form, weights, dtype, device, counts):
    # A shape that comes once is not worth a recording.
    if rung != "graph":
        return True
    sizes = tuple(w.shape for w in weights.values())
    return next(_calls(form, sizes, dtype, device, tuple(counts))) > 0


@lru_cache(maxsize=RECORDINGS)
def _calls(*_):
    """Return the counter of the calls with these arguments."""
    return count()


def _why_not(rung, form, weights, dtype, device, counts):
    """Return why a rung is not valid, or None where it is."""
    if rung in ("loop", "products"):
        return None
    if why_not := _not_in_place(form, weights):
        return why_not
    if rung == "inplace":
        return None
    if not any(counts):
        return "the batch is empty"
    if rung == "fused":
        return _not_fused(form, dtype, device)
    if any(n != counts[0] for n in counts):
        return "the sequences have several lengths"
    return _not_graph(device) if rung == "graph" else _not_on_chip(form, weights, dtype, device)


def _not_in_place(form, weights):
    if form not in IN_PLACE:
        return "the GRU resets before the product"
    if "weight_hr" in weights:
        return "the LSTM has a projection"
    if "weight_peephole" in weights:
        return "the LSTM has peepholes"
    if torch.compiler.is_compiling():
        return "under torch.compile"
    return "under torch.func" if transformed() else None


def _not_fused(form, dtype, device):
    if form not in ("LSTM", "GRU"):
        return "an RNN has no gates to fuse"
    if not _triton():
        return "Triton is not installed"
    from rnnlib.torch.kernels.common import no_kernel

    return no_kernel(dtype, device)


def _not_graph(device):
    if device.type != "cuda":
        return f"CUDA graphs need a graphics card, and this is {device}"
    recording = torch.cuda.is_current_stream_capturing()
    return "another graph is being recorded" if recording else None


def _not_on_chip(form, weights, dtype, device):
    if not _triton():
        return "Triton is not installed"
    from rnnlib.torch.kernels.common import unfit

    return unfit(form.partition("_")[0], weights["weight_hh"].shape[1], dtype, device)


@lru_cache(maxsize=1)
def _triton():
    return find_spec("triton") is not None


def transformed():
    """Return whether a transformation of ``torch.func`` is under way."""
    return bool(torch._C._functorch.get_interpreter_stack())
