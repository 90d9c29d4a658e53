"""A block of time steps in place, on columns: the fast form of what ``plain`` does.

The formulas are those of ``rnnlib.cells``; tests hold both equal.  What makes this form fast:

- Inside a block a batch is columns, as on paper.  What enters a step is one array of them,
  [1; x; h; 1], so that one product gives all sums, with the bias a column of the weights; and one
  product over several steps gives the gradients of weights and biases alike.
- The sums of a step have the shape (gates·H, N): every gate is contiguous, and so is every step.
- σ(a) = (1 + tanh(a/2)) / 2, as in the cells.  With the halves taken into copies of the weights,
  one tanh serves all gates.  (The error of σ is that of a number near 1, 1e-16 or 6e-8: a gate
  nearer to 0 than that is closed for good.)
- The way back is linear in what comes in.  The factors, which the forward pass has fixed, are
  computed for several steps at once; what is left in a step back are a few products.
- Every result goes into memory that is kept from call to call, and so are the views cut from it.

The cells themselves stand in ``column_cells``.
"""

import numpy as np

# A block has so many columns (steps times batch) at most: more would only take more memory.
BLOCK = 8192
# The way back takes several steps together, up to so many columns: enough for large products, few
# enough to stay near the processor.
COLUMNS = 512
# Rows a multiple of CLASH bytes apart fall into the same places of a cache: so many bytes of them
# are transposed at a time.
CLASH, BYTES = 1024, 1 << 15


class Columns:
    """The plan.  A subclass writes one step forward, the factors of the way back, and a step back.

    keeps: how many (H, N) arrays a step keeps for the way back.
    cells: how many parts the state has beside h; a step keeps them behind the others.
    factors: how many (H, N) arrays of factors a step back takes.
    back: how many (H, N) gradients it writes; of these, ``to_state`` are those of the recurrent
        sum in torch's order, and ``to_input`` those of the input's share, rolled by ``roll``
        blocks from torch's order.

    ``weights_ahead`` returns the weights as ``step`` takes them.  ``cut`` and ``cut_back`` choose
    the arrays that ``step`` and ``step_back`` take, so that this is done once for many calls.
    """

    keeps = cells = 0
    factors = back = 1
    to_input = to_state = slice(None)
    roll = 0

    def __init__(self, weights, memory):
        self.weights = weights
        self.memory = memory
        rows, self.I = weights["weight_ih"].shape
        self.H = weights["weight_hh"].shape[1]
        self.gates = rows // self.H
        self.h_rows = slice(1 + self.I, -1)

    def block(self, x):
        """Return the number of steps after which a block should end."""
        return max(1, BLOCK // max(1, x.shape[1]))

    def forward(self, x, state, active, y=None, slot=0):
        """As in ``plain``.  What backward needs is kept in the memory, under ``slot``."""
        k, N, _ = x.shape
        (kept, columns), cuts = self.memory.views(
            ("forward", slot), (k, N), lambda: self._ahead(slot, k, N)
        )
        h = columns[:, self.h_rows]
        columns[:, 0] = columns[:, -1] = 1
        transpose(columns[:k, 1 : 1 + self.I], x)
        for part, place in zip(state, (h[0], *kept[0, self.keeps :]), strict=True):
            transpose(place, part)
        weights = self.weights_ahead()
        for t, (arrays, n) in enumerate(zip(cuts, active, strict=True)):
            if n < N:
                # Where a sequence is over, its state stays.
                h[t + 1, :, n:], kept[t, : self.keeps, :, n:] = h[t, :, n:], 0
                kept[t + 1, self.keeps :, :, n:] = kept[t, self.keeps :, :, n:]
                arrays = self._cut_step(t, kept[..., :n], columns[..., :n])
            self.step(weights, *arrays)
        if y is not None:
            transpose(y, h[1:])
            for row, n in zip(y, active, strict=True):
                if n < N:
                    row[n:] = 0
        ends = tuple(end.T.copy() for end in (h[k], *kept[k, self.keeps :]))
        return ends, (kept, columns, slot)

    def backward(self, dy, d_state, x, cache, active, dx, grads):
        """As in ``plain``."""
        (k, N, _), (kept, columns, slot) = x.shape, cache
        chunk = min(k, max(1, COLUMNS // max(1, N)))
        (sums, factors, d_rows, carried), cuts = self.memory.views(
            ("back", slot), (k, N, chunk), lambda: self._behind(kept, chunk)
        )
        for part, place in zip(d_state, carried, strict=False):
            transpose(place, part)
        weight_hh = self.memory("weight_hh back", self.H, self.gates * self.H)
        transpose(weight_hh, self.weights["weight_hh"])
        totals = {}
        for steps in _chunks(k, chunk):
            count, after = steps.stop - steps.start, slice(steps.start + 1, steps.stop + 1)
            h = columns[:, self.h_rows]
            self.find_factors(kept[steps], kept[after], h[steps], h[after], factors[:count])
            transpose(d_rows[:count], dy[steps])
            for place, t in reversed(list(enumerate(range(steps.start, steps.stop)))):
                arrays, n = cuts[t], active[t]
                if n < N:
                    sums[place, ..., n:] = 0
                    arrays = (sums[place], factors[place], d_rows[place], kept[t], carried)
                    arrays = self.cut_back(*(array[..., :n] for array in arrays))
                self.step_back(weight_hh, *arrays)
            self._collect(sums[:count], columns[steps], dx[steps], totals)
        d_input, d_hidden = self.rolled(totals["input"], -1), totals["hidden"]
        shares = {"weight_ih": d_input[:, 1:], "weight_hh": d_hidden[:, :-1]}
        if "bias_ih" in self.weights:
            shares |= {"bias_ih": d_input[:, 0], "bias_hh": d_hidden[:, -1]}
        for name, share in shares.items():
            grads.add(name, share)
        return tuple(d.T.copy() for d in carried[: 1 + self.cells])

    def _ahead(self, slot, k, N):
        """Return the arrays of the way forward, and for each step those that ``step`` takes."""
        kept = self.memory(("kept", slot), k + 1, self.keeps + self.cells, self.H, N)
        columns = self.memory(("columns", slot), k + 1, self.I + self.H + 2, N)
        return (kept, columns), [self._cut_step(t, kept, columns) for t in range(k)]

    def _cut_step(self, t, kept, columns):
        scratch = self.memory("scratch", 2, self.H, kept.shape[-1])
        return self.cut(kept[t], kept[t + 1], columns[t], columns[t + 1, self.h_rows], scratch)

    def _behind(self, kept, chunk):
        """Return the arrays of the way back, and for each step those that ``step_back`` takes."""
        H, N = kept.shape[2:]
        sums = self.memory("sums", chunk, self.back, H, N)
        factors = self.memory("factors", chunk, self.factors, H, N)
        d_rows = self.memory("d rows", chunk, H, N)
        carried = self.memory("carried", 3, H, N)
        cuts = [
            self.cut_back(sums[place], factors[place], d_rows[place], kept[t], carried)
            for steps in reversed(list(_chunks(len(kept) - 1, chunk)))
            for place, t in enumerate(range(steps.start, steps.stop))
        ]
        return (sums, factors, d_rows, carried), cuts

    def _collect(self, sums, columns, dx, totals):
        """Write dx for some steps, and add their products to the gradients of the weights."""
        sums = self._side_by_side("sums side by side", sums)
        columns = self._side_by_side("columns side by side", columns[:, None])
        da, ds = (as_matrix(sums[part]) for part in (self.to_input, self.to_state))
        np.matmul(da.T, self.rolled(self.weights["weight_ih"], 1), out=dx.reshape(-1, self.I))
        inputs, hidden = columns[0, : 1 + self.I], columns[0, 1 + self.I :]
        for name, product in (("input", da @ inputs.T), ("hidden", ds @ hidden.T)):
            if name in totals:
                totals[name] += product
            else:
                totals[name] = product

    def _side_by_side(self, key, a):
        """Return the steps of a side by side: (k, blocks, rows, N) as (blocks, rows, k·N)."""
        k, blocks, rows, N = a.shape
        if k == 1:
            return a[0]
        joined = self.memory(key, blocks, rows, k, N)
        joined[...] = a.transpose(1, 2, 0, 3)
        return joined.reshape(blocks, rows, k * N)

    def biases(self):
        """Return the two biases, (gates·H,), zeros where there are none."""
        if "bias_ih" in self.weights:
            return self.weights["bias_ih"], self.weights["bias_hh"]
        return (np.zeros(self.gates * self.H, self.memory.dtype),) * 2

    def all_weights(self, blocks, halved):
        """Return [b, W_ih, W_hh] for blocks of rows, as ``stacked``."""
        parts = sum(self.biases()), self.weights["weight_ih"], self.weights["weight_hh"]
        return self.stacked("weights", blocks, halved, *parts)

    def stacked(self, name, blocks, halved, *parts):
        """Return blocks of rows of the parts, side by side, as one matrix.

        blocks: which blocks of H rows of torch's packing, in this order.
        halved: of how many of these, from the first, the half is taken, for σ by tanh.
        """
        parts = [part.reshape(self.gates, self.H, -1) for part in parts]
        ends = np.cumsum([part.shape[2] for part in parts])
        matrix = self.memory(name, len(blocks), self.H, ends[-1])
        for place, block in zip(matrix, blocks, strict=True):
            for part, end in zip(parts, ends, strict=True):
                place[:, end - part.shape[2] : end] = part[block]
        matrix[:halved] *= 0.5
        return as_matrix(matrix)

    def rolled(self, w, sense):
        """Return w with its blocks of rows in the order of ``to_input``, or back with sense -1."""
        return np.roll(w, sense * self.roll * self.H, axis=0) if self.roll else w


def transpose(out, a):
    """Write the transpose of the last two axes of a into out."""
    distance = a.strides[-2]
    rows = a.shape[-2] if distance % CLASH else max(1, BYTES // max(1, distance))
    for start in range(0, a.shape[-2], max(1, rows)):
        part = slice(start, start + rows)
        out[..., part] = a[..., part, :].swapaxes(-1, -2)


def _chunks(k, chunk):
    """Cut k steps into chunks from their end, as slices, the last steps first."""
    for end in range(k, 0, -chunk):
        yield slice(max(0, end - chunk), end)


def as_matrix(a):
    """(blocks, H, n) as (blocks·H, n); never a copy."""
    return a.reshape(a.shape[0] * a.shape[1], -1)
