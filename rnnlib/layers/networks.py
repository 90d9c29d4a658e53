"""RNN, LSTM and GRU over whole sequences, with the constructors of torch.nn.

What they share in use stands in ``recurrent.Recurrent``: calling them, ``backward``, the states.
"""

import numpy as np

from rnnlib import _checks, cells
from rnnlib.layers import column_cells
from rnnlib.layers.plain import Plain
from rnnlib.layers.recurrent import Recurrent
from rnnlib.sequences import GRUSequence, LSTMSequence, ResetBeforeGRUSequence, RNNSequence


class RNN(Recurrent):
    """The Elman network [Elman 1990], like ``torch.nn.RNN``: h_t = f(a_t + W_hh h_{t-1} + b_hh).

    nonlinearity: f, one of "tanh", "relu", "sigmoid".  The other arguments are those of
    ``Recurrent``.  Derived in the chapter "A recurrent network and backpropagation through time".
    """

    gates = 1

    def __init__(
        self,
        input_size,
        hidden_size,
        num_layers=1,
        nonlinearity="tanh",
        bias=True,
        batch_first=False,
        dropout=0.0,
        bidirectional=False,
        *,
        checkpoint=None,
        dtype=np.float64,
        rng=None,
    ):
        self.nonlinearity = _checks.one_of("nonlinearity", nonlinearity, cells.NONLINEARITIES)
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            checkpoint=checkpoint,
            dtype=dtype,
            rng=rng,
        )

    def _sequence(self, weights):
        return RNNSequence(weights, self.nonlinearity)

    def _steps(self, weights, memory):
        return column_cells.ColumnsRNN(weights, memory, self.nonlinearity)


class LSTM(Recurrent):
    """Long short-term memory, like ``torch.nn.LSTM``; gates packed i, f, g, o.

    proj_size: when positive, h is projected to this size by weight_hr_l0 [Sak et al. 2014].
    peephole: the gates see the cell [Gers and Schmidhuber 2000], through weight_peephole_l0 of
        shape (3H,), packed i, f, o.  torch has no such option.
    These two forms run the plain equations, which take more time and memory.
    The arguments are those of ``Recurrent``.  Derived in the chapter "The LSTM".
    """

    gates, states = 4, ("h", "c")

    def _sequence(self, weights):
        return LSTMSequence(weights)

    def _steps(self, weights, memory):
        if self.peephole or self.proj_size:
            return Plain(self._sequence(weights))
        return column_cells.ColumnsLSTM(weights, memory)


class GRU(Recurrent):
    """The gated recurrent unit, like ``torch.nn.GRU``; gates packed r, z, n.

    reset_after: True for the form of torch and cuDNN, n = tanh(a_n + r∘(W_hn h + b_hn)); False for
        that of Cho et al. 2014, n = tanh(a_n + W_hn (r∘h) + b_hn), which runs the plain equations
        and takes more time and memory.
    The other arguments are those of ``Recurrent``.  Derived in the chapter "The GRU, twice".
    """

    gates = 3

    def __init__(
        self,
        input_size,
        hidden_size,
        num_layers=1,
        bias=True,
        batch_first=False,
        dropout=0.0,
        bidirectional=False,
        *,
        reset_after=True,
        checkpoint=None,
        dtype=np.float64,
        rng=None,
    ):
        self.reset_after = _checks.flag("reset_after", reset_after)
        super().__init__(
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            checkpoint=checkpoint,
            dtype=dtype,
            rng=rng,
        )

    def _sequence(self, weights):
        return GRUSequence(weights) if self.reset_after else ResetBeforeGRUSequence(weights)

    def _steps(self, weights, memory):
        if self.reset_after:
            return column_cells.ColumnsGRU(weights, memory)
        return Plain(self._sequence(weights))
