"""Slips in the rung in place; see ``test_planted_errors``."""

# The module with the checks.
CHECKS = "planted_ladder"


def exchanged(first, *others):
    """Lines of a method, and what they are when the first stands after the others."""
    return "\n        ".join([first, *others]), "\n        ".join([*others, first])


def before(follows, *texts):
    """A text that stands several times, where this one follows; and its slips."""
    return tuple(text + follows for text in texts)


# name of a check: [(the text as it stands, one slip or more)]
PLANTED = {
    "inplace tanh": [
        ("aten.tanh_backward", "aten.sigmoid_backward"),
        ('self.w_hh = weights["weight_hh"]', 'self.w_hh = weights["weight_ih"]'),
        ("self.H = self.w_hh.T, ", "self.H = self.w_hh, "),
        ("new_full((), -1)", "new_full((), 1)", "new_full((), -2)"),
        # The way forward.
        ("self.memory(self.shares(x), keep)", "self.memory(self.shares(x.flip(0)), keep)"),
        (
            "in _steps(counts, reverse, arrays):",
            "in _steps(counts, not reverse, arrays):",
            "in _steps(counts, False, arrays):",
        ),
        ("[s[:n] for s in state]", "[s[-n:] for s in state]", "[0 * s[:n] for s in state]"),
        (
            "state = replaced(state, step[: self.states])",
            "pass",
            "state = replaced(state, now)",
            "state = replaced(now, step[: self.states])",
        ),
        ("(s.clone() for s in state)", "(state)", "(-s.clone() for s in state)"),
        # The way back.
        ("tuple(d.clone() for d in d_state)", "d_state"),
        ("arrays = dy, *", "arrays = dy.flip(0), *", "arrays = y, *"),
        ("self.of_back(y, *kept)", "self.of_back(x, *kept)"),
        ("sums[:, self.of_h], *sums", "sums[:, self.of_h].clone(), *sums"),
        (
            "_steps(counts, not reverse, arrays)",
            "_steps(counts, reverse, arrays)",
            "_steps(counts, True, arrays)",
        ),
        (
            "[d[:n] for d in d_state]",
            "[d[-n:] for d in d_state]",
            "[d[:n].clone() for d in d_state]",
        ),
        ("dh.add_(dy_t)", "dh", "dy_t", "dh.sub_(dy_t)", "dh.add(dy_t)", "dh.copy_(dy_t)"),
        (
            "state[0], y, counts, reverse",
            "0 * state[0], y, counts, reverse",
            "d_state[0], y, counts, reverse",
            "state[0], x, counts, reverse",
            "state[0], y, counts, False",
        ),
        ("[da, ds], x, kept", "[-da, ds], x, kept", "[da, ds], y, kept"),
        ("_by_states(ds, state", "_by_states(-ds, state", "_by_states(dy, state"),
        # The gradient of the recurrent weights.
        (
            "if counts[-1] < N or len(y) == N:",
            "if len(y) == N:",
            "if counts[-1] > N or len(y) == N:",
            "if counts[0] < N or len(y) == N:",
            "if counts[-1] < N and len(y) == N:",
        ),
        (
            "ds.T @ rows_before(torch, h_0, y, counts, reverse)",
            "-ds.T @ rows_before(torch, h_0, y, counts, reverse)",
            "ds.T @ rows_before(torch, 0 * h_0, y, counts, reverse)",
            "ds.T @ rows_before(torch, h_0, ds, counts, reverse)",
            "ds.T @ rows_before(torch, h_0, y, counts, False)",
            "ds.T @ rows_before(torch, h_0, y, counts, not reverse)",
            "rows_before(torch, h_0, y, counts, reverse).T @ ds",
            "ds.T @ y",
        ),
        ("(ds[-N:], ds[:-N]) if", "(ds[:N], ds[N:]) if", "(ds[:N], ds[:-N]) if"),
        ("(ds[-N:], ds[:-N]) if", "(ds[-N:], ds[N:]) if"),
        ("else (ds[:N], ds[N:])", "else (ds[-N:], ds[:-N])", "else (ds[-N:], ds[N:])"),
        ("else (ds[:N], ds[N:])", "else (ds[:N], ds[:-N])"),
        ("first.T @ h_0, later", "0 * h_0, later", "h_0, later", "first.T @ y[:N], later"),
        ("first.T @ h_0, later", "h_0.T @ first, later", "-first.T @ h_0, later"),
        ("torch.addmm(first.T @ h_0, later.T,", "torch.mm(later.T,"),
        ("y[N:] if reverse else y[:-N]", "y[:-N]", "y[N:]", "y[:-N] if reverse else y[N:]"),
        ('["x", *self.weights] if', "[*self.weights] if", '["x"] if'),
        ("if wanted is None else wanted", "", "if not wanted else wanted"),
        ("return d_state, {name", "return (dh,), {name"),
        ("products[name]() for", "-products[name]() for", "products[wanted[0]]() for"),
        # The inputs' share.
        ('return x @ w["weight_ih"].T', 'return x @ w["weight_ih"]', 'return x @ w["weight_hh"].T'),
        (
            'w["bias_ih"] + w["bias_hh"], x',
            'w["bias_ih"], x',
            'w["bias_hh"], x',
            'w["bias_ih"] - w["bias_hh"], x',
            'w["bias_ih"].add_(w["bias_hh"]), x',
        ),
        ('x, w["weight_ih"].T)', 'x, w["weight_ih"])', 'x, w["weight_hh"].T)'),
        # tanh of few numbers.
        (
            "torch.tanh(x, out=out)",
            "torch.tanh(x)",
            "torch.sigmoid(x, out=out)",
            "torch.tanh(x + x, out=out)",
            "out.copy_(x)",
            "pass",
        ),
        ("            return\n        torch.add", "            pass\n        torch.add"),
        # 2σ(2x) - 1.
        (
            "torch.add(x, x, out=out).sigmoid_()",
            "torch.add(x, x, out=out)",
            "torch.add(x, x, out=out).sigmoid()",
            "torch.add(x, x, out=out).tanh_()",
            "out.copy_(x).sigmoid_()",
        ),
        (
            "torch.add(self.minus_1, out, alpha=2, out=out)",
            "torch.add(self.minus_1, out, out=out)",
            "torch.add(self.minus_1, out, alpha=-2, out=out)",
            "torch.add(out, self.minus_1, alpha=2, out=out)",
            "torch.add(self.minus_1, out, alpha=2)",
            "pass",
        ),
        # The views of the steps.
        ("array.split_with_sizes(counts)", "array.flip(0).split_with_sizes(counts)"),
        ("array in arrays)", "array in arrays[::-1])"),
        (
            "return steps[::-1] if reverse else steps",
            "return steps",
            "return steps if reverse else steps[::-1]",
        ),
        # The Elman network.
        ('="tanh"):', '="relu"):'),
        (
            "h.addmm_(h_prev, self.w_hh_T)",
            "h.addmm_(h_prev, self.w_hh)",
            "h.addmm_(h_prev, self.w_hh_T, alpha=-1)",
            "h.addmm(h_prev, self.w_hh_T)",
            "torch.mm(h_prev, self.w_hh_T, out=h)",
            "pass",
        ),
        ('== "relu":\n            h.relu_()', '!= "relu":\n            h.relu_()'),
        ("self.tanh(h, out=h)", "self.tanh(h_prev, out=h)", "h.sigmoid_()", "h.relu_()", "pass"),
        before("()\n\n    def of_back(self, h)", "return ", "return (h,) or "),
        ("        return (h,)\n", "        return (h.flip(0),)\n", "        return (0 * h,)\n"),
        ('== "relu":\n            _relu', '!= "relu":\n            _relu'),
        (
            "_tanh_back(dh, h, grad_input=da)",
            "_tanh_back(h, dh, grad_input=da)",
            "_tanh_back(dh, h, grad_input=dh)",
            "_sigmoid_back(dh, h, grad_input=da)",
            "_relu_back(dh, h, 0, grad_input=da)",
        ),
        before(
            "\n\n\nclass InPlaceLSTM",
            "torch.mm(da, self.w_hh, out=dh)",
            "torch.mm(da, self.w_hh_T, out=dh)",
            "torch.mm(dh, self.w_hh, out=dh)",
            "torch.mm(da, self.w_hh)",
            "dh.addmm_(da, self.w_hh)",
        ),
    ],
    "inplace relu": [
        (
            "torch.ops.aten.threshold_backward.grad_input",
            "lambda dh, h, t, grad_input: grad_input.copy_(dh)",
        ),
        ("self.nonlinearity = nonlinearity", 'self.nonlinearity = "tanh"'),
        ('== "relu":\n            h.relu_()', '== "tanh":\n            h.relu_()'),
        ("h.relu_()", "h.relu()", "h.abs_()", "self.tanh(h, out=h)"),
        ('== "relu":\n            _relu', '== "tanh":\n            _relu'),
        ("_relu_back(dh, h, 0,", "_relu_back(dh, h, 1,", "_relu_back(dh, h, -1,"),
        (
            "_relu_back(dh, h, 0,",
            "_relu_back(dh, dh, 0,",
            "_relu_back(h, dh, 0,",
            "_tanh_back(dh, h,",
        ),
    ],
    "inplace lstm": [
        # What the cells share, where the state has two parts.
        ("self.shares(x), keep)", "self.shares(x), False)", "self.shares(x), not keep)"),
        ("[s[:n] for s in state]", "[s[:n] for s in state[::-1]]"),
        ("now = state if n ==", "now = state[::-1] if n =="),
        ("step[: self.states]", "step[1 : 1 + self.states]", "step[: self.states][::-1]"),
        ("step[: self.states]", "(step[0], now[1])", "(now[0], step[1])"),
        ("(s.clone() for s in state)", "(state)", "(s.clone() for s in state[::-1])"),
        (
            "        state = tuple(s.clone() for s in state)\n"
            "        return arrays[0], state, self.factors(*arrays) if keep else ()",
            "        kept = self.factors(*arrays) if keep else ()\n"
            "        return arrays[0], tuple(s.clone() for s in state), kept",
        ),
        ("return arrays[0], state", "return arrays[1], state"),
        ("self.factors(*arrays) if keep else ()", "self.factors(*arrays)"),
        (
            "tuple(d.clone() for d in d_state)",
            "(d_state[0].clone(), d_state[1])",
            "tuple(d.clone() for d in d_state[::-1])",
        ),
        ("self.of_back(y, *kept)", "self.of_back(y, kept[0], *kept[:0:-1])"),
        (", *sums.split(self.H, dim=1)", ", *sums.split(self.H, dim=1)[::-1]"),
        (", *sums.split(self.H, dim=1)", ", *sums.clone().split(self.H, dim=1)"),
        ("[d[:n] for d in d_state]", "[d[:n] for d in d_state[::-1]]"),
        ("[d[:n] for d in d_state]", "[d_state[0][:n], d_state[1][:n].clone()]"),
        ("d_cells = d_state if n", "d_cells = d_state[::-1] if n"),
        ("state[0], y, counts, reverse", "state[1], y, counts, reverse"),
        ("return d_state, {name", "return d_state[::-1], {name"),
        # tanh from one place to another.
        ("torch.tanh(x, out=out)", "torch.tanh(x, out=x)", "x.tanh_()", "torch.tanh(out, out=out)"),
        ("torch.add(x, x, out=out)", "torch.add(x, x, out=x)", "torch.add(x, out, out=out)"),
        ("torch.add(self.minus_1, out, alpha=2,", "torch.add(self.minus_1, x, alpha=2,"),
        # Forward.
        (
            "h, c = (a.new_empty(len(a), self.H) for _ in range(2))",
            "h = c = a[:, : self.H].clone()",
        ),
        ("torch.empty_like(c) if keep else h,", "h,", "c,", "torch.empty_like(c) if keep else c,"),
        ("h, a, *a.split(self.H, dim=1)", "h, a, *a.split(self.H, dim=1)[::-1]"),
        ("h, a, *a.split(self.H, dim=1)", "h, a, *a.clone().split(self.H, dim=1)"),
        ("step(self, h_prev, c_prev, h, c,", "step(self, c_prev, h_prev, h, c,"),
        ("step(self, h_prev, c_prev, h, c,", "step(self, h_prev, c_prev, c, h,"),
        ("h, c, r, a, i, f, g, o):\n        a", "h, c, r, a, f, i, g, o):\n        a"),
        ("h, c, r, a, i, f, g, o):\n        a", "h, c, r, a, i, f, o, g):\n        a"),
        ("a.addmm_(h_prev, self.w_hh_T)", "a.addmm_(c_prev, self.w_hh_T)", "pass"),
        ("a.addmm_(h_prev, self.w_hh_T)", "torch.mm(h_prev, self.w_hh_T, out=a)"),
        ("g.add_(g)", "g.add(g)", "o.add_(o)", "a.add_(a)", "pass"),
        exchanged("a.addmm_(h_prev, self.w_hh_T)", "g.add_(g)"),
        exchanged("g.add_(g)", "a.sigmoid_()"),
        exchanged("a.sigmoid_()", "torch.add(self.minus_1, g, alpha=2, out=g)"),
        ("a.sigmoid_()", "a.sigmoid()", "a.tanh_()", "a[:, : 3 * self.H].sigmoid_()", "pass"),
        ("(self.minus_1, g, alpha=2, out=g)", "(self.minus_1, g, out=g)"),
        ("(self.minus_1, g, alpha=2, out=g)", "(self.minus_1, g, alpha=2, out=i)"),
        ("torch.add(self.minus_1, g, alpha=2, out=g)", "g.mul_(2)", "pass"),
        ("torch.mul(f, c_prev, out=c)", "torch.mul(i, c_prev, out=c)", "c.copy_(c_prev)"),
        ("torch.mul(f, c_prev, out=c)", "torch.mul(f, h_prev, out=c)"),
        ("torch.mul(f, c_prev, out=c)", "torch.mul(f, c_prev, out=c_prev)"),
        ("out=c).addcmul_(i, g)", "out=c)", "out=c).addcmul(i, g)", "out=c).add_(g)"),
        ("out=c).addcmul_(i, g)", "out=c).addcmul_(o, g)", "out=c).addcmul_(i, g, value=-1)"),
        ("self.tanh(c, out=r)", "self.tanh(c, out=c)", "self.tanh(c_prev, out=r)", "r.copy_(c)"),
        exchanged("self.tanh(c, out=r)", "torch.mul(o, r, out=h)"),
        ("torch.mul(o, r, out=h)", "torch.mul(f, r, out=h)", "torch.mul(o, c, out=h)"),
        ("torch.mul(o, r, out=h)", "torch.mul(o, r, out=r)", "h.copy_(r)"),
        # Its factors.
        ("ig = i * g", "ig = f * g", "ig = g.clone()", "ig = i.mul_(g)", "ig = g.mul_(i)"),
        ("ig = i * g", "ig = torch.mul(i, g, out=h)"),
        ("fc = c.sub_(ig)", "fc = c.add_(ig)", "fc = c", "fc = ig", "fc = f.sub(ig)"),
        ("(i, ig, g, value=-1, out=g)", "(i, ig, g, out=g)", "(i, g, g, value=-1, out=g)"),
        ("(i, ig, g, value=-1, out=g)", "(ig, ig, g, value=-1, out=g)"),
        ("(i, ig, g, value=-1, out=g)", "(i, ig, g, value=-1, out=i)"),
        exchanged(
            "torch.addcmul(i, ig, g, value=-1, out=g)", "torch.addcmul(ig, ig, i, value=-1, out=i)"
        ),
        ("(ig, ig, i, value=-1, out=i)", "(ig, ig, i, out=i)", "(ig, i, i, value=-1, out=i)"),
        ("(ig, ig, i, value=-1, out=i)", "(ig, ig, g, value=-1, out=i)"),
        ("(fc, fc, f, value=-1, out=c)", "(fc, fc, f, out=c)", "(ig, fc, f, value=-1, out=c)"),
        ("(fc, fc, f, value=-1, out=c)", "(fc, f, f, value=-1, out=c)", "(fc, fc, f, value=-1)"),
        ("(fc, fc, f, value=-1, out=c)", "(fc, fc, i, value=-1, out=c)"),
        ("(fc, fc, f, value=-1, out=c)", "(fc, fc, f, value=-1, out=f)"),
        ("torch.addcmul(fc, fc, f, value=-1, out=c)", "_sigmoid_back(c, f, grad_input=c)", "pass"),
        ("(o, h, r, value=-1, out=r)", "(o, h, r, out=r)", "(o, r, r, value=-1, out=r)"),
        ("(o, h, r, value=-1, out=r)", "(o, h, o, value=-1, out=r)"),
        ("(h, h, o, value=-1, out=o)", "(h, h, o, out=o)", "(h, o, o, value=-1, out=o)"),
        ("(h, h, o, value=-1, out=o)", "(h, h, o, value=-1, out=h)"),
        exchanged(
            "torch.addcmul(o, h, r, value=-1, out=r)", "torch.addcmul(h, h, o, value=-1, out=o)"
        ),
        ("return a, c, r", "return a, r, c", "return a, f, r", "return a, ig, r", "return a, c, c"),
        # Back.
        ("return of_c, of_f, *factors", "return of_f, of_c, *factors"),
        ("of_c, of_f, *factors.split", "of_c, of_f, *factors.flip(1).split"),
        ("of_c, of_f, i, before, g, o, da,", "of_f, of_c, i, before, g, o, da,"),
        ("of_c, of_f, i, before, g, o, da,", "of_c, before, i, of_f, g, o, da,"),
        ("of_c, of_f, i, before, g, o, da,", "of_c, of_f, before, i, g, o, da,"),
        ("of_c, of_f, i, before, g, o, da,", "of_c, of_f, i, g, before, o, da,"),
        ("o, da, da_i, da_f, da_g, da_o)", "o, da, da_f, da_i, da_g, da_o)"),
        ("dc.addcmul_(of_c, dh)", "dc.addcmul_(of_c, dh, value=-1)", "dc.addcmul(of_c, dh)"),
        ("dc.addcmul_(of_c, dh)", "dc.addcmul_(of_f, dh)", "dc.add_(dh)", "pass"),
        exchanged("dc.addcmul_(of_c, dh)", "torch.mul(dc, i, out=da_i)"),
        *(
            (
                f"({d}, {x}, out=da_{x[-1]})",
                f"({wrong}, {x}, out=da_{x[-1]})",
                f"({d}, {y}, out=da_{x[-1]})",
            )
            for d, x, wrong, y in map(
                str.split, ("dc i dh before", "dc of_f dh before", "dc g dh i", "dh o dc g")
            )
        ),
        *(
            (f", {x}, out=da_{x[-1]})", f", {x}, out=da_{y})", f", {x})")
            for x, y in (("i", "f"), ("of_f", "g"), ("g", "o"), ("o", "i"))
        ),
        ("dc.mul_(before)", "dc.mul_(of_c)", "dc.mul_(of_f)", "dc.mul(before)", "pass"),
        exchanged("torch.mul(dc, g, out=da_g)", "torch.mul(dh, o, out=da_o)", "dc.mul_(before)"),
        before(
            "\n\n\nclass InPlaceGRU",
            "torch.mm(da, self.w_hh, out=dh)",
            'torch.mm(da, self.weights["weight_ih"], out=dh)',
            "torch.mm(da, self.w_hh, out=dc)",
            "torch.mm(da, self.w_hh)",
            "dh.addmm_(da, self.w_hh)",
        ),
    ],
    "inplace gru": [
        ("aten.sigmoid_backward", "aten.tanh_backward"),
        ("aten.tanh_backward", "aten.sigmoid_backward"),
        # What the cells share, where the recurrent sum has gradients of its own.
        ("return arrays[0], state", "return arrays[1], state"),
        ("self.of_back(y, *kept)", "self.of_back(y, kept[0], *kept[:0:-1])"),
        ("sums[:, self.of_h], *sums", "sums[:, self.of_x], *sums"),
        (", *sums.split(self.H, dim=1)", ", *sums.split(self.H, dim=1)[::-1]"),
        ("da, ds = sums[:, self.of_x],", "da, ds = sums[:, self.of_h],"),
        ("sums[:, self.of_h]\n", "sums[:, self.of_x]\n"),
        ("da, ds = sums", "ds, da = sums"),
        ("products([da, ds], x", "products([ds, da], x", "products([da, da], x"),
        ("products([da, ds], x", "products([ds, ds], x", "products([da, -ds], x"),
        ("_by_states(ds, state", "_by_states(da, state"),
        ("recurrent, back = 1, 4", "recurrent, back = 0, 4"),
        ("= slice(0, 3 * H), slice(H, 4 * H)", "= slice(H, 4 * H), slice(0, 3 * H)"),
        ("= slice(0, 3 * H), ", "= slice(H, 4 * H), "),
        (", slice(H, 4 * H)", ", slice(0, 3 * H)"),
        # What is at hand.
        (
            'weights["weight_ih"].roll(H, 0)',
            'weights["weight_ih"]',
            'weights["weight_hh"].roll(H, 0)',
        ),
        ('weights["weight_ih"].roll(H, 0)', 'weights["weight_ih"].roll(-H, 0)'),
        ("self.w_hh_T.split(", "self.w_hh_T.roll(H, 1).split(", "self.rolled.T.split("),
        (
            '["bias_hh"][2 * H :]',
            '["bias_hh"][:H]',
            '["bias_hh"][H : 2 * H]',
            '["bias_ih"][2 * H :]',
        ),
        ("return x @ self.rolled.T", 'return x @ self.weights["weight_ih"].T'),
        ('"bias_ih"].roll(self.H, 0)', '"bias_ih"]', '"bias_ih"].clone()'),
        ('"bias_ih"].roll(self.H, 0)', '"bias_ih"].roll(-self.H, 0)', '"bias_hh"].roll(self.H, 0)'),
        ("bias[self.H :] += ", "bias[self.H :] -= ", "bias[self.H :] = ", "bias[: 2 * self.H] += "),
        ('"bias_hh"][: 2 * self.H]', '"bias_hh"][self.H :]', '"bias_ih"][: 2 * self.H]'),
        ('bias[self.H :] += self.weights["bias_hh"][: 2 * self.H]', "pass"),
        ("addmm(bias, x, self.rolled.T)", 'addmm(bias, x, self.weights["weight_ih"].T)'),
        # Forward.
        (
            "h, m = (a.new_empty(len(a), self.H) for _ in range(2))",
            "h = m = a[:, : self.H].clone()",
        ),
        ("a[:, self.H :], *a.split", "a[:, : 2 * self.H], *a.split"),
        ("a[:, self.H :], *a.split", "a[:, self.H :].clone(), *a.split"),
        ("self.H :], *a.split(self.H, dim=1)", "self.H :], *a.split(self.H, dim=1)[::-1]"),
        ("step(self, h_prev, h, m,", "step(self, h_prev, m, h,", "step(self, h, h_prev, m,"),
        ("_, rz, n, r, z):", "_, rz, r, n, z):", "_, rz, n, z, r):"),
        ("rz.addmm_(h_prev, self.w_rz)", "rz", "rz.addmm(h_prev, self.w_rz)"),
        ("rz.addmm_(h_prev, self.w_rz)", "rz.addmm_(h_prev, self.w_rz, alpha=-1)"),
        ("self.w_rz).sigmoid_()", "self.w_rz).tanh_()", "self.w_rz).sigmoid()", "self.w_rz)"),
        ("mm(h_prev, self.w_n, out=m)", "mm(h_prev, self.w_n.T, out=m)"),
        ("mm(h_prev, self.w_n, out=m)", "mm(h_prev, self.w_n, out=h)"),
        ("torch.mm(h_prev, self.w_n, out=m)", "m.zero_()", "m.copy_(h_prev)"),
        ("m.add_(self.b_n)", "m.add(self.b_n)", "m.sub_(self.b_n)", "n.add_(self.b_n)", "pass"),
        exchanged("if self.b_n is not None:\n            m.add_(self.b_n)", "n.addcmul_(r, m)"),
        ("n.addcmul_(r, m)", "n.addcmul_(z, m)", "n.addcmul_(r, h_prev)", "n.addcmul(r, m)"),
        ("n.addcmul_(r, m)", "n.addcmul_(r, m, value=-1)", "n.add_(m)", "pass"),
        exchanged("n.addcmul_(r, m)", "self.tanh(n, out=n)"),
        (
            "self.tanh(n, out=n)",
            "self.tanh(n, out=h)",
            "self.tanh(m, out=n)",
            "n.sigmoid_()",
            "pass",
        ),
        exchanged("self.tanh(n, out=n)", "torch.lerp(n, h_prev, z, out=h)"),
        ("(n, h_prev, z, out=h)", "(h_prev, n, z, out=h)", "(n, h_prev, r, out=h)"),
        ("(n, h_prev, z, out=h)", "(m, h_prev, z, out=h)", "(n, h_prev, z, out=n)"),
        # Its factors.
        ("rest = 1 - z", "rest = 1 - r", "rest = 1 + z", "rest = z - 1", "rest = z.clone()"),
        ("rest = 1 - z", "rest = z.neg_().add_(1)"),
        ("torch.sub(h, n)", "torch.sub(n, h)", "torch.sub(h, n, out=h)", "torch.sub(h, n, out=z)"),
        ("torch.sub(h, n)", "torch.sub(h, m)", "torch.add(h, n)", "h.clone()"),
        ("(h, n).mul_(rest)", "(h, n)", "(h, n).mul_(z)", "(h, n).mul_(r)"),
        ("torch.sub(h, n).mul_(rest)", "rest.mul_(h - n)", "_sigmoid_back(h - n, z, grad_input=m)"),
        exchanged("of_z = torch.sub(h, n).mul_(rest)", "_tanh_back(rest, n, grad_input=n)"),
        (
            "_tanh_back(rest, n,",
            "_sigmoid_back(rest, n,",
            "_tanh_back(of_z, n,",
            "_tanh_back(z, n,",
        ),
        ("_tanh_back(rest, n, grad_input=n)", "_tanh_back(rest, n, grad_input=rest)"),
        ("_tanh_back(rest, n, grad_input=n)", "n.copy_(rest)", "pass"),
        exchanged("_tanh_back(rest, n, grad_input=n)", "of_s = torch.mul(n, r, out=rest)"),
        ("(n, r, out=rest)", "(n, z, out=rest)", "(n, r, out=n)", "(n, r, out=of_z)"),
        ("(n, r, out=rest)", "(m, r, out=rest)", "(n, r, out=h)"),
        exchanged("of_s = torch.mul(n, r, out=rest)", "_sigmoid_back(m.mul_(n), r, grad_input=r)"),
        ("(m.mul_(n), r, grad_input=r)", "(m, r, grad_input=r)", "(n, r, grad_input=r)"),
        ("(m.mul_(n), r, grad_input=r)", "(m.mul_(of_s), r, grad_input=r)"),
        ("(m.mul_(n), r, grad_input=r)", "(n.mul_(m), r, grad_input=r)"),
        ("(m.mul_(n), r, grad_input=r)", "(m.mul_(n), r, grad_input=m)"),
        ("_sigmoid_back(m.mul_(n), r,", "_tanh_back(m.mul_(n), r,"),
        (
            "return a, of_z, of_s",
            "return a, of_s, of_z",
            "return a, z, of_s",
            "return a, of_z, rest * z",
        ),
        # Back.
        ("return of_z, of_s, *factors", "return of_s, of_z, *factors"),
        ("of_z, of_s, *factors.split", "of_z, of_s, *factors.flip(1).split"),
        ("of_z, of_s, n, r, before, ds,", "of_s, of_z, n, r, before, ds,"),
        ("of_z, of_s, n, r, before, ds,", "before, of_s, n, r, of_z, ds,"),
        ("of_z, of_s, n, r, before, ds,", "of_z, of_s, n, before, r, ds,"),
        ("da_n, da_r, da_z, da_s)", "da_s, da_r, da_z, da_n)", "da_n, da_z, da_r, da_s)"),
        *(
            (
                f"(dh, {x}, out=da_{x[-1]})",
                f"(dh, {x}, out=da_{y[-1]})",
                f"(dh, {y}, out=da_{x[-1]})",
            )
            for x, y in (("n", "r"), ("r", "of_z"), ("of_z", "of_s"), ("of_s", "n"))
        ),
        ("(dh, of_z, out=da_z)", "(dh, before, out=da_z)", "(dh, of_z, out=dh)", "(dh, of_z)"),
        ("(dh, of_s, out=da_s)", "(dh, before, out=da_s)", "(dh, of_s, out=dh)", "(dh, of_s)"),
        exchanged("torch.mul(dh, of_s, out=da_s)", "dh.mul_(before).addmm_(ds, self.w_hh)"),
        ("dh.mul_(before)", "dh", "dh.mul_(of_s)", "dh.mul_(of_z)", "dh.mul(before)"),
        (".addmm_(ds, self.w_hh)", "", ".addmm(ds, self.w_hh)", ".addmm_(ds, self.w_hh, alpha=-1)"),
        ("addmm_(ds, self.w_hh)", 'addmm_(ds, self.weights["weight_ih"])'),
        ("dh.mul_(before).addmm_(ds, self.w_hh)", "torch.mm(ds, self.w_hh, out=dh)"),
        ("h_prev), shares[0]", "h_prev), shares[1]"),
        ('for k in ("weight_ih", "bias_ih")', 'for k in ("weight_ih",)', 'for k in ("bias_ih",)'),
        ('for k in ("weight_ih", "bias_ih")', 'for k in ("weight_ih", "bias_hh")'),
        ("lambda: da @ self.rolled,", 'lambda: da @ self.weights["weight_ih"],'),
        ("product().roll(-self.H, 0)", "product()", "product().roll(self.H, 0)"),
        ("lambda product=p: product()", "lambda: p()"),
    ],
    "allocated tanh": [
        ("self.memory(self.shares(x), ", "self.memory(self.shares(x).clone(), "),
        ("self.factors(*arrays) if keep else ()", "self.factors(*arrays)"),
        ("torch.tanh(x, out=out)", "out.copy_(torch.tanh(x))"),
        ("torch.add(x, x, out=out).sigmoid_()", "out.copy_(torch.sigmoid(x + x))"),
        ("torch.addmm(first.T @ h_0, later.T,", "first.T @ h_0 + torch.mm(later.T,"),
        ("        return (a,)\n", "        return (a.clone(),)\n"),
        ("h.addmm_(h_prev, self.w_hh_T)", "h.add_(h_prev @ self.w_hh_T)"),
        ("self.tanh(h, out=h)", "h.copy_(h.tanh())"),
        ("dh.add_(dy_t)", "dh.copy_(dh + dy_t)"),
        before(
            "\n\n\nclass InPlaceLSTM",
            "torch.mm(da, self.w_hh, out=dh)",
            "dh.copy_(da @ self.w_hh)",
        ),
    ],
    "allocated relu": [("h.relu_()", "h.copy_(h.relu())")],
    "allocated lstm": [
        ("self.shares(x), keep)", "self.shares(x), True)"),
        ("self.factors(*arrays) if keep else ()", "(self.factors(*arrays), ())[not keep]"),
        ("self.step(*now, *step)", "self.step(*now, *step)\n            self.factors(*arrays)"),
        ("torch.add(self.minus_1, out, alpha=2, out=out)", "out.copy_(2 * out - 1)"),
        ("torch.empty_like(c) if keep else h,", "torch.empty_like(c),"),
        ("a.addmm_(h_prev, self.w_hh_T)", "a.add_(h_prev @ self.w_hh_T)"),
        ("torch.add(self.minus_1, g, alpha=2, out=g)", "g.copy_(2 * g - 1)"),
        ("out=c).addcmul_(i, g)", "out=c).add_(i * g)"),
        ("self.tanh(c, out=r)", "r.copy_(c.tanh())"),
        ("torch.mul(o, r, out=h)", "h.copy_(o * r)"),
        ("fc = c.sub_(ig)", "fc = c - ig"),
        ("torch.addcmul(fc, fc, f, value=-1, out=c)", "c.copy_(fc - fc * f)"),
        ("torch.mul(dc, of_f, out=da_f)", "da_f.copy_(dc * of_f)"),
        ("dc.mul_(before)", "dc.copy_(dc * before)"),
        ("torch.mul(dh, o, out=da_o)", "da_o.copy_(dh * o)"),
        before(
            "\n\n\nclass InPlaceGRU",
            "torch.mm(da, self.w_hh, out=dh)",
            "dh.copy_(da @ self.w_hh)",
        ),
    ],
    "allocated gru": [
        ("self.factors(*arrays) if keep else ()", "(self.factors(*arrays), ())[not keep]"),
        ("rz.addmm_(h_prev, self.w_rz)", "rz.add_(h_prev @ self.w_rz)"),
        ("torch.mm(h_prev, self.w_n, out=m)", "m.copy_(h_prev @ self.w_n)"),
        ("n.addcmul_(r, m)", "n.add_(r * m)"),
        ("torch.lerp(n, h_prev, z, out=h)", "h.copy_(torch.lerp(n, h_prev, z))"),
        ("(h, n).mul_(rest)", "(h, n).mul(rest)"),
        ("of_s = torch.mul(n, r, out=rest)", "of_s = n * r"),
        ("_sigmoid_back(m.mul_(n), r", "_sigmoid_back(m * n, r"),
        ("torch.mul(dh, n, out=da_n)", "da_n.copy_(dh * n)"),
        ("torch.mul(dh, of_z, out=da_z)", "da_z.copy_(dh * of_z)"),
        (".addmm_(ds, self.w_hh)", ".add_(ds @ self.w_hh)"),
    ],
    "few": [
        ("SMALL = 512", "SMALL = 511", "SMALL = 513", "SMALL = 0"),
        ("if x.numel() < SMALL:", "if x.numel() <= SMALL:", "if x.numel() > SMALL:", "if True:"),
        ("if x.numel() < SMALL:", "if len(x) < SMALL:", "if False:"),
        ("            return\n        torch.add", "            pass\n        torch.add"),
        ("torch.add(x, x, out=out).sigmoid_()", "torch.tanh(x, out=out)"),
        ("torch.tanh(x, out=out)", "torch.tanh(x, out=x)", "torch.tanh(x)"),
    ],
    "states": [
        # What is copied together, and when.
        ("counts[-1] < N or len(y) == N", "True", "counts[-1] <= N or len(y) == N", "False"),
        ("counts[-1] < N or len(y) == N", "counts[-1] < N", "len(y) == N", "len(y) >= N"),
        ("counts[-1] < N or len(y) == N", "counts[-1] == N or len(y) == N"),
        # Rows that are as many: two steps.
        ("(ds[-N:], ds[:-N]) if reverse", "(ds[:-N], ds[-N:]) if reverse"),
        ("else (ds[:N], ds[N:])", "else (ds[N:], ds[:N])"),
        ("(ds[:N], ds[N:])\n", "(ds[:N], ds[:N])\n", "(ds[N:], ds[N:])\n"),
        ("(ds[-N:], ds[:-N]) if", "(ds[-N:], ds[-N:]) if", "(ds[:-N], ds[:-N]) if"),
        (") if reverse else (ds", ") if not reverse else (ds", ") if True else (ds"),
        ("first, later = (", "later, first = ("),
        ("first.T @ h_0, later", "later.T @ h_0, later", "first.T @ h_0, first"),
        ("y[N:] if reverse", "y[N:] if not reverse", "y[:N] if reverse"),
        ("else y[:-N])", "else y[-N:])"),
        # Computed where it is wanted.
        (
            "lambda: _by_states(ds, state[0], y, counts, reverse)",
            "lambda s=_by_states(ds, state[0], y, counts, reverse): s",
        ),
    ],
}
# file: [(name of a check, the text as it stands, the slip)]
SLIPS = {
    "torch/inplace.py": [
        (check, old, slip)
        for check, texts in PLANTED.items()
        for old, *slips in texts
        for slip in slips
    ]
}
