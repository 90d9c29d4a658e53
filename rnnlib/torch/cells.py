"""RNNCell, LSTMCell and GRUCell in the place of torch.nn's."""

import torch

from rnnlib.torch.module import OnLadder, ResetOption, check_alike


class Cell(OnLadder, torch.nn.RNNCellBase):
    """One time step: torch's parameters and arguments around the book's equations."""

    def forward(self, input, hx=None):
        """Take one step; arguments, results and the types of errors are torch.nn's.

        input: (N, I), or (I,) for one example; hx: the state before, (N, H) or (H,), zeros when
        None; for an LSTMCell (h, c).
        Returns the state after, in the shape of hx.

        Raises ValueError for a wrong number of axes and RuntimeError for a wrong size or type.
        """
        states = () if hx is None else self._parts(hx)
        for name, tensor in zip(("input", *self.states), (input, *states), strict=False):
            if tensor.dim() not in (1, 2):
                raise ValueError(f"{name}: expected 1 or 2 axes, got {tensor.dim()}")
        one = input.dim() == 1
        x = input.unsqueeze(0) if one else input
        if x.shape[1] != self.input_size:
            raise RuntimeError(f"input: expected input_size={self.input_size}, got {x.shape[1]}")
        size = (x.shape[0], self.hidden_size)
        if hx is None:
            states = [x.new_zeros(size) for _ in self.states]
        elif one:
            states = [state.unsqueeze(0) for state in states]
        for name, state in zip(self.states, states, strict=True):
            if state.shape != size:
                raise RuntimeError(f"hx ({name}): expected {size}, got {tuple(state.shape)}")
            check_alike(f"hx ({name})", state, x)
        _, after = self._run(self._weights(), x, states, [len(x)])
        return self._as_hx([state[0] if one else state for state in after])

    def _weights(self):
        names = ["weight_ih", "weight_hh", *(["bias_ih", "bias_hh"] if self.bias else [])]
        return {name: getattr(self, name) for name in names}


class RNNCell(Cell, torch.nn.RNNCell):
    """One step of the Elman network, in the place of ``torch.nn.RNNCell``; same arguments."""

    @property
    def form(self):
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(
                f"nonlinearity: expected 'tanh' or 'relu', got {self.nonlinearity!r}"
            )
        return f"RNN_{self.nonlinearity.upper()}"


class LSTMCell(Cell, torch.nn.LSTMCell):
    """One step of the LSTM, in the place of ``torch.nn.LSTMCell``; same arguments."""

    states = ("h", "c")
    form = "LSTM"


class GRUCell(ResetOption, Cell, torch.nn.GRUCell):
    """One step of the GRU, in the place of ``torch.nn.GRUCell``; same arguments, and one more.

    reset_after: which of the two forms, as in ``GRU``.
    """

    def __init__(self, *args, reset_after=True, **kwargs):
        super().__init__(*args, **kwargs)
        self.reset_after = reset_after
