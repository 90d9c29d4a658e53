"""The Elman network as two Triton kernels that keep the recurrent weights on chip.  Read it first.

Why.  The recurrent product of one step is small: on a graphics card, starting it and fetching its
weights cost more than its arithmetic.  A loop of torch operations starts several kernels a step,
and each of them finds the chip empty: W_hh comes from the card's memory or its level-2 cache again,
and h goes out and comes back.  Here the loop over time stands *inside* the kernel, so all this
happens once in a sequence.

Who does what.  A *program* is what Triton calls a group of threads that share one streaming
multiprocessor (SM).  All programs run the same text, at the same time; only ``tl.program_id`` tells
one from another.  Examples of a batch do not see each other, so each program takes ``ROWS`` of them
through all time steps and never waits for another program.  Splitting the weights over programs
instead would let larger ones in, but then every step ends with all programs exchanging h.

What it computes with.  Not numbers but *blocks* of them, here (ROWS, COLUMNS) and (COLUMNS,
COLUMNS); Triton spreads a block over the threads of the program.  The sides of a block are powers
of two, known when the kernel is compiled (``tl.constexpr``).  N and H need not be: where a block
reaches over the edge of its array, a *mask* says which of its numbers exist.  A masked load gives 0
for the others, if told so, and a masked store leaves them alone.

What lives where, from far to near:

- The card's memory (HBM; hundreds of cycles away, shared by all SMs): x, a, y, dy, da.
- Shared memory (some 30 cycles, up to 227 KiB a program on an H100): W_hh, loaded once, before the
  loop.  The code below never says so: Triton puts the right operand of ``tl.dot`` there, and moves
  that out of the loop, since the weights do not change in it.
- Registers (no wait): h, the sums; going back, dh.

What moves.  a = W_ih x + b_ih + b_hh is one product for all steps, made by torch before the loop.
Then a step and an example read H values (a) and write H (y); going back, they read 2H (y, dy) and
write H (da).  With H = 128 in bfloat16 and 16 rows that is 4 KiB in and 4 KiB out for a program and
a step, against 32 KiB of weights which do not move.  The gradients of the weights and of x are
single products after the loop, as in ``rnnlib.sequences``.

The formulas are those of ``rnnlib.cells.rnn_forward`` and ``rnn_backward``.
"""

import torch
import triton
import triton.language as tl

from rnnlib.torch.kernels.common import SIZES, OnChip, product, tanh


@triton.jit(do_not_specialize=SIZES)
def rnn_forward_kernel(
    a,  # (T·N, H), the inputs' share; h after each step takes its place
    w,  # (H, H)
    h_0,  # (N, H)
    h_T,  # (N, H), written
    T,
    N,
    first,  # the step to begin with, 0 or T - 1,
    stride,  # and what leads to the next, 1 or -1
    H: tl.constexpr,
    RELU: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,  # the first power of two that H fits in
    FLOAT: tl.constexpr,  # what is computed with, whatever the arrays hold
    OPERAND: tl.constexpr,
    PRECISION: tl.constexpr,
):
    # An array's name is the address of its first number.  Which example and which place of the
    # state does each number of a block belong to?  A column and a row of numbers, together a block.
    example = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None]
    j = tl.arange(0, COLUMNS)[None, :]
    mine = (example < N) & (j < H)
    # Once for all steps: W_hh transposed, number (k, j) of which is W[j, k].
    k = tl.arange(0, COLUMNS)[:, None]
    square = (k < H) & (j < H)
    weights = tl.load(w + j * H + k, square, 0.0)
    h = tl.load(h_0 + example * H + j, mine, 0.0).to(FLOAT)
    for step in range(T):
        # 64 bits: a long sequence has more than 2³¹ numbers.
        row = (first + stride * step).to(tl.int64) * N
        here = a + row * H + (example * H + j)
        # The load comes before the product, which need not wait for it.
        share = tl.load(here, mine, 0.0)
        s = share + product(h, weights, OPERAND, PRECISION)
        if RELU:
            new = tl.where(s < 0, 0.0, s)  # Not s > 0, which would turn NaN into 0.
        else:
            new = tanh(s)
        # Padding stays 0 whatever the state holds: 0 · inf would be NaN, and reach the products.
        h = tl.where(mine, new, 0.0)
        tl.store(here, h, mine)
    tl.store(h_T + example * H + j, h, mine)


@triton.jit(do_not_specialize=SIZES)
def rnn_backward_kernel(
    dy,  # (T·N, H)
    dh_T,  # (N, H)
    w,  # (H, H)
    y,  # (T·N, H)
    da,  # (T·N, H), written
    dh_0,  # (N, H), written
    T,
    N,
    first,  # the step to begin with: where the way forward ended
    stride,
    H: tl.constexpr,
    RELU: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    FLOAT: tl.constexpr,
    OPERAND: tl.constexpr,
    PRECISION: tl.constexpr,
):
    example = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None]
    j = tl.arange(0, COLUMNS)[None, :]
    mine = (example < N) & (j < H)
    # Going back, W_hh is used as it is: number (k, j) is W[k, j].
    k = tl.arange(0, COLUMNS)[:, None]
    square = (k < H) & (j < H)
    weights = tl.load(w + k * H + j, square, 0.0)
    dh = tl.load(dh_T + example * H + j, mine, 0.0).to(FLOAT)
    for step in range(T):
        row = (first + stride * step).to(tl.int64) * N
        here = row * H + (example * H + j)
        h = tl.load(y + here, mine, 0.0).to(FLOAT)
        # What comes from this step's output, and what the step after left in dh.
        dh += tl.load(dy + here, mine, 0.0)
        if RELU:
            ds = tl.where(h > 0, dh, 0.0)
        else:
            ds = dh * (1 - h * h)
        tl.store(da + here, ds, mine)
        dh = product(ds, weights, OPERAND, PRECISION)
    tl.store(dh_0 + example * H + j, dh, mine)


class OnChipRNN(OnChip):
    """``sequences.RNNSequence``, whole sequences at a time; nothing is kept but the outputs.

    Raises ValueError for a nonlinearity that is neither "tanh" nor "relu".
    """

    kind = "RNN"

    def __init__(self, weights, nonlinearity="tanh"):
        super().__init__(weights)
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity: expected tanh or relu, got {nonlinearity!r}")
        self.relu = nonlinearity == "relu"

    def walk(self, a, state, after, size, keep):
        w = self.weights["weight_hh"].contiguous()
        self.launch(rnn_forward_kernel, (a, w, *state, *after), size, RELU=self.relu)
        return a, ()

    def walk_back(self, dy, d_state, y, kept, h_prev, d_before, size):
        da = torch.empty_like(dy)
        w = self.weights["weight_hh"].contiguous()
        self.launch(rnn_backward_kernel, (dy, *d_state, w, y, da, *d_before), size, RELU=self.relu)
        return (da,)
