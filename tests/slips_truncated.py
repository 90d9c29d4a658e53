"""Slips in truncated backpropagation through time; see ``test_planted_errors``."""

# The module with the checks.
CHECKS = "planted_truncated"
# file: [(name of a check, the text as it stands, the slip)]
SLIPS = {
    "truncated.py": [
        # How far back.
        ("tanh", "range(min(tau, len(", "range(min(tau + 1, len("),
        ("gru", "range(min(tau, len(", "range(min(tau - 1 or 1, len("),
        ("lstm", "range(min(tau, len(", "range(max(tau, len("),
        ("tanh", "min(tau, len(passes[0].counts))", "tau // 2 + 1"),
        # What the rounds hand on.
        ("tanh", "(from_loss + dh, *rest)", "(from_loss, *rest)"),
        ("gru", "(from_loss + dh, *rest)", "(dh, *rest)"),
        ("gru", "(from_loss + dh, *rest)", "(from_loss - dh, *rest)"),
        ("lstm", "(from_loss + dh, *rest)", "(from_loss + dh, *(0 * r for r in rest))"),
        ("lstm", "end, part, self.counts, True", "end, part, self.counts, False"),
        ("tanh", "end, part, self.counts, True", "0 * end, part, self.counts, True"),
        ("tanh", "end, part, self.counts, True", "end, 0 * part, self.counts, True"),
        (
            "lstm",
            "zip(d_end, before, strict=True)\n        )",
            "zip(d_end[::-1], before)\n        )",
        ),
        ("peephole", "return tuple(before), self", "return tuple(before)[::-1], self"),
        ("tanh", "dy if k + 1 == len(passes) else gradients", "dy if True else gradients"),
        ("gru", "sent(d_before[k], d_ends[k])", "sent(d_before[k], d_ends[0])"),
        ("gru", "sent(d_before[k], d_ends[k])", "sent(d_before[0], d_ends[k])"),
        ("tanh", "tuple(part[: len(d), ...]", "tuple(part[-len(d) :, ...]"),
        # The products.
        ("tanh", "state[0], self.y, counts, False", "state[0], self.y, counts, True"),
        ("tanh", "state[0], self.y, counts, False", "0 * state[0], self.y, counts, False"),
        ("lstm", "state[0], self.y, counts, False", "state[-1], self.y, counts, False"),
        ("lstm", "self.h_prev, *gradient)", "self.h_prev, *gradient[::-1])"),
        # The layer around it.
        ("gru", "[lengths.sort(s) for s in layer", "[s for s in layer"),
        ("gru", "dy = lengths.sort(layer._layout(", "dy = (layer._layout("),
        ("tanh", "lengths.sort(x)[running]", "x[running]"),
        ("tanh", "below = passes[-1].y", "pass"),
        ("lstm", "tuple(s[k] for s in starts)", "tuple(s[0] for s in starts)"),
        ("lstm", "tuple(d[k] for d in ends)", "tuple(d[-1] for d in ends)"),
        ("relu", "passes, dy[running], d_ends, tau)", "passes, dy[running][::-1], d_ends, tau)"),
        ("gru", "name + suffix: compute()", "name + suffix: -compute()"),
        ("sigmoid", "dx = np.zeros_like(x)", "dx = np.ones_like(x)"),
        ("tanh", 'gradients[0]["x"]()', 'gradients[-1]["x"]()'),
        ("gru", "lengths.unsort(dx)", "dx"),
        (
            "gru",
            "_equations(suffix)\n        passes",
            '_equations("_l0")\n        passes',
        ),
        # Windows.
        ("windows", "max(0, first + k1 - k2)", "max(0, first - k2)"),
        ("windows", "max(0, first + k1 - k2)", "max(1, first + k1 - k2)"),
        ("windows", "max(0, first + k1 - k2)", "first"),
        ("windows", "min(t + k1, steps), min", "t + k1, min"),
        ("windows", "Window(start(t), t,", "Window(start(t), start(t),"),
        ("windows", "min(start(t + k1), steps) - start(t)", "k1"),
        ("windows", "range(0, steps, k1)", "range(0, steps - k1, k1)"),
        ("windows", "k2 = k1 if k2 is None", "k2 = k1 + 1 if k2 is None"),
    ],
}
