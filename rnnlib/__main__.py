"""``python -m rnnlib``: see ``rnnlib.commands``."""

import contextlib
import os
import signal
import sys

# The products of one step are small, and threads wait for one another in them: on a busy machine
# two made a step take fourteen times as long.  NumPy's BLAS reads this when it is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def main():
    """Run the command line; return the exit code."""
    try:
        from rnnlib import commands  # Here, so that Ctrl-C is heard while it loads.

        return commands.main()
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Once is enough.
        print("stopped by Ctrl-C before there was a result", file=sys.stderr)
        return 130


if __name__ == "__main__":
    code = main()
    if code == 130:
        # At its end Python would die of SIGINT if that had come amid an exec() of some library,
        # even though it was caught.
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(code)
    sys.exit(code)
