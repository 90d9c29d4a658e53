"""The rung that records its kernels.

Without a graphics card the recording is played by a stand-in: it runs the same function again, on
the same arrays, and writes into the same results.  So all that can go wrong around the card's own
recording is checked here as well: what is copied in and out, and which recording is taken.
"""

import threading
from types import SimpleNamespace

import pytest
import torch
from planted_graph import played_again
from test_ladder import COUNTS, problem

from rnnlib.torch import graph
from rnnlib.torch.ladder import IN_PLACE, make

ON_CARD = torch.cuda.is_available()
EQUAL = COUNTS["equal"]


@pytest.fixture(autouse=True)
def recorded(monkeypatch):
    """Count the recordings, which begin anew."""
    graph._recording.cache_clear()
    counter, capture = SimpleNamespace(count=0), graph.capture if ON_CARD else played_again

    def counted(run):
        counter.count += 1
        return capture(run)

    monkeypatch.setattr(graph, "capture", counted)
    yield counter
    graph._recording.cache_clear()


def drawn(form, counts=EQUAL, dtype=torch.float64):
    """Return the sequence in place and recorded, and the arrays of a call."""
    device = "cuda" if ON_CARD else "cpu"
    weights, *arrays = problem(form, counts, True, dtype, device)
    return weights, arrays


def both_ways(sequence, arrays, counts=EQUAL, reverse=False, **wanted):
    x, state, dy, d_state = arrays
    y, after, kept = sequence.forward(x, state, counts, reverse)
    before, grads = sequence.backward(dy, d_state, x, state, y, kept, counts, reverse, **wanted)
    return [y, *after, *kept, *before, *grads.values()]


def assert_same(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("form", IN_PLACE)
@pytest.mark.parametrize("reverse", [False, True])
def test_what_is_played_equals_what_was_recorded(form, reverse, recorded):
    weights, arrays = drawn(form)
    for factor in (1, 0.5, -1):
        weights = {name: factor * w for name, w in weights.items()}
        arrays = [
            factor * a if torch.is_tensor(a) else tuple(factor * s for s in a) for a in arrays
        ]
        ours = both_ways(graph.Graphed(IN_PLACE[form], weights), arrays, reverse=reverse)
        assert_same(ours, both_ways(IN_PLACE[form](weights), arrays, reverse=reverse))
    assert recorded.count == 2  # One forward, one back.


@pytest.mark.parametrize("form", IN_PLACE)
def test_a_second_call_leaves_the_first_results_alone(form):
    weights, arrays = drawn(form)
    sequence = graph.Graphed(IN_PLACE[form], weights)
    first = both_ways(sequence, arrays)
    kept = [a.clone() for a in first]
    second = both_ways(sequence, [2 * arrays[0], *arrays[1:]])
    assert not torch.equal(first[0], second[0])
    assert all(torch.equal(a, b) for a, b in zip(first, kept, strict=True))


def test_two_calls_before_the_first_goes_back():
    """As with two layers of one size: each goes back with what it kept itself."""
    weights, (x, state, dy, d_state) = drawn("LSTM")
    ours, theirs = graph.Graphed(IN_PLACE["LSTM"], weights), IN_PLACE["LSTM"](weights)
    for sequence, found in ((ours, mine := []), (theirs, plain := [])):
        runs = [(given, sequence.forward(given, state, EQUAL)) for given in (x, 3 * x)]
        for given, (y, _, kept) in runs:
            back = sequence.backward(dy, d_state, given, state, y, kept, EQUAL)
            found.extend([*back[0], *back[1].values()])
    assert_same(mine, plain)


def test_each_kind_of_call_has_its_own_recording(recorded):
    weights, arrays = drawn("LSTM")
    sequence = graph.Graphed(IN_PLACE["LSTM"], weights)
    x, state, *_ = arrays
    small_weights, small = drawn("LSTM", dtype=torch.float32)
    in_float32 = graph.Graphed(IN_PLACE["LSTM"], small_weights)
    # A call, and how many recordings there are after it.
    calls = [
        (lambda: sequence.forward(x, state, EQUAL), 1),
        (lambda: sequence.forward(x, state, EQUAL, True), 2),
        (lambda: sequence.forward(x, state, EQUAL, keep=False), 3),
        (lambda: sequence.forward(x[: EQUAL[0]], state, EQUAL[:1]), 4),
        (lambda: both_ways(sequence, arrays, wanted=["x"]), 5),
        (lambda: both_ways(sequence, arrays, wanted=["weight_hh", "x"]), 6),
        (lambda: both_ways(in_float32, small), 8),
    ]
    for call, count in calls:
        call()
        assert recorded.count == count
    for call, _ in calls:
        call()
    assert recorded.count == 8


def test_what_is_not_wanted_does_not_come():
    weights, (x, state, dy, d_state) = drawn("LSTM")
    sequence = graph.Graphed(IN_PLACE["LSTM"], weights)
    assert sequence.forward(x, state, EQUAL, keep=False)[2] == ()
    y, _, kept = sequence.forward(x, state, EQUAL)
    _, grads = sequence.backward(dy, d_state, x, state, y, kept, EQUAL, wanted=["weight_hh"])
    assert list(grads) == ["weight_hh"]


def test_old_recordings_make_room(recorded):
    weights, (x, state, *_) = drawn("RNN_TANH", [2] * (graph.RECORDINGS + 1))
    sequence = graph.Graphed(IN_PLACE["RNN_TANH"], weights)
    for T in range(1, graph.RECORDINGS + 2):
        sequence.forward(x[: 2 * T], state, [2] * T)
    assert graph._recording.cache_info().currsize == graph.RECORDINGS
    sequence.forward(x[:2], state, [2])
    assert recorded.count == graph.RECORDINGS + 2


def test_recorded_under_inference_mode_and_played_outside():
    weights, (x, state, *_) = drawn("GRU")
    sequence = graph.Graphed(IN_PLACE["GRU"], weights)
    with torch.inference_mode():
        inside = sequence.forward(x, state, EQUAL)[0]
    assert_same([inside.clone()], [sequence.forward(x, state, EQUAL)[0]])


def test_calls_from_several_threads():
    weights, (x, state, *_) = drawn("GRU")
    sequence = graph.Graphed(IN_PLACE["GRU"], weights)
    expected = {k: IN_PLACE["GRU"](weights).forward(k * x, state, EQUAL)[0] for k in range(1, 5)}
    wrong = []

    def work(k):
        for _ in range(25):
            if not torch.allclose(sequence.forward(k * x, state, EQUAL)[0], expected[k]):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.cuda
@pytest.mark.skipif(not ON_CARD, reason="torch finds no graphics card here")
@pytest.mark.parametrize("form", ["LSTM", "GRU"])
def test_with_fused_gates_on_a_card(form):
    weights, arrays = drawn(form, dtype=torch.float32)
    ours, fused = make(form, "graph", weights), make(form, "fused", weights)
    assert ours.make is type(fused)
    assert_same(both_ways(ours, arrays), both_ways(fused, arrays))
