"""Slips in the layers for torch; see ``test_planted_errors``."""

# The module with the checks.
CHECKS = "planted_torch"
# file: [(name of a check, the text as it stands, the slip)]
SLIPS = {
    "torch/function.py": [
        (
            "tanh",
            '"RNN_TANH": sequences.RNNSequence',
            '"RNN_TANH": partial(sequences.RNNSequence, nonlinearity="relu")',
        ),
        ("relu", 'nonlinearity="relu"', 'nonlinearity="tanh"'),
        ("gru", "sequences.GRUSequence", "sequences.ResetBeforeGRUSequence"),
        ("reset before", "sequences.ResetBeforeGRUSequence", "sequences.GRUSequence"),
        # One run.
        ("compiled", "if not torch.compiler.is_compiling():", "if True:"),
        ("nested", "if not torch.compiler.is_compiling():", "if torch.compiler.is_compiling():"),
        ("compiled", "@torch.compiler.allow_in_graph\n", ""),
        ("lstm", "[x, *state, *weights.values()]", "[x, *state[::-1], *weights.values()]"),
        ("gru", "tuple(counts), reverse,", "tuple(counts), False,"),
        ("gru", "tuple(counts), reverse,", "tuple(counts), not reverse,"),
        ("spared", "reverse, torch.is_grad_enabled()", "reverse, True"),
        ("gru", "return results[0], results[1 :", "return results[1], results[1 :"),
        ("lstm", "results[1 : 1 + len(state)]", "results[1 : 1 + len(state)][::-1]"),
        ("lstm", "results[1 : 1 + len(state)]", "results[: len(state)]"),
        # Forward mode within forward mode.
        ("nested", "    _refuse_nested_forward_mode()\n    arrays", "    pass\n    arrays"),
        (
            "nested",
            "functorch.get_interpreter_stack() or ()",
            "(functorch.get_interpreter_stack() or ())[:2]",
        ),
        ("nested", "functorch.get_interpreter_stack() or ()", "()"),
        (
            "nested",
            "level.key() == functorch.TransformType.Jvp",
            "level.key() != functorch.TransformType.Jvp",
        ),
        ("nested", "level.key() == functorch.TransformType.Jvp", "True"),
        (
            "nested",
            "functorch.TransformType.Jvp for level",
            "functorch.TransformType.Grad for level",
        ),
        ("nested", "for level in levels) > 1:", "for level in levels) > 0:"),
        ("nested", "for level in levels) > 1:", "for level in levels) > 2:"),
        # Autocast.
        (
            "autocast",
            "_in_autocast(x.device.type, [x, *state, *weights.values()])",
            "[x, *state, *weights.values()]",
        ),
        (
            "elsewhere",
            "available = torch.amp.is_autocast_available(device_type)",
            "available = True",
        ),
        (
            "autocast",
            "available = torch.amp.is_autocast_available(device_type)",
            "available = False",
        ),
        ("autocast", "available and torch.is_autocast_enabled(device_type)", "False"),
        ("autocast", "available and torch.is_autocast_enabled(device_type)", "available"),
        ("gru", "        return arrays\n", "        return [-a for a in arrays]\n"),
        ("autocast", "torch.get_autocast_dtype(device_type)", "torch.float16"),
        ("autocast", "a.is_floating_point() and", "True and"),
        ("autocast", "and a.dtype != torch.float64 else", "else"),
        ("autocast", "and a.dtype != torch.float64 else", "and a.dtype == torch.float64 else"),
        (
            "elsewhere",
            "if not torch.amp.is_autocast_available(device_type):\n        return nullcontext()",
            "pass",
        ),
        (
            "autocast",
            "if not torch.amp.is_autocast_available(device_type):\n        return nullcontext()",
            "return nullcontext()",
        ),
        ("autocast", "torch.autocast(device_type, enabled=False)", "torch.autocast(device_type)"),
        ("autocast", "if not autocast_is_on(device_type):", "if autocast_is_on(device_type):"),
        (
            "autocast",
            "with _autocast_off(x.device.type):\n        results",
            "with nullcontext():\n        results",
        ),
        (
            "autocast",
            "with _autocast_off(x.device.type):\n            if torch",
            "with nullcontext():\n            if torch",
        ),
        # The way forward.
        ("gru", "zip(names, arrays[len", "zip((names[1], names[0], *names[2:]), arrays[len"),
        ("relu", "FORMS[form](weights)", 'FORMS["RNN_TANH"](weights)'),
        (
            "lstm",
            "tuple(arrays[: len(arrays) - len(names)])",
            "tuple(arrays[: len(arrays) - len(names)])[::-1]",
        ),
        ("vmap", "generate_vmap_rule = True", "generate_vmap_rule = False"),
        (
            "gru",
            "forward(x, state, counts, reverse, keep)",
            "forward(x, state, counts, False, keep)",
        ),
        (
            "gru",
            "forward(x, state, counts, reverse, keep)",
            "forward(x, state, counts, not reverse, keep)",
        ),
        (
            "spared",
            "forward(x, state, counts, reverse, keep)",
            "forward(x, state, counts, reverse)",
        ),
        ("lstm", "return y, *after, *kept\n", "return y, *after[::-1], *kept\n"),
        ("lstm", "return y, *after, *kept\n", "return y, *after, *kept[::-1]\n"),
        # What is kept.
        ("gru", "= (form, names, counts, reverse), len", "= (form, names, counts, False), len"),
        (
            "gru",
            "= (form, names, counts, reverse), len",
            "= (form, names, counts[::-1], reverse), len",
        ),
        ("tangents gru", "len(arrays), keep\n", "len(arrays), True\n"),
        ("tangents gru", "save_for_forward(*arrays)", "save_for_forward(*(-a for a in arrays))"),
        ("spared", "parts = len(arrays) - len(names)", "parts = len(arrays) - len(names) - 1"),
        ("gru", "y, kept = output[0], output[parts:]", "y, kept = output[1], output[parts:]"),
        ("tanh", "y, kept = output[0], output[parts:]", "y, kept = output[0] * 2, output[parts:]"),
        ("spared", "ctx.mark_non_differentiable(*kept)", "pass"),
        ("spared", "ctx.set_materialize_grads(False)", "pass"),
        ("lstm", "(*arrays, y, *kept)", "(*arrays, y, *kept[::-1])"),
        ("tanh", "(*arrays, y, *kept)", "(-arrays[0], *arrays[1:], y, *kept)"),
        ("tanh", "(*arrays, y, *kept)", "(*arrays, -y, *kept)"),
        # The way back.
        (
            "gru",
            "form, names, counts, reverse = ctx.call\n        saved",
            "form, names, counts, _ = ctx.call\n        reverse = False\n        saved",
        ),
        (
            "gru",
            "(x, *arrays), (y, *kept) = saved[: ctx.count]",
            "(x, *arrays), (y, *kept) = [-a for a in saved[: ctx.count]]",
        ),
        ("lstm", "(y, *kept) = saved", "(*kept, y) = saved"),
        ("tanh", "saved[ctx.count :]", "[-a for a in saved[ctx.count :]]"),
        (
            "lstm",
            "_taken_apart(form, names, arrays)\n        #",
            "_taken_apart(form, names, (*arrays[1::-1], *arrays[2:]))\n        #",
        ),
        *(
            (f"twice {name}", "if torch.is_grad_enabled() or", "if")
            for name in ("lstm", "projected", "gru", "reset before")
        ),
        *(
            (f"forward over back {name}", " or torch.autograd.forward_ad._current_level >= 0", "")
            for name in ("lstm", "projected", "gru", "reset before")
        ),
        (
            "twice gru",
            "y, _, kept = sequence.forward(x, state, counts, reverse)\n            dy",
            "y, _, _ = sequence.forward(x, state, counts, reverse)\n            dy",
        ),
        (
            "twice gru",
            "y, _, kept = sequence.forward(x, state, counts, reverse)\n            dy",
            "y, _, kept = sequence.forward(x, state, counts)\n            dy",
        ),
        (
            "twice gru",
            "y, _, kept = sequence.forward(x, state, counts, reverse)\n            dy",
            "y, _, kept = sequence.forward(x.detach(), state, counts, reverse)\n            dy",
        ),
        ("gru", "torch.zeros_like(y) if dy is None", "torch.ones_like(y) if dy is None"),
        ("gru", "if dy is None else dy", "if True else dy"),
        ("lstm", "torch.zeros_like(s) if d is None", "torch.ones_like(s) if d is None"),
        ("lstm", "if d is None else d\n", "if True else d\n"),
        (
            "lstm",
            "zip(d_outputs, state, strict=False)",
            "zip(d_outputs[1::-1], state, strict=False)",
        ),
        # What is wanted.
        ("spared", "= ctx.needs_input_grad[5:]", "= [True] * len(ctx.needs_input_grad[5:])"),
        ("spared", "= ctx.needs_input_grad[5:]", "= ctx.needs_input_grad[5:][::-1]"),
        (
            "spared",
            "zip(names, needed[len(state) :], strict=True)",
            "zip(names, needed[: len(names)], strict=True)",
        ),
        (
            "spared",
            "zip(names, needed[len(state) :], strict=True)",
            "zip(names, needed[: len(state) - 1 : -1], strict=True)",
        ),
        ("spared", 'wanted = ["x"] * of_x', 'wanted = ["x"]'),
        ("gru", 'wanted = ["x"] * of_x', "wanted = []"),
        ("spared", "[name for name, of_weight in of_weights if of_weight]", "[*names]"),
        (
            "spared",
            "[name for name, of_weight in of_weights if of_weight]",
            "(sum(dict(of_weights).values()) > 0) * [*names]",
        ),
        ("spared", "in of_weights if of_weight]", "in of_weights if not of_weight]"),
        ("gru", "[name for name, of_weight in of_weights if of_weight]", "[]"),
        ("gru", "in of_weights if of_weight]", "in [*of_weights][1:] if of_weight]"),
        ("gru", "in of_weights if of_weight]", "in [*of_weights][:-1] if of_weight]"),
        ("spared", "kept, counts, reverse, wanted\n", "kept, counts, reverse\n"),
        (
            "lstm",
            "dy, d_state, x, state, y, kept, counts, reverse, wanted",
            "dy, d_state[::-1], x, state, y, kept, counts, reverse, wanted",
        ),
        (
            "gru",
            "dy, d_state, x, state, y, kept, counts, reverse, wanted",
            "dy, d_state, x, state, y, kept, counts, False, wanted",
        ),
        ("lstm", '* 5, grads.get("x"), *d_state, *', '* 5, grads.get("x"), *d_state[::-1], *'),
        ("gru", '* 5, grads.get("x"), *d_state, *', "* 5, None, *d_state, *"),
        (
            "gru",
            "*(grads.get(name) for name in names)",
            '*(grads.get(name.replace("_hh", "_ih")) for name in names)',
        ),
        # Forward mode.
        ("tangents gru", "torch.zeros_like(a) if v is None", "torch.ones_like(a) if v is None"),
        ("tangents gru", "if v is None else v\n", "if True else v\n"),
        (
            "tangents gru",
            "zip(given, tangents[5:], strict=True)",
            "zip(given, [-v if v is not None else v for v in tangents[5:]], strict=True)",
        ),
        (
            "tangents gru",
            "reverse = ctx.call\n        given = ",
            "_ = ctx.call\n        reverse, given = False, ",
        ),
        (
            "tangents gru",
            "given = ctx.saved_tensors\n",
            "given = [-a for a in ctx.saved_tensors]\n",
        ),
        (
            "tangents lstm",
            "_taken_apart(form, names, arrays)\n        y, after, kept = sequence.forward("
            "x, state, counts, reverse)",
            "_taken_apart(form, names, (*arrays[1::-1], *arrays[2:]))\n"
            "        y, after, kept = sequence.forward(x, state, counts, reverse)",
        ),
        (
            "tangents gru",
            "y, after, kept = sequence.forward(x, state, counts, reverse)",
            "y, after, kept = sequence.forward(x, state, counts)",
        ),
        (
            "tangents lstm",
            "sequence.backward(dy, d_state, x, state, y, kept, counts, reverse)",
            "sequence.backward(dy, d_state[::-1], x, state, y, kept, counts, reverse)",
        ),
        (
            "tangents gru",
            "sequence.backward(dy, d_state, x, state, y, kept, counts, reverse)",
            "sequence.backward(dy, d_state, x, state, y, kept, counts)",
        ),
        (
            "tangents lstm",
            'return grads["x"], *d_state, *(',
            'return grads["x"], *d_state[::-1], *(',
        ),
        (
            "tangents gru",
            'return grads["x"], *d_state, *(',
            'return -grads["x"], *d_state, *(',
        ),
        (
            "tangents gru",
            "*(grads[name] for name in names)\n\n        _,",
            '*(grads[name.replace("_hh", "_ih")] for name in names)\n\n        _,',
        ),
        (
            "tangents gru",
            "return *pull(tangents), *[None]",
            "return *(-v for v in pull(tangents)), *[None]",
        ),
        (
            "tangents lstm",
            "return *pull(tangents), *[None]",
            "dy, *d = pull(tangents)\n        return dy, *d[::-1], *[None]",
        ),
        ("tangents gru", "(len(kept) if ctx.keep else 0)", "len(kept)"),
    ],
    "torch/layers.py": [
        # Packed sequences.
        (
            "layer gru",
            "starts = self._starts(x, hx, counts[0], batch_sizes)",
            "starts = self._starts(x, None, counts[0], batch_sizes)",
        ),
        ("layer gru", "x, _selected(starts, order), counts", "x, starts, counts"),
        ("layer gru", "x, _selected(starts, order), counts", "x, _selected(starts, back), counts"),
        (
            "layer gru",
            "PackedSequence(rows, batch_sizes, order, back)",
            "PackedSequence(rows, batch_sizes, back, order)",
        ),
        (
            "layer gru",
            "PackedSequence(rows, batch_sizes, order, back)",
            "PackedSequence(rows, batch_sizes)",
        ),
        (
            "layer gru",
            "PackedSequence(rows, batch_sizes, order, back)",
            "PackedSequence(rows.flip(0), batch_sizes, order, back)",
        ),
        ("layer gru", "self._as_hx(_selected(ends, back))", "self._as_hx(ends)"),
        ("layer gru", "self._as_hx(_selected(ends, back))", "self._as_hx(_selected(ends, order))"),
        ("layer gru", "state.index_select(1, order)", "state.index_select(1, order.flip(0))"),
        # Batches and one sequence.
        (
            "layouts",
            "input.unsqueeze(1) if one else input",
            "input.flip(0).unsqueeze(1) if one else input",
        ),
        ("layouts", "x.transpose(0, 1) if self.batch_first and not one else x", "x"),
        (
            "layer gru",
            "x.transpose(0, 1) if self.batch_first and not one else x",
            "x.transpose(0, 1)",
        ),
        ("layouts", "self._starts(x, hx, N, None, one)", "self._starts(x, None, N, None, one)"),
        (
            "layer gru",
            "x.reshape(T * N, self.input_size)",
            "x.transpose(0, 1).reshape(T * N, self.input_size)",
        ),
        ("layer gru", "starts, [N] * T)", "starts, [1] * (T * N))"),
        (
            "layer gru",
            "output = rows.reshape(T, N, rows.shape[-1])",
            "output = rows.reshape(N, T, rows.shape[-1]).transpose(0, 1)",
        ),
        ("layouts", "return output[:, 0], self", "return output[:, 0].flip(0), self"),
        ("layouts", "[end[:, 0] for end in ends]", "[end[:, 0] for end in ends[::-1]]"),
        ("layouts", "[end[:, 0] for end in ends]", "[end for end in ends]"),
        ("layouts", "output.transpose(0, 1) if self.batch_first else output", "output"),
        (
            "layouts",
            "self.batch_first else output, self._as_hx(ends)",
            "self.batch_first else output, self._as_hx([-e for e in ends])",
        ),
        # States.
        ("layer lstm", "x.new_zeros(count", "x.new_ones(count"),
        ("layer lstm", "else tuple(hx)\n", "else tuple(hx)[::-1]\n"),
        (
            "layouts",
            "part.unsqueeze(1) if one else part for part in parts]",
            "part.unsqueeze(1) if one else part for part in parts[::-1]]",
        ),
        ("layer lstm", "return tuple(states) if", "return tuple(states[::-1]) if"),
        ("alike", 'what == "dtype" and autocast', "False and autocast"),
        ("alike", 'what == "dtype" and autocast', "autocast"),
        ("alike", "and autocast_is_on(x.device.type)", "and True"),
        (
            "layer elsewhere",
            "and autocast_is_on(x.device.type)",
            "and torch.is_autocast_enabled(x.device.type)",
        ),
        ("alike", 'check_alike(f"hx ({name}_0)", part, x)', "pass"),
        ("alike", "if ours != theirs and not autocast:", "if False:"),
        # Layers.
        ("layer gru", "for k in range(self.num_layers):", "for k in (0, 0):"),
        ("layer reset before", "self.form,\n", "self.mode,\n"),
        ("layer gru", 'self._weights(f"_l{k}{direction}")', 'self._weights(f"_l0{direction}")'),
        ("layer gru", 'self._weights(f"_l{k}{direction}")', 'self._weights(f"_l{k}")'),
        ("layer gru", "start[len(ends)] for start", "start[0] for start"),
        ("layer gru", "start[len(ends)] for start", "start[-1 - len(ends)] for start"),
        ("layer lstm", "for start in starts)", "for start in starts[::-1])"),
        ("layer gru", 'reverse=direction == "_reverse"', "reverse=False"),
        ("layer gru", 'reverse=direction == "_reverse"', "reverse=True"),
        ("layer gru", 'reverse=direction == "_reverse"', 'reverse=direction != "_reverse"'),
        ("layer gru", '("", "_reverse") if self.bi', '("_reverse", "") if self.bi'),
        ("layer gru", "outputs.append(y)", "outputs.insert(0, y)"),
        ("layer gru", "ends.append(end)", "ends.insert(0, end)"),
        ("layer gru", "torch.cat(outputs, dim=-1)", "torch.cat(outputs[::-1], dim=-1)"),
        ("layer gru", "torch.cat(outputs, dim=-1)", "torch.stack(outputs, dim=-1).flatten(1)"),
        ("dropout", "if self.dropout and self.training and", "if self.dropout and"),
        ("dropout", "if self.dropout and self.training and", "if False and"),
        ("dropout", "and k + 1 < self.num_layers:", "and True:"),
        ("dropout", "and k + 1 < self.num_layers:", "and k == 0:"),
        ("dropout", "dropout(x, self.dropout)", "dropout(x, 1 - self.dropout)"),
        ("dropout", "dropout(x, self.dropout)", "dropout(x)"),
        (
            "layer lstm",
            "return x, [torch.stack(parts) for parts",
            "return x, [torch.stack(parts[::-1]) for parts",
        ),
        (
            "layer tanh",
            "getattr(self, name + suffix)",
            'getattr(self, name.replace("bias_hh", "bias_ih") + suffix)',
        ),
        ("layer tanh", "getattr(self, name + suffix)", "getattr(self, name + suffix).detach()"),
        ("layer gru", '["bias_ih", "bias_hh"] if self.bias', '["bias_ih", "bias_hh"] if False'),
        (
            "layer projected",
            "getattr(self, name + suffix)",
            'getattr(self, name + suffix.removesuffix("_reverse"))',
        ),
        # The constructors.
        (
            "layer relu",
            'kwargs.pop("nonlinearity", "tanh")',
            '(kwargs.pop("nonlinearity", "tanh"), "tanh")[1]',
        ),
        ("layer tanh", 'kwargs.pop("nonlinearity", "tanh")', 'kwargs.pop("nonlinearity", "relu")'),
        ("layer relu", "args.pop(3) if", '(args.pop(3), "tanh")[1] if'),
        ("layer relu", 'f"RNN_{nonlinearity.upper()}"', '"RNN_TANH"'),
        ("layer reset before", "self.reset_after = reset_after", "self.reset_after = True"),
        ("layer gru", '"GRU" if self.reset_after else "GRU_RESET_BEFORE"', '"GRU_RESET_BEFORE"'),
        ("layer reset before", '"GRU" if self.reset_after else "GRU_RESET_BEFORE"', '"GRU"'),
    ],
    "torch/cells.py": [
        (
            "cell tanh",
            "x = input.unsqueeze(0) if one else input",
            "x = -input.unsqueeze(0) if one else input",
        ),
        ("cell tanh", "x.new_zeros(size)", "x.new_ones(size)"),
        (
            "cell lstm",
            "states = [state.unsqueeze(0) for state in states]",
            "states = [state.unsqueeze(0) for state in states[::-1]]",
        ),
        (
            "cell tanh",
            "run(self.form, self._weights(), x, states,",
            "run(self.form, self._weights(), -x, states,",
        ),
        (
            "cell lstm",
            "run(self.form, self._weights(), x, states,",
            "run(self.form, self._weights(), x, states[::-1],",
        ),
        ("cell alike", 'check_alike(f"hx ({name})", state, x)', "pass"),
        (
            "cell elsewhere",
            'check_alike(f"hx ({name})", state, x)',
            'torch.is_autocast_enabled(x.device.type), check_alike(f"hx ({name})", state, x)',
        ),
        ("cell tanh", "states, [len(x)])", "states, [len(x)])[::-1]"),
        ("cell tanh", "state[0] if one else state for", "state if one else state for"),
        ("cell lstm", "else state for state in after)", "else state for state in after[::-1])"),
        ("cell lstm", "return after if len(after) > 1 else after[0]", "return after[0]"),
        (
            "cell tanh",
            '["bias_ih", "bias_hh"] if self.bias',
            '["bias_ih", "bias_hh"] if not self.bias',
        ),
        (
            "cell tanh",
            "getattr(self, name) for name",
            'getattr(self, name.replace("_hh", "_ih")) for name',
        ),
        ("cell gru", '["bias_ih", "bias_hh"] if self.bias', '["bias_ih", "bias_hh"] if False'),
        ("cell relu", 'f"RNN_{self.nonlinearity.upper()}"', '"RNN_TANH"'),
        ("cell reset before", "self.reset_after = reset_after", "self.reset_after = True"),
    ],
}
