"""Train the character model on any number of processes.

    torchrun --nproc-per-node=2 experiments/train_ddp.py --out runs/moby
    python experiments/train_ddp.py --out runs/moby             # one process, the same curve

The text is cut into B = --batch long streams, side by side.  Each of P processes owns B / P of them
and walks along all of its streams, --window steps at a time.  A stream's hidden state is carried
from window to window, without its gradient; an epoch starts with zeros.  Each process takes the
mean loss of its own streams, and torch's DistributedDataParallel the mean of the P gradients: that
is the mean over all B streams, whatever P is.  Nothing is drawn but the initial weights, on every
process from the same seed.

Every --save-every steps process 0 writes checkpoint.safetensors into --out, whole or not at all,
and the same command goes on from there, also with another number of processes.  All processes read
it, so on several machines the folder has to be shared.  On the CPU a resumed curve is that of an
uninterrupted run, bit for bit with as many processes and up to rounding with another number.  At
the end there is losses.json: the mean loss of each step, in nats per character, and the loss on the
first characters of the last tenth of the text, which is not trained on.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT)]

import results_file  # noqa: E402
from character_model import CharacterModel, Streams  # noqa: E402
from processes import OptionError, gathered, join_group, mean, share  # noqa: E402

from rnnlib import data, saving, text  # noqa: E402
from rnnlib.commands.numbers import count, positive  # noqa: E402

TRAINING_PART, VALIDATION_LENGTH = 0.9, 40_001
# With one of these changed it is another run, and a checkpoint does not fit.
DECIDING = "kind layers hidden batch window dtype lr clip seed text_sha256".split()


def read_options(arguments=None):
    """Return the options of the command line, with the text and its hash."""

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder for losses.json and the checkpoint")
    add("--data", default="moby_dick", choices=sorted(data.FILES), help="a text of rnnlib.data")
    add("--text", type=Path, help="a file to train on in its place, in UTF-8")
    add("--kind", default="LSTM", choices=("RNN", "LSTM", "GRU"))
    add("--hidden", type=count, default=256, help="size of embedding and state")
    add("--layers", type=count, default=1)
    add("--batch", type=count, default=32, help="streams, over all processes")
    add("--window", type=count, default=64, help="time steps that a gradient goes back")
    add("--steps", type=count, default=2000)
    add("--lr", type=positive, default=2e-3, help="Adam's rate")
    add("--clip", type=positive, default=1.0, help="largest norm of the gradient")
    add("--dtype", default="float32", choices=("float32", "float64"))
    add("--seed", type=int, default=0)
    add("--save-every", type=count, default=100, help="steps between two checkpoints")
    add("--device", choices=("cpu", "cuda"), help="cuda where there is one")
    options = parser.parse_args(arguments)
    options.device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    content = (options.text or data.fetch(options.data)).read_bytes()
    options.text_sha256 = hashlib.sha256(content).hexdigest()
    options.characters = content.decode("utf-8")
    return options


class Training:
    """A model on its way through a text; it starts from the checkpoint in --out if there is one."""

    def __init__(self, options, device):
        self.options, self.path = options, options.out / "checkpoint.safetensors"
        self.mine = share(options.batch)
        V = self.read_text(device)
        torch.manual_seed(options.seed)
        self.model = CharacterModel(options.kind, V, options.hidden, options.layers)
        self.model.to(device, getattr(torch, options.dtype))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=options.lr)
        self.step, self.losses, self.validation = 0, [], []
        self.state = self.zero_state()
        if self.path.exists():
            self.load()
        self.check_steps()
        self.parallel = DistributedDataParallel(self.model)
        self.settle_buckets()

    def read_text(self, device):
        """Cut the text into streams for training and validation; return its vocabulary's size."""
        part, o = "the text", self.options
        try:
            vocabulary = text.Vocabulary.from_text(o.characters)
            train, rest = text.split(vocabulary.encode(o.characters), TRAINING_PART)
            part = f"the text's first {TRAINING_PART:.0%}, for training"
            self.train = Streams(train, o.batch, o.window, self.mine, device)
            part = f"the text's last {1 - TRAINING_PART:.0%}, for validation"
            valid = rest[:VALIDATION_LENGTH]
            self.valid = Streams(valid, o.batch, o.window, self.mine, device)
        except ValueError as error:
            raise OptionError(
                f"--text, --batch {o.batch}, --window {o.window}: {part}: {error}"
            ) from error
        return len(vocabulary)

    def zero_state(self):
        return self.model.zero_state(self.mine.stop - self.mine.start)

    def loss(self, model, window, state):
        """Return the mean loss over this process's part of a window, and the state after."""
        inputs, targets = window
        scores, state = model(inputs, state)
        return cross_entropy(scores.flatten(0, 1), targets.flatten()), state

    def settle_buckets(self):
        # DDP sorts its buckets anew after the first backward.  Three or more processes then add in
        # another order.  After this pass for nothing, a resumed run adds as the first one did.
        self.loss(self.parallel, self.train.window(0), self.state)[0].backward()
        self.optimizer.zero_grad()

    def differentiate(self):
        """Leave the gradient of the next window's loss in the parameters; return that loss."""
        k = self.step % self.train.count
        state = self.zero_state() if k == 0 else self.state
        self.optimizer.zero_grad()
        loss, state = self.loss(self.parallel, self.train.window(k), state)
        loss.backward()
        self.state = state.detach()
        return mean(loss)

    def update(self):
        """Take one step."""
        self.losses.append(self.differentiate())
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.options.clip)
        self.optimizer.step()
        self.step += 1

    @torch.no_grad()
    def validate(self):
        """Return the mean loss over the validation text."""
        state, total = self.zero_state(), 0.0
        for k in range(self.valid.count):
            loss, state = self.loss(self.model, self.valid.window(k), state)
            total = total + loss
        return mean(total / self.valid.count)

    def run(self):
        """Train to the last step, with a checkpoint now and then and at the end."""
        left = range(self.step, self.options.steps)
        if dist.get_rank() == 0:
            left = tqdm(left, initial=self.step, total=self.options.steps, desc="steps")
        for _ in left:
            self.update()
            if self.step % self.options.save_every == 0 or self.step == self.options.steps:
                self.validation.append([self.step, self.validate()])
                self.save()

    def deciding(self):
        return {name: getattr(self.options, name) for name in DECIDING}

    def save(self):
        """Write the checkpoint from process 0, with the states of all streams."""
        states = gathered(self.state, axis=2)
        if dist.get_rank() != 0:
            return
        arrays = {"states": states} | {f"model.{k}": w for k, w in self.model.state_dict().items()}
        for number, kept in self.optimizer.state_dict()["state"].items():
            arrays |= {f"optimizer.{number}.{name}": value for name, value in kept.items()}
        arrays = {name: array.cpu() for name, array in arrays.items()}
        run = {"step": self.step, "options": self.deciding(), "validation": self.validation}
        arrays["losses"] = self.losses
        saving.save_file(arrays, self.path, {"run": json.dumps(run)})

    def load(self):
        """Go on from the checkpoint; raises OptionError where it is of another run."""
        metadata = saving.load_metadata(self.path)
        if "run" not in metadata:
            raise OptionError(f"--out: expected a checkpoint of this script, got {self.path}")
        run = json.loads(metadata["run"])
        for name, given in self.deciding().items():
            if given != run["options"][name]:
                option = "text" if name == "text_sha256" else name
                raise OptionError(
                    f"--{option}: expected {run['options'][name]} as in {self.path}, got {given}; "
                    "name another folder by --out to start anew"
                )
        arrays = saving.load_file(self.path)
        self.step, self.validation = run["step"], run["validation"]
        self.losses = arrays.pop("losses").tolist()
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        self.state = tensors.pop("states")[:, :, self.mine].to(self.state.device)
        kept = {}
        for name in [name for name in tensors if name.startswith("optimizer.")]:
            _, number, what = name.split(".")
            kept.setdefault(int(number), {})[what] = tensors.pop(name)
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": kept})
        weights = {name.removeprefix("model."): tensor for name, tensor in tensors.items()}
        self.model.load_state_dict(weights)

    def check_steps(self):
        """Raise unless all processes have read the same checkpoint, and steps are left to take."""
        steps = gathered(torch.tensor([self.step], device=self.state.device), axis=0).tolist()
        if len(set(steps)) > 1:
            raise OptionError(
                f"--out: expected a folder that all processes share, got checkpoints at steps "
                f"{steps}"
            )
        if self.step > self.options.steps:
            raise OptionError(
                f"--steps: expected at least {self.step}, which {self.path} has taken, "
                f"got {self.options.steps}"
            )


def about(options, device):
    """Return what a reader needs to judge the curve."""
    return results_file.about(
        "experiments/train_ddp.py",
        options.seed,
        ("numpy", "torch"),
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        processes=dist.get_world_size(),
        threads=torch.get_num_threads(),
        text=options.text.name if options.text else options.data,
    )


def train(options, device):
    """Train to the last step, and write losses.json."""
    options.out.mkdir(parents=True, exist_ok=True)
    training = Training(options, device)
    training.run()
    result = {
        "about": about(options, device) | {"options": training.deciding()},
        "losses": training.losses,
        "validation": training.validation,
    }
    if dist.get_rank() == 0:
        results_file.write({"losses.json": results_file.as_json(result)}, options.out)


def main(arguments=None):
    """Train as the command line says."""
    options = read_options(arguments)
    device = join_group(options.device)
    try:
        # In a function, at whose end DDP's reducer goes.  The last owner of a gloo group waits for
        # its threads.  The reducer would do so without letting go of Python's lock, which they may
        # need to free a tensor: the process would now and then hang.
        train(options, device)
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    try:
        main()
    except OptionError as error:
        sys.exit(f"train_ddp.py: {error}")
