"""The gates of one step in one kernel, where the recurrent weights do not fit on chip.

Then the loop over time stands outside, in Python.  A step is one product, which torch's library
does better than a short kernel could, and what follows it number by number: for the LSTM eight
operations on arrays, if torch does them one after another.  Each of them starts a kernel, reads its
operands from the card's memory and writes its result there.  Fused into one kernel, everything
between the product and the new state stays in registers.  For each number of h it reads 5 (four
sums and c) and writes 3 (c, h, and h once more where the outputs stand); the eight operations read
and write 22.  What the way back needs is 5 more, written in passing.

Such a kernel is the simplest there is.  The N·H numbers of a state are laid out in a line and cut
into pieces of ``NUMBERS``; each program takes a piece, and no number needs its neighbours.  Rows
may stand further apart than they are long, as in a slice of a larger array: each array comes with
the distance from one row to the next.

Whoever runs the loop a second time can have it all recorded: it allocates nothing, waits for
nothing and decides nothing by numbers on the card, so a CUDA graph can replay it as a whole and no
time is lost in Python between the kernels.

The formulas are those of ``rnnlib.cells``, LSTM without peepholes and projection, and the GRU that
resets after the product; gates stand in torch's order, i, f, g, o and r, z, n.
"""

import torch
import triton
import triton.language as tl

from rnnlib import sequences
from rnnlib.torch.kernels.common import check_plain, no_kernel, number, tanh

# How many numbers of the state a program takes: two for each of its 128 threads.
NUMBERS = 256
# One compiled kernel serves every number of rows.
SIZES = ["N"]


@triton.jit(do_not_specialize=SIZES)
def lstm_gates_kernel(
    a,  # (N, 4H), the whole sums; the gates i, f, g, o take their place when they are kept
    h,  # (N, H), written
    c,  # (N, H), c before, and then after the step
    y,  # (N, H), written: h once more
    before,  # (N, H), written when kept: c before the step
    a_row,
    h_row,
    c_row,
    y_row,
    before_row,
    N,
    H: tl.constexpr,
    KEEP: tl.constexpr,
    NUMBERS: tl.constexpr,
    FLOAT: tl.constexpr,
):
    place = tl.program_id(0) * NUMBERS + tl.arange(0, NUMBERS)
    mine = place < N * H
    # 64 bits: an array of many rows has more than 2³¹ numbers.
    row, j = (place // H).to(tl.int64), place % H
    a += row * a_row + j
    i = tl.sigmoid(tl.load(a, mine).to(FLOAT))
    f = tl.sigmoid(tl.load(a + H, mine).to(FLOAT))
    g = tanh(tl.load(a + 2 * H, mine).to(FLOAT))
    o = tl.sigmoid(tl.load(a + 3 * H, mine).to(FLOAT))
    c += row * c_row + j
    c_prev = tl.load(c, mine).to(FLOAT)
    if KEEP:
        tl.store(a, i, mine)
        tl.store(a + H, f, mine)
        tl.store(a + 2 * H, g, mine)
        tl.store(a + 3 * H, o, mine)
        tl.store(before + row * before_row + j, c_prev, mine)
    c_new = f * c_prev + i * g
    h_new = o * tanh(c_new)
    tl.store(c, c_new, mine)
    tl.store(h + row * h_row + j, h_new, mine)
    tl.store(y + row * y_row + j, h_new, mine)


@triton.jit(do_not_specialize=SIZES)
def lstm_gates_back_kernel(
    da,  # (N, 4H), written
    gates,  # (N, 4H)
    before,  # (N, H)
    dy,  # (N, H)
    dh,  # (N, H), from the step after
    dc,  # (N, H), the gradient of c after the step, and then of c before it
    da_row,
    gates_row,
    before_row,
    dy_row,
    dh_row,
    dc_row,
    N,
    H: tl.constexpr,
    NUMBERS: tl.constexpr,
    FLOAT: tl.constexpr,
):
    place = tl.program_id(0) * NUMBERS + tl.arange(0, NUMBERS)
    mine = place < N * H
    row, j = (place // H).to(tl.int64), place % H
    gates += row * gates_row + j
    i = tl.load(gates, mine).to(FLOAT)
    f = tl.load(gates + H, mine).to(FLOAT)
    g = tl.load(gates + 2 * H, mine).to(FLOAT)
    o = tl.load(gates + 3 * H, mine).to(FLOAT)
    c_prev = tl.load(before + row * before_row + j, mine).to(FLOAT)
    dc += row * dc_row + j
    d_h = tl.load(dh + row * dh_row + j, mine).to(FLOAT)
    d_h += tl.load(dy + row * dy_row + j, mine)
    r = tanh(f * c_prev + i * g)
    d_c = tl.load(dc, mine) + d_h * o * (1 - r * r)
    da += row * da_row + j
    tl.store(da, d_c * g * i * (1 - i), mine)
    tl.store(da + H, d_c * c_prev * f * (1 - f), mine)
    tl.store(da + 2 * H, d_c * i * (1 - g * g), mine)
    tl.store(da + 3 * H, d_h * r * o * (1 - o), mine)
    tl.store(dc, d_c * f, mine)


@triton.jit(do_not_specialize=SIZES)
def gru_gates_kernel(
    a,  # (N, 3H), the inputs' share; the gates r, z, n take its place when they are kept
    s,  # (N, 3H), the recurrent sums, with their bias
    h,  # (N, H), h before, and then after the step
    y,  # (N, H), written: h once more
    kept,  # (N, H), written when kept: m, the last part of s
    a_row,
    s_row,
    h_row,
    y_row,
    kept_row,
    N,
    H: tl.constexpr,
    KEEP: tl.constexpr,
    NUMBERS: tl.constexpr,
    FLOAT: tl.constexpr,
):
    place = tl.program_id(0) * NUMBERS + tl.arange(0, NUMBERS)
    mine = place < N * H
    row, j = (place // H).to(tl.int64), place % H
    a += row * a_row + j
    s += row * s_row + j
    h += row * h_row + j
    r = tl.sigmoid(tl.load(a, mine).to(FLOAT) + tl.load(s, mine))
    z = tl.sigmoid(tl.load(a + H, mine).to(FLOAT) + tl.load(s + H, mine))
    m = tl.load(s + 2 * H, mine).to(FLOAT)
    n = tanh(tl.load(a + 2 * H, mine) + r * m)
    if KEEP:
        tl.store(a, r, mine)
        tl.store(a + H, z, mine)
        tl.store(a + 2 * H, n, mine)
        tl.store(kept + row * kept_row + j, m, mine)
    h_new = (1 - z) * n + z * tl.load(h, mine)
    tl.store(h, h_new, mine)
    tl.store(y + row * y_row + j, h_new, mine)


@triton.jit(do_not_specialize=SIZES)
def gru_gates_back_kernel(
    sums,  # (N, 4H), written: da_n, da_r, da_z, da_n∘r
    gates,  # (N, 3H)
    kept,  # (N, H), m
    before,  # (N, H), h before the step
    dy,  # (N, H)
    dh,  # (N, H), from the step after; then what goes past the gates to the step before
    sums_row,
    gates_row,
    kept_row,
    before_row,
    dy_row,
    dh_row,
    N,
    H: tl.constexpr,
    NUMBERS: tl.constexpr,
    FLOAT: tl.constexpr,
):
    place = tl.program_id(0) * NUMBERS + tl.arange(0, NUMBERS)
    mine = place < N * H
    row, j = (place // H).to(tl.int64), place % H
    gates += row * gates_row + j
    r = tl.load(gates, mine).to(FLOAT)
    z = tl.load(gates + H, mine).to(FLOAT)
    n = tl.load(gates + 2 * H, mine).to(FLOAT)
    m = tl.load(kept + row * kept_row + j, mine).to(FLOAT)
    h_prev = tl.load(before + row * before_row + j, mine).to(FLOAT)
    dh += row * dh_row + j
    d_h = tl.load(dh, mine).to(FLOAT) + tl.load(dy + row * dy_row + j, mine)
    da_n = d_h * (1 - z) * (1 - n * n)
    sums += row * sums_row + j
    tl.store(sums, da_n, mine)
    tl.store(sums + H, da_n * m * r * (1 - r), mine)
    tl.store(sums + 2 * H, d_h * (h_prev - n) * z * (1 - z), mine)
    tl.store(sums + 3 * H, da_n * r, mine)
    tl.store(dh, d_h * z, mine)


class Fused(sequences.Sequence):
    """What the cells with fused gates share; the interface is ``sequences.Sequence``'s.

    ``forward`` and ``backward`` are not differentiable.  kept is (gates, beside): the gates after
    their nonlinearity, (M, gates·H), and what else the way back needs of each step, (M, H).

    A subclass says its ``kind``, and writes one step forward and one step back.
    scratch: how many blocks of H columns a step forward may use as it likes.
    back: how many blocks of H columns a step back writes.
    """

    scratch, back = 0, 4

    def __init__(self, weights):
        super().__init__(weights)
        self.H = weights["weight_hh"].shape[1]

    def forward(self, x, state, counts, reverse=False, keep=True):
        """Run over the rows x: (M, I); see ``sequences.Sequence.forward``.

        Raises ValueError for weights that this rung has no use for (a projection, peepholes), and
        where no kernel runs.
        """
        w = self.weights
        check_plain(self.kind, w)
        if why := no_kernel(w["weight_hh"].dtype, w["weight_hh"].device):
            raise ValueError(
                f"weight_hh: expected a type and a device that kernels run with, got "
                f"{w['weight_hh'].dtype} on {w['weight_hh'].device}: {why}"
            )
        a = torch.nn.functional.linear(x, w["weight_ih"], self.input_bias())
        y = a.new_empty(len(a), self.H)
        beside = torch.empty_like(y) if keep else None
        state = [s.clone(memory_format=torch.contiguous_format) for s in state]
        scratch = a.new_empty(len(state[0]), self.scratch * self.H)
        for rows, n in sequences.steps_of(counts, reverse):
            own = y[rows], beside[rows] if keep else None, scratch[:n]
            self.step(a[rows], [s[:n] for s in state], *own)
        return y, tuple(state), (a, beside) if keep else ()

    def backward(self, dy, d_state, x, state, y, kept, counts, reverse=False, wanted=None):
        """Go back through ``forward``; see ``sequences.Sequence.backward``."""
        sums = y.new_empty(len(y), self.back * self.H)
        h_prev = sequences.rows_before(torch, state[0], y, counts, reverse)
        d_state = [d.clone(memory_format=torch.contiguous_format) for d in d_state]
        dy = dy.contiguous()
        for rows, n in reversed(sequences.steps_of(counts, reverse)):
            own = [k[rows] for k in kept], h_prev[rows], dy[rows]
            self.step_back(sums[rows], *own, [d[:n] for d in d_state])
        products = self.products((sums,), x, kept, h_prev)
        wanted = ["x", *self.weights] if wanted is None else wanted
        return tuple(d_state), {name: products[name]() for name in wanted}

    def launch(self, kernel, arrays, **more):
        """Run a kernel over the numbers of a step; the rows of an array may stand apart."""
        N, distances = len(arrays[0]), [0 if a is None else a.stride(0) for a in arrays]
        with torch.cuda.device_of(arrays[0]):
            kernel[(triton.cdiv(N * self.H, NUMBERS),)](
                *arrays,
                *distances,
                N,
                H=self.H,
                NUMBERS=NUMBERS,
                FLOAT=number(arrays[0].dtype),
                enable_fp_fusion=True,
                **more,
            )


class FusedLSTM(Fused):
    """``sequences.LSTMSequence``; kept beside the gates is c before each step."""

    kind, states = "LSTM", 2

    def input_bias(self):
        w = self.weights
        return w["bias_ih"] + w["bias_hh"] if "bias_ih" in w else None

    def step(self, a, state, y, before, _):
        h, c = state
        a.addmm_(h, self.weights["weight_hh"].T)
        self.launch(lstm_gates_kernel, (a, h, c, y, before), KEEP=before is not None)

    def step_back(self, da, kept, _, dy, d_state):
        dh, dc = d_state
        self.launch(lstm_gates_back_kernel, (da, *kept, dy, dh, dc))
        torch.mm(da, self.weights["weight_hh"], out=dh)


class FusedGRU(Fused):
    """``sequences.GRUSequence``; kept beside the gates is m = W_hn h + b_hn.

    A step back writes da_n, da_r, da_z, da_n∘r.  The first three are the inputs' share, and the
    last three the recurrent one in the order of its weights: one array holds both.
    """

    kind, scratch, recurrent = "GRU", 3, 1

    def input_bias(self):
        return self.weights.get("bias_ih")

    def step(self, a, state, y, m, s):
        (h,), w = state, self.weights
        if "bias_hh" in w:
            torch.addmm(w["bias_hh"], h, w["weight_hh"].T, out=s)
        else:
            torch.mm(h, w["weight_hh"].T, out=s)
        self.launch(gru_gates_kernel, (a, s, h, y, m), KEEP=m is not None)

    def step_back(self, sums, kept, h_prev, dy, d_state):
        (dh,) = d_state
        self.launch(gru_gates_back_kernel, (sums, *kept, h_prev, dy, dh))
        dh.addmm_(sums[:, self.H :], self.weights["weight_hh"])

    def products(self, shares, x, kept, h_prev):
        (sums,), H = shares, self.H
        da, ds, w_ih = sums[:, : 3 * H], sums[:, H:], self.weights["weight_ih"]
        # The inputs' weights stand r, z, n, and their share n, r, z.
        return super().products((da, ds), x, kept, h_prev) | {
            "x": lambda: da @ w_ih.roll(H, 0),
            "weight_ih": lambda: (da.T @ x).roll(-H, 0),
            "bias_ih": lambda: da.sum(0).roll(-H, 0),
        }
