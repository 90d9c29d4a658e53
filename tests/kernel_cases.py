"""What ``test_triton`` compares, and how it plants wrong kernels.

Triton runs its kernels in the interpreter if TRITON_INTERPRET=1 stands before it is imported, and
no other test shall see that.  So this file is also a script, for a process of its own: it is given
the name of one of the functions below and prints what that yields, as JSON.
"""

import itertools
import json
import re
import sys
import tempfile
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from unittest import mock

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from rnnlib import sequences

RELU = {"nonlinearity": "relu"}
# Runner: module of rnnlib.torch.kernels, class, options, the plain class.
RUNNERS = {
    "tanh": ("rnn", "OnChipRNN", {}, sequences.RNNSequence),
    "relu": ("rnn", "OnChipRNN", RELU, sequences.RNNSequence),
    "LSTM": ("lstm", "OnChipLSTM", {}, sequences.LSTMSequence),
    "GRU": ("gru", "OnChipGRU", {}, sequences.GRUSequence),
    "fused LSTM": ("gates", "FusedLSTM", {}, sequences.LSTMSequence),
    "fused GRU": ("gates", "FusedGRU", {}, sequences.GRUSequence),
}
FILES = ("rnn", "lstm", "gru", "gates")
# T, N, features, H: one step, one place, N on both sides of a block of 16 rows, H within and at its
# block; N·H below, at and above a piece of 256 numbers.
SHAPES = [(1, 1, 1, 1), (1, 17, 3, 5), (2, 3, 2, 16), (3, 19, 3, 5), (2, 16, 2, 33), (2, 5, 2, 64)]
# How many sequences run at each step, where lengths differ.
UNEQUAL = [9, 8, 3]
# How far from sequences in float64, of the largest entry; several units in the last place.
TOLERANCES = {"float64": 1e-13, "float32": 1e-5, "float16": 6e-3, "bfloat16": 3e-2}


def pair(name, home=None):
    """Return what makes a runner on the card and the plain one; home: the module, if another."""
    file, card, options, plain = RUNNERS[name]
    home = home or import_module(f"rnnlib.torch.kernels.{file}")
    return partial(getattr(home, card), **options), partial(plain, **options)


def runners(file):
    return [name for name, runner in RUNNERS.items() if runner[0] == file]


# What is compared ----------------------------------------------------------------------------


def drawn(name, counts, features, H, dtype, device, bias=True):
    """Return weights, x, the state, dy and the gradients of the state after."""
    gates, states = (4, 2) if "LSTM" in name else (3, 1) if "GRU" in name else (1, 1)
    N, M = counts[0], sum(counts)
    draw = torch.Generator().manual_seed(M + H)

    def normal(*size):
        return torch.randn(size, generator=draw, dtype=torch.float64).to(dtype).to(device)

    w = {"weight_ih": normal(gates * H, features), "weight_hh": normal(gates * H, H) / H**0.5}
    if bias:
        w |= {"bias_ih": normal(gates * H), "bias_hh": normal(gates * H)}
    state, d_state = ([normal(N, H) for _ in range(states)] for _ in range(2))
    return w, normal(M, features), tuple(state), normal(M, H), tuple(d_state)


def both_ways(sequence, counts, reverse, x, state, dy, d_state, h=None):
    """Return by name what a runner gives; y is NaN if it changed an argument.

    h: the outputs to go back from, if not its own.
    """
    given = [a.clone() for a in (x, *state, dy, *d_state)]
    y, after, kept = sequence.forward(x, state, counts, reverse)
    h = y if h is None else h
    d_before, grads = sequence.backward(dy, d_state, x, state, h, kept, counts, reverse)
    names = [*(f"state {k}" for k in range(len(state)))]
    named = {"y": y} | dict(zip(names, after, strict=True))
    named |= {f"d {n}": d for n, d in zip(names, d_before, strict=True)} | grads
    if not all(map(torch.equal, given, (x, *state, dy, *d_state))):
        named["y"] = y * float("nan")
    return named


def complaint(ours, theirs, tolerance):
    """Say which of the arrays by name are too far off; NaN is too far."""
    if list(ours) != list(theirs):
        return f"expected {list(theirs)}, got {list(ours)}"
    errors = {}
    for name, right in theirs.items():
        if ours[name].shape != right.shape:
            return f"{name}: expected {tuple(right.shape)}, got {tuple(ours[name].shape)}"
        error = (ours[name].double() - right.double()).abs().max()
        largest = right.double().abs().max()
        if not error <= tolerance * largest:
            errors[name] = (error / largest).item()
    return ", ".join(f"{name} off by {error:.1e}" for name, error in errors.items())


def compared(classes, case, type_name, device, reverse, digits=None, bias=True):
    """Run the class on the card, and the plain one in float64; return what differs, or "".

    case: a runner's name, counts, features and H.
    digits: the type that has as many as are expected, if not the one that is computed in.
    """
    dtype, counts = getattr(torch, type_name), case[1]
    w, *arrays = drawn(*case, dtype, device, bias)
    ours = both_ways(classes[0](w), counts, reverse, *arrays)
    if wrong := [name for name, array in ours.items() if array.dtype != dtype]:
        return f"expected {dtype}, got other types in {wrong}"
    w, *arrays = tree_map(torch.Tensor.double, (w, *arrays))
    # The slope of relu jumps, so go back from the same h.
    h = ours["y"].double() if case[0] == "relu" else None
    theirs = both_ways(classes[1](w), counts, reverse, *arrays, h=h)
    return complaint(ours, theirs, TOLERANCES[digits or type_name])


def cases(name):
    """Return (runner's name, counts, features, H) for each shape."""
    equal = [(name, [N] * T, features, H) for T, N, features, H in SHAPES]
    return [*equal, (name, UNEQUAL, 3, 33)] if "fused" in name else equal


def complaints(file, device):
    """Compare over the shapes and types; yield what is not as it should be."""
    for name in runners(file):
        classes = pair(name)
        # No card gets products in float64 within a kernel.
        for dtype in list(TOLERANCES)[device == "cuda" and "fused" not in name :]:
            for k, case in enumerate(cases(name)):
                # A single number in 16 bits can lose all its digits.
                if dtype in ("float16", "bfloat16") and k < 3:
                    continue
                for reverse in (False, True) if dtype == "float64" else (k % 2 == 0,):
                    if found := compared(classes, case, dtype, device, reverse):
                        yield f"{case} {dtype} reverse={reverse}: {found}"
        if found := compared(classes, cases(name)[3], "float32", device, False, bias=False):
            yield f"{name} without biases: {found}"
        yield from (f"{name}: {text}" for text in misuses(name, device))


def misuses(name, device):
    """What else the interface promises; yield what is not as it should be."""
    card, plain = pair(name)
    N, H, counts = 5, 4, [5, 5, 5]
    w, x, state, dy, d_state = drawn(name, counts, 2, H, torch.float32, device)
    y, after, kept = card(w).forward(x, state, counts)
    spared = card(w).forward(x, state, counts, keep=False)
    if spared[2] != () or not torch.equal(spared[0], y):
        yield "keep=False: other outputs, or something kept"
    if any(not torch.equal(a, b) for a, b in zip(spared[1], after, strict=True)):
        yield "keep=False: other states"
    before = [a.clone() for a in (*kept, y)]
    args = (x, state, y, kept, counts)
    _, grads = card(w).backward(dy, d_state, *args, wanted=["weight_hh"])
    if list(grads) != ["weight_hh"]:
        yield f"wanted: expected weight_hh alone, got {list(grads)}"
    if any(not torch.equal(a, b) for a, b in zip(before, (*kept, y), strict=True)):
        yield "backward: what was kept is changed"
    # Arrays with gaps between their numbers, as sums and transposes leave them.
    gaps = [torch.stack([a, a], -1)[..., 0] for a in (dy, *d_state, x, *state)]
    one = torch.ones((), device=device).expand(len(x), H)
    loose = {name: torch.stack([a, a], -1)[..., 0] for name, a in w.items()}
    k = len(state)
    given = gaps[1 + k], tuple(gaps[2 + k :]), gaps[0], tuple(gaps[1 : 1 + k])
    tight = both_ways(card(w), counts, True, x, state, dy, d_state)
    if found := complaint(both_ways(card(loose), counts, True, *given), tight, 1e-6):
        yield f"arrays with gaps: {found}"
    summed = [both_ways(c(w), counts, True, x, state, one, d_state) for c in (card, plain)]
    if found := complaint(*summed, 1e-5):
        yield f"an expanded dy: {found}"
    # inf · 0 = NaN must not come out of the padding.
    infinite = state[0].clone()
    infinite[1, 2] = float("inf")
    results = [c(w).forward(x, (infinite, *state[1:]), counts)[0] for c in (card, plain)]
    if found := complaint(*({"y": y.nan_to_num(9, 9, 9)} for y in results), 1e-5):
        yield f"an infinite state: {found}"
    if "fused" in name and (found := unsteady(card, name)):
        yield found
    errors = {
        "weight_hh": ({name: a.long() for name, a in w.items()}, x, state, counts),
        "weights": ({**w, "weight_hr": w["weight_hh"][:2, :2]}, x, state, counts),
    }
    if "fused" not in name:
        errors |= {
            "counts": (w, x, state, [N, N, N - 1]),
            "counts ": (w, x[:0], state, []),
            "x": (w, x[1:], state, counts),
        }
    for argument, (weights, *given) in errors.items():
        try:
            card(weights).forward(*given)
            yield f"{argument}: no error"
        except ValueError as error:
            start = f"{argument.strip()}: expected"
            if not str(error).startswith(start) or ", got " not in str(error):
                yield f"{argument}: {error}"


class Allocations(TorchDispatchMode):
    """Counts the operations whose results lie in memory of their own."""

    def __init__(self):
        super().__init__()
        self.number = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        given = [a for a in tree_leaves((args, kwargs)) if isinstance(a, torch.Tensor)]
        places = {a.untyped_storage()._cdata for a in given}
        made = [a for a in tree_leaves(result) if isinstance(a, torch.Tensor)]
        self.number += any(a.untyped_storage()._cdata not in places for a in made)
        return result


def unsteady(make, name):
    """Say if the loop over time, without its kernels, asks for memory."""
    numbers = []
    for T in (2, 5):
        w, *arrays = drawn(name, [3] * T, 2, 4, torch.float32, "cpu")
        sequence = make(w)
        sequence.launch = lambda *_, **__: None
        with Allocations() as allocations:
            both_ways(sequence, [3] * T, False, *arrays)
        numbers.append(allocations.number)
    return f"2 and 5 steps ask for memory {numbers} times" if len(set(numbers)) > 1 else ""


# Wrong kernels -------------------------------------------------------------------------------


def fenced(make, crossed, gap):
    """Return ``make`` with a fence around each array that its kernels get, and around each row.

    A wrong kernel may write beside its arrays.  So it gets copies, with room on both sides that is
    looked at afterwards, and with ``gap`` numbers and more between rows, in each array a different
    number of them; ``crossed`` gets a word if one of them was touched.
    """

    def copied(array, k):
        room, columns = 2 * array.numel() + 4096, array.shape[-1]
        wide = columns + (gap and gap + k)
        full = torch.full((2 * room + array.numel() // columns * wide,), 7.25, dtype=array.dtype)
        copy = full[room:-room].view(*array.shape[:-1], wide)[..., :columns]
        return full, copy.copy_(array)

    def made(weights):
        sequence = make(weights)
        launch = sequence.launch

        def between(kernel, arrays, *size, **more):
            given = [None if a is None else copied(a, k) for k, a in enumerate(arrays)]
            launch(kernel, [pair and pair[1] for pair in given], *size, **more)
            for array, pair in zip(arrays, given, strict=True):
                if pair:
                    array.copy_(pair[1])
                    pair[1].fill_(7.25)
                    if not (pair[0] == 7.25).all():
                        crossed.append(kernel.__name__)

        sequence.launch = between
        return sequence

    return made


def in_the_interpreter(file):
    """Check the kernels of a file, and then that their checks see what is wrong."""
    yield from complaints(file, "cpu")
    yield from uncaught(file)


def uncaught(file):
    """Plant each wrong kernel; yield those that no comparison sees."""
    from wrong_gates import GATES
    from wrong_kernels import SLIPS, planted

    counts, H, gap = (UNEQUAL, 33, 1) if file == "gates" else ([17, 17], 5, 0)

    def found(home=None, place=""):
        for name in runners(file):
            if (
                re.search("lstm|gru", place, re.IGNORECASE)
                and name.split()[-1] not in place.upper()
            ):
                continue
            crossed, (card, plain) = [], pair(name, home)
            classes = fenced(card, crossed, gap), plain
            case = name, counts, 3, H
            if compared(classes, case, "float64", "cpu", reverse=True) or crossed:
                return True
            if place.startswith("class Fused") and unsteady(card, name):
                return True
        return False

    if found():
        yield "the kernels as they stand: wrong, or they write beside their arrays"
    with tempfile.TemporaryDirectory() as folder:
        for place, slips in (SLIPS | GATES)[file].items():
            for name, edits in slips:
                if not found(planted(file, place, edits, folder), place):
                    yield f"{place}: nothing notices {name!r}"


# What a card would get -----------------------------------------------------------------------


# Bytes of shared memory that a program may have on an H100, and on a card with less.
H100, LESS = 227 * 1024, 99 * 1024
# The largest H that is to fit on an H100.
LARGEST = {
    "rnn": [(256, "bfloat16"), (128, "float32")],
    "lstm": [(128, "bfloat16"), (64, "float32")],
    "gru": [(128, "bfloat16"), (128, "float32")],
}


def for_a_card():
    """Compile for a card that need not be here; yield what is not as it should be."""
    for file, largest in LARGEST.items():
        for (H, dtype), way in itertools.product(largest, ("forward", "backward")):
            yield from on_chip(file, f"{file}_{way}_kernel", H, dtype)
    gates = import_module("rnnlib.torch.kernels.gates")
    for name, dtype in itertools.product(vars(gates), ("float64", "bfloat16")):
        if name.endswith("_kernel") and "gates" in name:
            yield from pointwise(gates, getattr(gates, name), dtype)
    yield from excuses()


def compiled(kernel, dtype, sizes, values, **options):
    """Compile a kernel for an H100; sizes: names of integers, values: of constants."""
    import triton.language as tl
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile

    values = {k: v for k, v in values.items() if k in kernel.arg_names}
    types = dict.fromkeys(kernel.arg_names, f"*{getattr(tl, dtype).name}")
    types |= dict.fromkeys(sizes, "i32") | dict.fromkeys(values, "constexpr")
    options |= {"enable_fp_fusion": True}
    target = GPUTarget("cuda", 90, 32)
    return compile(ASTSource(kernel, types, values), target=target, options=options)


def on_chip(file, name, H, dtype):
    """The weights are to be read before the loop, and to take the shared memory that is counted."""
    import triton.language as tl

    from rnnlib.torch.kernels import common

    kernel = getattr(import_module(f"rnnlib.torch.kernels.{file}"), name)
    kind, type_ = file.upper(), getattr(torch, dtype)
    rows, columns, warps = common.blocks(H, type_)
    values = {"H": H, "KEEP": True, "RELU": False, "ROWS": rows, "COLUMNS": columns}
    values |= {"FLOAT": tl.float32, "OPERAND": getattr(tl, dtype), "PRECISION": "ieee"}
    result = compiled(kernel, dtype, common.SIZES, values, num_warps=warps, num_stages=1)
    counted = common.shared_bytes(kind, H, type_)
    if not result.metadata.shared <= counted <= H100:
        yield f"{name}, {dtype}: {result.metadata.shared} shared bytes, {counted} counted"
    before, loop = result.asm["ttgir"].split("scf.for", 1)
    weights = f"tt.load .*tensor<{columns}x{columns}x"
    if len(re.findall(weights, before)) != common.GATES[kind] or re.search(weights, loop):
        yield f"{name}, {dtype}: the weights are not read once, before the loop"


def pointwise(gates, kernel, dtype):
    """Nothing is to be handed from thread to thread."""
    from rnnlib.torch.kernels import common

    sizes = [name for name in kernel.arg_names if name.endswith("_row") or name in gates.SIZES]
    values = {"H": 33, "KEEP": True, "NUMBERS": gates.NUMBERS}
    values |= {"FLOAT": common.number(getattr(torch, dtype))}
    result = compiled(kernel, dtype, sizes, values)
    if result.metadata.shared or "bar.sync" in result.asm["ptx"]:
        yield f"{kernel.__name__}, {dtype}: {result.metadata.shared} shared bytes, or a barrier"


def excuses():
    """What does not fit says why."""
    from rnnlib.torch.kernels import common

    def given(shared, capability=(9, 0)):
        cuda = {"get_device_capability": capability, "get_device_name": "a card"}
        fakes = [mock.patch.object(torch.cuda, k, return_value=v) for k, v in cuda.items()]
        return [*fakes, mock.patch.object(common, "shared_bytes_of", return_value=shared)]

    bfloat16, card = torch.bfloat16, torch.device("cuda")
    needed = common.shared_bytes("RNN", 256, bfloat16)
    for fakes, arguments, words in [
        (given(H100), ("RNN", 256, bfloat16, card), None),
        (given(LESS), ("RNN", 256, bfloat16, card), f"needs {needed} bytes.* have {LESS}$"),
        (given(needed), ("RNN", 256, bfloat16, card), None),
        (given(needed - 1), ("RNN", 256, bfloat16, card), f"have {needed - 1}$"),
        (given(H100), ("LSTM", 256, bfloat16, card), "bytes of shared memory"),
        (given(H100), ("GRU", 128, torch.float32, card), None),
        (given(H100), ("RNN", 4, torch.float64, card), "no product for torch.float64"),
        (given(H100), ("RNN", 4, torch.int64, card), "no kernels for torch.int64"),
        (given(H100, (7, 5)), ("RNN", 4, bfloat16, card), "older than 2020"),
        (given(H100), ("RNN", 4, bfloat16, "cpu"), "cpu is no NVIDIA card"),
    ]:
        with ExitStack() as stack:
            for fake in fakes:
                stack.enter_context(fake)
            why, fits = common.unfit(*arguments), common.fits(*arguments)
        if fits != (words is None) or not (why is None if fits else re.search(words, why)):
            yield f"{arguments}: expected {words!r}, got {why!r}"
    try:
        common.fits("MLP", 4, bfloat16, card)
        yield "fits: no error for another kind"
    except ValueError as error:
        if not re.search("kind: expected one of .* got 'MLP'", str(error)):
            yield f"fits: {error}"


if __name__ == "__main__":
    torch.set_num_threads(1)  # Products this small wait longer for other threads than they take.
    # Memory that nobody wrote is NaN.
    torch.use_deterministic_algorithms(True)
    print(json.dumps(list(globals()[sys.argv[1]](*sys.argv[2:]))))
