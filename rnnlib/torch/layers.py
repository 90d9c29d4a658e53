"""RNN, LSTM and GRU in the place of torch.nn's."""

import torch
from torch.nn.utils.rnn import PackedSequence

from rnnlib.torch.module import OnLadder, ResetOption, check_alike


class Recurrent(OnLadder, torch.nn.RNNBase):
    """What the layers share: torch's parameters and arguments around the book's equations."""

    @property
    def form(self):
        return self.mode

    def flatten_parameters(self):
        """Do nothing: cuDNN, which wants all weights in one piece of memory, is not called."""

    def forward(self, input, hx=None):
        """Run over whole sequences; arguments, results and the types of errors are torch.nn's.

        input: (T, N, I), or (N, T, I) with ``batch_first``, or (T, I) for one sequence, or a
            ``PackedSequence``.
        hx: the states to start from, zeros when None: h_0, (D·num_layers, N, R), or
            (D·num_layers, R) for one sequence.  An LSTM takes (h_0, c_0), with H last in c_0.

        Returns output, (T, N, D·R) in the input's layout, and h_n in the shape of h_0; an LSTM
        returns output and (h_n, c_n).

        Raises ValueError for a wrong number of axes and RuntimeError for a wrong size or type.
        """
        if isinstance(input, PackedSequence):
            x, batch_sizes, order, back = input
            counts = batch_sizes.tolist()
            starts = self._starts(x, hx, counts[0], batch_sizes)
            rows, ends = self._levels(x, _selected(starts, order), counts)
            output = PackedSequence(rows, batch_sizes, order, back)
            return output, self._as_hx(_selected(ends, back))
        if input.dim() not in (2, 3):
            raise ValueError(f"input: expected 2 or 3 axes, got {input.dim()}: {_size(input)}")
        one = input.dim() == 2
        x = input.unsqueeze(1) if one else input
        x = x.transpose(0, 1) if self.batch_first and not one else x
        T, N, _ = x.shape
        if T == 0:
            raise RuntimeError("input: expected at least one time step, got none")
        starts = self._starts(x, hx, N, None, one)
        rows, ends = self._levels(x.reshape(T * N, self.input_size), starts, [N] * T)
        output = rows.reshape(T, N, rows.shape[-1])
        if one:
            return output[:, 0], self._as_hx([end[:, 0] for end in ends])
        return output.transpose(0, 1) if self.batch_first else output, self._as_hx(ends)

    def _starts(self, x, hx, N, batch_sizes, one=False):
        """Return the states to start from as a list of (D·num_layers, N, ·), checked."""
        self.check_input(x, batch_sizes)
        count = self.num_layers * (1 + self.bidirectional)
        widths = {"h": self.proj_size or self.hidden_size, "c": self.hidden_size}
        if hx is None:
            return [x.new_zeros(count, N, widths[name]) for name in self.states]
        parts = self._parts(hx)
        for name, part in zip(self.states, parts, strict=True):
            expected = (count, widths[name]) if one else (count, N, widths[name])
            if part.shape != expected:
                raise RuntimeError(f"hx ({name}_0): expected size {expected}, got {_size(part)}")
            check_alike(f"hx ({name}_0)", part, x)
        return [part.unsqueeze(1) if one else part for part in parts]

    def _levels(self, x, starts, counts):
        """Run all layers over the rows x; return the last one's outputs and all states after."""
        directions = ("", "_reverse") if self.bidirectional else ("",)
        ends = []
        for k in range(self.num_layers):
            outputs = []
            for direction in directions:
                y, end = self._run(
                    self._weights(f"_l{k}{direction}"),
                    x,
                    tuple(start[len(ends)] for start in starts),
                    counts,
                    reverse=direction == "_reverse",
                )
                outputs.append(y)
                ends.append(end)
            x = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-1)
            if self.dropout and self.training and k + 1 < self.num_layers:
                x = torch.nn.functional.dropout(x, self.dropout)
        return x, [torch.stack(parts) for parts in zip(*ends, strict=True)]

    def _weights(self, suffix):
        # By attribute, each time: so a parametrization or ``torch.func.functional_call`` is seen.
        names = ["weight_ih", "weight_hh"]
        names += ["bias_ih", "bias_hh"] if self.bias else []
        names += ["weight_hr"] if self.proj_size else []
        return {name: getattr(self, name + suffix) for name in names}


def _size(tensor):
    return tuple(tensor.shape)


def _selected(states, order):
    return states if order is None else [state.index_select(1, order) for state in states]


class RNN(Recurrent):
    """The Elman network, in the place of ``torch.nn.RNN``; same arguments."""

    def __init__(self, *args, **kwargs):
        _refuse_projection(kwargs)
        args = list(args)
        nonlinearity = args.pop(3) if len(args) > 3 else kwargs.pop("nonlinearity", "tanh")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity: expected 'tanh' or 'relu', got {nonlinearity!r}")
        super().__init__(f"RNN_{nonlinearity.upper()}", *args, **kwargs)
        self.nonlinearity = nonlinearity


class LSTM(Recurrent):
    """Long short-term memory, in the place of ``torch.nn.LSTM``; same arguments."""

    states = ("h", "c")

    def __init__(self, *args, **kwargs):
        super().__init__("LSTM", *args, **kwargs)


class GRU(ResetOption, Recurrent):
    """The gated recurrent unit, in the place of ``torch.nn.GRU``; same arguments, and one more.

    reset_after: True for the form of torch and cuDNN; False for that of Cho et al. 2014, which
        resets before the recurrent product.
    """

    def __init__(self, *args, reset_after=True, **kwargs):
        _refuse_projection(kwargs)
        super().__init__("GRU", *args, **kwargs)
        self.reset_after = reset_after


def _refuse_projection(options):
    if "proj_size" in options:
        raise ValueError("proj_size: only an LSTM has projections, not an RNN or a GRU")
