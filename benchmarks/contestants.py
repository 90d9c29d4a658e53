"""One training step, forward and backward, by each library, on the same weights and inputs.

Every maker takes (kind, shape, arrays) and returns a function without arguments that does the step
and leaves its results in a dict, so that they can be compared; or None where the library has no
such layer.
"""

import collections.abc
import functools
import importlib
import importlib.util
import sys
import types
import warnings

import numpy as np
import torch_steps

import rnnlib

GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}


def draw(kind, shape, seed=0):
    """Return x, the gradient of the output, and the weights by torch's names, in float32."""
    T, N, I, H = shape  # noqa: E741
    rng = np.random.default_rng(seed)
    rows, bound = GATES[kind] * H, H**-0.5
    weights = {"weight_ih_l0": (rows, I), "weight_hh_l0": (rows, H)}
    weights |= {"bias_ih_l0": (rows,), "bias_hh_l0": (rows,)}
    arrays = {
        name: rng.uniform(-bound, bound, size).astype(np.float32) for name, size in weights.items()
    }
    for name, size in (("x", I), ("d_output", H)):
        arrays[name] = rng.standard_normal((T, N, size), np.float32)
    return arrays


def ours(kind, shape, arrays, **options):
    """rnnlib on NumPy."""
    layer = getattr(rnnlib, kind)(*shape[2:], dtype=np.float32, **options)
    layer.load_state_dict({name: arrays[name] for name in layer.parameters})

    def step():
        output, _ = layer(arrays["x"])
        d_input, _ = layer.backward(arrays["d_output"])
        return {"output": output, "d_input": d_input, **layer.grads}

    return step


def numpy_ml(kind, shape, arrays):
    """The cells of numpy-ml 0.1.2 in a loop over time, in its float64, with its own weights.

    Its layers cannot be made in this version (their constructor fails), and it has no GRU.
    """
    library = _numpy_ml_layers()
    if kind == "GRU" or library is None:
        return None
    cell = getattr(library, f"{kind}Cell")(n_out=shape[3])
    x, d_output = arrays["x"].astype(float), arrays["d_output"].astype(float)

    def step():
        if cell.is_initialized:
            cell.flush_gradients()
            # It leaves these as empty lists, with which the next backward fails.
            carried = [name for name in cell.derived_variables if name.startswith("dLd")]
            cell.derived_variables |= dict.fromkeys(carried)
        for x_t in x:
            cell.forward(x_t)
        for d in d_output[::-1]:
            cell.backward(d)
        return {}

    return step


@functools.cache
def _numpy_ml_layers():
    spec = importlib.util.find_spec("numpy_ml")
    if spec is None:
        return None
    # The package needs a name that Python 3.10 moved, and importing all of it needs SciPy.
    collections.Hashable = collections.abc.Hashable
    package = types.ModuleType("numpy_ml")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["numpy_ml"] = package
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("numpy_ml.neural_nets.layers")


def products(kind, shape, arrays):
    """The matrix products of a step alone: a floor for any program on this BLAS."""
    T, N, I, H = shape  # noqa: E741
    W, U = arrays["weight_ih_l0"], arrays["weight_hh_l0"]
    rows = len(W)
    x, back = arrays["x"].reshape(T * N, I), np.ascontiguousarray(U.T)
    sums, h_all = np.ones((rows, T * N), np.float32), np.ones((T * N, H), np.float32)
    one, h = np.ones((rows, N), np.float32), np.ones((H, N), np.float32)
    dx, dW, dU = (np.empty(size, np.float32) for size in ((T * N, I), (rows, I), (rows, H)))

    def step():
        np.matmul(W, x.T, out=sums)
        for _ in range(T):
            np.matmul(U, h, out=one)
        for _ in range(T):
            np.matmul(back, one, out=h)
        np.matmul(sums.T, W, out=dx)
        np.matmul(sums, x, out=dW)
        np.matmul(sums, h_all, out=dU)
        # Keep the numbers from growing.
        h[...], one[...] = 1, 1
        return {}

    return step


CONTESTANTS = {
    "torch.nn": torch_steps.torch_nn,
    "rnnlib": ours,
    "autograd loop": torch_steps.autograd_loop,
    "numpy-ml": numpy_ml,
    "products alone": products,
}
