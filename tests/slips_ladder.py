"""Slips in the ladder and in its lowest rung; see ``test_planted_errors``."""

# The module with the checks.
CHECKS = "planted_ladder"
EVERY_FORM = ("tanh", "relu", "lstm", "gru", "reset before")
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
    "torch/ladder.py": [
        # The classes.
        (
            "made tanh",
            '"RNN_TANH": sequences.RNNSequence',
            '"RNN_TANH": partial(sequences.RNNSequence, nonlinearity="relu")',
        ),
        (
            "made relu",
            'partial(sequences.RNNSequence, nonlinearity="relu")',
            "sequences.RNNSequence",
        ),
        ("made gru", "sequences.GRUSequence", "sequences.ResetBeforeGRUSequence"),
        ("made reset before", "sequences.ResetBeforeGRUSequence", "sequences.GRUSequence"),
        (
            "made tanh",
            '"RNN_TANH": inplace.InPlaceRNN',
            '"RNN_TANH": partial(inplace.InPlaceRNN, nonlinearity="relu")',
        ),
        ("made relu", 'partial(inplace.InPlaceRNN, nonlinearity="relu")', "inplace.InPlaceRNN"),
        ("made lstm", '"LSTM": inplace.InPlaceLSTM', '"LSTM": sequences.LSTMSequence'),
        ("made gru", '"GRU": inplace.InPlaceGRU', '"GRU": sequences.GRUSequence'),
        ("choice", '    "LSTM": inplace.InPlaceLSTM,\n', ""),
        *(("choice", f'"{r}", ', "") for r in ("loop", "products")),
        ("choice", ', "inplace")\n', ")\n"),
        # What is made.
        *((f"made {k}", 'if rung == "inplace":', "if False:") for k in EVERY_FORM[:4]),
        *(
            (f"made {k}", 'if rung == "loop" else plain', 'if rung != "loop" else plain')
            for k in EVERY_FORM
        ),
        *((f"made {k}", 'Loop(plain) if rung == "loop" else plain', "plain") for k in EVERY_FORM),
        ("made gru", 'Loop(plain) if rung == "loop" else plain', "Loop(plain)"),
        # The choice.
        ("choice", 'not in ("auto", *RUNGS):', "not in RUNGS:"),
        ("choice", 'not in ("auto", *RUNGS):', 'not in ("auto", "other", *RUNGS):'),
        ("choice", 'if "weight_peephole" in weights:', "if False:"),
        ("choice", "why_not = _not_in_place(form, weights)", "why_not = None"),
        ("choice transformed", "why_not = _not_in_place(form, weights)", "why_not = None"),
        ("choice", 'if rung == "inplace" and why_not:', "if False:"),
        ("choice", 'if rung == "inplace" and why_not:', "if why_not:"),
        ("choice", 'if rung == "auto":', 'if rung != "loop":'),
        ("choice", 'if rung == "auto":', "if True:"),
        ("choice", '"products" if why_not else "inplace"', '"products"'),
        ("choice", '"products" if why_not else "inplace"', '"inplace"'),
        ("choice", '"products" if why_not else "inplace"', '"inplace" if why_not else "products"'),
        ("choice", '"products" if why_not else "inplace"', '"loop" if why_not else "inplace"'),
        (
            "choice",
            '        return "products" if why_not else "inplace"\n    return rung',
            '        return "products" if why_not else "inplace"\n    return "products"',
        ),
        # Where a rung is not valid.
        ("choice", "if form not in IN_PLACE:", "if False:"),
        ("choice", "if form not in IN_PLACE:", "if form in IN_PLACE:"),
        ("choice", 'if "weight_hr" in weights:', "if False:"),
        ("choice", 'if "weight_hr" in weights:', 'if "weight_hh" in weights:'),
        ("choice compiling", "if torch.compiler.is_compiling():", "if False:"),
        ("choice", "if torch.compiler.is_compiling():", "if not torch.compiler.is_compiling():"),
        ("choice transformed", '"under torch.func" if transformed() else None', "None"),
        ("choice", "if transformed() else None", "if not transformed() else None"),
        (
            "choice transformed",
            "bool(torch._C._functorch.get_interpreter_stack())",
            "torch._C._functorch.get_interpreter_stack() is None",
        ),
        (
            "choice transformed",
            "bool(torch._C._functorch.get_interpreter_stack())",
            "len(torch._C._functorch.get_interpreter_stack() or ()) > 1",
        ),
        (
            "choice transformed",
            "bool(torch._C._functorch.get_interpreter_stack())",
            "torch.autograd.forward_ad._current_level >= 0",
        ),
    ],
}
