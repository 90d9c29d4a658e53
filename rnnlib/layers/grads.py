"""Where the shares of a weight's gradient are collected."""


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
