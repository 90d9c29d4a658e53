"""The rung that records its kernels beside the rung in place, for ``test_planted_errors``.

There is no graphics card: a stand-in plays what was recorded, and another one notes what is asked
of ``torch.cuda``.  All in float64 where nothing else is said; T = N = H = I.
"""

import itertools
import threading
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from unittest import mock

import torch
from planted_ladder import arrays

from rnnlib.sequences import Sequence
from rnnlib.torch import graph, ladder

FORMS = {"tanh": "RNN_TANH", "relu": "RNN_RELU", "lstm": "LSTM", "gru": "GRU"}
EQUAL = [4, 4, 4, 4]


def played_again(run):
    """Stand in for ``graph.capture``: run again, on the same arrays and into the same results."""
    results = run()

    def again():
        for old, new in zip(results, run(), strict=True):
            old.copy_(new)

    return results, again


@contextmanager
def recorded(capture=played_again):
    """Count the recordings."""
    with mock.patch.object(graph, "capture", mock.Mock(wraps=capture)) as counted:
        yield counted


def both_ways(sequence, x, state, dy, d_state, reverse=False, **wanted):
    """All that comes out."""
    y, after, kept = sequence.forward(x, state, EQUAL, reverse)
    back = dy, d_state, x, state, y, kept, EQUAL, reverse
    before, grads = sequence.backward(*back, **wanted)
    return flat(y, after, kept, *sequence.forward(x, state, EQUAL, reverse, False), before, grads)


def flat(*results):
    """All arrays, by where they stand or by name; how long a tuple is, too."""
    found = {}
    for k, part in enumerate(results):
        if isinstance(part, dict):
            found |= part
        elif isinstance(part, tuple):
            found |= {(k, j): a for j, a in enumerate(part)}
        else:
            found[k] = part
    return found


def same(ours, theirs):
    return ours.keys() == theirs.keys() and all(alike(ours[k], b) for k, b in theirs.items())


def alike(a, b):
    return (a.shape, a.dtype, a.device) == (b.shape, b.dtype, b.device) and (
        a.device.type == "meta" or torch.allclose(a, b, 1e-9, 1e-9)
    )


def sequences(name, w):
    """The rung recorded, and the one in place."""
    make = ladder.IN_PLACE[FORMS[name]]
    return graph.Graphed(make, w), make(w)


def times(factor, given):
    """A call with other numbers."""
    w, *rest = given
    rest = [tuple(factor * s for s in a) if isinstance(a, tuple) else factor * a for a in rest]
    return {name: factor * a for name, a in w.items()}, *rest


class Mixed(Sequence):
    """Every result is a sum over all that comes in, in which each array has a factor of its own.

    All have one shape, so that whatever is taken for something else is so in silence.
    """

    def forward(self, x, state, counts, reverse=False, keep=True):
        y, *rest = self.mixed([x], state, (), (), counts, reverse, 1 + 2 * len(state) + 3)
        after, kept = rest[: len(state)], rest[len(state) :]
        return y, tuple(after), tuple(kept) if keep else ()

    def backward(self, dy, d_state, x, state, y, kept, counts, reverse=False, wanted=None):
        given = [dy, x, y], state, d_state, kept
        found = self.mixed(*given, counts, reverse, len(state) + 1 + len(self.weights))
        grads = dict(zip(["x", *sorted(self.weights)], found[len(state) :], strict=True))
        return tuple(found[: len(state)]), {name: grads[name] for name in wanted or grads}

    def mixed(self, single, state, d_state, kept, counts, reverse, results):
        weights = [self.weights[name] for name in sorted(self.weights)]
        groups = single, state, d_state, kept, weights
        total = (
            sum(
                (1 + 2**0.5 * k + 3**0.5 * j) * a
                for k, group in enumerate(groups, 1)
                for j, a in enumerate(group)
            )
            + len(counts)
            - 5 * reverse
        )
        return [total * (1 + r) for r in range(results)]


def passed_on():
    """All arrives at its place, both ways, whatever was recorded."""
    names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
    with recorded():
        for k, S in itertools.product(range(2), (1, 2)):
            draw = torch.Generator().manual_seed(10 * k + S)
            dy, x, y, *more = torch.randn(12, 2, 2, generator=draw, dtype=torch.float64)
            state, d_state, kept = more[:S], tuple(more[S : 2 * S]), tuple(more[2 * S : -4])
            w = dict(zip(names, more[-4:], strict=True))
            for counts, reverse in itertools.product(([2], [1, 1]), (False, True)):
                theirs, ours = Mixed(w), graph.Graphed(Mixed, w)
                for keep in (False, True):
                    given = x, tuple(state), counts, reverse, keep
                    if not same(*(flat(*s.forward(*given)) for s in (ours, theirs))):
                        return False
                given = dy, d_state, x, tuple(state), y, kept, counts, reverse
                if not same(*(flat(*s.backward(*given)) for s in (ours, theirs))):
                    return False
    return True


def played(name):
    """What is played equals what was recorded, for other numbers; and it is recorded once."""
    for reverse in (False, True):
        with recorded() as counted:
            for factor in (1, 0.5, -1):
                w, *given = times(factor, arrays(name, EQUAL))
                before = [a.clone() for a in (*w.values(), given[0], *given[1])]
                ours, theirs = (both_ways(s, *given, reverse) for s in sequences(name, w))
                if not same(ours, theirs):
                    return False
                pairs = zip(before, (*w.values(), given[0], *given[1]), strict=True)
                if not all(torch.equal(a, b) for a, b in pairs):
                    return False
            # Forward with what is kept and without, and back.
            if counted.call_count != 3:
                return False
    return True


def wanted(name):
    """Only what is wanted, under its name."""
    w, *given = arrays(name, EQUAL)
    names = ["x", *w]
    with recorded():
        for some in ([], names, names[::-1], names[1:], *([one] for one in names)):
            found = (both_ways(s, *given, wanted=some) for s in sequences(name, w))
            if not same(*found):
                return False
    return True


def left_alone():
    """A second call leaves the first results alone, and so does the caller the recording."""
    w, *given = arrays("lstm", EQUAL)
    ours, theirs = sequences("lstm", w)
    with recorded():
        first = both_ways(ours, *given)
        both_ways(ours, *times(3, [w, *given])[1:])
        if not same(first, both_ways(theirs, *given)):
            return False
        for a in first.values():
            a.fill_(7)
        return same(both_ways(ours, *given), both_ways(theirs, *given))


def each_kind():
    """A call with other options, shapes, types, devices, names or another cell is recorded anew."""
    w, *given = arrays("tanh", EQUAL, bias=False)
    x, state, _, _ = given

    def forward(name="tanh", w=w, x=x, state=state, counts=EQUAL, reverse=False, keep=True):
        """Ours is what theirs is, however often."""
        given = x, state, counts, reverse, keep
        try:
            return same(*(flat(*sequence.forward(*given)) for sequence in sequences(name, w)))
        except RuntimeError:  # What torch says of a copy from where there are no numbers.
            return False

    single = {name: a.float() for name, a in w.items()}
    away = {name: a.to("meta") for name, a in w.items()}
    kinds = [
        {},
        {"reverse": True},
        {"keep": False},
        {"x": x[:8], "counts": [4, 4]},
        {"x": x[:8], "counts": [2] * 4, "state": (state[0][:2],)},
        {"name": "relu"},
        {"w": dict(reversed(w.items()))},
        {"w": single, "x": x.float(), "state": (state[0].float(),)},
        {"w": away, "x": x.to("meta"), "state": (state[0].to("meta"),)},
    ]
    with recorded() as counted:
        for kind in kinds:
            if not forward(**kind):
                return False
        if counted.call_count != len(kinds):
            return False
        return all(forward(**kind) for kind in kinds) and counted.call_count == len(kinds)


def room():
    """The recordings used last are kept, as many as there is room for."""
    w, x, state, _, _ = arrays("tanh", [1] * (graph.RECORDINGS + 1))
    ours, _ = sequences("tanh", w)
    with recorded() as counted:
        for T in range(1, graph.RECORDINGS + 1):
            ours.forward(x[:T], state, [1] * T)
        for T in range(1, graph.RECORDINGS + 1):
            ours.forward(x[:T], state, [1] * T)
        if counted.call_count != graph.RECORDINGS:
            return False
        T = graph.RECORDINGS + 1
        ours.forward(x[:T], state, [1] * T)
        ours.forward(x[:1], state, [1])
        return counted.call_count == graph.RECORDINGS + 2


# One recording ---------------------------------------------------------------------------------


def addresses():
    """The arrays of a recording stay where they are; what is given and returned is apart."""
    places, found = [], []

    def run(*arrays):
        places.append([a.data_ptr() for a in arrays])
        return arrays[0] + 2 * arrays[1], arrays[0] * arrays[1], arrays[0]

    given = [torch.tensor([k, 2.0]) for k in (3.0, 4.0)]
    with recorded():
        record = graph.Recording(run, [((2,), torch.float64, torch.device("cpu"))] * 2)
        for factor in (1, 2):
            now = [factor * a.double() for a in given]
            before = [a.clone() for a in now]
            results = record.play(now)
            if not all(torch.equal(a, b) for a, b in zip(before, now, strict=True)):
                return False
            a, b = before
            if not all(map(torch.equal, results, (a + 2 * b, a * b, a))):
                return False
            found.append({r.data_ptr() for r in [*results, *now, *record.results]})
    return all(p == places[0] for p in places) and [len(f) for f in found] == [8, 8]


def modes():
    """What is recorded under inference mode can be played outside; no graph of torch's is kept."""
    seen = []

    def run(a):
        seen.append((torch.is_inference_mode_enabled(), torch.is_grad_enabled()))
        return [2 * a]

    alike = [((2,), torch.float64, torch.device("cpu"))]
    x = torch.ones(2, dtype=torch.float64, requires_grad=True)
    with recorded():
        for mode in (False, True):
            with torch.inference_mode(mode):
                record = graph.Recording(run, alike)
            if seen != [(False, False)]:
                return False
            try:
                (played,) = record.play([x])
            except RuntimeError:
                return False
            if not torch.equal(played, 2 * x) or played.requires_grad or seen[-1][1]:
                return False
            seen.clear()
    return True


def one_at_a_time():
    """Another thread waits from the first copy to the last."""
    others, found, moments = [], [], []

    def interrupt():
        """Start another thread, and go on when it is done, or waits."""
        if len(others) < len(moments):
            others.append(threading.Thread(target=lambda: record.play([torch.tensor(-1.0)])))
            others[-1].start()
            others[-1].join(0.05)

    class Result:
        """What the recording writes to."""

        def clone(self):
            own = threading.current_thread() is threading.main_thread()
            if own and "clone" in moments:
                interrupt()
            return self.value.clone()

    def capture(run):
        run()
        result = Result()

        def again():
            if threading.current_thread() is threading.main_thread() and "again" in moments:
                interrupt()
            (result.value,) = run()

        return [result], again

    with recorded(capture):
        for some in (["again"], ["clone"], ["again", "clone"]):
            moments[:] = some
            others.clear()
            cpu = torch.device("cpu")
            record = graph.Recording(lambda a: [2 * a], [((), torch.float32, cpu)])
            found += record.play([torch.tensor(4.0)])
            for thread in others:
                thread.join()
    return [a.item() for a in found] == [8.0] * 3


# What is asked of torch.cuda -------------------------------------------------------------------


class OnCard(torch.Tensor):
    """An array that says that it lies on a card."""

    is_cuda = True


def streams():
    """Each stream has its own recording, asked for on the card of the weights; no card, no ask."""
    w, x, state, _, _ = arrays("gru", EQUAL)
    there = {name: a.as_subclass(OnCard) for name, a in w.items()}
    events, stream = [], SimpleNamespace(cuda_stream=0)

    @contextmanager
    def device_of(array):
        events.append(("enter", array is there["weight_ih"] or array is w["weight_ih"]))
        yield
        events.append("leave")

    def current_stream():
        events.append("stream")
        return stream

    def capture(run):
        events.append("capture")
        results, again = played_again(run)
        return results, lambda: [events.append("play"), again()]

    enter, ours = ("enter", True), ladder.IN_PLACE["GRU"]
    with (
        recorded(capture),
        mock.patch.object(torch.cuda, "device_of", device_of),
        mock.patch.object(torch.cuda, "current_stream", current_stream),
    ):
        for weights, number, expected in (
            (w, 0, [enter, "capture", "play", "leave"]),
            (w, 1, [enter, "play", "leave"]),
            (there, 1, [enter, "stream", "capture", "play", "leave"]),
            (there, 2, [enter, "stream", "capture", "play", "leave"]),
            (there, 1, [enter, "stream", "play", "leave"]),
            (there, 2, [enter, "stream", "play", "leave"]),
        ):
            events.clear()
            stream.cuda_stream = number
            graph.Graphed(ours, weights).forward(x, state, EQUAL)
            if events != expected:
                return False
    return True


def captured():
    """Twice on a side stream, which waits and is waited for; then recorded, to be played."""
    events, now = [], ["everybody's"]

    class Stream:
        def __init__(self, name="side"):
            self.name = name

        def wait_stream(self, other):
            events.append(f"{self.name} waits for {other.name}")

    class Graph:
        number = 0

        def __init__(self):
            Graph.number += 1
            self.number = Graph.number

        def replay(self):
            events.append(f"graph {self.number} is played")

    @contextmanager
    def entered(name):
        now.append(name)
        yield
        now.pop()

    def run():
        events.append(f"run on {now[-1]}")
        return [len(events)]

    with mock.patch.multiple(
        torch.cuda,
        Stream=Stream,
        CUDAGraph=Graph,
        current_stream=lambda: Stream(now[-1]),
        stream=lambda stream: entered(stream.name),
        graph=lambda graph, capture_error_mode="global": entered(
            f"graph {graph.number}, {capture_error_mode}"
        ),
    ):
        results, again = graph.capture(run)
        expected = [
            "side waits for everybody's",
            "run on side",
            "run on side",
            "everybody's waits for side",
            "run on graph 1, thread_local",
        ]
        if events != expected or results != [len(expected)]:
            return False
        again()
        again()
    return events == [*expected, *["graph 1 is played"] * 2]


CHECKS = {
    **{f"played {name}": partial(played, name) for name in FORMS},
    **{f"wanted {name}": partial(wanted, name) for name in FORMS},
    "passed on": passed_on,
    "left alone": left_alone,
    "each kind": each_kind,
    "room": room,
    "addresses": addresses,
    "modes": modes,
    "one at a time": one_at_a_time,
    "streams": streams,
    "captured": captured,
}


def check(name):
    return CHECKS[name]()
