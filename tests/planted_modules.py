"""The modules of rnnlib.torch beside torch.nn, for ``test_planted_errors``.

All in float64 where nothing else is said, with random cotangents and biases far from zero.
"""

from contextlib import nullcontext
from unittest import mock

import planted_function
import torch
from planted_cells import same
from planted_function import SEED, beside, drawn, ours_and_theirs
from recurrent_cases import Case, run
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import rnnlib.torch
from rnnlib.torch import autocast, function, ladder
from rnnlib.torch import module as module_room

# Three lengths in an order that sorting it once more does not undo, and in order.
UNSORTED, SORTED = (2, 1, 3), (3, 2, 1)


def module_elsewhere(module, x, hx):
    """The same with states, whose type is compared with the input's."""
    module, x, *hx = (t.to("meta") for t in (module, x, *hx))
    try:
        results = flat(module(x, tuple(hx) if len(hx) > 1 else hx[0]))
    except RuntimeError:
        return False
    return [r.shape for r in results[-len(hx) :]] == [h.shape for h in hx]


def layer_elsewhere():
    x, h = torch.ones(2, 1, 3), torch.ones(1, 1, 3)
    return module_elsewhere(rnnlib.torch.GRU(3, 3), x, [h]) and module_elsewhere(
        rnnlib.torch.LSTM(3, 3), x, [h, h]
    )


def cell_elsewhere():
    h = torch.ones(2, 3)
    return module_elsewhere(rnnlib.torch.GRUCell(3, 3), h, [h]) and module_elsewhere(
        rnnlib.torch.LSTMCell(3, 3), h, [h, h]
    )


def chosen(module, x, calls, counts):
    """A module runs on the rung that it is given, both ways, and says which."""
    if module.took is not None or module.rung != "auto":
        return False
    for asked, expected in (
        ("auto", "inplace"),
        ("loop", "loop"),
        ("products", "products"),
        ("inplace", "inplace"),
    ):
        module.rung = asked
        with (
            mock.patch.object(function, "make", wraps=ladder.make) as make,
            mock.patch.object(module_room, "choose", wraps=ladder.choose) as choose,
        ):
            flat(module(x))[0].sum().backward()
        names = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"}
        place = torch.float32, x.device, counts
        for call in choose.call_args_list:
            if call.args[1] != "GRU" or call.args[2].keys() != names or call.args[3:] != place:
                return False
        rungs = [call.args[1] for call in make.call_args_list]
        if module.took != expected or rungs != [expected] * 2 * calls:
            return False
    return True


TYPES = {
    # Type: the one taken where autocast goes to bfloat16.
    torch.float32: torch.bfloat16,
    torch.float16: torch.bfloat16,
    torch.bfloat16: torch.bfloat16,
    torch.float64: torch.float64,
    torch.int64: torch.int64,
}


def taken():
    """The type that an array takes; on a device without autocast, and outside, its own."""
    on = torch.autocast("cpu", torch.bfloat16)
    for dtype, other in TYPES.items():
        x, away = torch.ones(2, dtype=dtype), torch.ones(2, dtype=dtype, device="meta")
        lists = [[a, a.double(), a.long(), a.float()] for a in (x, away)]
        try:
            for mode, expected in ((nullcontext(), dtype), (on, other)):
                with mode:
                    found = autocast.type_in_autocast(x), autocast.type_in_autocast(away)
                    here, there = map(autocast.in_autocast, lists)
                if found != (expected, dtype):
                    return False
                types = [a.dtype if mode is not on else TYPES[a.dtype] for a in lists[0]]
                if [a.dtype for a in here] != types:
                    return False
                # Nothing is looked at where nothing can change.
                if there is not lists[1] or (here is lists[0]) != (mode is not on):
                    return False
        except RuntimeError:  # Autocast was asked for on a device without it.
            return False
    return True


def asked():
    """The rung is chosen for the numbers as they will be."""
    for dtype in (torch.float32, torch.float64):
        module, x = rnnlib.torch.GRUCell(2, 2, dtype=dtype), torch.ones(3, 2, dtype=dtype)
        for mode, expected in (
            (nullcontext(), dtype),
            (torch.autocast("cpu", torch.bfloat16), TYPES[dtype]),
            (torch.autocast("cpu", torch.float16), dtype if dtype.itemsize > 4 else torch.float16),
        ):
            with mode, mock.patch.object(module_room, "choose", wraps=ladder.choose) as choose:
                module(x)
            if choose.call_args.args[3:] != (expected, x.device, [3]):
                return False
    return True


def silent(module, x):
    """While torch compiles, nothing is written to the module."""
    taken = []

    def run(form, rung, *args, **kwargs):
        taken.append(rung)
        return there(form, rung, *args, **kwargs)

    there = module_room.run
    with (
        mock.patch.object(torch.compiler, "is_compiling", return_value=True),
        mock.patch.object(module_room, "run", run),
    ):
        module(x)
    return module.took is None and taken == ["products"]


def pair(kind, *args, seed=SEED, **options):
    """A module of rnnlib.torch and one of torch.nn, with the same weights, biases too."""
    modules = [
        getattr(room, kind)(*args, dtype=torch.float64, **options)
        for room in (rnnlib.torch, torch.nn)
    ]
    for k, p in enumerate(modules[1].parameters()):
        p.data = 0.1 + 0.6 * drawn(p.shape, seed + k)
    modules[0].load_state_dict(modules[1].state_dict())
    return modules


def flat(results):
    """The tensors in what a module returns."""
    if isinstance(results, torch.Tensor):
        return [results]
    if isinstance(results, PackedSequence):
        return [t for t in results if t is not None]
    return [t for part in results for t in flat(part)]


def tried(module, x, hx=None, lengths=None, batch_first=False):
    """The results and every derivative."""
    x = x.clone().requires_grad_()
    hx = None if hx is None else [h.clone().requires_grad_() for h in hx]
    given = x
    if lengths is not None:
        given = pack_padded_sequence(
            x, torch.tensor(lengths), batch_first, enforce_sorted=lengths is SORTED
        )
    states = None if hx is None else tuple(hx) if len(hx) > 1 else hx[0]
    results = flat(module(given, states))
    roots = [r for r in results if r.requires_grad]
    grads = torch.autograd.grad(
        roots,
        [x, *(hx or ()), *module.parameters()],
        [drawn(r.shape, SEED + k) for k, r in enumerate(roots)],
        materialize_grads=True,
        allow_unused=True,
    )
    return [*(r.detach() for r in results), *grads]


def layer(kind, *more, R=3, proj_size=0, **options):
    """Two layers, both ways, with T = N = H and I = D·R: equal and unequal lengths."""
    fixed = {"bidirectional": True, **({"proj_size": proj_size} if proj_size else {})}
    modules = pair(kind, 2 * R, 3, 2, *more, **fixed, **options)
    hx = [drawn((4, 3, R), SEED + 1), drawn((4, 3, 3), SEED + 2)][: 1 + (kind == "LSTM")]
    x = drawn((3, 3, 2 * R))
    return all(
        beside(*(tried(m, x, states, lengths) for m in modules))
        for lengths in (None, UNSORTED, SORTED)
        for states in (hx, None)
    )


def layouts():
    """Batch first, padded and packed, and one sequence alone."""
    for kind in ("LSTM", "GRU"):
        modules = pair(kind, 6, 3, 2, batch_first=True, bidirectional=True)
        hx = [drawn((4, 3, 3), SEED + k) for k in range(1 + (kind == "LSTM"))]
        for x, states, lengths in (
            (drawn((3, 3, 6)), hx, None),
            (drawn((3, 3, 6)), hx, UNSORTED),
            (drawn((3, 6)), [h[:, 0] for h in hx], None),
            (drawn((3, 6)), None, None),
        ):
            if not beside(*(tried(m, x, states, lengths, True) for m in modules)):
                return False
    return True


def dropout():
    """Between the layers, drawn as torch.nn draws, and not in eval()."""
    modules = pair("LSTM", 6, 3, 3, bidirectional=True, dropout=0.4)

    def found(lengths):
        for module in modules:
            torch.manual_seed(SEED)
            yield tried(module, drawn((3, 3, 6)), None, lengths)

    if not all(beside(*found(lengths)) for lengths in (None, UNSORTED)):
        return False
    for module in modules:
        module.eval()
    return beside(*found(None))


def reset_before():
    """Against the layer on NumPy arrays; torch.nn has no such form."""
    options = {"num_layers": 2, "bidirectional": True}
    case = Case("GRU", SEED, T=3, N=3, input_size=6, hidden_size=3, **options)
    numpy_layer = case.layer(reset_after=False)
    module = rnnlib.torch.GRU(6, 3, reset_after=False, dtype=torch.float64, **options)
    module.load_state_dict({k: torch.tensor(p) for k, p in numpy_layer.parameters.items()})
    theirs = run(case, numpy_layer)
    x, hx, d_output, d_state = case.arrays()
    x, h = (torch.tensor(a, requires_grad=True) for a in (x, *hx))
    results = module(x, h)
    torch.autograd.backward(results, [torch.tensor(a) for a in (d_output, *d_state)])
    ours = {"output": results[0], "h_n": results[1], "d_input": x.grad, "d_h_0": h.grad}
    ours |= {f"d {name}": p.grad for name, p in module.named_parameters()}
    return same({k: a.detach().numpy() for k, a in ours.items()}, theirs)


def alike(module, shape, message):
    """Under autocast a state may be of another type, though not elsewhere; without, neither."""
    x, half = torch.ones(shape), torch.zeros(shape, dtype=torch.bfloat16)
    away = torch.zeros(shape, device="meta")
    try:
        with torch.autocast("cpu", torch.bfloat16):
            module(x, half)
    except RuntimeError:
        return False
    for mode, state in (
        (nullcontext(), half),
        (nullcontext(), away),
        (torch.autocast("cpu", torch.bfloat16), away),
    ):
        try:
            with mode:
                module(x, state)
        except RuntimeError as error:
            if str(error).startswith(f"{message}: expected the input's"):
                continue
        return False
    return True


def cell(kind, *more):
    modules = pair(kind, 3, 3, True, *more)
    hx = [drawn((3, 3), SEED + k) for k in range(1 + (kind == "LSTMCell"))]
    return all(
        beside(*(tried(m, x, states) for m in modules))
        for x, starts in ((drawn((3, 3)), hx), (drawn((3,)), [h[0] for h in hx]))
        for states in (starts, None)
    )


def cell_reset_before():
    module = rnnlib.torch.GRUCell(4, 4, reset_after=False, dtype=torch.float64)
    _, theirs, (x, h, *weights) = ours_and_theirs("reset before", [4], False)
    for p, w in zip(module.parameters(), weights, strict=True):
        p.data = w
    return beside([module(x, h)], theirs(x, h, *weights)[1:])


CHECKS = {
    **planted_function.CHECKS,
    "chosen": lambda: chosen(
        rnnlib.torch.GRU(2, 2, 2, bidirectional=True), torch.ones(2, 1, 2), 4, [1, 1]
    ),
    "cell chosen": lambda: chosen(rnnlib.torch.GRUCell(2, 2), torch.ones(1, 2), 1, [1]),
    "taken": taken,
    "asked": asked,
    "silent": lambda: (
        silent(rnnlib.torch.GRU(2, 2), torch.ones(2, 1, 2))
        and silent(rnnlib.torch.GRUCell(2, 2), torch.ones(1, 2))
    ),
    "layer elsewhere": layer_elsewhere,
    "cell elsewhere": cell_elsewhere,
    "layer tanh": lambda: layer("RNN"),
    "layer relu": lambda: layer("RNN", "relu") and layer("RNN", nonlinearity="relu"),
    "layer lstm": lambda: layer("LSTM"),
    "layer projected": lambda: layer("LSTM", R=2, proj_size=2),
    "layer gru": lambda: layer("GRU"),
    "layer reset before": reset_before,
    "layouts": layouts,
    "dropout": dropout,
    "alike": lambda: alike(rnnlib.torch.GRU(2, 2), (1, 1, 2), "hx (h_0)"),
    "cell alike": lambda: alike(rnnlib.torch.GRUCell(2, 2), (1, 2), "hx (h)"),
    "cell tanh": lambda: cell("RNNCell"),
    "cell relu": lambda: cell("RNNCell", "relu"),
    "cell lstm": lambda: cell("LSTMCell"),
    "cell gru": lambda: cell("GRUCell"),
    "cell reset before": cell_reset_before,
}


def check(name):
    return CHECKS[name]()
