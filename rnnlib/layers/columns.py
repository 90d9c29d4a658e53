"""A block of time steps in place, on columns: the fast form of what ``plain`` does.

The formulas are those of ``rnnlib.cells``; tests hold both equal.  What makes this form fast:

- Inside a block a batch is columns, as on paper: the recurrent product W_hh h has the shape
  (gates·H, N), and in it every gate is contiguous.
- σ(a) = (1 + tanh(a/2)) / 2.  With the halves taken into copies of the weights, one tanh serves
  all gates.
- Every result goes into memory that is kept from call to call.

All cells share one plan: one product for all inputs of the block, the steps one after the other,
and one product for each weight's share.
"""

import math

import numpy as np

# So many columns (steps times batch) make the products of a block large enough; more would only
# take more memory.
COLUMNS = 8192


class Memory:
    """Arrays by name, used again in the next call: fresh memory can cost more than arithmetic."""

    def __init__(self, dtype):
        self.dtype = dtype
        self._flat = {}

    def __call__(self, key, *shape):
        """Return an array of this shape, with whatever stands in it."""
        size = math.prod(shape)
        if key not in self._flat or self._flat[key].size < size:
            self._flat[key] = np.empty(size, self.dtype)
        return self._flat[key][:size].reshape(shape)


class Columns:
    """The plan.  A subclass writes one step forward and one step back.

    order: which block of torch's packing each block of H rows is on the way forward.
    sigmoids: the blocks, in this order, whose nonlinearity is σ.
    slots: how many (H, N) arrays a step keeps.  The last one is the state before the step: the
        cell c in an LSTM, otherwise h.
    back: how many (H, N) gradients a step back writes; of these, ``to_state`` are those of the
        recurrent sum in torch's order, and ``to_input`` those of the input's share, rolled by
        ``roll`` blocks from torch's order.
    """

    order = (0,)
    sigmoids = slice(0, 0)
    slots = back = 1
    to_input = to_state = slice(None)
    roll = 0

    def __init__(self, weights, memory):
        self.weights = weights
        self.memory = memory
        self.H = weights["weight_hh"].shape[1]

    def block(self, x):
        """Return the number of steps after which a block should end."""
        return max(1, COLUMNS // max(1, x.shape[1]))

    def forward(self, x, state, active, slot=0):
        """As in ``plain``.  What backward needs is kept in the memory, under ``slot``."""
        (k, N, _), H, gates = x.shape, self.H, len(self.order)
        kept = self.memory(("kept", slot), k + 1, self.slots, H, N)
        rows = self.memory(("rows", slot), k + 1, N, H)
        scratch = self.memory("scratch", 3, H, N)
        sums = self.memory("sums", gates, H, k, N)
        weight_ih, weight_hh = self._halved("weight_ih"), self._halved("weight_hh")
        np.matmul(weight_ih, _as_rows(x).T, out=_as_matrix(sums))
        self.add_biases(sums)
        rows[0], kept[0, -1], scratch[2] = state[0], state[-1].T, state[0].T
        by_time = [sums.transpose(2, 0, 1, 3), rows[1:].transpose(0, 2, 1), kept[:-1], kept[1:, -1]]
        for *arrays, n in zip(*by_time, active, strict=True):
            arrays.append(scratch)
            if n < N:
                arrays[1][:, n:] = 0
                arrays = [array[..., :n] for array in arrays]
            self.step(weight_hh, *arrays)
        # Each sequence's own last state.
        if n == N:
            ends = rows[k].copy(), kept[k, -1].T.copy()
        else:
            steps = np.sum(np.asarray(active)[:, None] > np.arange(N), axis=0)
            ends = rows[steps, np.arange(N)], kept[steps, -1, :, np.arange(N)]
        return rows[1:], ends[: len(state)], (kept, rows)

    def backward(self, dy, d_state, x, cache, active, dx, grads):
        """As in ``plain``."""
        (k, N, _), H, (kept, rows) = x.shape, self.H, cache
        scratch = self.memory("scratch back", self.back + 3, H, N)
        sums = self.memory("sums", self.back, H, k, N)
        d_state = [d.T.copy() for d in d_state]
        weight_hh = np.ascontiguousarray(self.weights["weight_hh"].T)
        by_time = [sums.transpose(2, 0, 1, 3), dy.transpose(0, 2, 1), kept[:-1], kept[1:, -1]]
        for *arrays, n in zip(*(a[::-1] for a in by_time), active[::-1], strict=True):
            arrays += [*d_state, scratch]
            if n < N:
                arrays[0][..., n:] = 0
                arrays = [array[..., :n] for array in arrays]
            self.step_back(weight_hh, *arrays)
        self._collect(sums, x, rows[:-1], dx, grads)
        return tuple(d.T for d in d_state)

    def add_biases(self, sums):
        """Add to the sums of all steps what the biases add to each."""
        if "bias_ih" in self.weights:
            sums += (self._halved("bias_ih") + self._halved("bias_hh")).reshape(-1, self.H, 1, 1)

    def _collect(self, sums, x, h_prev, dx, grads):
        da, ds = (_as_matrix(sums[part]) for part in (self.to_input, self.to_state))
        dx[...] = (da.T @ self.rolled(self.weights["weight_ih"], 1)).reshape(dx.shape)
        if self.roll:
            grads.add("weight_ih", self.rolled(da @ _as_rows(x), -1))
        else:
            grads.add_product("weight_ih", da, _as_rows(x))
        grads.add_product("weight_hh", ds, _as_rows(h_prev))
        if "bias_ih" in self.weights:
            bias = sums.sum(axis=(2, 3))
            grads.add("bias_ih", self.rolled(bias[self.to_input].ravel(), -1))
            grads.add("bias_hh", bias[self.to_state].ravel())

    def rolled(self, w, sense):
        """Return w with its blocks of rows in the order of ``to_input``, or back with sense -1."""
        return np.roll(w, sense * self.roll * self.H, axis=0) if self.roll else w

    def _halved(self, name):
        """Return a copy in the order of the way forward, with the halves of σ taken in."""
        w = self.weights[name]
        blocks = self.memory(name, len(self.order), self.H, w.size // len(w))
        np.take(w.reshape(blocks.shape), self.order, axis=0, out=blocks, mode="clip")
        blocks[self.sigmoids] *= 0.5
        return blocks.reshape(w.shape)


def _as_rows(a):
    return a.reshape(-1, a.shape[-1])


def _as_matrix(a):
    """(blocks, H, …) as (blocks·H, …), and all that follows as one axis; never a copy."""
    return a.reshape(a.shape[0] * a.shape[1], -1)


def _from_tanh(s):
    """Turn tanh(a/2) into σ(a)."""
    s *= 0.5
    s += 0.5


class ColumnsRNN(Columns):
    """h = f(a + W_hh h_prev).  Keeps h."""

    def __init__(self, weights, memory, nonlinearity="tanh"):
        super().__init__(weights, memory)
        self.nonlinearity = nonlinearity
        if nonlinearity == "sigmoid":
            self.sigmoids = slice(None)

    def step(self, weight_hh, a, h_row, now, h, scratch):
        np.matmul(weight_hh, now[0], out=h)
        h += a[0]
        if self.nonlinearity == "relu":
            np.maximum(h, 0, out=h)
        else:
            np.tanh(h, out=h)
        if self.nonlinearity == "sigmoid":
            _from_tanh(h)
        h_row[...] = h

    def step_back(self, weight_hh, ds, dy, _, h, dh, scratch):
        slope = scratch[0]
        slope[...] = dy
        dh += slope
        if self.nonlinearity == "relu":
            np.greater(h, 0, out=slope)
        else:
            np.multiply(h, h, out=slope)
            np.subtract(1 if self.nonlinearity == "tanh" else h, slope, out=slope)
        np.multiply(dh, slope, out=ds[0])
        np.matmul(weight_hh, ds[0], out=dh)


class ColumnsLSTM(Columns):
    """c = f∘c_prev + i∘g, h = o∘tanh(c).  Keeps i, f, o, g and c_prev, in this order."""

    order = (0, 1, 3, 2)
    sigmoids = slice(0, 3)
    slots, back = 5, 4

    def step(self, weight_hh, a, h_row, now, c, scratch):
        gates, (ig, fc, h) = now[:4], scratch
        np.matmul(weight_hh, h, out=_as_matrix(gates))
        gates += a
        np.tanh(gates, out=gates)
        _from_tanh(now[:3])
        np.multiply(now[:2], now[3:], out=scratch[:2])
        np.add(ig, fc, out=c)
        np.tanh(c, out=ig)
        np.multiply(now[2], ig, out=h)
        h_row[...] = h

    def step_back(self, weight_hh, ds, dy, now, c, dh, dc, scratch):
        i, f, o, g, _ = now
        reach, slope, u = scratch[:3], scratch[3:6], scratch[6]
        u[...] = dy
        dh += u
        r = np.tanh(c, out=u)
        # What reaches o, then c: dh∘o∘(1 - r²) = o∘(dh - (dh∘r)∘r).
        np.multiply(dh, r, out=reach[2])
        u *= reach[2]
        np.subtract(dh, u, out=u)
        u *= o
        dc += u
        # What reaches i and f: dc∘g and dc∘c_prev.
        np.multiply(now[3:], dc, out=reach[:2])
        # Through σ: s∘(1 - s) = s - s².  Through tanh: dc∘i∘(1 - g²) = i∘(dc - (dc∘g)∘g).
        np.multiply(now[:3], now[:3], out=slope)
        np.subtract(now[:3], slope, out=slope)
        np.multiply(slope[:2], reach[:2], out=ds[:2])
        np.multiply(slope[2], reach[2], out=ds[3])
        np.multiply(reach[0], g, out=u)
        np.subtract(dc, u, out=u)
        np.multiply(u, i, out=ds[2])
        dc *= f
        np.matmul(weight_hh, _as_matrix(ds), out=dh)


class ColumnsGRU(Columns):
    """n = tanh(a_n + r∘m), h = n + z∘(h_prev - n).  Keeps r, z, m, n and h_prev."""

    order = (0, 1, 2)
    sigmoids = slice(0, 2)
    slots, back = 5, 4
    # A step back writes da_n, da_r, da_z and da_n∘r: the first three belong to the input's share,
    # the last three to the recurrent sum.
    to_input, to_state, roll = slice(0, 3), slice(1, 4), 1
    bias_m = 0

    def add_biases(self, sums):
        """b_hn stands behind the reset gate: it belongs to m, so each step adds it there."""
        if "bias_ih" in self.weights:
            before, after = (
                self._halved(f"bias_{s}").reshape(3, self.H, 1, 1) for s in ("ih", "hh")
            )
            self.bias_m = after[2, ..., 0].copy()
            after[2] = 0
            sums += before + after

    def step(self, weight_hh, a, h_row, now, h, scratch):
        r, z, m, n, h_prev = now
        gates = now[:2]
        np.matmul(weight_hh, h_prev, out=_as_matrix(now[:3]))
        m += self.bias_m
        gates += a[:2]
        np.tanh(gates, out=gates)
        _from_tanh(gates)
        np.multiply(r, m, out=n)
        n += a[2]
        np.tanh(n, out=n)
        np.subtract(h_prev, n, out=h)
        h *= z
        h += n
        h_row[...] = h

    def step_back(self, weight_hh, ds, dy, now, _, dh, scratch):
        r, z, m, n, h_prev = now
        gates, reach, slope, da_n, carried, u = (
            now[:2],
            scratch[:2],
            scratch[2:4],
            scratch[4],
            scratch[5],
            scratch[6],
        )
        u[...] = dy
        dh += u
        np.multiply(dh, z, out=carried)
        # da_n = dh∘(1 - z)∘(1 - n²); what reaches r and z is da_n∘m and dh∘(h_prev - n).
        np.multiply(n, n, out=u)
        np.subtract(1, u, out=u)
        np.subtract(dh, carried, out=da_n)
        da_n *= u
        np.multiply(da_n, m, out=reach[0])
        np.subtract(h_prev, n, out=reach[1])
        reach[1] *= dh
        np.multiply(gates, gates, out=slope)
        np.subtract(gates, slope, out=slope)
        np.multiply(slope, reach, out=ds[1:3])
        np.multiply(da_n, r, out=ds[3])
        ds[0] = da_n
        np.matmul(weight_hh, _as_matrix(ds[1:]), out=dh)
        dh += carried
