"""The layers of ``rnnlib`` as torch modules, in the place of torch.nn's.

``layers`` and ``cells`` take and return what torch.nn takes and returns, and share ``module``;
``function`` makes of a run over a sequence an operation that torch can differentiate; ``ladder``
says by which program it runs: step by step (``loop``), by ``rnnlib.sequences``, in place
(``inplace``), by recorded kernels (``graph``) or by ``kernels`` in Triton.

The cells are torch.nn's classes with another ``forward``.  The layers are ``torch.nn.RNNBase``, not
``torch.nn.LSTM`` and so on, because ``torch.compile`` leaves those out of its graphs.  A compiled
layer is unrolled over time: each length is compiled anew.
"""

from rnnlib.torch.cells import GRUCell, LSTMCell, RNNCell
from rnnlib.torch.layers import GRU, LSTM, RNN

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell"]
