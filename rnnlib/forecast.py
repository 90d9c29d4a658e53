"""Forecasts of a series of numbers: windows, scaling by the past alone, baselines, a scaled error.

A forecast stands at an origin t, the place of the last value that is known, and is for the values
at t+1, ..., t+horizon.  Used in the chapter "A time series".
"""

import numpy as np

from rnnlib import _checks


def fill_forward(series):
    """Return the series with each NaN replaced by the last value before it.

    series: (n,) real numbers.  What is filled in depends on the past alone.

    Raises ValueError when the first value is missing, or one is infinite.
    """
    series = _line("series", series)
    known = ~np.isnan(series)
    if not known[0]:
        raise ValueError(
            "series: expected a first value, because nothing stands before it, got nan"
        )
    return series[np.maximum.accumulate(np.where(known, np.arange(len(series)), 0))]


def past_and_future(series, past, horizon, origins=None):
    """Cut windows out of a series.

    series: (n,), where NaN stands for a missing value; past, horizon: integers >= 1.
    origins: (N,) integers from past-1 to n-1-horizon, or None for all of them.
    Returns two arrays: the ``past`` values up to each origin, it included, (N, past); and the
    ``horizon`` values after it, (N, horizon).

    Raises TypeError or ValueError that names the argument.
    """
    series = _line("series", series)
    past, horizon = _checks.positive_int("past", past), _checks.positive_int("horizon", horizon)
    first, last = past - 1, len(series) - 1 - horizon
    if last < first:
        raise ValueError(
            f"series: expected at least past + horizon = {past + horizon} values, got {len(series)}"
        )
    origins = np.arange(first, last + 1) if origins is None else np.asarray(origins)
    if origins.ndim != 1 or origins.dtype.kind not in "iu":
        raise TypeError(f"origins: expected integers on one axis, got {origins!r}")
    inside = (origins >= first) & (origins <= last)
    _checks.every("origins", origins, inside, f"integers from {first} to {last}")
    at = origins[:, None]
    return series[at + np.arange(1 - past, 1)], series[at + np.arange(1, horizon + 1)]


class Standardizer:
    """x ↦ (x - mean) / deviation, by the mean and standard deviation of given values.

    values: real numbers in any shape; NaN is left out.  Give those of the training part alone.

    Raises ValueError unless at least two finite values differ.
    """

    def __init__(self, values):
        values = _numbers("values", values)
        known = values[~np.isnan(values)]
        if known.size == 0 or known.min() == known.max():
            raise ValueError("values: expected at least two that differ")
        self.mean, self.deviation = float(known.mean()), float(known.std())

    def apply(self, x):
        """Return x in standard units."""
        return (_numbers("x", x) - self.mean) / self.deviation

    def undo(self, z):
        """Return z, which is in standard units, in the units of the values."""
        return _numbers("z", z) * self.deviation + self.mean


def last_value(past, horizon):
    """Forecast that nothing changes; past: (N, p).  Returns (N, horizon)."""
    return np.repeat(_table("past", past)[:, -1:], _checks.positive_int("horizon", horizon), axis=1)


def seasonal_naive(past, horizon, season, drift=False):
    """Forecast what stood one season earlier; for a horizon beyond a season it repeats.

    past: (N, p) with p >= season.  Returns (N, horizon).
    drift: add the change over the last season, x_t - x_{t-season}, for each season ahead; that
        takes p > season.
    """
    past, season = _table("past", past), _checks.positive_int("season", season)
    drift = _checks.flag("drift", drift)
    if past.shape[1] < season + drift:
        raise ValueError(
            f"past: expected at least {season + drift} values for a season of {season}, "
            f"got {past.shape[1]}"
        )
    steps = np.arange(_checks.positive_int("horizon", horizon))
    forecast = past[:, past.shape[1] - season + steps % season]
    if drift:
        change = past[:, -1] - past[:, -1 - season]
        forecast = forecast + change[:, None] * (steps // season + 1)
    return forecast


class LinearAutoregression:
    """x_{t+h} ≈ c_h + a_h1 x_t + a_h2 x_{t-1} + ..., fitted by least squares, one h at a time.

    [Yule, "On a method of investigating periodicities in disturbed series", 1927, for h = 1.]

    past: (N, order) and future: (N, horizon), as ``past_and_future`` returns them; a target that is
        NaN does not count.
    weights: (horizon, order), oldest value first; bias: (horizon,).
    deviation: (horizon,), the root of the mean squared residual, divided by the degrees of freedom.

    Raises ValueError for a past with NaN, and for fewer targets than unknowns + 1.
    """

    def __init__(self, past, future):
        past, future = _table("past", past), _table("future", future, missing=True)
        _checks.shape("future", future, (len(past), future.shape[1]), "(a row for each past)")
        rows = np.column_stack([np.ones(len(past)), past])
        unknowns = rows.shape[1]
        found, deviations = [], []
        for h, target in enumerate(future.T, 1):
            known = ~np.isnan(target)
            if known.sum() <= unknowns:
                raise ValueError(
                    f"future: expected more than {unknowns} known values, because there are so "
                    f"many unknowns, got {known.sum()} for {h} steps ahead"
                )
            w = np.linalg.lstsq(rows[known], target[known], rcond=None)[0]
            rest = target[known] - rows[known] @ w
            found.append(w)
            deviations.append((rest @ rest / (known.sum() - unknowns)) ** 0.5)
        self.bias, self.weights = np.array(found)[:, 0], np.array(found)[:, 1:]
        self.deviation = np.array(deviations)

    def __call__(self, past):
        """past: (N, order).  Returns (N, horizon)."""
        past = _table("past", past)
        _checks.shape("past", past, (len(past), self.weights.shape[1]), "(order last)")
        return past @ self.weights.T + self.bias

    def rollout(self, past, horizon):
        """Return (N, horizon) forecasts of one step each, every one fed back as if it were true."""
        past, ahead = _table("past", past), []
        for _ in range(_checks.positive_int("horizon", horizon)):
            ahead.append(self(past)[:, 0])
            past = np.column_stack([past[:, 1:], ahead[-1]])
        return np.stack(ahead, axis=1)


def mean_absolute_scaled_error(error, train, season=1):
    """Return the mean of |error|, over that of a naive forecast on the training part.

    error: numbers in any shape, forecast minus truth; NaN, for a truth that is missing, is left
        out.
    train: (n,), the training part.  Its naive forecast is the value ``season`` steps before.
    1 means as good as that one [Hyndman and Koehler, "Another look at measures of forecast
    accuracy", International Journal of Forecasting 22, 2006].

    Raises ValueError when nothing is left, or the naive forecast makes no error.
    """
    error, train = _numbers("error", error), _line("train", train)
    season = _checks.positive_int("season", season)
    naive = np.abs(train[season:] - train[:-season])
    naive, error = naive[~np.isnan(naive)], np.abs(error[~np.isnan(error)])
    if error.size == 0:
        raise ValueError("error: expected at least one that is known")
    if naive.size == 0 or naive.mean() == 0:
        raise ValueError(f"train: expected values that change within {season} steps")
    return float(error.mean() / naive.mean())


def block_bootstrap(differences, length, draws=1000, share=0.95, rng=None):
    """Return the interval (low, high) in which the middle ``share`` of redrawn means lies.

    differences: (n,), one number for each origin, in the order of time; neighbours may depend on
        one another.  Blocks of ``length`` neighbours are drawn with replacement, and put side by
        side until there are n [Künsch, "The jackknife and the bootstrap for general stationary
        observations", Annals of Statistics 17, 1989].
    length: longer than the dependence reaches, and much shorter than n.
    rng: a seed or a NumPy Generator.

    Raises ValueError for a missing difference, and for a length above n.
    """
    d = _line("differences", differences)
    _checks.every("differences", d, ~np.isnan(d), "no missing value")
    length, draws = _checks.positive_int("length", length), _checks.positive_int("draws", draws)
    share = _checks.number("share", share, "a number between 0 and 1", lambda v: 0 < v < 1)
    if length > len(d):
        raise ValueError(f"length: expected at most {len(d)}, the differences, got {length}")
    blocks = -(-len(d) // length)
    starts = _checks.generator(rng).integers(0, len(d) - length + 1, (draws, blocks))
    rows = (starts[..., None] + np.arange(length)).reshape(draws, -1)[:, : len(d)]
    low, high = np.quantile(d[rows].mean(axis=1), [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)


def _numbers(name, value):
    """Return an array of floats, NaN allowed."""
    array = _checks.real_array(name, value, float)
    _checks.every(name, array, ~np.isinf(array), "finite numbers, or nan")
    return array


def _line(name, value):
    array = _numbers(name, value)
    if array.ndim != 1 or not array.size:
        raise ValueError(f"{name}: expected one axis with at least one value, got {array.shape}")
    return array


def _table(name, value, missing=False):
    array = _numbers(name, value)
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"{name}: expected two axes, none of them empty, got {array.shape}")
    if not missing:
        _checks.every(name, array, ~np.isnan(array), "no missing value (see fill_forward)")
    return array
