"""What RNN, LSTM and GRU share: depth, direction, dropout, lengths and layouts around sweeps."""

import warnings

import numpy as np

from rnnlib import _checks
from rnnlib.layers.base import Layer, checked_states
from rnnlib.layers.lengths import Lengths
from rnnlib.layers.memory import Memory
from rnnlib.layers.sweep import Sweep


class Recurrent(Layer):
    """Layers of recurrent cells over a sequence.

    A subclass gives ``gates``, the names of its ``states``, ``_sequence(weights)``, its equations
    as a ``Sequence``, and ``_steps(weights, memory)``, which runs blocks of time steps.  T is time,
    N batch, I input_size, H hidden_size, D directions (1 or 2), and R the size of the output of
    one direction: proj_size, or else H.

    proj_size, peephole: for the LSTM alone; see there.
    num_layers: layers on top of one another, each on the outputs of the one below.
    bidirectional: every layer also reads the sequences from their ends, with weights of its own.
    dropout: the share of the outputs between two layers that is set to zero while training; the
        others are divided by 1 - dropout.
    checkpoint: None, or k to keep every k-th state only and compute what lies between once more on
        the way back; k near √T takes the least memory.  The sequences between layers, and dropout's
        masks, are kept whole.
    dtype: of the parameters and of all arithmetic.
    rng: a seed or a NumPy Generator, for the parameters, drawn from U(-1/√H, 1/√H), and dropout.

    Between calls a layer keeps its working memory, until ``forget()``; so one layer serves one
    thread.  Raises ValueError or TypeError that names the argument, what was expected and what
    came.
    """

    states = ("h",)

    def __init__(
        self,
        input_size,
        hidden_size,
        num_layers=1,
        bias=True,
        batch_first=False,
        dropout=0.0,
        bidirectional=False,
        proj_size=0,
        *,
        peephole=False,
        checkpoint=None,
        dtype=np.float64,
        rng=None,
    ):
        self.input_size = _checks.positive_int("input_size", input_size)
        self.hidden_size = _checks.positive_int("hidden_size", hidden_size)
        self.num_layers = _checks.positive_int("num_layers", num_layers)
        self.bias = _checks.flag("bias", bias)
        self.batch_first = _checks.flag("batch_first", batch_first)
        self.bidirectional = _checks.flag("bidirectional", bidirectional)
        self.peephole = _checks.flag("peephole", peephole)
        self.dropout = _checks.number(
            "dropout", dropout, "a number from 0 to 1", lambda p: 0 <= p <= 1
        )
        if self.dropout and self.num_layers == 1:
            # The line to blame is the caller's, behind the constructor of a subclass if it has one.
            own = type(self).__init__ is not Recurrent.__init__
            warnings.warn(
                "dropout: it acts between layers, and num_layers=1 has no between",
                stacklevel=2 + own,
            )
        self.proj_size = _checks.count("proj_size", proj_size)
        if self.proj_size >= self.hidden_size:
            raise ValueError(
                f"proj_size: expected less than hidden_size={hidden_size}, got {proj_size}"
            )
        if checkpoint is not None:
            checkpoint = _checks.positive_int("checkpoint", checkpoint)
        self.checkpoint = checkpoint
        self._sizes = {"h": self.proj_size or self.hidden_size, "c": self.hidden_size}
        super().__init__(self._shapes(), self.hidden_size**-0.5, dtype, rng)
        self.forget()

    def forget(self):
        """Drop what was kept for ``backward``, and the working memory."""
        super().forget()
        self._memories = {s: Memory(self.dtype) for level in self._levels() for s in level}

    def _levels(self):
        """Return torch's suffixes: for each layer a list with one suffix for each direction."""
        directions = ("", "_reverse") if self.bidirectional else ("",)
        return [[f"_l{k}{d}" for d in directions] for k in range(self.num_layers)]

    def _shapes(self):
        rows, R = self.gates * self.hidden_size, self._sizes["h"]
        size, shapes = self.input_size, {}
        for level in self._levels():
            for suffix in level:
                shapes |= {f"weight_ih{suffix}": (rows, size), f"weight_hh{suffix}": (rows, R)}
                if self.bias:
                    shapes |= {f"bias_ih{suffix}": (rows,), f"bias_hh{suffix}": (rows,)}
                if self.proj_size:
                    shapes[f"weight_hr{suffix}"] = (R, self.hidden_size)
                if self.peephole:
                    shapes[f"weight_peephole{suffix}"] = (3 * self.hidden_size,)
            size = R * len(level)
        return shapes

    def __getstate__(self):
        empty = {suffix: Memory(self.dtype) for suffix in self._memories}
        return super().__getstate__() | {"_memories": empty}

    def _sweep(self, suffix):
        steps = self._steps(_of_sweep(self.parameters, suffix), self._memories[suffix])
        return Sweep(steps, self.checkpoint)

    def _equations(self, suffix):
        """Return the ``Sequence`` of one sweep, with its weights."""
        return self._sequence(_of_sweep(self.parameters, suffix))

    def __call__(self, input, hx=None, lengths=None):
        """Run over whole sequences.

        input: (T, N, I), or (N, T, I) with ``batch_first``, or (T, I) for one sequence.  It is kept
            for ``backward``, not copied, so leave it as it is until then.
        hx: the states to start from, zeros when None: h_0, (D·num_layers, N, R), or
            (D·num_layers, R) for one sequence.  An LSTM takes (h_0, c_0), with H last in c_0.
        lengths: N integers from 1 to T in any order, or None when all sequences have T steps.  What
            stands behind a sequence's end is not read.

        Returns output, with D·R last and zeros behind each sequence's end, and h_n, in the shape of
        h_0: each sequence's own last state.  An LSTM returns output and (h_n, c_n).
        """
        x, batched = self._time_first(input)
        T, N, _ = x.shape
        lengths = Lengths(lengths, T, N)
        starts = [lengths.sort(s) for s in self._given_states("hx", "{}_0", hx, N, batched)]
        self._cache = None  # its memory is about to be used again
        x = lengths.without_padding(lengths.sort(x))
        sweeps, masks, ends = [], [], []
        for level in self._levels():
            masks.append(self._mask(x.shape) if sweeps else None)
            x = x if masks[-1] is None else x * masks[-1]
            outputs = []
            for suffix in level:
                flip = lengths.flip if suffix.endswith("_reverse") else _as_it_is
                sweep = self._sweep(suffix)
                y, end = sweep.forward(
                    flip(x), tuple(s[len(sweeps)] for s in starts), lengths.active
                )
                outputs.append(flip(y))
                sweeps.append(sweep)
                ends.append(end)
            x = outputs[0] if len(outputs) == 1 else np.concatenate(outputs, axis=-1)
        self._cache = sweeps, masks, lengths, (T, N), batched
        output = self._layout(lengths.unsort(x), batched)
        return output, self._returned_states(
            map(np.stack, zip(*ends, strict=True)), lengths, batched
        )

    def backward(self, d_output, d_state=None):
        """Backpropagation through time.

        d_output: the loss's gradient for ``output``, in its shape; what stands behind a sequence's
            end is not read.
        d_state: the gradient for h_n in its shape, for an LSTM those for (h_n, c_n); None for zero.
        Returns the gradient of the input and of h_0 (for an LSTM of (h_0, c_0)), in their shapes,
        and fills ``grads``.  It belongs to the last call, in ``eval()`` too; parameters and input
        must be as they were then.

        Raises RuntimeError before the first call.
        """
        sweeps, masks, lengths, (T, N), batched = self._saved()
        R, levels = self._sizes["h"], self._levels()
        expected = self._layout(np.broadcast_to(0.0, (T, N, R * len(levels[0]))), batched).shape
        dy = _checks.real_array("d_output", d_output, self.dtype)
        _checks.shape("d_output", dy, expected, "(the output's)")
        dy = lengths.sort(self._layout(dy, batched, inverse=True))
        d_ends = [
            lengths.sort(s) for s in self._given_states("d_state", "d_{}_n", d_state, N, batched)
        ]
        d_starts = [None] * len(sweeps)
        for k, level in reversed(list(enumerate(levels))):
            parts = []
            for d, suffix in enumerate(level):
                flip = lengths.flip if suffix.endswith("_reverse") else _as_it_is
                place = k * len(level) + d
                part, d_starts[place] = sweeps[place].backward(
                    flip(dy[..., d * R : (d + 1) * R]),
                    tuple(s[place] for s in d_ends),
                    _of_sweep(self.grads, suffix),
                )
                parts.append(flip(part))
            dx = sum(parts[1:], parts[0])
            dy = dx if masks[k] is None else dx * masks[k]
        d_input = self._layout(lengths.unsort(dy), batched)
        return d_input, self._returned_states(
            map(np.stack, zip(*d_starts, strict=True)), lengths, batched
        )

    def _mask(self, shape):
        """Return the factors of dropout, 0 or 1/(1 - p), or None when nothing is dropped."""
        if not (self.training and self.dropout):
            return None
        kept = self._rng.random(shape, dtype=np.float32) >= self.dropout
        return kept * self.dtype.type(1 / (1 - self.dropout) if self.dropout < 1 else 0)

    def _time_first(self, x):
        """Return x as (T, N, I), and whether it came as a batch."""
        x = _checks.real_array("input", x, self.dtype)
        if x.ndim not in (2, 3):
            raise ValueError(f"input: expected 2 axes (one sequence) or 3 (a batch), got {x.shape}")
        _checks.shape("input", x, (*x.shape[:-1], self.input_size), "(input_size last)")
        batched = x.ndim == 3
        x = self._layout(x, batched, inverse=True)
        if len(x) < 1:
            raise ValueError("input: expected at least one time step, got none")
        return x, batched

    def _given_states(self, argument, names, states, N, batched):
        """Return the states as a list of (D·num_layers, N, ·) arrays; zeros for None."""
        count = len(self._memories)
        shapes = [(count, N, self._sizes[s]) for s in self.states]
        expected = shapes if batched else [(count, size) for _, _, size in shapes]
        names = [names.format(s) for s in self.states]
        states = checked_states(argument, names, states, expected, self.dtype)
        return [s.reshape(shape) for s, shape in zip(states, shapes, strict=True)]

    def _returned_states(self, states, lengths, batched):
        states = tuple(lengths.unsort(s) if batched else s[:, 0] for s in states)
        return states if len(self.states) > 1 else states[0]

    def _layout(self, array, batched, inverse=False):
        """Turn (T, N, features) into the caller's layout, or back again."""
        if not batched:
            return array[:, None] if inverse else array[:, 0]
        return array.swapaxes(0, 1) if self.batch_first else array


def _of_sweep(arrays, suffix):
    """Return the arrays of one sweep, under their names without the suffix."""
    return {name.removesuffix(suffix): a for name, a in arrays.items() if name.endswith(suffix)}


def _as_it_is(a):
    return a
