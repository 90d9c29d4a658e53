"""Working memory that a layer keeps from call to call."""

import math

import numpy as np


class Memory:
    """Arrays by name, used again in the next call: fresh memory can cost more than arithmetic."""

    def __init__(self, dtype):
        self.dtype = dtype
        self._flat, self._views, self._parts = {}, {}, {}

    def __call__(self, key, *shape):
        """Return an array of this shape, with whatever stands in it."""
        size = math.prod(shape)
        if key not in self._flat or self._flat[key].size < size:
            self._flat[key] = np.empty(size, self.dtype)
            self._views.clear()
        return self._flat[key][:size].reshape(shape)

    def views(self, key, sizes, cut):
        """Return cut(), views of arrays of this memory, as they were for the same sizes before.

        Cutting an array into its steps and gates takes Python as long as a small product.
        """
        if self._views.get(key, (None,))[0] != sizes:
            views = cut()
            self._views[key] = sizes, views
        return self._views[key][1]

    def part(self, number):
        """Return the memory of one share of the work."""
        return self._parts.setdefault(number, Memory(self.dtype))
