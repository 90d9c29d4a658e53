"""The equations of each cell, forward and backward, written once for any array.

The functions follow the array API standard, so the same lines run on NumPy arrays and on torch
tensors, on the CPU and on a GPU.  A batch is rows: shapes are (N, features), or (T*N, features)
where a product serves all time steps at once.

A cell is one time step.  Its input's share ``a`` = W_ih x + b_ih comes ready, because a layer
computes it for all steps in one product.  Its backward step takes the whole gradient of the new
state, from the loss of this step and from all later steps, and returns the gradients of ``a`` and
of the state before.  The weights' gradients are sums over time and batch of one step's share, and
such a sum is one product of rows: ``da.T @ x`` for W_ih, ``da.T @ h_prev`` for W_hh, and the sum
of the rows of ``da`` for the biases, unless a cell says otherwise.

The formulas are derived in the chapters "A recurrent network and backpropagation through time",
"The LSTM" and "The GRU, twice".
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


def jordan_forward(a, y_prev, weight_yh, weight_hy, bias_yh=None, bias_hy=None):
    """One step of a network that feeds back its output [Jordan 1986].

    h = tanh(a + y_prev W_yhᵀ + b_yh),  y = tanh(h W_hyᵀ + b_hy)

    a: (N, H); y_prev: (N, O); weight_yh: (H, O); weight_hy: (O, H); bias_yh: (H,) or None;
    bias_hy: (O,) or None.  Returns (y, h), of shapes (N, O) and (N, H).
    """
    xp = array_namespace(a)
    h = xp.tanh(a + linear(y_prev, weight_yh, bias_yh))
    return xp.tanh(linear(h, weight_hy, bias_hy)), h


def jordan_backward(dy, y, h, weight_yh, weight_hy):
    """Go back through one step of ``jordan_forward``, which returned y and h.

    dy: (N, O), the whole gradient that reaches y.
    Returns (da, ds, dy_prev): the gradients of the sums inside the first and the second tanh,
    (N, H) and (N, O), and of y_prev, (N, O).  W_hy receives ds.T @ h, and W_yh da.T @ y_prev.
    """
    ds = dy * (1 - y * y)
    da = ds @ weight_hy * (1 - h * h)
    return da, ds, da @ weight_yh


def _split(packed, parts):
    """Cut the last axis into equal parts, such as the gates of a packed sum."""
    size = packed.shape[-1] // parts
    return [packed[..., k * size : (k + 1) * size] for k in range(parts)]


def _join(parts):
    return array_namespace(*parts).concat(parts, axis=-1)


def lstm_forward(a, h_prev, c_prev, weight_hh, bias_hh=None, *, peephole=None, weight_hr=None):
    """One step of the LSTM [Hochreiter and Schmidhuber 1997; Gers et al. 2000, forget gate].

    i, f, o = σ(…), g = tanh(…) of the packed sum a + h_prev W_hhᵀ + b_hh,
    c = f∘c_prev + i∘g,  h = o∘tanh(c)

    a: (N, 4H), gates packed i, f, g, o as in torch; h_prev: (N, R); c_prev: (N, H);
    weight_hh: (4H, R); bias_hh: (4H,) or None.  R is H, or the rows of weight_hr.
    peephole: (3H,), packed i, f, o, or None: the gates also see the cell, i and f the old one
        (p_i∘c_prev, p_f∘c_prev) and o the new one (p_o∘c) [Gers and Schmidhuber 2000].
    weight_hr: (R, H) or None: the projection h = (o∘tanh(c)) W_hrᵀ [Sak et al. 2014].
    Returns (h, c), of shapes (N, R) and (N, H), and the cache for ``lstm_backward``.
    """
    a_i, a_f, a_g, a_o = _split(a + linear(h_prev, weight_hh, bias_hh), 4)
    if peephole is not None:
        p_i, p_f, p_o = _split(peephole, 3)
        a_i, a_f = a_i + p_i * c_prev, a_f + p_f * c_prev
    i, f = _sigmoid(a_i), _sigmoid(a_f)
    g = array_namespace(a).tanh(a_g)
    c = f * c_prev + i * g
    o = _sigmoid(a_o if peephole is None else a_o + p_o * c)
    r = array_namespace(a).tanh(c)
    h = o * r if weight_hr is None else linear(o * r, weight_hr)
    return (h, c), (i, f, g, o, r, c_prev)


def lstm_backward(dh, dc, cache, weight_hh, *, peephole=None, weight_hr=None):
    """Go back through one step of ``lstm_forward``.

    dh: (N, R) and dc: (N, H), the whole gradients that reach h and c from outside this step.
    Returns (da, dh_prev, dc_prev): (N, 4H), packed i, f, g, o; (N, R); (N, H).
    weight_hr receives dh.T @ (o∘r); the peepholes receive the sums over the rows of da_i∘c_prev,
    da_f∘c_prev and da_o∘c.
    """
    i, f, g, o, r, c_prev = cache
    dm = dh if weight_hr is None else dh @ weight_hr
    da_o = dm * r * o * (1 - o)
    dc = dc + dm * o * (1 - r * r)
    if peephole is not None:
        p_i, p_f, p_o = _split(peephole, 3)
        dc = dc + da_o * p_o
    da_i = dc * g * i * (1 - i)
    da_f = dc * c_prev * f * (1 - f)
    da_g = dc * i * (1 - g * g)
    da = _join([da_i, da_f, da_g, da_o])
    dc_prev = dc * f
    if peephole is not None:
        dc_prev = dc_prev + da_i * p_i + da_f * p_f
    return da, da @ weight_hh, dc_prev


def gru_forward(a, h_prev, weight_hh, bias_hh=None):
    """One step of the GRU of torch and cuDNN, which resets after the recurrent product.

    r, z = σ(…), n = tanh(a_n + r∘m) with m = W_hn h_prev + b_hn,  h = (1 - z)∘n + z∘h_prev

    a: (N, 3H), gates packed r, z, n as in torch; h_prev: (N, H); weight_hh: (3H, H);
    bias_hh: (3H,) or None.  Returns h, (N, H), and the cache for ``gru_backward``.
    """
    a_r, a_z, a_n = _split(a, 3)
    s_r, s_z, m = _split(linear(h_prev, weight_hh, bias_hh), 3)
    r, z = _sigmoid(a_r + s_r), _sigmoid(a_z + s_z)
    n = array_namespace(a).tanh(a_n + r * m)
    return (1 - z) * n + z * h_prev, (r, z, n, m, h_prev)


def gru_backward(dh, cache, weight_hh):
    """Go back through one step of ``gru_forward``.

    dh: (N, H), the whole gradient that reaches h.
    Returns (da, ds, dh_prev).  da: (N, 3H) reaches the input's share; ds: (N, 3H) reaches the
    recurrent sum, whose last part stands behind the reset gate.  So W_hh receives ds.T @ h_prev,
    and b_hh the sum of the rows of ds.
    """
    r, z, n, m, h_prev = cache
    da_n = dh * (1 - z) * (1 - n * n)
    da_z = dh * (h_prev - n) * z * (1 - z)
    da_r = da_n * m * r * (1 - r)
    ds = _join([da_r, da_z, da_n * r])
    return _join([da_r, da_z, da_n]), ds, dh * z + ds @ weight_hh


def gru_reset_before_forward(a, h_prev, weight_hh, bias_hh=None):
    """One step of the GRU that resets before the recurrent product [Cho et al. 2014].

    r, z = σ(…), n = tanh(a_n + W_hn (r∘h_prev) + b_hn),  h = (1 - z)∘n + z∘h_prev

    The sense of z and the packing r, z, n are torch's.
    Shapes and results as in ``gru_forward``.
    """
    H = h_prev.shape[-1]
    b_rz, b_n = (None, None) if bias_hh is None else (bias_hh[: 2 * H], bias_hh[2 * H :])
    r, z = _split(_sigmoid(a[..., : 2 * H] + linear(h_prev, weight_hh[: 2 * H], b_rz)), 2)
    q = r * h_prev
    n = array_namespace(a).tanh(a[..., 2 * H :] + linear(q, weight_hh[2 * H :], b_n))
    return (1 - z) * n + z * h_prev, (r, z, n, h_prev)


def gru_reset_before_backward(dh, cache, weight_hh):
    """Go back through one step of ``gru_reset_before_forward``.

    dh: (N, H), the whole gradient that reaches h.
    Returns (da, dh_prev), (N, 3H) and (N, H).  The rows of W_hh for n saw q = r∘h_prev: they
    receive da_n.T @ q; those for r and z receive da_r.T @ h_prev and da_z.T @ h_prev.
    """
    r, z, n, h_prev = cache
    H = h_prev.shape[-1]
    da_n = dh * (1 - z) * (1 - n * n)
    dq = da_n @ weight_hh[2 * H :]
    da_z = dh * (h_prev - n) * z * (1 - z)
    da_r = dq * h_prev * r * (1 - r)
    da_rz = _join([da_r, da_z])
    return _join([da_rz, da_n]), dh * z + dq * r + da_rz @ weight_hh[: 2 * H]
