"""Slips in the modules that learn by reward; see ``test_planted_errors``."""

# The module with the checks.
CHECKS = "planted_reinforce"
# file: [(name of a check, the text as it stands, the slip)]
SLIPS = {
    "recurrent/reinforce.py": [
        # The sign, the reward, and what it is spread over.
        ("score, normal", "return -reward * self", "return reward * self"),
        ("enumerated", "return -reward * self", "return reward * self"),
        ("score, bernoulli", "return -reward * self", "return -self"),
        ("score, categorical", "return -reward * self", "return -(reward**2) * self"),
        (
            "score, normal",
            "reward[(..., *[None] * (input.ndim - reward.ndim))]",
            "reward[(*[None] * (input.ndim - reward.ndim), ...)]",
        ),
        ("score, categorical", "return drawn\n", "return drawn - 1\n"),
        ("enumerated", "return drawn\n", "return 1 - drawn\n"),
        # The scores.
        ("score, bernoulli", "xp.where(drawn > 0, p, 1 - p)", "xp.where(drawn > 0, 1 - p, p)"),
        ("score, bernoulli", "(2 * drawn - 1) / of", "(drawn - p) / of"),
        ("score, bernoulli", "(2 * drawn - 1) / of", "(1 - 2 * drawn) / of"),
        ("score, normal", "(drawn - mean) / self.std**2", "(mean - drawn) / self.std**2"),
        ("score, normal", "(drawn - mean) / self.std**2", "(drawn - mean) / self.std"),
        ("score, normal", "(drawn - mean) / self.std**2", "drawn / self.std**2"),
        # The draws.
        ("draws, bernoulli", "noise < p", "noise > p"),
        ("draws, bernoulli", "self.rng.random(size", "self.rng.normal(size"),
        ("draws, categorical", "self.rng.gumbel", "self.rng.standard_normal"),
        ("draws, categorical", "log_p + self._noise", "log_p - self._noise"),
        ("draws, categorical", "log_p + self._noise", "self._noise"),
        ("draws, normal", "mean + self.std * self._noise", "mean + self.std**2 * self._noise"),
        ("draws, normal", "mean + self.std * self._noise", "self.std * self._noise"),
        # Evaluation.
        ("likeliest", "if not self.train:", "if not self.train and False:"),
        ("likeliest", "p > 0.5", "p > 0.2"),
        ("likeliest", "xp.argmax(log_p, axis=-1)", "xp.argmin(log_p, axis=-1)"),
        ("likeliest", "        return mean\n", "        return 0 * mean\n"),
        # Clones.
        ("shared", "self.rng = _checks.generator(rng)", "self.rng = _checks.generator(None)"),
        (
            "shared",
            "return drawn, (input, drawn, None)",
            "return drawn, (input, drawn, input[:, 0])",
        ),
        # The criterion.
        ("criterion", "self.module.reinforce(-d_expected)", "self.module.reinforce(d_expected)"),
        ("criterion", "self.module.reinforce(-d_expected)", "self.module.reinforce(reward / 4)"),
        ("criterion", 'reward, "mean")', 'reward, "sum")'),
        ("criterion", "squared_error(expected, reward", "squared_error(reward, expected"),
        ("criterion", "return -xp.mean(reward)", "return xp.mean(reward)"),
        ("criterion", "self.scale * xp.astype(right", "xp.astype(right"),
        (
            "criterion",
            "xp.argmax(scores, axis=-1) == target",
            "xp.argmin(scores, axis=-1) == target",
        ),
        ("criterion", ".zeros_like(scores), d", ".ones_like(scores), d"),
        ("criterion", "d_expected.reshape(baseline.shape)", "d_expected"),
    ],
}
