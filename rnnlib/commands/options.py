"""What can be asked for on the command line."""

import argparse
from pathlib import Path

from rnnlib.commands import check, sample, train
from rnnlib.commands.numbers import (
    count,
    not_negative,
    positive,
    seed,
    share,
    top_share,
    whole,
)

PROGRAM = "python -m rnnlib"


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


class Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Help that names a default where there is one."""

    def _get_help_string(self, action):
        return super()._get_help_string(action) if action.default else action.help


def read_options(arguments=None):
    """Return the options; ``run`` is the function of the command, ``program`` its name."""
    parser = Parser(prog=PROGRAM, description="A character model for a text of your own.")
    commands = parser.add_subparsers(metavar="command", required=True)
    for run, add_options, what in (
        (train.run, _train_options, "train a model on a text"),
        (sample.run, _sample_options, "let a trained model write"),
        (check.run, _check_options, "look at a text, the time a step takes, and the gradient"),
    ):
        name = run.__module__.rpartition(".")[2]
        command = commands.add_parser(
            name,
            help=what,
            description=f"{what[0].upper()}{what[1:]}.",
            formatter_class=Formatter,
        )
        command.set_defaults(run=run, program=command.prog)
        add_options(command)
    return parser.parse_args(arguments)


def _train_options(parser):
    parser.add_argument("text", type=Path, metavar="TEXT", help="a text file in UTF-8")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help="where the best model goes: a name that ends in .safetensors or .npz",
    )
    _network_options(parser)


def _check_options(parser):
    parser.add_argument("text", type=Path, metavar="TEXT", help="a text file in UTF-8")
    _network_options(parser)


def _network_options(parser):
    add = parser.add_argument
    add("--kind", default="GRU", choices=("RNN", "LSTM", "GRU"), help="of recurrent layer")
    add("--hidden", type=count, default=128, help="size of the embedding and of each state")
    add("--layers", type=count, default=2, help="recurrent layers on top of one another")
    add("--dropout", type=share, default=0.2, help="share of a layer's outputs that is dropped")
    add("--batch", type=count, default=16, help="streams of text that are read side by side")
    add("--window", type=count, default=64, help="characters that a gradient goes back")
    add("--steps", type=count, default=2000, help="updates of the weights")
    add("--lr", type=positive, default=4e-3, help="Adam's rate at the start; it falls to 0")
    add("--clip", type=positive, default=1.0, help="largest norm of the gradient")
    add("--every", type=count, default=100, help="steps between two validations")
    add("--seed", type=seed, default=0, help="of everything that is drawn")


def _sample_options(parser):
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL", help="a file that train has made")
    add("--prompt", default="", help="what the text starts with; without one, a new line")
    add("--length", type=whole, default=500, help="characters to draw")
    add("--temperature", type=not_negative, default=0.8, help="0 always takes the likeliest")
    add("--top-k", type=count, help="draw from the k likeliest characters only")
    add("--top-p", type=top_share, help="draw from the fewest that have this probability together")
    add("--seed", type=seed, help="to draw the same again")
