"""Each rung of the ladder against the rung below, and which one runs."""

import copy
import itertools

import pytest
import torch
from hypothesis import given, settings
from recurrent_cases import assert_equal, cases, run_torch

import rnnlib.torch
from rnnlib.torch.ladder import PRODUCTS, make, valid

KINDS = ["RNN", "LSTM", "GRU"]
EACH_KIND = pytest.mark.parametrize("kind", KINDS)
# form: (gates, states)
SIZES = {"RNN_TANH": (1, 1), "RNN_RELU": (1, 1), "LSTM": (4, 2), "GRU": (3, 1)}
SIZES["GRU_RESET_BEFORE"] = SIZES["GRU"]
COUNTS = {"equal": [3, 3, 3, 3], "one step": [2], "unequal": [5, 4, 2, 2, 1], "one row": [1] * 5}


def problem(form, counts, bias, dtype, device):
    """Weights, rows of inputs, state, and gradients of the outputs and the state after."""
    generator = torch.Generator().manual_seed(1)

    def draw(*size):
        return torch.randn(size, generator=generator, dtype=dtype).to(device)

    (gates, states), I, H = SIZES[form], 2, 4  # noqa: E741
    weights = {"weight_ih": draw(gates * H, I), "weight_hh": draw(gates * H, H)}
    if bias:
        weights |= {"bias_ih": draw(gates * H), "bias_hh": draw(gates * H)}
    N, M = counts[0], sum(counts)
    state, d_state = (tuple(draw(N, H) for _ in range(states)) for _ in range(2))
    return weights, draw(M, I), state, draw(M, H), d_state


def both_ways(rung, form, counts, reverse, arrays):
    """Everything a rung gives, in a list."""
    weights, x, state, dy, d_state = arrays
    runner = make(form, rung, weights)
    y, after, kept = runner.forward(x, state, counts, reverse)
    back = dy, d_state, x, state, y, kept, counts, reverse
    d_before, grads = runner.backward(*back)
    again, more = runner.backward(*back)
    for a, b in zip((*d_before, *grads.values()), (*again, *more.values()), strict=True):
        assert torch.equal(a, b), "backward changes what is kept"
    some = runner.backward(*back, ["weight_hh"])[1]
    assert list(some) == ["weight_hh"]
    assert torch.equal(some["weight_hh"], grads["weight_hh"])
    assert runner.forward(x, state, counts, reverse, keep=False)[2] == ()
    return [y, *after, *d_before, *(grads[name] for name in ("x", *weights))]


@pytest.mark.parametrize("form", PRODUCTS)
@pytest.mark.parametrize("counts", COUNTS.values(), ids=COUNTS)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_each_rung_equals_the_rung_below(form, counts, reverse, bias, device):
    arrays = problem(form, counts, bias, torch.float64, device)
    before = copy.deepcopy(arrays)
    rungs = valid(form, arrays[0], torch.float64, torch.device(device), counts)
    assert rungs[:2] == ["loop", "products"]
    assert ("inplace" in rungs) == (form != "GRU_RESET_BEFORE")
    assert ("graph" in rungs) == (
        "inplace" in rungs and device == "cuda" and counts[0] == counts[-1]
    )
    results = [both_ways(rung, form, counts, reverse, arrays) for rung in rungs]
    for below, above in itertools.pairwise(results):
        for a, b in zip(above, below, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)
    for given_, kept in zip(arrays[1:], before[1:], strict=True):
        pairs = zip(given_, kept, strict=True) if isinstance(kept, tuple) else [(given_, kept)]
        assert all(torch.equal(a, b) for a, b in pairs), "an argument was changed"


@settings(deadline=None, max_examples=60)
@given(cases(checkpoint=None, project=False))
def test_every_rung_equals_torch_nn(case):
    layer = case.layer()
    expected = run_torch(case, case.module(layer))
    for rung in ("loop", "products", "inplace"):
        module = case.module(layer, rnnlib.torch)
        module.rung = rung
        assert_equal(run_torch(case, module), expected)
        assert module.took == rung


@EACH_KIND
def test_the_fastest_valid_rung_is_taken(kind):
    module, cell = getattr(rnnlib.torch, kind)(2, 3), getattr(rnnlib.torch, f"{kind}Cell")(2, 3)
    x = torch.randn(4, 1, 2)
    assert module.took is None
    module(x)
    cell(x[0])
    assert module.took == cell.took == "inplace"
    torch.func.vmap(lambda x: module(x)[0], in_dims=1)(x[:, :, None])
    assert module.took == "products"


def test_what_the_fastest_rung_cannot_do_takes_the_one_below():
    x = torch.randn(4, 1, 2)
    for module in (
        rnnlib.torch.LSTM(2, 3, proj_size=1),
        rnnlib.torch.GRU(2, 3, reset_after=False),
    ):
        module(x)
        assert module.took == "products"
        module.rung = "inplace"
        with pytest.raises(
            ValueError,
            match=r"inplace is not valid here \(the .*\); expected auto, loop, products$",
        ):
            module(x)
    module = rnnlib.torch.LSTM(2, 3)
    module.rung = "inplace"
    with pytest.raises(ValueError, match=r"inplace is not valid here \(under torch\.func\)"):
        torch.func.grad(lambda x: module(x)[0].sum())(x)
    module.rung = "fastest"
    with pytest.raises(ValueError, match=r"rung: expected auto, loop.*'fastest'"):
        module(x)


@EACH_KIND
def test_gradients_of_a_batch_of_cotangents(kind):
    """vmap comes in between forward and backward: what is written in place gives way."""
    module = getattr(rnnlib.torch, kind)(2, 3, dtype=torch.float64)
    x = torch.randn(4, 2, 2, dtype=torch.float64, requires_grad=True)
    output, _ = module(x)
    assert module.took == "inplace"
    cotangents = torch.randn(5, *output.shape, dtype=torch.float64)

    def back(u):
        return torch.autograd.grad(output, x, u, retain_graph=True)[0]

    found = torch.func.vmap(back)(cotangents)
    torch.testing.assert_close(found, torch.stack([back(u) for u in cotangents]))


def test_what_needs_a_card_says_so():
    module, x = rnnlib.torch.RNN(2, 3), torch.randn(4, 1, 2)
    reasons = {
        "graph": "CUDA graphs need a graphics card, and this is cpu",
        "fused": "an RNN has no gates to fuse",
    }
    for rung, reason in reasons.items():
        module.rung = rung
        with pytest.raises(ValueError, match=rf"rung: {rung} is not valid here \({reason}\)"):
            module(x)
    module.rung = "onchip"
    with pytest.raises(ValueError, match=r"rung: onchip is not valid here \((Triton|cpu) is no"):
        module(x)
    packed = torch.nn.utils.rnn.pack_sequence([x[:, 0], x[:2, 0]])
    with pytest.raises(ValueError, match=r"onchip .* \(the sequences have several lengths\)"):
        module(packed)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no graphics card here")
@EACH_KIND
def test_on_a_card_the_fastest_rung_depends_on_the_shape(kind):
    def took(H, dtype, calls=1, lengths=None):
        module = getattr(rnnlib.torch, kind)(3, H, device="cuda", dtype=dtype)
        x = torch.randn(4, 2, 3, device="cuda", dtype=dtype)
        if lengths:
            x = torch.nn.utils.rnn.pack_padded_sequence(x, lengths)
        for _ in range(calls):
            module(x)
        return module.took

    once = "inplace" if kind == "RNN" else "fused"
    assert took(32, torch.float32) == "onchip"
    assert took(32, torch.float64) == once
    assert took(36, torch.float64, calls=2) == "graph"
    assert took(1024, torch.float32) == once
    assert took(1025, torch.float32, calls=2) == "graph"
    assert took(32, torch.float32, lengths=[4, 2]) == once
