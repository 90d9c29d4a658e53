"""Rung "graph": the kernels of all steps, recorded once as a CUDA graph and started by one call.

Why.  To start a kernel costs the processor some microseconds, and a loop over time starts several a
step.  With small states the graphics card has finished each before the next one is there: it
starves.  A CUDA graph is the list of all kernels with all their arguments.  It is recorded once,
while Python runs the loop, and later the card gets the whole list in one call.

What follows from it.  The arguments in the list are addresses.  So every recording owns its arrays:
a call copies what it is given into them, plays, and copies the results out, which costs little
beside the loop.  Without the last copy a second call would write into the results of the first.
And a recording is of use for one set of shapes alone: those used last are kept, ``RECORDINGS`` of
them, each with the memory of one step.

[NVIDIA, CUDA C++ Programming Guide, "CUDA Graphs"; torch.cuda.CUDAGraph]
"""

from functools import lru_cache
from threading import Lock

import torch

from rnnlib.sequences import Sequence

RECORDINGS = 32


class Graphed(Sequence):
    """A ``Sequence`` that is recorded the first time and played from then on.

    make: function from weights to the sequence; the same object for the same sequence, since
        recordings are found by it.
    """

    def __init__(self, make, weights):
        super().__init__(weights)
        self.make = make

    def forward(self, x, state, counts, reverse=False, keep=True):
        """As in ``Sequence``."""
        S, options = len(state), (tuple(counts), reverse, keep)
        y, *rest = self._play(_forward, S, options, x, *state)
        return y, tuple(rest[:S]), tuple(rest[S:])

    def backward(self, dy, d_state, x, state, y, kept, counts, reverse=False, wanted=None):
        """As in ``Sequence``."""
        S, names = len(state), ("x", *self.weights) if wanted is None else tuple(wanted)
        options = tuple(counts), reverse, names
        found = self._play(_backward, S, options, dy, *d_state, x, *state, y, *kept)
        return tuple(found[:S]), dict(zip(names, found[S:], strict=True))

    def _play(self, way, S, options, *arrays):
        arrays = *self.weights.values(), *arrays
        alike = tuple((a.shape, a.dtype, a.device) for a in arrays)
        with torch.cuda.device_of(arrays[0]):
            # A stream is a queue of kernels: what other queues play must not be overwritten.
            stream = torch.cuda.current_stream().cuda_stream if arrays[0].is_cuda else 0
            record = _recording(way, self.make, tuple(self.weights), S, options, alike, stream)
            return record.play(arrays)


def _forward(sequence, S, options, x, *state):
    y, after, kept = sequence.forward(x, state, *options)
    return y, *after, *kept


def _backward(sequence, S, options, dy, *arrays):
    d_state, x, state = arrays[:S], arrays[S], arrays[S + 1 : 2 * S + 1]
    y, *kept = arrays[2 * S + 1 :]
    d_state, grads = sequence.backward(dy, d_state, x, state, y, kept, *options)
    return *d_state, *grads.values()


@lru_cache(maxsize=RECORDINGS)
def _recording(way, make, names, S, options, alike, stream):
    def run(*arrays):
        weights = dict(zip(names, arrays, strict=False))
        return way(make(weights), S, options, *arrays[len(names) :])

    return Recording(run, alike)


class Recording:
    """What a function does with arrays of given shapes, types and devices, to be done again."""

    def __init__(self, run, alike):
        # Not under inference mode: a tensor made there could not be written to outside.
        with torch.inference_mode(False), torch.no_grad():
            self.given = [torch.zeros(s, dtype=t, device=place) for s, t, place in alike]
            self.results, self.again = capture(lambda: run(*self.given))
        self.lock = Lock()

    def play(self, arrays):
        """Return the results for these arrays."""
        with self.lock, torch.no_grad():
            for own, array in zip(self.given, arrays, strict=True):
                own.copy_(array)
            self.again()
            return [result.clone() for result in self.results]


def capture(run):
    """Record the kernels that run() starts; return its results, and what computes them again."""
    # Libraries set themselves up in their first calls, which must not be recorded, and not on the
    # stream that everybody uses.
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(2):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    # Other threads may ask the card for memory meanwhile.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        results = run()
    return results, graph.replay
