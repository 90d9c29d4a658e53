"""What the kernels share: arithmetic, sizes, whether the weights fit, and the launch."""

import torch
import triton
import triton.language as tl
from triton.language.extra import libdevice

from rnnlib import sequences

GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}
# One compiled kernel serves every T, N and direction.
SIZES = ["T", "N", "first", "stride"]
DTYPES = (torch.float32, torch.bfloat16, torch.float16)


@triton.jit
def _tanh_by_sigmoid(x):
    return 2 * tl.sigmoid(2 * x) - 1


INTERPRETED = not isinstance(_tanh_by_sigmoid, triton.runtime.JITFunction)
# The interpreter has no libdevice, NVIDIA's library of functions for the card.
tanh = _tanh_by_sigmoid if INTERPRETED else libdevice.tanh


@triton.jit
def product(v, w, OPERAND: tl.constexpr, PRECISION: tl.constexpr):
    """v w, for v: (ROWS, COLUMNS), rounded to the type of w: (COLUMNS, COLUMNS); summed in float32.

    With 16-bit numbers this is what tensor cores do.  OPERAND is the type of w, but in the
    interpreter; PRECISION is of use for float32 alone, see ``precision``.
    """
    return tl.dot(v.to(w.dtype).to(OPERAND), w.to(OPERAND), input_precision=PRECISION)


def blocks(hidden_size, dtype):
    """Return (ROWS, COLUMNS, warps) of a program; a warp is 32 threads.

    Tensor cores multiply 16 rows at a time.  In full float32 they are of no use: then fewer rows
    mean more programs, so more SMs at work, each with less to do.
    """
    columns = max(16, triton.next_power_of_2(hidden_size))
    full = dtype == torch.float32 and precision() == "ieee"
    warps = 16 if full and columns > 64 else 8 if columns > 32 else 4
    return 4 if full else 16, columns, warps


def precision():
    """Return how float32 is multiplied: as torch's setting says for its own products."""
    return "ieee" if torch.get_float32_matmul_precision() == "highest" else "tf32"


def shared_bytes(kind, hidden_size, dtype):
    """Return how many bytes of shared memory a program needs.

    kind: "RNN", "LSTM" or "GRU".  The weights, padded to COLUMNS × COLUMNS a gate, and a block
    (ROWS, COLUMNS) for each gate and one more at most: before a product, and before they write,
    threads hand numbers to one another.  A test compares this with what the compiler takes.
    """
    rows, columns, _ = blocks(hidden_size, dtype)
    gates = GATES[kind]
    return (gates * columns * columns + (gates + 1) * rows * columns) * dtype.itemsize


def shared_bytes_of(device):
    """Return how many bytes of shared memory a program may have on a card."""
    utils = triton.runtime.driver.active.utils
    index = torch.cuda.current_device() if device.index is None else device.index
    return utils.get_device_properties(index)["max_shared_mem"]


def no_kernel(dtype, device):
    """Return why no kernel runs with this type on this device, or None where nothing is wrong."""
    device = torch.device(device)
    if dtype not in (*DTYPES, torch.float64):
        return f"there are no kernels for {dtype}"
    if INTERPRETED:
        return None if device.type == "cpu" else "Triton's interpreter runs on the CPU"
    if device.type != "cuda" or torch.version.hip:
        return f"{device} is no NVIDIA card, and TRITON_INTERPRET=1 was not set"
    if torch.cuda.get_device_capability(device)[0] < 8:
        return f"{torch.cuda.get_device_name(device)} is older than 2020"
    return None


def unfit(kind, hidden_size, dtype, device):
    """Return why a layer cannot run on chip, or None where it can; arguments as for ``fits``."""
    if kind not in GATES:
        raise ValueError(f"kind: expected one of {', '.join(GATES)}, got {kind!r}")
    device = torch.device(device)
    if (why := no_kernel(dtype, device)) or INTERPRETED:
        return why
    if dtype not in DTYPES:
        return f"on a card there is no product for {dtype}"
    needed, there = shared_bytes(kind, hidden_size, dtype), shared_bytes_of(device)
    if needed > there:
        return (
            f"a program needs {needed} bytes of shared memory, and one on {device}, "
            f"{torch.cuda.get_device_name(device)}, may have {there}"
        )
    return None


def fits(kind, hidden_size, dtype, device):
    """Return whether the recurrent weights of one layer fit on one SM of the device.

    kind: "RNN", "LSTM" or "GRU"; dtype: of the weights and the inputs.

    The weights lie in shared memory: see ``shared_bytes``.  An H100 lets a program have 227 KiB of
    it, an A100 163, and 4·128·128 numbers of 2 bytes are 128 KiB.  So in 16 bits an Elman network
    fits up to H = 256 and the gated cells up to 128; in float32 the Elman network up to 128, an
    LSTM up to 64 and, on an H100, a GRU up to 128 (192 KiB).  Registers, 256 KiB on every SM, are
    no limit: state, gates and sums are some ten blocks (ROWS, COLUMNS) of 4 bytes, 160 KiB at most.
    In the interpreter everything fits; a CPU without it, and cards other than NVIDIA's since 2020,
    run no kernel.  ``unfit`` says why something does not fit.

    Raises ValueError for another kind.
    """
    return unfit(kind, hidden_size, dtype, device) is None


def check_plain(kind, weights):
    """Raise ValueError for weights that the kernels have no use for."""
    unused = {"weight_hr", "weight_peephole"} & set(weights)
    if unused:
        raise ValueError(f"weights: expected a plain {kind}, got {min(unused)}")


def number(dtype):
    """Return the type that a kernel computes in for arrays of dtype."""
    return tl.float64 if dtype == torch.float64 else tl.float32


class OnChip(sequences.Sequence):
    """What the cells on chip share; the interface is ``sequences.Sequence``'s.

    All sequences of a batch have one length.  ``forward`` and ``backward`` are not differentiable:
    to differentiate once more, use the classes of ``rnnlib.sequences``.

    A subclass says its ``kind``, and runs its kernels in ``walk`` and ``walk_back``.
    """

    def forward(self, x, state, counts, reverse=False, keep=True):
        """Run over the rows x: (T·N, I); see ``sequences.Sequence.forward``.

        Raises ValueError for sequences of several lengths or none, for weights that this rung has
        no use for (a projection, peepholes), for states and rows that do not fit together, and
        where the weights do not fit on chip.
        """
        T, N = self._lengths(x, state, counts)
        w = self.weights["weight_hh"]
        if why := unfit(self.kind, w.shape[1], w.dtype, w.device):
            raise ValueError(
                "weight_hh: expected weights that fit on one multiprocessor, got hidden size "
                f"{w.shape[1]} in {w.dtype} on {w.device}: {why}"
            )
        a = torch.nn.functional.linear(x, self.weights["weight_ih"], self.input_bias())
        after = _like(state)
        y, kept = self.walk(a, _laid_out(state), after, (T, N, *_order(T, reverse)), keep)
        return y, after, kept

    def backward(self, dy, d_state, x, state, y, kept, counts, reverse=False, wanted=None):
        """Go back through ``forward``; see ``sequences.Sequence.backward``.

        Raises ValueError for sequences of several lengths.
        """
        T, N = self._lengths(x, state, counts)
        h_prev = sequences.rows_before(torch, state[0], y, counts, reverse)
        before = _like(state)
        size = (T, N, *_order(T, not reverse))
        given = dy.contiguous(), _laid_out(d_state), y
        shares = self.walk_back(*given, kept, h_prev, before, size)
        products = self.products(shares, x, kept, h_prev)
        wanted = ["x", *self.weights] if wanted is None else wanted
        return before, {name: products[name]() for name in wanted}

    def input_bias(self):
        """Return what the inputs' product adds, or None: here both biases."""
        biases = [b for name in ("bias_ih", "bias_hh") if (b := self.weights.get(name)) is not None]
        return sum(biases) if biases else None

    def launch(self, kernel, arrays, size, **more):
        """Run a kernel, one program for each block of rows."""
        w = self.weights["weight_hh"]
        H, N = w.shape[1], size[1]
        rows, columns, warps = blocks(H, w.dtype)
        # The interpreter's product takes bfloat16 for integers: it gets 16-bit numbers as float32.
        operand = (
            number(w.dtype) if INTERPRETED else getattr(tl, str(w.dtype).removeprefix("torch."))
        )
        with torch.cuda.device_of(w):
            kernel[(triton.cdiv(N, rows),)](
                *arrays,
                *size,
                H=H,
                ROWS=rows,
                COLUMNS=columns,
                FLOAT=number(w.dtype),
                OPERAND=operand,
                PRECISION=precision(),
                num_warps=warps,
                num_stages=1,
                enable_fp_fusion=True,
                **more,
            )

    def _lengths(self, x, state, counts):
        """Return the number of steps and of sequences, checked."""
        check_plain(self.kind, self.weights)
        T, N = len(counts), len(state[0])
        if not T:
            raise ValueError("counts: expected at least one time step, got none")
        if any(n != N for n in counts):
            raise ValueError(f"counts: expected {N} sequences at each step, got {list(counts)}")
        if len(x) != T * N:
            raise ValueError(f"x: expected {T}·{N} rows, one a step and sequence, got {len(x)}")
        return T, N


def _order(T, reverse):
    """Return the first step and the stride to the next."""
    return (T - 1, -1) if reverse else (0, 1)


def _laid_out(arrays):
    """Return the arrays without gaps between their rows: the kernels count on it."""
    return tuple(array.contiguous() for array in arrays)


def _like(arrays):
    return tuple(torch.empty_like(a, memory_format=torch.contiguous_format) for a in arrays)
