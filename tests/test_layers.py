"""Layers against torch.nn, every gradient by name, and what they promise beside the numbers."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from recurrent_cases import SIZES, Case, randomize

from rnnlib import RNN, Linear

TOLERANCE = {"rtol": 1e-10, "atol": 1e-10}
SEEDS = st.integers(0, 2**32)


def given_to(case):
    """Return input, hx, d_output and d_state in the case's layout."""
    x, hx, d_output, d_state = case.arrays()
    return case.laid_out(x), case.as_hx(hx), case.laid_out(d_output), case.as_hx(d_state)


def tensors(arrays, requires_grad=False):
    return {k: torch.tensor(a, requires_grad=requires_grad) for k, a in arrays.items()}


def assert_close(ours, theirs):
    assert ours.shape == tuple(theirs.shape)
    np.testing.assert_allclose(ours, theirs.detach().numpy(), **TOLERANCE)


def assert_grads(layer, module):
    expected = dict(module.named_parameters())
    assert set(layer.grads) == set(expected)
    for name, p in expected.items():
        assert layer.grads[name].shape == tuple(p.shape), name
        np.testing.assert_allclose(layer.grads[name], p.grad.numpy(), **TOLERANCE, err_msg=name)


def test_without_h_0_the_gradient_is_that_of_a_zero_state():
    case = Case("RNN", seed=3)
    layer = case.layer()
    x, h_0, d_output, d_state = given_to(case)
    layer(x, np.zeros_like(h_0))
    expected = layer.backward(d_output, d_state)
    layer(x)
    for ours, theirs in zip(layer.backward(d_output, d_state), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@settings(deadline=None, max_examples=40)
@given(SEEDS, SIZES, SIZES, SIZES, SIZES, st.booleans())
def test_sigmoid_equals_autograd(seed, T, N, input_size, hidden_size, bias):
    case = Case("RNN", seed, T, N, input_size, hidden_size, nonlinearity="sigmoid", bias=bias)
    layer = case.layer()
    x, h_0, d_output, d_state = given_to(case)
    p = tensors(layer.parameters, requires_grad=True)
    t = tensors({"x": x, "h_0": h_0}, requires_grad=True)
    b_ih, b_hh = (p[k] if bias else 0.0 for k in ("bias_ih_l0", "bias_hh_l0"))
    states = [t["h_0"][0]]
    for x_t in t["x"]:
        a = x_t @ p["weight_ih_l0"].T + b_ih + states[-1] @ p["weight_hh_l0"].T + b_hh
        states.append(torch.sigmoid(a))
    output, h_n = torch.stack(states[1:]), states[-1][None]
    torch.autograd.backward([output, h_n], [torch.tensor(d_output), torch.tensor(d_state)])
    ours = layer(x, h_0)
    d_x, d_h_0 = layer.backward(d_output, d_state)
    for a, b in zip((*ours, d_x, d_h_0), (output, h_n, t["x"].grad, t["h_0"].grad), strict=True):
        assert_close(a, b)
    for name, g in layer.grads.items():
        assert_close(g, p[name].grad)


@settings(deadline=None)
@given(SEEDS, st.lists(SIZES, max_size=3), SIZES, SIZES, st.booleans())
def test_linear_equals_torch(seed, lead, in_features, out_features, bias):
    rng = np.random.default_rng(seed)
    layer = Linear(in_features, out_features, bias)
    randomize(layer, seed)
    module = torch.nn.Linear(in_features, out_features, bias, dtype=torch.float64)
    module.load_state_dict(tensors(layer.state_dict()))
    x, d_output = (
        rng.standard_normal((*lead, in_features)),
        rng.standard_normal((*lead, out_features)),
    )
    t = torch.tensor(x, requires_grad=True)
    y = module(t)
    y.backward(torch.tensor(d_output))
    assert_close(layer(x), y)
    assert_close(layer.backward(d_output), t.grad)
    assert_grads(layer, module)


def used_rnn(**options):
    """Return an RNN after a forward pass, and arguments for its backward."""
    case = Case("RNN", seed=5)
    layer = case.layer(**options)
    x, h_0, d_output, d_state = given_to(case)
    layer(x, h_0)
    return layer, (d_output, d_state)


def used_linear(**options):
    rng = np.random.default_rng(5)
    layer = Linear(3, 2, rng=5, **options)
    layer(rng.standard_normal((4, 3)))
    return layer, (rng.standard_normal((4, 2)),)


def everything(layer, arguments):
    """What backward returns and fills, as a list of copies."""
    returned = layer.backward(*arguments)
    returned = returned if isinstance(returned, tuple) else (returned,)
    return [np.array(a) for a in (*returned, *layer.grads.values())]


def assert_same(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


USED = pytest.mark.parametrize("used", [used_rnn, used_linear])


@USED
def test_backward_twice_gives_the_same_and_accumulates_nothing(used):
    layer, arguments = used()
    first = everything(layer, arguments)
    assert_same(first, everything(layer, arguments))
    doubled = everything(layer, [2 * a for a in arguments])
    for a, b in zip(doubled, first, strict=True):
        np.testing.assert_allclose(a, 2 * b, rtol=1e-14)


@USED
def test_grads_keep_their_arrays(used):
    layer, arguments = used()
    before = dict(layer.grads)
    layer.backward(*arguments)
    assert all(layer.grads[name] is g for name, g in before.items())


@USED
def test_backward_leaves_its_arguments_and_the_parameters_alone(used):
    layer, arguments = used()
    copies, parameters = [a.copy() for a in arguments], layer.state_dict()
    layer.backward(*arguments)
    assert_same(arguments, copies)
    assert_same(layer.parameters.values(), parameters.values())


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("T", [1, 3])
def test_a_caller_may_write_into_what_the_rnn_returned(T, batched, batch_first):
    case = Case("RNN", seed=8, T=T, batched=batched, batch_first=batch_first)
    layer = case.layer()
    x, h_0, *cotangents = given_to(case)
    output, h_n = layer(x, h_0)
    assert not np.shares_memory(output, h_n)
    first = everything(layer, cotangents)
    output[...] = h_n[...] = np.nan
    h_0[...] = np.nan
    for a in layer.backward(*cotangents):
        a[...] = np.nan
    assert_same(first, everything(layer, cotangents))


def test_a_caller_may_write_into_what_linear_returned():
    layer, arguments = used_linear()
    first = everything(layer, arguments)
    layer(np.ones(3))[...] = np.nan
    layer, arguments = used_linear()
    layer.backward(*arguments)[...] = np.nan
    assert_same(first, everything(layer, arguments))


@USED
def test_a_failed_forward_leaves_the_last_one_usable(used):
    layer, arguments = used()
    first = everything(layer, arguments)
    for wrong in (np.zeros((4, 3, 7)), np.zeros((4, 3, 7), complex), np.zeros(9)):
        with pytest.raises((TypeError, ValueError), match=r"^input: expected"):
            layer(wrong)
    assert_same(first, everything(layer, arguments))


def test_a_failed_state_leaves_the_last_forward_usable():
    layer, arguments = used_rnn()
    first = everything(layer, arguments)
    with pytest.raises(ValueError, match=r"^hx: expected"):
        layer(np.zeros((9, 3, 2)), np.zeros((1, 3, 4)))
    assert_same(first, everything(layer, arguments))


@USED
def test_a_failed_backward_changes_no_gradient(used):
    layer, arguments = used()
    first = everything(layer, arguments)
    with pytest.raises(ValueError, match=r"^d_output: expected shape"):
        layer.backward(arguments[0][:-1])
    assert_same(first[-len(layer.grads) :], layer.grads.values())


PAIRS = pytest.mark.parametrize(
    ("layer", "module"),
    [
        (lambda: RNN(3, 4, rng=1), torch.nn.RNN(3, 4, dtype=torch.float64)),
        (lambda: RNN(3, 4, bias=False), torch.nn.RNN(3, 4, bias=False, dtype=torch.float64)),
        (lambda: Linear(3, 4), torch.nn.Linear(3, 4, dtype=torch.float64)),
        (lambda: Linear(3, 4, False), torch.nn.Linear(3, 4, False, dtype=torch.float64)),
    ],
)


@PAIRS
def test_state_dicts_travel_both_ways(layer, module):
    layer = layer()
    assert list(layer.parameters) == list(module.state_dict())
    layer.load_state_dict(module.state_dict())
    assert_same(layer.parameters.values(), [p.numpy() for p in module.state_dict().values()])
    randomize(layer, 2)
    module.load_state_dict(tensors(layer.state_dict()))
    assert_same(layer.parameters.values(), [p.numpy() for p in module.state_dict().values()])


@PAIRS
def test_loading_copies(layer, module):
    layer = layer()
    arrays = dict(layer.parameters)
    layer.load_state_dict(module.state_dict())
    layer.state_dict()["weight" if "weight" in arrays else "weight_ih_l0"][...] = 0
    for name, p in layer.parameters.items():
        assert p is arrays[name]
        assert not np.shares_memory(p, module.state_dict()[name].numpy())
        np.testing.assert_array_equal(p, module.state_dict()[name].numpy())


GOOD = {k: np.full(p.shape, 9.0) for k, p in RNN(2, 3).parameters.items()}


@pytest.mark.parametrize(
    ("given_dict", "error", "message"),
    [
        (
            {k: a for k, a in GOOD.items() if k != "bias_hh_l0"},
            KeyError,
            r"missing \['bias_hh_l0'\]",
        ),
        ({**GOOD, "weight_hr_l0": np.zeros(1)}, KeyError, r"unknown \['weight_hr_l0'\]"),
        (
            {**GOOD, "bias_hh_l0": np.zeros(4)},
            ValueError,
            r"^bias_hh_l0: expected shape \(3,\), got \(4,\)",
        ),
        (
            {**GOOD, "weight_ih_l0": np.zeros((2, 3))},
            ValueError,
            r"^weight_ih_l0: expected shape \(3, 2\), got \(2, 3\)",
        ),
        ({**GOOD, "bias_hh_l0": np.zeros(3, complex)}, TypeError, "^bias_hh_l0: .* complex128"),
        ({**GOOD, "bias_hh_l0": np.array([None] * 3)}, TypeError, "^bias_hh_l0: .* object"),
        ({**GOOD, "bias_hh_l0": np.zeros(3, bool)}, TypeError, "^bias_hh_l0: .* bool"),
        ({}, KeyError, "state_dict: expected the keys"),
    ],
)
def test_a_failing_load_changes_nothing(given_dict, error, message):
    layer = RNN(2, 3, rng=0)
    before = layer.state_dict()
    with pytest.raises(error, match=message):
        layer.load_state_dict(given_dict)
    assert_same(layer.parameters.values(), before.values())


@pytest.mark.parametrize(
    ("make", "names"),
    [(RNN, ("input_size", "hidden_size")), (Linear, ("in_features", "out_features"))],
)
@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(
    ("size", "error", "message"),
    [
        (0, ValueError, "expected at least 1, got 0"),
        (-3, ValueError, "expected at least 1, got -3"),
        (True, TypeError, "expected an integer, got True"),
        (2.0, TypeError, "expected an integer, got 2.0"),
        ("2", TypeError, "expected an integer, got '2'"),
        (None, TypeError, "expected an integer, got None"),
    ],
)
def test_sizes(make, names, place, size, error, message):
    sizes = [2, 2]
    sizes[place] = size
    with pytest.raises(error, match=f"^{names[place]}: {message}"):
        make(*sizes)


def test_sizes_of_numpy_are_welcome():
    assert RNN(np.int64(2), np.uint8(3)).parameters["weight_ih_l0"].shape == (3, 2)


def test_unknown_nonlinearity():
    message = "^nonlinearity: expected one of 'tanh', 'relu', 'sigmoid', got 'Tanh'"
    with pytest.raises(ValueError, match=message):
        RNN(2, 3, nonlinearity="Tanh")


@pytest.mark.parametrize("dtype", [int, complex, bool, object, "U4"])
@pytest.mark.parametrize("make", [RNN, Linear])
def test_dtype(make, dtype):
    with pytest.raises(TypeError, match=r"^dtype: expected a floating-point type, got"):
        make(2, 3, dtype=dtype)


def zeros(*shape):
    return np.zeros(shape)


@pytest.mark.parametrize(
    ("options", "x", "h_0", "message"),
    [
        ({}, zeros(4, 3, 5), None, r"input: .* \(4, 3, 2\) \(input_size last\), got \(4, 3, 5\)"),
        (
            {},
            zeros(4, 5),
            None,
            r"input: expected shape \(4, 2\) \(input_size last\), got \(4, 5\)",
        ),
        ({}, zeros(2), None, r"input: expected 2 axes .* or 3 .*, got \(2,\)"),
        ({}, zeros(1, 4, 3, 2), None, r"input: expected 2 axes .* or 3 .*, got \(1, 4, 3, 2\)"),
        ({}, zeros(0, 3, 2), None, "input: expected at least one time step, got none"),
        ({}, zeros(0, 2), None, "input: expected at least one time step, got none"),
        ({"batch_first": True}, zeros(3, 0, 2), None, "input: expected at least one time step"),
        ({}, zeros(4, 3, 2), zeros(1, 3, 6), r"hx: .* \(1, 3, 5\) \(h_0\), got \(1, 3, 6\)"),
        ({}, zeros(4, 3, 2), zeros(1, 4, 5), r"hx: .* \(1, 3, 5\) \(h_0\), got \(1, 4, 5\)"),
        ({}, zeros(4, 3, 2), zeros(3, 5), r"hx: .* \(1, 3, 5\) \(h_0\), got \(3, 5\)"),
        ({}, zeros(4, 3, 2), zeros(2, 3, 5), r"hx: .* \(1, 3, 5\) \(h_0\), got \(2, 3, 5\)"),
        ({}, zeros(4, 2), zeros(1, 1, 5), r"hx: .* \(1, 5\) \(h_0\), got \(1, 1, 5\)"),
        ({"batch_first": True}, zeros(3, 4, 2), zeros(1, 4, 5), r"hx: .* \(1, 3, 5\) \(h_0\), got"),
    ],
)
def test_shapes_of_the_forward_pass(options, x, h_0, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        RNN(2, 5, **options)(x, h_0)


@pytest.mark.parametrize(
    ("d_output", "d_state", "message"),
    [
        (zeros(4, 3, 2), None, r"d_output: .* \(4, 3, 5\) \(the output's\), got \(4, 3, 2\)"),
        (zeros(3, 4, 5), None, r"d_output: .* \(4, 3, 5\) .*, got \(3, 4, 5\)"),
        (zeros(1, 3, 5), None, r"d_output: .* \(4, 3, 5\) .*, got \(1, 3, 5\)"),
        (zeros(), None, r"d_output: .* \(4, 3, 5\) .*, got \(\)"),
        (zeros(4, 3, 5), zeros(3, 5), r"d_state: .* \(1, 3, 5\) \(d_h_n\), got \(3, 5\)"),
        (zeros(4, 3, 5), zeros(1, 1, 5), r"d_state: .* \(1, 3, 5\) \(d_h_n\), got \(1, 1, 5\)"),
    ],
)
def test_shapes_of_the_backward_pass(d_output, d_state, message):
    layer, _ = used_rnn()
    with pytest.raises(ValueError, match=f"^{message}"):
        layer.backward(d_output, d_state)


def test_batch_first_backward_wants_batch_first():
    layer = RNN(2, 5, batch_first=True)
    layer(zeros(3, 4, 2))
    with pytest.raises(ValueError, match=r"^d_output: .* \(3, 4, 5\) .*, got \(4, 3, 5\)"):
        layer.backward(zeros(4, 3, 5))


def test_shapes_of_linear():
    layer = Linear(3, 2)
    for x in (zeros(4, 2), zeros(2)):
        with pytest.raises(
            ValueError, match=r"^input: expected shape .*3.* \(in_features last\), got"
        ):
            layer(x)
    layer(zeros(4, 3))
    with pytest.raises(ValueError, match=r"^d_output: expected shape \(4, 2\), got \(4, 3\)"):
        layer.backward(zeros(4, 3))


@pytest.mark.parametrize("bad", [complex, object, bool, "U1"])
def test_arrays_that_hold_no_real_numbers(bad):
    def wrong(*shape):
        return np.zeros(shape, bad)

    layer, (d_output, _) = used_rnn()
    with pytest.raises(TypeError, match=r"^input: expected an array of real numbers, got dtype"):
        layer(wrong(4, 3, 2))
    with pytest.raises(TypeError, match=r"^hx: expected an array of real numbers, got dtype"):
        layer(zeros(4, 3, 2), wrong(1, 3, 5))
    with pytest.raises(TypeError, match=r"^d_output: expected an array of real numbers"):
        layer.backward(wrong(4, 3, 5))
    with pytest.raises(TypeError, match=r"^d_state: expected an array of real numbers"):
        layer.backward(d_output, wrong(1, 3, 5))


@pytest.mark.parametrize("layer", [RNN(2, 3), Linear(2, 3)])
def test_backward_before_forward(layer):
    with pytest.raises(RuntimeError, match=r"^backward: expected a forward call before it"):
        layer.backward(zeros(4, 3))


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu", "sigmoid"])
def test_float32_stays_float32(nonlinearity):
    case = Case("RNN", seed=1, nonlinearity=nonlinearity)
    layer = case.layer(dtype=np.float32)
    x, h_0, *cotangents = given_to(case)
    results = [*layer(x, h_0), *everything(layer, cotangents), *layer.state_dict().values()]
    assert {a.dtype for a in results} == {np.dtype(np.float32)}
    exact = case.layer()
    exact.load_state_dict(layer.state_dict())
    exact_results = [*exact(x, h_0), *everything(exact, cotangents), *exact.state_dict().values()]
    for a, b in zip(results, exact_results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_float32_linear_stays_float32():
    layer, arguments = used_linear(dtype=np.float32)
    results = [layer(np.ones((4, 3))), *everything(layer, arguments)]
    assert {a.dtype for a in results} == {np.dtype(np.float32)}


def test_lists_and_integers_are_taken_as_arrays():
    layer = RNN(2, 3, rng=0)
    x = np.array([[1, -2], [0, 3]])
    for a, b in zip(layer(x.tolist()), layer(x.astype(float)), strict=True):
        np.testing.assert_array_equal(a, b)
    layer.backward(np.ones((2, 3), int))


@settings(deadline=None, max_examples=30)
@given(SEEDS, SIZES, st.integers(1, 60))
def test_initial_weights(seed, size, hidden_size):
    for layer, fan in (
        (RNN(size, hidden_size, rng=seed), hidden_size),
        (Linear(hidden_size, size, rng=seed), hidden_size),
    ):
        for p in layer.parameters.values():
            assert np.abs(p).max() <= fan**-0.5
    again = RNN(size, hidden_size, rng=np.random.default_rng(seed))
    assert_same(RNN(size, hidden_size, rng=seed).parameters.values(), again.parameters.values())


def test_initial_weights_fill_the_range_and_follow_the_seed():
    one, other = RNN(4, 100, rng=0), RNN(4, 100, rng=1)
    p = one.parameters["weight_hh_l0"]
    assert p.min() < -0.099
    assert p.max() > 0.099
    assert abs(p.mean()) < 0.002
    assert all((one.parameters[k] != other.parameters[k]).all() for k in one.parameters)
    assert all(not g.any() for g in one.grads.values())


def test_nan_is_passed_on():
    for nonlinearity in ("tanh", "relu", "sigmoid"):
        layer = RNN(1, 2, nonlinearity=nonlinearity, rng=0)
        output, h_n = layer(np.array([[0.3], [np.nan], [0.1]]))
        assert np.isfinite(output[0]).all()
        assert np.isnan(output[1:]).all()
        assert np.isnan(h_n).all()
