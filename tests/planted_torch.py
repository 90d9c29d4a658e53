"""rnnlib.torch beside torch.nn and beside literal loops, for ``test_planted_errors``.

All in float64 where nothing else is said, with random cotangents and biases far from zero.
"""

from contextlib import nullcontext
from unittest import mock

import numpy as np
import torch
from planted_cells import same
from planted_layers import literal_rows, row_arrays
from recurrent_cases import Case, run
from torch.autograd import forward_ad
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence
from torch.utils._python_dispatch import TorchDispatchMode

import rnnlib.torch
from rnnlib import sequences
from rnnlib.torch import cells, function, inplace, ladder, layers

SEED = 40
# Three lengths in an order that sorting it once more does not undo, and in order.
UNSORTED, SORTED = (2, 1, 3), (3, 2, 1)
FORMS = {
    "tanh": "RNN_TANH",
    "relu": "RNN_RELU",
    "lstm": "LSTM",
    "projected": "LSTM",
    "gru": "GRU",
    "reset before": "GRU_RESET_BEFORE",
}
# The forms for which "auto" is not "products".
IN_PLACE = ("tanh", "relu", "lstm", "gru")
# rung: the class whose ``forward`` and ``backward`` run on it
RUNS = {"products": sequences.Sequence, "inplace": inplace.InPlace}


def drawn(shape, seed=SEED):
    return torch.tensor(np.random.default_rng(seed).standard_normal(tuple(shape)))


def beside(ours, theirs, tolerance=1e-9):
    """Compare lists of tensors."""
    return len(ours) == len(theirs) and all(
        a.shape == b.shape and a.dtype == b.dtype and torch.allclose(a, b, tolerance, tolerance)
        for a, b in zip(ours, theirs, strict=True)
    )


# The function ------------------------------------------------------------------------------


def ours_and_theirs(name, counts, reverse, rung="auto"):
    """``run`` and the literal loop as functions of the same tensors, and such tensors."""
    w, x, state = row_arrays(name, counts)
    w.pop("weight_peephole", None)

    def of(f):
        def called(x, *arrays):
            s, w_arrays = arrays[: len(state)], arrays[len(state) :]
            return f(dict(zip(w, w_arrays, strict=True)), x, s)

        return called

    def ours(weights, x, s):
        chosen = ladder.choose(rung, FORMS[name], weights)
        y, after = function.run(FORMS[name], chosen, weights, x, s, counts, reverse)
        return y, *after

    def theirs(weights, x, s):
        return literal_rows(name, weights, x, s, counts, reverse)

    return of(ours), of(theirs), [torch.tensor(a) for a in (x, *state, *w.values())]


def ways(name, rungs=("products", "auto")):
    for counts in ([4, 4, 4], [3, 2, 2, 1]):
        for reverse in (False, True):
            for rung in rungs if name in IN_PLACE else rungs[:1]:
                yield ours_and_theirs(name, counts, reverse, rung)


def first(f, tensors, wanted=None):
    """The results and their derivatives; wanted: of which results, else of all."""
    tensors = [t.clone().requires_grad_() for t in tensors]
    results = f(*tensors)
    chosen = [results[k] for k in (range(len(results)) if wanted is None else wanted)]
    seeds = [drawn(part.shape, SEED + k) for k, part in enumerate(chosen)]
    return [part.detach() for part in results], torch.autograd.grad(
        chosen, tensors, seeds, materialize_grads=True, allow_unused=True
    )


def once(name):
    """The results and their derivatives, with gradients of some of the results only, too."""
    for ours, theirs, tensors in ways(name):
        states = 2 if name in ("lstm", "projected") else 1
        for wanted in (None, *((k,) for k in range(1 + states))):
            (results, grads), (expected, d_expected) = (
                first(f, tensors, wanted) for f in (ours, theirs)
            )
            if not (beside(results, expected) and beside(grads, d_expected)):
                return False
    return True


def second(f, tensors):
    """Derivatives of derivatives, by what came in and by the gradients that came back."""
    tensors = [t.clone().requires_grad_() for t in tensors]
    results = f(*tensors)
    seeds = [drawn(r.shape, SEED + k).requires_grad_() for k, r in enumerate(results)]
    grads = torch.autograd.grad(results, tensors, seeds, create_graph=True)
    return torch.autograd.grad(
        grads,
        [*tensors, *seeds],
        [drawn(g.shape, SEED + 9 + k) for k, g in enumerate(grads)],
        materialize_grads=True,
        allow_unused=True,
    )


def twice(name):
    try:
        return all(
            beside(*(second(f, tensors) for f in (ours, theirs)))
            for ours, theirs, tensors in ways(name)
        )
    except RuntimeError as error:  # What torch says of a step in place.
        if "automatic differentiation" not in str(error):
            raise
        return False


def forward_over_back(name):
    """Tangents of gradients of which torch keeps no graph."""

    def found(f, tensors):
        moved = [t.clone().requires_grad_() for t in tensors]
        with forward_ad.dual_level():
            moved[0] = forward_ad.make_dual(moved[0], drawn(moved[0].shape, SEED + 1))
            loss = sum((part**2).sum() for part in f(*moved))
            grads = torch.autograd.grad(loss, moved)
            pushed = [forward_ad.unpack_dual(g).tangent for g in grads]
        pairs = zip(tensors, pushed, strict=True)
        return [torch.zeros_like(t) if v is None else v for t, v in pairs]

    return all(
        beside(*(found(f, tensors) for f in (ours, theirs))) for ours, theirs, tensors in ways(name)
    )


def forward_mode(name):
    """Tangents of all that comes in, and of one thing only; then with nothing kept."""
    for ours, theirs, tensors in ways(name, ["products"]):
        tangents = [drawn(t.shape, SEED + k) for k, t in enumerate(tensors)]
        for moving in (range(len(tensors)), *((k,) for k in range(len(tensors)))):

            def of(f, moving=moving, tensors=tensors):
                def called(*moved):
                    arrays = list(tensors)
                    for k, t in zip(moving, moved, strict=True):
                        arrays[k] = t
                    return f(*arrays)

                return called

            given = tuple(tuple(a[k] for k in moving) for a in (tensors, tangents))
            expected = torch.func.jvp(of(theirs), *given)
            for mode in (nullcontext, torch.no_grad):
                try:
                    with mode():
                        found = torch.func.jvp(of(ours), *given)
                except RuntimeError:
                    return False
                if not all(beside(a, b) for a, b in zip(found, expected, strict=True)):
                    return False
    return True


def vmapped():
    """Gradients of several inputs at once."""
    ours, theirs, (x, *rest) = ours_and_theirs("gru", [3, 2, 2, 1], True)

    def slope(f):
        return torch.func.grad(lambda x: (f(x, *rest)[0] ** 2).sum())

    several = drawn((3, *x.shape))
    try:
        found = torch.func.vmap(slope(ours))(several)
    except RuntimeError:
        return False
    return beside([found], [torch.stack([slope(theirs)(x) for x in several])])


def batched(name):
    """Gradients of several cotangents at once, after a way forward by itself."""
    for ours, theirs, tensors in ways(name):

        def back(f, tensors=tensors):
            tensors = [t.clone().requires_grad_() for t in tensors]
            results = f(*tensors)
            seeds = [drawn((3, *r.shape), SEED + k) for k, r in enumerate(results)]
            return seeds, lambda *u: torch.autograd.grad(results, tensors, u, retain_graph=True)

        seeds, found = back(ours)
        _, one = back(theirs)
        expected = [one(*(s[k] for s in seeds)) for k in range(3)]
        try:
            grads = torch.func.vmap(found)(*seeds)
        except RuntimeError:
            return False
        if not beside(grads, [torch.stack(parts) for parts in zip(*expected, strict=True)]):
            return False
    return True


class Operations(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        self.names.append(str(operation))
        return operation(*args, **(kwargs or {}))


def spared(rung):
    """Nothing is kept, computed or made up that nobody asked for."""
    asked = []

    def forward(self, x, state, counts, reverse=False, keep=True):
        asked.append(("keep", keep))
        return there(self, x, state, counts, reverse, keep)

    def backward(self, *args):
        asked.append(args[8] if len(args) > 8 else None)
        return back(self, *args)

    def apply(*args):
        made.append(there_and_made(*args))
        return made[-1]

    there, back = RUNS[rung].forward, RUNS[rung].backward
    there_and_made, made = function.Derived.apply, []
    ours, _, tensors = ours_and_theirs("lstm", [3, 2, 2, 1], False, rung)
    kept = {"products": 6, "inplace": 3}[rung]
    names = ["x", "h", "c", *row_arrays("lstm", [4])[0]]
    with (
        mock.patch.multiple(RUNS[rung], forward=forward, backward=backward),
        mock.patch.object(function.Derived, "apply", apply),
    ):
        with torch.no_grad():
            ours(*tensors)
        if asked != [("keep", False)]:
            return False
        # All, nothing but the weights, each alone, and two of the weights.
        for needed in (names, names[3:], *([name] for name in names), names[3:5], names[5:]):
            asked.clear()
            pairs = zip(names, tensors, strict=True)
            results = ours(*(t.clone().requires_grad_(name in needed) for name, t in pairs))
            if [part.requires_grad for part in made[-1]] != [True] * 3 + [False] * kept:
                return False
            seeds = [torch.ones_like(part) for part in results]
            with Operations() as operations:
                torch.autograd.backward(results, seeds)
            if any("zeros" in name for name in operations.names):
                return False
            if asked != [("keep", True), [name for name in needed if name not in ("h", "c")]]:
                return False
    return True


def nested():
    """Forward mode within forward mode is refused; one level of it, and each with the way back."""
    ours, theirs, (x, *rest) = ours_and_theirs("gru", [3, 2, 2, 1], True)

    def loss(f):
        return lambda x: (f(x, *rest)[0] ** 2).sum()

    fwd, rev, v = torch.func.jacfwd, torch.func.jacrev, drawn(x.shape, SEED + 1)

    def moved(f):
        return lambda x: torch.func.jvp(f, (x,), (v,))[1]

    for twice in (
        lambda f: fwd(fwd(f)),
        lambda f: moved(moved(f)),
        lambda f: moved(rev(moved(f))),
        lambda f: fwd(fwd(fwd(f))),
    ):
        try:
            twice(loss(ours))(x)
        except RuntimeError as error:
            if "forward mode within forward mode" in str(error):
                continue
        except ValueError:  # torch stumbles later on.
            pass
        return False
    try:
        return all(
            beside([way(loss(ours))(x)], [way(loss(theirs))(x)])
            for way in (
                fwd,
                moved,
                lambda f: fwd(rev(f)),
                lambda f: rev(fwd(f)),
                lambda f: moved(rev(f)),
                lambda f: rev(rev(f)),
            )
        )
    except RuntimeError:
        return False


def autocast(rung):
    """Under autocast all is of its type but float64; the gradients are of the weights' type."""
    ours, theirs, tensors = ours_and_theirs("gru", [3, 2, 2, 1], False, rung)
    there, modes = RUNS[rung].forward, []

    def forward(self, *args):
        modes.append(torch.is_autocast_enabled("cpu"))
        return there(self, *args)

    half, single = ([t.to(kind) for t in tensors] for kind in (torch.bfloat16, torch.float32))
    results, grads = first(ours, half)
    grads, outside = [g.float() for g in grads], first(theirs, single)
    with torch.autocast("cpu", torch.bfloat16):
        with mock.patch.object(RUNS[rung], "forward", forward):
            found = [first(ours, single), first(ours, tensors)]
        try:
            ours(single[0].to(torch.int64), *single[1:])
        except RuntimeError:
            pass
        else:
            return False
    if any(modes):
        return False
    expected = [(results, grads), first(ours, tensors)]
    # Outside, then backward alone under autocast.
    x = [t.clone().requires_grad_() for t in single]
    results = ours(*x)
    seeds = [drawn(r.shape, SEED + k) for k, r in enumerate(results)]
    there = [r.detach() for r in results]
    for mode in (nullcontext(), torch.autocast("cpu", torch.bfloat16)):
        with mode:
            back = torch.autograd.grad(results, x, seeds, retain_graph=True)
        if not all(beside(*pair, 1e-5) for pair in zip((there, back), outside, strict=True)):
            return False
    return all(
        beside(a, b) for ab in zip(found, expected, strict=True) for a, b in zip(*ab, strict=True)
    )


def elsewhere():
    """On a device without autocast."""
    for rung in RUNS:
        ours, _, tensors = ours_and_theirs("gru", [3, 2, 2, 1], False, rung)
        try:
            y, h = ours(*(t.to("meta") for t in tensors))
        except RuntimeError:
            return False
        if y.shape != (8, 4) or h.shape != (3, 4):
            return False
    return True


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


def compiled():
    """In one graph, in which a layer is one piece however long the sequences are."""
    layer, sizes = rnnlib.torch.GRU(2, 2, dtype=torch.float64), []

    def backend(graph, example_inputs):
        sizes.append(len(graph.graph.nodes))
        return graph.forward

    for T in (2, 3):
        x = drawn((T, 1, 2))
        torch.compiler.reset()
        try:
            output, _ = torch.compile(layer, backend=backend, fullgraph=True)(x)
        except Exception as error:
            if not type(error).__module__.startswith("torch._dynamo"):
                raise
            return False
        if not beside([output], [layer(x)[0]]):
            return False
    return sizes[0] == sizes[1]


def chosen(module, x, calls):
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
            mock.patch.object(layers, "choose", wraps=ladder.choose) as choose,
        ):
            flat(module(x))[0].sum().backward()
        names = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"}
        for call in choose.call_args_list:
            if call.args[1] != "GRU" or call.args[2].keys() != names:
                return False
        rungs = [call.args[1] for call in make.call_args_list]
        if module.took != expected or rungs != [expected] * 2 * calls:
            return False
    return True


def below():
    """Derivatives of derivatives, and tangents, take the products, whichever rung ran."""
    for rung in ("loop", "inplace"):
        ours, _, tensors = ours_and_theirs("gru", [3, 2, 2, 1], False, rung)
        with mock.patch.object(function, "make", wraps=ladder.make) as make:
            second(ours, tensors)
            with torch.no_grad(), forward_ad.dual_level():
                ours(forward_ad.make_dual(tensors[0], drawn(tensors[0].shape)), *tensors[1:])
        rungs = [call.args[1] for call in make.call_args_list]
        # Forward, twice in the way back; forward, and its tangents.
        if rungs != [rung, rung, "products", rung, "products"]:
            return False
    return True


def silent(room, module, x):
    """While torch compiles, nothing is written to the module."""
    taken = []

    def run(form, rung, *args, **kwargs):
        taken.append(rung)
        return there(form, rung, *args, **kwargs)

    there = room.run
    with (
        mock.patch.object(torch.compiler, "is_compiling", return_value=True),
        mock.patch.object(room, "run", run),
    ):
        module(x)
    return module.took is None and taken == ["products"]


# Layers ------------------------------------------------------------------------------------


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


# Cells -------------------------------------------------------------------------------------


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
    **{name: lambda name=name: once(name) for name in FORMS},
    **{f"twice {name}": lambda name=name: twice(name) for name in FORMS},
    **{f"forward over back {name}": lambda name=name: forward_over_back(name) for name in FORMS},
    **{f"tangents {name}": lambda name=name: forward_mode(name) for name in FORMS},
    **{f"batched {name}": lambda name=name: batched(name) for name in FORMS},
    "vmap": vmapped,
    "nested": nested,
    **{f"spared {rung}": lambda rung=rung: spared(rung) for rung in RUNS},
    "spared": lambda: all(spared(rung) for rung in RUNS),
    "autocast": lambda: all(autocast(rung) for rung in RUNS),
    "chosen": lambda: chosen(rnnlib.torch.GRU(2, 2, 2, bidirectional=True), torch.ones(2, 1, 2), 4),
    "cell chosen": lambda: chosen(rnnlib.torch.GRUCell(2, 2), torch.ones(1, 2), 1),
    "below": below,
    "silent": lambda: (
        silent(layers, rnnlib.torch.GRU(2, 2), torch.ones(2, 1, 2))
        and silent(cells, rnnlib.torch.GRUCell(2, 2), torch.ones(1, 2))
    ),
    "elsewhere": elsewhere,
    "layer elsewhere": layer_elsewhere,
    "cell elsewhere": cell_elsewhere,
    "compiled": compiled,
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
