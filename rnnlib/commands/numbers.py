"""Numbers on a command line: functions for argparse that read one, and how a count is said."""

import argparse
import math


def number(kind, expected, good):
    """Return a function that reads a number of this kind, for argparse."""

    def read(word):
        try:
            value = kind(word)
        except ValueError:
            value = math.nan
        if not good(value):
            raise argparse.ArgumentTypeError(f"expected {expected}, got {word!r}")
        return value

    return read


count = number(int, "an integer of at least 1", lambda n: n >= 1)
whole = seed = number(int, "an integer of at least 0", lambda n: n >= 0)
positive = number(float, "a number > 0", lambda x: 0 < x < math.inf)
not_negative = number(float, "a number of at least 0", lambda x: 0 <= x < math.inf)
share = number(float, "a number from 0 to below 1", lambda x: 0 <= x < 1)
top_share = number(float, "a number above 0, at most 1", lambda x: 0 < x <= 1)


def plural(number, word):
    """Return "1 line" or "2 lines"."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"
