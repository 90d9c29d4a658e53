"""Windows, baselines and the scaled error beside plain loops; for ``test_planted_errors``."""

import numpy as np

from rnnlib import forecast


def series():
    x = np.random.default_rng(6).standard_normal(40).cumsum()
    x[[5, 6, 17, 30]] = np.nan
    return x


def close(a, b):
    a, b = np.asarray(a, float), np.asarray(b, float)
    return a.shape == b.shape and np.allclose(a, b, atol=1e-9, rtol=0, equal_nan=True)


def filled():
    x = series()
    expected = []
    for value in x:
        expected.append(expected[-1] if np.isnan(value) else value)
    return close(forecast.fill_forward(x), expected)


def windows():
    x, ok = series(), True
    for past, horizon in ((1, 1), (3, 3), (4, 2)):
        everything = list(range(past - 1, 40 - horizon))
        for origins in (None, [past + 3, past - 1, 39 - horizon]):
            found = forecast.past_and_future(x, past, horizon, origins)
            at = everything if origins is None else origins
            ok &= close(found[0], [x[t - past + 1 : t + 1] for t in at])
            ok &= close(found[1], [x[t + 1 : t + 1 + horizon] for t in at])
    return ok


def scaler():
    x = series()
    s = forecast.Standardizer(x)
    known = [v for v in x if v == v]
    mean = sum(known) / len(known)
    deviation = (sum((v - mean) ** 2 for v in known) / len(known)) ** 0.5
    return close(s.apply(x), [(v - mean) / deviation for v in x]) and close(s.undo(s.apply(x)), x)


def naive():
    past = np.random.default_rng(7).standard_normal((3, 7))
    ok = close(forecast.last_value(past, 4), [[row[-1]] * 4 for row in past])
    for season in (1, 2, 6):
        plain, with_drift = [], []
        for row in past:
            long, grown = list(row), list(row)
            for _ in range(8):
                long.append(long[-season])
                grown.append(grown[-season] + row[-1] - row[-1 - season])
            plain.append(long[7:])
            with_drift.append(grown[7:])
        ok &= close(forecast.seasonal_naive(past, 8, season), plain)
        ok &= close(forecast.seasonal_naive(past, 8, season, drift=True), with_drift)
    return ok


def autoregression():
    """The residuals of least squares are orthogonal to what the forecast is made of."""
    x = forecast.fill_forward(series())
    past, future = forecast.past_and_future(x, 3, 3)
    future[[2, 9], [0, 1]] = np.nan
    model = forecast.LinearAutoregression(past, future)
    rest = future - model(past)
    ok = rest.shape == future.shape
    for h in range(3):
        known = ~np.isnan(future[:, h])
        r = rest[known, h]
        ok &= abs(r.sum()) < 1e-9 and np.abs(r @ past[known]).max() < 1e-8
        ok &= abs(model.deviation[h] - (sum(r**2) / (len(r) - 4)) ** 0.5) < 1e-12
    ahead = []
    for row in past:
        long = list(row)
        for _ in range(4):
            long.append(model.bias[0] + sum(np.multiply(model.weights[0], long[-3:])))
        ahead.append(long[3:])
    return bool(ok) and close(model.rollout(past, 4), ahead)


def scaled():
    x, error = series(), np.array([[1.0, np.nan], [-2.0, 0.5]])
    ok = True
    for season in (1, 3):
        steps = [abs(x[t] - x[t - season]) for t in range(season, 40)]
        steps = [s for s in steps if s == s]
        found = forecast.mean_absolute_scaled_error(error, x, season)
        ok &= abs(found - 3.5 / 3 / (sum(steps) / len(steps))) < 1e-12
    return ok


def redrawn():
    d, ok = forecast.fill_forward(series())[:11], True
    for length in (1, 4, 11):
        rng, means = np.random.default_rng(8), []
        for starts in rng.integers(0, 12 - length, (50, -(-11 // length))):
            values = [d[s + i] for s in starts for i in range(length)]
            means.append(sum(values[:11]) / 11)
        found = forecast.block_bootstrap(d, length, 50, share=0.8, rng=8)
        ok &= close(found, np.quantile(means, [0.1, 0.9]))
    return ok


CHECKS = {
    "filled": filled,
    "windows": windows,
    "scaler": scaler,
    "naive": naive,
    "autoregression": autoregression,
    "scaled": scaled,
    "redrawn": redrawn,
}


def check(name):
    return CHECKS[name]()
