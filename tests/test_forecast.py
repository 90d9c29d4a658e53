"""Forecasts: the windows, scaling and baselines of ``rnnlib.forecast``."""

import numpy as np
import planted_forecast
import pytest

from rnnlib.forecast import (
    LinearAutoregression,
    Standardizer,
    block_bootstrap,
    fill_forward,
    last_value,
    mean_absolute_scaled_error,
    past_and_future,
    seasonal_naive,
)


@pytest.mark.parametrize("name", planted_forecast.CHECKS)
def test_it_equals_the_plain_form(name):
    assert planted_forecast.check(name)


def test_what_is_filled_in_does_not_depend_on_the_future():
    x = planted_forecast.series()
    whole = fill_forward(x)
    for n in range(1, len(x)):
        np.testing.assert_array_equal(fill_forward(x[:n]), whole[:n])


def test_an_exact_law_is_found_and_rolled_out():
    x = [1.0, 0.5]
    for _ in range(30):
        x.append(0.3 + 1.2 * x[-1] - 0.7 * x[-2])
    past, future = past_and_future(x, 2, 5)
    model = LinearAutoregression(past[:20], future[:20])
    np.testing.assert_allclose(model.weights[0], [-0.7, 1.2])
    np.testing.assert_allclose(model.bias[0], 0.3)
    np.testing.assert_allclose(model(past), future, atol=1e-9)
    np.testing.assert_allclose(model.rollout(past, 5), future, atol=1e-9)
    assert (model.deviation < 1e-9).all()


def test_the_last_value_on_the_training_part_has_the_scaled_error_one():
    x = planted_forecast.series()
    past, _ = past_and_future(fill_forward(x), 1, 1)
    _, truth = past_and_future(x, 1, 1)
    known = ~np.isnan(x[:-1])
    error = (last_value(past, 1) - truth)[known]
    assert mean_absolute_scaled_error(error, x) == pytest.approx(1)


def test_blocks_see_a_dependence_that_single_values_do_not():
    d = np.repeat(np.random.default_rng(0).standard_normal(40), 10)
    single, blocks = (np.ptp(block_bootstrap(d, k, rng=0)) for k in (1, 20))
    assert blocks > 2 * single
    assert block_bootstrap(d, len(d), rng=0) == pytest.approx((d.mean(), d.mean()))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: fill_forward([np.nan, 1]), ValueError, "series: expected a first value"),
        (lambda: fill_forward([1, np.inf]), ValueError, "series: expected finite"),
        (lambda: fill_forward(["a"]), TypeError, "series: expected an array of real"),
        (lambda: fill_forward([[1.0]]), ValueError, "series: expected one axis"),
        (lambda: fill_forward([]), ValueError, "series: expected one axis"),
        (lambda: past_and_future(np.ones(4), 3, 2), ValueError, r"past \+ horizon = 5 values.*4"),
        (lambda: past_and_future(np.ones(9), 0, 2), ValueError, "past: expected at least 1"),
        (lambda: past_and_future(np.ones(9), 2, 1.5), TypeError, "horizon: expected an integer"),
        (lambda: past_and_future(np.ones(9), 2, 3, [0]), ValueError, "origins: .* 1 to 5, got 0"),
        (lambda: past_and_future(np.ones(9), 2, 3, [6]), ValueError, "origins: .* 1 to 5, got 6"),
        (lambda: past_and_future(np.ones(9), 2, 3, [1.5]), TypeError, "origins: expected integers"),
        (lambda: Standardizer([2, 2, np.nan]), ValueError, "values: expected at least two"),
        (lambda: Standardizer([np.nan]), ValueError, "values: expected at least two"),
        (lambda: last_value(np.ones(3), 2), ValueError, "past: expected two axes"),
        (lambda: last_value([[1, np.nan]], 2), ValueError, "past: expected no missing"),
        (lambda: seasonal_naive(np.ones((2, 3)), 2, 4), ValueError, "past: .*4 values.*got 3"),
        (lambda: seasonal_naive(np.ones((2, 4)), 2, 4, True), ValueError, "past: .*5 values"),
        (lambda: seasonal_naive(np.ones((2, 4)), 2, 2, 1), TypeError, "drift: expected True"),
        (
            lambda: LinearAutoregression(np.ones((4, 3)), np.ones((4, 1))),
            ValueError,
            "future: expected more than 4 known values.*got 4 for 1 steps",
        ),
        (
            lambda: LinearAutoregression(np.ones((9, 3)), np.ones((8, 1))),
            ValueError,
            r"future: expected shape \(9, 1\)",
        ),
        (
            lambda: LinearAutoregression(np.eye(9)[:, :2], np.ones((9, 1)))(np.ones((1, 3))),
            ValueError,
            r"past: expected shape \(1, 2\)",
        ),
        (lambda: block_bootstrap([1, 2], 3), ValueError, "length: expected at most 2"),
        (lambda: block_bootstrap([1, 2], 1, share=1), ValueError, "share: expected a number"),
        (lambda: block_bootstrap([1, np.nan], 1), ValueError, "differences: expected no missing"),
        (lambda: block_bootstrap([1, 2], 1, rng="x"), TypeError, "rng: expected a seed"),
        (lambda: mean_absolute_scaled_error([np.nan], [1, 2]), ValueError, "error: expected at"),
        (lambda: mean_absolute_scaled_error([1.0], [2, 2]), ValueError, "train: expected values"),
        (lambda: mean_absolute_scaled_error([1.0], [1, 2], 2), ValueError, "train: expected val"),
    ],
)
def test_what_does_not_fit_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
