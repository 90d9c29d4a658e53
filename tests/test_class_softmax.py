"""The softmax in two steps beside torch's autograd, by differences, and by its laws."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlib import SGD, softmax
from rnnlib.class_softmax import ClassSoftmax, frequency_classes
from rnnlib.gradcheck import gradcheck

SEEDS = st.integers(0, 2**32)
NAMES = ["class_weight", "class_bias", "weight", "bias"]


def draw(seed, lead=(5,), V=9, C=4, H=3, dtype=np.float64):
    """A layer with large weights, words in any order, and something to predict from and to."""
    rng = np.random.default_rng(seed)
    classes = rng.permutation(np.append(np.arange(C), rng.integers(0, C, V - C)))
    layer = ClassSoftmax(H, classes, dtype=dtype, rng=rng)
    for p in layer.parameters.values():
        p[...] = rng.normal(0.1, 1, p.shape)
    for g in layer.grads.values():
        g[...] = np.nan  # To be replaced.
    return layer, rng.normal(size=(*lead, H)).astype(dtype), rng.integers(0, V, lead), rng


def in_torch(layer, h):
    """Return log P(w | h) of all words, in full, and what it was computed from."""
    at = {name: torch.tensor(p, requires_grad=True) for name, p in layer.parameters.items()}
    at["h"] = torch.tensor(h, requires_grad=True)
    by_class = torch.log_softmax(at["h"] @ at["class_weight"].T + at["class_bias"], -1)
    scores = at["h"] @ at["weight"].T + at["bias"]
    classes = torch.tensor(layer.classes)
    # For each word, the sum over the words of its class.
    same = classes[:, None] == classes
    norm = torch.where(same, scores[..., None, :], -torch.inf).logsumexp(-1)
    return by_class[..., classes] + scores - norm, at


def gradients(layer, d_h):
    return {"h": d_h} | layer.grads


@settings(deadline=None, max_examples=60)
@given(
    SEEDS,
    st.lists(st.integers(1, 4), max_size=3).map(tuple),
    st.integers(1, 12).flatmap(lambda V: st.tuples(st.just(V), st.integers(1, V))),
    st.sampled_from(["mean", "sum"]),
    st.booleans(),
)
def test_equals_autograd(seed, lead, sizes, reduction, masked):
    layer, h, targets, rng = draw(seed, lead, *sizes)
    mask = rng.random(lead) < 0.6 if masked else np.ones(lead, bool)
    mask = np.asarray(mask)
    if not mask.any():
        reduction = "sum"
    log_p, at = in_torch(layer, h)
    chosen = log_p.gather(-1, torch.tensor(targets)[..., None])[..., 0]
    weight = rng.normal()
    expected = -(chosen * torch.tensor(mask)).sum()
    if reduction == "mean":
        expected = expected / int(mask.sum())
    (weight * expected).backward()
    if masked:  # What does not count may hold anything.
        h, targets = np.where(mask[..., None], h, np.nan), np.where(mask, targets, -7)
    loss, d_h = layer.loss(h, targets, reduction, mask if masked else None)
    np.testing.assert_allclose(loss, expected.item(), rtol=1e-10, atol=1e-12)
    for name, ours in gradients(layer, d_h).items():
        theirs = at[name].grad.numpy()
        assert ours.shape == theirs.shape
        assert np.abs(weight * ours - theirs).max() < 1e-10, name
    assert (d_h[~mask] == 0).all()


@settings(deadline=None, max_examples=40)
@given(SEEDS, st.lists(st.integers(1, 4), max_size=3).map(tuple), st.integers(1, 9))
def test_the_whole_distribution(seed, lead, C):
    layer, h, targets, _ = draw(seed, lead, C=C)
    log_p = layer.log_probabilities(h)
    assert log_p.shape == (*lead, 9)
    np.testing.assert_allclose(np.exp(log_p).sum(-1), np.ones(lead), rtol=1e-13)
    np.testing.assert_allclose(log_p, in_torch(layer, h)[0].detach().numpy(), atol=1e-12)
    loss, _ = layer.loss(h, targets)
    chosen = np.take_along_axis(log_p, targets[..., None], -1)
    np.testing.assert_allclose(loss, -chosen.mean(), rtol=1e-12)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("lead", [(), (6,), (3, 2)])
def test_passes_the_gradient_check(lead, reduction):
    layer, h, targets, _ = draw(1, lead)
    _, d_h = layer.loss(h, targets, reduction)
    found = {name: g.copy() for name, g in gradients(layer, d_h).items()}
    point = {"h": h} | layer.state_dict()

    def loss(moved):
        layer.load_state_dict({name: moved[name] for name in NAMES})
        return layer.loss(moved["h"], targets, reduction)[0]

    report = gradcheck(loss, point, found, allow_zero=("weight", "bias"))
    assert report, report


def test_one_class_and_a_class_for_each_word_are_a_plain_softmax():
    for classes in (np.zeros(7, int), np.arange(7)):
        layer = ClassSoftmax(3, classes, rng=0)
        h = np.random.default_rng(1).normal(size=(4, 3))
        p = layer.parameters
        names = ("weight", "bias") if classes[-1] == 0 else ("class_weight", "class_bias")
        expected = softmax(h @ p[names[0]].T + p[names[1]])
        np.testing.assert_allclose(np.exp(layer.log_probabilities(h)), expected, rtol=1e-13)


def test_only_the_words_of_the_targets_classes_have_a_gradient():
    layer, h, _, _ = draw(2)
    targets = np.full(5, 3)
    layer.loss(h, targets)
    others = layer.classes != layer.classes[3]
    assert (layer.grads["weight"][others] == 0).all()
    assert (layer.grads["bias"][others] == 0).all()
    assert (layer.grads["weight"][~others] != 0).all()
    assert (layer.grads["class_weight"] != 0).all()
    # A second call replaces what stands there.
    layer.loss(h, np.flatnonzero(others)[:5])
    assert (layer.grads["weight"][3] == 0).all()


def test_the_order_of_the_rows_changes_nothing():
    layer, h, targets, rng = draw(3, (12,))
    loss, d_h = layer.loss(h, targets)
    before = {name: g.copy() for name, g in layer.grads.items()}
    order = rng.permutation(12)
    moved, d_moved = layer.loss(h[order], targets[order])
    np.testing.assert_allclose(moved, loss, rtol=1e-14)
    np.testing.assert_allclose(d_moved, d_h[order], rtol=1e-13, atol=1e-15)
    for name, g in layer.grads.items():
        np.testing.assert_allclose(g, before[name], rtol=1e-12, atol=1e-15)


def test_nothing_counts():
    layer, h, targets, _ = draw(4)
    loss, d_h = layer.loss(h, targets, "sum", np.zeros(5))
    assert loss == 0
    assert not d_h.any()
    assert not any(g.any() for g in layer.grads.values())
    with pytest.raises(ValueError, match='reduction: expected "sum" where nothing counts'):
        layer.loss(h, targets, "mean", np.zeros(5))


def test_extreme_scores_stay_finite():
    layer, h, targets, _ = draw(5)
    loss, d_h = layer.loss(1e4 * h, targets)
    assert np.isfinite(loss)
    assert np.isfinite(d_h).all()


def test_single_precision_stays_so():
    layer, h, targets, _ = draw(6, dtype=np.float32)
    loss, d_h = layer.loss(h, targets)
    assert {a.dtype for a in (loss, d_h, *layer.grads.values())} == {np.dtype(np.float32)}
    assert layer.log_probabilities(h).dtype == np.float32
    double = draw(6)[0]
    double.load_state_dict(layer.state_dict())
    np.testing.assert_allclose(loss, double.loss(h, targets)[0], rtol=1e-5)


def test_training_finds_the_words():
    """Each of nine states has its word."""
    layer, h, targets = draw(7, C=3)[0], np.eye(9, 3) + np.arange(9)[:, None], np.arange(9)
    h = np.random.default_rng(8).normal(size=(9, 3)) * 3
    optimizer, losses = SGD(layer.parameters, lr=0.5), []
    for _ in range(300):
        losses.append(layer.loss(h, targets)[0])
        optimizer.step(layer.grads)
    assert losses[-1] < 0.1 < 1 < losses[0]
    assert (layer.log_probabilities(h).argmax(-1) == targets).all()


# --- draws


def test_draws_have_the_shares_of_the_distribution():
    layer, h, _, rng = draw(9, ())
    p = np.exp(layer.log_probabilities(h / 3))
    n = 20_000
    drawn = [layer.sample(h / 3, rng) for _ in range(n)]
    assert type(drawn[0]) is int
    shares = np.bincount(drawn, minlength=9) / n
    assert (np.abs(shares - p) <= 4.5 * np.sqrt(p * (1 - p) / n)).all()


def test_without_temperature_the_likeliest_word_of_the_likeliest_class():
    for seed in range(20):
        layer, h, _, rng = draw(seed, ())
        log_p = layer.log_probabilities(h)
        by_class = [np.exp(log_p[layer.classes == c]).sum() for c in range(4)]
        words = np.flatnonzero(layer.classes == np.argmax(by_class))
        state = rng.bit_generator.state
        assert layer.sample(h, rng, 0) == words[log_p[words].argmax()]
        assert rng.bit_generator.state == state


def test_temperature_sharpens_both_draws():
    layer, h, _, rng = draw(10, ())
    h = h / 3
    p = np.exp(layer.log_probabilities(h))
    by_class = np.bincount(layer.classes, p)
    sharper = by_class**2 / np.sum(by_class**2)
    within = p / by_class[layer.classes]
    sums = np.bincount(layer.classes, within**2)
    expected = sharper[layer.classes] * within**2 / sums[layer.classes]
    n = 20_000
    shares = np.bincount([layer.sample(h, rng, 0.5) for _ in range(n)], minlength=9) / n
    assert (np.abs(shares - expected) <= 4.5 * np.sqrt(expected * (1 - expected) / n)).all()


# --- classes by frequency


def test_classes_by_hand():
    counts = [1, 16, 4, 1, 9, 1, 0, 4]  # Roots 4, 3, 2, 2, 1, 1, 1, 0: a half is 7.
    assert frequency_classes(counts, 2).tolist() == [1, 0, 1, 1, 0, 1, 1, 1]
    # Of 36, a half is with the first two words, 16 and 9; the middle of the second is past it.
    assert frequency_classes(counts, 2, power=1).tolist() == [1, 0, 1, 1, 1, 1, 1, 1]
    assert frequency_classes(counts, 1).tolist() == [0] * 8
    assert frequency_classes(counts, 8).tolist() == [4, 0, 2, 5, 1, 6, 7, 3]
    assert frequency_classes([5, 5, 5, 5], 2).tolist() == [0, 0, 1, 1]
    assert frequency_classes([1, 0, 0], 3).tolist() == [0, 1, 2]


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.integers(0, 1000), min_size=1, max_size=40).filter(any),
    st.integers(1, 40),
    st.sampled_from([0.5, 1.0]),
)
def test_laws_of_classes(counts, number, power):
    number = min(number, len(counts))
    classes = frequency_classes(counts, number, power)
    assert classes.dtype == np.int64
    order = np.argsort(-np.array(counts), kind="stable")
    steps = np.diff(classes[order], prepend=0)
    assert classes[order[0]] == 0
    assert set(steps) <= {0, 1}
    assert classes[order[-1]] == number - 1


def test_classes_of_a_text_have_about_the_same_share():
    """Words by Zipf's law."""
    counts = 1e6 / np.arange(1, 8001)
    for power in (0.5, 1.0):
        classes = frequency_classes(counts, 90, power)
        shares = np.bincount(classes, counts**power) / np.sum(counts**power) * 90
        alone = np.bincount(classes) == 1
        assert (np.abs(shares[np.bincount(classes) > 5] - 1) < 0.25).all()
        assert alone[: alone.sum()].all()
        assert np.bincount(classes).argmax() >= 88
    sizes = [np.bincount(frequency_classes(counts, 90, power)).max() for power in (0.5, 1.0)]
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([[1, 2]], 1), ValueError, "counts: expected one axis"),
        (([], 1), ValueError, "counts: expected at least one number > 0"),
        (([0, 0], 1), ValueError, "counts: expected at least one number > 0"),
        (([1, -1], 1), ValueError, "counts: .* got -1"),
        (([1, np.nan], 1), ValueError, "counts: .* got nan"),
        ((["a"], 1), TypeError, "counts: expected an array of real numbers"),
        (([1, 2], 3), ValueError, "number: expected at most 2, .* got 3"),
        (([1, 2], 0), ValueError, "number: expected at least 1"),
        (([1, 2], 2.0), TypeError, "number: expected an integer"),
        (([1, 2], 2, 0), ValueError, "power: expected a finite number > 0"),
    ],
)
def test_bad_counts_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        frequency_classes(*arguments)


@pytest.mark.parametrize(
    ("classes", "error", "message"),
    [
        ([], ValueError, r"classes: expected shape \(V,\)"),
        (np.zeros(0, int), ValueError, r"classes: expected shape \(V,\)"),
        ([[0, 1]], ValueError, r"classes: expected shape \(V,\)"),
        ([0.0, 1.0], TypeError, "classes: expected integers"),
        ([0, -1], ValueError, "classes: expected numbers >= 0, got -1"),
        ([0, 2], ValueError, "classes: expected all of 0 to 2 to occur, 1 does not"),
        ([0, 10**15], ValueError, "classes: .* 1 does not"),
    ],
)
def test_bad_classes_are_named(classes, error, message):
    with pytest.raises(error, match=message):
        ClassSoftmax(3, classes)


H5, T5 = np.zeros((5, 3)), np.zeros(5, int)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda layer: layer.loss(np.zeros((5, 4)), T5), ValueError, r"h: expected shape \(5, 3\)"),
        (lambda layer: layer.loss(np.zeros(()), T5), ValueError, r"h: expected shape \(3,\)"),
        (lambda layer: layer.loss("abc", T5), TypeError, "h: expected an array of real"),
        (lambda layer: layer.loss(H5, T5[:4]), ValueError, r"targets: expected shape \(5,\)"),
        (lambda layer: layer.loss(H5, T5 + 0.0), TypeError, "targets: expected integers"),
        (lambda layer: layer.loss(H5, T5 + 9), ValueError, "targets: .* 0 to 8, got 9"),
        (lambda layer: layer.loss(H5, T5 - 1), ValueError, "targets: .* 0 to 8, got -1"),
        (lambda layer: layer.loss(H5, T5, "none"), ValueError, "reduction: expected one of"),
        (lambda layer: layer.loss(H5, T5, mask=[1, 0]), ValueError, "mask: expected shape"),
        (lambda layer: layer.loss(H5, T5, mask=T5 + 2), ValueError, "mask: .* 0 and 1, got 2"),
        (lambda layer: layer.log_probabilities(np.zeros(4)), ValueError, "h: expected shape"),
        (lambda layer: layer.sample(H5, np.random.default_rng(0)), ValueError, "h: expected shape"),
        (lambda layer: layer.sample(H5[0], 0), TypeError, "rng: expected a numpy.random.Gen"),
        (lambda layer: layer.sample(H5[0], None, -1), ValueError, "temperature: expected"),
    ],
)
def test_bad_arguments_are_named(call, error, message):
    layer = draw(11)[0]
    with pytest.raises(error, match=message):
        call(layer)


def test_the_state_travels():
    a, b = (ClassSoftmax(3, [0, 1, 1, 0], rng=seed) for seed in (0, 1))
    assert list(a.parameters) == NAMES
    assert [p.shape for p in a.parameters.values()] == [(2, 3), (2,), (4, 3), (4,)]
    b.load_state_dict(a.state_dict())
    h = np.ones((2, 3))
    np.testing.assert_array_equal(a.log_probabilities(h), b.log_probabilities(h))
    again = ClassSoftmax(3, [0, 1, 1, 0], rng=0)
    np.testing.assert_array_equal(a.log_probabilities(h), again.log_probabilities(h))
    assert np.abs(a.parameters["weight"]).max() <= 3**-0.5
    with pytest.raises(KeyError, match="state_dict"):
        a.load_state_dict({})
