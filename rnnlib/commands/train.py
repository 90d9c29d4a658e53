"""``python -m rnnlib train``: a model trained on a text, the best one kept on the disk."""

import contextlib
import math
import secrets
import signal
import sys
import time

import numpy as np

from rnnlib.character import CharacterModel, ModelFileError, Training
from rnnlib.commands.numbers import plural
from rnnlib.commands.reading import UserError, cut, read_text
from rnnlib.commands.sample import first_symbol

SAMPLE_LENGTH, SAMPLE_TEMPERATURE = 300, 0.8


def run(options):
    """Train as the options say; return the exit code, 130 when it was stopped by Ctrl-C."""
    file = read_text(options.text)
    parts = cut(file, options.batch, options.window)
    model, training = new_model(options, parts)
    try_out(model, options.out)
    describe(options, file, parts, model)
    best = Best(options.out, math.log(len(parts.vocabulary)))
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # ``step`` raises for what comes of it.
            train(options, parts, model, training, best)
    except KeyboardInterrupt:
        stop(options, parts, model, training, best)
        return 130
    except FloatingPointError as error:
        step = training.optimizer.steps + 1
        raise UserError(f"step {step}: {error}; try a smaller --lr; {best}") from error
    if not best.step:
        raise UserError(f"{best}; try more --steps or a smaller --lr")
    say(f"\n{best}\n")
    show(options)
    return 0


def new_model(options, parts):
    """Return a model of the sizes asked for, and its training."""
    for_model, for_training = np.random.default_rng(options.seed).spawn(2)
    model = CharacterModel(
        parts.vocabulary,
        options.kind,
        options.hidden,
        options.layers,
        options.dropout,
        dtype=np.float32,
        rng=for_model,
    )
    training = Training(
        model,
        parts.train,
        batch=options.batch,
        window=options.window,
        steps=options.steps,
        lr=options.lr,
        clip=options.clip,
        rng=for_training,
    )
    return model, training


def try_out(model, path):
    """Write the model beside ``path`` and delete it, before there is work that can be lost.

    Raises UserError for a path that cannot be a model's or has something else in it.
    """
    if path.is_dir():
        raise UserError(f"--out: expected the name of a file, got the folder {path}")
    if path.exists():
        expected = "--out: expected a new name, or a model to replace"
        try:
            CharacterModel.load(path)
        except ModelFileError as error:
            raise UserError(f"{expected}; {error}") from error
        except OSError as error:
            raise UserError(f"{expected}; {path}: {error.strerror}") from error
    trial = path.with_name(f".{path.stem}.{secrets.token_hex(8)}{path.suffix}")
    try:
        model.save(trial)
    except ValueError as error:
        reason = str(error).removeprefix("path: ").replace(str(trial), str(path))
        raise UserError(f"--out: {reason}") from error
    except OSError as error:
        raise UserError(f"--out: {path} {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):  # What went wrong before says more.
            trial.unlink(missing_ok=True)


def describe(options, file, parts, model):
    """Say what is going to happen."""
    parameters = sum(p.size for p in model.parameters.values())
    say(
        f"{file.path}: {len(file.characters):,} characters, {len(parts.vocabulary)} symbols; "
        f"{len(parts.train):,} to train on, {len(parts.valid):,} to validate on"
    )
    say(
        f"{options.kind}, {plural(options.layers, 'layer')} of {options.hidden}: "
        f"{parameters:,} parameters; "
        f"{plural(options.steps, 'step')} of {options.batch} × {options.window} characters"
    )
    replaced = " (which replaces the one there)" if options.out.exists() else ""
    say(f"the best model goes to {options.out}{replaced}; Ctrl-C stops and keeps it\n")


def figure(loss):
    """Return a loss in at most nine characters."""
    return f"{loss:.4f}" if loss < 1000 else f"{loss:.2e}"


class Best:
    """The best model so far, in a file.

    guess: the loss of a uniform guess.  A model that is no better is not worth a file, least of all
    that of a model that was there before.
    """

    def __init__(self, path, guess):
        self.path, self.step, self.loss = path, 0, guess
        self.offers = 0

    def offer(self, model, step, loss):
        """Save the model if its loss is the lowest; return whether it is."""
        self.offers += 1
        if not loss < self.loss:
            return False
        model.save(self.path)
        self.step, self.loss = step, loss
        return True

    def __str__(self):
        if not self.offers:
            return f"no model was validated yet, and nothing was written to {self.path}"
        if not self.step:
            return (
                f"no model was better than a uniform guess, {self.loss:.4f} nats per character, "
                f"and nothing was written to {self.path}"
            )
        return (
            f"the best model, of step {self.step}, is in {self.path}: validation loss "
            f"{self.loss:.4f} nats, {self.loss / math.log(2):.4f} bits per character"
        )


def train(options, parts, model, training, best):
    """Take all steps; validate now and then, and keep the best model."""
    say(f"{'step':>7} {'seconds':>8} {'training':>9} {'validation':>11} {'bits':>9}")
    start, losses = time.monotonic(), []
    for step in progress(options.steps):
        losses.append(training.step())
        if step % options.every and step != options.steps:
            continue
        loss = validate(options, parts, model)
        kept = "  kept" if best.offer(model, step, loss) else ""
        seconds = time.monotonic() - start
        mean, validation, bits = map(figure, (np.mean(losses), loss, loss / math.log(2)))
        say(f"{step:7} {seconds:8.1f} {mean:>9} {validation:>11} {bits:>9}{kept}")
        losses.clear()


def validate(options, parts, model):
    """Return the loss on what is not trained on, in nats per character."""
    return model.evaluate(parts.valid, parts.streams, options.window)


def stop(options, parts, model, training, best):
    """Say where Ctrl-C stopped it; with no model kept yet, validate and offer this one first.

    A second Ctrl-C cuts the validation short; the saving that may follow hears none.
    """
    steps, loss = training.optimizer.steps, None
    if steps and not best.step:
        with contextlib.suppress(KeyboardInterrupt), np.errstate(over="ignore", invalid="ignore"):
            say("Ctrl-C: validates once, to keep what was learnt; press it again to stop at once")
            loss = validate(options, parts, model)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if loss is not None:
        best.offer(model, steps, loss)
    print(f"stopped by Ctrl-C in step {steps + 1}; {best}", file=sys.stderr)


def show(options):
    """Let the model that was kept write."""
    model = CharacterModel.load(options.out)
    prompt = first_symbol(model.vocabulary)
    say(model.sample(prompt, SAMPLE_LENGTH, SAMPLE_TEMPERATURE, rng=options.seed).strip("\n"))


def progress(steps):
    """Count from 1 to ``steps``, with tqdm's bar where it is installed and stderr is a terminal."""
    tqdm = _tqdm()
    numbers = range(1, steps + 1)
    if tqdm is None or not sys.stderr.isatty():
        return numbers
    return tqdm(numbers, desc="training", unit="step", leave=False, dynamic_ncols=True)


def say(line):
    """Print a line now, above the bar if there is one."""
    tqdm = _tqdm()
    (tqdm.write if tqdm else print)(line)
    sys.stdout.flush()


def _tqdm():
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm
