"""A language model over characters on NumPy's layers: train it, sample from it, keep it in a file.

``model`` is the network, ``files`` its file, ``training`` the way to a trained one; the command
line in ``rnnlib.commands`` stands on these three.
"""

from rnnlib.character.files import ModelFileError
from rnnlib.character.model import CharacterModel
from rnnlib.character.training import Training

__all__ = ["CharacterModel", "ModelFileError", "Training"]
