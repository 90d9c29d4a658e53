"""The linear layer."""

import numpy as np

from rnnlib import _checks, cells
from rnnlib.layers.base import Layer


class Linear(Layer):
    """y = x Wᵀ + b over the last axis, like ``torch.nn.Linear``.

    Parameters: weight (out_features, in_features) and bias (out_features,), drawn from
    U(-1/√in_features, 1/√in_features) with ``rng`` (a seed or a NumPy Generator).
    """

    def __init__(self, in_features, out_features, bias=True, *, dtype=np.float64, rng=None):
        self.in_features = _checks.positive_int("in_features", in_features)
        self.out_features = _checks.positive_int("out_features", out_features)
        shapes = {"weight": (out_features, in_features)}
        if _checks.flag("bias", bias):
            shapes["bias"] = (out_features,)
        super().__init__(shapes, in_features**-0.5, dtype, rng)

    def __call__(self, input):
        """input: (..., in_features).  Returns (..., out_features)."""
        x = _checks.real_array("input", input, self.dtype)
        _checks.shape("input", x, (*x.shape[:-1], self.in_features), "(in_features last)")
        self._cache = x
        return cells.linear(x, self.parameters["weight"], self.parameters.get("bias"))

    def backward(self, d_output):
        """d_output: shaped like the output.  Returns d_input, and fills ``grads``."""
        x = self._saved()
        d_output = _checks.real_array("d_output", d_output, self.dtype)
        _checks.shape("d_output", d_output, (*x.shape[:-1], self.out_features))
        dx, d_weight, d_bias = cells.linear_backward(
            d_output.reshape(-1, self.out_features),
            x.reshape(-1, self.in_features),
            self.parameters["weight"],
        )
        self._fill({"weight": d_weight, "bias": d_bias})
        return dx.reshape(x.shape)
