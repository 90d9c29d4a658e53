"""LSTM, FastLSTM and GRU, one step a call: thin faces of ``rnnlib.cells``."""

import numpy as np
from array_api_compat import array_namespace

from rnnlib import _checks
from rnnlib.recurrent.arrays import check_input
from rnnlib.recurrent.module import Module, uniform
from rnnlib.recurrent.recurrence import FromStart
from rnnlib.sequences import GRUSequence, LSTMSequence, ResetBeforeGRUSequence


class _Gated(FromStart):
    """What the three share.

    x_t: (N, input_size); y_t: (N, hidden_size).  rho and the rest: see ``AbstractRecurrent``;
    start: see ``FromStart``.

    Parameters: weight_ih (gates·H, I), weight_hh (gates·H, H), bias_ih and bias_hh (gates·H,),
    packed as in torch's cells and drawn from U(-1/√H, 1/√H) with rng.
    """

    gates, parts, peephole = 4, 2, False

    def __init__(
        self, input_size, hidden_size, rho=99999, *, start=None, dtype=np.float64, rng=None
    ):
        self.input_size = _checks.positive_int("input_size", input_size)
        self.hidden_size = H = _checks.positive_int("hidden_size", hidden_size)
        self.sizes, self.start = ((H,),) * self.parts, start
        rows = self.gates * H
        shapes = {"weight_ih": (rows, input_size), "weight_hh": (rows, H)}
        shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        if self.peephole:
            shapes["weight_peephole"] = (3 * H,)
        super().__init__(uniform(shapes, H**-0.5, dtype, rng), rho=rho, bound=H**-0.5)

    def _new_step(self):
        return _GatedStep(self)

    def _visible(self, state):
        return state[0] if self.parts > 1 else state

    def _in_state(self, d_output):
        return [d_output, None] if self.parts > 1 else d_output

    def describe(self):
        return f"{type(self).__name__}({self.input_size} -> {self.hidden_size})"


class LSTM(_Gated):
    """The LSTM with peepholes, from the cell to its gates, as in Lua's package.

    One parameter more: weight_peephole (3H,), packed i, f, o.

    The state is a pair (h, c); ``start`` and ``grad_state`` are lists of both.
    """

    peephole = True

    def _sequence(self):
        return LSTMSequence(self.own)


class FastLSTM(_Gated):
    """The LSTM without peepholes, equal to torch's ``LSTMCell``: one product for all gates.

    Lua's class packs the gates in another order, i, g, f, o.  The state is a pair (h, c); ``start``
    and ``grad_state`` are lists of both.
    """

    def _sequence(self):
        return LSTMSequence(self.own)


class GRU(_Gated):
    """The GRU that resets before the recurrent product, as in Lua's package.

    reset_after: True for torch's and cuDNN's, equal to ``torch.nn.GRUCell``; see ``rnnlib.GRU``.
    """

    gates, parts = 3, 1

    def __init__(
        self,
        input_size,
        hidden_size,
        rho=99999,
        *,
        reset_after=False,
        start=None,
        dtype=np.float64,
        rng=None,
    ):
        self.reset_after = _checks.flag("reset_after", reset_after)
        super().__init__(input_size, hidden_size, rho, start=start, dtype=dtype, rng=rng)

    def _sequence(self):
        return (GRUSequence if self.reset_after else ResetBeforeGRUSequence)(self.own)


class _GatedStep(Module):
    """One step: a table [x, state before] to the state after; the weights are the owner's."""

    def __init__(self, owner):
        super().__init__()
        self.owner = owner
        self.own, self.own_grads = owner.own, owner.own_grads

    def _forward(self, pair):
        x, before = pair
        check_input("input", x, 2, "(N, input_size)", self.own["weight_ih"])
        _checks.shape("input", x, (x.shape[0], self.owner.input_size), "(N, input_size)")
        before = tuple(before) if self.owner.parts > 1 else (before,)
        sequence = self.owner._sequence()
        y, after, kept = sequence.forward(x, before, [x.shape[0]])
        state = list(after) if len(after) > 1 else after[0]
        return state, (sequence, x, before, y, kept)

    def _backward(self, d_state, cache):
        sequence, x, before, y, kept = cache
        d_y, *d_rest = d_state if self.owner.parts > 1 else [d_state]
        counts, nothing = [x.shape[0]], array_namespace(d_y).zeros_like(d_y)
        d_before, grads = sequence.backward(nothing, (d_y, *d_rest), x, before, y, kept, counts)
        d_x = grads.pop("x")
        self._add(**grads)
        return d_x, list(d_before) if len(d_before) > 1 else d_before[0]
