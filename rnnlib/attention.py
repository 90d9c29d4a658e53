"""Additive attention, forward and backward: a weighted mean of a memory, weighed by a query.

For a query s_t and a memory h_1, ..., h_S

    e_tj = vᵀ tanh(W_q s_t + b + W_m h_j),  α_t = softmax(e_t),  c_t = Σ_j α_tj h_j

[Bahdanau, Cho and Bengio, "Neural machine translation by jointly learning to align and translate",
ICLR 2015, arXiv:1409.0473, section A.1.2, where W_q, W_m and v are W_a, U_a and v_a.]

The equations stand once for any array, as in ``rnnlib.cells``, and ``AdditiveAttention`` is a layer
on them.  The shares q = W_q s + b and k = W_m h come ready: each is one product for all steps, and
k serves every query.
"""

from typing import NamedTuple

import numpy as np
from array_api_compat import array_namespace

from rnnlib import _checks, cells
from rnnlib.layers.base import Layer
from rnnlib.layers.lengths import Lengths
from rnnlib.losses import softmax


def additive_attention_forward(q, k, memory, v, mask=None):
    """Attend to a memory with the queries of T steps at once.

    q: (T, N, A) and k: (S, N, A), the shares of query and memory; memory: (S, N, M); v: (A,).
    mask: (S, N) booleans, False where a sequence of the memory is over, or None.  There the weight
        is exactly 0; k and memory must be finite there, such as the zeros of ``unpadded``.  Each
        sequence has one position at least.
    Returns context (T, N, M), weights (T, N, S), and u: (T, N, S, A), the values of tanh, which the
    way back needs: T·N·S·A numbers, by far the largest array.
    """
    xp = array_namespace(q)
    u = xp.tanh(q[:, :, None, :] + xp.permute_dims(k, (1, 0, 2)))
    e = u @ v
    if mask is not None:
        e = xp.where(xp.permute_dims(mask, (1, 0)), e, xp.full_like(e, -xp.inf))
    weights = softmax(e)
    context = xp.permute_dims(weights, (1, 0, 2)) @ xp.permute_dims(memory, (1, 0, 2))
    return xp.permute_dims(context, (1, 0, 2)), weights, u


def additive_attention_backward(d_context, weights, u, memory, v):
    """Go back through ``additive_attention_forward``, which returned weights and u.

    d_context: (T, N, M), the gradient of the contexts.
    Returns (dq, dk, d_memory, dv), shaped like q, k, memory and v.  d_memory is the share of the
    weighted mean alone: k was made of the memory, too.  Where the mask was False, dk and d_memory
    are exactly 0, since the weight is a factor of both.
    """
    xp = array_namespace(d_context)
    dc = xp.permute_dims(d_context, (1, 0, 2))
    d_weights = xp.permute_dims(dc @ xp.permute_dims(memory, (1, 2, 0)), (1, 0, 2))
    d_memory = xp.permute_dims(xp.permute_dims(weights, (1, 2, 0)) @ dc, (1, 0, 2))
    de = weights * (d_weights - xp.sum(weights * d_weights, axis=-1, keepdims=True))
    dv = xp.reshape(de, (-1,)) @ xp.reshape(u, (-1, u.shape[-1]))
    slopes = de[..., None] * (1 - u * u)
    dk = xp.permute_dims(v * xp.sum(slopes, axis=0), (1, 0, 2))
    return v * xp.sum(slopes, axis=2), dk, d_memory, dv


def unpadded(memory, mask=None):
    """Return (S, N, M) with zeros where the mask (S, N) is False: not even NaN there counts."""
    if mask is None:
        return memory
    xp = array_namespace(memory)
    return xp.where(mask[..., None], memory, xp.zeros_like(memory))


class Projected(NamedTuple):
    """A memory that is ready for queries: what ``AdditiveAttention.project`` returns.

    memory: (S, N, M) without padding; k: (S, N, A), its share W_m h; mask: (S, N) or None.
    """

    memory: np.ndarray
    k: np.ndarray
    mask: np.ndarray | None

    def rows(self, index):
        """Return the memories of these sequences: integers in [0, N), in any order, even twice.

        With [n] * K the memory of sequence n serves K hypotheses of a beam search.
        """
        return Projected(*(a if a is None else a[:, index] for a in self))


class AdditiveAttention(Layer):
    """Contexts c_t = Σ_j α_tj h_j, with α_t = softmax_j(vᵀ tanh(W_q s_t + b + W_m h_j)).

    Parameters are named as in a torch module with three ``torch.nn.Linear``, called query, memory
    (without bias) and score (without bias), and drawn like theirs with ``rng`` (a seed or a NumPy
    Generator): query.weight (attention_size, query_size), query.bias (attention_size,),
    memory.weight (attention_size, memory_size), score.weight (1, attention_size).

    All T steps are done at once, so no query may depend on the context of a step before it.  Where
    it does, as when decoding, take one step a call, on a memory that was projected once::

        projected = attention.project(memory, lengths)
        context, weights = attention(query, projected)  # query: (1, N, query_size)

    Memory: T·N·S·attention_size numbers are kept for ``backward``, and about as many more are used
    for a moment, in ``backward`` twice as many.

    Raises TypeError or ValueError that names the argument, and RuntimeError for backward without a
    call before it.
    """

    def __init__(self, query_size, memory_size, attention_size, *, dtype=np.float64, rng=None):
        self.query_size = _checks.positive_int("query_size", query_size)
        self.memory_size = _checks.positive_int("memory_size", memory_size)
        self.attention_size = _checks.positive_int("attention_size", attention_size)
        Q, M, A = self.query_size, self.memory_size, self.attention_size
        shapes = {
            "query.weight": (A, Q),
            "query.bias": (A,),
            "memory.weight": (A, M),
            "score.weight": (1, A),
        }
        super().__init__(shapes, 1.0, dtype, rng)
        inputs = {"query": Q, "memory": M, "score": A}
        for name, p in self.parameters.items():
            p *= inputs[name.partition(".")[0]] ** -0.5

    def project(self, memory, lengths=None):
        """Return a ``Projected`` memory, which serves any number of calls without a new product.

        memory: (S, N, memory_size); lengths: N integers from 1 to S in any order, or None when all
            sequences have S positions.  What stands behind a sequence's end does not count.
        It holds for the parameters as they are now.
        """
        h = _checks.real_array("memory", memory, self.dtype)
        if h.ndim != 3 or not len(h):
            raise ValueError(
                f"memory: expected shape (S, N, {self.memory_size}) with at least one position, "
                f"got {h.shape}"
            )
        S, N, _ = h.shape
        _checks.shape("memory", h, (S, N, self.memory_size), "(memory_size last)")
        mask = None
        if lengths is not None:
            found = Lengths(lengths, S, N)
            mask = ~found.behind[:, found.inverse]
        h = unpadded(h, mask)
        return Projected(h, cells.linear(h, self.parameters["memory.weight"]), mask)

    def __call__(self, query, memory, lengths=None):
        """query: (T, N, query_size); memory: (S, N, memory_size), or what ``project`` returned.

        lengths: of the memory, as in ``project``; None for a projected one, which knows its own.
        Returns context (T, N, memory_size) and weights (T, N, S); the weights of a query add up to
        1, and behind a sequence's end they are exactly 0.
        """
        s = _checks.real_array("query", query, self.dtype)
        if isinstance(memory, Projected) and lengths is not None:
            raise ValueError(f"lengths: expected None, since project knows them, got {lengths!r}")
        ready = memory if isinstance(memory, Projected) else self.project(memory, lengths)
        if s.ndim != 3:
            raise ValueError(f"query: expected shape (T, N, {self.query_size}), got {s.shape}")
        S, N, _ = ready.memory.shape
        _checks.shape("memory", ready.memory, (S, N, self.memory_size), "(projected)")
        _checks.shape("memory", ready.k, (S, N, self.attention_size), "(projected by this layer)")
        _checks.shape("query", s, (len(s), N, self.query_size), "(N as in memory)")
        q = cells.linear(s, self.parameters["query.weight"], self.parameters["query.bias"])
        v = self.parameters["score.weight"][0]
        context, weights, u = additive_attention_forward(q, ready.k, ready.memory, v, ready.mask)
        # A copy: the caller may write to the weights.
        self._cache = s, ready.memory, weights.copy(), u
        return context, weights

    def backward(self, d_context):
        """d_context: shaped like context.  Returns d_query and d_memory, and fills ``grads``.

        Behind a sequence's end d_memory is exactly 0.
        """
        s, memory, weights, u = self._saved()
        dc = _checks.real_array("d_context", d_context, self.dtype)
        _checks.shape("d_context", dc, (*s.shape[:2], self.memory_size))
        p, A = self.parameters, self.attention_size
        v = p["score.weight"][0]
        dq, dk, d_memory, dv = additive_attention_backward(dc, weights, u, memory, v)
        d_query, d_weight_q, d_bias = cells.linear_backward(
            dq.reshape(-1, A), s.reshape(-1, self.query_size), p["query.weight"]
        )
        through_k, d_weight_m, _ = cells.linear_backward(
            dk.reshape(-1, A), memory.reshape(-1, self.memory_size), p["memory.weight"]
        )
        self._fill(
            {
                "query.weight": d_weight_q,
                "query.bias": d_bias,
                "memory.weight": d_weight_m,
                "score.weight": dv,
            }
        )
        return d_query.reshape(s.shape), d_memory + through_k.reshape(memory.shape)
