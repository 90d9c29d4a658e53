"""The LSTM as two Triton kernels that keep the recurrent weights on chip over all time steps.

Read ``rnn`` first: what lives where, and why, is the same.  Three things differ.

- W_hh is four blocks H×H, one for each gate, and all four stay in shared memory.  So the largest
  state that fits is half that of the Elman network.
- Beside h the state has c.  It stays in registers, and it meets no weights.
- The way back needs the gates and c before each step.  The gates are written where the inputs'
  share stood; tanh(c) costs less to compute again than to read.

A step and an example read 4H values (a) and write 6H (the four gates, c, y); going back, they read
6H (the gates, the c before, dy) and write 4H (da).  With H = 128 in bfloat16 and 16 rows that is
16 KiB in and 24 KiB out for a program and a step, against 128 KiB of weights which do not move.

The formulas are those of ``rnnlib.cells.lstm_forward`` and ``lstm_backward``, without peepholes and
projection; gates stand in torch's order i, f, g, o.
"""

import torch
import triton
import triton.language as tl

from rnnlib.torch.kernels.common import SIZES, OnChip, product, tanh


@triton.jit(do_not_specialize=SIZES)
def lstm_forward_kernel(
    a,  # (T·N, 4H), the inputs' share; the gates i, f, g, o take its place when they are kept
    w,  # (4H, H)
    h_0,  # (N, H)
    c_0,  # (N, H)
    y,  # (T·N, H), written: h after each step
    before,  # (T·N, H), written when kept: c before each step
    h_T,  # (N, H), written
    c_T,  # (N, H), written
    T,
    N,
    first,  # the step to begin with, 0 or T - 1,
    stride,  # and what leads to the next, 1 or -1
    H: tl.constexpr,
    KEEP: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    FLOAT: tl.constexpr,
    OPERAND: tl.constexpr,
    PRECISION: tl.constexpr,
):
    # Which example and which place of the state each number of a block belongs to.
    example = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None]
    j = tl.arange(0, COLUMNS)[None, :]
    mine = (example < N) & (j < H)  # The rest of the block is padding: read as 0, never written.
    # Once for all steps: the transposed blocks of W_hh, number (k, j) of which is W[j, k].
    k = tl.arange(0, COLUMNS)[:, None]
    square = (k < H) & (j < H)
    w += j * H + k
    w_i = tl.load(w, square, 0.0)
    w_f = tl.load(w + H * H, square, 0.0)
    w_g = tl.load(w + 2 * H * H, square, 0.0)
    w_o = tl.load(w + 3 * H * H, square, 0.0)
    h = tl.load(h_0 + example * H + j, mine, 0.0).to(FLOAT)
    c = tl.load(c_0 + example * H + j, mine, 0.0).to(FLOAT)
    for step in range(T):
        # 64 bits: a long sequence has more than 2³¹ numbers.
        row = (first + stride * step).to(tl.int64) * N
        at = a + row * 4 * H + (example * 4 * H + j)
        # The loads come before the products, which need not wait for them.
        a_i = tl.load(at, mine, 0.0)
        a_f = tl.load(at + H, mine, 0.0)
        a_g = tl.load(at + 2 * H, mine, 0.0)
        a_o = tl.load(at + 3 * H, mine, 0.0)
        i = tl.sigmoid(a_i + product(h, w_i, OPERAND, PRECISION))
        f = tl.sigmoid(a_f + product(h, w_f, OPERAND, PRECISION))
        g = tanh(a_g + product(h, w_g, OPERAND, PRECISION))
        o = tl.sigmoid(a_o + product(h, w_o, OPERAND, PRECISION))
        here = row * H + (example * H + j)
        if KEEP:
            tl.store(at, i, mine)
            tl.store(at + H, f, mine)
            tl.store(at + 2 * H, g, mine)
            tl.store(at + 3 * H, o, mine)
            tl.store(before + here, c, mine)
        c = f * c + i * g
        # Padding stays 0 whatever the state holds: 0 · inf would be NaN, and reach the products.
        h = tl.where(mine, o * tanh(c), 0.0)
        tl.store(y + here, h, mine)
    tl.store(h_T + example * H + j, h, mine)
    tl.store(c_T + example * H + j, c, mine)


@triton.jit(do_not_specialize=SIZES)
def lstm_backward_kernel(
    dy,  # (T·N, H)
    dh_T,  # (N, H)
    dc_T,  # (N, H)
    w,  # (4H, H)
    gates,  # (T·N, 4H)
    before,  # (T·N, H)
    da,  # (T·N, 4H), written
    dh_0,  # (N, H), written
    dc_0,  # (N, H), written
    T,
    N,
    first,  # the step to begin with: where the way forward ended
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
    # Going back, the blocks of W_hh are used as they are: number (k, j) is W[k, j].
    k = tl.arange(0, COLUMNS)[:, None]
    square = (k < H) & (j < H)
    w += k * H + j
    w_i = tl.load(w, square, 0.0)
    w_f = tl.load(w + H * H, square, 0.0)
    w_g = tl.load(w + 2 * H * H, square, 0.0)
    w_o = tl.load(w + 3 * H * H, square, 0.0)
    dh = tl.load(dh_T + example * H + j, mine, 0.0).to(FLOAT)
    dc = tl.load(dc_T + example * H + j, mine, 0.0).to(FLOAT)
    for step in range(T):
        row = (first + stride * step).to(tl.int64) * N
        at = row * 4 * H + (example * 4 * H + j)
        here = row * H + (example * H + j)
        i = tl.load(gates + at, mine, 0.0).to(FLOAT)
        f = tl.load(gates + at + H, mine, 0.0).to(FLOAT)
        g = tl.load(gates + at + 2 * H, mine, 0.0).to(FLOAT)
        o = tl.load(gates + at + 3 * H, mine, 0.0).to(FLOAT)
        c_prev = tl.load(before + here, mine, 0.0).to(FLOAT)
        # What comes from this step's output, and what the step after left in dh.
        dh += tl.load(dy + here, mine, 0.0)
        r = tanh(f * c_prev + i * g)
        dc += dh * o * (1 - r * r)
        da_i = dc * g * i * (1 - i)
        da_f = dc * c_prev * f * (1 - f)
        da_g = dc * i * (1 - g * g)
        da_o = dh * r * o * (1 - o)
        tl.store(da + at, da_i, mine)
        tl.store(da + at + H, da_f, mine)
        tl.store(da + at + 2 * H, da_g, mine)
        tl.store(da + at + 3 * H, da_o, mine)
        dc = dc * f
        dh = product(da_i, w_i, OPERAND, PRECISION)
        dh += product(da_f, w_f, OPERAND, PRECISION)
        dh += product(da_g, w_g, OPERAND, PRECISION)
        dh += product(da_o, w_o, OPERAND, PRECISION)
    tl.store(dh_0 + example * H + j, dh, mine)
    tl.store(dc_0 + example * H + j, dc, mine)


class OnChipLSTM(OnChip):
    """``sequences.LSTMSequence``, whole sequences at a time.

    kept is (gates, before): the gates after their nonlinearity, (T·N, 4H), and c before each step,
    (T·N, H).
    """

    kind, states = "LSTM", 2

    def walk(self, a, state, after, size, keep):
        w = self.weights["weight_hh"].contiguous()
        y = a.new_empty(len(a), w.shape[1])
        before = torch.empty_like(y) if keep else y  # Without keep the kernel does not touch it.
        self.launch(lstm_forward_kernel, (a, w, *state, y, before, *after), size, KEEP=keep)
        return y, (a, before) if keep else ()

    def walk_back(self, dy, d_state, y, kept, h_prev, d_before, size):
        da = torch.empty_like(kept[0])
        w = self.weights["weight_hh"].contiguous()
        self.launch(lstm_backward_kernel, (dy, *d_state, w, *kept, da, *d_before), size)
        return (da,)
