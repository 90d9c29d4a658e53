"""A block of time steps by the equations of ``rnnlib.cells``, for every variant of every cell.

A block is one direction of one layer over some steps.  Rows are the examples of the batch, longest
sequence first, so that the sequences still running at step t are the first ``active[t]`` rows.
The rows behind them keep their last state: that is all there is to variable lengths, forward and
backward.

``columns`` does the same in place for the common variants.
"""

import numpy as np

from rnnlib import cells


class Plain:
    """What the cells share.  A subclass writes one step forward and one step back.

    weights: dict with weight_ih and weight_hh, and, where the layer has them, bias_ih, bias_hh,
    weight_hr and weight_peephole.
    """

    def __init__(self, weights):
        self.weights = weights

    def block(self, x):
        """Return the number of steps after which a block should end: all of them."""
        return len(x)

    def forward(self, x, state, active, slot=0):
        """Run over x: (k, N, I) from the state, a tuple of (N, ·).

        active: k numbers, the rows still running at each step.
        Returns y: (k, N, R), with zeros where a sequence is over, the state after, and the cache.
        """
        w = self.weights
        y = np.zeros((*x.shape[:2], state[0].shape[1]), x.dtype)
        h_0, caches = state[0], []
        a = cells.linear(x, w["weight_ih"], w.get("bias_ih"))
        for t, n in enumerate(active):
            new, cache = self.step(a[t, :n], *(s[:n] for s in state))
            state = tuple(np.concatenate([u, s[n:]]) for u, s in zip(new, state, strict=True))
            y[t, :n] = new[0]
            caches.append((cache, new))
        return y, state, (np.concatenate([h_0[None], y[:-1]]), caches)

    def backward(self, dy, d_state, x, cache, active, dx, grads):
        """Go back through ``forward``, given the gradients of y and of the state after.

        Writes the gradient of x into dx: (k, N, I), adds the weights' shares to grads, a ``Grads``,
        and returns the gradient of the state before.
        """
        h_prev, caches = cache
        steps = []
        for t in reversed(range(len(active))):
            n = active[t]
            dh = d_state[0][:n] + dy[t, :n]
            da, ds, *before = self.step_back(caches[t][0], dh, *(d[:n] for d in d_state[1:]))
            d_state = tuple(
                np.concatenate([u, d[n:]]) for u, d in zip(before, d_state, strict=True)
            )
            steps.append((da, ds, dh))
        # The rows of all steps, one step after the other.
        da, ds, dh = map(np.concatenate, zip(*reversed(steps), strict=True))
        running = np.arange(x.shape[1]) < np.asarray(active)[:, None]
        dx[...] = 0
        dx[running] = da @ self.weights["weight_ih"]
        grads.add_product("weight_ih", da.T, x[running])
        self.add_weight_hh(ds, h_prev[running], caches, grads)
        if "bias_ih" in self.weights:
            grads.add("bias_ih", da.sum(axis=0))
            grads.add("bias_hh", ds.sum(axis=0))
        self.add_more(ds, dh, caches, grads)
        return d_state

    def add_weight_hh(self, ds, h_prev, caches, grads):
        """Add the share of weight_hh: most cells multiply it with the state before."""
        grads.add_product("weight_hh", ds.T, h_prev)

    def add_more(self, ds, dh, caches, grads):
        """Add the shares of weights that only this cell has."""


def _over_time(caches, place):
    return np.concatenate([cache[place] for cache, _ in caches])


class PlainRNN(Plain):
    def __init__(self, weights, nonlinearity="tanh"):
        super().__init__(weights)
        self.nonlinearity = nonlinearity

    def step(self, a, h):
        w = self.weights
        h = cells.rnn_forward(a, h, w["weight_hh"], w.get("bias_hh"), self.nonlinearity)
        return (h,), h

    def step_back(self, h, dh):
        da, dh_prev = cells.rnn_backward(dh, h, self.weights["weight_hh"], self.nonlinearity)
        return da, da, dh_prev


class PlainLSTM(Plain):
    def _variant(self):
        w = self.weights
        return {"peephole": w.get("weight_peephole"), "weight_hr": w.get("weight_hr")}

    def step(self, a, h, c):
        w = self.weights
        return cells.lstm_forward(a, h, c, w["weight_hh"], w.get("bias_hh"), **self._variant())

    def step_back(self, cache, dh, dc):
        da, *before = cells.lstm_backward(
            dh, dc, cache, self.weights["weight_hh"], **self._variant()
        )
        return da, da, *before

    def add_more(self, ds, dh, caches, grads):
        if "weight_hr" in self.weights:
            unprojected = _over_time(caches, 3) * _over_time(caches, 4)
            grads.add_product("weight_hr", dh.T, unprojected)
        if "weight_peephole" in self.weights:
            c = np.concatenate([new[1] for _, new in caches])
            c_prev, H = _over_time(caches, 5), c.shape[1]
            seen = np.hstack([c_prev, c_prev, c])
            gates = np.r_[: 2 * H, 3 * H : 4 * H]
            grads.add("weight_peephole", (ds[:, gates] * seen).sum(axis=0))


class PlainGRU(Plain):
    def step(self, a, h):
        w = self.weights
        h, cache = cells.gru_forward(a, h, w["weight_hh"], w.get("bias_hh"))
        return (h,), cache

    def step_back(self, cache, dh):
        return cells.gru_backward(dh, cache, self.weights["weight_hh"])


class PlainResetBeforeGRU(Plain):
    def step(self, a, h):
        w = self.weights
        h, cache = cells.gru_reset_before_forward(a, h, w["weight_hh"], w.get("bias_hh"))
        return (h,), cache

    def step_back(self, cache, dh):
        da, dh_prev = cells.gru_reset_before_backward(dh, cache, self.weights["weight_hh"])
        return da, da, dh_prev

    def add_weight_hh(self, ds, h_prev, caches, grads):
        # The rows of the candidate saw r∘h_prev.
        H = h_prev.shape[1]
        q = _over_time(caches, 0) * h_prev
        grads.add("weight_hh", np.concatenate([ds[:, : 2 * H].T @ h_prev, ds[:, 2 * H :].T @ q]))
