"""Rung "inplace": inside the loop nothing is allocated, and a result is written where it stays.

The formulas are those of ``rnnlib.cells``; a test holds this rung equal to ``rnnlib.sequences``,
whose interface it has.  What is gained:

- The inputs' share is computed into the memory that the gates take over, and the recurrent product
  is added to it by the product itself (``addmm_``).
- The way back is linear in what comes in.  Its factors overwrite the gates on the way forward,
  while these are in the processor's cache; a step back is a few products.

torch cannot differentiate or batch what is written in place: second derivatives, forward mode and
``torch.func`` take ``rnnlib.sequences``.
"""

import torch

from rnnlib.sequences import Sequence, rows_before, steps_of

# δ∘s∘(1 - s), δ∘(1 - t²) and δ where h > 0, each in one pass.
_sigmoid_back = torch.ops.aten.sigmoid_backward.grad_input
_tanh_back = torch.ops.aten.tanh_backward.grad_input
_relu_back = torch.ops.aten.threshold_backward.grad_input


class InPlace(Sequence):
    """What the cells share.  A subclass writes one step forward and one step back.

    scratch: how many blocks of H columns a step forward may use as it likes.
    spare: how many (M, H) arrays of factors there are beside those in the place of the gates.
    back: how many blocks of H columns a step back writes.
    of_x, of_h: the blocks that belong to the inputs' sum, and to the recurrent one.
    """

    scratch, spare, back = 0, 0, 1
    of_x = of_h = slice(None)

    def __init__(self, weights):
        super().__init__(weights)
        self.H = weights["weight_hh"].shape[1]

    def forward(self, x, state, counts, reverse=False, keep=True):
        """As in ``Sequence``.  Kept are the factors of the way back."""
        H, (h, *cells), (M, N) = self.H, state, (len(x), len(state[0]))
        a = self.shares(x)
        y = self.outputs(a)
        spare = [x.new_empty(M, H) for _ in range(self.spare if keep else 0)]
        scratch = x.new_empty(N, self.scratch * H)
        cells = [c.clone() for c in cells]
        for rows, n in steps_of(counts, reverse):
            own = [c[:n] for c in cells], y[rows], [s[rows] for s in spare]
            self.step(a[rows], h[:n], *own, scratch[:n])
            h = y[rows] if n == N else torch.cat([y[rows], h[n:]])
        kept = (a, *spare) if keep and a is not y else ()
        return y, (h.clone(), *cells), kept

    def backward(self, dy, d_state, x, state, y, kept, counts, reverse=False, wanted=None):
        """As in ``Sequence``."""
        sums = x.new_empty(len(x), self.back * self.H)
        dh, *d_cells = (d.clone() for d in d_state)
        scratch = torch.empty_like(dh)
        for rows, n in reversed(steps_of(counts, reverse)):
            own = [k[rows] for k in kept], y[rows], dh[:n].add_(dy[rows])
            self.step_back(sums[rows], *own, [d[:n] for d in d_cells], scratch[:n])
        h_prev = rows_before(torch, state[0], y, counts, reverse)
        products = self.products([sums[:, self.of_x], sums[:, self.of_h]], x, kept, h_prev)
        wanted = ["x", *self.weights] if wanted is None else wanted
        return (dh, *d_cells), {name: products[name]() for name in wanted}

    def shares(self, x):
        """Return what the inputs add to the sums of all steps, the state's bias with it."""
        w = self.weights
        if "bias_ih" not in w:
            return x @ w["weight_ih"].T
        return torch.addmm(w["bias_ih"] + w["bias_hh"], x, w["weight_ih"].T)

    def outputs(self, a):
        """Return the memory of the outputs."""
        return a.new_empty(len(a), self.H)


class InPlaceRNN(InPlace):
    """h = f(a + h_prev W_hhᵀ); nothing is kept but the outputs."""

    def __init__(self, weights, nonlinearity="tanh"):
        super().__init__(weights)
        self.nonlinearity = nonlinearity

    def outputs(self, a):
        return a

    def step(self, a, h_prev, _, __, ___, ____):
        a.addmm_(h_prev, self.weights["weight_hh"].T)
        getattr(a, f"{self.nonlinearity}_")()

    def step_back(self, da, _, h, dh, __, ___):
        if self.nonlinearity == "relu":
            _relu_back(dh, h, 0, grad_input=da)
        else:
            _tanh_back(dh, h, grad_input=da)
        torch.mm(da, self.weights["weight_hh"], out=dh)


class InPlaceLSTM(InPlace):
    """c = f∘c_prev + i∘g, h = o∘tanh(c)."""

    scratch, spare, back = 2, 2, 4

    def step(self, a, h_prev, cells, h, factors, scratch):
        (c,), H = cells, self.H
        fc, ig = scratch.split(H, dim=1)
        i, f, g, o = a.split(H, dim=1)
        a.addmm_(h_prev, self.weights["weight_hh"].T)
        a[:, : 2 * H].sigmoid_()
        g.tanh_()
        o.sigmoid_()
        torch.mul(f, c, out=fc)
        torch.mul(i, g, out=ig)
        torch.add(fc, ig, out=c)
        r, of_before = factors or (h, None)
        torch.tanh(c, out=r)
        torch.mul(o, r, out=h)
        if of_before is not None:
            self.find_factors(i, f, g, o, r, of_before, fc, ig, h)

    def find_factors(self, i, f, g, o, r, of_before, fc, ig, h):
        # dc∘(i, f, g) become da_i, da_f, da_g, and dc∘f goes on to the step before; dh∘o becomes
        # da_o, and dh∘r what dc receives through h.
        of_before.copy_(f)
        torch.addcmul(i, ig, g, value=-1, out=g)
        torch.addcmul(ig, ig, i, value=-1, out=i)
        torch.addcmul(fc, fc, f, value=-1, out=f)
        torch.addcmul(o, h, r, value=-1, out=r)
        torch.addcmul(h, h, o, value=-1, out=o)

    def step_back(self, da, kept, _, dh, cells, __):
        (factors, of_c, of_before), (dc,), (n, H) = kept, cells, dh.shape
        dc.addcmul_(of_c, dh)
        factors, da_4 = factors.view(n, 4, H), da.view(n, 4, H)
        torch.mul(factors[:, :3], dc.unsqueeze(1), out=da_4[:, :3])
        torch.mul(factors[:, 3], dh, out=da_4[:, 3])
        dc.mul_(of_before)
        torch.mm(da, self.weights["weight_hh"], out=dh)


class InPlaceGRU(InPlace):
    """n = tanh(a_n + r∘m), h = n + z∘(h_prev - n).  The inputs' blocks stand as n, r, z here."""

    scratch, spare, back = 3, 2, 4
    # A step back writes da_n, da_r, da_z and da_n∘r; the last three belong to the recurrent sum.
    recurrent = 1

    def __init__(self, weights):
        super().__init__(weights)
        self.of_x, self.of_h = slice(0, 3 * self.H), slice(self.H, 4 * self.H)
        self.rolled = weights["weight_ih"].roll(self.H, 0)

    def shares(self, x):
        if "bias_ih" not in self.weights:
            return x @ self.rolled.T
        return torch.addmm(self.weights["bias_ih"].roll(self.H, 0), x, self.rolled.T)

    def step(self, a, h_prev, _, h, factors, s):
        w, H = self.weights, self.H
        if "bias_hh" in w:
            torch.addmm(w["bias_hh"], h_prev, w["weight_hh"].T, out=s)
        else:
            torch.mm(h_prev, w["weight_hh"].T, out=s)
        n, r, z = a.split(H, dim=1)
        a[:, H:].add_(s[:, : 2 * H]).sigmoid_()
        n.addcmul_(r, s[:, 2 * H :]).tanh_()
        torch.lerp(n, h_prev, z, out=h)
        if factors:
            self.find_factors(n, r, z, h_prev, *factors, *s.split(H, dim=1))

    def find_factors(self, n, r, z, h_prev, of_s, of_before, move, rest, m):
        # dh∘(n, r, z, of_s) become da_n, da_r, da_z, da_n∘r; dh∘of_before goes past the gates.
        of_before.copy_(z)
        torch.sub(h_prev, n, out=move)
        torch.mul(z, -1, out=rest).add_(1)
        _tanh_back(rest, n, grad_input=n)
        _sigmoid_back(move, z, grad_input=z)
        torch.mul(n, r, out=of_s)
        m.mul_(n)
        _sigmoid_back(m, r, grad_input=r)

    def step_back(self, sums, kept, _, dh, __, carried):
        (factors, of_s, of_before), (n, H) = kept, dh.shape
        blocks = sums.view(n, 4, H)
        torch.mul(factors.view(n, 3, H), dh.unsqueeze(1), out=blocks[:, :3])
        torch.mul(of_s, dh, out=blocks[:, 3])
        torch.mul(of_before, dh, out=carried)
        torch.addmm(carried, sums[:, H:], self.weights["weight_hh"], out=dh)

    def products(self, shares, x, kept, h_prev):
        products, da = super().products(shares, x, kept, h_prev), shares[0]
        back = {k: products[k] for k in ("weight_ih", "bias_ih")}
        return products | {
            "x": lambda: da @ self.rolled,
            **{k: lambda product=p: product().roll(-self.H, 0) for k, p in back.items()},
        }
