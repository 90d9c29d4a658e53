"""RNN, LSTM and GRU against torch.nn, every gradient by name, and what torch does not have."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from recurrent_cases import Case, assert_equal, cases, randomize, run, run_torch

import rnnlib
from rnnlib import GRU, LSTM, RNN
from rnnlib.gradcheck import check_layer

KINDS = pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])


@settings(deadline=None, max_examples=300)
@given(cases())
def test_equals_torch(case):
    layer = case.layer()
    assert_equal(run(case, layer), run_torch(case, case.module(layer)))


NAMED = {
    "one step": Case(T=1),
    "long": Case(T=40),
    "two steps": Case(T=2, nonlinearity="relu"),
    "one step of one example": Case(T=1, batched=False, nonlinearity="relu"),
    "one example": Case(T=30, batched=False),
    "deep": Case(num_layers=3),
    "both ways": Case(bidirectional=True, num_layers=2),
    "projected": Case(project=True, num_layers=2, bidirectional=True),
    "no bias": Case(bias=False, num_layers=2),
    "batch first": Case(batch_first=True, bidirectional=True),
    "lengths": Case(ragged=True, T=6, N=5),
    "lengths, both ways": Case(ragged=True, T=6, N=5, bidirectional=True, num_layers=2),
    "lengths, projected": Case(ragged=True, T=6, N=5, project=True, bidirectional=True),
    "checkpoint": Case(checkpoint=3, T=8, num_layers=2, bidirectional=True),
    "checkpoint, lengths": Case(checkpoint=3, T=8, N=5, ragged=True, bidirectional=True),
    "checkpoint, projected": Case(checkpoint=2, T=5, project=True),
    "states zero": Case(with_hx=False, with_d_state=False, num_layers=2, bidirectional=True),
}


@KINDS
@pytest.mark.parametrize("case", NAMED.values(), ids=NAMED)
def test_equals_torch_in_the_named_cases(kind, case):
    case = replace(case, kind=kind)
    layer = case.layer()
    assert_equal(run(case, layer), run_torch(case, case.module(layer)))


@KINDS
def test_blocks_of_time_change_nothing(kind, monkeypatch):
    case = Case(kind, T=11, N=4, bidirectional=True, num_layers=2)
    whole = run(case, case.layer())
    monkeypatch.setattr(rnnlib.layers.columns, "BLOCK", 12)
    monkeypatch.setattr(rnnlib.layers.columns, "COLUMNS", 8)
    for ragged in (False, True):
        case = replace(case, ragged=ragged)
        layer = case.layer()
        assert_equal(run(case, layer), run_torch(case, case.module(layer)))
    assert_equal(run(replace(case, ragged=False), case.layer()), whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu", "sigmoid"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_rnn_by_differences(nonlinearity, bidirectional):
    check_by_differences(RNN(3, 4, 2, nonlinearity, bidirectional=bidirectional))


@pytest.mark.parametrize("options", [{}, {"proj_size": 2}, {"peephole": True}])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_lstm_by_differences(options, bidirectional):
    check_by_differences(LSTM(3, 4, 2, bidirectional=bidirectional, **options))


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_gru_by_differences(reset_after, bidirectional):
    check_by_differences(GRU(3, 4, 2, bidirectional=bidirectional, reset_after=reset_after))


def check_by_differences(layer):
    randomize(layer, 3)
    rng = np.random.default_rng(4)
    sizes = [layer.proj_size or 4, 4][: len(layer.states)]
    D = 1 + layer.bidirectional
    hx = tuple(rng.normal(size=(2 * D, 2, size)) for size in sizes)
    report = check_layer(layer, rng.normal(size=(5, 2, 3)), hx if len(hx) > 1 else hx[0])
    assert report, report


# What torch does not have: peepholes, and the reset gate before the product ---------------


def literal_peephole(p, x, h, c):
    """An LSTM with peepholes, gate by gate, in torch."""
    H = c.shape[1]
    W, U = p["weight_ih_l0"].split(H), p["weight_hh_l0"].split(H)
    b = (p["bias_ih_l0"] + p["bias_hh_l0"]).split(H)
    p_i, p_f, p_o = p["weight_peephole_l0"].split(H)
    outputs = []
    for x_t in x:
        a_i, a_f, a_g, a_o = (x_t @ w.T + h @ u.T + v for w, u, v in zip(W, U, b, strict=True))
        i, f = torch.sigmoid(a_i + p_i * c), torch.sigmoid(a_f + p_f * c)
        c = f * c + i * torch.tanh(a_g)
        h = torch.sigmoid(a_o + p_o * c) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs), h[None], c[None]


def literal_reset_before(p, x, h):
    """The GRU of Cho et al., gate by gate, in torch, with torch's sense of z."""
    H = h.shape[1]
    W, U = p["weight_ih_l0"].split(H), p["weight_hh_l0"].split(H)
    b = (p["bias_ih_l0"] + p["bias_hh_l0"]).split(H)
    outputs = []
    for x_t in x:
        a_r, a_z, a_n = (x_t @ w.T + v for w, v in zip(W, b, strict=True))
        r, z = torch.sigmoid(a_r + h @ U[0].T), torch.sigmoid(a_z + h @ U[1].T)
        n = torch.tanh(a_n + (r * h) @ U[2].T)
        h = (1 - z) * n + z * h
        outputs.append(h)
    return torch.stack(outputs), h[None]


@pytest.mark.parametrize("T", [1, 5])
@pytest.mark.parametrize(
    ("kind", "options", "literal"),
    [
        ("LSTM", {"peephole": True}, literal_peephole),
        ("GRU", {"reset_after": False}, literal_reset_before),
    ],
)
def test_other_forms_equal_autograd(kind, options, literal, T):
    case = Case(kind, seed=T, T=T)
    layer = case.layer(**options)
    x, hx, d_output, d_state = case.arrays()
    p = {name: torch.tensor(a, requires_grad=True) for name, a in layer.parameters.items()}
    t_x = torch.tensor(x, requires_grad=True)
    t_hx = [torch.tensor(s, requires_grad=True) for s in hx]
    results = literal(p, t_x, *(s[0] for s in t_hx))
    torch.autograd.backward(results, [torch.tensor(d) for d in (d_output, *d_state)])
    expected = {"output": results[0], "d_input": t_x.grad}
    for s, end, start in zip(case.names, results[1:], t_hx, strict=True):
        expected |= {f"{s}_n": end, f"d_{s}_0": start.grad}
    expected |= {f"d {name}": tensor.grad for name, tensor in p.items()}
    assert_equal(run(case, layer), {k: v.detach().numpy() for k, v in expected.items()})


@pytest.mark.parametrize(("kind", "options"), [("LSTM", {"peephole": True}),
                                               ("GRU", {"reset_after": False})])  # fmt: skip
def test_other_forms_in_all_their_uses(kind, options):
    """Lengths, directions, depth and checkpoints: each sequence equals itself alone."""
    case = Case(kind, T=6, N=4, num_layers=2, bidirectional=True, ragged=True, checkpoint=4)
    together = case.layer(**options)
    found = run(case, together)
    x, hx, d_output, d_state = case.arrays()
    total = dict.fromkeys(together.grads, 0)
    for n, length in enumerate(case.lengths()):
        alone = case.layer(**options, checkpoint=None)
        output, _ends = alone(x[:length, n : n + 1], case.as_hx([s[:, n : n + 1] for s in hx]))
        d_x, _ = alone.backward(
            d_output[:length, n : n + 1], case.as_hx([d[:, n : n + 1] for d in d_state])
        )
        np.testing.assert_allclose(found["output"][:length, n], output[:, 0], rtol=1e-10)
        np.testing.assert_allclose(found["d_input"][:length, n], d_x[:, 0], rtol=1e-9, atol=1e-12)
        assert not found["output"][length:, n].any()
        assert not found["d_input"][length:, n].any()
        total = {name: share + alone.grads[name] for name, share in total.items()}
    for name, share in total.items():
        np.testing.assert_allclose(together.grads[name], share, rtol=1e-9, atol=1e-12)


# Promises beside the numbers --------------------------------------------------------------


@KINDS
def test_backward_twice_and_forward_in_between(kind):
    case = Case(kind, num_layers=2, bidirectional=True, ragged=True)
    layer = case.layer()
    first = run(case, layer)
    x, _hx, d_output, d_state = case.arrays()
    layer.backward(d_output, case.as_hx(d_state))
    for name, g in layer.grads.items():
        np.testing.assert_array_equal(g, first[f"d {name}"])
    other = replace(case, seed=7, T=2, N=6)
    run(other, layer)
    layer.eval()(x[:2])
    assert_equal(run(case, layer.train()), first, rtol=0, atol=0)


@KINDS
@pytest.mark.parametrize("checkpoint", [None, 2])
def test_a_caller_may_write_into_states_and_results(kind, checkpoint):
    case = Case(kind, num_layers=2, bidirectional=True, checkpoint=checkpoint)
    layer = case.layer()
    expected = run(case, layer)
    x, hx, d_output, d_state = case.arrays()
    output, ends = layer(x, case.as_hx(hx))
    for a in [output, *hx, *(ends if isinstance(ends, tuple) else (ends,))]:
        a[...] = np.nan
    d_x, d_starts = layer.backward(d_output, case.as_hx(d_state))
    np.testing.assert_array_equal(d_x, expected["d_input"])
    for a in [d_x, *(d_starts if isinstance(d_starts, tuple) else (d_starts,))]:
        a[...] = np.nan
    np.testing.assert_array_equal(
        layer.backward(d_output, case.as_hx(d_state))[0], expected["d_input"]
    )


@KINDS
def test_float32_stays_float32(kind):
    case = Case(kind, num_layers=2, bidirectional=True, ragged=True, project=True)
    exact, single = case.layer(), case.layer(dtype=np.float32)
    found = run(case, single)
    assert {a.dtype for a in found.values()} == {np.dtype(np.float32)}
    assert_equal(found, run(case, exact), rtol=1e-3, atol=1e-4)


@KINDS
def test_saturated_gates_stay_finite(kind):
    case = Case(kind)
    layer = case.layer()
    layer.load_state_dict({k: 1e4 * p for k, p in layer.parameters.items()})
    with np.errstate(all="raise", under="ignore"):
        found = run(case, layer)
    assert all(np.isfinite(a).all() for a in found.values())


@KINDS
def test_lengths_of_one_sequence_and_all_equal(kind):
    case = Case(kind)
    layer = case.layer()
    plain = run(case, layer)
    assert_equal(run(case, layer, lengths=[case.T] * case.N), plain, rtol=1e-12, atol=1e-12)


@KINDS
def test_state_dicts_travel_both_ways(kind):
    case = Case(kind, num_layers=2, bidirectional=True, project=True)
    layer = case.layer()
    module = getattr(torch.nn, kind)(2, 5, dtype=torch.float64, **case.options)
    assert list(layer.parameters) == list(module.state_dict())
    layer.load_state_dict(module.state_dict())
    back = case.module(layer).state_dict()
    for name, p in module.state_dict().items():
        assert torch.equal(back[name], p)


# Dropout ----------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("bidirectional", [False, True])
def test_dropout_equals_torch_given_the_same_mask(kind, bidirectional):
    """Two layers by hand, with the mask that the rnnlib layer drew, in torch."""
    case = Case(kind, num_layers=2, bidirectional=bidirectional, T=6)
    layer = case.layer(dropout=0.4, rng=5)
    found = run(case, layer)
    (_, mask), D = layer._cache[1], 1 + bidirectional
    assert set(np.unique(mask)) == {0, 1 / 0.6}
    lower, upper = (
        getattr(torch.nn, kind)(size, 5, bidirectional=bidirectional, dtype=torch.float64)
        for size in (2, 5 * D)
    )
    for k, module in enumerate((lower, upper)):
        own = {n: p for n, p in layer.parameters.items() if f"_l{k}" in n}
        module.load_state_dict(
            {n.replace(f"_l{k}", "_l0"): torch.tensor(p) for n, p in own.items()}
        )
    x, hx, d_output, d_state = case.arrays()
    t_x = torch.tensor(x, requires_grad=True)
    halves = [case.as_hx([torch.tensor(s[k * D : (k + 1) * D]) for s in hx]) for k in (0, 1)]
    middle, low_ends = lower(t_x, halves[0])
    output, high_ends = upper(middle * torch.tensor(mask), halves[1])
    low_ends, high_ends = (e if isinstance(e, tuple) else (e,) for e in (low_ends, high_ends))
    roots, seeds = [output], [torch.tensor(d_output)]
    for d, low, high in zip(d_state, low_ends, high_ends, strict=True):
        roots, seeds = [*roots, low, high], [*seeds, *torch.tensor(d).split(D)]
    torch.autograd.backward(roots, seeds)
    expected = {"output": output.detach().numpy(), "d_input": t_x.grad.numpy()}
    for k, module in enumerate((lower, upper)):
        for name, p in module.named_parameters():
            expected[f"d {name.replace('_l0', f'_l{k}')}"] = p.grad.numpy()
    assert_equal(found, expected)


def test_dropout_is_off_in_eval_and_follows_the_seed():
    x = np.random.default_rng(0).normal(size=(4, 3, 2))
    layers = [LSTM(2, 5, 2, dropout=0.5, rng=1) for _ in range(2)]
    first, second = (layer(x)[0] for layer in layers)
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(layers[0](x)[0], first), "a new mask in each call"
    still = LSTM(2, 5, 2, rng=1)
    np.testing.assert_array_equal(layers[0].eval()(x)[0], still(x)[0])
    np.testing.assert_array_equal(layers[0](x)[0], layers[0](x)[0])


def test_dropout_drops_its_share_and_everything_at_one():
    layer = GRU(2, 50, 2, dropout=0.3, rng=0)
    layer(np.ones((50, 4, 2)))
    mask = layer._cache[1][1]
    assert abs((mask == 0).mean() - 0.3) < 0.02
    assert abs(mask.mean() - 1) < 0.03
    layer = GRU(2, 5, 2, dropout=1.0, rng=0)
    layer(np.ones((3, 4, 2)))
    assert not layer._cache[1][1].any()


def test_dropout_without_a_between_warns():
    with pytest.warns(UserWarning, match=r"^dropout: it acts between layers"):
        LSTM(2, 3, dropout=0.5)


# Memory -----------------------------------------------------------------------------------


def peak(layer, T, N=4):
    """Bytes at the highest, beyond the input, output and their gradients."""
    import tracemalloc

    rng = np.random.default_rng(0)
    x, d = rng.normal(size=(T, N, 1)).astype("f4"), rng.normal(size=(T, N, 16)).astype("f4")
    tracemalloc.start()
    layer(x)
    layer.backward(d)
    found = tracemalloc.get_traced_memory()[1] - d.nbytes - x.nbytes
    tracemalloc.stop()
    return found


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_a_checkpoint_every_root_of_t_needs_memory_like_the_root(kind):
    make = getattr(rnnlib, kind)
    small, large = (
        peak(make(1, 16, checkpoint=round(T**0.5), dtype=np.float32), T) for T in (2_500, 10_000)
    )
    assert large / small < 2.5, "twice would be the root, four times the length"
    everything = peak(make(1, 16, dtype=np.float32), 10_000)
    assert everything / large > 5


@KINDS
def test_a_copy_and_a_pickle_leave_the_last_call_behind(kind):
    case = Case(kind, num_layers=2)
    layer = case.layer()
    small = len(pickle.dumps(layer))
    found = run(case, layer)
    layer(np.zeros((500, 3, 2)))
    for copied in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert len(pickle.dumps(copied)) <= small + 100
        with pytest.raises(RuntimeError, match=r"^backward: expected a forward call"):
            copied.backward(zeros(4, 3, 5))
        assert_equal(run(case, copied), found, rtol=0, atol=0)


@KINDS
def test_forget_frees_what_was_kept(kind):
    layer = getattr(rnnlib, kind)(2, 3)
    layer(zeros(4, 1, 2))
    layer.forget()
    assert not any(memory._flat for memory in layer._memories.values())
    with pytest.raises(RuntimeError, match=r"^backward: expected a forward call"):
        layer.backward(zeros(4, 1, 3))


def test_a_failing_copy_of_weights_changes_nothing():
    layer = LSTM(2, 3, rng=0)
    before = layer.state_dict()
    layer.parameters["weight_hh_l0"].flags.writeable = False
    with pytest.raises(TypeError, match=r"^parameters\['weight_hh_l0'\]: expected a writeable"):
        layer.load_state_dict(LSTM(2, 3, rng=1).state_dict())
    with pytest.raises(TypeError, match=r"^state_dict: expected a dict, got NoneType"):
        layer.load_state_dict(None)
    for name, p in before.items():
        np.testing.assert_array_equal(layer.parameters[name], p)


# Errors -----------------------------------------------------------------------------------


def zeros(*shape):
    return np.zeros(shape)


CONSTRUCTORS = {
    "input_size": ((0, 3), {}, ValueError, "input_size: expected at least 1, got 0"),
    "hidden_size": ((2, 0), {}, ValueError, "hidden_size: expected at least 1, got 0"),
    "num_layers": ((2, 3, 0), {}, ValueError, "num_layers: expected at least 1, got 0"),
    "no layers": ((2, 3, 1.5), {}, TypeError, "num_layers: expected an integer, got 1.5"),
    "dropout": ((2, 3, 2), {"dropout": 1.5}, ValueError, "dropout: expected a number from 0 to 1"),
    "dropout nan": ((2, 3, 2), {"dropout": np.nan}, ValueError, "dropout: .* got nan"),
    "dropout bool": ((2, 3, 2), {"dropout": True}, ValueError, "dropout: .* got True"),
    "bias": ((2, 3), {"bias": None}, TypeError, "bias: expected True or False, got None"),
    "direction": ((2, 3), {"bidirectional": "no"}, TypeError, "bidirectional: .* got 'no'"),
    "layout": ((2, 3), {"batch_first": 1}, TypeError, "batch_first: expected True or False"),
    "peephole": ((2, 3), {"peephole": 0}, TypeError, "peephole: expected True or False"),
    "rng": ((2, 3), {"rng": "seed"}, TypeError, "rng: expected a seed or a NumPy Generator"),
    "no dtype": ((2, 3), {"dtype": None}, TypeError, "dtype: .* floating-point type, got None"),
    "odd dtype": ((2, 3), {"dtype": "abc"}, TypeError, "dtype: .* floating-point type, got 'abc'"),
    "dropout text": ((2, 3, 2), {"dropout": "0.5"}, ValueError, "dropout: .* got '0.5'"),
    "proj_size": ((2, 3), {"proj_size": 3}, ValueError, "proj_size: .* less than hidden_size=3"),
    "proj below": ((2, 3), {"proj_size": -1}, ValueError, "proj_size: expected an integer >= 0"),
    "checkpoint": ((2, 3), {"checkpoint": 0}, ValueError, "checkpoint: expected at least 1, got 0"),
    "no checkpoint": ((2, 3), {"checkpoint": 2.0}, TypeError, "checkpoint: expected an integer"),
    "dtype": ((2, 3), {"dtype": int}, TypeError, "dtype: expected a floating-point type"),
}


@pytest.mark.parametrize(("sizes", "options", "error", "text"), CONSTRUCTORS.values(),
                         ids=CONSTRUCTORS)  # fmt: skip
def test_wrong_constructors(sizes, options, error, text):
    with pytest.raises(error, match=f"^{text}"):
        LSTM(*sizes, **options)


CALLS = {
    "last axis": ((zeros(4, 3, 5),), {}, ValueError, r"input: expected shape \(4, 3, 2\)"),
    "axes": ((zeros(2),), {}, ValueError, "input: expected 2 axes"),
    "no pair": ((zeros(4, 3, 2), zeros(4, 3, 5)), {}, TypeError,
                r"hx: expected a pair \(h_0, c_0\), got ndarray"),
    "three": ((zeros(4, 3, 2), (1, 2, 3)), {}, TypeError, "hx: expected a pair"),
    "h_0": ((zeros(4, 3, 2), (zeros(2, 3, 5), zeros(4, 3, 5))), {}, ValueError,
            r"hx\[0\]: expected shape \(4, 3, 5\) \(h_0\), got \(2, 3, 5\)"),
    "c_0": ((zeros(4, 3, 2), (zeros(4, 3, 5), zeros(4, 3, 6))), {}, ValueError,
            r"hx\[1\]: expected shape \(4, 3, 5\) \(c_0\), got \(4, 3, 6\)"),
    "one sequence": ((zeros(4, 2), (zeros(4, 1, 5), zeros(4, 1, 5))), {}, ValueError,
                     r"hx\[0\]: expected shape \(4, 5\)"),
    "too long": ((zeros(4, 3, 2),), {"lengths": [4, 5, 1]}, ValueError,
                 "lengths: expected numbers from 1 to 4, .* got 1 to 5"),
    "empty": ((zeros(4, 3, 2),), {"lengths": [4, 0, 1]}, ValueError, "lengths: .* got 0 to 4"),
    "count": ((zeros(4, 3, 2),), {"lengths": [4, 1]}, ValueError,
              r"lengths: expected shape \(3,\) .*, got \(2,\)"),
    "not whole": ((zeros(4, 3, 2),), {"lengths": [4.0, 1.0, 1.0]}, TypeError,
                  "lengths: expected integers, got dtype float64"),
    "nested": ((zeros(4, 3, 2),), {"lengths": [4, [1], 1]}, TypeError,
               "lengths: expected integers"),
    "in rags": (([[1.0], [1.0, 2.0]],), {}, TypeError, "input: expected an array of real numbers"),
    "tensor with a graph": ((torch.zeros(4, 3, 2, requires_grad=True),), {}, TypeError,
                            "input: expected an array of real numbers; Can't call numpy"),
    "truth": ((zeros(4, 3, 2),), {"lengths": [True] * 3}, TypeError, "lengths: expected integers"),
}  # fmt: skip


@pytest.mark.parametrize(("given", "options", "error", "text"), CALLS.values(), ids=CALLS)
def test_wrong_calls_leave_the_last_one_usable(given, options, error, text):
    case = Case(num_layers=2, bidirectional=True)
    layer = case.layer()
    x, hx, d_output, d_state = case.arrays()
    layer(x, case.as_hx(hx))
    expected = layer.backward(d_output, case.as_hx(d_state))[0]
    with pytest.raises(error, match=f"^{text}"):
        layer(*given, **options)
    np.testing.assert_array_equal(layer.backward(d_output, case.as_hx(d_state))[0], expected)


BACKWARDS = {
    "output": ((zeros(4, 3, 5),), ValueError, r"d_output: expected shape \(4, 3, 10\)"),
    "no pair": ((zeros(4, 3, 10), zeros(2, 3, 5)), TypeError,
                r"d_state: expected a pair \(d_h_n, d_c_n\)"),
    "shape": ((zeros(4, 3, 10), (zeros(2, 3, 5), zeros(2, 3, 4))), ValueError,
              r"d_state\[1\]: expected shape \(2, 3, 5\) \(d_c_n\)"),
}  # fmt: skip


@pytest.mark.parametrize(("given", "error", "text"), BACKWARDS.values(), ids=BACKWARDS)
def test_wrong_backwards_change_no_gradient(given, error, text):
    layer = LSTM(2, 5, bidirectional=True, rng=0)
    layer(zeros(4, 3, 2))
    with pytest.raises(error, match=f"^{text}"):
        layer.backward(*given)
    assert not any(g.any() for g in layer.grads.values())


@KINDS
def test_backward_before_forward(kind):
    layer = getattr(rnnlib, kind)(2, 3)
    with pytest.raises(RuntimeError, match=r"^backward: expected a forward call before it"):
        layer.backward(zeros(4, 1, 3))


@KINDS
def test_an_interrupted_forward_leaves_no_half_written_cache(kind, monkeypatch):
    layer = getattr(rnnlib, kind)(2, 3, 2)
    layer(zeros(4, 1, 2))

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(rnnlib.layers.sweep.Sweep, "forward", interrupt)
    with pytest.raises(KeyboardInterrupt):
        layer(zeros(4, 1, 2))
    with pytest.raises(RuntimeError, match=r"^backward: expected a forward call"):
        layer.backward(zeros(4, 1, 3))
