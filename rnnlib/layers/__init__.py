"""Layers on NumPy with hand-written backward passes, in torch.nn's names and shapes.

Which file does what, from the outside in: ``networks`` and ``one_step`` are the layers and cells a
user makes; ``recurrent`` arranges depth, direction, dropout and lengths; ``sweep`` runs one
direction of one layer over time; ``plain`` and ``columns`` run a block of steps, by
``rnnlib.sequences`` and by a fast form of it, whose cells stand in ``column_cells``; ``grads``
collects the weights' shares, and ``memory`` keeps the fast form's arrays.
"""

from rnnlib.layers.base import Layer
from rnnlib.layers.linear import Linear
from rnnlib.layers.networks import GRU, LSTM, RNN
from rnnlib.layers.one_step import Cell, GRUCell, LSTMCell, RNNCell

__all__ = ["GRU", "LSTM", "RNN", "Cell", "GRUCell", "LSTMCell", "Layer", "Linear", "RNNCell"]
