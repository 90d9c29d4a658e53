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
========== ============================================= =======================================
"""

from functools import partial

import torch

from rnnlib import sequences
from rnnlib.torch import inplace
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
RUNGS = ("loop", "products", "inplace")


def make(form, rung, weights):
    """Return the ``Sequence`` that runs this form, a key of ``PRODUCTS``, on this rung."""
    if rung == "inplace":
        return IN_PLACE[form](weights)
    plain = PRODUCTS[form](weights)
    return Loop(plain) if rung == "loop" else plain


def choose(rung, form, weights):
    """Return the rung to run on: the one given, or for "auto" the fastest that is valid.

    Raises ValueError for a rung that does not exist, and for one that is not valid here.
    """
    if rung not in ("auto", *RUNGS):
        raise ValueError(f"rung: expected auto, {', '.join(RUNGS)}, got {rung!r}")
    why_not = _not_in_place(form, weights)
    if rung == "inplace" and why_not:
        raise ValueError(f"rung: inplace is not valid {why_not}; expected products or loop")
    if rung == "auto":
        return "products" if why_not else "inplace"
    return rung


def _not_in_place(form, weights):
    if form not in IN_PLACE:
        return "for a GRU that resets before the product"
    if "weight_hr" in weights:
        return "for an LSTM with a projection"
    if "weight_peephole" in weights:
        return "for an LSTM with peepholes"
    if torch.compiler.is_compiling():
        return "under torch.compile"
    return "under torch.func" if transformed() else None


def transformed():
    """Return whether a transformation of ``torch.func`` is under way."""
    return bool(torch._C._functorch.get_interpreter_stack())
