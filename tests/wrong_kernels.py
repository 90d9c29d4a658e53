"""Wrong kernels, made from the right ones by an edit of their text; see ``kernel_cases``.

A slip is a name and pairs (the text as it stands, what stands in its place).  Each text stands once
in the kernel, or the class, that the slip is made for.  Those for ``gates`` are in ``wrong_gates``.
"""

import importlib.util
import re
import sys
from pathlib import Path

import rnnlib

HOME = Path(rnnlib.__file__).parent / "torch" / "kernels"

# Both kernels of each cell.
MASKS = [
    ("one row too many", [("(example < N)", "(example <= N)")]),
    ("one row too few", [("(example < N)", "(example < N - 1)")]),
    ("all rows", [("(example < N) & (j < H)", "(j < H)")]),
    (
        "one column too many",
        [("N) & (j < H)", "N) & (j <= H)")],
    ),
    (
        "one column too few",
        [("N) & (j < H)", "N) & (j < H - 1)")],
    ),
    ("all columns", [("(example < N) & (j < H)", "(example < N)")]),
    ("a column of the weights too few", [("square = (k < H) & (j < H)", "square = j < H - 1")]),
    ("a row of the weights too few", [("square = (k < H) & (j < H)", "square = k < H - 1")]),
]
STEPS = [
    ("last step skipped", [("range(T)", "range(T - 1)")]),
    ("first step skipped", [("range(T)", "range(1, T)")]),
    ("the other way round", [("first + stride * step", "T - 1 - first - stride * step")]),
    ("always one example a step", [(".to(tl.int64) * N", ".to(tl.int64)")]),
]
# file: where in it: slips
SLIPS = {
    "rnn": {
        "def rnn_forward_kernel": [
            *MASKS,
            *STEPS,
            (
                # What a program reads that did not wait for the last write.
                "h of two steps ago",
                [
                    ("    for step", "    stale = h\n    for step"),
                    ("        h = tl.where", "        stale = h\n        h = tl.where"),
                    ("product(h, weights", "product(stale, weights"),
                ],
            ),
            (
                "h never changes",
                [("h = tl.where", "after = tl.where"), ("here, h,", "here, after,")],
            ),
            ("the share left out", [("s = share + product", "s = 0 * share + product")]),
            ("the product left out", [("s = share + product", "s = share + 0 * product")]),
            ("weights transposed", [("w + j * H + k", "w + k * H + j")]),
            ("relu and tanh exchanged", [("if RELU", "if not RELU")]),
            ("no relu", [("tl.where(s < 0, 0.0, s)", "s")]),
            ("relu turned over", [("tl.where(s < 0, 0.0, s)", "tl.where(s > 0, 0.0, s)")]),
            ("no tanh", [("tanh(s)", "s")]),
            (
                "the state before returned",
                [("h_T + example * H + j, h,", "h_T + example * H + j, s,")],
            ),
            ("starts from zero", [("tl.load(h_0 + example", "0 * tl.load(h_0 + example")]),
            ("every program starts alike", [("h_0 + example", "h_0 + example % ROWS")]),
        ],
        "def rnn_backward_kernel": [
            *MASKS,
            *STEPS,
            (
                "dh of two steps ago",
                [
                    ("    for step", "    last = dh\n    for step"),
                    (
                        "        dh += tl.load(dy",
                        "        dh, last = last, dh\n        dh += tl.load(dy",
                    ),
                ],
            ),
            ("weights transposed", [("w + k * H + j", "w + j * H + k")]),
            ("dy left out", [("dh += tl.load(dy", "dh += 0 * tl.load(dy")]),
            ("dh not carried", [("dh += tl.load(dy", "dh = 0 * dh + tl.load(dy")]),
            ("relu and tanh exchanged", [("if RELU", "if not RELU")]),
            ("no slope of relu", [("tl.where(h > 0, dh, 0.0)", "dh")]),
            ("slope 1 at 0", [("h > 0", "h >= 0")]),
            ("no slope of tanh", [("dh * (1 - h * h)", "dh")]),
            ("the slope of tanh not squared", [("(1 - h * h)", "(1 - h)")]),
            ("the slope after the product", [("product(ds, weights", "product(dh, weights")]),
            ("dh written for da", [("tl.store(da + here, ds", "tl.store(da + here, dh")]),
        ],
        "class OnChipRNN": [
            ("always tanh", [('nonlinearity == "relu"', "False")]),
            (
                "the way back with tanh",
                [("*d_before), size, RELU=self.relu", "*d_before), size, RELU=False")],
            ),
        ],
    },
    "lstm": {
        "def lstm_forward_kernel": [
            *MASKS,
            *STEPS,
            (
                # What a program reads that did not wait for the last write.
                "h of two steps ago",
                [
                    ("    for step", "    stale = h\n    for step"),
                    ("        h = tl.where", "        stale = h\n        h = tl.where"),
                    *((f"product(h, w_{gate}", f"product(stale, w_{gate}") for gate in "ifgo"),
                ],
            ),
            (
                "h of two steps ago in one gate",
                [
                    ("    for step", "    stale = h\n    for step"),
                    ("        h = tl.where", "        stale = h\n        h = tl.where"),
                    ("product(h, w_o", "product(stale, w_o"),
                ],
            ),
            ("h never changes", [("h = tl.where", "new = tl.where"), ("here, h,", "here, new,")]),
            ("weights transposed", [("w += j * H + k", "w += k * H + j")]),
            (
                "f and g slip, in a",
                [
                    ("a_f = tl.load(at + H,", "a_f = tl.load(at + 2 * H,"),
                    ("a_g = tl.load(at + 2 * H,", "a_g = tl.load(at + H,"),
                ],
            ),
            (
                "f and g slip, in W",
                [
                    ("w_f = tl.load(w + H * H", "w_f = tl.load(w + 2 * H * H"),
                    ("w_g = tl.load(w + 2 * H * H", "w_g = tl.load(w + H * H"),
                ],
            ),
            (
                "i and f slip, where kept",
                [
                    ("tl.store(at, i", "tl.store(at, f"),
                    ("tl.store(at + H, f", "tl.store(at + H, i"),
                ],
            ),
            (
                "c after the step kept",
                [
                    ("            tl.store(before + here, c, mine)\n", ""),
                    (
                        "        h = tl.where",
                        "        tl.store(before + here, c, mine)\n        h = tl.where",
                    ),
                ],
            ),
            ("c without tanh", [("o * tanh(c)", "o * c")]),
            ("c not forgotten", [("c = f * c + i * g", "c = c + i * g")]),
            (
                "states after exchanged",
                [("tl.store(c_T + example * H + j, c", "tl.store(c_T + example * H + j, h")],
            ),
            (
                "starts from zero",
                [
                    (
                        "h = tl.load(h_0 + example * H + j, mine, 0.0)",
                        "h = 0 * tl.load(h_0 + example * H + j, mine, 0.0)",
                    ),
                ],
            ),
        ],
        "def lstm_backward_kernel": [
            *MASKS,
            *STEPS,
            (
                "dh of two steps ago",
                [
                    ("    for step", "    last = dh\n    for step"),
                    (
                        "        dh += tl.load(dy",
                        "        dh, last = last, dh\n        dh += tl.load(dy",
                    ),
                ],
            ),
            ("weights transposed", [("w += k * H + j", "w += j * H + k")]),
            ("dc not carried with f", [("dc = dc * f", "dc = dc")]),
            ("dc not carried", [("dc = dc * f", "dc = 0 * dc")]),
            ("dc overwritten", [("dc += dh * o", "dc = dh * o")]),
            ("dy left out", [("dh += tl.load(dy", "dh += 0 * tl.load(dy")]),
            (
                "dh not carried",
                [("dh += tl.load(dy + here, mine, 0.0)", "dh = tl.load(dy + here, mine, 0.0)")],
            ),
            (
                "the slope of f left out",
                [("da_f = dc * c_prev * f * (1 - f)", "da_f = dc * c_prev")],
            ),
            ("the slope of tanh(c) left out", [("dc += dh * o * (1 - r * r)", "dc += dh * o")]),
            ("one gate left out", [("        dh += product(da_g, w_g, OPERAND, PRECISION)\n", "")]),
            ("one gate's weights for another's", [("product(da_g, w_g", "product(da_g, w_f")]),
            (
                "f and g slip, in da",
                [
                    ("tl.store(da + at + H, da_f", "tl.store(da + at + H, da_g"),
                    ("tl.store(da + at + 2 * H, da_g", "tl.store(da + at + 2 * H, da_f"),
                ],
            ),
            (
                "i and o slip, where read",
                [
                    ("i = tl.load(gates + at,", "i = tl.load(gates + at + 3 * H,"),
                    ("o = tl.load(gates + at + 3 * H,", "o = tl.load(gates + at,"),
                ],
            ),
        ],
    },
    "gru": {
        "def gru_forward_kernel": [
            *MASKS,
            *STEPS,
            (
                "h of two steps ago",
                [
                    ("    for step", "    stale = h\n    for step"),
                    ("        h = tl.where", "        old = h\n        h = tl.where"),
                    ("        tl.store(y", "        stale = old\n        tl.store(y"),
                    *((f"product(h, w_{gate}", f"product(stale, w_{gate}") for gate in "rzn"),
                ],
            ),
            ("weights transposed", [("w += j * H + k", "w += k * H + j")]),
            (
                "r and z slip, in a",
                [
                    ("a_r = tl.load(at,", "a_r = tl.load(at + H,"),
                    ("a_z = tl.load(at + H,", "a_z = tl.load(at,"),
                ],
            ),
            (
                "z and n slip, in W",
                [
                    ("w_z = tl.load(w + H * H", "w_z = tl.load(w + 2 * H * H"),
                    ("w_n = tl.load(w + 2 * H * H", "w_n = tl.load(w + H * H"),
                ],
            ),
            (
                "r and z slip, where kept",
                [
                    ("tl.store(at, r", "tl.store(at, z"),
                    ("tl.store(at + H, z", "tl.store(at + H, r"),
                ],
            ),
            (
                "b_hn outside the reset gate",
                [("PRECISION) + b_n", "PRECISION)"), ("a_n + r * m", "a_n + b_n + r * m")],
            ),
            ("z and 1 - z exchanged", [("(1 - z) * n + z * h", "z * n + (1 - z) * h")]),
            (
                "m without its bias kept",
                [("tl.store(kept + here, m,", "tl.store(kept + here, m - b_n,")],
            ),
        ],
        "def gru_backward_kernel": [
            *MASKS,
            *STEPS,
            (
                "dh of two steps ago",
                [
                    ("    for step", "    last = dh\n    for step"),
                    (
                        "        dh += tl.load(dy",
                        "        dh, last = last, dh\n        dh += tl.load(dy",
                    ),
                ],
            ),
            ("weights transposed", [("w += k * H + j", "w += j * H + k")]),
            ("dh not carried past the products", [("dh = dh * z", "dh = 0 * dh")]),
            ("dh carried without z", [("dh = dh * z", "dh = dh")]),
            ("dy left out", [("dh += tl.load(dy", "dh += 0 * tl.load(dy")]),
            ("the sums' gradients are one", [("ds_n = da_n * r", "ds_n = da_n")]),
            (
                "inputs and state exchange da_n",
                [
                    ("tl.store(da + at + 2 * H, da_n", "tl.store(da + at + 2 * H, ds_n"),
                    ("tl.store(ds + at + 2 * H, ds_n", "tl.store(ds + at + 2 * H, da_n"),
                ],
            ),
            ("the product takes da_n", [("product(ds_n, w_n", "product(da_n, w_n")]),
            ("m without the reset", [("da_r = da_n * m", "da_r = da_n * r * m")]),
            (
                "r and z slip, in ds",
                [
                    ("tl.store(ds + at, da_r", "tl.store(ds + at, da_z"),
                    ("tl.store(ds + at + H, da_z", "tl.store(ds + at + H, da_r"),
                ],
            ),
            ("one gate left out", [("        dh += product(da_z, w_z, OPERAND, PRECISION)\n", "")]),
        ],
    },
}


def planted(file, place, edits, folder):
    """Return the module ``rnnlib.torch.kernels.<file>`` edited in one place, under another name.

    place: the first words of a kernel or a class.
    Raises ValueError when a text does not stand once in there.
    """
    source = (HOME / f"{file}.py").read_text(encoding="utf-8")
    start = re.search(rf"^{place}\(", source, re.MULTILINE).start()
    after = re.compile(r"^(@|def |class )|\Z", re.MULTILINE)
    end = after.search(source, start + 1).start()
    text = source[start:end]
    for old, new in edits:
        if text.count(old) != 1:
            raise ValueError(f"{place}: {old!r} stands {text.count(old)} times, not once")
        text = text.replace(old, new)
    # Triton reads a kernel's text from its file.
    name = f"wrong_{file}_{len(list(Path(folder).iterdir()))}"
    path = Path(folder) / f"{name}.py"
    path.write_text(source[:start] + text + source[end:], encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
