"""The derivatives of ``rnnlib.torch``: first and second, backward and forward, one by one."""

from math import prod

import mpmath
import pytest
import torch
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.nn.utils.rnn import PackedSequence

import rnnlib.torch
from rnnlib.torch.ladder import PRODUCTS

DOUBLE = {"dtype": torch.float64}
# name: (kind, what torch.nn does not have, the reference)
MODULES = {
    "RNN": ("RNN", {}),
    "RNN, relu": ("RNN", {"nonlinearity": "relu"}),
    "LSTM": ("LSTM", {}),
    "LSTM, projected": ("LSTM", {"proj_size": 2}),
    "GRU": ("GRU", {}),
    "GRU, reset before": ("GRU", {"reset_after": False}),
}
EACH = pytest.mark.parametrize("name", MODULES)


def problem(name, T=3, N=2, device="cpu", **options):
    """Return a module, a function of (x, states, weights) that runs it, and such arrays."""
    kind, more = MODULES[name]
    torch.manual_seed(1)
    module = getattr(rnnlib.torch, kind)(2, 3, **more, **options, **DOUBLE, device=device)
    weights = dict(module.named_parameters())
    D = module.num_layers * (1 + module.bidirectional)
    sizes = [(D, N, module.proj_size or 3), (D, N, 3)][: 1 + (kind == "LSTM")]
    states = [torch.randn(size, **DOUBLE, device=device) for size in sizes]
    x = torch.randn(T, N, 2, **DOUBLE, device=device)

    def run(x, *arrays):
        hx, given = arrays[: len(sizes)], dict(zip(weights, arrays[len(sizes) :], strict=True))
        hx = tuple(hx) if len(hx) > 1 else hx[0]
        output, ends = torch.func.functional_call(module, given, (x, hx))
        output = output if torch.is_tensor(output) else output.data
        return (output, *ends) if len(sizes) > 1 else (output, ends)

    arrays = [x, *states, *(0.2 + w.detach() for w in weights.values())]
    return run, [a.clone().requires_grad_() for a in arrays]


@EACH
@pytest.mark.parametrize("T", [1, 4])
def test_gradcheck(name, T, device):
    run, arrays = problem(name, T, num_layers=2, bidirectional=True, device=device)
    assert gradcheck(run, arrays)


@EACH
@pytest.mark.parametrize("T", [1, 3])
def test_gradgradcheck_and_forward_mode(name, T, device):
    run, arrays = problem(name, T, device=device)
    assert gradcheck(run, arrays, check_forward_ad=True)
    assert gradgradcheck(run, arrays)


@EACH
def test_packed_sequences(name):
    run, (_, *rest) = problem(name, N=3, bidirectional=True)
    rows = torch.randn(7, 2, **DOUBLE, requires_grad=True)
    order, back = torch.tensor([1, 0, 2]), torch.tensor([1, 0, 2])

    def run_packed(rows, *rest):
        # Lengths 2, 4 and 1.
        return run(PackedSequence(rows, torch.tensor([3, 2, 1, 1]), order, back), *rest)

    assert gradcheck(run_packed, [rows, *rest], check_forward_ad=True)
    assert gradgradcheck(run_packed, [rows, *rest])


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("reset_after", [True, False])
def test_cells(kind, reset_after):
    more = {} if kind != "GRU" else {"reset_after": reset_after}
    cell = getattr(rnnlib.torch, f"{kind}Cell")(2, 3, **more, **DOUBLE)

    def run(x, *hx):
        return cell(x, hx if kind == "LSTM" else hx[0])

    states = [torch.randn(4, 3, **DOUBLE, requires_grad=True) for _ in range(1 + (kind == "LSTM"))]
    arrays = torch.randn(4, 2, **DOUBLE, requires_grad=True), *states
    assert gradcheck(run, arrays, check_forward_ad=True)
    assert gradgradcheck(run, arrays)


@EACH
def test_a_third_derivative(name):
    run, (x, *rest) = problem(name, T=2, N=1)
    v = torch.randn_like(x)

    def slope(f):
        return lambda s: torch.autograd.grad(f(s), s, create_graph=True)[0]

    def f(s):
        return run(x + s * v, *rest)[0].square().sum()

    s, step = torch.tensor(0.3, **DOUBLE, requires_grad=True), 1e-4
    second = slope(slope(f))
    near = [second(torch.tensor(0.3 + d, **DOUBLE, requires_grad=True)) for d in (step, -step)]
    expected = (near[0] - near[1]) / (2 * step)
    torch.testing.assert_close(slope(second)(s), expected, rtol=1e-6, atol=1e-8)


@EACH
def test_torch_func(name):
    """Per-example gradients, Jacobians both ways, and a Hessian, against plain autograd."""
    run, (x, *rest) = problem(name)
    rest = [r.detach() for r in rest]

    def output(x):
        return run(x, *rest)[0]

    def loss(x):
        return output(x).square().sum()

    torch.testing.assert_close(torch.func.jacfwd(output)(x), torch.func.jacrev(output)(x))
    jacobian = torch.autograd.functional.jacobian(output, x)
    torch.testing.assert_close(torch.func.jacrev(output)(x), jacobian)
    hessian = torch.autograd.functional.hessian(loss, x)
    torch.testing.assert_close(torch.func.hessian(loss)(x), hessian)
    batch = torch.randn(4, *x.shape, **DOUBLE)
    one_by_one = [torch.autograd.grad(loss(b.requires_grad_()), b)[0] for b in batch.clone()]
    per_example = torch.func.vmap(torch.func.grad(loss))(batch)
    torch.testing.assert_close(per_example, torch.stack(one_by_one))


@EACH
def test_forward_mode_within_forward_mode_is_refused(name):
    """torch would ignore one of the levels, in any Function, and say nothing."""
    run, (x, *rest) = problem(name)

    def output(x):
        return run(x, *rest)[0]

    with pytest.raises(RuntimeError, match="forward mode within forward mode"):
        torch.func.jacfwd(torch.func.jacfwd(output))(x)
    mixed = torch.func.jacrev(torch.func.jacfwd(output))(x)
    torch.testing.assert_close(mixed, torch.func.jacrev(torch.func.jacrev(output))(x))


@EACH
def test_forward_mode_over_going_back(name):
    """A Hessian times a vector, of a gradient of which torch keeps no graph."""
    run, (x, *rest) = problem(name)
    rest, v = [r.detach() for r in rest], torch.randn_like(x)

    def loss(x):
        return run(x, *rest)[0].square().sum()

    expected = torch.autograd.functional.hvp(loss, x.detach(), v)[1]
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, v)
        (gradient,) = torch.autograd.grad(loss(dual), dual)
        found = forward_ad.unpack_dual(gradient).tangent
    torch.testing.assert_close(found, expected)
    with torch.no_grad():
        hessian = torch.func.jacfwd(torch.func.jacrev(loss))(x)
    torch.testing.assert_close(hessian.flatten(3).flatten(0, 2) @ v.flatten(), expected.flatten())


@EACH
def test_forward_mode_without_grad(name):
    """Tangents need no graph."""
    run, arrays = problem(name)
    v = [torch.randn_like(a) for a in arrays]
    _, expected = torch.func.jvp(run, tuple(arrays), tuple(v))
    with torch.no_grad(), forward_ad.dual_level():
        duals = [forward_ad.make_dual(a, t) for a, t in zip(arrays, v, strict=True)]
        found = [forward_ad.unpack_dual(result).tangent for result in run(*duals)]
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_results_that_are_not_used():
    """Only one result goes into the loss: the gradients of the others arrive as None."""
    run, arrays = problem("LSTM")
    for place in range(3):
        grads = torch.autograd.grad(run(*arrays)[place].sum(), arrays, allow_unused=True)
        theirs = torch.nn.LSTM(2, 3, **DOUBLE)
        names = [k for k, _ in theirs.named_parameters()]
        x, h, c, *weights = arrays
        given = dict(zip(names, weights, strict=True))
        output, (h_n, c_n) = torch.func.functional_call(theirs, given, (x, (h, c)))
        expected = torch.autograd.grad((output, h_n, c_n)[place].sum(), arrays)
        for a, b in zip(grads, expected, strict=True):
            torch.testing.assert_close(a, b)


class Stored:
    """Counts the storages that autograd keeps inside, and their bytes, each once."""

    def __enter__(self):
        self.sizes = {}
        self.hooks = torch.autograd.graph.saved_tensors_hooks(self.note, lambda t: t)
        self.hooks.__enter__()
        return self

    def note(self, tensor):
        storage = tensor.untyped_storage()
        self.sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    def __exit__(self, *error):
        self.hooks.__exit__(*error)

    @property
    def numbers(self):
        return sum(self.sizes.values()) // 8


@pytest.mark.parametrize(
    ("name", "slots"), {"RNN": 0, "LSTM": 6, "GRU": 5, "GRU, reset before": 3}.items()
)
def test_nothing_is_kept_that_backward_does_not_need(name, slots):
    T, N, H = 20, 4, 3
    run, arrays = problem(name, T, N)
    with Stored() as stored:
        output, *_ = run(*arrays)
    given = sum(prod(a.shape) for a in arrays)
    # What was given, the outputs, and so many rows of H numbers a step.
    assert stored.numbers == given + output.numel() + slots * T * N * H
    with torch.no_grad(), Stored() as stored:
        run(*arrays)
    assert stored.numbers == 0


def test_only_what_is_asked_for_is_computed(monkeypatch):
    asked = []
    kept = rnnlib.sequences.LSTMSequence.backward

    def backward(self, *arguments):
        asked.append(sorted(arguments[-1]))
        return kept(self, *arguments)

    monkeypatch.setattr(rnnlib.sequences.LSTMSequence, "backward", backward)
    module, x = rnnlib.torch.LSTM(2, 3), torch.randn(4, 1, 2)
    module.rung = "products"
    weights = ["bias_hh", "bias_ih", "weight_hh", "weight_ih"]
    module(x)[0].sum().backward()
    assert asked.pop() == weights
    module(x.requires_grad_())[0].sum().backward()
    assert asked.pop() == [*weights, "x"]
    torch.autograd.grad(module.requires_grad_(False)(x)[0].sum(), x)
    assert asked.pop() == ["x"]
    module.bias_hh_l0.requires_grad_()
    module(x.detach())[0].sum().backward()
    assert asked.pop() == ["bias_hh"]


def test_an_input_changed_before_backward_is_noticed():
    x = torch.randn(4, 1, 2)
    output, _ = rnnlib.torch.LSTM(2, 3)(x)
    x += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()


def test_backward_twice():
    module = rnnlib.torch.LSTM(2, 3, **DOUBLE)
    loss = module(torch.randn(4, 1, 2, **DOUBLE))[0].sum()
    loss.backward(retain_graph=True)
    once = module.weight_hh_l0.grad.clone()
    loss.backward()
    torch.testing.assert_close(module.weight_hh_l0.grad, 2 * once)
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def golden_lstm(w):
    """h after two steps of an LSTM of one number, in 40 digits; w: its numbers by name."""
    mp = mpmath

    def sigma(a):
        return 1 / (1 + mp.exp(-a))

    h, c = w["h"], w["c"]
    for x in (w["x1"], w["x2"]):
        i, f, g, o = (w[f"w{k}"] * x + w[f"u{k}"] * h + w[f"b{k}"] + w[f"v{k}"] for k in "ifgo")
        c = sigma(f) * c + sigma(i) * mp.tanh(g)
        h = sigma(o) * mp.tanh(c)
    return h


def golden_gru(w, reset_after):
    """The same of a GRU."""
    mp = mpmath

    def sigma(a):
        return 1 / (1 + mp.exp(-a))

    h = w["h"]
    for x in (w["x1"], w["x2"]):
        r, z = (
            sigma(w[f"w{k}"] * x + w[f"b{k}"] + w[f"u{k}"] * h + w[f"v{k}"]) for k in ("r", "z")
        )
        m = r * (w["un"] * h + w["vn"]) if reset_after else w["un"] * r * h + w["vn"]
        n = mp.tanh(w["wn"] * x + w["bn"] + m)
        h = (1 - z) * n + z * h
    return h


@pytest.mark.parametrize("name", ["LSTM", "GRU", "GRU, reset before"])
def test_golden_values(name):
    """One number in every place: the output and all gradients from 40 digits and no torch."""
    kind, more = MODULES[name]
    gates = {"LSTM": "ifgo", "GRU": "rzn"}[kind]
    names = ["x1", "x2", "h", "c"] + [part + gate for part in "wubv" for gate in gates]
    rng = torch.Generator().manual_seed(5)
    values = dict(zip(names, torch.randn(len(names), generator=rng, **DOUBLE), strict=True))

    with mpmath.workdps(40):

        def value(**changed):
            exact = {k: mpmath.mpf(float(v)) for k, v in values.items()} | changed
            return golden_lstm(exact) if kind == "LSTM" else golden_gru(exact, name == "GRU")

        slopes = {
            k: mpmath.diff(lambda a, k=k: value(**{k: a}), mpmath.mpf(float(v)))
            for k, v in values.items()
        }
        expected, slopes = float(value()), {k: float(s) for k, s in slopes.items()}

    module = getattr(rnnlib.torch, kind)(1, 1, **more, **DOUBLE)
    weights = {"weight_ih_l0": "w", "weight_hh_l0": "u", "bias_ih_l0": "b", "bias_hh_l0": "v"}
    packed = {w: torch.stack([values[k + g] for g in gates]) for w, k in weights.items()}
    module.load_state_dict({w: p.reshape(module.get_parameter(w).shape) for w, p in packed.items()})
    x = torch.stack([values["x1"], values["x2"]]).reshape(2, 1).requires_grad_()
    h, c = (values[k].reshape(1, 1).clone().requires_grad_() for k in ("h", "c"))
    output, _ = module(x, (h, c) if kind == "LSTM" else h)
    output[-1].backward()
    assert abs(output[-1].item() - expected) < 1e-14
    found = dict(zip(("x1", "x2"), x.grad.ravel(), strict=True)) | {"h": h.grad}
    found |= {"c": c.grad} if kind == "LSTM" else {}
    for weight, k in weights.items():
        grads = module.get_parameter(weight).grad.ravel()
        found |= {k + gate: g for gate, g in zip(gates, grads, strict=True)}
    for k, g in found.items():
        assert abs(g.item() - slopes[k]) < 1e-13, k


def test_every_form_is_used():
    kinds = {getattr(rnnlib.torch, k)(2, 3, **m).form for k, m in MODULES.values()}
    assert kinds == set(PRODUCTS)
