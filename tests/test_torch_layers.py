"""``rnnlib.torch`` in the place of torch.nn: the same numbers, states, errors and uses."""

import copy
import io
import shutil
from dataclasses import replace

import pytest
import torch
import torch.utils.checkpoint
from hypothesis import given, settings
from recurrent_cases import Case, assert_equal, cases, run, run_torch

import rnnlib.torch
from rnnlib import GRU

KINDS = ["RNN", "LSTM", "GRU"]
EACH_KIND = pytest.mark.parametrize("kind", KINDS)


@settings(deadline=None, max_examples=200)
@given(cases(checkpoint=None))
def test_equals_torch_nn(case):
    layer = case.layer()
    ours, theirs = (run_torch(case, case.module(layer, home)) for home in (rnnlib.torch, torch.nn))
    assert_equal(ours, theirs)


@EACH_KIND
@pytest.mark.parametrize(
    "more",
    [
        {"T": 1},
        {"T": 1, "batched": False},
        {"T": 30, "batched": False},
        {"num_layers": 2, "bidirectional": True, "batch_first": True},
        {"T": 7, "N": 5, "ragged": True, "num_layers": 2, "bidirectional": True},
        {"T": 7, "N": 5, "ragged": True, "project": True, "bidirectional": True},
        {"bias": False, "nonlinearity": "relu"},
        {"with_hx": False, "with_d_state": False},
    ],
    ids=lambda more: " ".join(more),
)
def test_equals_torch_nn_on_each_device(kind, more, device):
    case = replace(Case(kind), **more)
    layer = case.layer()
    homes = rnnlib.torch, torch.nn
    ours, theirs = (run_torch(case, case.module(layer, home, device)) for home in homes)
    assert_equal(ours, theirs)


@settings(deadline=None, max_examples=30)
@given(cases(kind="GRU", checkpoint=None))
def test_the_gru_that_resets_before_equals_the_numpy_layer(case):
    layer = case.layer(reset_after=False)
    module = rnnlib.torch.GRU(
        case.input_size, case.hidden_size, dtype=torch.float64, reset_after=False, **case.options
    )
    module.load_state_dict({k: torch.tensor(p) for k, p in layer.parameters.items()})
    assert_equal(run(case, layer), run_torch(case, module))


@EACH_KIND
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("given_state", [True, False])
def test_a_cell_equals_torchs(kind, bias, batched, given_state, device):
    torch.manual_seed(0)
    options = {"bias": bias, "dtype": torch.float64, "device": device}
    ours, theirs = (
        getattr(home, f"{kind}Cell")(3, 4, **options) for home in (rnnlib.torch, torch.nn)
    )
    ours.load_state_dict(theirs.state_dict())
    lead = (5,) if batched else ()
    draw = {"dtype": torch.float64, "device": device}
    found = []
    arrays = [torch.randn(*lead, size, **draw) for size in (3, 4, 4, 4, 4)]
    for cell in (ours, theirs):
        x, h, c = (a.clone().requires_grad_() for a in arrays[:3])
        hx = None if not given_state else (h, c) if kind == "LSTM" else h
        after = cell(x, hx)
        after = after if kind == "LSTM" else (after,)
        torch.autograd.backward(after, arrays[3 : 3 + len(after)])
        leaves = [x, *([h] if given_state else []), *cell.parameters()]
        leaves += [c] if given_state and kind == "LSTM" else []
        found.append([*after, *(leaf.grad for leaf in leaves)])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@EACH_KIND
def test_a_loop_over_the_cell_equals_the_layer(kind):
    torch.manual_seed(0)
    options = [{}, {"reset_after": False}] if kind == "GRU" else [{}]
    for more in options:
        layer = getattr(rnnlib.torch, kind)(3, 4, dtype=torch.float64, **more)
        cell = getattr(rnnlib.torch, f"{kind}Cell")(3, 4, dtype=torch.float64, **more)
        cell.load_state_dict({k.removesuffix("_l0"): v for k, v in layer.state_dict().items()})
        x, state = torch.randn(6, 2, 3, dtype=torch.float64), None
        outputs = []
        for x_t in x:
            state = cell(x_t, state)
            outputs.append(state[0] if kind == "LSTM" else state)
        torch.testing.assert_close(torch.stack(outputs), layer(x)[0], rtol=1e-12, atol=1e-12)


@EACH_KIND
def test_dropout_draws_what_torch_nn_draws(kind):
    torch.manual_seed(0)
    options = {"num_layers": 3, "dropout": 0.4, "bidirectional": True, "dtype": torch.float64}
    ours, theirs = (getattr(home, kind)(3, 4, **options) for home in (rnnlib.torch, torch.nn))
    ours.load_state_dict(theirs.state_dict())
    x, outputs = torch.randn(6, 2, 3, dtype=torch.float64), []
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor([3, 6]), enforce_sorted=False)
    for given_input in (x, packed):
        outputs = []
        for module in (ours, theirs):
            torch.manual_seed(7)
            output, _ = module(given_input)
            outputs.append(output if torch.is_tensor(output) else output.data)
        torch.testing.assert_close(*outputs, rtol=1e-12, atol=1e-12)
        assert not torch.equal(outputs[0], _output(ours.eval()(given_input)))
        ours.train()


def _output(result):
    return result[0] if torch.is_tensor(result[0]) else result[0].data


@EACH_KIND
def test_it_says_what_torch_nn_says_of_itself(kind):
    for options in ({}, {"num_layers": 2, "bidirectional": True, "dropout": 0.1, "bias": False}):
        ours, theirs = (getattr(home, kind)(3, 4, **options) for home in (rnnlib.torch, torch.nn))
        assert repr(ours) == repr(theirs)
        assert list(ours.state_dict()) == list(theirs.state_dict())
        ours, theirs = (getattr(h, f"{kind}Cell")(3, 4) for h in (rnnlib.torch, torch.nn))
        assert repr(ours) == repr(theirs)
        assert list(ours.state_dict()) == list(theirs.state_dict())
    assert repr(rnnlib.torch.RNNCell(3, 4, nonlinearity="relu")) == repr(
        torch.nn.RNNCell(3, 4, nonlinearity="relu")
    )
    assert "reset_after=False" in repr(rnnlib.torch.GRU(3, 4, reset_after=False))
    assert "reset_after=False" in repr(rnnlib.torch.GRUCell(3, 4, reset_after=False))


@EACH_KIND
def test_the_same_seed_draws_the_same_weights(kind):
    drawn = []
    for home in (rnnlib.torch, torch.nn):
        torch.manual_seed(3)
        drawn.append(getattr(home, kind)(3, 4, 2, bidirectional=True).state_dict())
    for name, weight in drawn[1].items():
        assert torch.equal(drawn[0][name], weight)


@EACH_KIND
def test_copies_pickles_and_files(kind):
    torch.manual_seed(0)
    module = getattr(rnnlib.torch, kind)(3, 4, 2, bidirectional=True)
    x = torch.randn(5, 2, 3)
    expected = module(x)[0]
    assert torch.equal(copy.deepcopy(module)(x)[0], expected)
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    assert torch.equal(torch.load(file, weights_only=False)(x)[0], expected)
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    theirs = getattr(torch.nn, kind)(3, 4, 2, bidirectional=True)
    theirs.load_state_dict(torch.load(file))
    torch.testing.assert_close(theirs(x)[0], expected, rtol=1e-5, atol=1e-6)


def test_the_weights_go_to_the_numpy_layer_and_back():
    module = rnnlib.torch.GRU(3, 4, 2, bidirectional=True, dtype=torch.float64)
    layer = GRU(3, 4, 2, bidirectional=True)
    layer.load_state_dict({k: v.numpy() for k, v in module.state_dict().items()})
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    torch.testing.assert_close(module(x)[0].detach(), torch.tensor(layer(x.numpy())[0]))


@EACH_KIND
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_every_type_of_number(kind, dtype, device):
    torch.manual_seed(0)
    exact = getattr(rnnlib.torch, kind)(3, 16, 2, dtype=torch.float64, device=device)
    module = copy.deepcopy(exact).to(dtype)
    x = torch.randn(6, 4, 3, dtype=torch.float64, device=device).to(dtype)
    results = []
    for m, given_input in ((module, x), (exact, x.double())):
        given_input = given_input.requires_grad_()
        output, ends = m(given_input)
        output.double().square().sum().backward()
        end = ends[0] if kind == "LSTM" else ends
        results.append([output, end, given_input.grad, *(p.grad for p in m.parameters())])
    unit = torch.finfo(dtype).eps
    for ours, expected in zip(*results, strict=True):
        assert ours.dtype == dtype
        # Some tens of roundings in a row, of numbers of the gradient's size.
        scale = expected.abs().max().item()
        torch.testing.assert_close(ours.double(), expected, rtol=0, atol=16 * unit * scale)


@EACH_KIND
def test_autocast(kind, device):
    torch.manual_seed(0)
    module = getattr(rnnlib.torch, kind)(3, 4, 2, device=device)
    x = torch.randn(5, 2, 3, device=device, requires_grad=True)
    start = torch.randn(2, 2, 4, device=device)
    hx = (start, start.sin()) if kind == "LSTM" else start
    lower = copy.deepcopy(module).to(torch.bfloat16)
    lower_hx = tuple(h.bfloat16() for h in hx) if kind == "LSTM" else hx.bfloat16()
    expected, _ = lower(x.detach().bfloat16(), lower_hx)
    for inside in (False, True):
        module.zero_grad()
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            output, _ = module(x, hx)
            if inside:
                output.square().sum().backward()
        if not inside:
            output.square().sum().backward()
        assert output.dtype == torch.bfloat16
        assert torch.equal(output, expected)
        assert {p.grad.dtype for p in module.parameters()} == {torch.float32}
    # float64 is not taken down.
    with torch.autocast(torch.device(device).type, torch.bfloat16):
        assert module.double()(x.double())[0].dtype == torch.float64


@EACH_KIND
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_a_compiled_model(kind, backend):
    check_compiled(kind, backend, 2, (4, 3))


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile finds no C++ compiler here")
def test_a_model_compiled_to_c():
    check_compiled("LSTM", "inductor", 1, (2, 3))


def check_compiled(kind, backend, num_layers, size):
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(10, 3)
            self.layer = getattr(rnnlib.torch, kind)(3, 4, num_layers, bidirectional=True)
            self.head = torch.nn.Linear(8, 10)

        def forward(self, i):
            return self.head(self.layer(self.embedding(i))[0])

    torch.manual_seed(0)
    torch.compiler.reset()
    model, i = Model().double(), torch.randint(10, size)
    # fullgraph: a place that torch.compile cannot take is an error.
    compiled = torch.compile(model, backend=backend, fullgraph=True)
    found = []
    for run_model in (compiled, model):
        model.zero_grad()
        output = run_model(i)
        output.square().sum().backward()
        found.append([output, *(p.grad for p in model.parameters())])
    for ours, expected in zip(*found, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)
    with torch.no_grad():
        torch.testing.assert_close(compiled(i), model(i), rtol=1e-10, atol=1e-10)


@EACH_KIND
def test_the_functions_of_torch_nn_utils(kind):
    torch.manual_seed(0)
    module = getattr(rnnlib.torch, kind)(3, 4, dtype=torch.float64)
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    before = module(x)[0]
    torch.nn.utils.parametrizations.weight_norm(module, "weight_hh_l0")
    torch.testing.assert_close(module(x)[0], before)
    with torch.no_grad():
        module.parametrizations.weight_hh_l0.original0.mul_(2)
    assert not torch.allclose(module(x)[0], before)
    module(x)[0].sum().backward()
    norm = torch.nn.utils.clip_grad_norm_(module.parameters(), 0.5)
    assert norm > 0.5
    flat = torch.cat([p.grad.ravel() for p in module.parameters()])
    torch.testing.assert_close(flat.norm(), torch.tensor(0.5, dtype=torch.float64))


def test_shapes_without_numbers_and_empty_batches():
    module = rnnlib.torch.LSTM(3, 4, 2, device="meta")
    output, (h, _) = module(torch.empty(5, 2, 3, device="meta"))
    assert output.shape == (5, 2, 4)
    assert h.shape == (2, 2, 4)
    hx = torch.empty(2, 2, 4, device="meta"), torch.empty(2, 2, 4, device="meta")
    assert module(torch.empty(5, 2, 3, device="meta"), hx)[0].shape == (5, 2, 4)
    output, (h, _) = rnnlib.torch.LSTM(3, 4, 2)(torch.empty(5, 0, 3))
    assert output.shape == (5, 0, 4)
    assert h.shape == (2, 0, 4)


def test_checkpointing():
    module, x = rnnlib.torch.LSTM(3, 4), torch.randn(5, 2, 3)
    module(x)[0].square().sum().backward()
    expected = module.weight_hh_l0.grad.clone()
    for reentrant in (False, True):
        module.zero_grad()
        again = torch.utils.checkpoint.checkpoint(
            module, x.requires_grad_(), use_reentrant=reentrant
        )
        again[0].square().sum().backward()
        torch.testing.assert_close(module.weight_hh_l0.grad, expected)


def test_each_saved_tensor_is_loaded_once():
    loaded = []

    def load(key):
        loaded.append(key)
        return tensors.pop(key)

    def keep(tensor):
        tensors[len(tensors)] = tensor
        return len(tensors) - 1

    tensors = {}
    module = rnnlib.torch.LSTM(3, 4)
    with torch.autograd.graph.saved_tensors_hooks(keep, load):
        output, _ = module(torch.randn(5, 2, 3))
    output.sum().backward()
    assert len(set(loaded)) == len(loaded) > 6


@EACH_KIND
def test_what_it_is(kind):
    """Programs ask for the class; torch.compile refuses layers of torch.nn's own classes."""
    layer, cell = getattr(rnnlib.torch, kind)(3, 4), getattr(rnnlib.torch, f"{kind}Cell")(3, 4)
    assert isinstance(layer, torch.nn.RNNBase)
    assert not isinstance(layer, (torch.nn.RNN, torch.nn.LSTM, torch.nn.GRU))
    assert isinstance(cell, getattr(torch.nn, f"{kind}Cell"))


def test_a_module_of_torch_nn_that_changes_its_class():
    torch.manual_seed(0)
    x, theirs = torch.randn(5, 2, 3), torch.nn.GRU(3, 4)
    expected = theirs(x)[0]
    theirs.__class__ = rnnlib.torch.GRU
    torch.testing.assert_close(theirs(x)[0], expected)


@pytest.mark.parametrize("extreme", [float("inf"), float("nan"), 1e30])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", ["x", "h", "c"])
def test_numbers_out_of_range(kind, place, extreme):
    torch.manual_seed(0)
    arrays = {"x": torch.randn(4, 2, 3), "h": torch.randn(1, 2, 4), "c": torch.randn(1, 2, 4)}
    arrays[place][0, 1, 2] = extreme
    ours, theirs = (getattr(home, kind)(3, 4) for home in (rnnlib.torch, torch.nn))
    ours.load_state_dict(theirs.state_dict())
    hx = (arrays["h"], arrays["c"]) if kind == "LSTM" else arrays["h"]
    results = [module(arrays["x"], hx) for module in (ours, theirs)]
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, equal_nan=True)


def test_frozen_weights_get_no_gradient():
    module = rnnlib.torch.LSTM(3, 4)
    module.weight_hh_l0.requires_grad_(False)
    module(torch.randn(5, 2, 3))[0].sum().backward()
    assert module.weight_hh_l0.grad is None
    assert module.weight_ih_l0.grad is not None
