"""RNNCell, LSTMCell and GRUCell: one step at a time, with the constructors of torch.nn."""

import numpy as np

from rnnlib import _checks, cells
from rnnlib.layers.base import Layer, checked_states
from rnnlib.layers.grads import Grads
from rnnlib.layers.plain import Plain
from rnnlib.sequences import GRUSequence, LSTMSequence, ResetBeforeGRUSequence, RNNSequence


class Cell(Layer):
    """One time step of a recurrent network, like torch's cells.

    Every call while training is remembered.  ``backward`` goes back through the calls in reverse
    order, one at a time, and ``grads`` holds the sum over the steps gone back so far: call the cell
    T times and ``backward`` T times for backpropagation through time.  The next call after a
    ``backward`` starts anew.  In ``eval()`` nothing is remembered.

    Parameters: weight_ih (gates·H, I), weight_hh (gates·H, H), bias_ih and bias_hh (gates·H,),
    packed as in torch and drawn from U(-1/√H, 1/√H) with rng (a seed or a NumPy Generator).

    A copy or a pickle of a cell remembers no calls.

    Raises ValueError or TypeError that names the argument, and RuntimeError for backward with no
    call left to go back through.
    """

    states = ("h",)

    def __init__(self, input_size, hidden_size, bias=True, *, dtype=np.float64, rng=None):
        self.input_size = _checks.positive_int("input_size", input_size)
        self.hidden_size = _checks.positive_int("hidden_size", hidden_size)
        self.bias = _checks.flag("bias", bias)
        rows = self.gates * self.hidden_size
        shapes = {"weight_ih": (rows, self.input_size), "weight_hh": (rows, self.hidden_size)}
        if self.bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        super().__init__(shapes, self.hidden_size**-0.5, dtype, rng)
        self.forget()

    def forget(self):
        """Drop what was remembered for ``backward``."""
        super().forget()
        self._calls, self._going_back = [], False

    def __getstate__(self):
        return super().__getstate__() | {"_calls": [], "_going_back": False}

    def __call__(self, input, hx=None):
        """Take one step.

        input: (N, I), or (I,) for one example; hx: the state before, zeros when None: h of shape
        (N, H) or (H,), for an LSTMCell (h, c).
        Returns the state after, in the shape of hx.
        """
        x = _checks.real_array("input", input, self.dtype)
        if x.ndim not in (1, 2):
            raise ValueError(f"input: expected 1 axis (one example) or 2 (a batch), got {x.shape}")
        _checks.shape("input", x, (*x.shape[:-1], self.input_size), "(input_size last)")
        before = self._given("hx", hx, x.shape[:-1])
        # A copy: in a loop over time a caller may well use one buffer for the inputs.
        rows = x.reshape(1, -1, self.input_size).copy()
        if self._going_back and self.training:
            self.forget()
        steps = self._steps()
        after, cache = steps.forward(rows, before, [rows.shape[1]])
        if self.training:
            self._calls.append((steps, rows, cache, x.shape[:-1]))
        return self._returned(after, x.shape[:-1])

    def backward(self, d_state):
        """Go back through the last call that was not gone back through.

        d_state: the whole gradient that reaches the state which that call returned, in its shape;
            for an LSTMCell (d_h, d_c).
        Returns the gradients of input and of the state before, and adds to ``grads``.
        """
        if not self._calls:
            raise RuntimeError("backward: expected a forward call before it, but there was none")
        if d_state is None:
            raise TypeError("d_state: expected the gradient of the state, got None")
        steps, rows, cache, lead = self._calls[-1]
        d_state = self._given("d_state", d_state, lead)
        no_more = np.zeros((1, *d_state[0].shape), self.dtype)
        dx = np.empty_like(rows)
        if not self._going_back:
            self._grads = Grads(self.grads)
        self._going_back = True
        before = steps.backward(no_more, d_state, rows, cache, [rows.shape[1]], dx, self._grads)
        self._calls.pop()
        return dx.reshape(*lead, self.input_size), self._returned(before, lead)

    def _given(self, argument, states, lead):
        shapes = [(*lead, self.hidden_size)] * len(self.states)
        states = checked_states(argument, self.states, states, shapes, self.dtype)
        return tuple(s.reshape(-1, self.hidden_size) for s in states)

    def _returned(self, states, lead):
        states = tuple(s.reshape(*lead, self.hidden_size) for s in states)
        return states if len(states) > 1 else states[0]


class RNNCell(Cell):
    """One step of the Elman network, like ``torch.nn.RNNCell``.  See ``Cell``.

    nonlinearity: "tanh", "relu" or "sigmoid".
    """

    gates = 1

    def __init__(
        self,
        input_size,
        hidden_size,
        bias=True,
        nonlinearity="tanh",
        *,
        dtype=np.float64,
        rng=None,
    ):
        self.nonlinearity = _checks.one_of("nonlinearity", nonlinearity, cells.NONLINEARITIES)
        super().__init__(input_size, hidden_size, bias, dtype=dtype, rng=rng)

    def _steps(self):
        return Plain(RNNSequence(self.parameters, self.nonlinearity))


class LSTMCell(Cell):
    """One step of the LSTM, like ``torch.nn.LSTMCell``.  See ``Cell``."""

    gates, states = 4, ("h", "c")

    def _steps(self):
        return Plain(LSTMSequence(self.parameters))


class GRUCell(Cell):
    """One step of the GRU, like ``torch.nn.GRUCell``.  See ``Cell``.

    reset_after: which of the two forms, as in ``GRU``.
    """

    gates = 3

    def __init__(
        self,
        input_size,
        hidden_size,
        bias=True,
        *,
        reset_after=True,
        dtype=np.float64,
        rng=None,
    ):
        self.reset_after = _checks.flag("reset_after", reset_after)
        super().__init__(input_size, hidden_size, bias, dtype=dtype, rng=rng)

    def _steps(self):
        form = GRUSequence if self.reset_after else ResetBeforeGRUSequence
        return Plain(form(self.parameters))
