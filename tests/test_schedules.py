"""Schedules against torch, step by step, and what they do when a run is resumed."""

import itertools
import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlib import schedules
from rnnlib.optim import SGD, Adam
from rnnlib.schedules import (
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    ReduceLROnPlateau,
    StepLR,
)

torch_schedules = torch.optim.lr_scheduler


def pair(lr):
    """An optimizer of each library with the learning rate lr."""
    return SGD({"p": np.zeros(1)}, lr), torch.optim.SGD([torch.zeros(1)], lr)


def take_step(optimizer):
    """A step, without which torch warns; its parameter has no gradient, so nothing happens."""
    optimizer.step()


def assert_same_lr(ours, theirs, scale=0.0):
    expected = theirs.param_groups[0]["lr"]
    assert ours.lr == pytest.approx(expected, rel=1e-12, abs=1e-12 * scale)


def follow_torch(name, lr, steps=45, **options):
    ours, theirs = pair(lr)
    mine = getattr(schedules, name)(ours, **options)
    reference = getattr(torch_schedules, name)(theirs, **options)
    # torch goes from rate to rate, and near a cosine's end its rounding errors are those of the
    # larger numbers that it subtracts.
    scale = max(lr, options.get("eta_min", 0)) if name == "CosineAnnealingLR" else 0
    assert_same_lr(ours, theirs)
    for _ in range(steps):
        take_step(theirs)
        reference.step()
        mine.step()
        assert_same_lr(ours, theirs, scale)
    assert mine.last_epoch == steps


LR = st.floats(1e-4, 10)
COUNT = st.integers(1, 20)
CASES = {
    "StepLR": {"step_size": COUNT, "gamma": st.floats(0.1, 1.5)},
    "ExponentialLR": {"gamma": st.floats(0.5, 1.5)},
    "CosineAnnealingLR": {"T_max": COUNT, "eta_min": st.sampled_from([0.0, 1e-3, 0.5])},
    "LinearLR": {
        "start_factor": st.floats(1e-3, 1),
        "end_factor": st.floats(0.01, 1),
        "total_iters": COUNT,
    },
}


@pytest.mark.parametrize("name", CASES)
@settings(deadline=None)
@given(st.data(), LR)
def test_equal_to_torch(name, data, lr):
    follow_torch(name, lr, **data.draw(st.fixed_dictionaries(CASES[name])))


@pytest.mark.parametrize(
    ("name", "options"),
    [("StepLR", {"step_size": 7}), ("CosineAnnealingLR", {"T_max": 30}), ("LinearLR", {})],
)
def test_torchs_defaults(name, options):
    follow_torch(name, 0.3, **options)


def test_lambda_equals_torch():
    seen = []

    def factor(t):
        seen.append(t)
        return min(1, t / 10) * 0.97**t

    follow_torch("LambdaLR", 0.3, lr_lambda=factor)
    assert sorted(seen) == sorted([*range(46)] * 2)
    follow_torch("LambdaLR", 0.3, lr_lambda=lambda t: np.float32(0.5) ** t)
    ours, _ = pair(0.5)
    LambdaLR(ours, lambda t: np.array(0.25))  # A factor may come as an array.
    assert ours.lr == 0.125
    assert type(ours.lr) is float


def test_cosine_and_warm_up_by_hand():
    ours, _ = pair(2.0)
    cosine, rates = CosineAnnealingLR(ours, T_max=4, eta_min=1.0), []
    for _ in range(8):
        cosine.step()
        rates.append(ours.lr)
    r = math.sqrt(0.5)
    expected = [1.5 + r / 2, 1.5, 1.5 - r / 2, 1, 1.5 - r / 2, 1.5, 1.5 + r / 2, 2]
    assert rates == pytest.approx(expected)
    ours, _ = pair(2.0)
    warm_up, rates = LinearLR(ours, start_factor=0.25, total_iters=3), [ours.lr]
    for _ in range(4):
        warm_up.step()
        rates.append(ours.lr)
    assert rates == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0])


def test_a_schedule_may_end_at_zero():
    ours, theirs = pair(0.5)
    mine, reference = LinearLR(ours, 1, 0, 4), torch_schedules.LinearLR(theirs, 1, 0, 4)
    for _ in range(6):
        take_step(theirs)
        reference.step()
        mine.step()
        assert_same_lr(ours, theirs)
    assert ours.lr == 0
    parameters = ours.parameters["p"].copy()
    ours.step({"p": np.ones(1)})
    np.testing.assert_array_equal(ours.parameters["p"], parameters)
    state = ours.state_dict()
    ours, _ = pair(0.5)
    ours.load_state_dict(state)
    assert ours.lr == 0


def test_a_warm_up_and_then_a_decay():
    ours, theirs = pair(0.5)
    mine = LinearLR(ours, 0.1, total_iters=5), CosineAnnealingLR(ours, T_max=30, eta_min=0.01)
    reference = (
        torch_schedules.LinearLR(theirs, 0.1, total_iters=5),
        torch_schedules.CosineAnnealingLR(theirs, T_max=30, eta_min=0.01),
    )
    assert ours.lr == pytest.approx(0.05)  # The second starts from the same base, and waits.
    for t in range(35):
        take_step(theirs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's second schedule looks for optimizer.step.
            reference[t >= 5].step()
        mine[t >= 5].step()
        assert_same_lr(ours, theirs)
    assert ours.lr == pytest.approx(0.01)


def test_the_base_is_the_rate_at_the_first_schedule():
    ours, _ = pair(0.5)
    ours.lr = 0.25
    schedule = StepLR(ours, 2)
    assert (ours.lr, schedule.base_lr) == (0.25, 0.25)
    ours.lr = 0.125
    schedule.step()
    assert ours.lr == 0.25
    assert ExponentialLR(ours, 0.5).base_lr == 0.25


# ReduceLROnPlateau


def follow_plateau(metrics, lr=0.5, **options):
    """Give both schedules the same metrics; return how often the rate fell."""
    ours, theirs = pair(lr)
    mine = ReduceLROnPlateau(ours, **options)
    reference = torch_schedules.ReduceLROnPlateau(theirs, **options)
    rates = [ours.lr]
    for metric in metrics:
        reference.step(metric)
        mine.step(metric)
        assert_same_lr(ours, theirs)
        assert mine.best == reference.best
        assert mine.num_bad_epochs == reference.num_bad_epochs
        rates.append(ours.lr)
    assert mine.last_epoch == len(metrics)
    return sum(a != b for a, b in itertools.pairwise(rates))


@settings(deadline=None)
@given(
    st.integers(0, 2**32),
    st.sampled_from(["min", "max"]),
    st.floats(0.05, 0.95),
    st.integers(0, 4),
    st.sampled_from([0.0, 1e-4, 0.3]),
)
def test_plateau_equals_torch(seed, mode, factor, patience, threshold):
    metrics = np.random.default_rng(seed).normal(size=60)
    metrics += np.linspace(3, 0, 60) * (1 if mode == "min" else -1)
    options = {"mode": mode, "factor": factor, "patience": patience, "threshold": threshold}
    follow_plateau(metrics, **options)


def test_plateau_has_torchs_defaults():
    assert follow_plateau([1.0, *[1 - 9e-5] * 30, *[1 - 1.1e-4] * 30]) == 4


def test_plateau_takes_nan_and_inf_as_torch_does():
    assert follow_plateau([math.nan, math.inf, 1, math.nan, math.nan, -math.inf], patience=1) == 2


@pytest.mark.parametrize("mode", ["min", "max"])
def test_plateau_takes_an_equal_metric_as_no_better(mode):
    assert follow_plateau([2.0] * 7, mode=mode, threshold=0.0, patience=1) == 3


def test_plateau_leaves_tiny_rates():
    assert follow_plateau([1.0] * 20, lr=1e-6, patience=0) == 2


def test_plateau_counts_by_hand():
    ours, _ = pair(8.0)
    schedule, rates = ReduceLROnPlateau(ours, factor=0.5, patience=2), []
    for metric in [5, 4, 4, 4, 4, 3, 3, 3, np.array(3.0)]:
        schedule.step(metric)
        rates.append(ours.lr)
    assert rates == [8, 8, 8, 8, 4, 4, 4, 4, 2]
    assert schedule.best == 3
    with pytest.raises(TypeError, match="metric: expected a real number, got 'low'"):
        schedule.step("low")
    assert (schedule.last_epoch, schedule.num_bad_epochs, ours.lr) == (9, 0, 2)


# Resuming


MAKERS = {
    "step": lambda o: StepLR(o, 3, 0.5),
    "exponential": lambda o: ExponentialLR(o, 0.9),
    "cosine": lambda o: CosineAnnealingLR(o, 12),
    "lambda": lambda o: LambdaLR(o, lambda t: 1 / (1 + t)),
    "warm-up": lambda o: LinearLR(o, 0.1, total_iters=12),
    "plateau": lambda o: ReduceLROnPlateau(o, patience=1, factor=0.5),
}
METRICS = [3, 2, 4, 4, 4, 1, 5, 5, 5, 5, 0.5, 5, 5, 5, 5]


def follow(schedule, metrics):
    rates = []
    for metric in metrics:
        schedule.step(*[metric] * isinstance(schedule, ReduceLROnPlateau))
        rates.append(schedule.optimizer.lr)
    return rates


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_schedule_goes_on_as_if_it_had_not_been_interrupted(make):
    expected = follow(make(Adam({"p": np.zeros(2)}, 0.5)), METRICS)
    first = Adam({"p": np.zeros(2)}, 0.5)
    schedule = make(first)
    assert follow(schedule, METRICS[:7]) == expected[:7]
    saved = [
        {key: np.asarray(value) for key, value in thing.state_dict().items()}
        for thing in (first, schedule)
    ]
    second = Adam({"p": np.zeros(2)}, 0.9)
    schedule = make(second)
    second.load_state_dict(saved[0])
    schedule.load_state_dict(saved[1])
    assert second.lr == expected[6]
    assert follow(schedule, METRICS[7:]) == expected[7:]
    assert type(schedule.last_epoch) is int


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"last_epoch": -1}, ValueError, r"\['last_epoch'\]: expected an integer >= 0, got -1"),
        ({"base_lr": -1}, ValueError, r"\['base_lr'\]: expected a finite number >= 0, got -1"),
        ({"num_bad_epochs": 0.5}, ValueError, r"\['num_bad_epochs'\]: expected an integer"),
        ({"best": "low"}, TypeError, r"state_dict\['best'\]: expected a real number, got 'low'"),
        ({"worst": 1}, KeyError, r"state_dict: expected .* unknown \['worst'\]"),
        ({"best": None}, KeyError, r"missing \['best'\]"),
    ],
)
def test_a_wrong_state_changes_nothing(change, error, text):
    schedule = ReduceLROnPlateau(pair(0.5)[0])
    before = schedule.state_dict()
    state = {"base_lr": 0.1, "last_epoch": 5, "best": 2.0, "num_bad_epochs": 3} | change
    with pytest.raises(error, match=text):
        schedule.load_state_dict({key: v for key, v in state.items() if v is not None})
    assert schedule.state_dict() == before


# Errors


@pytest.mark.parametrize(
    ("name", "options", "error", "text"),
    [
        ("StepLR", {"step_size": 0}, ValueError, "step_size: expected at least 1, got 0"),
        ("StepLR", {"step_size": 2.5}, TypeError, "step_size: expected an integer, got 2.5"),
        ("StepLR", {"step_size": 2, "gamma": 0}, ValueError, "gamma: expected a finite number > 0"),
        ("ExponentialLR", {"gamma": math.inf}, ValueError, "gamma: .* > 0, got inf"),
        ("CosineAnnealingLR", {"T_max": 0}, ValueError, "T_max: expected at least 1, got 0"),
        ("CosineAnnealingLR", {"T_max": 3, "eta_min": -1}, ValueError, "eta_min: .* >= 0, got -1"),
        ("LambdaLR", {"lr_lambda": 0.5}, TypeError, "lr_lambda: expected a function of t, got 0.5"),
        ("LambdaLR", {"lr_lambda": lambda t: -1}, ValueError, r"lr_lambda\(0\): .* >= 0, got -1"),
        ("LinearLR", {"start_factor": 0}, ValueError, "start_factor: expected 0 < x <= 1, got 0"),
        ("LinearLR", {"start_factor": 2}, ValueError, "start_factor: expected 0 < x <= 1, got 2"),
        ("LinearLR", {"end_factor": -1}, ValueError, "end_factor: expected 0 <= x <= 1, got -1"),
        ("LinearLR", {"end_factor": 1.5}, ValueError, "end_factor: .* got 1.5"),
        ("LinearLR", {"total_iters": 0}, ValueError, "total_iters: expected at least 1, got 0"),
        ("ReduceLROnPlateau", {"mode": "mean"}, ValueError, "mode: expected one of 'min', 'max'"),
        ("ReduceLROnPlateau", {"factor": 1}, ValueError, "factor: expected 0 < x < 1, got 1"),
        ("ReduceLROnPlateau", {"factor": 0}, ValueError, "factor: expected 0 < x < 1, got 0"),
        ("ReduceLROnPlateau", {"patience": -1}, ValueError, "patience: .* >= 0, got -1"),
        ("ReduceLROnPlateau", {"threshold": -1}, ValueError, "threshold: .* >= 0, got -1"),
    ],
)
def test_arguments_that_are_none(name, options, error, text):
    ours, _ = pair(0.5)
    with pytest.raises(error, match=text):
        getattr(schedules, name)(ours, **options)
    assert (ours.lr, ours.initial_lr) == (0.5, None)


def test_an_optimizer_of_ours_is_needed():
    with pytest.raises(TypeError, match=r"optimizer: expected one of rnnlib.optim, got SGD"):
        StepLR(pair(0.5)[1], 2)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -0.5, "half", None, np.ones(2)])
def test_a_wrong_factor_leaves_the_rate(bad):
    ours, _ = pair(0.5)
    schedule = LambdaLR(ours, lambda t: 0.5 if t < 3 else bad)
    follow(schedule, [0, 0])
    with pytest.raises(ValueError, match=r"lr_lambda\(3\): expected a finite number >= 0, got"):
        schedule.step()
    assert (ours.lr, schedule.last_epoch) == (0.25, 2)


def test_a_rate_that_is_too_large_is_not_set():
    ours, _ = pair(1e300)
    schedule = StepLR(ours, 1, gamma=1e10)
    with pytest.raises(ValueError, match="lr: expected a finite number >= 0, got inf"):
        schedule.step()
    assert (ours.lr, schedule.last_epoch) == (1e300, 0)
