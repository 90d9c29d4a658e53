"""Optimizers and clipping against torch over several steps, and against independent formulas."""

import math
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlib.optim import SGD, Adagrad, Adam, AdamW, RMSprop, clip_grad_norm_, clip_grad_value_

SEEDS = st.integers(0, 2**32)
POSITIVE = st.floats(1e-3, 10)
SHAPES = st.lists(
    st.lists(st.integers(0, 4), max_size=3).map(tuple), min_size=1, max_size=4
).filter(lambda shapes: any(0 not in shape for shape in shapes))


def draw(rng, shapes):
    """A dict of arrays of very different sizes, with some exact zeros."""
    return {
        f"p{i}": np.array(rng.normal(size=s) * 10.0 ** rng.integers(-3, 4) * (rng.random(s) < 0.8))
        for i, s in enumerate(shapes)
    }


def tensors(arrays):
    return {name: torch.tensor(a.copy(), dtype=torch.float64) for name, a in arrays.items()}


def assert_close(ours, theirs, scale=1.0):
    for name in theirs:
        np.testing.assert_allclose(ours[name], theirs[name].numpy(), rtol=1e-12, atol=1e-12 * scale)


def largest(arrays):
    """The largest entry: rounding errors are measured by it."""
    return max(1.0, *(np.abs(a).max() for a in arrays.values() if a.size))


def follow_torch(ours, theirs, seed, shapes, steps=6):
    """Take random steps with both optimizers; compare parameters and state; return ours."""
    rng = np.random.default_rng(seed)
    parameters = draw(rng, shapes)
    arrays = dict(parameters)
    reference = tensors(parameters)
    ours, theirs = ours(parameters), theirs(list(reference.values()))
    scale = 1.0
    for _ in range(steps):
        grads = draw(rng, shapes)
        kept = {name: g.copy() for name, g in grads.items()}
        for name, g in tensors(grads).items():
            reference[name].grad = g
        ours.step(grads)
        theirs.step()
        scale = max(scale, largest(parameters))
        assert_close(parameters, reference, scale)
        for name in grads:
            np.testing.assert_array_equal(grads[name], kept[name])
    assert all(parameters[name] is arrays[name] for name in arrays)  # Updated in place.
    for kind, group in ours.state.items():
        expected = {name: theirs.state[reference[name]][kind] for name in reference}
        assert_close(group, expected, max(scale, largest(group)))


@settings(deadline=None)
@given(SEEDS, SHAPES, POSITIVE)
def test_sgd_equals_torch(seed, shapes, lr):
    follow_torch(lambda p: SGD(p, lr), lambda p: torch.optim.SGD(p, lr), seed, shapes)


@settings(deadline=None)
@given(SEEDS, SHAPES, POSITIVE, st.sampled_from([1e-10, 1e-8, 1e-2, 1.0]))
def test_adagrad_equals_torch(seed, shapes, lr, eps):
    follow_torch(
        lambda p: Adagrad(p, lr, eps=eps),
        lambda p: torch.optim.Adagrad(p, lr, eps=eps),
        seed,
        shapes,
    )


def test_adagrad_has_torchs_defaults():
    follow_torch(Adagrad, torch.optim.Adagrad, 4, [(2, 3), (3,)])


@settings(deadline=None)
@given(SEEDS, SHAPES, st.sampled_from([1e-8, 1e-2, 1.0]))
def test_eps_inside_is_the_form_of_min_char_rnn(seed, shapes, eps):
    rng = np.random.default_rng(seed)
    parameters = draw(rng, shapes)
    start, history = {k: p.copy() for k, p in parameters.items()}, []
    optimizer = Adagrad(parameters, lr=0.1, eps=eps, eps_inside=True)
    for _ in range(5):
        history.append(draw(rng, shapes))
        optimizer.step(history[-1])
    for name in parameters:
        g = np.stack([grads[name] for grads in history])
        steps = 0.1 * g / (np.cumsum(g**2, axis=0) + eps) ** 0.5
        expected = start[name] - steps.sum(axis=0)
        np.testing.assert_allclose(parameters[name], expected, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(optimizer.sums[name], (g**2).sum(axis=0), rtol=1e-12)


LR = st.floats(1e-4, 0.1)
DECAY = st.sampled_from([0.0, 1e-2, 0.3])
MOMENTUM = st.sampled_from([0.0, 0.5, 0.99])
BETA = st.just(0.0) | st.floats(0.1, 0.999)  # Near 0 torch loses digits of 1 - (1 - β).
MANY = 40  # steps


@settings(deadline=None)
@given(SEEDS, SHAPES, LR, MOMENTUM, st.sampled_from([0.0, 0.4, 1.0]), DECAY, st.booleans())
def test_sgd_with_all_options_equals_torch(seed, shapes, lr, momentum, dampening, decay, nesterov):
    nesterov = nesterov and momentum > 0
    options = {"momentum": momentum, "dampening": 0.0 if nesterov else dampening}
    options |= {"weight_decay": decay, "nesterov": nesterov}
    follow_torch(
        lambda p: SGD(p, lr, **options),
        lambda p: torch.optim.SGD(p, lr, **options),
        seed,
        shapes,
        MANY,
    )


@settings(deadline=None)
@given(SEEDS, SHAPES, LR, st.floats(0.3, 0.999), DECAY, MOMENTUM, st.booleans())
def test_rmsprop_equals_torch(seed, shapes, lr, alpha, decay, momentum, centered):
    # Decay beside small gradients makes g nearly constant, and v - m² loses all its digits.
    decay = 0.0 if centered else decay
    eps = 1.0 if decay else 1e-3  # See below.
    options = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": decay}
    options |= {"momentum": momentum, "centered": centered}
    follow_torch(
        lambda p: RMSprop(p, **options),
        lambda p: torch.optim.RMSprop(p, **options),
        seed,
        shapes,
        MANY,
    )


@pytest.mark.parametrize(("ours", "theirs"), [(Adam, torch.optim.Adam), (AdamW, torch.optim.AdamW)])
@settings(deadline=None)
@given(SEEDS, SHAPES, LR, BETA, BETA, st.sampled_from([1e-8, 1e-2]), DECAY)
def test_adam_equals_torch(ours, theirs, seed, shapes, lr, beta1, beta2, eps, decay):
    if decay:
        # Where g is 0, a step g / (|g| + eps) would enlarge the rounding errors of λ p by 1 / eps.
        eps = 1.0
    options = {"lr": lr, "betas": (beta1, beta2), "eps": eps, "weight_decay": decay}
    follow_torch(lambda p: ours(p, **options), lambda p: theirs(p, **options), seed, shapes, MANY)


@pytest.mark.parametrize("name", ["RMSprop", "Adam", "AdamW"])
def test_torchs_defaults(name):
    ours, theirs = (
        {"RMSprop": RMSprop, "Adam": Adam, "AdamW": AdamW}[name],
        getattr(torch.optim, name),
    )
    follow_torch(ours, theirs, 4, [(2, 3), (3,), ()], MANY)


def test_rmsprop_has_no_root_of_a_negative_variance():
    # Under a constant gradient v - m² goes to 0, and rounding takes it below.
    parameters = {"p": np.zeros(50)}
    grads = {"p": np.linspace(0.01, 3, 50)}
    optimizer = RMSprop(parameters, lr=1e-9, alpha=0.6, centered=True)
    below = False
    for _ in range(200):
        optimizer.step(grads)
        v, m = optimizer.state["square_avg"]["p"], optimizer.state["grad_avg"]["p"]
        below = below or (v - m * m < 0).any()
    assert below
    assert np.isfinite(parameters["p"]).all()


# All optimizers, as they come and with everything switched on.
OPTIMIZERS = {
    "SGD": lambda p, lr: SGD(p, lr),
    "SGD with momentum": lambda p, lr: SGD(p, lr, 0.9, 0.1, 0.02),
    "Nesterov": lambda p, lr: SGD(p, lr, 0.9, weight_decay=0.02, nesterov=True),
    "Adagrad": lambda p, lr: Adagrad(p, lr),
    "RMSprop": lambda p, lr: RMSprop(p, lr),
    "centered RMSprop": lambda p, lr: RMSprop(p, lr, 0.9, 1e-6, 0.02, 0.9, True),
    "Adam": lambda p, lr: Adam(p, lr, (0.8, 0.9), 1e-6, 0.02),
    "AdamW": lambda p, lr: AdamW(p, lr),
}
each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)


@each_optimizer
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_parameters_and_state_keep_their_dtype(optimizer, dtype):
    rng = np.random.default_rng(5)
    parameters = {"p": np.ones((3, 2), dtype), "q": np.ones((), dtype)}
    exact = {name: p.astype(float) for name, p in parameters.items()}
    narrow, wide = optimizer(parameters, 0.01), optimizer(exact, 0.01)
    for _ in range(5):
        grads = {"p": rng.normal(size=(3, 2)), "q": np.array(rng.normal())}
        narrow.step(grads)
        wide.step(grads)
    arrays = [*parameters.values(), *narrow._arrays().values()]
    assert {a.dtype for a in arrays} == {np.dtype(dtype)}
    for name, p in parameters.items():
        np.testing.assert_allclose(p, exact[name], atol=100 * np.finfo(dtype).eps)


@each_optimizer
def test_parameters_in_any_memory_layout(optimizer):
    rng = np.random.default_rng(6)
    plain = {"p": rng.normal(size=(4, 6))}
    strided = {"p": np.zeros((8, 12))[1:7, ::3].T}
    strided["p"][...] = plain["p"]
    ours, other = optimizer(plain, 0.1), optimizer(strided, 0.1)
    for _ in range(4):
        grads = {"p": rng.normal(size=(4, 6))}
        ours.step(grads)
        other.step({"p": np.asfortranarray(grads["p"])})
    np.testing.assert_allclose(plain["p"], strided["p"], rtol=1e-14)


@each_optimizer
def test_a_step_needs_at_most_two_more_arrays(optimizer):
    parameters = {name: np.ones(100_000) for name in "abc"}
    grads = {name: np.full(100_000, 0.5) for name in "abc"}
    optimizer = optimizer(parameters, 0.1)
    optimizer.step(grads)
    tracemalloc.start()
    try:
        optimizer.step(grads)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2.1 * grads["a"].nbytes


# State


def run(optimizer, parameters, seeds):
    for seed in seeds:
        rng = np.random.default_rng(seed)
        optimizer.step({name: rng.normal(size=p.shape) for name, p in parameters.items()})


@each_optimizer
def test_a_run_goes_on_as_if_it_had_not_been_interrupted(optimizer):
    straight = {"p": np.ones((2, 3)), "q": np.ones(4, np.float32)}
    first = {name: p.copy() for name, p in straight.items()}
    whole = optimizer(straight, 0.1)
    run(whole, straight, range(10))
    before = optimizer(first, 0.1)
    run(before, first, range(4))
    state = before.state_dict()
    second = {name: p.copy() for name, p in first.items()}
    run(before, first, range(4, 10))  # The state is a copy: this does not change it.
    after = optimizer(second, 0.7)
    after.load_state_dict(state)
    run(after, second, range(4, 10))
    for name in straight:
        np.testing.assert_array_equal(second[name], straight[name])
    assert after.state_dict().keys() == whole.state_dict().keys()
    for key, value in whole.state_dict().items():
        np.testing.assert_array_equal(after.state_dict()[key], value)
        assert isinstance(value, (int, float, bool, tuple, np.ndarray)), key


def test_the_state_in_plain_words():
    optimizer = SGD({"p": np.zeros(2)}, lr=0.5, momentum=0.9, weight_decay=0.1)
    optimizer.step({"p": np.ones(2)})
    state = optimizer.state_dict()
    np.testing.assert_array_equal(state.pop("momentum_buffer.p"), [1, 1])
    assert state == {
        "lr": 0.5,
        "step": 1,
        "momentum": 0.9,
        "dampening": 0.0,
        "weight_decay": 0.1,
        "nesterov": False,
    }


def test_loading_brings_the_options_along_and_the_arrays_stay_the_same_objects():
    source = Adam({"p": np.zeros(2)}, lr=0.5, betas=(0.5, 0.6), eps=1e-3, weight_decay=0.25)
    source.step({"p": np.ones(2)})
    target = Adam({"p": np.zeros(2)})
    arrays = target._arrays()
    # Numbers come from a file as arrays.
    target.load_state_dict({key: np.asarray(v) for key, v in source.state_dict().items()})
    assert (target.lr, target.betas, target.eps) == (0.5, (0.5, 0.6), 1e-3)
    assert (target.weight_decay, target.steps) == (0.25, 1)
    assert type(target.steps) is int
    assert all(target._arrays()[key] is array for key, array in arrays.items())
    np.testing.assert_array_equal(target.state["exp_avg"]["p"], [0.5, 0.5])


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"lr": -1}, ValueError, r"state_dict\['lr'\]: expected a finite number >= 0, got -1"),
        ({"lr": np.ones(2)}, ValueError, r"state_dict\['lr'\]: expected .* got \[1.0, 1.0\]"),
        ({"step": 1.5}, ValueError, r"state_dict\['step'\]: expected an integer >= 0, got 1.5"),
        ({"step": -1}, ValueError, r"state_dict\['step'\]: expected an integer >= 0, got -1"),
        ({"step": True}, ValueError, r"state_dict\['step'\]: expected an integer >= 0, got True"),
        ({"betas": (0.9, 1)}, ValueError, r"state_dict\['betas'\]\[1\]: expected .* got 1"),
        ({"eps": 0}, ValueError, r"state_dict\['eps'\]: expected a finite number > 0, got 0"),
        (
            {"exp_avg.q": np.ones(2)},
            ValueError,
            r"state_dict\['exp_avg.q'\]: expected shape \(3,\) \(the parameter's\), got \(2,\)",
        ),
        ({"exp_avg.q": 1j * np.ones(3)}, TypeError, r"state_dict\['exp_avg.q'\]: expected .*real"),
        ({"exp_avg.r": np.ones(2)}, KeyError, r"missing \[\], unknown \['exp_avg.r'\]"),
        ({"exp_avg.q": None}, KeyError, r"missing \['exp_avg.q'\], unknown \[\]"),
        ({"lr": None}, KeyError, r"missing \['lr'\], unknown \[\]"),
    ],
)
def test_a_wrong_state_changes_nothing(change, error, text):
    parameters = {"p": np.zeros((2, 2)), "q": np.zeros(3)}
    optimizer = Adam(parameters, weight_decay=0.1)
    run(optimizer, parameters, range(3))
    before = optimizer.state_dict()
    state = {
        key: value + 1 if isinstance(value, np.ndarray) else value for key, value in before.items()
    }
    state |= {"lr": 0.7, "step": 9, "betas": (0.1, 0.2), "eps": 0.3, "weight_decay": 0.4} | change
    state = {key: value for key, value in state.items() if value is not None}
    with pytest.raises(error, match=text):
        optimizer.load_state_dict(state)
    for key, value in optimizer.state_dict().items():
        np.testing.assert_array_equal(value, before[key])


def test_a_state_of_another_kind_of_optimizer():
    state = SGD({"p": np.zeros(2)}, 0.1, momentum=0.9).state_dict()
    with pytest.raises(KeyError, match=r"missing \[\], unknown \['momentum_buffer.p'\]"):
        SGD({"p": np.zeros(2)}, 0.1).load_state_dict(state)
    with pytest.raises(KeyError, match=r"state_dict: expected the keys .* missing \['betas'"):
        Adam({"p": np.zeros(2)}).load_state_dict(state)


def test_the_two_places_of_eps_differ():
    parameters = {form: np.zeros(1) for form in ("inside", "outside")}
    for form, p in parameters.items():
        Adagrad({"p": p}, lr=1, eps=0.25, eps_inside=form == "inside").step({"p": np.ones(1)})
    assert parameters["outside"][0] == pytest.approx(-1 / 1.25)
    assert parameters["inside"][0] == pytest.approx(-1 / math.sqrt(1.25))


@pytest.mark.parametrize("optimizer", [SGD, Adagrad])
def test_float32_stays_float32(optimizer):
    parameters = {"p": np.ones(3, np.float32)}
    optimizer(parameters, np.float64(0.1)).step({"p": np.ones(3)})
    assert parameters["p"].dtype == np.float32
    np.testing.assert_allclose(parameters["p"], 0.9, rtol=1e-6)


def test_the_learning_rate_can_change_between_steps():
    parameters = {"p": np.zeros(1)}
    optimizer = SGD(parameters, lr=1)
    optimizer.step({"p": np.ones(1)})
    optimizer.lr = 0.5
    optimizer.step({"p": np.ones(1)})
    assert parameters["p"] == -1.5
    with pytest.raises(ValueError, match="lr: expected a finite number > 0, got 0"):
        optimizer.lr = 0


@each_optimizer
@pytest.mark.parametrize(
    ("grads", "error", "text"),
    [
        ({"a": np.ones(2)}, KeyError, r"grads: expected .*missing \['b'\], unknown \[\]"),
        (
            {"a": np.ones(2), "b": np.ones((2, 3)), "c": np.ones(1)},
            KeyError,
            r"missing \[\], unknown \['c'\]",
        ),
        (
            {"a": np.ones(2), "b": np.ones((3, 2))},
            ValueError,
            r"grads\['b'\]: expected shape \(2, 3\) \(the parameter's\), got \(3, 2\)",
        ),
        # Either would broadcast.
        ({"a": np.ones(2), "b": np.ones(3)}, ValueError, r"grads\['b'\]: .* got \(3,\)"),
        ({"a": np.ones(2), "b": 1.0}, ValueError, r"grads\['b'\]: .* got \(\)"),
        ({"a": np.ones(2), "b": np.ones((2, 3)) * 1j}, TypeError, r"grads\['b'\]: expected .*real"),
    ],
)
def test_wrong_grads_update_nothing(optimizer, grads, error, text):
    parameters = {"a": np.ones(2), "b": np.ones((2, 3))}
    optimizer = optimizer(parameters, lr=0.1)
    with pytest.raises(error, match=text):
        optimizer.step(grads)
    assert all((p == 1).all() for p in parameters.values())
    assert all((s == 0).all() for s in optimizer._arrays().values())
    assert optimizer.steps == 0


@each_optimizer
@pytest.mark.parametrize("lr", [0, -1, math.inf, math.nan, "fast", None])
def test_learning_rates_that_are_none(optimizer, lr):
    with pytest.raises(ValueError, match="lr: expected a finite number > 0, got"):
        optimizer({"p": np.ones(1)}, lr=lr)


@pytest.mark.parametrize(
    ("optimizer", "option", "bad", "text"),
    [
        (SGD, "momentum", -0.1, "momentum: expected a finite number >= 0, got -0.1"),
        (SGD, "dampening", math.nan, "dampening: expected a finite number >= 0, got nan"),
        (SGD, "weight_decay", math.inf, "weight_decay: expected a finite number >= 0, got inf"),
        (SGD, "nesterov", True, "nesterov: expected momentum > 0 and .* got momentum 0.0 and"),
        (RMSprop, "alpha", 1, r"alpha: expected a number in \[0, 1\), got 1"),
        (RMSprop, "eps", 0, "eps: expected a finite number > 0, got 0"),
        (RMSprop, "momentum", "0.9", "momentum: expected a finite number >= 0, got '0.9'"),
        (RMSprop, "weight_decay", -1, "weight_decay: expected a finite number >= 0, got -1"),
        (Adam, "betas", (0.9, 1), r"betas\[1\]: expected a number in \[0, 1\), got 1"),
        (Adam, "betas", (-0.1, 0.9), r"betas\[0\]: expected a number in \[0, 1\), got -0.1"),
        (Adam, "betas", 0.9, r"betas: expected two numbers in \[0, 1\), got 0.9"),
        (Adam, "betas", (0.9,), r"betas: expected two numbers in \[0, 1\), got \(0.9,\)"),
        (AdamW, "eps", -1, "eps: expected a finite number > 0, got -1"),
        (AdamW, "weight_decay", None, "weight_decay: expected a finite number >= 0, got None"),
    ],
)
def test_options_that_are_none(optimizer, option, bad, text):
    with pytest.raises(ValueError, match=text):
        optimizer({"p": np.ones(1)}, lr=0.1, **{option: bad})


def test_nesterov_takes_no_dampening():
    with pytest.raises(ValueError, match=r"nesterov: .* got momentum 0.9 and dampening 0.1"):
        SGD({"p": np.ones(1)}, 0.1, momentum=0.9, dampening=0.1, nesterov=True)


def test_constructor_errors():
    with pytest.raises(ValueError, match="eps: expected a finite number > 0, got 0"):
        Adagrad({"p": np.ones(1)}, eps=0)
    with pytest.raises(ValueError, match="parameters: expected at least one array, got none"):
        SGD({}, lr=1)
    with pytest.raises(
        TypeError, match=r"parameters\['p'\]: expected a writeable .* got dtype int"
    ):
        SGD({"p": np.ones(1, int)}, lr=1)
    with pytest.raises(TypeError, match=r"parameters\['p'\]: .* got list"):
        SGD({"p": [1.0]}, lr=1)
    fixed = np.ones(1)
    fixed.flags.writeable = False
    with pytest.raises(TypeError, match=r"parameters\['p'\]: .* got a read-only array"):
        SGD({"p": fixed}, lr=1)


# Clipping


def clip_both(ours, theirs, grads, limit):
    """Clip a copy with rnnlib and one with torch; compare and return what both returned."""
    mine, reference = {k: g.copy() for k, g in grads.items()}, tensors(grads)
    arrays = dict(mine)
    for t in reference.values():
        t.grad = t.clone()
    returned = ours(mine, limit), theirs(reference.values(), limit)
    assert_close(mine, {name: t.grad for name, t in reference.items()})
    assert all(mine[name] is arrays[name] for name in arrays)
    return returned


@settings(deadline=None)
@given(SEEDS, SHAPES, POSITIVE)
def test_clip_by_value_equals_torch(seed, shapes, limit):
    grads = draw(np.random.default_rng(seed), shapes)
    returned = clip_both(clip_grad_value_, torch.nn.utils.clip_grad_value_, grads, limit)
    assert returned == (None, None)


@settings(deadline=None)
@given(SEEDS, SHAPES, st.floats(1e-6, 1e6))
def test_clip_by_norm_equals_torch(seed, shapes, limit):
    grads = draw(np.random.default_rng(seed), shapes)
    total, expected = clip_both(clip_grad_norm_, torch.nn.utils.clip_grad_norm_, grads, limit)
    assert type(total) is float
    assert total == pytest.approx(float(expected), rel=1e-12)
    assert total == pytest.approx(math.sqrt(sum((g**2).sum() for g in grads.values())), rel=1e-12)


def test_small_gradients_are_left_alone_and_the_denominator_has_its_millionth():
    grads = {"a": np.array([3.0]), "b": np.array([4.0])}
    assert clip_grad_norm_(grads, 6) == 5
    assert (grads["a"], grads["b"]) == (3, 4)
    assert clip_grad_norm_(grads, math.inf) == 5
    assert (grads["a"], grads["b"]) == (3, 4)
    assert clip_grad_norm_(grads, 1) == 5
    assert grads["a"][0] == pytest.approx(3 / (5 + 1e-6), rel=1e-15)
    assert clip_grad_norm_({}, 1) == 0


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_non_finite_gradients_as_in_torch(bad):
    grads = {"a": np.array([1.0, bad, -2.0]), "b": np.array([[5.0]])}
    clip_both(clip_grad_value_, torch.nn.utils.clip_grad_value_, grads, 1.5)
    total, expected = clip_both(clip_grad_norm_, torch.nn.utils.clip_grad_norm_, grads, 1.5)
    np.testing.assert_equal(total, float(expected))
    assert not math.isfinite(total)
    kept = {name: g.copy() for name, g in grads.items()}
    with pytest.raises(RuntimeError, match=r"grads: expected a finite norm, got (inf|nan)"):
        clip_grad_norm_(grads, 1.5, error_if_nonfinite=True)
    np.testing.assert_equal(grads, kept)


@pytest.mark.parametrize(
    ("clip", "name"), [(clip_grad_value_, "clip_value"), (clip_grad_norm_, "max_norm")]
)
def test_clipping_errors_change_nothing(clip, name):
    grads = {"a": np.full(2, 9.0), "b": [9.0]}
    for limit in (0, -1, math.nan, "x"):
        with pytest.raises(ValueError, match=f"{name}: expected a number > 0, got"):
            clip(grads, limit)
    with pytest.raises(TypeError, match=r"grads\['b'\]: expected a writeable .* got list"):
        clip(grads, 1)
    assert (grads["a"] == 9).all()


def test_float32_gradients():
    grads = {"a": np.full(4, 1e30, np.float32)}  # Their squares are beyond float32.
    assert clip_grad_norm_(grads, 1) == pytest.approx(2e30)
    assert grads["a"].dtype == np.float32
    np.testing.assert_allclose(grads["a"], 0.5, rtol=1e-6)
