"""The cells on columns: one step forward, the factors of the way back, one step back of each.

See ``columns`` for the plan that they share.
"""

import numpy as np

from rnnlib.layers.columns import Columns, as_matrix


def _from_tanh(s):
    """Turn tanh(a/2) into σ(a)."""
    s *= 0.5
    s += 0.5


class ColumnsRNN(Columns):
    """h = f([b, W_ih, W_hh] [1; x; h_prev])."""

    def __init__(self, weights, memory, nonlinearity="tanh"):
        super().__init__(weights, memory)
        self.nonlinearity = nonlinearity

    def weights_ahead(self):
        halved = 1 if self.nonlinearity == "sigmoid" else 0
        return self.all_weights((0,), halved)

    def cut(self, now, after, columns, h, scratch):
        return columns[:-1], h

    def step(self, weights, entering, h):
        np.matmul(weights, entering, out=h)
        if self.nonlinearity == "relu":
            np.maximum(h, 0, out=h)
            return
        np.tanh(h, out=h)
        if self.nonlinearity == "sigmoid":
            _from_tanh(h)

    def find_factors(self, now, after, h_prev, h, factors):
        slope = factors[:, 0]
        if self.nonlinearity == "relu":
            np.greater(h, 0, out=slope)
        else:
            np.multiply(h, h, out=slope)
            np.subtract(1 if self.nonlinearity == "tanh" else h, slope, out=slope)

    def cut_back(self, ds, factors, dy, now, carried):
        return ds[0], factors[0], dy, carried[0]

    def step_back(self, weight_hh, ds, slope, dy, dh):
        dh += dy
        np.multiply(slope, dh, out=ds)
        np.matmul(weight_hh, ds, out=dh)


class ColumnsLSTM(Columns):
    """c = f∘c_prev + i∘g, h = o∘tanh(c).  Keeps i, f, o, g and c_prev, in this order."""

    keeps, cells, factors, back = 4, 1, 5, 4

    def weights_ahead(self):
        return self.all_weights((0, 1, 3, 2), 3)

    def cut(self, now, after, columns, h, scratch):
        gates = now[:4]
        views = as_matrix(gates), columns[:-1], gates, now[:3], now[:2], now[3:5], scratch
        return *views, *scratch, now[2], after[4], h

    def step(self, weights, sums, entering, gates, ifo, i_f, g_c_prev, both, ig, fc, o, c, h):
        np.matmul(weights, entering, out=sums)
        np.tanh(gates, out=gates)
        _from_tanh(ifo)
        np.multiply(i_f, g_c_prev, out=both)
        np.add(ig, fc, out=c)
        np.tanh(c, out=ig)
        np.multiply(o, ig, out=h)

    def find_factors(self, now, after, h_prev, h, factors):
        # With r = tanh(c): dc∘(first three) = da_i, da_f, da_g; dh∘h∘(1 - o) = da_o, as h = o∘r;
        # and dh∘o∘(1 - r²) = dh∘(o - h∘r) is what dc receives through h.
        i, _, o, g, _ = now.swapaxes(0, 1)
        _, _, of_g, of_o, of_c = factors.swapaxes(0, 1)
        # The slopes s∘(1 - s) = s - s² of i and f, times what these multiply: g and c_prev.
        np.multiply(now[:, :2], now[:, :2], out=factors[:, :2])
        np.subtract(now[:, :2], factors[:, :2], out=factors[:, :2])
        factors[:, :2] *= now[:, 3:5]
        np.multiply(o, h, out=of_o)
        np.subtract(h, of_o, out=of_o)
        np.tanh(after[:, 4], out=of_c)
        of_c *= h
        np.subtract(o, of_c, out=of_c)
        np.multiply(g, g, out=of_g)
        np.subtract(1, of_g, out=of_g)
        of_g *= i

    def cut_back(self, ds, factors, dy, now, carried):
        to_gates = factors[:3], ds[:3], factors[3], ds[3], factors[4], now[1], as_matrix(ds)
        return *to_gates, dy, *carried

    def step_back(self, weight_hh, of_ifg, d_ifg, of_o, d_o, of_c, f, ds, dy, dh, dc, through_h):
        dh += dy
        np.multiply(of_c, dh, out=through_h)
        dc += through_h
        np.multiply(of_ifg, dc, out=d_ifg)
        np.multiply(of_o, dh, out=d_o)
        dc *= f
        np.matmul(weight_hh, ds, out=dh)


class ColumnsGRU(Columns):
    """n = tanh(a_n + r∘m), h = n + z∘(h_prev - n).  Keeps r, z, m and n."""

    keeps, factors, back = 4, 4, 4
    # A step back writes da_n, da_r, da_z and da_n∘r: the first three belong to the input's share,
    # the last three to the recurrent sum.
    to_input, to_state, roll = slice(0, 3), slice(1, 4), 1

    def weights_ahead(self):
        # b_hn stands with W_hn, behind the reset gate.
        b_ih, b_hh = self.biases()
        weight_ih, weight_hh = self.weights["weight_ih"], self.weights["weight_hh"]
        return (
            self.all_weights((0, 1), 2),
            self.stacked("weight_in", (2,), 0, b_ih, weight_ih),
            self.stacked("weight_hn", (2,), 0, weight_hh, b_hh),
        )

    def cut(self, now, after, columns, h, scratch):
        gates, h_prev = now[:2], columns[self.h_rows]
        entering = columns[:-1], columns[: 1 + self.I], columns[1 + self.I :]
        return entering, as_matrix(gates), gates, tuple(now), scratch[0], h_prev, h

    def step(self, weights, entering, sums, gates, kept, a_n, h_prev, h):
        r, z, m, n = kept
        for weight, columns, out in zip(weights, entering, (sums, a_n, m), strict=True):
            np.matmul(weight, columns, out=out)
        np.tanh(gates, out=gates)
        _from_tanh(gates)
        np.multiply(r, m, out=n)
        n += a_n
        np.tanh(n, out=n)
        np.subtract(h_prev, n, out=h)
        h *= z
        h += n

    def find_factors(self, now, after, h_prev, h, factors):
        # dh times these four: da_n, da_r, da_z and da_n∘r.
        r, z, m, n = now.swapaxes(0, 1)
        of_n, of_r, of_z, of_s = factors.swapaxes(0, 1)
        np.multiply(n, n, out=of_n)
        np.subtract(1, of_n, out=of_n)
        np.multiply(of_n, z, out=of_s)
        of_n -= of_s
        np.multiply(now[:, :2], now[:, :2], out=factors[:, 1:3])
        np.subtract(now[:, :2], factors[:, 1:3], out=factors[:, 1:3])
        np.multiply(of_n, m, out=of_s)
        of_r *= of_s
        np.subtract(h_prev, n, out=of_s)
        of_z *= of_s
        np.multiply(of_n, r, out=of_s)

    def cut_back(self, ds, factors, dy, now, carried):
        return ds, factors, dy, now[1], as_matrix(ds[1:]), *carried[:2]

    def step_back(self, weight_hh, ds, factors, dy, z, to_state, dh, along):
        dh += dy
        np.multiply(factors, dh, out=ds)
        np.multiply(z, dh, out=along)
        np.matmul(weight_hh, to_state, out=dh)
        dh += along
