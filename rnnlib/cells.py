"""The equations of each cell, forward and backward, written once for any array.

The functions follow the array API standard, so the same lines run on NumPy arrays and on torch
tensors, on the CPU and on a GPU.  A batch is rows: shapes are (N, features), or (T*N, features)
where a product serves all time steps at once.

The formulas are derived in the chapter "A recurrent network and backpropagation through time".
"""

from array_api_compat import array_namespace


def linear(x, weight, bias=None):
    """Return x Wᵀ + b.

    x: (M, I), weight: (O, I), bias: (O,) or None.  Result: (M, O).
    """
    y = x @ weight.T
    return y if bias is None else y + bias


def linear_backward(dy, x, weight):
    """Return the gradients (dx, dweight, dbias) of ``linear``.

    dy: (M, O) is the incoming gradient; x: (M, I) and weight: (O, I) are the forward's inputs.
    Over T time steps M = T*N: then ``dy.T @ x`` is the sum over time and batch, as one product.
    """
    xp = array_namespace(dy)
    return dy @ weight, dy.T @ x, xp.sum(dy, axis=0)


def _sigmoid(a):
    # The form with tanh never overflows; 1 / (1 + exp(-a)) does for a = -1000.
    return 0.5 * (1 + array_namespace(a).tanh(a / 2))


def _relu(a):
    xp = array_namespace(a)
    # Not where(a > 0, a, 0), which would turn NaN into 0.
    return xp.maximum(a, xp.zeros_like(a))


# Each nonlinearity f with its slope, written in terms of the output h = f(a): backward then
# needs h alone, and the forward pass need not keep a.
NONLINEARITIES = {
    "tanh": (lambda a: array_namespace(a).tanh(a), lambda h: 1 - h * h),
    "relu": (_relu, lambda h: array_namespace(h).astype(h > 0, h.dtype)),
    "sigmoid": (_sigmoid, lambda h: h * (1 - h)),
}


def rnn_forward(a, h_prev, weight_hh, bias_hh=None, nonlinearity="tanh"):
    """One step of the Elman network [Elman 1990]: h = f(a + h_prev W_hhᵀ + b_hh).

    a: (N, H), the input's share W_ih x + b_ih, which a layer computes for all steps at once.
    h_prev: (N, H); weight_hh: (H, H); bias_hh: (H,) or None.
    nonlinearity: "tanh", "relu" or "sigmoid".
    Returns the new state h: (N, H).  It is all that the backward step needs to keep.
    """
    f, _ = NONLINEARITIES[nonlinearity]
    return f(a + linear(h_prev, weight_hh, bias_hh))


def rnn_backward(dh, h, weight_hh, nonlinearity="tanh"):
    """Go back through one step of ``rnn_forward``.

    dh: (N, H), the whole gradient that reaches h: from this step's output and from the next step.
    h: (N, H), the state that the forward step returned.
    Returns (da, dh_prev), both (N, H): the gradients of the sum inside f and of the state before.
    The slope of relu at 0 is taken as 0, as torch does.
    """
    _, slope = NONLINEARITIES[nonlinearity]
    da = dh * slope(h)
    return da, da @ weight_hh
