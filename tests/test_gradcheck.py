"""The checks themselves: they must accept what is right and name what is planted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnlib import RNN, Linear
from rnnlib.gradcheck import check_backward, check_layer, gradcheck


def point(seed=0):
    """W and U are square and of one shape, so that no slip shows by a shape."""
    rng = np.random.default_rng(seed)
    shapes = {"W": (3, 3), "U": (3, 3), "x": (3,), "b": (3,)}
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def loss(p):
    return np.sum(np.tanh(p["W"] @ p["x"] + p["b"]) * (p["U"] @ p["b"]))


def gradients(p):
    h = np.tanh(p["W"] @ p["x"] + p["b"])
    dh = p["U"] @ p["b"]
    da = dh * (1 - h * h)
    return {
        "W": np.outer(da, p["x"]),
        "U": np.outer(h, p["b"]),
        "x": p["W"].T @ da,
        "b": da + p["U"].T @ h,
    }


def broken(name, change):
    """The right gradients with one of them changed."""
    right = gradients(point())
    return {**right, name: change(right[name].copy())}


def put(index, value):
    def change(g):
        g[index] = value(g[index])
        return g

    return change


def checked(claim, **options):
    return gradcheck(loss, point(), claim, **options)


def names(entries):
    return {e.name for e in entries}


def test_the_right_gradient_passes():
    report = checked(gradients(point()))
    assert report
    assert report.failures == ()
    assert report.worst is None
    assert len(report.entries) == 9 + 9 + 3 + 3
    assert str(report) == "\n".join(
        f"{name}: right ({count} entries)"
        for name, count in (("W", 9), ("U", 9), ("x", 3), ("b", 3))
    )
    assert repr(report) == str(report)


PLANTED = {
    "sign": ("W", np.negative),
    "factor": ("U", lambda g: 2 * g),
    "small factor": ("U", lambda g: 1.0001 * g),
    "mean for sum": ("b", lambda g: g / 3),
    "transpose": ("W", np.transpose),
    "zero": ("x", np.zeros_like),
    "permuted": ("x", lambda g: g[::-1]),
    "constant added": ("b", lambda g: g + 1e-4),
    "slope forgotten": (
        "W",
        lambda g: np.outer(point()["U"] @ point()["b"], point()["x"]),
    ),
    "term dropped": (
        "b",
        lambda g: g - point()["U"].T @ np.tanh(point()["W"] @ point()["x"] + point()["b"]),
    ),
}


@pytest.mark.parametrize(("name", "change"), PLANTED.values(), ids=PLANTED.keys())
def test_planted_errors(name, change):
    report = checked(broken(name, change))
    assert not report
    assert names(report.failures) == {name}
    assert report.worst.name == name
    lines = str(report).splitlines()
    assert len(lines) == 4
    assert [line for line in lines if "WRONG" in line] == [
        line for line in lines if line.startswith(f"{name}: ")
    ]


@settings(deadline=None, max_examples=50)
@given(st.sampled_from("WUxb"), st.data(), st.sampled_from([1e-5, -1e-3, 1.0, -1e6]))
def test_one_wrong_entry_is_named(name, data, error):
    shape = point()[name].shape
    index = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
    report = checked(broken(name, put(index, lambda g: g + error)))
    assert [(e.name, e.index) for e in report.failures] == [(name, index)]
    where = ", ".join(map(str, index))
    assert f"{name}[{where}]: off by {abs(error):.3g} (yours " in str(report)
    assert report.worst is report.failures[0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_analytic_gradient_that_is_no_number(value):
    report = checked(broken("W", put((1, 2), lambda g: value)))
    assert [(e.name, e.index, e.reason) for e in report.failures] == [
        ("W", (1, 2), "not a finite number")
    ]
    assert not checked(broken("W", put((1, 2), lambda g: value)), allow_zero=["W"], rtol=1e300)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_function_that_is_no_number(value):
    report = gradcheck(
        lambda p: value if p["x"][1] > 0.5 else 0.0,
        {"x": np.array([0.2, 0.5])},
        {"x": np.array([0.0, 1.0])},
    )
    assert [(e.index, e.reason) for e in report.failures if e.analytic] == [
        ((1,), "not a finite number")
    ]


def test_nan_is_worse_than_any_number():
    right = gradients(point())
    right["W"][0, 1] = 1e9
    right["U"][2, 0] = np.nan
    assert checked(right).worst.name == "U"


def unread(p):
    return np.sum(p["x"] ** 2)


def test_zero_against_zero_tests_nothing():
    p = point()
    claim = {name: np.zeros_like(a) for name, a in p.items()} | {"x": 2 * p["x"]}
    report = gradcheck(unread, p, claim)
    assert names(report.failures) == {"W", "U", "b"}
    assert all("tests nothing" in e.reason for e in report.failures)
    assert not gradcheck(unread, p, claim, allow_zero=["W", "U"])
    assert gradcheck(unread, p, claim, allow_zero=["W", "U", "b"])


def test_a_constant_zero_for_a_parameter_that_is_read():
    for options in ({}, {"allow_zero": ["W"]}):
        assert names(checked(broken("W", np.zeros_like), **options).failures) == {"W"}


def test_a_gradient_for_a_parameter_that_is_not_read():
    p = {"x": point()["x"], "unused": np.ones(2)}
    claim = {"x": 2 * p["x"], "unused": np.array([0.0, 1e-3])}
    report = gradcheck(unread, p, claim, allow_zero=["unused"])
    assert [(e.name, e.index) for e in report.failures] == [("unused", (1,))]


def test_swapped_names_of_equal_shape():
    right = gradients(point())
    assert names(checked({**right, "W": right["U"], "U": right["W"]}).failures) == {"W", "U"}


def test_only_the_claims_that_were_compared_count():
    claim = broken("W", put((2, 2), np.negative))
    report = checked(claim, max_entries=2)
    assert [e.index for e in report.entries if e.name == "W"] == [(0, 0), (2, 2)]
    assert len(report.entries) == 8
    assert [e.index for e in report.failures] == [(2, 2)]
    assert checked(claim, max_entries=1)
    assert len(checked(claim, max_entries=100).entries) == 24


@pytest.mark.parametrize(
    "arrays", [{}, {"x": np.zeros((0, 3))}, {"x": np.ones(2), "nothing": np.zeros((0, 3))}]
)
def test_nothing_compared_is_no_pass(arrays):
    claim = {name: 2 * a for name, a in arrays.items()}
    assert not gradcheck(lambda p: sum(np.sum(a**2) for a in p.values()), arrays, claim)
    assert not check_backward(
        lambda p: [a**2 for a in p.values()],
        lambda *dy: {k: 2 * a * d for d, (k, a) in zip(dy, arrays.items(), strict=True)},
        arrays,
    )
    assert not gradcheck(loss, point(), gradients(point()), max_entries=0)


def test_the_text_for_nothing():
    assert str(gradcheck(loss, {}, {})) == "nothing was compared"


@pytest.mark.parametrize("value", [np.ones(3, np.float32), np.ones(3, int), [1, 2, 3]])
def test_only_float64_can_be_checked(value):
    for check in (
        lambda arrays: gradcheck(unread, arrays, {"x": 2 * np.ones(3)}),
        lambda arrays: check_backward(lambda p: p["x"], lambda dy: {"x": dy}, arrays),
    ):
        with pytest.raises(TypeError, match=r"^arrays\['x'\]: expected float64"):
            check({"x": value})


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda g: g.pop("W"), KeyError, r"gradients: .*missing \['W'\]"),
        (lambda g: g.update(V=1), KeyError, r"gradients: .*unknown \['V'\]"),
        (
            lambda g: g.update(W=np.ones((3, 1))),
            ValueError,
            r"^gradients\['W'\]: expected shape \(3, 3\), got \(3, 1\)",
        ),
        (lambda g: g.update(b=0.0), ValueError, r"^gradients\['b'\]: .* \(3,\), got \(\)"),
    ],
)
def test_names_and_shapes_must_fit(change, error, message):
    claim = gradients(point())
    change(claim)
    with pytest.raises(error, match=message):
        checked(claim)
    with pytest.raises(error, match=message):
        check_backward(loss, lambda dy: claim, point())


def test_scalars_have_no_index():
    def square(p):
        return p["c"] ** 2

    c = {"c": np.array(3.0)}
    assert gradcheck(square, c, {"c": np.array(6.0)})
    report = gradcheck(square, c, {"c": np.array(-6.0)})
    assert report.worst.index == ()
    assert str(report).startswith("c: WRONG in 1 of 1 entries; c: off by 12 (yours -6, diff")


def test_tolerances():
    claim = broken("U", lambda g: 1.001 * g)
    assert not checked(claim)
    assert checked(claim, rtol=1e-2)
    assert checked(claim, atol=1.0)
    assert checked(gradients(point()), eps=1e-4)


def test_arrays_are_not_changed():
    p, claim = point(), gradients(point())
    for a in (*p.values(), *claim.values()):
        a.flags.writeable = False
    assert gradcheck(loss, p, claim)
    assert check_backward(Step().forward, Step(p).backward, p)
    assert all((a == b).all() for a, b in zip(p.values(), point().values(), strict=True))


class Step:
    """Two outputs of one step, and their gradients, with a slip to plant."""

    def __init__(self, p=None, slip=None):
        self.p, self.slip = p or point(), slip

    def forward(self, p):
        h = np.tanh(p["W"] @ p["x"] + p["b"])
        return h, p["U"] @ h

    def backward(self, dh, dy):
        p = self.p
        h, _ = self.forward(p)
        if self.slip == "in place":
            dh += p["U"].T @ dy
            whole = dh
        else:
            whole = p["U"].T @ dy if self.slip == "state forgotten" else dh + p["U"].T @ dy
        da = whole * (1 - h * h)
        g = {"W": np.outer(da, p["x"]), "U": np.outer(dy, h), "x": p["W"].T @ da, "b": da}
        if self.slip == "transpose":
            g["U"] = g["U"].T
        if self.slip == "swap":
            g["W"], g["U"] = g["U"], g["W"]
        if self.slip == "sign":
            g["x"] = -g["x"]
        if self.slip == "one entry":
            g["W"][1, 0] *= 1.01
        if self.slip in ("nan", "inf"):
            g["W"][0] = [np.nan, 0, 0] if self.slip == "nan" else [np.inf, -np.inf, np.inf]
        return g


@pytest.mark.parametrize("slip", [None, "in place"])
@pytest.mark.parametrize("seed", range(5))
def test_check_backward_accepts_what_is_right(slip, seed):
    step = Step(slip=slip)
    report = check_backward(step.forward, step.backward, point(), rng=seed)
    assert report, report
    assert [(e.name, e.index) for e in report.entries] == [(name, None) for name in "WUxb"]
    assert str(report).startswith("W: right (along a random direction)")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("slip", "wrong"),
    [
        ("state forgotten", {"W", "x", "b"}),
        ("transpose", {"U"}),
        ("swap", {"W", "U"}),
        ("sign", {"x"}),
        ("one entry", {"W"}),
        ("nan", {"W"}),
        ("inf", {"W"}),
    ],
)
def test_check_backward_finds_what_is_planted(slip, wrong, seed):
    step = Step(slip=slip)
    report = check_backward(step.forward, step.backward, point(), rng=seed)
    assert names(report.failures) == wrong
    assert report.worst.index is not None
    if slip == "one entry":
        assert [e.index for e in report.failures] == [None, (1, 0)]
        assert "W: WRONG in 1 of 9 entries; W[1, 0]: off by " in str(report)


def test_check_backward_of_an_input_that_is_not_read():
    def check(**options):
        p = {"x": np.ones(2), "unused": np.ones(2)}
        return check_backward(
            lambda p: p["x"] ** 2, lambda dy: {"x": 2 * dy, "unused": 0 * dy}, p, **options
        )

    assert names(check().failures) == {"unused"}
    assert check(allow_zero=["unused"])


def test_check_backward_with_a_number_as_the_output():
    p = point()
    assert check_backward(loss, lambda c: {k: c * g for k, g in gradients(p).items()}, p)
    assert not check_backward(loss, lambda c: gradients(p), p)


def test_check_backward_is_reproducible():
    reports = [check_backward(Step().forward, Step().backward, point(), rng=s) for s in (1, 1, 2)]
    assert reports[0] == reports[1]
    assert reports[0] != reports[2]


def rnn(**options):
    rng = np.random.default_rng(7)
    layer = RNN(3, 3, rng=7, **options)
    return layer, rng.standard_normal((4, 3, 3)), rng.standard_normal((1, 3, 3))


LAYERS = {
    "tanh": lambda: rnn(),
    "relu": lambda: rnn(nonlinearity="relu"),
    "sigmoid": lambda: rnn(nonlinearity="sigmoid"),
    "batch_first": lambda: (*rnn(batch_first=True)[:2], np.full((1, 4, 3), 0.3)),
    "one sequence": lambda: (rnn()[0], rnn()[1][0], np.full((1, 3), 0.3)),
    "zero state": lambda: (*rnn()[:2], None),
    "without bias": lambda: rnn(bias=False),
    "Linear": lambda: (Linear(3, 2, rng=7), rnn()[1], None),
    "Linear without bias": lambda: (Linear(3, 2, False, rng=7), rnn()[1], None),
}


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS.keys())
def test_check_layer_accepts_the_layers_and_leaves_them_as_they_were(make):
    layer, x, state = make()
    arrays, copies = dict(layer.parameters), layer.state_dict()
    inputs = [a.copy() for a in (x, state) if a is not None]
    report = check_layer(layer, x, state)
    assert report, report
    expected = {"x", *copies} if state is None else {"x", "h_0", *copies}
    assert names(report.entries) == expected
    for name, p in layer.parameters.items():
        assert p is arrays[name]
        assert p.tobytes() == copies[name].tobytes()
    for a, b in zip((x, state), inputs, strict=False):
        np.testing.assert_array_equal(a, b)


class Broken:
    """Mix-in: a layer whose backward goes wrong in one way."""

    slip = staticmethod(lambda layer, returned: returned)

    def backward(self, *arguments):
        return self.slip(self, super().backward(*arguments))


class BrokenRNN(Broken, RNN):
    pass


class BrokenLinear(Broken, Linear):
    pass


def swap(layer, returned):
    layer.grads["weight_ih_l0"], layer.grads["weight_hh_l0"] = (
        layer.grads["weight_hh_l0"],
        layer.grads["weight_ih_l0"],
    )
    return returned


def scale(name, factor):
    def slip(layer, returned):
        layer.grads[name] *= factor
        return returned

    return slip


SLIPS = {
    "swapped weights": (swap, {"weight_ih_l0", "weight_hh_l0"}),
    "sign": (scale("bias_hh_l0", -1), {"bias_hh_l0"}),
    "zero": (scale("weight_hh_l0", 0), {"weight_hh_l0"}),
    "NaN": (scale("bias_ih_l0", np.nan), {"bias_ih_l0"}),
    "state gradient forgotten": (lambda _, r: (r[0], 0 * r[1]), {"h_0"}),
    "input gradient reversed in time": (lambda _, r: (r[0][::-1], r[1]), {"x"}),
}


@pytest.mark.parametrize(("slip", "wrong"), SLIPS.values(), ids=SLIPS.keys())
def test_check_layer_finds_a_broken_rnn(slip, wrong):
    layer = BrokenRNN(3, 3, rng=7)
    _, x, state = rnn()
    before = layer.state_dict()
    assert check_layer(layer, x, state)
    layer.slip = slip
    report = check_layer(layer, x, state)
    assert names(report.failures) == wrong
    for name, p in layer.parameters.items():
        assert p.tobytes() == before[name].tobytes()


def test_check_layer_sees_a_dropped_d_state():
    class Forgetful(RNN):
        def backward(self, d_output, d_state=None):
            return super().backward(d_output)

    _, x, state = rnn()
    report = check_layer(Forgetful(3, 3, rng=7), x, state)
    assert names(report.failures) == {e.name for e in report.entries}


@pytest.mark.parametrize(
    ("slip", "wrong"),
    [(scale("weight", 0.5), "weight"), (scale("bias", -1), "bias"), (lambda _, r: r + 1e-3, "x")],
)
def test_check_layer_finds_a_broken_linear(slip, wrong):
    layer = BrokenLinear(3, 2, rng=7)
    layer.slip = slip
    assert names(check_layer(layer, rnn()[1]).failures) == {wrong}


def test_check_layer_restores_the_parameters_after_an_error():
    layer, x, state = rnn()
    before = layer.state_dict()
    layer.backward = None
    with pytest.raises(TypeError):
        check_layer(layer, x, state)
    with pytest.raises(ValueError, match=r"^hx: expected shape"):
        check_layer(layer, x, state[:, :1])
    for name, p in layer.parameters.items():
        assert p.tobytes() == before[name].tobytes()


def test_check_layer_wants_float64():
    _, x, state = rnn()
    with pytest.raises(TypeError, match=r"^arrays\['weight_ih_l0'\]: expected float64"):
        check_layer(RNN(3, 3, dtype=np.float32), x, state)
    with pytest.raises(TypeError, match=r"^arrays\['x'\]: expected float64"):
        check_layer(RNN(3, 3), x.astype(np.float32), state)


def test_check_layer_passes_tolerances_on():
    layer = BrokenLinear(3, 2, rng=7)
    layer.slip = scale("weight", 1.001)
    assert not check_layer(layer, rnn()[1])
    assert check_layer(layer, rnn()[1], rtol=1e-2)
