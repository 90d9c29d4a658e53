"""The layers of ``rnnlib`` as torch modules, in the place of torch.nn's.

``layers`` and ``cells`` take and return what torch.nn takes and returns; ``function`` makes of
``rnnlib.sequences`` an operation that torch can differentiate.
"""

from rnnlib.torch.cells import GRUCell, LSTMCell, RNNCell
from rnnlib.torch.layers import GRU, LSTM, RNN

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell"]
