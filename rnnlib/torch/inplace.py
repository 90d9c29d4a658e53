"""Rung "inplace": inside the loop nothing is allocated, and a result is written where it stays.

The formulas are those of ``rnnlib.cells``; a test holds this rung equal to ``rnnlib.sequences``,
whose interface it has.  What is gained:

- The inputs' share is computed into the memory that the gates take over, and the recurrent product
  is added to it by the product itself (``addmm_``).
- The way back is linear in what comes in.  Its factors need no order: they are found for all steps
  at once, and overwrite the gates.  A step back is a few products.
- Inside the loop Python only calls torch: the views of all steps are cut before it.
- On the CPU torch's tanh takes several times as long as its sigmoid.  2σ(2x) - 1 is the same
  function, off by three units in the last place of 1 at most.

torch cannot differentiate or batch what is written in place: second derivatives, forward mode and
``torch.func`` take ``rnnlib.sequences``.
"""

import torch

from rnnlib.sequences import Sequence, replaced, rows_before

# δ∘s∘(1 - s), δ∘(1 - t²) and δ where h > 0, each in one pass.
_sigmoid_back = torch.ops.aten.sigmoid_backward.grad_input
_tanh_back = torch.ops.aten.tanh_backward.grad_input
_relu_back = torch.ops.aten.threshold_backward.grad_input

# Up to here torch's tanh takes no longer than three operations.
SMALL = 512


class InPlace(Sequence):
    """What the cells share.  A subclass writes one step forward and one step back.

    back: how many blocks of H columns a step back writes.
    of_x, of_h: the blocks that belong to the inputs' sum, and to the recurrent one.
    """

    back = 1
    of_x = of_h = slice(None)

    def __init__(self, weights):
        super().__init__(weights)
        self.w_hh = weights["weight_hh"]
        self.w_hh_T, self.H = self.w_hh.T, self.w_hh.shape[1]
        self.minus_1 = self.w_hh.new_full((), -1)

    def forward(self, x, state, counts, reverse=False, keep=True):
        """As in ``Sequence``.  Kept are the factors of the way back."""
        arrays = self.memory(self.shares(x), keep)
        for n, step in _steps(counts, reverse, arrays):
            now = state if n == len(state[0]) else [s[:n] for s in state]
            self.step(*now, *step)
            state = replaced(state, step[: self.states])
        state = tuple(s.clone() for s in state)
        return arrays[0], state, self.factors(*arrays) if keep else ()

    def backward(self, dy, d_state, x, state, y, kept, counts, reverse=False, wanted=None):
        """As in ``Sequence``."""
        sums = x.new_empty(len(x), self.back * self.H)
        d_state = tuple(d.clone() for d in d_state)
        arrays = dy, *self.of_back(y, *kept), sums[:, self.of_h], *sums.split(self.H, dim=1)
        for n, (dy_t, *step) in _steps(counts, not reverse, arrays):
            dh, *d_cells = d_state if n == len(d_state[0]) else [d[:n] for d in d_state]
            self.step_back(dh.add_(dy_t), *d_cells, *step)
        da, ds = sums[:, self.of_x], sums[:, self.of_h]
        products = self.products([da, ds], x, kept, None)
        products["weight_hh"] = lambda: _by_states(ds, state[0], y, counts, reverse)
        wanted = ["x", *self.weights] if wanted is None else wanted
        return d_state, {name: products[name]() for name in wanted}

    def shares(self, x):
        """Return what the inputs add to the sums of all steps, the state's bias with it."""
        w = self.weights
        if "bias_ih" not in w:
            return x @ w["weight_ih"].T
        return torch.addmm(w["bias_ih"] + w["bias_hh"], x, w["weight_ih"].T)

    def tanh(self, x, out):
        """Write tanh(x) = 2σ(2x) - 1, or tanh(x) where three starts cost more than they save."""
        if x.numel() < SMALL:
            torch.tanh(x, out=out)
            return
        torch.add(x, x, out=out).sigmoid_()
        torch.add(self.minus_1, out, alpha=2, out=out)


def _steps(counts, reverse, arrays):
    """Return for every step how many rows it has, and its views of the arrays."""
    views = (array.split_with_sizes(counts) for array in arrays)
    steps = [*zip(counts, zip(*views, strict=True), strict=True)]
    return steps[::-1] if reverse else steps


def _by_states(ds, h_0, y, counts, reverse):
    """Return dsᵀ h_prev; where all sequences are equally long, h_prev is not copied together."""
    N = len(h_0)
    if counts[-1] < N or len(y) == N:
        return ds.T @ rows_before(torch, h_0, y, counts, reverse)
    first, later = (ds[-N:], ds[:-N]) if reverse else (ds[:N], ds[N:])
    return torch.addmm(first.T @ h_0, later.T, y[N:] if reverse else y[:-N])


class InPlaceRNN(InPlace):
    """h = f(a + h_prev W_hhᵀ); nothing is kept but the outputs."""

    def __init__(self, weights, nonlinearity="tanh"):
        super().__init__(weights)
        self.nonlinearity = nonlinearity

    def memory(self, a, keep):
        return (a,)

    def step(self, h_prev, h):
        h.addmm_(h_prev, self.w_hh_T)
        if self.nonlinearity == "relu":
            h.relu_()
        else:
            self.tanh(h, out=h)

    def factors(self, h):
        return ()

    def of_back(self, h):
        return (h,)

    def step_back(self, dh, h, da, _):
        if self.nonlinearity == "relu":
            _relu_back(dh, h, 0, grad_input=da)
        else:
            _tanh_back(dh, h, grad_input=da)
        torch.mm(da, self.w_hh, out=dh)


class InPlaceLSTM(InPlace):
    """c = f∘c_prev + i∘g, h = o∘r with r = tanh(c)."""

    states, back = 2, 4

    def memory(self, a, keep):
        h, c = (a.new_empty(len(a), self.H) for _ in range(2))
        return h, c, torch.empty_like(c) if keep else h, a, *a.split(self.H, dim=1)

    def step(self, h_prev, c_prev, h, c, r, a, i, f, g, o):
        a.addmm_(h_prev, self.w_hh_T)
        g.add_(g)
        a.sigmoid_()
        torch.add(self.minus_1, g, alpha=2, out=g)
        torch.mul(f, c_prev, out=c).addcmul_(i, g)
        self.tanh(c, out=r)
        torch.mul(o, r, out=h)

    def factors(self, h, c, r, a, i, f, g, o):
        # dc∘(i, c, g) become da_i, da_f, da_g, and dc∘f goes on to the step before; dh∘o becomes
        # da_o, and dh∘r what dc receives through h.
        ig = i * g
        fc = c.sub_(ig)
        torch.addcmul(fc, fc, f, value=-1, out=c)
        torch.addcmul(i, ig, g, value=-1, out=g)
        torch.addcmul(ig, ig, i, value=-1, out=i)
        torch.addcmul(o, h, r, value=-1, out=r)
        torch.addcmul(h, h, o, value=-1, out=o)
        return a, c, r

    def of_back(self, h, factors, of_f, of_c):
        return of_c, of_f, *factors.split(self.H, dim=1)

    def step_back(self, dh, dc, of_c, of_f, i, before, g, o, da, da_i, da_f, da_g, da_o):
        dc.addcmul_(of_c, dh)
        torch.mul(dc, i, out=da_i)
        torch.mul(dc, of_f, out=da_f)
        torch.mul(dc, g, out=da_g)
        torch.mul(dh, o, out=da_o)
        dc.mul_(before)
        torch.mm(da, self.w_hh, out=dh)


class InPlaceGRU(InPlace):
    """n = tanh(a_n + r∘m), h = n + z∘(h_prev - n).  The inputs' blocks stand as n, r, z here."""

    # A step back writes da_n, da_r, da_z and da_n∘r; the last three belong to the recurrent sum.
    recurrent, back = 1, 4

    def __init__(self, weights):
        super().__init__(weights)
        H = self.H
        self.of_x, self.of_h = slice(0, 3 * H), slice(H, 4 * H)
        self.rolled = weights["weight_ih"].roll(H, 0)
        self.w_rz, self.w_n = self.w_hh_T.split([2 * H, H], dim=1)
        self.b_n = weights["bias_hh"][2 * H :] if "bias_hh" in weights else None

    def shares(self, x):
        if self.b_n is None:
            return x @ self.rolled.T
        bias = self.weights["bias_ih"].roll(self.H, 0)
        bias[self.H :] += self.weights["bias_hh"][: 2 * self.H]
        return torch.addmm(bias, x, self.rolled.T)

    def memory(self, a, keep):
        h, m = (a.new_empty(len(a), self.H) for _ in range(2))
        return h, m, a, a[:, self.H :], *a.split(self.H, dim=1)

    def step(self, h_prev, h, m, _, rz, n, r, z):
        rz.addmm_(h_prev, self.w_rz).sigmoid_()
        torch.mm(h_prev, self.w_n, out=m)
        if self.b_n is not None:
            m.add_(self.b_n)
        n.addcmul_(r, m)
        self.tanh(n, out=n)
        torch.lerp(n, h_prev, z, out=h)

    def factors(self, h, m, a, _, n, r, z):
        # dh∘(n, r, of_z, of_s) become da_n, da_r, da_z, da_n∘r; dh∘z goes past the gates.
        rest = 1 - z
        of_z = torch.sub(h, n).mul_(rest)
        _tanh_back(rest, n, grad_input=n)
        of_s = torch.mul(n, r, out=rest)
        _sigmoid_back(m.mul_(n), r, grad_input=r)
        return a, of_z, of_s

    def of_back(self, h, factors, of_z, of_s):
        return of_z, of_s, *factors.split(self.H, dim=1)

    def step_back(self, dh, of_z, of_s, n, r, before, ds, da_n, da_r, da_z, da_s):
        torch.mul(dh, n, out=da_n)
        torch.mul(dh, r, out=da_r)
        torch.mul(dh, of_z, out=da_z)
        torch.mul(dh, of_s, out=da_s)
        dh.mul_(before).addmm_(ds, self.w_hh)

    def products(self, shares, x, kept, h_prev):
        products, da = super().products(shares, x, kept, h_prev), shares[0]
        back = {k: products[k] for k in ("weight_ih", "bias_ih")}
        return products | {
            "x": lambda: da @ self.rolled,
            **{k: lambda product=p: product().roll(-self.H, 0) for k, p in back.items()},
        }
