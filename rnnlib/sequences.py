"""Whole sequences by the equations of ``rnnlib.cells``, forward and backward, for any array.

The steps of a batch stand below one another as rows, as in torch's ``PackedSequence``: first those
of the first step, then those of the second.  Longest sequences come first, so that the sequences
which still run at step t are the first ``counts[t]`` rows of the batch.  The rows of the state
behind them stay as they are: that is all there is to unequal lengths, in both directions and on
both ways.

Products that need no order are done for all steps at once: the inputs' share before the loop, the
weights' gradients after it.  Nothing is written in place, so torch can differentiate ``backward``
once more.
"""

from array_api_compat import array_namespace

from rnnlib import cells


class Sequence:
    """What the cells share.  A subclass writes one step forward and one step back.

    weights: dict with weight_ih and weight_hh, and, where the layer has them, bias_ih, bias_hh,
        weight_hr and weight_peephole, packed as in torch.
    states: how many parts the state has.
    recurrent: which of the shares that a step back leaves belongs to the recurrent sum.
    """

    states = 1
    recurrent = 0

    def __init__(self, weights):
        self.weights = weights

    def forward(self, x, state, counts, reverse=False, keep=True):
        """Run over the rows x: (M, I) from the state, a tuple of (N, ·).

        counts: how many sequences run at each step; they add up to M.
        reverse: whether to begin at the last step; every sequence then starts at its own end.

        Returns the rows of outputs y: (M, R), the state after the last step of each sequence, and
        what ``backward`` needs besides, a tuple of arrays with M rows; with keep=False nothing.
        """
        xp, w = array_namespace(x), self.weights
        a = cells.linear(x, w["weight_ih"], w.get("bias_ih"))
        outputs, caches = [], []
        for rows, n in steps_of(counts, reverse):
            new, cache = self.step(a[rows, ...], *(s[:n, ...] for s in state))
            state = replaced(state, new)
            outputs.append(new[0])
            caches.append(cache if keep else ())
        del a
        kept = _gathered(xp, caches, reverse)
        return _in_order(xp, outputs, reverse), state, tuple(kept)

    def backward(self, dy, d_state, x, state, y, kept, counts, reverse=False, wanted=None):
        """Go back through ``forward``, given the gradients of y and of the state after.

        x, state, counts and reverse are what ``forward`` was given, y and kept what it returned.
        wanted: "x" and the names of weights whose gradients are to be computed; None for all.

        Returns the gradient of the state before, and a dict with the gradients of x and the weights
        that are wanted.
        """
        xp = array_namespace(x)
        h_prev = rows_before(xp, state[0], y, counts, reverse)
        shares = []
        for rows, n in reversed(steps_of(counts, reverse)):
            dh = d_state[0][:n, ...] + dy[rows, ...]
            cache = [array[rows, ...] for array in kept]
            share, before = self.step_back(
                cache, y[rows, ...], h_prev[rows, ...], dh, *(d[:n, ...] for d in d_state[1:])
            )
            d_state = replaced(d_state, before)
            shares.append(share)
        products = self.products(_gathered(xp, shares, not reverse), x, kept, h_prev)
        wanted = ["x", *self.weights] if wanted is None else wanted
        return d_state, {name: products[name]() for name in wanted}

    def products(self, shares, x, kept, h_prev):
        """Return by name how to compute the gradients of x and of the weights.

        shares: one row a step and example; first that of the inputs' sum, (M, gates·H).
        """
        xp, da, ds = array_namespace(x), shares[0], shares[self.recurrent]
        return {
            "x": lambda: da @ self.weights["weight_ih"],
            "weight_ih": lambda: da.T @ x,
            "weight_hh": lambda: ds.T @ h_prev,
            "bias_ih": lambda: xp.sum(da, axis=0),
            "bias_hh": lambda: xp.sum(ds, axis=0),
        }


def steps_of(counts, reverse):
    """Return (slice of rows, number of rows) of every step, in the order of the way forward."""
    steps, end = [], 0
    for n in counts:
        end += n
        steps.append((slice(end - n, end), n))
    return steps[::-1] if reverse else steps


def replaced(state, new):
    """Return the state with its first rows replaced."""
    if state[0].shape[0] == new[0].shape[0]:
        return tuple(new)
    concat = array_namespace(*new).concat
    return tuple(concat([u, s[u.shape[0] :, ...]]) for u, s in zip(new, state, strict=True))


def _gathered(xp, steps, reverse):
    """Turn a list with a tuple of arrays for each step into one array of rows for each place.

    The list is emptied, place by place, so that no more than one place is held twice.
    """
    places = [list(place) for place in zip(*steps, strict=True)]
    steps.clear()
    rows = []
    while places:
        rows.append(_in_order(xp, places.pop(0), reverse))
    return rows


def _in_order(xp, parts, reverse):
    return xp.concat(parts[::-1] if reverse else parts)


def rows_before(xp, h, y, counts, reverse):
    """Return the rows of h from which each step set out."""
    N = h.shape[0]
    if counts[-1] == N:
        return xp.concat([y[N:, ...], h] if reverse else [h, y[:-N, ...]])
    parts = []
    for rows, n in steps_of(counts, reverse):
        parts.append(h[:n, ...])
        (h,) = replaced((h,), (y[rows, ...],))
    return _in_order(xp, parts, reverse)


class RNNSequence(Sequence):
    """The Elman network; nonlinearity as in ``cells.rnn_forward``."""

    def __init__(self, weights, nonlinearity="tanh"):
        super().__init__(weights)
        self.nonlinearity = nonlinearity

    def step(self, a, h):
        w = self.weights
        h = cells.rnn_forward(a, h, w["weight_hh"], w.get("bias_hh"), self.nonlinearity)
        return (h,), ()

    def step_back(self, cache, h, h_prev, dh):
        da, dh_prev = cells.rnn_backward(dh, h, self.weights["weight_hh"], self.nonlinearity)
        return (da,), (dh_prev,)


class LSTMSequence(Sequence):
    """The LSTM, with peepholes and a projection where the weights have them."""

    states = 2

    def _variant(self):
        w = self.weights
        return {"peephole": w.get("weight_peephole"), "weight_hr": w.get("weight_hr")}

    def step(self, a, h, c):
        w = self.weights
        return cells.lstm_forward(a, h, c, w["weight_hh"], w.get("bias_hh"), **self._variant())

    def step_back(self, cache, h, h_prev, dh, dc):
        da, *before = cells.lstm_backward(
            dh, dc, cache, self.weights["weight_hh"], **self._variant()
        )
        return (da, dh) if "weight_hr" in self.weights else (da,), before

    def products(self, shares, x, kept, h_prev):
        xp, (da, *dh) = array_namespace(x), shares
        i, f, g, o, r, c_prev = kept

        def weight_peephole():
            H = c_prev.shape[1]
            c, da_o = f * c_prev + i * g, da[:, 3 * H :]
            seen = [da[:, :H] * c_prev, da[:, H : 2 * H] * c_prev, da_o * c]
            return xp.concat([xp.sum(share, axis=0) for share in seen])

        return super().products(shares, x, kept, h_prev) | {
            "weight_hr": lambda: dh[0].T @ (o * r),
            "weight_peephole": weight_peephole,
        }


class GRUSequence(Sequence):
    """The GRU of torch and cuDNN, which resets after the recurrent product."""

    recurrent = 1

    def step(self, a, h):
        w = self.weights
        h, (*cache, _) = cells.gru_forward(a, h, w["weight_hh"], w.get("bias_hh"))
        return (h,), cache

    def step_back(self, cache, h, h_prev, dh):
        *shares, before = cells.gru_backward(dh, (*cache, h_prev), self.weights["weight_hh"])
        return shares, (before,)


class ResetBeforeGRUSequence(Sequence):
    """The GRU that resets before the recurrent product."""

    def step(self, a, h):
        w = self.weights
        h, (*cache, _) = cells.gru_reset_before_forward(a, h, w["weight_hh"], w.get("bias_hh"))
        return (h,), cache

    def step_back(self, cache, h, h_prev, dh):
        da, before = cells.gru_reset_before_backward(
            dh, (*cache, h_prev), self.weights["weight_hh"]
        )
        return (da,), (before,)

    def products(self, shares, x, kept, h_prev):
        xp, (ds,), (r, *_) = array_namespace(x), shares, kept

        def weight_hh():
            # The rows of the candidate saw r∘h_prev.
            H = 2 * h_prev.shape[1]
            return xp.concat([ds[:, :H].T @ h_prev, ds[:, H:].T @ (r * h_prev)])

        return super().products(shares, x, kept, h_prev) | {"weight_hh": weight_hh}
