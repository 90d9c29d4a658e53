"""Slips in the rung that records its kernels; see ``test_planted_errors``."""

# The module with the checks.
CHECKS = "planted_graph"

THERE, BACK = "(tuple(counts), reverse, keep)", "options = tuple(counts), reverse, names"
APART, TOGETHER = "tuple(rest[:S]), tuple(rest[S:])", "self._play(_backward, S, options, "
GIVEN, SLICES = "dy, *d_state, x, *state, y, *kept)", "arrays[:S], arrays[S], "
STATE, COPIED = "arrays[S + 1 : 2 * S + 1]", "zip(self.given, arrays, strict=True):"
GRADS, ALIKE = "dict(zip(names, found[S:], strict=True))", "(a.shape, a.dtype, a.device)"
ZEROS = "torch.zeros(s, dtype=t, device=place)"
CLONED = "[result.clone() for result in self.results]"
STREAM = "stream = torch.cuda.current_stream().cuda_stream if arrays[0].is_cuda else 0"
KEYS = "way, self.make, tuple(self.weights), S, options, alike, stream"

IN = "            for own, array in " + COPIED + "\n                own.copy_(array)\n"
PLAY, OUT = "            self.again()\n", f"            return {CLONED}\n"
LOCKED = "        with self.lock, torch.no_grad():\n"

WAIT = "    side.wait_stream(torch.cuda.current_stream())\n"
ON_SIDE = "    with torch.cuda.stream(side):\n        for _ in range(2):\n            run()\n"
WAITED = "    torch.cuda.current_stream().wait_stream(side)\n"
GRAPH = "    graph = torch.cuda.CUDAGraph()\n"
UNDER = '    with torch.cuda.graph(graph, capture_error_mode="thread_local"):\n'
COMMENT = "    # Other threads may ask the card for memory meanwhile.\n"
RECORD = UNDER + "        results = run()\n"


def less(text):
    """The text with fewer columns before it."""
    return "\n".join(line[4:] for line in text.split("\n"))


# name of a check: [(the text as it stands, one slip or more)]
PLANTED = {
    # There.
    "passed on": [
        ("S, options = len(state), (", "S, options = 1, (", "S, options = len(state) - 1, ("),
        (THERE, "(tuple(counts), False, keep)", "(tuple(counts), not reverse, keep)"),
        (THERE, "(tuple(counts), reverse, True)", "(tuple(counts), keep, reverse)"),
        ("y, *rest = self._play", "*rest, y = self._play"),
        ("(_forward, S, options, x, *state)", "(_forward, S, options, x, *state[::-1])"),
        (APART, "tuple(rest[S:]), tuple(rest[:S])", "tuple(rest[:S]), tuple(rest)", "state, rest"),
        (APART, "tuple(rest[:S][::-1]), tuple(rest[S:])", "tuple(rest[:S]), tuple(rest[:S:-1])"),
        ("(x, state, *options)", "(x, state[::-1], *options)", "(x, state, options[0], False)"),
        ("(x, state, *options)", "(x, state, *options[:2])", "(-x, state, *options)"),
        ("return y, *after, *kept", "return y, *kept, *after", "return y, *after[::-1], *kept"),
        ("return y, *after, *kept", "return y, *state, *kept", "return y, *after, *kept[::-1]"),
        ("zip(names, arrays, strict=False)", "zip(sorted(names), arrays, strict=False)"),
        ("zip(names, arrays, strict=False)", "zip(names, arrays[1:], strict=False)"),
        ("*arrays[len(names) :])", "*arrays[len(names) - 1 :])", "*arrays[len(names) :][::-1])"),
        # And back.
        (BACK, "options = tuple(counts), False, names", "options = tuple(counts), True, names"),
        (TOGETHER + GIVEN, TOGETHER + "dy, *d_state[::-1], x, *state, y, *kept)"),
        (TOGETHER + GIVEN, TOGETHER + "dy, *state, x, *d_state, y, *kept)"),
        (TOGETHER + GIVEN, TOGETHER + "y, *d_state, x, *state, dy, *kept)"),
        (TOGETHER + GIVEN, TOGETHER + "dy, *d_state, y, *state, x, *kept)"),
        (TOGETHER + GIVEN, TOGETHER + "dy, *d_state, x, *state[::-1], y, *kept)"),
        (TOGETHER + GIVEN, TOGETHER + "dy, *d_state, x, *state, y, *kept[::-1])"),
        ("tuple(found[:S]), d", "tuple(found[:S][::-1]), d", "d_state, d", "tuple(found[-S:]), d"),
        (GRADS, GRADS.replace("[S:]", "[:S:-1] + found[S : S + 1]")),
        (GRADS, GRADS.replace("zip(names", "zip(names[::-1]")),
        (GRADS, GRADS.replace("found[S:], strict=True", "found, strict=False")),
        (SLICES, "arrays[S + 1 : 2 * S + 1], arrays[S], ", "arrays[:S][::-1], arrays[S], "),
        (SLICES, "arrays[:S], arrays[2 * S + 1], ", "arrays[:S], dy, "),
        ("arrays[:S], arrays[S], " + STATE, "arrays[:S], arrays[S], arrays[2 * S : S : -1]"),
        ("arrays[:S], arrays[S], " + STATE, "arrays[:S], arrays[S], arrays[:S]"),
        ("arrays[:S], arrays[S], " + STATE, "arrays[:S], arrays[S], arrays[S : 2 * S]"),
        ("y, *kept = arrays[2 * S + 1 :]", "*kept, y = arrays[2 * S + 1 :]"),
        (
            "backward(dy, d_state, x, state, y, kept, *",
            "backward(-dy, d_state, x, state, y, kept, *",
        ),
        (
            "backward(dy, d_state, x, state, y, kept, *",
            "backward(y, d_state, x, state, dy, kept, *",
        ),
        (
            "backward(dy, d_state, x, state, y, kept, *",
            "backward(dy, state, x, d_state, y, kept, *",
        ),
        ("state, y, kept, *options)", "state, y, kept, options[0], False, options[2])"),
        ("return *d_state, *grads.values()", "return *d_state[::-1], *grads.values()"),
        ("return *d_state, *grads.values()", "return *d_state, *[*grads.values()][::-1]"),
        ("return *d_state, *grads.values()", "return *grads.values(), *d_state"),
    ],
    "played lstm": [
        (THERE, "(tuple(counts), False, keep)", "(tuple(counts), not reverse, keep)"),
        (BACK, "options = tuple(counts), False, names", "options = tuple(counts), True, names"),
        ("sequence.backward(dy, d_state,", "sequence.backward(dy, d_state[::-1],"),
        # The weights: names, and what follows them.
        ("zip(names, arrays, strict=False)", "zip(names, [-a for a in arrays], strict=False)"),
        ("*arrays[len(names) :])", "*[-a for a in arrays[len(names) :]])"),
        # Every time.
        ("own.copy_(array)", "pass", "own.add_(array)", "own.copy_(own)", "array.copy_(own)"),
        (COPIED, "zip(self.given[4:], arrays[4:], strict=True):"),
        (COPIED, "zip(self.given[:4], arrays[:4], strict=True):"),
        (COPIED, "zip(self.given[:-1], arrays[:-1], strict=True):"),
        (PLAY, "", PLAY.replace("()", "")),
        (IN + PLAY, PLAY + IN),
        ("@lru_cache(maxsize=RECORDINGS)\n", "", "@lru_cache(maxsize=1)\n"),
    ],
    "played relu": [("self.make = make", 'self.make = getattr(make, "func", make)')],
    "wanted lstm": [
        ('("x", *self.weights) if wanted is None', '("x", *self.weights) if not wanted'),
        ('("x", *self.weights) if wanted is None', '("x", *self.weights) if True'),
        ("else tuple(wanted)", 'else ("x", *wanted)', "else tuple(wanted)[:2]"),
        (BACK, BACK + "[::-1]", "options = tuple(counts), reverse, tuple(sorted(names))"),
        (GRADS, 'dict(zip(("x", *self.weights), found[S:], strict=False))'),
    ],
    "left alone": [
        (CLONED, "[*self.results]", "[result.detach() for result in self.results]"),
        (CLONED, "[self.results[0].clone(), *self.results[1:]]"),
        (CLONED, "[*self.results[:-1], self.results[-1].clone()]"),
        (CLONED, "[result[:] for result in self.results]"),
    ],
    # Which recording.
    "each kind": [
        (ALIKE, "(a.shape, torch.float64, a.device)", '(a.shape, a.dtype, torch.device("cpu"))'),
        (KEYS, KEYS.replace("tuple(self.weights)", "('weight_ih', 'weight_hh')")),
        (KEYS, KEYS.replace("options", "(options[0], False, options[2])")),
        (KEYS, KEYS.replace("options", "(*options[:2], True)")),
        (ZEROS, "torch.zeros(s, dtype=t)", "torch.zeros(s, device=place)"),
        ("@lru_cache(maxsize=RECORDINGS)\n", "", "@lru_cache(maxsize=4)\n"),
    ],
    "room": [
        ("@lru_cache(maxsize=RECORDINGS)\n", "@lru_cache\n", "@lru_cache(maxsize=None)\n"),
        ("@lru_cache(maxsize=RECORDINGS)\n", "@lru_cache(maxsize=RECORDINGS - 1)\n"),
    ],
    "streams": [
        (KEYS, KEYS.replace("stream", "0")),
        (STREAM, "stream = 0", STREAM.replace("arrays[0].is_cuda", "True")),
        (STREAM, STREAM.replace("arrays[0]", "arrays[-1]")),
        (STREAM, STREAM.replace("if arrays[0]", "if not arrays[0]")),
        ("with torch.cuda.device_of(arrays[0]):", "if True:"),
        ("device_of(arrays[0]):", "device_of(arrays[-1]):", "device_of(arrays[1]):"),
        ("            return record.play(arrays)", "        return record.play(arrays)"),
    ],
    # One recording.
    "addresses": [
        (IN, "            self.given[:] = arrays\n", "            self.given = [*arrays]\n"),
        ("own.copy_(array)", "own.set_(array)", "own.copy_(array)\n                array.zero_()"),
        (CLONED, "[*self.results]", "[result.view_as(result) for result in self.results]"),
        (CLONED, "[*{id(r): r.clone() for r in self.results}.values()][:2] + [arrays[0]]"),
    ],
    "modes": [
        ("torch.inference_mode(False), torch", "torch", "torch.inference_mode(True), torch"),
        ("torch.inference_mode(False), torch.no_grad():", "torch.inference_mode(False):"),
        ("(False), torch.no_grad():", "(False), torch.enable_grad():"),
        ("self.lock, torch.no_grad():", "self.lock:", "self.lock, torch.enable_grad():"),
    ],
    "one at a time": [
        (LOCKED, "        with Lock(), torch.no_grad():\n", "        with torch.no_grad():\n"),
        (LOCKED + IN, less(IN) + LOCKED),
        (PLAY + OUT, PLAY + less(OUT)),
        (LOCKED + IN + PLAY, less(IN + PLAY) + LOCKED),
    ],
    # What is asked of the card.
    "captured": [
        (WAIT, "", "    torch.cuda.current_stream().wait_stream(side)\n"),
        (WAIT, "    side.wait_stream(side)\n"),
        (WAIT + ON_SIDE, ON_SIDE + WAIT, ON_SIDE.replace("        for", f"    {WAIT}        for")),
        ("    with torch.cuda.stream(side):\n", "    if side:\n"),
        ("with torch.cuda.stream(side):", "with torch.cuda.stream(torch.cuda.current_stream()):"),
        ("for _ in range(2):", "for _ in range(1):", "for _ in range(0):", "for _ in range(3):"),
        (WAITED, "", "    side.wait_stream(torch.cuda.current_stream())\n"),
        (ON_SIDE + WAITED, WAITED + ON_SIDE, ON_SIDE + "    " + WAITED),
        (UNDER, UNDER.replace(', capture_error_mode="thread_local"', "")),
        (UNDER, UNDER.replace("thread_local", "relaxed"), UNDER.replace("thread_local", "global")),
        (UNDER, UNDER.replace("(graph,", "(torch.cuda.CUDAGraph(),"), "    if graph:\n"),
        (RECORD, RECORD.replace("results", "run()\n        results")),
        (RECORD, UNDER + "        run()\n    results = run()\n"),
        (RECORD, "    results = run()\n" + UNDER + "        run()\n"),
        (WAITED + GRAPH + COMMENT + RECORD, GRAPH + RECORD + WAITED),
        ("return results, graph.replay", "return results, run", "return results, lambda: None"),
        ("return results, graph.replay", "graph.replay()\n    return results, graph.replay"),
        ("return results, graph.replay", "return results, torch.cuda.CUDAGraph().replay"),
        ("return results, graph.replay", "return run(), graph.replay"),
    ],
}
# file: [(name of a check, the text as it stands, the slip)]
SLIPS = {
    "torch/graph.py": [
        (check, old, slip)
        for check, texts in PLANTED.items()
        for old, *slips in texts
        for slip in slips
    ]
}
