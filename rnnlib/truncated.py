"""Truncated backpropagation through time: by steps back from each loss, and by windows.

With G_s the gradient that arrives at the state of step s, and J_s the Jacobian of step s for the
state before, the whole way back is G_s = dy_s + J_{s+1}ᵀ G_{s+1}.  Here it is solved by rounds:
begin with nothing from later steps, and let every step hand its share to the step before, all steps
at once.  A round is one step back of ``rnnlib.cells`` on all rows.  In round k exactly those losses
have arrived that lie less than k steps later, and T rounds are the whole gradient.

Derived in the chapter "Truncated backpropagation through time".
"""

from typing import NamedTuple

import numpy as np
from array_api_compat import array_namespace, device

from rnnlib import _checks
from rnnlib.layers.lengths import Lengths
from rnnlib.layers.networks import GRU, LSTM, RNN
from rnnlib.sequences import (
    rows_before,
)


def bptt(layer, input, d_output, tau, hx=None, d_state=None, lengths=None):
    """Like ``layer.backward``, but each loss goes back through tau steps only.

    The loss of step t reaches the steps t, t-1, ..., t-tau+1: tau copies of the weights, and the
    inputs and start states that stand there.  tau=1 is the step itself, and from tau=T on the
    gradient is the full one.  In a stack of layers tau counts the time between loss and step,
    whichever layers the way goes through.

    layer: an RNN, LSTM or GRU of one direction; without dropout, or after ``eval()``.
    input, hx, lengths: what the layer was called with.  The steps are run once more, so no call has
        to go before, and what the layer keeps for its own ``backward`` stays.
    d_output: the gradient for ``output``, in its shape: row t is that of the loss of step t.
    d_state: the gradient for h_n in its shape, for an LSTM those for (h_n, c_n); None for zero.  It
        counts as part of the loss of each sequence's last step.

    Returns the gradient of the input and of h_0 (for an LSTM of (h_0, c_0)), in their shapes, and
    fills ``layer.grads``.  tau rounds take about tau times the work of ``layer.backward``.

    Raises TypeError or ValueError that names the argument.
    """
    tau = _checks.positive_int("tau", tau)
    _check_layer(layer)
    x, batched = layer._time_first(input)
    T, N, _ = x.shape
    lengths = Lengths(lengths, T, N)
    starts, ends = (
        [lengths.sort(s) for s in layer._given_states(argument, names, given, N, batched)]
        for argument, names, given in (("hx", "{}_0", hx), ("d_state", "d_{}_n", d_state))
    )
    dy = _checks.real_array("d_output", d_output, layer.dtype)
    expected = layer._layout(np.broadcast_to(0.0, (T, N, starts[0].shape[-1])), batched).shape
    _checks.shape("d_output", dy, expected, "(the output's)")
    dy = lengths.sort(layer._layout(dy, batched, inverse=True))

    running = np.arange(N) < np.asarray(lengths.active)[:, None]
    suffixes = [f"_l{k}" for k in range(layer.num_layers)]
    passes, below = [], lengths.sort(x)[running]
    for k, suffix in enumerate(suffixes):
        sequence = layer._equations(suffix)
        passes.append(Pass(sequence, below, tuple(s[k] for s in starts), lengths.active))
        below = passes[-1].y
    d_ends = [tuple(d[k] for d in ends) for k in range(len(suffixes))]
    d_starts, gradients = truncated(passes, dy[running], d_ends, tau)

    layer._fill(
        {
            name + suffix: compute()
            for suffix, found in zip(suffixes, gradients, strict=True)
            for name, compute in found.items()
            if name + suffix in layer.grads
        }
    )
    dx = np.zeros_like(x)
    dx[running] = gradients[0]["x"]()
    d_starts = map(np.stack, zip(*d_starts, strict=True))
    d_starts = layer._returned_states(d_starts, lengths, batched)
    return layer._layout(lengths.unsort(dx), batched), d_starts


class Pass:
    """A way forward over rows, and one step back from all of them at once.

    sequence: a ``rnnlib.sequences.Sequence``; x: (M, I), state and counts as for its ``forward``.
    y: (M, R), the rows of outputs; after: the state at each sequence's end.
    """

    def __init__(self, sequence, x, state, counts):
        self.sequence, self.x, self.counts = sequence, x, counts
        self.y, self.after, self.kept = sequence.forward(x, state, counts)
        self.h_prev = rows_before(array_namespace(x), state[0], self.y, counts, False)

    def one_step_back(self, gradient):
        """Take the gradients of the states after all steps one step back.

        gradient: a tuple with M rows for each part of the state.
        Returns the gradients of the states before, a like tuple, and a dict of functions that
        compute those of x and of the weights.
        """
        shares, before = self.sequence.step_back(self.kept, self.y, self.h_prev, *gradient)
        return tuple(before), self.sequence.products(shares, self.x, self.kept, self.h_prev)

    def sent(self, before, d_end):
        """Return what the steps receive from the steps behind them, when those send ``before``.

        Behind a sequence's last step stands d_end, the gradient of its end: (N, ·) for each part.
        """
        xp = array_namespace(self.x)
        return tuple(
            rows_before(xp, end, part, self.counts, True)
            for end, part in zip(d_end, before, strict=True)
        )


def truncated(passes, dy, d_ends, tau):
    """Return the gradients of losses that each go back through tau steps; for any array.

    passes: the layers' ways forward, lowest first, each on the outputs of the one below.
    dy: (M, R), the gradient of the highest outputs; d_ends: for each layer those of its end.

    Returns for each layer the gradient of its start, and a dict of functions that compute those of
    its x and its weights; of x this is the truncated gradient for the lowest layer alone.
    """
    xp = array_namespace(dy)
    d_before = [
        tuple(xp.zeros((len(dy), d.shape[1]), dtype=dy.dtype, device=device(dy)) for d in d_end)
        for d_end in d_ends
    ]
    gradients = [None] * len(passes)
    for _ in range(min(tau, len(passes[0].counts))):
        for k in reversed(range(len(passes))):
            from_loss = dy if k + 1 == len(passes) else gradients[k + 1]["x"]()
            dh, *rest = passes[k].sent(d_before[k], d_ends[k])
            d_before[k], gradients[k] = passes[k].one_step_back((from_loss + dh, *rest))
    return [
        tuple(part[: len(d), ...] for part, d in zip(before, d_end, strict=True))
        for before, d_end in zip(d_before, d_ends, strict=True)
    ], gradients


class Window(NamedTuple):
    """Steps start to stop - 1 are run, and the losses from step ``first`` on are new.

    The next window starts ``carry`` steps after this one, with the state that stands there.
    """

    start: int
    first: int
    stop: int
    carry: int


def windows(steps, k1, k2=None):
    """Walk along a sequence: every k1 steps a window of at most k2 steps [Williams and Peng 1990].

    steps: how many steps the sequence has, numbered from 0.
    k1: new losses in each window, and steps between two updates; in the last window what is left.
    k2: steps in a window, at least k1; k1 when None.

    Yields a ``Window`` each time.  Each loss is new once.  The last loss of a window goes back
    through k2 steps, the first new one through k2 - k1 + 1.  Before the first window the state is
    the sequence's start; for k1 = k2 ``rnnlib.text.batches`` does the same for a text.

    Raises TypeError or ValueError, at the call, that names the argument.
    """
    steps, k1 = _checks.positive_int("steps", steps), _checks.positive_int("k1", k1)
    k2 = k1 if k2 is None else _checks.positive_int("k2", k2)
    if k2 < k1:
        raise ValueError(f"k2: expected at least k1={k1}, since windows leave no gap, got {k2}")

    def start(first):
        return max(0, first + k1 - k2)

    return (
        Window(start(t), t, min(t + k1, steps), min(start(t + k1), steps) - start(t))
        for t in range(0, steps, k1)
    )


def _check_layer(layer):
    if not isinstance(layer, (RNN, LSTM, GRU)):
        raise TypeError(f"layer: expected an RNN, LSTM or GRU of rnnlib, got {layer!r}")
    if layer.bidirectional:
        raise ValueError(
            "layer: expected one direction, got bidirectional=True; there a loss also hears what "
            "comes later, so it is not known how far back it goes"
        )
    if layer.training and layer.dropout and layer.num_layers > 1:
        raise ValueError(
            f"layer: expected no dropout, since the steps are run once more, got dropout="
            f"{layer.dropout} while training"
        )
