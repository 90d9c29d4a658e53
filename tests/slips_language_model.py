"""Slips in the character model, its training, its file, the samplers; see ``test_planted_errors``.

Those in the command line are found by ``test_command_line``, which runs it.
"""

# The module with the checks.
CHECKS = "planted_language_model"
# file: [(name of a check, the text as it stands, the slip)]
SLIPS = {
    "character/model.py": [
        ("gradient", "gradient[...] = 0\n", "pass\n"),
        ("gradient", "(codes.size, -1)[order]", "(codes.size, -1)"),
        ("gradient", "self.rnn.backward(d_states, d_state)", "self.rnn.backward(d_states)"),
        ("gradient", "self.embedding.backward(d_inputs)", "self.embedding.backward(d_states)"),
        ("gradient", "return d_state\n", "return -d_state\n"),
        ("gradient", "(logits, self._codes(targets))", "(logits, self._codes(inputs))"),
        ("gradient", "codes)), state)", "codes)))"),
        ("dropout", "d_states *= self._mask", "pass"),
        ("dropout", "states if self._mask is None else states * self._mask", "states"),
        ("dropout", "type(1 / (1 - self.dropout))", "type(1)"),
        ("dropout", "np.float32) >= self.dropout", "np.float32) < self.dropout"),
        ("dropout", "if not (self.training and self.dropout)", "if not self.dropout"),
        ("dropout", "        self.rnn.train(mode)\n", ""),
        ("evaluate", "total += loss * len(inputs[part])", "total += loss"),
        ("evaluate", "targets[part], state)", "targets[part])"),
        (
            "evaluate",
            "self.eval()\n        try:\n            for t",
            "pass\n        try:\n            for t",
        ),
        (
            "evaluate",
            "self.train(was_training)\n        return total",
            "pass\n        return total",
        ),
        ("evaluate", "length = max(1, (len(codes) - 1) // streams)", "length = 8"),
        ("sample", "sample_index(logits[-1, 0]", "sample_index(logits[0, 0]"),
        ("sample", "(np.array([[code]]), state)", "(np.array([[code]]))"),
        ("sample", "(np.array([[code]]), state)", "(codes[-1:, None], state)"),
        ("sample", "temperature, rng, top_k, top_p)", "temperature, rng, None, top_p)"),
        ("sample", "temperature, rng, top_k, top_p)", "temperature, rng, top_k)"),
        (
            "sample",
            "self.eval()\n        try:\n            logits",
            "pass\n        try:\n            logits",
        ),
        ("file", "return model.eval()", "return model"),
    ],
    "character/training.py": [
        ("training", "targets, self.state)", "targets, None)"),
        (
            "training",
            "self._windows, self.state = self._epoch(), None",
            "self._windows = self._epoch()",
        ),
        ("training", "np.inf if self.clip is None else self.clip", "np.inf"),
        ("training", "        self.schedule.step()\n", ""),
        ("training", "self.codes[start:]", "self.codes"),
        ("training", "min(self.window, spare)", "spare"),
        ("training", "self.model.train().loss", "self.model.loss"),
        ("training", "        self.model.backward(d_logits)\n", ""),
        ("stop", "if not (np.isfinite(loss) and np.isfinite(norm)):", "if False:"),
    ],
    "character/files.py": [
        ("file", 'if _digest(header, weights) != header["sha256"]:', "if False:"),
        ("file", "for name in sorted(weights):", "for name in ():"),
        ("file", "json.dumps(described, sort_keys=True)", "json.dumps(FORMAT)"),
        ("file", "if version > VERSION:", "if False:"),
        ("file", "or version < 1:", "or version < 0:"),
        ("file", 'header.get("format") != FORMAT', "False"),
    ],
    "text.py": [
        ("sampler", "p[logits < np.partition", "p[logits <= np.partition"),
        ("sampler", "np.partition(logits, -top_k)[-top_k]", "np.partition(logits, top_k)[top_k]"),
        ("sampler", "share * cumulative[-1]", "share"),
        ("sampler", 'side="left"', 'side="right"'),
        ("sampler", "p[order[last + 1 :]] = 0", "p[order[last:]] = 0"),
        ("sampler", "np.argsort(-logits,", "np.argsort(logits,"),
        ("sampler", "logits.max()) / temperature", "logits.max()) * temperature"),
        ("sampler", "rng.random() * cumulative[-1]", "rng.random()"),
    ],
    "commands/reading.py": [
        ("position", 'before.count("\\n") + 1', 'before.count("\\n")'),
        ("position", 'len(before) - before.rfind("\\n")', 'len(before) - before.rfind("\\n") - 1'),
        ("position", "content[mark:offset].decode()", 'content[mark:offset].decode("latin-1")'),
        ("position", "content[mark:offset].decode()", "content[:offset].decode()"),
        ("position", "_unified(content[mark:offset].decode())", "content[mark:offset].decode()"),
        ("position", "offset = error.start + mark", "offset = error.start"),
        ("position", 'len(before) - before.rfind("\\n")', "len(before) + 1"),
        ("position", '.replace("\\r", "\\n")', ""),
        ("position", '.replace("\\r\\n", "\\n")', ""),
        ("position", 'text.count("\\r")', 'text.count("\\r\\n")'),
    ],
}
