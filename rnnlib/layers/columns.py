"""A block of time steps in place, on columns: the fast form of what ``plain`` does.

The formulas are those of ``rnnlib.cells``; tests hold both equal.  What makes this form fast:

- Inside a block a batch is columns, as on paper: the recurrent product W_hh h has the shape
  (gates·H, N), and in it every gate is contiguous.
- σ(a) = (1 + tanh(a/2)) / 2, as in the cells.  With the halves taken into copies of the weights,
  one tanh serves all gates.  (The error of σ is that of a number near 1, 1e-16 or 6e-8: a gate
  nearer to 0 than that is closed for good.)
- The way back is linear in what comes in.  The factors, which the forward pass has fixed, are
  computed for several steps at once; what is left in a step back are a few products.
- Every result goes into memory that is kept from call to call.

All cells share one plan: one product for all inputs of the block, the steps one after the other,
and one product for each weight's share.
"""

import math

import numpy as np

# So many columns (steps times batch) make the products of a block large enough; more would only
# take more memory.
COLUMNS = 8192
# The factors of so many steps are computed together that they stay in the processor's cache.
CACHE = 1 << 16  # bytes


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
    """The plan.  A subclass writes one step forward, the factors of the way back, and a step back.

    order: which block of torch's packing each block of H rows is on the way forward.
    sigmoids: the blocks, in this order, whose nonlinearity is σ.
    slots: how many (H, N) arrays a step keeps.  The last ones are the state before the step: h, and
        before it c in an LSTM.
    states: how many parts the state has.
    factors: how many (H, N) arrays of factors a step back takes.
    back: how many (H, N) gradients it writes; of these, ``to_state`` are those of the recurrent
        sum in torch's order, and ``to_input`` those of the input's share, rolled by ``roll``
        blocks from torch's order.
    """

    order = (0,)
    sigmoids = slice(0, 0)
    slots = states = factors = back = 1
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
        scratch = self.memory("scratch", 2, H, N)
        sums = self.memory("sums", gates, H, k, N)
        weight_ih = self._halved("weight_ih", self.weights["weight_ih"])
        weight_hh = self._halved("weight_hh", self.weights["weight_hh"])
        np.matmul(weight_ih, _as_rows(x).T, out=_as_matrix(sums))
        sums += self._halved("bias", self.added_bias()).reshape(gates, H, 1, 1)
        rows[0] = state[0]
        for part, place in zip(state, kept[0, ::-1], strict=False):
            place[...] = part.T
        afters = kept[1:, -self.states :]
        by_time = sums.transpose(2, 0, 1, 3), kept[:-1], afters, rows[1:].transpose(0, 2, 1)
        for a, now, after, h_row, n in zip(*by_time, active, strict=True):
            if n == N:
                h_row[...] = self.step(weight_hh, a, now, after, scratch)
                continue
            # Where a sequence is over, its state stays.
            over = now[..., n:]
            over[: -self.states], after[..., n:] = 0, over[-self.states :]
            h_row[:, n:] = 0
            arrays = (array[..., :n] for array in (a, now, after, scratch))
            h_row[:, :n] = self.step(weight_hh, *arrays)
        ends = kept[k, : -self.states - 1 : -1]
        return rows[1:], tuple(end.T.copy() for end in ends), (kept, rows)

    def backward(self, dy, d_state, x, cache, active, dx, grads):
        """As in ``plain``."""
        (k, N, _), H, (kept, rows) = x.shape, self.H, cache
        chunk = max(1, CACHE // max(1, self.factors * H * N * dy.itemsize))
        factors = self.memory("factors", chunk, self.factors, H, N)
        scratch = self.memory("scratch back", chunk + 1, H, N)
        sums = self.memory("sums", self.back, H, k, N)
        d_state = [d.T.copy() for d in d_state]
        weight_hh = np.ascontiguousarray(self.weights["weight_hh"].T)
        for end in range(k, 0, -chunk):
            steps = slice(max(0, end - chunk), end)
            count = steps.stop - steps.start
            self.find_factors(kept[steps], kept[1:][steps, -self.states], factors[:count])
            scratch[1 : count + 1] = dy[steps].transpose(0, 2, 1)
            by_time = sums[:, :, steps].transpose(2, 0, 1, 3), factors[:count], scratch[1:]
            by_time = *by_time, kept[steps]
            for ds, *arrays, n in zip(
                *(array[:count][::-1] for array in by_time), active[steps][::-1], strict=True
            ):
                arrays = [ds, *arrays, *d_state, scratch[0]]
                if n < N:
                    ds[..., n:] = 0
                    arrays = [array[..., :n] for array in arrays]
                self.step_back(weight_hh, *arrays)
        self._collect(sums, x, rows[:-1], dx, grads)
        return tuple(d.T for d in d_state)

    def added_bias(self):
        """Return what is added to the sums of all steps, packed as in torch."""
        if "bias_ih" not in self.weights:
            return np.zeros(len(self.order) * self.H, self.memory.dtype)
        return self.weights["bias_ih"] + self.weights["bias_hh"]

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

    def _halved(self, name, w):
        """Return a copy of w in the order of the way forward, with the halves of σ taken in."""
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
    """h = f(a + W_hh h_prev).  Keeps h_prev."""

    def __init__(self, weights, memory, nonlinearity="tanh"):
        super().__init__(weights, memory)
        self.nonlinearity = nonlinearity
        if nonlinearity == "sigmoid":
            self.sigmoids = slice(None)

    def step(self, weight_hh, a, now, after, _):
        h = after[0]
        np.matmul(weight_hh, now[0], out=h)
        h += a[0]
        if self.nonlinearity == "relu":
            return np.maximum(h, 0, out=h)
        np.tanh(h, out=h)
        if self.nonlinearity == "sigmoid":
            _from_tanh(h)
        return h

    def find_factors(self, _, h, factors):
        slope = factors[:, 0]
        if self.nonlinearity == "relu":
            np.greater(h, 0, out=slope)
        else:
            np.multiply(h, h, out=slope)
            np.subtract(1 if self.nonlinearity == "tanh" else h, slope, out=slope)

    def step_back(self, weight_hh, ds, factors, dy, _, dh, __):
        dh += dy
        np.multiply(factors, dh, out=ds)
        np.matmul(weight_hh, ds[0], out=dh)


class ColumnsLSTM(Columns):
    """c = f∘c_prev + i∘g, h = o∘tanh(c).  Keeps i, f, o, g, c_prev and h_prev, in this order."""

    order = (0, 1, 3, 2)
    sigmoids = slice(0, 3)
    slots, states, factors, back = 6, 2, 5, 4

    def step(self, weight_hh, a, now, after, scratch):
        gates, (ig, fc), (c, h) = now[:4], scratch, after
        np.matmul(weight_hh, now[5], out=_as_matrix(gates))
        gates += a
        np.tanh(gates, out=gates)
        _from_tanh(now[:3])
        np.multiply(now[:2], now[3:5], out=scratch)
        np.add(ig, fc, out=c)
        np.tanh(c, out=ig)
        return np.multiply(now[2], ig, out=h)

    def find_factors(self, kept, c, factors):
        # With r = tanh(c): dc∘(first three) = da_i, da_f, da_g; dh∘r∘o∘(1 - o) = da_o; and
        # dh∘o∘(1 - r²) is what dc receives through h.
        i, _, o, g, _, _ = kept.swapaxes(0, 1)
        _, _, of_g, of_o, of_c = factors.swapaxes(0, 1)
        # The slopes s∘(1 - s) = s - s² of i, f and o; that of o goes on to its own place.
        np.multiply(kept[:, :3], kept[:, :3], out=factors[:, :3])
        np.subtract(kept[:, :3], factors[:, :3], out=factors[:, :3])
        factors[:, :2] *= kept[:, 3:5]
        r = np.tanh(c, out=of_c)
        np.multiply(factors[:, 2], r, out=of_o)
        of_c *= r
        np.subtract(1, of_c, out=of_c)
        of_c *= o
        np.multiply(g, g, out=of_g)
        np.subtract(1, of_g, out=of_g)
        of_g *= i

    def step_back(self, weight_hh, ds, factors, dy, now, dh, dc, u):
        dh += dy
        np.multiply(factors[4], dh, out=u)
        dc += u
        np.multiply(factors[:3], dc, out=ds[:3])
        np.multiply(factors[3], dh, out=ds[3])
        dc *= now[1]
        np.matmul(weight_hh, _as_matrix(ds), out=dh)


class ColumnsGRU(Columns):
    """n = tanh(a_n + r∘m), h = n + z∘(h_prev - n).  Keeps r, z, m, n and h_prev."""

    order = (0, 1, 2)
    sigmoids = slice(0, 2)
    slots, factors, back = 5, 4, 4
    # A step back writes da_n, da_r, da_z and da_n∘r: the first three belong to the input's share,
    # the last three to the recurrent sum.
    to_input, to_state, roll = slice(0, 3), slice(1, 4), 1
    bias_m = 0

    def added_bias(self):
        added = super().added_bias()
        if "bias_ih" in self.weights:
            # b_hn stands behind the reset gate: each step adds it to m.
            self.bias_m = self.weights["bias_hh"][2 * self.H :, None]
            added[2 * self.H :] = self.weights["bias_ih"][2 * self.H :]
        return added

    def step(self, weight_hh, a, now, after, _):
        (r, z, m, n, h_prev), (h,) = now, after
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
        return h

    def find_factors(self, kept, _, factors):
        # dh times these four: da_n, da_r, da_z and da_n∘r.
        r, z, m, n, h_prev = kept.swapaxes(0, 1)
        of_n, of_r, of_z, of_s = factors.swapaxes(0, 1)
        np.multiply(n, n, out=of_n)
        np.subtract(1, of_n, out=of_n)
        np.multiply(of_n, z, out=of_s)
        of_n -= of_s
        np.multiply(kept[:, :2], kept[:, :2], out=factors[:, 1:3])
        np.subtract(kept[:, :2], factors[:, 1:3], out=factors[:, 1:3])
        np.multiply(of_n, m, out=of_s)
        of_r *= of_s
        np.subtract(h_prev, n, out=of_s)
        of_z *= of_s
        np.multiply(of_n, r, out=of_s)

    def step_back(self, weight_hh, ds, factors, dy, now, dh, carried):
        dh += dy
        np.multiply(factors, dh, out=ds)
        np.multiply(now[1], dh, out=carried)
        np.matmul(weight_hh, _as_matrix(ds[1:]), out=dh)
        dh += carried
