"""Slips in the lowest rung of the ladder; see ``test_planted_errors``."""

# The module with the checks.
CHECKS = "planted_ladder"
# file: [(name of a check, the text as it stands, the slip)]
SLIPS = {
    "torch/loop.py": [
        # The way forward.
        (
            "loop tanh",
            "steps_of(counts, reverse):\n            now",
            "steps_of(counts, not reverse):\n            now",
        ),
        (
            "loop tanh",
            "steps_of(counts, reverse):\n            now",
            "steps_of(counts, False):\n            now",
        ),
        ("loop tanh", "tuple(s[:n] for s in state)", "tuple(s[-n:] for s in state)"),
        ("loop lstm", "tuple(s[:n] for s in state)", "tuple(s[:n] for s in state[::-1])"),
        ("loop gru", "self.one_step.forward(x[rows],", "self.one_step.forward(x[:n],"),
        ("loop gru", "keep=keep)", "keep=True)"),
        ("loop tanh", "torch.cat([u, s[n:]])", "torch.cat([u, -s[n:]])"),
        ("loop tanh", "torch.cat([u, s[n:]])", "torch.cat([s[:n], s[n:]])"),
        ("loop lstm", "zip(after, state, strict=True)", "zip(after[::-1], state, strict=True)"),
        ("loop lstm", "zip(after, state, strict=True)", "zip(after, state[::-1], strict=True)"),
        ("loop tanh", "outputs.append(y)", "outputs.insert(0, y)"),
        ("loop gru", "kept.append(cache)", "kept.insert(0, cache)"),
        ("loop tanh", "-1 if reverse else 1)", "1)"),
        ("loop tanh", "-1 if reverse else 1)", "-1)"),
        ("loop gru", "zip(*kept[order], strict=True)", "zip(*kept, strict=True)"),
        ("loop tanh", "torch.cat(outputs[order])", "torch.cat(outputs)"),
        ("loop lstm", "state, tuple(kept)", "state[::-1], tuple(kept)"),
        ("loop lstm", "state, tuple(kept)", "state, tuple(kept[::-1])"),
        # The way back.
        ("loop tanh", "state[0], y, counts, reverse", "0 * state[0], y, counts, reverse"),
        ("loop tanh", "state[0], y, counts, reverse", "state[0], x, counts, reverse"),
        ("loop tanh", "state[0], y, counts, reverse", "state[0], y, counts, False"),
        ("loop tanh", "in reversed(steps_of(counts, reverse)):", "in steps_of(counts, reverse):"),
        (
            "loop tanh",
            "in reversed(steps_of(counts, reverse)):",
            "in steps_of(counts, False)[::-1]:",
        ),
        ("loop tanh", "dy[rows],", "dy[:n],"),
        ("loop tanh", "dy[rows],", "0 * dy[rows],"),
        ("loop tanh", "tuple(d[:n] for d in d_state)", "tuple(d[-n:] for d in d_state)"),
        ("loop lstm", "tuple(d[:n] for d in d_state)", "tuple(d[:n] for d in d_state[::-1])"),
        ("loop tanh", "x[rows],\n                (h_prev", "x[:n],\n                (h_prev"),
        ("loop tanh", "(h_prev[rows],)", "(h_prev[:n],)"),
        ("loop tanh", "                y[rows],\n", "                y[:n],\n"),
        ("loop gru", "[k[rows] for k in kept]", "[k[:n] for k in kept]"),
        ("loop lstm", "[k[rows] for k in kept]", "[k[rows] for k in kept[::-1]]"),
        ("loop tanh", "wanted=wanted,", "wanted=None,"),
        ("loop tanh", "torch.cat([u, d[n:]])", "torch.cat([u, 0 * d[n:]])"),
        ("loop tanh", "torch.cat([u, d[n:]])", "torch.cat([d[:n], d[n:]])"),
        ("loop lstm", "zip(before, d_state, strict=True)", "zip(before[::-1], d_state)"),
        ("loop lstm", "zip(before, d_state, strict=True)", "zip(before, d_state[::-1])"),
        ("loop tanh", 'dx[rows] = grads.pop("x", 0)', 'dx[:n] = grads.pop("x", 0)'),
        ("loop tanh", 'dx[rows] = grads.pop("x", 0)', 'dx[rows] = -grads.pop("x", 0)'),
        ("loop tanh", "total.get(name, 0) + share", "total.get(name, 0) - share"),
        ("loop tanh", "total.get(name, 0) + share", "share"),
        ("loop tanh", 'if wanted is None or "x" in wanted:', "if wanted is None:"),
        ("loop tanh", 'if wanted is None or "x" in wanted:', 'if "x" in (wanted or []):'),
        ("loop tanh", 'if wanted is None or "x" in wanted:', "if True:"),
        ("loop tanh", 'total["x"] = dx', 'total["x"] = dx.flip(0)'),
        ("loop lstm", "return d_state, total", "return d_state[::-1], total"),
    ],
}
