"""Slips in the torch function; see ``test_planted_errors``."""

# The module with the checks; it has those of planted_function too.
CHECKS = "planted_modules"
# file: [(name of a check, the text as it stands, the slip)]
SLIPS = {
    "torch/function.py": [
        # One run.
        ("compiled", "if not torch.compiler.is_compiling():", "if True:"),
        ("nested", "if not torch.compiler.is_compiling():", "if torch.compiler.is_compiling():"),
        ("compiled", "@torch.compiler.allow_in_graph\n", ""),
        ("lstm", "[x, *state, *weights.values()]", "[x, *state[::-1], *weights.values()]"),
        ("chosen", "(form, rung), tuple(weights)", '(form, "products"), tuple(weights)'),
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
            "in_autocast([x, *state, *weights.values()])",
            "[x, *state, *weights.values()]",
        ),
        (
            "autocast",
            "with autocast_off(x.device.type):\n        results",
            "if True:\n        results",
        ),
        (
            "autocast",
            "with autocast_off(x.device.type):\n            if again",
            "if True:\n            if again",
        ),
        # The way forward.
        ("gru", "zip(names, arrays[len", "zip((names[1], names[0], *names[2:]), arrays[len"),
        ("relu", "make(*form, weights)", 'make("RNN_TANH", form[1], weights)'),
        ("chosen", "make(*form, weights)", 'make(form[0], "products", weights)'),
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
        ("tangents gru", "ctx.by_products = len(kept)", "ctx.by_products = 0"),
        ("tangents gru", "ctx.by_products = len(kept)", "ctx.by_products = 4"),
        ("tangents gru", "save_for_forward(*arrays)", "save_for_forward(*(-a for a in arrays))"),
        ("spared", "parts = len(arrays) - len(names)", "parts = len(arrays) - len(names) - 1"),
        ("gru", "y, kept = output[0], output", "y, kept = output[0].flip(0), output"),
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
            "else _taken_apart)(form, names, arrays)",
            "else _taken_apart)(form, names, (*arrays[1::-1], *arrays[2:]))",
        ),
        *(
            (f"twice {name}", "torch.is_grad_enabled() or torch.auto", "torch.auto")
            for name in ("tanh", "relu", "lstm", "projected", "gru", "reset before")
        ),
        *(
            (f"forward over back {name}", " or torch.autograd.forward_ad._current_level >= 0", "")
            for name in ("lstm", "projected", "gru", "reset before")
        ),
        *(
            (f"batched {name}", "_differentiated() or transformed()", "_differentiated()")
            for name in ("tanh", "relu", "lstm", "gru")
        ),
        ("twice lstm", "_differentiated() or transformed()", "transformed()"),
        ("spared", "_differentiated() or transformed()", "True"),
        ("batched lstm", '(form[0], "products")', "form"),
        ("twice relu", '(form[0], "products")', '("RNN_TANH", "products")'),
        ("batched tanh", '(form[0], "products")', "form"),
        ("below", '(form[0], "products")', '(form[0], "loop")'),
        (
            "twice lstm",
            "            if again:\n",
            "            if again:\n                state = state[::-1]\n",
        ),
        (
            "batched gru",
            "(_differentiable if again else _taken_apart)",
            "_taken_apart",
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
            "_differentiable(form, names, arrays)\n        y, after, kept = sequence.forward("
            "x, state, counts, reverse)",
            "_differentiable(form, names, (*arrays[1::-1], *arrays[2:]))\n"
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
        ("tangents gru", "*[None] * ctx.by_products", "*[None] * len(kept)"),
    ],
    "torch/autocast.py": [
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
        # The type of one array.
        ("taken", "device_type = array.device.type", 'device_type = "cpu"'),
        ("taken", "device_type = array.device.type", 'device_type = "cuda"'),
        ("taken", "if not autocast_is_on(device_type):", "if False:"),
        ("taken", "if not autocast_is_on(device_type):", "if autocast_is_on(device_type):"),
        (
            "taken",
            "if not autocast_is_on(device_type):",
            "if not torch.is_autocast_enabled(device_type):",
        ),
        (
            "taken",
            "        return array.dtype\n    taken",
            "        return torch.float32\n    taken",
        ),
        ("taken", "array.is_floating_point() and", "True and"),
        ("taken", "array.is_floating_point() and", "array.dtype == torch.float32 and"),
        ("taken", "array.is_floating_point() and", "not array.is_floating_point() and"),
        ("autocast", "array.is_floating_point() and", "True and"),
        ("taken", " and array.dtype != torch.float64", ""),
        ("autocast", " and array.dtype != torch.float64", ""),
        ("autocast", "array.dtype != torch.float64", "array.dtype == torch.float64"),
        ("taken", "torch.get_autocast_dtype(device_type)", "torch.float16"),
        ("asked", "torch.get_autocast_dtype(device_type)", "torch.bfloat16"),
        ("autocast", "torch.get_autocast_dtype(device_type)", "torch.float16"),
        ("taken", "if taken else array.dtype", "if taken else torch.float32"),
        ("taken", "if taken else array.dtype", "if not taken else array.dtype"),
        # The types of several.
        *(
            ("taken", "if not autocast_is_on(arrays[0].device.type):", slip)
            for slip in (
                "if autocast_is_on(arrays[0].device.type):",
                "if True:",
                "if False:",
                'if not autocast_is_on("cpu"):',
                "if not torch.is_autocast_enabled(arrays[0].device.type):",
            )
        ),
        ("autocast", "if not autocast_is_on(arrays[0].device.type):", "if True:"),
        (
            "autocast",
            "if not autocast_is_on(arrays[0].device.type):",
            "if autocast_is_on(arrays[0].device.type):",
        ),
        ("taken", "        return arrays\n", "        return [*arrays]\n"),
        ("taken", "        return arrays\n", "        return [a.float() for a in arrays]\n"),
        ("gru", "        return arrays\n", "        return [-array for array in arrays]\n"),
        ("taken", "array.to(type_in_autocast(array))", "array.to(type_in_autocast(arrays[0]))"),
        ("autocast", "array.to(type_in_autocast(array))", "array"),
        ("autocast", "array.to(type_in_autocast(array))", "-array.to(type_in_autocast(array))"),
        ("taken", "for array in arrays]", "for array in arrays[:1]] + arrays[1:]"),
        # Where it is not in force.
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
    ],
}
