"""Which rung is valid, which one runs and what is made for it, for ``test_planted_errors``.

Neither a graphics card nor Triton is needed: a card is only named, and stand-ins say what the
kernels would say of it.
"""

import sys
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from unittest import mock

import torch
from planted_ladder import IN_PLACE, PRODUCTS, arrays, beside, of_names

from rnnlib import sequences
from rnnlib.torch import graph, inplace, ladder, loop

FORMS = {
    "tanh": "RNN_TANH",
    "relu": "RNN_RELU",
    "lstm": "LSTM",
    "gru": "GRU",
    "reset before": "GRU_RESET_BEFORE",
}
ELMAN, GATED = ("RNN_TANH", "RNN_RELU"), ("LSTM", "GRU")
RUNGS = ["loop", "products", "inplace", "fused", "graph", "onchip"]
OTHER = f"ValueError: rung: expected auto, {', '.join(RUNGS)}, got 'other'"
CPU, CARD = torch.device("cpu"), torch.device("cuda:1")
SINGLE, HALF = torch.float32, torch.float16
# What the stand-ins say fits on chip, and what does not.
SMALL, LARGE = 4, 6

LENGTHS, NO_TRITON = "the sequences have several lengths", "Triton is not installed"
NO_GATES, RECORDING = "an RNN has no gates to fuse", "another graph is being recorded"
NO_CARD = "CUDA graphs need a graphics card, and this is {}"
RESETS_BEFORE = "the GRU resets before the product"


# The stand-ins ---------------------------------------------------------------------------------


class Kernels:
    """In place of a sequence that runs kernels."""

    def __init__(self, weights, **options):
        self.weights, self.options = weights, options


FUSED = {form: type(f"Fused{form}", (Kernels,), {}) for form in GATED}
ON_CHIP = {kind: type(f"OnChip{kind}", (Kernels,), {}) for kind in ("RNN", *GATED)}


def stand_ins(places):
    """The package of the kernels, by the names of its modules; places: where kernels run."""

    def no_kernel(dtype, device):
        runs = dtype != HALF and device.type in places
        return None if runs else f"no kernel for {dtype} on {device}"

    def unfit(kind, hidden_size, dtype, device):
        if why_not := no_kernel(dtype, device):
            return why_not
        return None if hidden_size <= SMALL else too_large(kind, hidden_size, dtype, device)

    package, path = ModuleType("kernels"), "rnnlib.torch.kernels"
    for name in ("common", "gates", "rnn", "lstm", "gru"):
        setattr(package, name, ModuleType(name))
    package.common.no_kernel, package.common.unfit = no_kernel, unfit
    for kind in FUSED.values():
        setattr(package.gates, kind.__name__, kind)
    for name, kind in ON_CHIP.items():
        setattr(getattr(package, name.lower()), kind.__name__, kind)
    return {path: package, f"{path}.common": package.common, f"{path}.gates": package.gates}


def too_large(kind, H, dtype, device):
    return f"a {kind} of {H} numbers in {dtype} does not fit on {device}"


@contextmanager
def world(triton=True, places=("cuda",), recording=False, card=True):
    """What is installed, where kernels run, and what the card does, if there is one."""
    capturing = {"return_value": recording} if card else {"side_effect": RuntimeError("no card")}
    absent = dict.fromkeys(stand_ins(places))  # To import these is an error.
    with (
        mock.patch.object(ladder, "_triton", return_value=triton),
        mock.patch.dict(sys.modules, stand_ins(places) if triton else absent),
        mock.patch.object(torch.cuda, "is_current_stream_capturing", **capturing),
    ):
        yield


# Which rung ------------------------------------------------------------------------------------


def weights_of(form, H=SMALL, I=2, bias=False):  # noqa: E741
    """Weights whose sizes differ in all that can differ."""
    gates = {"LSTM": 4, "GRU": 3, "GRU_RESET_BEFORE": 3}.get(form, 1)
    w = {"weight_ih": torch.zeros(gates * H, I), "weight_hh": torch.zeros(gates * H, H)}
    return w | ({"bias_ih": torch.zeros(gates * H)} if bias else {})


def answer(ask):
    """What it says: anything, or what it complains of."""
    try:
        return ask()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def answers(*case):
    """What ``choose`` says to each rung, twice to "auto", and ``valid``."""
    asked = {rung: rung for rung in (*RUNGS, "other")} | {"auto": "auto", "again": "auto"}
    found = {k: answer(partial(ladder.choose, rung, *case)) for k, rung in asked.items()}
    return found | {"valid": answer(partial(ladder.valid, *case))}


def expected(auto, again, reasons):
    """The answers; reasons: why a rung is not valid, by rung."""
    good = [rung for rung in RUNGS if rung not in reasons]
    complaint = "ValueError: rung: {} is not valid here ({}); expected auto, {}"
    said = {rung: rung for rung in good} | {
        rung: complaint.format(rung, why_not, ", ".join(good)) for rung, why_not in reasons.items()
    }
    return said | {"auto": auto, "again": again, "valid": good, "other": OTHER}


def right(auto, reasons, form, again=None, H=SMALL, dtype=SINGLE, device=CARD, counts=(3, 3)):
    """Whether the answers are these; a shape comes here twice, and no more."""
    ladder._calls.cache_clear()
    found = answers(form, weights_of(form, H), dtype, device, list(counts))
    return found == expected(auto, again or auto, reasons)


def below(*rungs, **more):
    """One reason for all these rungs, after more reasons for others."""
    return lambda why_not: {**more, **dict.fromkeys(rungs, why_not)}


KERNELS = below("fused", "onchip")
ABOVE = below(*RUNGS[2:])


def on_card():
    """Where kernels fit, and where they do not; the second time, what was recorded."""
    with world():
        for form in GATED:
            reasons = {"onchip": too_large(form, LARGE, SINGLE, CARD)}
            half = KERNELS(f"no kernel for {HALF} on {CARD}")
            if not (
                right("onchip", {}, form)
                and right("fused", reasons, form, "graph", LARGE)
                and right("inplace", half, form, "graph", dtype=HALF)
            ):
                return False
        for form in ELMAN:
            reasons = {"fused": NO_GATES, "onchip": too_large("RNN", LARGE, SINGLE, CARD)}
            if not (
                right("onchip", {"fused": NO_GATES}, form)
                and right("inplace", reasons, form, "graph", LARGE)
            ):
                return False
        return right("products", ABOVE(RESETS_BEFORE), "GRU_RESET_BEFORE")


def of_kernels():
    """What is said of the kernels, and of the type, size and device that they are asked about."""
    with world():
        for dtype in (SINGLE, torch.bfloat16):
            for form in (*ELMAN, *GATED):
                kind = form.partition("_")[0]
                reasons = {"onchip": too_large(kind, LARGE, dtype, CARD)}
                found = right("fused", reasons, form, "graph", LARGE, dtype)
                if form in ELMAN:
                    reasons["fused"] = NO_GATES
                    found = right("inplace", reasons, form, "graph", LARGE, dtype)
                if not found:
                    return False
    return on_card()


def lengths():
    """Sequences of several lengths, one step, an empty batch; a card or not comes after that."""
    reasons = below("graph", "onchip")(LENGTHS)
    with world(places=("cpu",), card=False):
        if not right("inplace", reasons, "GRU", device=CPU, counts=(3, 1)):
            return False
    with world():
        empty = below("fused", "graph", "onchip")("the batch is empty")
        if not all(
            right("inplace", empty, form, counts=counts)
            for form in (*ELMAN, *GATED)
            for counts in ((0,), (0, 0))
        ):
            return False
        return all(
            right("fused", reasons, "LSTM", counts=counts)
            and right("inplace", {**reasons, "fused": NO_GATES}, "RNN_RELU", counts=counts)
            for counts in ((3, 3, 1), (3, 1, 1), (2, 1))
        ) and all(right("onchip", {}, "LSTM", counts=counts) for counts in ((3,), (1, 1)))


def without_triton():
    with world(triton=False):
        gated, elman = KERNELS(NO_TRITON), {"fused": NO_GATES, "onchip": NO_TRITON}
        if not all(right("inplace", gated, form, "graph") for form in GATED):
            return False
        if not all(right("inplace", elman, form, "graph") for form in ELMAN):
            return False
    with world(triton=False, card=False):
        return right("inplace", {**gated, "graph": NO_CARD.format(CPU)}, "GRU", device=CPU)


def recording():
    """While another graph is recorded."""
    with world(recording=True):
        large = {"graph": RECORDING, "onchip": too_large("GRU", LARGE, SINGLE, CARD)}
        return right("onchip", {"graph": RECORDING}, "GRU") and right(
            "fused", large, "GRU", H=LARGE
        )


def elsewhere():
    """Without a card, nothing asks for one; what an interpreter runs is not what "auto" takes."""
    for device in (CPU, torch.device("meta")):
        alone = NO_CARD.format(device)
        with world(card=False):
            why_not = KERNELS(f"no kernel for {SINGLE} on {device}")
            reasons = {**why_not, "graph": alone}
            if not all(right("inplace", reasons, form, device=device) for form in GATED):
                return False
            if not right("products", ABOVE(RESETS_BEFORE), "GRU_RESET_BEFORE", device=device):
                return False
        with world(card=False, places=(device.type,)):
            if not right("inplace", {"graph": alone}, "LSTM", device=device):
                return False
            reasons = {"graph": alone, "fused": NO_GATES}
            if not right("inplace", reasons, "RNN_TANH", device=device):
                return False
    return True


def of_weights():
    """What can be said of the weights alone; it comes before what can be said of the lengths."""
    with world():
        for name, why_not in (("hr", "a projection"), ("peephole", "peepholes")):
            w = weights_of("LSTM") | {f"weight_{name}": torch.zeros(2)}
            for counts in ([3, 3], [3, 1]):
                found = answers("LSTM", w, SINGLE, CARD, counts)
                if found != expected("products", "products", ABOVE(f"the LSTM has {why_not}")):
                    return False
        return right("products", ABOVE(RESETS_BEFORE), "GRU_RESET_BEFORE", counts=(3, 1))


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


def transformed():
    """Under a transformation of torch.func, and not after it."""
    under = partial(right, "products", ABOVE("under torch.func"))
    with world():
        for form in (*ELMAN, *GATED):
            for transformation in (torch.func.grad, torch.func.vmap, torch.func.jvp):
                if not within(transformation, partial(under, form)):
                    return False
                if within(transformation, ladder.transformed) is not True:
                    return False
        return ladder.transformed() is False and right("onchip", {}, "GRU")


def compiling():
    with world(), mock.patch.object(torch.compiler, "is_compiling", return_value=True):
        reasons = ABOVE("under torch.compile")
        return all(right("products", reasons, form) for form in (*ELMAN, *GATED))


def took(form="LSTM", rung="auto", dtype=SINGLE, device=CARD, counts=(3, 3), **sizes):
    w = weights_of(form, **{"H": LARGE, **sizes})
    return answer(lambda: ladder.choose(rung, form, w, dtype, device, counts))


VARIED = [
    {},
    {"form": "GRU"},
    *({"form": form} for form in ELMAN),  # Weights of one size.
    {"H": LARGE + 1},
    {"I": 3},
    {"bias": True},
    {"dtype": torch.float64},
    {"device": torch.device("cuda:0")},
    {"counts": (2, 2)},
    {"counts": (3, 3, 3)},
    {"counts": (1, 1, 1, 1)},
]


def worth_it():
    """A shape is recorded when it comes again; each has its own counter, whatever came between."""
    with world():
        for case in VARIED:
            if took(**case) != ("inplace" if case.get("form") in ELMAN else "fused"):
                return False
        if any(took(**case) != "graph" for case in [*VARIED, *VARIED]):
            return False
        # A list of counts is the same as a tuple, a shape that fits on chip comes first anyway.
        return took(counts=[3, 3]) == "graph" and took(H=SMALL) == "onchip"


def uncounted():
    """Only calls that could have been recorded count, and only where "auto" was to choose."""
    with world():
        w = weights_of("LSTM", LARGE)
        if took(rung="graph") != "graph" or took(rung="fused") != "fused":
            return False
        ladder.valid("LSTM", w, SINGLE, CARD, (3, 3))
        if within(torch.func.vmap, took) != "products":
            return False
    with world(recording=True):
        if took() != "fused":
            return False
    with world():
        return took() == "fused" and took() == "graph"


def room_for_calls():
    """As many shapes are known as there may be recordings."""
    others = [partial(took, counts=[1] * T) for T in range(1, graph.RECORDINGS + 1)]
    with world():
        took()
        for other in others[1:]:
            other()
        if took() != "graph":
            return False
        for other in others:
            other()
        return took() == "fused"


def installed(spec):
    """Whether Triton can be imported is asked once."""
    with mock.patch.object(ladder, "find_spec", return_value=spec) as find:
        found = [ladder._triton(), ladder._triton()]
    return found == [spec is not None] * 2 and find.call_args_list == [mock.call("triton")]


# What is made ----------------------------------------------------------------------------------


def made(name):
    """What ``make`` makes is of its rung, and does what it should."""
    form, counts = FORMS[name], [3, 2, 1]
    w, x, state, dy, d_state = arrays(name, counts)
    kinds = {"loop": loop.Loop, "products": sequences.Sequence, "inplace": inplace.InPlace}
    theirs = PRODUCTS[name](w)
    y, after, kept = theirs.forward(x, state, counts)
    expected = theirs.backward(dy, d_state, x, state, y, kept, counts)
    for rung in kinds if name in IN_PLACE else ["loop", "products"]:
        ours = answer(partial(ladder.make, form, rung, w))
        others = [kind for other, kind in kinds.items() if other not in (rung, "products")]
        if not isinstance(ours, kinds[rung]) or isinstance(ours, (*others, graph.Graphed)):
            return False
        if rung == "loop" and type(ours.one_step) is not type(theirs):
            return False
        y_here, after_here, kept = ours.forward(x, state, counts)
        if not beside([y_here, *after_here], [y, *after]):
            return False
        found = ours.backward(dy, d_state, x, state, y_here, kept, counts)
        if not (beside(found[0], expected[0]) and of_names(found[1], expected[1])):
            return False
    return True


def made_of_kernels():
    """The classes of the kernels, with the weights and what more they take; each found once."""
    relu = {"RNN_RELU": {"nonlinearity": "relu"}}
    with world():
        on_chip = {form: ON_CHIP[form.partition("_")[0]] for form in (*ELMAN, *GATED)}
        for rung, kinds in (("fused", FUSED), ("onchip", on_chip)):
            for form, kind in kinds.items():
                w = weights_of(form)
                ours = answer(partial(ladder.make, form, rung, w))
                if type(ours) is not kind or ours.weights is not w:
                    return False
                if ours.options != (relu.get(form, {}) if rung == "onchip" else {}):
                    return False
        return ladder.fused() is ladder.fused() and ladder.on_chip() is ladder.on_chip()


def made_graph():
    """What is recorded: fused gates where they are valid, else the rung in place."""

    def records(form, kind, dtype=SINGLE, device="cpu"):
        hh = weights_of(form)["weight_hh"].to(device, dtype)
        w = {"weight_ih": torch.zeros(2, dtype=torch.int64), "weight_hh": hh}
        ours, again = (answer(partial(ladder.make, form, "graph", w)) for _ in range(2))
        return type(ours) is graph.Graphed and ours.weights is w and ours.make is again.make is kind

    with world(places=("cpu",)):
        for form in GATED:
            if not (records(form, FUSED[form]) and records(form, FUSED[form], torch.float64)):
                return False
            for where in ({"dtype": HALF}, {"device": "meta"}):
                if not records(form, ladder.IN_PLACE[form], **where):
                    return False
        if not all(records(form, ladder.IN_PLACE[form]) for form in ELMAN):
            return False
    with world(triton=False):
        return all(records(form, kind) for form, kind in ladder.IN_PLACE.items())


CHECKS = {
    **{f"made {name}": lambda name=name: made(name) for name in FORMS},
    "made of kernels": made_of_kernels,
    "made graph": made_graph,
    "on card": on_card,
    "of kernels": of_kernels,
    "lengths": lengths,
    "without triton": without_triton,
    "recording": recording,
    "elsewhere": elsewhere,
    "of weights": of_weights,
    "transformed": transformed,
    "compiling": compiling,
    "worth it": worth_it,
    "uncounted": uncounted,
    "room": room_for_calls,
    "installed": lambda: installed(object()),
    "not installed": lambda: installed(None),
}


def check(name):
    return CHECKS[name]()
