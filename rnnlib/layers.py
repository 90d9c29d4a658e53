"""Layers on NumPy with hand-written backward passes, in torch.nn's names and shapes.

T is time, N batch, I input size, H hidden size.  The mathematics is in the chapter "A recurrent
network and backpropagation through time"; the step itself stands in ``rnnlib.cells``.
"""

import numpy as np

from rnnlib import _checks, cells


class Layer:
    """Parameters, their gradients, and the state_dict, shared by all layers.

    ``parameters`` and ``grads`` are plain dicts of arrays with torch's names.  ``rnnlib.optim``
    updates ``parameters`` in place; ``backward`` replaces the contents of ``grads``.
    """

    def __init__(self, shapes, bound, dtype, rng):
        self.dtype = np.dtype(dtype)
        if self.dtype.kind != "f":
            raise TypeError(f"dtype: expected a floating-point type, got {self.dtype}")
        rng = np.random.default_rng(rng)
        self.parameters = {
            name: rng.uniform(-bound, bound, shape).astype(self.dtype)
            for name, shape in shapes.items()
        }
        self.grads = {name: np.zeros_like(p) for name, p in self.parameters.items()}
        self._cache = None

    def state_dict(self):
        """Return a copy of the parameters under torch's names."""
        return {name: p.copy() for name, p in self.parameters.items()}

    def load_state_dict(self, state_dict):
        """Copy weights in, from this layer's or from torch's ``state_dict()`` (tensors on the CPU).

        Raises KeyError for missing or unknown names and ValueError for a wrong shape; then no
        parameter has been changed.
        """
        _checks.same_keys("state_dict", state_dict, self.parameters)
        arrays = {name: _checks.real_array(name, state_dict[name]) for name in self.parameters}
        for name, p in self.parameters.items():
            _checks.shape(name, arrays[name], p.shape)
        for name, p in self.parameters.items():
            p[...] = arrays[name]

    def _saved(self):
        if self._cache is None:
            raise RuntimeError("backward: expected a forward call before it, but there was none")
        return self._cache

    def _fill(self, gradients):
        for name, g in gradients.items():
            self.grads[name][...] = g


class Linear(Layer):
    """y = x Wᵀ + b over the last axis, like ``torch.nn.Linear``.

    Parameters: weight (out_features, in_features) and bias (out_features,), drawn from
    U(-1/√in_features, 1/√in_features) with ``rng`` (a seed or a NumPy Generator).
    """

    def __init__(self, in_features, out_features, bias=True, *, dtype=np.float64, rng=None):
        self.in_features = _checks.positive_int("in_features", in_features)
        self.out_features = _checks.positive_int("out_features", out_features)
        shapes = {"weight": (out_features, in_features)}
        if bias:
            shapes["bias"] = (out_features,)
        super().__init__(shapes, in_features**-0.5, dtype, rng)

    def __call__(self, x):
        """x: (..., in_features).  Returns (..., out_features)."""
        x = _checks.real_array("x", x, self.dtype)
        _checks.shape("x", x, (*x.shape[:-1], self.in_features), "(in_features last)")
        self._cache = x
        return cells.linear(x, self.parameters["weight"], self.parameters.get("bias"))

    def backward(self, d_output):
        """d_output: shaped like the output.  Returns dx, shaped like x, and fills ``grads``."""
        x = self._saved()
        d_output = _checks.real_array("d_output", d_output, self.dtype)
        _checks.shape("d_output", d_output, (*x.shape[:-1], self.out_features))
        dx, d_weight, d_bias = cells.linear_backward(
            d_output.reshape(-1, self.out_features),
            x.reshape(-1, self.in_features),
            self.parameters["weight"],
        )
        gradients = {"weight": d_weight, "bias": d_bias}
        self._fill({name: gradients[name] for name in self.grads})
        return dx.reshape(x.shape)


class RNN(Layer):
    """The Elman network over a sequence, like a one-layer ``torch.nn.RNN``.

    h_t = f(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), f being "tanh", "relu" or "sigmoid".

    Parameters, by torch's names: weight_ih_l0 (H, I), weight_hh_l0 (H, H), bias_ih_l0 (H,),
    bias_hh_l0 (H,), drawn from U(-1/√H, 1/√H) with ``rng`` (a seed or a NumPy Generator).

    Raises ValueError or TypeError that names the argument for sizes below 1, an unknown
    nonlinearity, or arrays of a wrong shape, and RuntimeError for backward before forward.
    """

    def __init__(
        self,
        input_size,
        hidden_size,
        *,
        nonlinearity="tanh",
        bias=True,
        batch_first=False,
        dtype=np.float64,
        rng=None,
    ):
        self.input_size = _checks.positive_int("input_size", input_size)
        self.hidden_size = _checks.positive_int("hidden_size", hidden_size)
        self.nonlinearity = _checks.one_of("nonlinearity", nonlinearity, cells.NONLINEARITIES)
        self.batch_first = bool(batch_first)
        shapes = {
            "weight_ih_l0": (hidden_size, input_size),
            "weight_hh_l0": (hidden_size, hidden_size),
        }
        if bias:
            shapes |= {"bias_ih_l0": (hidden_size,), "bias_hh_l0": (hidden_size,)}
        super().__init__(shapes, hidden_size**-0.5, dtype, rng)

    def __call__(self, x, h_0=None):
        """Run over the whole sequence.

        x: (T, N, I), or (N, T, I) with ``batch_first``, or (T, I) for one sequence.  It is kept for
            ``backward``, not copied, so leave it as it is until then.
        h_0: (1, N, H), or (1, H) for one sequence; zeros when None.
        Returns output, the states of all steps in x's layout with H last, and h_n, the last state
        in h_0's layout.
        """
        x, batched = self._time_first(x)
        T, N, _ = x.shape
        h = np.empty((T + 1, N, self.hidden_size), self.dtype)
        h[0] = 0 if h_0 is None else self._state("h_0", h_0, N, batched)
        p = self.parameters
        # One product for the inputs of all time steps; only the recurrent one stays in the loop.
        a = cells.linear(x, p["weight_ih_l0"], p.get("bias_ih_l0"))
        for t in range(T):
            h[t + 1] = cells.rnn_forward(
                a[t], h[t], p["weight_hh_l0"], p.get("bias_hh_l0"), self.nonlinearity
            )
        self._cache = x, h, batched
        return self._layout(h[1:], batched).copy(), self._state_layout(h[T], batched).copy()

    def backward(self, d_output, d_state=None):
        """Backpropagation through time.

        d_output: the loss's gradient for ``output``, in its shape; d_state: for h_n, in its shape,
        or None for zero.
        Returns (d_x, d_h_0) in the layouts of x and h_0, and fills ``grads``.
        """
        x, h, batched = self._saved()
        T, N, _ = x.shape
        d_output = _checks.real_array("d_output", d_output, self.dtype)
        _checks.shape("d_output", d_output, self._layout(h[1:], batched).shape, "(the output's)")
        d_output = self._layout(d_output, batched, inverse=True)
        if d_state is None:
            dh = np.zeros_like(h[0])
        else:
            dh = self._state("d_state", d_state, N, batched)
        da = np.empty((T, N, self.hidden_size), self.dtype)
        for t in reversed(range(T)):
            da[t], dh = cells.rnn_backward(
                d_output[t] + dh, h[t + 1], self.parameters["weight_hh_l0"], self.nonlinearity
            )
        dx = self._collect(da, x, h)
        return self._layout(dx, batched), self._state_layout(dh, batched)

    def _collect(self, da, x, h):
        """Fill ``grads``; return d_x.  The sums over time are matrix products over T*N rows."""
        da = da.reshape(-1, self.hidden_size)
        x_rows, h_rows = x.reshape(-1, self.input_size), h[:-1].reshape(-1, self.hidden_size)
        dx, d_weight_ih, d_bias = cells.linear_backward(da, x_rows, self.parameters["weight_ih_l0"])
        gradients = {
            "weight_ih_l0": d_weight_ih,
            "weight_hh_l0": da.T @ h_rows,
            "bias_ih_l0": d_bias,
            "bias_hh_l0": d_bias,
        }
        self._fill({name: gradients[name] for name in self.grads})
        return dx.reshape(x.shape)

    def _time_first(self, x):
        """Return x as (T, N, I), and whether it came as a batch."""
        x = _checks.real_array("x", x, self.dtype)
        if x.ndim not in (2, 3):
            raise ValueError(f"x: expected 2 axes (one sequence) or 3 (a batch), got {x.shape}")
        _checks.shape("x", x, (*x.shape[:-1], self.input_size), "(input_size last)")
        batched = x.ndim == 3
        x = self._layout(x, batched, inverse=True)
        if len(x) < 1:
            raise ValueError("x: expected at least one time step, got none")
        return x, batched

    def _state(self, name, state, N, batched):
        state = _checks.real_array(name, state, self.dtype)
        expected = (1, N, self.hidden_size) if batched else (1, self.hidden_size)
        _checks.shape(name, state, expected)
        return state.reshape(N, self.hidden_size)

    def _layout(self, array, batched, inverse=False):
        """Turn (T, N, features) into the caller's layout, or back again."""
        if not batched:
            return array[:, None] if inverse else array[:, 0]
        return array.swapaxes(0, 1) if self.batch_first else array

    def _state_layout(self, state, batched):
        return state[None] if batched else state
