"""Slips in which rung is valid, chosen and made; see ``test_planted_errors``."""

# The module with the checks.
CHECKS = "planted_choice"

# What both rungs in Triton ask first, and what tells the two apart.
ASKED = 'if not _triton():\n        return "Triton is not installed"\n'
FOLLOWS = "    from rnnlib.torch.kernels.common import "

# name of a check: [(the text as it stands, one slip or more)]
PLANTED = {
    # The classes.
    "made tanh": [
        (
            '"RNN_TANH": sequences.RNNSequence',
            '"RNN_TANH": partial(sequences.RNNSequence, nonlinearity="relu")',
        ),
        (
            '"RNN_TANH": inplace.InPlaceRNN',
            '"RNN_TANH": partial(inplace.InPlaceRNN, nonlinearity="relu")',
        ),
        ('if rung == "loop":', "if False:"),
        ("return Loop(PRODUCTS[form](weights))", "return PRODUCTS[form](weights)"),
        ("return Loop(PRODUCTS[form](weights))", "return Loop(IN_PLACE[form](weights))"),
        ('"products": lambda: PRODUCTS', '"products": lambda: IN_PLACE'),
        ('"inplace": lambda: IN_PLACE', '"inplace": lambda: PRODUCTS'),
    ],
    "made relu": [
        ('partial(sequences.RNNSequence, nonlinearity="relu")', "sequences.RNNSequence"),
        ('partial(inplace.InPlaceRNN, nonlinearity="relu")', "inplace.InPlaceRNN"),
        ("Loop(PRODUCTS[form](weights))", 'Loop(PRODUCTS["RNN_TANH"](weights))'),
        ("return rooms[rung]()[form](weights)", 'return rooms[rung]()["RNN_TANH"](weights)'),
    ],
    "made lstm": [
        ('"LSTM": inplace.InPlaceLSTM', '"LSTM": sequences.LSTMSequence'),
        ('"LSTM": sequences.LSTMSequence', '"LSTM": inplace.InPlaceLSTM'),
    ],
    "made gru": [
        ("sequences.GRUSequence", "sequences.ResetBeforeGRUSequence"),
        ('"GRU": inplace.InPlaceGRU', '"GRU": sequences.GRUSequence'),
    ],
    "made reset before": [
        ("sequences.ResetBeforeGRUSequence", "sequences.GRUSequence"),
        ("return Loop(PRODUCTS[form](weights))", "return PRODUCTS[form](weights)"),
    ],
    "made of kernels": [
        ("@lru_cache(maxsize=1)\ndef fused", "def fused"),
        ("@lru_cache(maxsize=1)\ndef on_chip", "def on_chip"),
        ('{"LSTM": gates.FusedLSTM, "GRU"', '{"LSTM": gates.FusedGRU, "GRU"'),
        ('"GRU": gates.FusedGRU}', '"GRU": gates.FusedLSTM}', '"GRU": IN_PLACE["GRU"]}'),
        ('"RNN_TANH": rnn.OnChipRNN', '"RNN_TANH": partial(rnn.OnChipRNN, nonlinearity="relu")'),
        ('partial(rnn.OnChipRNN, nonlinearity="relu")', "rnn.OnChipRNN"),
        (
            'partial(rnn.OnChipRNN, nonlinearity="relu")',
            'partial(rnn.OnChipRNN, activation="relu")',
        ),
        ('"LSTM": lstm.OnChipLSTM', '"LSTM": gru.OnChipGRU'),
        ('"GRU": gru.OnChipGRU', '"GRU": lstm.OnChipLSTM'),
        ('"fused": fused,', '"fused": on_chip,', '"fused": lambda: IN_PLACE,'),
        ('"onchip": on_chip}', '"onchip": fused}', '"onchip": lambda: IN_PLACE}'),
        ("return rooms[rung]()[form](weights)", "return rooms[rung]()[form](dict(weights))"),
    ],
    "made graph": [
        ('if rung == "graph":', 'if rung == "onchip":', "if False:"),
        ('w = weights["weight_hh"]', 'w = weights["weight_ih"]'),
        (
            "IN_PLACE if _not_fused(form, w.dtype, w.device) else fused()",
            "IN_PLACE",
            "fused()",
            "fused() if _not_fused(form, w.dtype, w.device) else IN_PLACE",
            "PRODUCTS if _not_fused(form, w.dtype, w.device) else fused()",
            "IN_PLACE if _not_fused(form, w.dtype, w.device) else on_chip()",
            'IN_PLACE if _not_fused("LSTM", w.dtype, w.device) else fused()',
            "IN_PLACE if _not_fused(form, torch.float32, w.device) else fused()",
            'IN_PLACE if _not_fused(form, w.dtype, torch.device("cpu")) else fused()',
            "IN_PLACE if not _triton() else fused()",
        ),
        ("Graphed(below[form], weights)", "Graphed(partial(below[form]), weights)"),
        (
            "Graphed(below[form], weights)",
            "below[form](weights)",
            "Graphed(below[form], dict(weights))",
        ),
    ],
    # The order, and what is said of a rung that does not exist or is not valid.
    "on card": [
        ('    "LSTM": inplace.InPlaceLSTM,\n', ""),
        ('RUNGS = ("loop", ', "RUNGS = ("),
        *((f'"{r}", ', "") for r in ("fused", "graph")),
        ('if "weight_peephole" in weights:', "if True:"),
        ('"fused", "graph", "onchip")', '"graph", "fused", "onchip")'),
        ('"graph", "onchip")\n', '"onchip", "graph")\n', '"graph")\n'),
        (
            '{"cuda": RUNGS[:0:-1]}',
            '{"cuda": RUNGS}',
            '{"cuda": RUNGS[1:]}',
            '{"cuda": RUNGS[:1:-1]}',
            '{"cuda": RUNGS[-2:0:-1]}',
            '{"cuda": RUNGS[::-2]}',
            '{"cpu": RUNGS[:0:-1]}',
            "{}",
        ),
        ("get(device.type, ELSEWHERE)", "get(device, ELSEWHERE)", "get(str(device), ELSEWHERE)"),
        ('not in ("auto", *RUNGS):', "not in RUNGS:", 'not in ("auto", "other", *RUNGS):'),
        ("expected auto, {', '.join(RUNGS)}, got", "expected {', '.join(RUNGS)}, got"),
        ("expected auto, {', '.join(RUNGS)}, got", "expected auto, {', '.join(valid())}, got"),
        ("got {rung!r}", "got {rung}"),
        ('if rung == "auto":', 'if rung != "loop":', "if True:", 'if rung in ("auto", "graph"):'),
        ("for r in order if not _why_not(r, *case) and", "for r in order if"),
        ("for r in order if not _why_not", "for r in order if _why_not"),
        (
            "for r in order if not _why_not(r, *case) and",
            "for r in order if not _why_not(r, *case) or",
        ),
        ("and _worth_it(r, *case))", "and True)", "and not _worth_it(r, *case))"),
        (
            "if why_not := _why_not(rung, *case):",
            "if False:",
            "if not (why_not := _why_not(rung, *case)):",
        ),
        ("rung: {rung} is not valid", "rung: graph is not valid"),
        ("is not valid here ({why_not});", "is not valid here;", "is not valid here ({case});"),
        ("{', '.join(valid(*case))}", "{', '.join(RUNGS)}", "{valid(*case)}"),
        ("expected auto, {', '.join(valid", "expected {', '.join(valid"),
        ("        )\n    return rung\n", '        )\n    return "products"\n'),
        (
            "[r for r in RUNGS if not _why",
            "[r for r in RUNGS if _why",
            "[r for r in RUNGS[1:] if not _why",
        ),
        ("[r for r in RUNGS if not _why", "[r for r in RUNGS[::-1] if not _why"),
        (
            "_why_not(r, form, weights, dtype, device, counts)]",
            "_not_in_place(form, weights)]",
        ),
    ],
    "worth it": [
        ('if rung != "graph":', 'if rung != "fused":', 'if rung != "inplace":', "if rung:"),
        ('if rung != "graph":', 'if rung not in ("graph", "onchip"):'),
        ("tuple(w.shape for w in weights.values())", "()", "len(weights)", "tuple(weights)"),
        ("tuple(w.shape for w in weights.values())", "tuple(w.ndim for w in weights.values())"),
        ("tuple(w.shape for w in", "tuple(w.shape[0] for w in"),
        (
            "for w in weights.values())\n    return next",
            "for w in [*weights.values()][:2])\n    return next",
        ),
        (
            "next(_calls(form, sizes, dtype, device, tuple(counts)))",
            "next(_calls(sizes, dtype, device, tuple(counts)))",
            "next(_calls(form, dtype, device, tuple(counts)))",
            "next(_calls(form, sizes, device, tuple(counts)))",
            "next(_calls(form, sizes, dtype, tuple(counts)))",
            "next(_calls(form, sizes, dtype, device.type, tuple(counts)))",
            "next(_calls(form, sizes, dtype, device))",
            "next(_calls(form, sizes, dtype, device, counts))",
            "next(_calls(form, sizes, dtype, device, len(counts)))",
            "next(_calls(form, sizes, dtype, device, counts[0]))",
            "next(_calls(form, sizes, dtype, device, sum(counts)))",
            "next(_calls(id(weights), sizes, dtype, device, tuple(counts)))",
        ),
        (
            "tuple(counts))) > 0",
            "tuple(counts))) >= 0",
            "tuple(counts))) > 1",
            "tuple(counts))) == 1",
        ),
        (
            "@lru_cache(maxsize=RECORDINGS)\n",
            "",
            "@lru_cache(maxsize=1)\n",
            "@lru_cache(maxsize=8)\n",
        ),
        ("return count()", "return count(1)", "return count(-1)", "return count(step=0)"),
    ],
    "uncounted": [
        (
            "not _why_not(r, *case) and _worth_it(r, *case))",
            "_worth_it(r, *case) and not _why_not(r, *case))",
        ),
        (
            "if why_not := _why_not(rung, *case):",
            "if _worth_it(rung, *case) and (why_not := _why_not(rung, *case)):",
        ),
        (
            "return [r for r in RUNGS if not",
            "case = form, weights, dtype, device, counts\n    "
            "return [r for r in RUNGS if _worth_it(r, *case) and not",
        ),
    ],
    "room": [
        ("@lru_cache(maxsize=RECORDINGS)\n", "@lru_cache(maxsize=RECORDINGS // 2)\n"),
        ("@lru_cache(maxsize=RECORDINGS)\n", "@lru_cache(maxsize=None)\n", "@lru_cache\n"),
    ],
    # Why a rung is not valid.
    "of weights": [
        ('if rung in ("loop", "products"):', 'if rung == "loop":', 'if rung == "products":'),
        ("if why_not := _not_in_place(form, weights):", "if False:"),
        ("if why_not := _not_in_place(form, weights):", "if why_not := _not_in_place(form, {}):"),
        ("        return why_not\n", '        return "as it is"\n'),
        ("if form not in IN_PLACE:", "if False:", "if form in IN_PLACE:"),
        ("the GRU resets before the product", "the LSTM has a projection"),
        ('if "weight_hr" in weights:', "if False:", 'if "weight_hh" in weights:'),
        ('"the LSTM has a projection"', '"the LSTM has peepholes"', "None"),
        ('if "weight_peephole" in weights:', "if False:", 'if "bias_ih" in weights:'),
        ('"the LSTM has peepholes"', '"the LSTM has a projection"', "None"),
    ],
    "compiling": [
        ('if rung in ("loop", "products"):', 'if rung in ("loop", "products", "inplace"):'),
        ("if torch.compiler.is_compiling():", "if False:", "if not torch.compiler.is_compiling():"),
        ('return "under torch.compile"', "return None", 'return "under torch.func"'),
        ("if why_not := _not_in_place(form, weights):", "if form not in IN_PLACE:"),
    ],
    "transformed": [
        ("if why_not := _not_in_place(form, weights):", "if why_not := None:"),
        ('"under torch.func" if transformed() else None', "None", '"under torch.func"'),
        ('"under torch.func" if transformed', '"under torch.compile" if transformed'),
        ("if transformed() else None", "if not transformed() else None"),
        (
            "bool(torch._C._functorch.get_interpreter_stack())",
            "torch._C._functorch.get_interpreter_stack() is None",
            "torch._C._functorch.get_interpreter_stack()",
            "len(torch._C._functorch.get_interpreter_stack() or ()) > 1",
            "torch.autograd.forward_ad._current_level >= 0",
            "torch.is_grad_enabled()",
        ),
    ],
    "lengths": [
        ('if rung == "fused":', "if False:", 'if rung == "inplace":'),
        ('if rung == "inplace":', "if False:", 'if rung == "graph":'),
        (
            "any(n != counts[0] for n in counts)",
            "any(n > counts[0] for n in counts)",
            "any(n != counts[0] for n in counts[:2])",
            "any(n != 1 for n in counts)",
            "all(n != counts[0] for n in counts)",
            "not any(n != counts[0] for n in counts)",
            "len(counts) > 1",
            "False",
        ),
        ('return "the sequences have several lengths"', "return None", "return counts"),
        ("if not any(counts):", "if False:", "if any(counts):", "if not all(counts[1:]):"),
        ('return "the batch is empty"', "return None"),
    ],
    "without triton": [
        *(
            (ASKED + FOLLOWS + name, slip + FOLLOWS + name)
            for name in ("no_kernel", "unfit")
            for slip in (
                ASKED.replace("not _triton()", "False"),
                ASKED.replace("not _triton()", "_triton()"),
                ASKED.replace('"Triton is not installed"', "None"),
                "pass\n",
            )
        ),
        ('if form not in ("LSTM", "GRU"):', 'if _triton() and form not in ("LSTM", "GRU"):'),
    ],
    "of kernels": [
        (
            'if form not in ("LSTM", "GRU"):',
            'if form not in ("LSTM",):',
            'if form not in ("GRU",):',
        ),
        ('if form not in ("LSTM", "GRU"):', "if False:", 'if form in ("LSTM", "GRU"):'),
        ('if form not in ("LSTM", "GRU"):', "if form not in IN_PLACE:"),
        ('"an RNN has no gates to fuse"', "None", '"Triton is not installed"'),
        (
            "return no_kernel(dtype, device)",
            "return None",
            "return not no_kernel(dtype, device)",
            "return no_kernel(torch.float32, device)",
            'return no_kernel(dtype, torch.device("cuda"))',
            "no_kernel(dtype, device)",
        ),
        ("return _not_fused(form, dtype, device)\n", "return None\n"),
        ("return _not_fused(form, dtype, device)\n", 'return _not_fused("LSTM", dtype, device)\n'),
        ('form.partition("_")[0]', "form", 'form.partition("_")[2]', '"LSTM"', '"RNN"'),
        ('weights["weight_hh"].shape[1], ', 'weights["weight_hh"].shape[0], '),
        ('weights["weight_hh"].shape[1], ', 'weights["weight_ih"].shape[1], '),
        (
            '["weight_hh"].shape[1], dtype, device)',
            '["weight_hh"].shape[1], torch.float32, device)',
        ),
        (
            '["weight_hh"].shape[1], dtype, device)',
            '["weight_hh"].shape[1], torch.float16, device)',
        ),
        (".shape[1], dtype, device)", '.shape[1], dtype, torch.device("cuda"))'),
        ("return unfit(", "return not unfit(", "return None and unfit("),
        ("_not_graph(device) if rung ==", "_not_graph(device) if rung !="),
        ("else _not_on_chip(form, weights, dtype, device)", "else None"),
        ("else _not_on_chip(form, weights, dtype, device)", "else _not_fused(form, dtype, device)"),
    ],
    "elsewhere": [
        ('ELSEWHERE = ("inplace", "products")', 'ELSEWHERE = ("products", "inplace")'),
        ('ELSEWHERE = ("inplace", "products")', 'ELSEWHERE = ("inplace", "loop")'),
        ('ELSEWHERE = ("inplace", "products")', 'ELSEWHERE = ("inplace",)'),
        ('ELSEWHERE = ("inplace", "products")', "ELSEWHERE = RUNGS[:0:-1]"),
        ("FASTEST_FIRST.get(device.type, ELSEWHERE)", 'FASTEST_FIRST["cuda"]'),
        ('if device.type != "cuda":', "if False:", 'if device.type == "cuda":'),
        ('if device.type != "cuda":', 'if device.type == "cpu":'),
        ("a graphics card, and this is {device}", "a graphics card"),
        ("and this is {device}", "and this is cpu", "and this is {device!r}"),
    ],
    "recording": [
        (
            'if device.type != "cuda":',
            'if device != "cuda":',
            'if device != torch.device("cuda"):',
        ),
        ("= torch.cuda.is_current_stream_capturing()", "= False", "= not RECORDINGS"),
        ('"another graph is being recorded" if recording else None', "None"),
        ('"another graph is being recorded" if', '"a graph is played" if'),
        ('recorded" if recording else None', 'recorded" if not recording else None'),
        ("return _not_graph(device) if", "return None if"),
    ],
    "installed": [
        ('find_spec("triton") is not None', 'find_spec("triton") is None', "True"),
        ('find_spec("triton") is not None', 'find_spec("torch") is not None'),
        ('find_spec("triton") is not None', 'find_spec("triton")'),
        ("@lru_cache(maxsize=1)\ndef _triton", "def _triton"),
    ],
    "not installed": [
        ('find_spec("triton") is not None', 'find_spec("triton") is None', "True"),
        ("@lru_cache(maxsize=1)\ndef _triton", "def _triton"),
    ],
}
# file: [(name of a check, the text as it stands, the slip)]
SLIPS = {
    "torch/ladder.py": [
        (check, old, slip)
        for check, texts in PLANTED.items()
        for old, *slips in texts
        for slip in slips
    ]
}
