"""Slips in forecasts and their baselines; see ``test_planted_errors``."""

# The module with the checks.
CHECKS = "planted_forecast"
# file: [(name of a check, the text as it stands, the slip)]
SLIPS = {
    "forecast.py": [
        ("filled", "np.maximum.accumulate(np.where(known", "abs(np.where(known"),
        ("filled", "np.arange(len(series)), 0))]", "np.arange(len(series)) - 1, 0))]"),
        # Off by one: the past without its origin, the future with it.
        ("windows", "np.arange(1 - past, 1)", "np.arange(-past, 0)"),
        ("windows", "np.arange(1, horizon + 1)]", "np.arange(0, horizon)]"),
        ("windows", "np.arange(1 - past, 1)", "np.arange(0, -past, -1)"),
        ("windows", "np.arange(first, last + 1)", "np.arange(first, last)"),
        ("windows", "np.arange(first, last + 1)", "np.arange(first + 1, last + 1)"),
        ("scaler", "- self.mean) / self", "+ self.mean) / self"),
        ("scaler", "- self.mean) / self.deviation", "- self.mean) / self.deviation**2"),
        ("scaler", "float(known.std())", "float(known.std(ddof=1))"),
        ("scaler", "values[~np.isnan(values)]", "np.nan_to_num(values)"),
        ("scaler", "* self.deviation + self.mean", "* self.deviation"),
        ("naive", '"past", past)[:, -1:]', '"past", past)[:, :1]'),
        ("naive", "past.shape[1] - season + steps % season", "steps % season"),
        ("naive", "- season + steps % season", "- season + 0 * steps"),
        ("naive", "past[:, -1] - past[:, -1 - season]", "past[:, -1] - past[:, -season]"),
        ("naive", "(steps // season + 1)", "(0 * steps + 1)"),
        ("naive", "(steps // season + 1)", "(steps // season)"),
        ("naive", "forecast + change", "forecast - change"),
        ("autoregression", "np.ones(len(past)), past]", "np.zeros(len(past)), past]"),
        ("autoregression", "[:, 0], np.array(found)[:, 1:]", "[:, 0], np.array(found)[:, :0:-1]"),
        ("autoregression", "self.weights.T + self.bias", "self.weights.T"),
        ("autoregression", "(known.sum() - unknowns)) ** 0.5", "known.sum()) ** 0.5"),
        ("autoregression", "(known.sum() - unknowns)) ** 0.5", "(known.sum() - unknowns))"),
        ("autoregression", "self(past)[:, 0])", "self(past)[:, -1])"),
        ("autoregression", "[past[:, 1:], ahead[-1]]", "[past[:, 1:], past[:, -1]]"),
        ("autoregression", "[past[:, 1:], ahead[-1]]", "[ahead[-1], past[:, 1:]]"),
        ("scaled", "train[season:] - train[:-season]", "train[season:] + train[:-season]"),
        ("scaled", "train[season:] - train[:-season]", "train[1:] - train[:-1]"),
        ("scaled", "np.abs(error[~", "(error[~"),
        ("scaled", "error.mean() / naive.mean()", "error.mean() / train[train == train].std()"),
        ("scaled", "naive = np.abs(", "naive = np.square("),
        ("redrawn", "None] + np.arange(length))", "None] + 0 * np.arange(length))"),
        ("redrawn", "(0, len(d) - length + 1, (", "(0, max(1, len(d) - length), ("),
        ("redrawn", "-1)[:, : len(d)]", "-1)"),
        ("redrawn", "blocks = -(-len(d) // length)", "blocks = len(d) // length"),
        ("redrawn", "[(1 - share) / 2, (1 + share) / 2]", "[1 - share, share]"),
        ("redrawn", "d[rows].mean(axis=1)", "np.median(d[rows], axis=1)"),
    ],
}
