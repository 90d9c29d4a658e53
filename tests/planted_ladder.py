"""The rungs of the ladder beside ``rnnlib.sequences``, for ``test_planted_errors``.

All in float64, with random cotangents, states and biases; memory that nobody wrote is NaN.
"""

from functools import partial
from unittest import mock

import torch
from planted_layers import row_arrays
from torch.utils._python_dispatch import TorchDispatchMode

from rnnlib import sequences
from rnnlib.torch import inplace, ladder, loop

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
FORMS = {
    "tanh": "RNN_TANH",
    "relu": "RNN_RELU",
    "lstm": "LSTM",
    "gru": "GRU",
    "reset before": "GRU_RESET_BEFORE",
}


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
    """However many steps there are; and without going back, no factors."""
    for reverse in (False, True):
        for keep in (False, True):
            if allocated(name, 2, keep, reverse) != allocated(name, 5, keep, reverse):
                return False
    fewer = allocated(name, 2, False, False)[0] - allocated(name, 2, True, False)[0]
    if fewer != -{"lstm": 2, "gru": 2}.get(name, 0):
        return False
    if name not in ("lstm", "gru"):
        return True
    w, x, state, *_ = arrays(name, [3, 3])
    ours = IN_PLACE[name](w)
    with mock.patch.object(ours, "find_factors", wraps=ours.find_factors) as found:
        ours.forward(x, state, [3, 3], keep=False)
    return not found.called


# Which rung ------------------------------------------------------------------------------------


def made(name):
    """What ``make`` makes is of its rung, and does what it should."""
    form, counts = FORMS[name], [3, 2, 1]
    w, x, state, dy, d_state = arrays(name, counts)
    kinds = {"loop": loop.Loop, "products": sequences.Sequence, "inplace": inplace.InPlace}
    theirs = PRODUCTS[name](w)
    y, after, kept = theirs.forward(x, state, counts)
    expected = theirs.backward(dy, d_state, x, state, y, kept, counts)
    for rung in kinds if name in IN_PLACE else ["loop", "products"]:
        ours = ladder.make(form, rung, w)
        others = [kind for other, kind in kinds.items() if other not in (rung, "products")]
        if not isinstance(ours, kinds[rung]) or isinstance(ours, tuple(others)):
            return False
        y_here, after_here, kept = ours.forward(x, state, counts)
        if not beside([y_here, *after_here], [y, *after]):
            return False
        found = ours.backward(dy, d_state, x, state, y_here, kept, counts)
        if not (beside(found[0], expected[0]) and of_names(found[1], expected[1])):
            return False
    return True


def answers(form, weights):
    """What ``choose`` says to each rung: a rung, or what it complains of."""
    found = {}
    for rung in ("auto", "loop", "products", "inplace", "other"):
        try:
            found[rung] = ladder.choose(rung, form, weights)
        except ValueError as error:
            found[rung] = f"ValueError: {error}"
    return found


def within(transformation, f):
    """What f says under a transformation of torch.func."""
    said, x = [], torch.ones(2)

    def called(x):
        said.append(f())
        return (x * x).sum()

    if transformation is torch.func.jvp:
        torch.func.jvp(called, (x,), (x,))
    else:
        transformation(called)(x)
    return said[0]


TRANSFORMATIONS = [torch.func.grad, torch.func.vmap, torch.func.jvp]


def expected_answers(why_not):
    """The answers where the rung in place is not valid; why_not: None where it is."""
    return {
        "auto": "products" if why_not else "inplace",
        "loop": "loop",
        "products": "products",
        "inplace": f"ValueError: rung: inplace is not valid {why_not}; expected products or loop"
        if why_not
        else "inplace",
        "other": "ValueError: rung: expected auto, loop, products, inplace, got 'other'",
    }


def choice():
    """The fastest rung that is valid; in the open, and for what can be said of form and weights."""
    for name, form in FORMS.items():
        why_not = "for a GRU that resets before the product" if name == "reset before" else None
        if answers(form, arrays(name, [2])[0]) != expected_answers(why_not):
            return False
    projected, plain = arrays("projected", [2])[0], arrays("lstm", [2])[0]
    seeing = plain | {"weight_peephole": torch.zeros(3 * plain["weight_hh"].shape[1])}
    return answers("LSTM", projected) == expected_answers(
        "for an LSTM with a projection"
    ) and answers("LSTM", seeing) == expected_answers("for an LSTM with peepholes")


def choice_transformed():
    """Under a transformation of torch.func, and not after it."""
    for name in IN_PLACE:
        asked = partial(answers, FORMS[name], arrays(name, [2])[0])
        for transformation in TRANSFORMATIONS:
            if within(transformation, asked) != expected_answers("under torch.func"):
                return False
            if within(transformation, ladder.transformed) is not True:
                return False
        if ladder.transformed() is not False or asked() != expected_answers(None):
            return False
    return True


def choice_compiling():
    for name in IN_PLACE:
        with mock.patch.object(torch.compiler, "is_compiling", return_value=True):
            if answers(FORMS[name], arrays(name, [2])[0]) != expected_answers(
                "under torch.compile"
            ):
                return False
    return True


CHECKS = {
    **{f"loop {name}": lambda name=name: every(LOOP, name) for name in LOOP},
    **{f"inplace {name}": lambda name=name: every(IN_PLACE, name) for name in IN_PLACE},
    **{f"allocated {name}": lambda name=name: nothing_allocated(name) for name in IN_PLACE},
    **{f"made {name}": lambda name=name: made(name) for name in FORMS},
    "choice": choice,
    "choice transformed": choice_transformed,
    "choice compiling": choice_compiling,
}


def check(name):
    return CHECKS[name]()
