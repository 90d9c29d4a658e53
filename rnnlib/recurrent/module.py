"""The two ideas behind the family: a Module holds its own backward, and so does a Criterion.

As in Lua Torch's ``nn`` [Collobert, Kavukcuoglu and Farabet 2011], nothing records what was
computed: each module knows how to go back through its last ``forward``, and a network is a tree of
modules.  Chapter "Recurrent, from Lua to Python".
"""

import copy

import numpy as np
from array_api_compat import array_namespace, device, is_array_api_obj

from rnnlib import _checks
from rnnlib.recurrent.arrays import gradient_of


class Module:
    """Something that maps an input forward, and a gradient back.

    A subclass gives ``_forward(input) -> (output, cache)`` and
    ``_backward(d_output, cache) -> d_input``; the second adds the gradients of its own parameters
    to ``self.own_grads`` by ``_add``.  Input and output are arrays of one kind, NumPy's or torch's,
    or tables: lists and tuples of them.  Arrays that go in and come out are remembered, not copied:
    do not change them between ``forward`` and ``backward``.

    own: {name: array}, the parameters that are this module's and not a child's.
    children: {name: module}, the modules inside.  None may stand in a tree twice, since a module
        remembers one forward call: use ``shared_clone``.
    bound: ``reset`` draws the own parameters from U(-bound, bound).

    ``parameters`` and ``grads`` gather the arrays of the whole tree under names such as
    "feedback.weight", as torch.nn does, for ``rnnlib.optim``; an array that shared clones have in
    common is listed once.  Gradients add up over ``backward`` calls until ``zero_grad_parameters``.

    ``stochastic`` says whether something in the tree draws, and so takes a reward.

    ``output`` is what the last ``forward`` returned, until it was gone back through.  A copy or a
    pickle of a module remembers no call.
    """

    # Whether its input has time steps along the first axis.
    runs_sequences = False

    def __init__(self, own=None, children=None, bound=None):
        self.own, self.children, self.bound = dict(own or {}), dict(children or {}), bound
        for name, child in self.children.items():
            if not isinstance(child, Module):
                raise TypeError(f"{name}: expected a Module, got {child!r}")
        for name, array in self.own.items():
            if not is_array_api_obj(array):
                raise TypeError(f"{name}: expected an array, got {array!r}")
            _checks.floating(array_namespace(array), name, array)
        twice = _first_twice(self)
        if twice is not None:
            raise ValueError(
                f"{type(self).__name__}: expected each module once, got {type(twice).__name__} "
                "twice; use shared_clone() for a second one with the same weights"
            )
        self.own_grads = {
            name: array_namespace(array).zeros_like(array) for name, array in self.own.items()
        }
        self.train = True
        self._start_memory()

    def _start_memory(self):
        """Begin without anything remembered; a subclass that remembers more adds to it."""
        self._cache = self.output = None

    def forward(self, input):
        """Return the output, and remember what ``backward`` needs."""
        self._cache = self.output = None
        self.output, self._cache = self._forward(input)
        return self.output

    def __call__(self, input):
        return self.forward(input)

    def backward(self, d_output):
        """Return the gradient for the last input, given that for the output; add to ``grads``.

        d_output: like the output; None stands for zeros.

        Raises RuntimeError without a ``forward`` that was not gone back through; TypeError and
        ValueError for a d_output that does not fit, and then nothing has changed.  Where a module
        deeper inside raises, the call is forgotten: ``zero_grad_parameters``, and forward again.
        """
        if self.output is None:
            raise RuntimeError(
                f"backward: expected a forward call of {type(self).__name__} before it; "
                "each forward call can be gone back through once"
            )
        d_output = gradient_of("d_output", d_output, self.output)
        try:
            d_input = self._backward(d_output, self._cache)
        except BaseException:
            if self.children:
                self.forget()
            raise
        self._cache = self.output = None
        return d_input

    @property
    def stochastic(self):
        if not self.children:
            return type(self).reinforce is not Module.reinforce
        return any(child.stochastic for child in self.children.values())

    def reinforce(self, reward):
        """Hand the reward of the last ``forward`` to the stochastic modules inside."""
        for child in self._drawing():
            child.reinforce(reward)

    def _reinforce_step(self, reward):
        """Hand the reward of one time step to what drew in it: not to modules with steps inside."""
        if not self.children:
            self.reinforce(reward)
        for child in self._drawing():
            child._reinforce_step(reward)

    def _reinforce_inside(self, reward):
        """Hand the rewards of all time steps to the modules with steps inside."""
        for child in self._drawing():
            child._reinforce_inside(reward)

    def _drawing(self):
        return [child for child in self.children.values() if child.stochastic]

    def _keep_steps(self, count):
        """Let modules with steps inside keep the last ``count`` alone."""
        for child in self.children.values():
            child._keep_steps(count)

    def modules(self):
        """Yield this module and all inside it, parents first."""
        yield self
        for child in self.children.values():
            yield from child.modules()

    @property
    def parameters(self):
        """{name: array} of the whole tree."""
        return {p + name: a for p, module in self._owners() for name, a in module.own.items()}

    @property
    def grads(self):
        """{name: array} of the whole tree, under the names of ``parameters``."""
        return {p + name: a for p, module in self._owners() for name, a in module.own_grads.items()}

    def _owners(self):
        """Yield (prefix, module) for the modules of the tree, those that share weights once."""
        seen = set()
        for prefix, module in self._prefixed(""):
            if id(module.own) not in seen:
                seen.add(id(module.own))
                yield prefix, module

    def _prefixed(self, prefix):
        yield prefix, self
        for name, child in self.children.items():
            yield from child._prefixed(f"{prefix}{name}.")

    def zero_grad_parameters(self):
        """Set all gradients to 0, in place."""
        for grad in self.grads.values():
            grad[...] = 0

    def update_parameters(self, lr):
        """Take a step of gradient descent: every parameter less lr times its gradient, in place."""
        lr = _checks.positive("lr", lr)
        grads = self.grads
        for name, parameter in self.parameters.items():
            parameter -= lr * grads[name]

    def reset(self, rng=None):
        """Draw all parameters anew, in place; rng: a seed or a NumPy Generator."""
        rng = _checks.generator(rng)
        for _, module in self._owners():
            for array in module.own.values():
                new = rng.uniform(-module.bound, module.bound, tuple(array.shape))
                xp = array_namespace(array)
                array[...] = xp.asarray(new, dtype=array.dtype, device=device(array))
        return self

    def training(self):
        """Switch the whole tree to training: stochastic modules draw; returns the module."""
        return self._switch(True)

    def evaluate(self):
        """Switch the whole tree to evaluation: stochastic modules do not draw; returns it."""
        return self._switch(False)

    def _switch(self, train):
        self.train = train
        for child in self.children.values():
            child._switch(train)
        return self

    def forget(self):
        """Drop what was remembered in the whole tree, and the steps taken; returns the module."""
        self._cache = self.output = None
        for child in self.children.values():
            child.forget()
        return self

    def _drop(self):
        """Drop what was remembered for ``backward``, but no state of a recurrent module."""
        self._cache = self.output = None
        for child in self.children.values():
            child._drop()

    def clone(self):
        """Return a copy with weights, gradients and draws of its own, which remembers nothing."""
        return copy.deepcopy(self)

    def shared_clone(self):
        """Return a module with the same arrays for weights and gradients, and a memory of its own.

        What it was given after it was made (``training``, ``evaluate``) the clone does not follow;
        ``map`` and ``reset`` it does.
        """
        return self._cloned("shared_clone")

    def step_clone(self):
        """Return a shared clone for one more time step: recurrent modules inside are no copies."""
        return self._cloned("step_clone")

    def _cloned(self, how):
        clone = object.__new__(type(self))
        clone.__dict__.update(self.__dict__)
        clone.children = {name: getattr(child, how)() for name, child in self.children.items()}
        clone._start_memory()
        return clone

    def __getstate__(self):
        bare = object.__new__(type(self))
        bare.__dict__.update(self.__dict__)
        bare._start_memory()
        return bare.__dict__

    def map(self, function):
        """Replace each array of weights and gradients by function(array); returns the module.

        ``module.map(torch.from_numpy)`` makes a module that takes tensors: those of the weights and
        those that come in should not require gradients of torch's.  Shared clones follow.
        What was remembered is forgotten.  If the function raises, nothing has changed.
        """
        kinds = [d for _, module in self._owners() for d in (module.own, module.own_grads)]
        new = [{name: function(array) for name, array in arrays.items()} for arrays in kinds]
        for arrays, replaced in zip(kinds, new, strict=True):
            for name, array in replaced.items():
                _checks.shape(f"function's result for {name}", array, arrays[name].shape)
        for arrays, replaced in zip(kinds, new, strict=True):
            arrays.update(replaced)
        return self.forget()

    def _add(self, **grads):
        for name, grad in grads.items():
            self.own_grads[name] += grad

    def describe(self):
        """Return the line of the printed tree for this module alone, such as "Linear(3 -> 4)"."""
        return type(self).__name__

    def __repr__(self):
        lines = [self.describe()]
        for name, child in self.children.items():
            head, *rest = repr(child).splitlines()
            lines += [f"  ({name}): {head}", *(f"  {line}" for line in rest)]
        return "\n".join(lines)


class Criterion:
    """Something that compares an output with a target, and knows the gradient of the comparison.

    A subclass gives ``_forward(input, target) -> (loss, cache)`` and
    ``_backward(cache) -> d_input``.
    """

    def __init__(self):
        self._cache = None

    def forward(self, input, target):
        """Return the loss, and remember what ``backward`` needs."""
        self._cache = None
        loss, self._cache = self._forward(input, target)
        return loss

    def __call__(self, input, target):
        return self.forward(input, target)

    def backward(self):
        """Return the gradient of the last loss for its input.

        Raises RuntimeError without a ``forward`` that was not gone back through.
        """
        if self._cache is None:
            raise RuntimeError(
                f"backward: expected a forward call of {type(self).__name__} before it; "
                "each forward call can be gone back through once"
            )
        d_input = self._backward(self._cache)
        self._cache = None
        return d_input

    def describe(self):
        """Return what is printed for it."""
        return type(self).__name__

    def __repr__(self):
        return self.describe()


def uniform(shapes, bound, dtype, rng):
    """Return {name: array of that shape} from U(-bound, bound); rng: a seed or a Generator."""
    dtype, rng = floating_dtype(dtype), _checks.generator(rng)
    return {name: rng.uniform(-bound, bound, s).astype(dtype) for name, s in shapes.items()}


def floating_dtype(dtype):
    """Return NumPy's dtype, or raise TypeError unless it is one of floating-point numbers."""
    try:
        found = np.dtype(object if dtype is None else dtype)
    except TypeError:
        found = np.dtype(object)
    if found.kind != "f":
        raise TypeError(f"dtype: expected a floating-point type of NumPy, got {dtype!r}")
    return found


def _first_twice(tree):
    """Return a module that stands in the tree twice, or None."""
    seen = set()
    for module in tree.modules():
        if id(module) in seen:
            return module
        seen.add(id(module))
    return None
