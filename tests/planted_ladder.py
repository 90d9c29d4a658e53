"""The rungs of the ladder beside ``rnnlib.sequences``, for ``test_planted_errors``.

All in float64, with random cotangents, states and biases; memory that nobody wrote is NaN.
"""

from functools import partial
from unittest import mock

import torch
from planted_layers import row_arrays
from torch.utils._python_dispatch import TorchDispatchMode

from rnnlib import sequences
from rnnlib.torch import inplace, loop

SEED = 50
RELU = {"nonlinearity": "relu"}
PRODUCTS = {
    "tanh": sequences.RNNSequence,
    "relu": partial(sequences.RNNSequence, **RELU),
    "lstm": sequences.LSTMSequence,
    "projected": sequences.LSTMSequence,
    "gru": sequences.GRUSequence,
    "reset before": sequences.ResetBeforeGRUSequence,
}
LOOP = {name: lambda w, one=one: loop.Loop(one(w)) for name, one in PRODUCTS.items()}
IN_PLACE = {
    "tanh": inplace.InPlaceRNN,
    "relu": partial(inplace.InPlaceRNN, **RELU),
    "lstm": inplace.InPlaceLSTM,
    "gru": inplace.InPlaceGRU,
}
# So few numbers that tanh is taken of one step's in one way, and of another's in the other.
FEW = 16
# How many arrays are allocated: on the way forward with keep=False and with keep=True, and on the
# way back.  Two more for the factors; the others stand where the gates stood.
ALLOCATED = {"tanh": (3, 3, 8), "relu": (3, 3, 8), "lstm": (6, 8, 9), "gru": (5, 7, 10)}


def arrays(name, counts, bias=True):
    """Weights, rows x, state, and gradients of the outputs and of the state after."""
    w, x, state = row_arrays(name, counts, bias)
    draw = torch.Generator().manual_seed(SEED)
    x, *state = (torch.tensor(a) for a in (x, *state))
    dy, *d_state = (torch.randn(a.shape, generator=draw, dtype=a.dtype) for a in (x, *state))
    return {k: torch.tensor(a) for k, a in w.items()}, x, tuple(state), dy, tuple(d_state)


def beside(ours, theirs):
    return len(ours) == len(theirs) and all(
        a.shape == b.shape and torch.allclose(a, b, 1e-9, 1e-9)
        for a, b in zip(ours, theirs, strict=True)
    )


def of_names(ours, theirs):
    return ours.keys() == theirs.keys() and beside([ours[k] for k in theirs], [*theirs.values()])


def apart(*groups):
    """No tensor shares memory with one of another group."""
    places = [{t.untyped_storage().data_ptr() for t in group} for group in groups]
    return len(set().union(*places)) == sum(map(len, places))


def rung(make, name, counts, reverse, bias):
    """One run there and back, with all that its options promise."""
    w, x, state, dy, d_state = arrays(name, counts, bias)
    given = [*w.values(), x, *state, dy, *d_state]
    before = [t.clone() for t in given]
    ours, theirs = make[name](w), PRODUCTS[name](w)

    y, after, kept = ours.forward(x, state, counts, reverse)
    y_there, after_there, kept_there = theirs.forward(x, state, counts, reverse)
    if not beside([y, *after], [y_there, *after_there]):
        return False
    if not (apart([y], after, kept, given) and len(kept) <= len(kept_there)):
        return False
    y_alone, after_alone, nothing = ours.forward(x, state, counts, reverse, keep=False)
    if nothing != () or not beside([y_alone, *after_alone], [y, *after]):
        return False
    if any(len(slot) != len(x) for slot in kept):
        return False

    back = partial(ours.backward, dy, d_state, x, state, y, kept, counts, reverse)
    expected, d_expected = theirs.backward(
        dy, d_state, x, state, y_there, kept_there, counts, reverse
    )
    names = ["x", *w]
    for _ in range(2):  # Once more: nothing that is kept is overwritten.
        found, grads = back()
        if not (beside(found, expected) and of_names(grads, d_expected)):
            return False
        if not apart([y], kept, given, found):
            return False
    for wanted in ([], *([name] for name in names), [*w][::-1], names[::2]):
        found, grads = back(wanted)
        if not (beside(found, expected) and of_names(grads, {k: d_expected[k] for k in wanted})):
            return False
    return all(torch.equal(a, b) for a, b in zip(given, before, strict=True))


def every(make, name):
    debug = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("warn")
    try:
        return all(
            rung(make, name, counts, reverse, bias)
            for counts in ([4, 4, 4], [4, 3, 3, 1])
            for reverse in (False, True)
            for bias in (True, False)
        )
    finally:
        torch.set_deterministic_debug_mode(debug)


class Allocations(TorchDispatchMode):
    """Count the results that stand in memory of their own."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            given = [t for t in (*args, *(kwargs or {}).values()) if isinstance(t, torch.Tensor)]
            self.count += apart([result], given)
        return result


def allocated(name, T, keep, reverse):
    """How many arrays the way forward allocates, and the way back."""
    counts = [3] * T
    w, x, state, dy, d_state = arrays(name, counts)
    ours = IN_PLACE[name](w)
    with Allocations() as there:
        y, _, kept = ours.forward(x, state, counts, reverse, keep)
    if not keep:
        return there.count, 0
    with Allocations() as back:
        ours.backward(dy, d_state, x, state, y, kept, counts, reverse)
    return there.count, back.count


def nothing_allocated(name):
    """However many steps there are; and factors are found after the last, or not at all."""
    alone, there, back = ALLOCATED[name]
    for reverse in (False, True):
        for T in (2, 5):
            for small in (0, inplace.SMALL):
                with mock.patch.object(inplace, "SMALL", small):
                    if allocated(name, T, False, reverse) != (alone, 0):
                        return False
                    if allocated(name, T, True, reverse) != (there, back):
                        return False
            for keep in (False, True):
                if called(name, T, keep, reverse) != ["step"] * T + ["factors"] * keep:
                    return False
    return True


def called(name, T, keep, reverse):
    """What the way forward calls, in order."""
    w, x, state, *_ = arrays(name, [3] * T)
    ours, calls = IN_PLACE[name](w), mock.Mock()
    for method in ("step", "factors"):
        calls.attach_mock(mock.Mock(wraps=getattr(ours, method)), method)
        setattr(ours, method, getattr(calls, method))
    ours.forward(x, state, [3] * T, reverse, keep)
    return [call[0] for call in calls.mock_calls]


def tanh_in_place(name):
    """Steps of 16 numbers take 2σ(2x) - 1, steps of fewer tanh."""
    with mock.patch.object(inplace, "SMALL", FEW):
        return every(IN_PLACE, name)


class Operations(TorchDispatchMode):
    """List the names of what torch is asked for."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        self.names.append(operation.overloadpacket.__name__)
        return operation(*args, **(kwargs or {}))


def few():
    """tanh in one operation, or in three of which none is tanh."""
    ours = inplace.InPlaceRNN(arrays("tanh", [1])[0])
    draw = torch.Generator().manual_seed(SEED)
    for shape, expected in (
        ((7, 73), ["tanh"]),
        ((8, 64), ["add", "sigmoid_", "add"]),
        ((27, 19), ["add", "sigmoid_", "add"]),
    ):
        x = torch.randn(shape, generator=draw, dtype=torch.float64)
        before, out = x.clone(), torch.full_like(x, torch.nan)
        with Operations() as asked:
            ours.tanh(x, out=out)
        if asked.names != expected or not beside([out], [before.tanh()]):
            return False
        if not torch.equal(x, before):
            return False
    return True


def states():
    """Outputs and the state before are copied together only where lengths or one step ask it."""
    for counts in ([3, 3], [3, 3, 3, 3], [3, 2, 2], [3]):
        for reverse in (False, True):
            w, x, state, dy, d_state = arrays("tanh", counts)
            y, ds = x.tanh(), dy
            expected = ds.T @ sequences.rows_before(torch, state[0], y, counts, reverse)
            with mock.patch.object(inplace, "rows_before", wraps=sequences.rows_before) as copied:
                found = inplace._by_states(ds, state[0], y, counts, reverse)
            if not beside([found], [expected]):
                return False
            if copied.called != (counts not in ([3, 3], [3, 3, 3, 3])):
                return False
            with mock.patch.object(inplace, "_by_states", wraps=inplace._by_states) as asked:
                back = partial(inplace.InPlaceRNN(w).backward, dy, d_state, x, state, y, ())
                back(counts, reverse, ["x", "weight_ih"])
            if asked.called:
                return False
    return True


CHECKS = {
    **{f"loop {name}": lambda name=name: every(LOOP, name) for name in LOOP},
    **{f"inplace {name}": lambda name=name: tanh_in_place(name) for name in IN_PLACE},
    **{f"allocated {name}": lambda name=name: nothing_allocated(name) for name in IN_PLACE},
    "few": few,
    "states": states,
}


def check(name):
    return CHECKS[name]()
