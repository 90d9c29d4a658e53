"""The GRU as two Triton kernels that keep the recurrent weights on chip over all time steps.

Read ``rnn`` and ``lstm`` first: what lives where, and why, is the same.  Three things differ.

- The reset gate stands behind the recurrent product, r∘m with m = W_hn h + b_hn.  So b_hn cannot
  join the inputs' share, and m is kept beside the gates.
- Going back, the sum inside n and m receive different gradients, da_n and da_n∘r: the inputs'
  weights take the first, the recurrent ones the second.
- Of the state before, dh∘z arrives directly, past the products.

A step and an example read 3H values and write 5H (the gates, m, h); going back they read 6H (the
gates, m, h before, dy) and write 6H (the gradients of both sums).

The formulas are those of ``rnnlib.cells.gru_forward`` and ``gru_backward``; gates stand in torch's
order r, z, n.
"""

import torch
import triton
import triton.language as tl

from rnnlib.torch.kernels.common import SIZES, OnChip, product, tanh


@triton.jit(do_not_specialize=SIZES)
def gru_forward_kernel(
    a,  # (T·N, 3H), the inputs' share; the gates r, z, n take its place when they are kept
    w,  # (3H, H)
    bias,  # (H,), b_hn
    h_0,  # (N, H)
    y,  # (T·N, H), written
    kept,  # (T·N, H), written when kept: m
    h_T,  # (N, H), written
    T,
    N,
    first,
    stride,
    H: tl.constexpr,
    KEEP: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    FLOAT: tl.constexpr,
    OPERAND: tl.constexpr,
    PRECISION: tl.constexpr,
):
    example = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None]
    j = tl.arange(0, COLUMNS)[None, :]
    mine = (example < N) & (j < H)
    k = tl.arange(0, COLUMNS)[:, None]
    square = (k < H) & (j < H)
    w += j * H + k
    w_r = tl.load(w, square, 0.0)
    w_z = tl.load(w + H * H, square, 0.0)
    w_n = tl.load(w + 2 * H * H, square, 0.0)
    b_n = tl.load(bias + j, j < H, 0.0).to(FLOAT)
    h = tl.load(h_0 + example * H + j, mine, 0.0).to(FLOAT)
    for step in range(T):
        row = (first + stride * step).to(tl.int64) * N
        at = a + row * 3 * H + (example * 3 * H + j)
        a_r = tl.load(at, mine, 0.0)
        a_z = tl.load(at + H, mine, 0.0)
        a_n = tl.load(at + 2 * H, mine, 0.0)
        r = tl.sigmoid(a_r + product(h, w_r, OPERAND, PRECISION))
        z = tl.sigmoid(a_z + product(h, w_z, OPERAND, PRECISION))
        m = product(h, w_n, OPERAND, PRECISION) + b_n
        n = tanh(a_n + r * m)
        here = row * H + (example * H + j)
        if KEEP:
            tl.store(at, r, mine)
            tl.store(at + H, z, mine)
            tl.store(at + 2 * H, n, mine)
            tl.store(kept + here, m, mine)
        h = tl.where(mine, (1 - z) * n + z * h, 0.0)
        tl.store(y + here, h, mine)
    tl.store(h_T + example * H + j, h, mine)


@triton.jit(do_not_specialize=SIZES)
def gru_backward_kernel(
    dy,  # (T·N, H)
    dh_T,  # (N, H)
    w,  # (3H, H)
    gates,  # (T·N, 3H)
    kept,  # (T·N, H), m
    before,  # (T·N, H), h before each step
    da,  # (T·N, 3H), written: the gradient of the inputs' share
    ds,  # (T·N, 3H), written: that of the recurrent sum
    dh_0,  # (N, H), written
    T,
    N,
    first,
    stride,
    H: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    FLOAT: tl.constexpr,
    OPERAND: tl.constexpr,
    PRECISION: tl.constexpr,
):
    example = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None]
    j = tl.arange(0, COLUMNS)[None, :]
    mine = (example < N) & (j < H)
    k = tl.arange(0, COLUMNS)[:, None]
    square = (k < H) & (j < H)
    w += k * H + j
    w_r = tl.load(w, square, 0.0)
    w_z = tl.load(w + H * H, square, 0.0)
    w_n = tl.load(w + 2 * H * H, square, 0.0)
    dh = tl.load(dh_T + example * H + j, mine, 0.0).to(FLOAT)
    for step in range(T):
        row = (first + stride * step).to(tl.int64) * N
        at = row * 3 * H + (example * 3 * H + j)
        here = row * H + (example * H + j)
        r = tl.load(gates + at, mine, 0.0).to(FLOAT)
        z = tl.load(gates + at + H, mine, 0.0).to(FLOAT)
        n = tl.load(gates + at + 2 * H, mine, 0.0).to(FLOAT)
        m = tl.load(kept + here, mine, 0.0).to(FLOAT)
        h_prev = tl.load(before + here, mine, 0.0).to(FLOAT)
        dh += tl.load(dy + here, mine, 0.0)
        da_n = dh * (1 - z) * (1 - n * n)
        da_z = dh * (h_prev - n) * z * (1 - z)
        da_r = da_n * m * r * (1 - r)
        ds_n = da_n * r
        tl.store(da + at, da_r, mine)
        tl.store(da + at + H, da_z, mine)
        tl.store(da + at + 2 * H, da_n, mine)
        tl.store(ds + at, da_r, mine)
        tl.store(ds + at + H, da_z, mine)
        tl.store(ds + at + 2 * H, ds_n, mine)
        dh = dh * z
        dh += product(da_r, w_r, OPERAND, PRECISION)
        dh += product(da_z, w_z, OPERAND, PRECISION)
        dh += product(ds_n, w_n, OPERAND, PRECISION)
    tl.store(dh_0 + example * H + j, dh, mine)


class OnChipGRU(OnChip):
    """``sequences.GRUSequence``, whole sequences at a time.

    kept is (gates, m): the gates after their nonlinearity, (T·N, 3H), and m, (T·N, H).
    """

    kind, recurrent = "GRU", 1

    def input_bias(self):
        b_ih, b_hh = self.weights.get("bias_ih"), self.weights.get("bias_hh")
        if b_hh is None:
            return b_ih
        H = len(b_hh) // 3
        b_rz = torch.cat([b_hh[: 2 * H], torch.zeros_like(b_hh[2 * H :])])
        return b_rz if b_ih is None else b_ih + b_rz

    def walk(self, a, state, after, size, keep):
        w = self.weights["weight_hh"].contiguous()
        H, b_hh = w.shape[1], self.weights.get("bias_hh")
        b_n = w.new_zeros(H) if b_hh is None else b_hh[2 * H :].contiguous()
        y = a.new_empty(len(a), H)
        m = torch.empty_like(y) if keep else y  # Without keep the kernel does not touch it.
        self.launch(gru_forward_kernel, (a, w, b_n, *state, y, m, *after), size, KEEP=keep)
        return y, (a, m) if keep else ()

    def walk_back(self, dy, d_state, y, kept, h_prev, d_before, size):
        da, ds = torch.empty_like(kept[0]), torch.empty_like(kept[0])
        w = self.weights["weight_hh"].contiguous()
        arrays = (dy, *d_state, w, *kept, h_prev, da, ds, *d_before)
        self.launch(gru_backward_kernel, arrays, size)
        return da, ds
