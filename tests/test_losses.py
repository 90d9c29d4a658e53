"""Losses against torch, at extreme values, with weights and masks, and by their own laws."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlib.gradcheck import gradcheck
from rnnlib.losses import (
    binary_cross_entropy_with_logits,
    gaussian_nll,
    log_softmax,
    softmax,
    softmax_cross_entropy,
    squared_error,
)

SEEDS = st.integers(0, 2**32)
LEADS = st.lists(st.integers(1, 4), max_size=3).map(tuple)
REDUCTIONS = ["mean", "sum"]


def draw(seed, lead, V, scale=1.0):
    rng = np.random.default_rng(seed)
    return scale * rng.standard_normal((*lead, V)), rng.integers(0, V, lead)


def by_torch(logits, targets, reduction):
    """Return torch's loss and gradient as NumPy arrays."""
    V = logits.shape[-1]
    z = torch.tensor(logits, requires_grad=True)
    loss = torch.nn.functional.cross_entropy(
        z.reshape(-1, V), torch.tensor(targets).reshape(-1), reduction=reduction
    )
    loss.backward()
    return loss.detach().numpy(), z.grad.numpy()


def assert_equals_torch(logits, targets, reduction):
    expected = by_torch(logits, targets, reduction)
    for ours, theirs in zip(
        softmax_cross_entropy(logits, targets, reduction), expected, strict=True
    ):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


@settings(deadline=None)
@given(SEEDS, LEADS, st.integers(1, 6), st.floats(0.01, 100), st.sampled_from(REDUCTIONS))
def test_equals_torch(seed, lead, V, scale, reduction):
    assert_equals_torch(*draw(seed, lead, V, scale), reduction)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("lead", [(), (1,), (5,), (7, 3), (2, 3, 4)])
def test_equals_torch_in_the_named_shapes(lead, reduction):
    assert_equals_torch(*draw(1, lead, 5), reduction)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_numpy_and_torch_give_the_same_numbers(device, reduction):
    logits, targets = draw(2, (4, 3), 5)
    tensors = torch.tensor(logits, device=device), torch.tensor(targets, device=device)
    theirs = softmax_cross_entropy(*tensors, reduction)
    assert all(isinstance(t, torch.Tensor) and t.device.type == device for t in theirs)
    for a, b in zip(softmax_cross_entropy(logits, targets, reduction), theirs, strict=True):
        np.testing.assert_allclose(a, b.cpu().numpy(), rtol=1e-12, atol=1e-14)


def test_the_default_is_the_mean():
    logits, targets = draw(3, (6,), 4)
    mean, d_mean = softmax_cross_entropy(logits, targets)
    total, d_total = softmax_cross_entropy(logits, targets, "sum")
    np.testing.assert_allclose([mean * 6, *(d_mean * 6).flat], [total, *d_total.flat], rtol=1e-13)


def test_known_values():
    loss, d_logits = softmax_cross_entropy(np.zeros((2, 4)), np.array([0, 3]))
    np.testing.assert_allclose(loss, np.log(4), rtol=1e-15)
    expected = [[-3 / 8, 1 / 8, 1 / 8, 1 / 8], [1 / 8, 1 / 8, 1 / 8, -3 / 8]]
    np.testing.assert_allclose(d_logits, expected, rtol=1e-15)


@pytest.mark.parametrize("convert", [np.asarray, torch.tensor], ids=["numpy", "torch"])
def test_extreme_logits_stay_finite(convert):
    """pyproject turns warnings into errors: an overflow would show."""
    logits = np.array([[1e4, -1e4, 0.0], [1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [1e4, 1e4, 1e4]])
    targets = np.array([0, 1, 2, 0])
    loss, d_logits = softmax_cross_entropy(convert(logits), convert(targets), "sum")
    third = 1 / 3
    np.testing.assert_allclose(float(loss), 2e4 + 2 * np.log(3), rtol=1e-14)
    expected = [
        [0, 0, 0],
        [1, -1, 0],
        [third, third, third - 1],
        [third - 1, third, third],
    ]
    np.testing.assert_allclose(np.asarray(d_logits), expected, atol=1e-12)


def test_a_class_that_is_ruled_out_costs_nothing_unless_it_is_the_target():
    logits = np.array([[0.0, -np.inf, 0.0]])
    loss, d_logits = softmax_cross_entropy(logits, np.array([2]))
    np.testing.assert_allclose(loss, np.log(2), rtol=1e-15)
    np.testing.assert_allclose(d_logits, [[0.5, 0, -0.5]], rtol=1e-15)
    assert softmax_cross_entropy(logits, np.array([1]))[0] == np.inf


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("lead", [(), (4,), (3, 2)])
def test_the_gradient_passes_the_check(lead, reduction):
    logits, targets = draw(4, lead, 5)
    _, d_logits = softmax_cross_entropy(logits, targets, reduction)
    report = gradcheck(
        lambda a: softmax_cross_entropy(a["logits"], targets, reduction)[0],
        {"logits": logits},
        {"logits": d_logits},
    )
    assert report, report
    assert len(report.entries) == logits.size


@settings(deadline=None)
@given(SEEDS, LEADS, st.integers(1, 6), st.floats(0.01, 1e4), st.sampled_from(REDUCTIONS))
def test_laws(seed, lead, V, scale, reduction):
    logits, targets = draw(seed, lead, V, scale)
    loss, d_logits = softmax_cross_entropy(logits, targets, reduction)
    # The probabilities of a row sum to one, and so does its one-hot target.
    np.testing.assert_allclose(d_logits.sum(-1), np.zeros(lead), atol=1e-13)
    assert loss >= 0
    assert np.abs(d_logits).max() <= 1
    chosen = np.take_along_axis(d_logits, targets[..., None], -1)
    assert (chosen <= 0).all()
    # A constant added to a row changes nothing.
    shift = scale * np.random.default_rng(seed).standard_normal((*lead, 1))
    moved, d_moved = softmax_cross_entropy(logits + shift, targets, reduction)
    count = targets.size if reduction == "sum" else 1
    np.testing.assert_allclose(moved, loss, rtol=1e-10, atol=1e-15 * scale * 10 * count)
    np.testing.assert_allclose(d_moved, d_logits, atol=1e-14 * (1 + scale))


@settings(deadline=None, max_examples=40)
@given(SEEDS, LEADS, st.integers(1, 6), st.floats(0.01, 1e4))
def test_softmax_and_its_logarithm(seed, lead, V, scale):
    logits, _ = draw(seed, lead, V, scale)
    t = torch.tensor(logits)
    tolerance = {"rtol": 1e-10, "atol": 1e-14}
    np.testing.assert_allclose(softmax(logits), torch.softmax(t, -1).numpy(), **tolerance)
    np.testing.assert_allclose(log_softmax(logits), torch.log_softmax(t, -1).numpy(), **tolerance)
    np.testing.assert_allclose(softmax(logits).sum(-1), np.ones(lead), rtol=1e-13)


def test_float32_stays_float32():
    logits, targets = draw(6, (3, 2), 4)
    loss, d_logits = softmax_cross_entropy(logits.astype(np.float32), targets)
    assert loss.dtype == d_logits.dtype == np.float32
    np.testing.assert_allclose(loss, by_torch(logits, targets, "mean")[0], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.uint64])
def test_any_integer_type_will_do(dtype):
    logits, targets = draw(7, (5,), 200)
    targets = targets % 100
    for a, b in zip(
        softmax_cross_entropy(logits, targets.astype(dtype)),
        softmax_cross_entropy(logits, targets),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_the_arguments_are_not_changed():
    logits, targets = draw(8, (3,), 4)
    copies = logits.copy(), targets.copy()
    _, d_logits = softmax_cross_entropy(logits, targets)
    d_logits[...] = np.nan
    np.testing.assert_array_equal(logits, copies[0])
    np.testing.assert_array_equal(targets, copies[1])


@pytest.mark.parametrize("convert", [np.asarray, torch.tensor], ids=["numpy", "torch"])
@pytest.mark.parametrize(
    ("shape", "targets", "error", "message"),
    [
        ((2, 3), [0, 3], ValueError, "expected classes from 0 to 2, got 3"),
        ((2, 3), [-1, 0], ValueError, "expected classes from 0 to 2, got -1"),
        ((3,), 7, ValueError, "expected classes from 0 to 2, got 7"),
        ((2, 3), [0.0, 1.0], TypeError, "expected integers, got dtype .*float"),
        ((2, 3), [True, False], TypeError, "expected integers, got dtype .*bool"),
        ((2, 3), [0, 1, 2], ValueError, r"expected shape \(2,\) .*, got \(3,\)"),
        ((2, 3), [[0], [1]], ValueError, r"expected shape \(2,\) .*, got \(2, 1\)"),
        ((2, 3), 0, ValueError, r"expected shape \(2,\) .*, got \(\)"),
        ((4, 2, 3), [[0, 1]] * 2, ValueError, r"expected shape \(4, 2\) .*, got \(2, 2\)"),
        ((), 0, ValueError, "expected shape"),
    ],
)
def test_targets_that_do_not_fit(convert, shape, targets, error, message):
    with pytest.raises(error, match=f"^targets: {message}"):
        softmax_cross_entropy(convert(np.zeros(shape)), convert(np.array(targets)))


def test_unknown_reduction():
    with pytest.raises(ValueError, match=r"^reduction: expected one of 'mean', 'sum', got 'none'"):
        softmax_cross_entropy(np.zeros((2, 3)), np.array([0, 1]), "none")


# From here on: all losses, with weights and masks.


def softmax_case(rng, shape, scale, mask, reduction, convert=np.asarray):
    """Return (a call of our loss, torch's loss): functions of the first argument, and a start."""
    z, t = scale * rng.standard_normal((*shape, 4)), rng.integers(0, 4, shape)
    weight = rng.uniform(0.1, 3, 4)
    if mask is not None:
        t, z = np.where(mask, t, 77), np.where(mask[..., None], z, np.nan)
    ours = given_arrays(softmax_cross_entropy, t, convert, reduction, weight=weight, mask=mask)
    ignored = torch.tensor(t).reshape(-1)
    return (
        ours,
        lambda z: F.cross_entropy(
            z.reshape(-1, 4),
            ignored,
            weight=torch.tensor(weight),
            ignore_index=77,
            reduction=reduction,
        ),
        z,
    )


def given_arrays(loss, targets, convert, reduction, **options):
    """Return the loss as a function of its first argument, the rest converted."""
    options = {k: v if v is None else convert(v) for k, v in options.items()}
    return lambda first: loss(first, convert(targets), reduction=reduction, **options)


def elementwise_case(rng, shape, scale, mask, reduction, convert, targets, ours, theirs, **options):
    """The same for a loss that is a sum over entries; ``theirs`` keeps the entries apart."""
    first = scale * rng.standard_normal(shape)
    hidden = targets
    counted = np.ones(shape, bool) if mask is None else mask
    if mask is not None:
        first, hidden = np.where(mask, first, np.nan), np.where(mask, targets, np.inf)

    def by_torch(x):
        entries = theirs(x, torch.tensor(targets))
        total = torch.where(torch.tensor(counted), entries, 0.0).sum()
        return total / counted.sum() if reduction == "mean" else total

    return given_arrays(ours, hidden, convert, reduction, mask=mask, **options), by_torch, first


def binary_case(rng, shape, scale, mask, reduction, convert=np.asarray):
    last = shape[-1:]
    weight, pos_weight = rng.uniform(0.1, 3, shape), rng.uniform(0.1, 3, last)
    targets = rng.choice([0.0, 1.0, 0.3], shape)
    tw, tp = torch.tensor(weight), torch.tensor(pos_weight)

    def theirs(x, t):
        return F.binary_cross_entropy_with_logits(x, t, weight=tw, pos_weight=tp, reduction="none")

    ours, options = binary_cross_entropy_with_logits, {"weight": weight, "pos_weight": pos_weight}
    head = rng, shape, scale, mask, reduction, convert
    return elementwise_case(*head, targets, ours, theirs, **options)


def squared_case(rng, shape, scale, mask, reduction, convert=np.asarray):
    targets = rng.standard_normal(shape)
    head = rng, shape, scale, mask, reduction, convert
    return elementwise_case(
        *head, targets, squared_error, lambda x, t: F.mse_loss(x, t, reduction="none") / 2
    )


def gaussian_case(rng, shape, scale, mask, reduction, convert=np.asarray):
    targets, variance = rng.standard_normal(shape), rng.uniform(0.1, 3, shape[-1:])
    v = torch.tensor(np.broadcast_to(variance, shape).copy())

    def theirs(x, t):
        return F.gaussian_nll_loss(x, t, v, full=True, reduction="none")

    head = rng, shape, scale, mask, reduction, convert
    return elementwise_case(*head, targets, gaussian_nll, theirs, variance=variance)


CASES = [softmax_case, binary_case, squared_case, gaussian_case]
SHAPES = st.lists(st.integers(1, 4), max_size=3).map(tuple)
any_case = pytest.mark.parametrize("case", CASES)
any_reduction = pytest.mark.parametrize("reduction", REDUCTIONS)


def some_mask(rng, shape):
    mask = np.array(rng.random(shape) < 0.6)
    mask.flat[rng.integers(mask.size)] = True
    return mask


def both(case):
    """Return our (loss, gradient) and torch's, with its gradient by autograd."""
    ours, theirs, first = case
    x = torch.tensor(first, requires_grad=True)
    loss = theirs(x)
    loss.backward()
    # torch's own gradient at hidden NaNs is NaN where it multiplies by zero; ours is 0.
    return ours(first), (loss.detach().numpy(), np.nan_to_num(x.grad.numpy()))


@any_case
@any_reduction
@pytest.mark.parametrize("masked", [False, True])
@settings(deadline=None, max_examples=40)
@given(seed=SEEDS, shape=SHAPES, scale=st.floats(0.01, 100))
def test_every_loss_equals_torch(case, reduction, masked, seed, shape, scale):
    rng = np.random.default_rng(seed)
    mask = some_mask(rng, shape) if masked else None
    ours, theirs = both(case(rng, shape, scale, mask, reduction))
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12 * scale)
    if masked:
        assert (ours[1][~mask] == 0).all()


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_the_binary_mean_is_torchs_own(reduction):
    """Its weights do not enter the divisor, unlike those of the softmax."""
    rng = np.random.default_rng(11)
    z, y = rng.standard_normal((3, 4)), rng.random((3, 4))
    w, p = rng.uniform(0.1, 3, (3, 1)), rng.uniform(0.1, 3, 4)
    expected = F.binary_cross_entropy_with_logits(
        *map(torch.tensor, (z, y, w)), pos_weight=torch.tensor(p), reduction=reduction
    )
    loss, _ = binary_cross_entropy_with_logits(z, y, reduction, weight=w, pos_weight=p)
    np.testing.assert_allclose(loss, expected.item(), rtol=1e-13)


@any_case
@any_reduction
def test_every_gradient_passes_the_check(case, reduction):
    rng = np.random.default_rng(12)
    ours, _, first = case(rng, (3, 2), 1.0, None, reduction)
    report = gradcheck(lambda a: ours(a["x"])[0], {"x": first}, {"x": ours(first)[1]})
    assert report, report


@any_case
@any_reduction
@pytest.mark.parametrize("shape", [(), (5,), (3, 2)])
@pytest.mark.parametrize("masked", [False, True])
def test_numpy_and_torch_agree_on_every_loss(case, reduction, shape, masked, device):
    def run(convert):
        rng = np.random.default_rng(13)
        mask = some_mask(rng, shape) if masked else None
        ours, _, first = case(rng, shape, 1.0, mask, reduction, convert)
        return ours(convert(first))

    results = run(lambda a: torch.tensor(a, device=device))
    assert all(isinstance(t, torch.Tensor) and t.device.type == device for t in results)
    for a, b in zip(run(np.asarray), results, strict=True):
        np.testing.assert_allclose(a, b.cpu().numpy(), rtol=1e-12, atol=1e-14)


@any_case
@any_reduction
@pytest.mark.parametrize("shape", [(), (3, 2)])
@pytest.mark.parametrize("convert", [np.asarray, torch.tensor], ids=["numpy", "torch"])
def test_float32_stays_float32_in_every_loss(case, reduction, shape, convert):
    rng = np.random.default_rng(14)
    ours, _, first = case(rng, shape, 1.0, np.ones(shape, bool), reduction, convert)
    expected = ours(convert(first))
    results = ours(convert(first.astype(np.float32)))
    for a, b in zip(results, expected, strict=True):
        assert str(a.dtype).endswith("float32")
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [int, float, np.uint8])
@pytest.mark.parametrize("convert", [np.asarray, torch.tensor], ids=["numpy", "torch"])
def test_a_mask_is_booleans_or_zeros_and_ones(convert, kind):
    z, t = np.random.default_rng(15).standard_normal((2, 3, 4)), np.array([[0, 1, 2], [3, 0, 1]])
    mask = np.array([[True, False, True], [False, True, True]])
    results = [
        softmax_cross_entropy(convert(z), convert(t), mask=m)
        for m in (convert(mask), convert(mask.astype(kind)), mask.tolist())
    ]
    for result in results[1:]:
        for a, b in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


@any_case
def test_nothing_counts(case):
    mask = np.zeros((2, 3), bool)
    ours, _, first = case(np.random.default_rng(16), (2, 3), 1.0, mask, "sum")
    loss, gradient = ours(first)
    assert loss == 0
    np.testing.assert_array_equal(gradient, np.zeros_like(first))
    ours, _, first = case(np.random.default_rng(16), (2, 3), 1.0, mask, "mean")
    with pytest.raises(
        ValueError, match=r'^reduction: expected "sum" where nothing counts .*"mean"'
    ):
        ours(first)


def test_weights_of_zero_leave_no_mean():
    arguments = np.zeros((2, 3)), np.array([0, 1])
    with pytest.raises(ValueError, match=r"^reduction: .* weights of zero"):
        softmax_cross_entropy(*arguments, weight=np.array([0.0, 0.0, 1.0]))
    loss, gradient = softmax_cross_entropy(*arguments, "sum", weight=[0.0, 0.0, 1.0])
    assert loss == 0
    assert not gradient.any()


def test_a_class_weight_multiplies_p_minus_y():
    rng = np.random.default_rng(17)
    z, t = rng.standard_normal((6, 4)), rng.integers(0, 4, 6)
    weight = np.array([0.5, 1.0, 2.0, 4.0])
    _, plain = softmax_cross_entropy(z, t, "sum")
    _, weighted = softmax_cross_entropy(z, t, "sum", weight=weight)
    np.testing.assert_allclose(weighted, weight[t][:, None] * plain, rtol=1e-14)
    _, mean = softmax_cross_entropy(z, t, weight=weight)
    np.testing.assert_allclose(mean, weighted / weight[t].sum(), rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("convert", [np.asarray, torch.tensor], ids=["numpy", "torch"])
def test_extreme_binary_logits_stay_finite(dtype, convert):
    z = convert(np.array([1e4, 1e4, -1e4, -1e4, -40, 40], dtype))
    y = convert(np.array([1, 0, 1, 0, 0, 1]))
    loss, gradient = binary_cross_entropy_with_logits(z, y, "sum")
    np.testing.assert_allclose(float(loss), 2e4, rtol=1e-6)
    small = np.exp(-40.0)  # Neither lost against 1, nor rounded.
    rtol = 1e-14 if dtype == np.float64 else 1e-6
    np.testing.assert_allclose(np.asarray(gradient), [0, 1, -1, 0, small, -small], rtol=rtol)


def test_known_values_of_the_losses():
    loss, gradient = binary_cross_entropy_with_logits(np.zeros(4), np.array([0, 1, 1, 0]))
    np.testing.assert_allclose(loss, np.log(2), rtol=1e-15)
    np.testing.assert_allclose(gradient, [1 / 8, -1 / 8, -1 / 8, 1 / 8], rtol=1e-15)
    loss, gradient = squared_error(np.array([1.0, 5.0]), np.array([3, 2]))
    assert loss == 6.5
    np.testing.assert_array_equal(gradient, [-2, 3])
    assert squared_error(np.array([1.0, 5.0]), np.array([3, 2]), "mean")[0] == 3.25
    loss, gradient = gaussian_nll(np.array([1.0]), np.array([3.0]), 4)
    np.testing.assert_allclose(loss, 0.5 + np.log(2) + np.log(2 * np.pi) / 2, rtol=1e-15)
    np.testing.assert_array_equal(gradient, [-0.5])


def test_the_defaults_of_the_losses():
    y, d = np.array([1.0, 2.0]), np.array([0.0, 1.0])
    for loss, default in [
        (binary_cross_entropy_with_logits, "mean"),
        (squared_error, "sum"),
        (lambda y, d, *r: gaussian_nll(y, d, 2.0, *r), "mean"),
    ]:
        for a, b in zip(loss(y, d), loss(y, d, default), strict=True):
            np.testing.assert_array_equal(a, b)


@any_case
def test_no_argument_is_changed_by_any_loss(case):
    mask = some_mask(np.random.default_rng(18), (3, 2))
    ours, _, first = case(np.random.default_rng(19), (3, 2), 1.0, mask, "mean")
    before, expected = first.copy(), ours(first)
    ours(first)[1][...] = np.nan
    np.testing.assert_array_equal(first, before)
    for a, b in zip(ours(first), expected, strict=True):
        np.testing.assert_array_equal(a, b)


ELEMENTWISE = [
    ("logits", binary_cross_entropy_with_logits),
    ("outputs", squared_error),
    ("mean", lambda *a, **k: gaussian_nll(*a, 1.0, **k)),
]


@pytest.mark.parametrize("convert", [np.asarray, torch.tensor], ids=["numpy", "torch"])
@pytest.mark.parametrize(("name", "loss"), ELEMENTWISE, ids=[n for n, _ in ELEMENTWISE])
def test_arguments_that_do_not_fit(name, loss, convert):
    x, d = convert(np.zeros((2, 3))), convert(np.zeros((2, 3)))
    with pytest.raises(
        ValueError, match=rf"^targets: expected shape \(2, 3\) \(the shape of {name}\), got"
    ):
        loss(x, d[0])
    with pytest.raises(
        TypeError, match=f"^{name}: expected floating-point numbers, got dtype .*int"
    ):
        loss(convert(np.zeros(2, int)), convert(np.zeros(2)))
    with pytest.raises(ValueError, match=r"^mask: expected shape \(2, 3\) .*, got \(2,\)"):
        loss(x, d, mask=convert(np.ones(2)))
    with pytest.raises(ValueError, match=r"^mask: expected only 0 and 1, got 2"):
        loss(x, d, mask=convert(np.full((2, 3), 2)))
    with pytest.raises(ValueError, match=r"^reduction: expected one of 'mean', 'sum', got 'none'"):
        loss(x, d, reduction="none")


@pytest.mark.parametrize("convert", [np.asarray, torch.tensor], ids=["numpy", "torch"])
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: softmax_cross_entropy(c([[0, 1]]), c([0])), "logits: expected floating-point"),
        (
            lambda c: softmax_cross_entropy(c([[0.0, 1.0]]), c([0]), weight=c([1.0])),
            r"weight: expected shape \(2,\) \(one number for each class\), got \(1,\)",
        ),
        (
            lambda c: softmax_cross_entropy(c([[0.0, 1.0]]), c([0]), weight=c([1.0, -2.0])),
            "weight: expected finite numbers >= 0, got -2.0",
        ),
        (
            lambda c: softmax_cross_entropy(c([[0.0, 1.0]]), c([0]), mask=c([True, False])),
            r"mask: expected shape \(1,\) \(the targets'\), got \(2,\)",
        ),
        (
            lambda c: softmax_cross_entropy(c([[0.0, 1.0]] * 2), c([7, 7]), mask=c([0, 1])),
            "targets: expected classes from 0 to 1, got 7",
        ),
        (
            lambda c: binary_cross_entropy_with_logits(c([0.0, 0.0]), c([0.5, 1.5])),
            "targets: expected numbers from 0 to 1, got 1.5",
        ),
        (
            lambda c: binary_cross_entropy_with_logits(c([0.0]), c([float("nan")])),
            "targets: expected numbers from 0 to 1, got nan",
        ),
        (
            lambda c: binary_cross_entropy_with_logits(c([0.0]), c([1.0]), weight=float("inf")),
            "weight: expected finite numbers >= 0, got inf",
        ),
        (
            lambda c: binary_cross_entropy_with_logits(c([0.0]), c([1.0]), pos_weight=-1),
            "pos_weight: expected finite numbers >= 0, got -1",
        ),
        (
            lambda c: binary_cross_entropy_with_logits(c([0.0]), c([1.0]), weight=c([1.0, 1.0])),
            r"weight: expected a number or a shape that broadcasts to \(1,\), got \(2,\)",
        ),
        (
            lambda c: binary_cross_entropy_with_logits(c([0.0]), c([1.0]), pos_weight=c([[1.0]])),
            r"pos_weight: expected a number or a shape that broadcasts to \(1,\), got \(1, 1\)",
        ),
        (
            lambda c: gaussian_nll(c([0.0]), c([1.0]), 0),
            "variance: expected finite numbers > 0, got 0",
        ),
        (
            lambda c: gaussian_nll(c([0.0]), c([1.0]), c([1.0, 1.0])),
            r"variance: expected a number or a shape that broadcasts to \(1,\), got \(2,\)",
        ),
    ],
)
def test_values_that_do_not_fit(convert, call, message):
    with pytest.raises((TypeError, ValueError), match=f"^{message}"):
        call(convert)


def test_a_hidden_variance_may_be_anything():
    loss, gradient = gaussian_nll(
        np.zeros(3), np.ones(3), np.array([1.0, 0.0, np.nan]), mask=[1, 0, 0]
    )
    np.testing.assert_allclose(loss, 0.5 + np.log(2 * np.pi) / 2, rtol=1e-15)
    np.testing.assert_array_equal(gradient, [-1, 0, 0])


def test_targets_may_be_booleans_or_integers_where_they_are_zero_or_one():
    z = np.array([0.3, -1.2])
    expected = binary_cross_entropy_with_logits(z, np.array([1.0, 0.0]))
    for targets in (np.array([True, False]), np.array([1, 0])):
        for a, b in zip(binary_cross_entropy_with_logits(z, targets), expected, strict=True):
            np.testing.assert_array_equal(a, b)
