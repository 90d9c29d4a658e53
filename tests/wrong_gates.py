"""Wrong pointwise kernels, and wrong loops around them; see ``wrong_kernels``."""


def shared(**arrays):
    """Slips that every kernel can have; arrays: by name how many blocks of H columns each has."""
    return [
        ("one number too many", [("place < N * H", "place <= N * H")]),
        ("one number too few", [("place < N * H", "place < N * H - 1")]),
        ("one number a row", [("place < N * H", "place < N")]),
        ("no mask", [("place < N * H", "place >= 0")]),
        ("one piece alone", [("tl.program_id(0) * NUMBERS", "0 * tl.program_id(0)")]),
        (
            "pieces that overlap",
            [("tl.program_id(0) * NUMBERS", "tl.program_id(0) * (NUMBERS - 1)")],
        ),
        ("pieces with gaps", [("tl.program_id(0) * NUMBERS", "tl.program_id(0) * (NUMBERS + 1)")]),
        (
            "rows of another length",
            [
                (
                    "(place // H).to(tl.int64), place % H",
                    "(place // (H + 1)).to(tl.int64), place % (H + 1)",
                )
            ],
        ),
        *(
            (f"rows of {name} without gaps", [(f"row * {name}_row", f"row * {blocks} * H")])
            for name, blocks in arrays.items()
        ),
    ]


# Both classes.
LOOP = [
    (
        "another sequence's state",
        [("[s[:n] for s in state], *own", "[s[-n:] for s in state], *own")],
    ),
    ("the state is changed in place", [("s.clone(memory_format=torch.contiguous_format)", "s")]),
    ("the gradient is changed in place", [("d.clone(memory_format=torch.contiguous_format)", "d")]),
    (
        "always forwards",
        [
            (
                "in sequences.steps_of(counts, reverse):\n            own = y",
                "in sequences.steps_of(counts, False):\n            own = y",
            )
        ],
    ),
    (
        "backwards as forwards",
        [
            (
                "in reversed(sequences.steps_of(counts, reverse))",
                "in sequences.steps_of(counts, reverse)",
            )
        ],
    ),
    ("outputs of other rows", [("own = y[rows]", "own = y[:n]")]),
    ("shares of other rows", [("self.step(a[rows]", "self.step(a[:n]")]),
    ("kept of other rows", [("[k[rows] for k in kept]", "[k[:n] for k in kept]")]),
    ("a copy at every step", [("dy[rows]\n", "dy[rows].clone()\n")]),
    ("dy of other rows", [("dy[rows]\n", "dy[:n]\n")]),
    ("sums of other rows", [("sums[rows]", "sums[:n]")]),
    ("another sequence's gradient", [("[d[:n] for d", "[d[-n:] for d")]),
    (
        "h before of the other direction",
        [("state[0], y, counts, reverse)", "state[0], y, counts, not reverse)")],
    ),
]

GATES = {
    "gates": {
        "def lstm_gates_kernel": [
            *shared(a=4, h=1, c=1, y=1, before=1),
            (
                "f and g slip, where read",
                [
                    ("f = tl.sigmoid(tl.load(a + H,", "f = tl.sigmoid(tl.load(a + 2 * H,"),
                    ("g = tanh(tl.load(a + 2 * H", "g = tanh(tl.load(a + H"),
                ],
            ),
            (
                "i and o slip, where kept",
                [("store(a, i", "store(a, o"), ("3 * H, o, mine", "3 * H, i, mine")],
            ),
            ("g by the other nonlinearity", [("g = tanh", "g = tl.sigmoid")]),
            (
                "c after the step kept",
                [("before_row + j, c_prev", "before_row + j, f * c_prev + i * g")],
            ),
            ("c not forgotten", [("c_new = f * c_prev", "c_new = c_prev")]),
            ("c of the step before", [("o * tanh(c_new)", "o * tanh(c_prev)")]),
            ("c without tanh", [("o * tanh(c_new)", "o * c_new")]),
            ("the gate o left out", [("o * tanh(c_new)", "tanh(c_new)")]),
            ("c not carried", [("tl.store(c, c_new", "tl.store(c, c_prev")]),
            ("h not carried", [("    tl.store(h + row * h_row + j, h_new, mine)\n", "")]),
            (
                "h and c exchanged",
                [
                    ("tl.store(c, c_new", "tl.store(c, h_new"),
                    ("h_row + j, h_new", "h_row + j, c_new"),
                ],
            ),
            ("outputs not written", [("    tl.store(y + row * y_row + j, h_new, mine)\n", "")]),
            ("the product's gates kept", [("    if KEEP:", "    i, f = f, i\n    if KEEP:")]),
        ],
        "def lstm_gates_back_kernel": [
            *shared(da=4, gates=4, before=1, dy=1, dh=1, dc=1),
            (
                "f and g slip, where read",
                [
                    ("f = tl.load(gates + H", "f = tl.load(gates + 2 * H"),
                    ("g = tl.load(gates + 2 * H", "g = tl.load(gates + H"),
                ],
            ),
            (
                "i and o slip, in da",
                [
                    ("tl.store(da, d_c", "tl.store(da + 3 * H, d_c"),
                    ("tl.store(da + 3 * H, d_h", "tl.store(da, d_h"),
                ],
            ),
            ("dy left out", [("d_h += tl.load(dy", "d_h += 0 * tl.load(dy")]),
            ("dy twice", [("d_h += tl.load(dy", "d_h += 2 * tl.load(dy")]),
            ("dh left out", [("d_h = tl.load(dh", "d_h = 0 * tl.load(dh")]),
            ("dc not carried", [("tl.store(dc, d_c * f", "tl.store(dc, 0 * d_c")]),
            ("dc carried without f", [("tl.store(dc, d_c * f", "tl.store(dc, d_c")]),
            ("dc never written", [("    tl.store(dc, d_c * f, mine)\n", "")]),
            ("dc overwritten", [("tl.load(dc, mine) +", "0 * tl.load(dc, mine) +")]),
            ("nothing of dh to c", [("+ d_h * o * (1 - r * r)", "+ 0 * d_h")]),
            ("the slope of tanh(c) left out", [("d_h * o * (1 - r * r)", "d_h * o")]),
            ("tanh of c before", [("tanh(f * c_prev + i * g)", "tanh(c_prev)")]),
            ("the slope of i left out", [("d_c * g * i * (1 - i)", "d_c * g")]),
            ("the slope of f halved", [("d_c * c_prev * f * (1 - f)", "d_c * c_prev * f")]),
            ("c after for c before", [("d_c * c_prev * f", "d_c * r * f")]),
            ("the slope of g left out", [("d_c * i * (1 - g * g)", "d_c * i")]),
            ("the slope of g a gate's", [("(1 - g * g)", "g * (1 - g)")]),
            ("dc for dh in da_o", [("d_h * r * o", "d_c * r * o")]),
        ],
        "def gru_gates_kernel": [
            *shared(a=3, s=3, h=1, y=1, kept=1),
            (
                "r and z slip, in a",
                [
                    ("r = tl.sigmoid(tl.load(a,", "r = tl.sigmoid(tl.load(a + H,"),
                    ("z = tl.sigmoid(tl.load(a + H,", "z = tl.sigmoid(tl.load(a,"),
                ],
            ),
            (
                "r and z slip, in s",
                [
                    ("+ tl.load(s, mine)", "+ tl.load(s + H, mine)"),
                    ("+ tl.load(s + H, mine))\n    m", "+ tl.load(s, mine))\n    m"),
                ],
            ),
            (
                "r and z slip, where kept",
                [("store(a, r", "store(a, z"), ("store(a + H, z", "store(a + H, r")],
            ),
            ("the reset left out", [("r * m", "m")]),
            ("r for z at the reset", [("r * m", "z * m")]),
            ("r∘m kept", [("kept_row + j, m", "kept_row + j, r * m")]),
            (
                "a_n left out",
                [("tanh(tl.load(a + 2 * H, mine) +", "tanh(0 * tl.load(a + 2 * H, mine) +")],
            ),
            ("z and 1 - z exchanged", [("(1 - z) * n + z *", "z * n + (1 - z) *")]),
            (
                "h not carried past the gates",
                [("+ z * tl.load(h, mine)", "+ 0 * tl.load(h, mine)")],
            ),
            ("h not written", [("    tl.store(h, h_new, mine)\n", "")]),
            ("n for h", [("tl.store(h, h_new", "tl.store(h, n")]),
            ("outputs not written", [("    tl.store(y + row * y_row + j, h_new, mine)\n", "")]),
        ],
        "def gru_gates_back_kernel": [
            *shared(sums=4, gates=3, kept=1, before=1, dy=1, dh=1),
            (
                "r and z slip, where read",
                [
                    ("r = tl.load(gates,", "r = tl.load(gates + H,"),
                    ("z = tl.load(gates + H,", "z = tl.load(gates,"),
                ],
            ),
            (
                "r and z slip, in the sums",
                [
                    ("sums + H, da_n * m", "sums + 2 * H, da_n * m"),
                    ("sums + 2 * H, d_h", "sums + H, d_h"),
                ],
            ),
            (
                "inputs and state exchange da_n",
                [
                    ("tl.store(sums, da_n,", "tl.store(sums, da_n * r,"),
                    ("3 * H, da_n * r", "3 * H, da_n"),
                ],
            ),
            ("the sums' gradients are one", [("3 * H, da_n * r", "3 * H, da_n")]),
            ("dy left out", [("+ tl.load(dy", "+ 0 * tl.load(dy")]),
            ("dh left out", [("d_h = tl.load(dh", "d_h = 0 * tl.load(dh")]),
            ("nothing past the gates", [("tl.store(dh, d_h * z", "tl.store(dh, 0 * d_h")]),
            ("everything past the gates", [("tl.store(dh, d_h * z", "tl.store(dh, d_h")]),
            ("dh left as it came", [("    tl.store(dh, d_h * z, mine)\n", "")]),
            ("past the gates with 1 - z", [("tl.store(dh, d_h * z", "tl.store(dh, d_h * (1 - z)")]),
            ("m without its slope", [("da_n * m * r * (1 - r)", "da_n * m")]),
            ("m after the reset", [("da_n * m * r", "da_n * m * r * r")]),
            ("n for h - n", [("(h_prev - n)", "-n")]),
            ("the sign of h - n", [("(h_prev - n)", "(n - h_prev)")]),
            ("the slope of z left out", [("(h_prev - n) * z * (1 - z)", "(h_prev - n)")]),
            ("the slope of n left out", [("d_h * (1 - z) * (1 - n * n)", "d_h * (1 - z)")]),
            ("z for 1 - z", [("d_h * (1 - z) * (1 - n", "d_h * z * (1 - n")]),
        ],
        "class Fused": LOOP,
        "class FusedLSTM": [
            ("h of the first step", [("a.addmm_(h,", "a.addmm_(torch.zeros_like(h),")]),
            ("c for h in the product", [("a.addmm_(h,", "a.addmm_(c,")]),
            ("a bias left out", [('w["bias_ih"] + w["bias_hh"]', 'w["bias_ih"]')]),
            ("h and c exchanged", [("h, c = state", "c, h = state")]),
            ("their gradients exchanged", [("dh, dc = d_state", "dc, dh = d_state")]),
            ("dh not carried", [("out=dh)", "out=torch.empty_like(dh))")]),
        ],
        "class FusedGRU": [
            ("the recurrent bias left out", [('if "bias_hh" in w', "if False")]),
            ("past the gates overwritten", [("dh.addmm_(sums", "dh.zero_().addmm_(sums")]),
            (
                "the inputs' sums through W_hh",
                [("addmm_(sums[:, self.H :]", "addmm_(sums[:, : -self.H]")],
            ),
            (
                "recurrent sums for the inputs'",
                [("sums[:, : 3 * H], sums[:, H:]", "sums[:, H:], sums[:, H:]")],
            ),
            (
                "the inputs' sums for the recurrent",
                [("sums[:, : 3 * H], sums[:, H:]", "sums[:, : 3 * H], sums[:, : 3 * H]")],
            ),
            ("W_ih unrolled", [("w_ih.roll(H, 0)", "w_ih")]),
            ("W_ih rolled back", [("w_ih.roll(H, 0)", "w_ih.roll(-H, 0)")]),
            ("its gradient unrolled", [("(da.T @ x).roll(-H, 0)", "da.T @ x")]),
            ("its bias's unrolled", [("da.sum(0).roll(-H, 0)", "da.sum(0)")]),
        ],
    },
}
