"""``python -m rnnlib``: train a character model on a text of your own, sample from it, check both.

Results go to stdout.  An error is one line on stderr, and the exit code is 2; 1 is for a check that
has found something wrong, and 130 for Ctrl-C.
"""

import os
import sys

from rnnlib.commands.options import read_options
from rnnlib.commands.reading import UserError


def main(arguments=None):
    """Run one command; return its exit code.

    arguments: a list of words, or None for those of the command line.
    Raises SystemExit for options that are none, and KeyboardInterrupt.
    """
    options = read_options(arguments)
    try:
        # What a model writes need not be in the alphabet of the terminal's old code page.
        sys.stdout.reconfigure(encoding="utf-8")
        code = options.run(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # The reader, such as ``head``, has had enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MemoryError as error:
        reason = f"not enough memory: {error}"
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    except (UserError, ImportError) as error:
        reason = str(error)
    print(f"{options.program}: {' '.join(reason.splitlines())}", file=sys.stderr)
    return 2
