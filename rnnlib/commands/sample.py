"""``python -m rnnlib sample``: text drawn from a trained model."""

import signal
import sys
import unicodedata

from rnnlib.character import CharacterModel, ModelFileError
from rnnlib.commands.reading import UserError


def run(options):
    """Print the prompt and what follows it, as it is drawn; return 0, or 130 after Ctrl-C."""
    try:
        model = CharacterModel.load(options.model)
    except ModelFileError as error:
        raise UserError(str(error)) from error
    prompt = options.prompt.replace("\r\n", "\n")
    check_prompt(prompt, model.vocabulary)
    start = prompt or first_symbol(model.vocabulary)
    how = options.temperature, options.top_k, options.top_p, options.seed
    drawn = 0
    try:
        print(prompt, end="", flush=True)
        for symbol in model.stream(start, options.length, *how):
            print(symbol, end="", flush=True)
            drawn += 1
    except ValueError as error:  # Weights may be infinite, or so large that scores are.
        print()
        raise UserError(f"{options.model}: {error}") from error
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Once is enough.
        print(flush=True)
        print(
            f"stopped by Ctrl-C after {drawn:,} of {options.length:,} characters", file=sys.stderr
        )
        return 130
    print()
    return 0


def check_prompt(prompt, vocabulary):
    """Raise UserError that names the first character that the model does not know."""
    for position, symbol in enumerate(prompt, 1):
        if symbol not in vocabulary.symbols:
            raise UserError(
                f"--prompt: expected characters that the model was trained on "
                f"({len(vocabulary)} symbols), got {named(symbol)} at place {position}"
            )


def first_symbol(vocabulary):
    """Return what a text without a prompt follows: a new line, or else the first symbol."""
    return "\n" if "\n" in vocabulary.symbols else vocabulary.symbols[0]


def named(symbol):
    """Return a character, outside ASCII with its code point and, if it has one, its name."""
    if symbol.isascii():
        return repr(symbol)
    name = unicodedata.name(symbol, "")
    return f"{symbol!r} (U+{ord(symbol):04X}{' ' if name else ''}{name})"
