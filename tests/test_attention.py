"""Additive attention against autograd of its definition, and by its own laws."""

import copy

import numpy as np
import planted_attention
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_attention import drawn, found, made, oracle

from rnnlib.attention import (
    AdditiveAttention,
    additive_attention_backward,
    additive_attention_forward,
    unpadded,
)
from rnnlib.gradcheck import check_backward

SIZES = st.integers(1, 4)


def assert_equal(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, expected in theirs.items():
        assert ours[name].shape == expected.shape, name
        np.testing.assert_allclose(ours[name], expected, rtol=0, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("ragged", [True, False])
@pytest.mark.parametrize("S", [1, 6])
@pytest.mark.parametrize("T", [1, 5])
def test_every_gradient_equals_autograd(T, S, ragged):
    layer = made(3, 4, 5)
    arrays = drawn(layer, T, 3, S, ragged=ragged)
    ours, theirs = found(layer, *arrays), oracle(layer, *arrays)
    assert_equal(ours, theirs)
    # With one position the weight is 1 whatever the scores are, and nothing is learnt of them.
    learnt = {name for name, g in layer.grads.items() if np.abs(g).max() > 1e-12}
    assert learnt == (set(layer.grads) if S > 1 else set())


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), SIZES, SIZES, SIZES, st.tuples(SIZES, SIZES, SIZES), st.booleans())
def test_any_sizes_equal_autograd(seed, T, N, S, sizes, ragged):
    layer = made(*sizes, seed=seed)
    arrays = drawn(layer, T, N, S, seed, ragged)
    assert_equal(found(layer, *arrays), oracle(layer, *arrays))


@pytest.mark.parametrize("lengths", [None, [2, 4, 1]])
def test_differences_agree(lengths):
    layer = made(3, 5, 2)
    query, memory, _, _ = drawn(layer, 2, 3, 4, ragged=False)
    names = dict(layer.parameters)

    def forward(point):
        layer.load_state_dict({name: point[name] for name in names})
        return layer(point["query"], point["memory"], lengths)[0]

    def backward(d_context):
        d_query, d_memory = layer.backward(d_context)
        return {"query": d_query, "memory": d_memory, **layer.grads}

    report = check_backward(forward, backward, {"query": query, "memory": memory, **names})
    assert report, report


@pytest.mark.parametrize("name", ["attention", "padding", "projected", "kept"])
def test_the_checks_for_planted_slips_hold(name):
    assert planted_attention.check(name)


@pytest.mark.parametrize("garbage", [np.nan, np.inf, -np.inf, 1e300])
def test_padding_counts_for_nothing(garbage):
    """Each sequence has what it has alone, and padding exactly zero."""
    layer, lengths = made(3, 4, 5), np.array([2, 5, 1])
    query, memory, _, d_context = drawn(layer, 4, 3, 5, ragged=False)
    behind = np.arange(5)[:, None] >= lengths
    memory[behind] = garbage
    whole = found(layer, query, memory, lengths, d_context)
    assert not whole["weights"][:, behind.T].any()
    assert not whole["d_memory"][behind].any()
    total = 0
    for n, length in enumerate(lengths):
        one = slice(n, n + 1)
        alone = found(layer, query[:, one], memory[:length, one], None, d_context[:, one])
        np.testing.assert_allclose(alone["context"], whole["context"][:, one], rtol=1e-12)
        np.testing.assert_allclose(alone["d_query"], whole["d_query"][:, one], atol=1e-12)
        total = total + alone["d memory.weight"]
    np.testing.assert_allclose(total, whole["d memory.weight"], atol=1e-12)


def test_the_callers_memory_stays_as_it_is():
    layer = made(2, 2, 2)
    query, memory, lengths, d_context = drawn(layer, 2, 3, 4)
    before = memory.copy()
    found(layer, query, memory, lengths, d_context)
    np.testing.assert_array_equal(memory, before)


def test_weights_are_shares_and_contexts_lie_among_the_memory():
    layer = made(3, 4, 5)
    query, memory, _, _ = drawn(layer, 6, 4, 7, ragged=False)
    context, weights = layer(query, memory)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-12)
    assert (weights > 0).all()
    assert (context <= memory.max(axis=0) + 1e-12).all()
    assert (context >= memory.min(axis=0) - 1e-12).all()


def test_the_order_of_the_memory_does_not_matter():
    layer, order = made(3, 4, 5), [3, 0, 4, 2, 1]
    query, memory, _, d_context = drawn(layer, 2, 3, 5, ragged=False)
    one = found(layer, query, memory, None, d_context)
    other = found(layer, query, memory[order], None, d_context)
    np.testing.assert_allclose(other["context"], one["context"], atol=1e-12)
    np.testing.assert_allclose(other["weights"], one["weights"][..., order], atol=1e-12)
    np.testing.assert_allclose(other["d_memory"], one["d_memory"][order], atol=1e-12)


def test_scores_of_any_size():
    layer = made(3, 4, 5)
    layer.parameters["score.weight"] *= 1e6
    query, memory, lengths, d_context = drawn(layer, 2, 3, 4)
    result = found(layer, query, memory, lengths, d_context)
    assert all(np.isfinite(a).all() for a in result.values())


def test_one_projection_serves_many_steps_and_their_way_back():
    layer = made(3, 4, 5)
    query, memory, lengths, d_context = drawn(layer, 4, 3, 6)
    whole = found(layer, query, memory, lengths, d_context)
    ready, d_memory = layer.project(memory, lengths), 0
    layer.parameters["memory.weight"][...] = np.nan  # It is not used any more on the way forward.
    for t in range(4):
        context, weights = layer(query[t : t + 1], ready)
        np.testing.assert_allclose(context[0], whole["context"][t], atol=1e-12)
        np.testing.assert_allclose(weights[0], whole["weights"][t], atol=1e-12)
    layer = made(3, 4, 5)
    for t in range(4):
        layer(query[t : t + 1], ready)
        d_memory = d_memory + layer.backward(d_context[t : t + 1])[1]
    np.testing.assert_allclose(d_memory, whole["d_memory"], atol=1e-12)


def test_a_memory_serves_several_hypotheses():
    layer = made(3, 4, 5)
    query, memory, lengths, _ = drawn(layer, 1, 4, 6)
    one = layer.project(memory, lengths).rows([2] * 4)
    context, weights = layer(query, one)
    for n in range(4):
        alone = layer(query[:, [n]], memory[:, [2]], lengths[[2]])
        np.testing.assert_allclose(context[:, [n]], alone[0], atol=1e-12)
        np.testing.assert_allclose(weights[:, [n]], alone[1], atol=1e-12)


class InTorch(torch.nn.Module):
    """Three linear layers, as the parameters' names say."""

    def __init__(self, query_size, memory_size, attention_size):
        super().__init__()
        self.query = torch.nn.Linear(query_size, attention_size)
        self.memory = torch.nn.Linear(memory_size, attention_size, bias=False)
        self.score = torch.nn.Linear(attention_size, 1, bias=False)

    def forward(self, s, h):
        e = self.score(torch.tanh(self.query(s)[:, None] + self.memory(h)[None]))[..., 0]
        return torch.einsum("tsn,snm->tnm", torch.softmax(e, dim=1), h)


def test_weights_travel_to_torch_and_back():
    layer, module = made(3, 4, 5), InTorch(3, 4, 5).double()
    module.load_state_dict({name: torch.tensor(a) for name, a in layer.state_dict().items()})
    query, memory, _, _ = drawn(layer, 2, 3, 6, ragged=False)
    expected = module(torch.tensor(query), torch.tensor(memory)).detach().numpy()
    np.testing.assert_allclose(layer(query, memory)[0], expected, atol=1e-12)
    again = AdditiveAttention(3, 4, 5)
    again.load_state_dict(module.state_dict())
    np.testing.assert_allclose(again(query, memory)[0], expected, atol=1e-12)


@pytest.mark.parametrize("masked", [True, False])
def test_the_equations_run_on_tensors(device, masked):
    rng = np.random.default_rng(4)
    shapes = {"q": (2, 3, 5), "k": (4, 3, 5), "memory": (4, 3, 6), "v": (5,)}
    arrays = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    d_context = rng.standard_normal((2, 3, 6))
    mask = np.arange(4)[:, None] < [2, 4, 1] if masked else None
    context, weights, u = additive_attention_forward(**arrays, mask=mask)
    gradients = additive_attention_backward(d_context, weights, u, arrays["memory"], arrays["v"])

    given = {name: torch.tensor(a, device=device, requires_grad=True) for name, a in arrays.items()}
    t_mask = None if mask is None else torch.tensor(mask, device=device)
    t_context, t_weights, t_u = additive_attention_forward(**given, mask=t_mask)
    t_d = torch.tensor(d_context, device=device)
    t_context.backward(t_d)
    at = given["memory"].detach(), given["v"].detach()
    ours = additive_attention_backward(t_d, t_weights.detach(), t_u.detach(), *at)
    np.testing.assert_allclose(t_context.detach().cpu().numpy(), context, atol=1e-12)
    for a, b, tensor in zip(gradients, ours, given.values(), strict=True):
        assert b.device.type == device
        np.testing.assert_allclose(b.cpu().numpy(), a, atol=1e-12)
        np.testing.assert_allclose(tensor.grad.cpu().numpy(), a, atol=1e-12)
    hidden = unpadded(given["memory"], t_mask).detach().cpu().numpy()
    np.testing.assert_array_equal(hidden, unpadded(arrays["memory"], mask))


def test_float32_stays_float32():
    layer = AdditiveAttention(3, 4, 5, dtype=np.float32, rng=0)
    query, memory, lengths, d_context = drawn(layer, 2, 3, 6)
    result = found(layer, query, memory, lengths, d_context)
    assert {a.dtype for a in result.values()} == {np.dtype(np.float32)}
    assert layer.project(memory).k.dtype == np.float32


def test_one_seed_gives_one_layer():
    one, same, other = (AdditiveAttention(3, 4, 5, rng=seed).parameters for seed in (0, 0, 1))
    for name, p in one.items():
        np.testing.assert_array_equal(p, same[name])
        assert (p != other[name]).any()
    assert {name: p.shape for name, p in one.items()} == {
        "query.weight": (5, 3),
        "query.bias": (5,),
        "memory.weight": (5, 4),
        "score.weight": (1, 5),
    }


def test_a_copy_is_of_the_layer_not_of_its_last_call():
    layer = made(3, 4, 5)
    query, memory, lengths, d_context = drawn(layer, 2, 3, 6)
    layer(query, memory, lengths)
    with pytest.raises(RuntimeError, match="backward: expected a forward call"):
        copy.deepcopy(layer).backward(d_context)
    layer.forget()
    with pytest.raises(RuntimeError, match="backward: expected a forward call"):
        layer.backward(d_context)


@pytest.mark.parametrize(
    ("sizes", "error", "message"),
    [
        ((0, 4, 5), ValueError, "query_size: expected at least 1, got 0"),
        ((3, 4.0, 5), TypeError, "memory_size: expected an integer, got 4.0"),
        ((3, 4, True), TypeError, "attention_size: expected an integer, got True"),
    ],
)
def test_bad_sizes_are_named(sizes, error, message):
    with pytest.raises(error, match=message):
        AdditiveAttention(*sizes)


QUERY, MEMORY = np.zeros((2, 3, 3)), np.zeros((6, 3, 4))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((QUERY[0], MEMORY), ValueError, r"query: expected shape \(T, N, 3\), got \(3, 3\)"),
        ((QUERY[:, :2], MEMORY), ValueError, r"query: expected shape \(2, 3, 3\) \(N as in mem"),
        ((QUERY[..., :2], MEMORY), ValueError, r"query: expected shape \(2, 3, 3\)"),
        ((QUERY + 1j, MEMORY), TypeError, "query: expected an array of real numbers"),
        ((QUERY, MEMORY[0]), ValueError, r"memory: expected shape \(S, N, 4\) with at least one"),
        ((QUERY, MEMORY[:0]), ValueError, r"memory: .*at least one position, got \(0, 3, 4\)"),
        ((QUERY, MEMORY[..., :3]), ValueError, r"memory: expected shape \(6, 3, 4\) \(memory_si"),
        ((QUERY, "memory"), TypeError, "memory: expected an array of real numbers"),
        ((QUERY, MEMORY, [1, 2]), ValueError, r"lengths: expected shape \(3,\)"),
        ((QUERY, MEMORY, [1, 2, 7]), ValueError, "lengths: expected numbers from 1 to 6"),
        ((QUERY, MEMORY, [0, 2, 6]), ValueError, "lengths: expected numbers from 1 to 6"),
        ((QUERY, MEMORY, [1.0, 2, 6]), TypeError, "lengths: expected integers"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        AdditiveAttention(3, 4, 5)(*arguments)


def test_a_projected_memory_is_checked():
    layer, other = AdditiveAttention(3, 4, 5), AdditiveAttention(3, 4, 6)
    ready = layer.project(MEMORY)
    with pytest.raises(ValueError, match="lengths: expected None, since project knows them"):
        layer(QUERY, ready, [1, 2, 3])
    with pytest.raises(ValueError, match=r"memory: .*\(projected by this layer\), got \(6, 3, 5\)"):
        other(QUERY, ready)
    with pytest.raises(ValueError, match=r"memory: .*\(projected\), got \(6, 3, 4\)"):
        AdditiveAttention(3, 7, 5)(QUERY, ready)
    layer(QUERY, ready)
    with pytest.raises(ValueError, match=r"d_context: expected shape \(2, 3, 4\), got \(2, 3, 3\)"):
        layer.backward(QUERY)
