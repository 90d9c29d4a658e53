"""Where the shares of a weight's gradient are collected."""

import numpy as np


class Grads:
    """The gradients of one sweep's weights, collected from block to block, last block first.

    arrays: dict of the arrays to fill.  The first share of each overwrites what was there.
    """

    def __init__(self, arrays):
        self.arrays = arrays
        self._begun = set()

    def add(self, name, share):
        """Add a share of the array's shape."""
        if name in self._begun:
            self.arrays[name] += share
        else:
            self.arrays[name][...] = share
            self._begun.add(name)

    def add_product(self, name, left, right):
        """Add left @ right, without a temporary array for the first share."""
        if name in self._begun:
            self.arrays[name] += left @ right
        else:
            np.matmul(left, right, out=self.arrays[name])
            self._begun.add(name)
