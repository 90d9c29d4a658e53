"""torch's own inputs for its recurrent modules, right and wrong, and what our errors say."""

import warnings

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence

import rnnlib.torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    # torch's own tests use these; they are no public name, and they need expecttest.
    from torch.testing._internal import common_modules

CPU = {"device": "cpu", "dtype": torch.float64, "requires_grad": True, "training": True}
KINDS = ["RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"]


def given(kind, what):
    """torch's inputs for this kind of module; ``what``: "inputs" or "error_inputs"."""
    families = {"LSTM": "LSTM", "LSTMCell": "LSTMCell", "RNN": "RNN_GRU", "GRU": "RNN_GRU"}
    if what == "error_inputs":
        families["LSTM"] = "RNN_GRU"  # torch has no other list for it.
    function = f"module_{what}_torch_nn_{families.get(kind, 'RNN_GRU_Cell')}"
    more = {"is_rnn": kind.startswith("RNN")}
    if what == "inputs" and kind in ("RNN", "GRU"):
        more["with_packed_sequence"] = True
    return getattr(common_modules, function)(None, **CPU, **more)


def made(home, kind, call):
    return getattr(home, kind)(*call.args, **{"dtype": torch.float64} | call.kwargs)


def flat(result):
    """The tensors of a result, in order."""
    if torch.is_tensor(result):
        return [result]
    if isinstance(result, PackedSequence):
        return [result.data]
    return [tensor for part in result for tensor in flat(part)]


@pytest.mark.parametrize("kind", KINDS)
def test_torchs_own_inputs(kind):
    samples = given(kind, "inputs")
    assert len(samples) > 1
    for sample in samples:
        theirs = made(torch.nn, kind, sample.constructor_input)
        ours = made(rnnlib.torch, kind, sample.constructor_input)
        ours.load_state_dict(theirs.state_dict())
        call = sample.forward_input
        found = [flat(module(*call.args, **call.kwargs)) for module in (ours, theirs)]
        for a, b in zip(*found, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_torchs_own_wrong_inputs(kind):
    samples = given(kind, "error_inputs")
    assert len(samples) > 1
    for sample in samples:
        module_input = sample.module_error_input
        call = module_input.forward_input
        for home in (torch.nn, rnnlib.torch):
            if sample.error_on is common_modules.ModuleErrorEnum.CONSTRUCTION_ERROR:
                with pytest.raises(sample.error_type):
                    made(home, kind, module_input.constructor_input)
            else:
                module = made(home, kind, module_input.constructor_input)
                with pytest.raises(sample.error_type):
                    module(*call.args, **call.kwargs)


# What is wrong: (kind, input, states), and what the message has to say.
WRONG = {
    "four axes": ("LSTM", (2, 3, 4, 5), None, ValueError, r"input.*2 or 3 axes.*4"),
    "width": ("GRU", (5, 2, 4), None, RuntimeError, r"input.*3.*4"),
    "no steps": ("RNN", (0, 2, 3), None, RuntimeError, r"input.*at least one time step"),
    "state's axes": ("RNN", (5, 2, 3), [(1, 4)], RuntimeError, r"h_0.*\(1, 2, 4\).*\(1, 4\)"),
    "state's size": ("GRU", (5, 2, 3), [(1, 2, 5)], RuntimeError, r"h_0.*\(1, 2, 4\).*\(1, 2, 5\)"),
    "state's batch": ("RNN", (5, 2, 3), [(1, 3, 4)], RuntimeError, r"h_0.*\(1, 2, 4\)"),
    "cell's size": (
        "LSTM",
        (5, 2, 3),
        [(1, 2, 4), (1, 2, 5)],
        RuntimeError,
        r"c_0.*\(1, 2, 4\).*\(1, 2, 5\)",
    ),
    "one state": ("LSTM", (5, 2, 3), [(1, 2, 4)], RuntimeError, r"hx.*2 tensors.*1"),
    "one tensor for two": ("LSTM", (5, 2, 3), "stacked", RuntimeError, r"hx.*2 tensors.*1"),
    "a batch's state for one sequence": (
        "RNN",
        (5, 3),
        [(1, 1, 4)],
        RuntimeError,
        r"h_0.*\(1, 4\).*\(1, 1, 4\)",
    ),
    "a cell's three axes": ("GRUCell", (2, 3, 3), None, ValueError, "input.*1 or 2 axes.*3"),
    "a cell's width": ("LSTMCell", (2, 5), None, RuntimeError, "input.*3.*5"),
    "a cell's state": ("RNNCell", (2, 3), [(3, 4)], RuntimeError, r"h.*\(2, 4\).*\(3, 4\)"),
    "a cell's second state": (
        "LSTMCell",
        (2, 3),
        [(2, 4), (2, 5)],
        RuntimeError,
        r"c.*\(2, 4\).*\(2, 5\)",
    ),
    "a cell with one state": ("LSTMCell", (2, 3), [(2, 4)], RuntimeError, "hx.*2 tensors.*1"),
}


@pytest.mark.parametrize(
    ("kind", "size", "states", "error", "words"), WRONG.values(), ids=WRONG.keys()
)
def test_an_error_says_what_was_expected_and_what_came(kind, size, states, error, words):
    hx = None if states is None else [torch.zeros(s) for s in states if states != "stacked"]
    if states == "stacked":
        hx = torch.zeros(2, 1, 2, 4)
    elif hx is not None and not kind.startswith("LSTM"):
        hx = hx[0]
    with pytest.raises(error, match=words):
        getattr(rnnlib.torch, kind)(3, 4)(torch.zeros(size), hx)
    # torch's LSTM takes both parts of the state for granted, and stops at what comes of that.
    theirs = (IndexError, TypeError) if kind == "LSTM" and "2 tensors" in words else error
    with pytest.raises(theirs):
        getattr(torch.nn, kind)(3, 4)(torch.zeros(size), hx)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_wrong_types(kind):
    x, h = torch.zeros(5, 2, 3), torch.zeros(1, 2, 4)
    layer, cell = getattr(rnnlib.torch, kind)(3, 4), getattr(rnnlib.torch, f"{kind}Cell")(3, 4)
    with pytest.raises(ValueError, match="dtype"):
        layer(x.double())
    wrong = (h.double(), h.double()) if kind == "LSTM" else h.double()
    with pytest.raises(RuntimeError, match=r"h_0.*dtype torch.float32.*torch.float64"):
        layer(x, wrong)
    wrong = (h[0].double(), h[0].double()) if kind == "LSTM" else h[0].double()
    with pytest.raises(RuntimeError, match=r"h.*dtype torch.float32.*torch.float64"):
        cell(x[0], wrong)
    wrong = (h.to("meta"), h.to("meta")) if kind == "LSTM" else h.to("meta")
    with pytest.raises(RuntimeError, match=r"h_0.*device cpu.*meta"):
        layer(x, wrong)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_a_packed_sequence_with_a_wrong_state(kind):
    packed = PackedSequence(torch.zeros(3, 3), torch.tensor([2, 1]))
    states = [torch.zeros(1, 3, 4)] * (1 + (kind == "LSTM"))
    with pytest.raises(RuntimeError, match=r"h_0.*\(1, 2, 4\).*\(1, 3, 4\)"):
        getattr(rnnlib.torch, kind)(3, 4)(packed, states if kind == "LSTM" else states[0])
    with pytest.raises(RuntimeError, match=r"input"):
        getattr(rnnlib.torch, kind)(5, 4)(packed)


@pytest.mark.parametrize("home", [rnnlib.torch, torch.nn])
def test_constructors_refuse_alike(home):
    with pytest.raises(ValueError, match="proj_size"):
        home.GRU(3, 4, proj_size=2)
    with pytest.raises(ValueError, match="proj_size"):
        home.RNN(3, 4, proj_size=2)
    with pytest.raises(ValueError, match="proj_size"):
        home.LSTM(3, 4, proj_size=4)
    with pytest.raises(ValueError, match="sin"):
        home.RNN(3, 4, nonlinearity="sin")
    with pytest.raises(ValueError, match="sin"):
        home.RNN(3, 4, 1, "sin")
    with pytest.raises(ValueError, match="dropout"):
        home.LSTM(3, 4, dropout=2)
    with pytest.warns(UserWarning, match="dropout"):
        home.LSTM(3, 4, dropout=0.5)
    with pytest.raises(RuntimeError, match="sin"):
        home.RNNCell(3, 4, nonlinearity="sin")(torch.zeros(2, 3))
