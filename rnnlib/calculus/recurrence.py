"""Recurrences: unrolled for a few steps, and proved for all of them by induction."""

from dataclasses import dataclass

from rnnlib.calculus import expressions as ex
from rnnlib.calculus.latex import latex, signed_sum
from rnnlib.calculus.layout import ALONE, aligned, broken
from rnnlib.calculus.proof import pair, prove_statements


def unroll(step, T, start):
    """Return the states [start, h_1, …, h_T] of a recurrence.

    step: a function of (state, t), t = 1, …, T, that returns the next state, best named by ``let``.
        A state is an expression, or a tuple of some, such as (h, c).
    Raises ValueError for T < 1 and ShapeError when a step changes a state's shape.
    """
    if not isinstance(T, int) or T < 1:
        raise ValueError(f"T: expected a number of steps from 1 on, got {T!r}")
    states = [start]
    for t in range(1, T + 1):
        new = step(states[-1], t)
        for old_part, new_part in zip(_parts(start), _parts(new), strict=True):
            if ex.shape_text(old_part) != ex.shape_text(new_part):
                raise ex.clash(f"unroll, step {t}", old_part, new_part)
        states.append(new)
    return states


def _parts(state):
    return state if isinstance(state, tuple) else (state,)


@dataclass(frozen=True)
class Recursion:
    """A claim about every length T: how gradients go one step back through a recurrence.

    steps: dict from each old state to the new state that a step makes of it.
    adjoints: dict from each new state to the symbol for the whole gradient that reaches it.
    claims: dict from old states and parameters to what they are claimed to receive.
    """

    steps: dict
    adjoints: dict
    claims: dict

    @property
    def variables(self):
        return list(self.claims)

    def verify(self):
        """Prove the claim for every T, by induction over the steps from the last to the first.

        Let V be the loss of the steps after this one, as a function of the new state and the
        parameters.  *Start*: after the last step V = 0, and its gradient is 0.  *Step*: whatever
        V's gradient for the new state is, together with this step's own loss it makes some adjoint
        g, and the whole changes by Σ⟨g, d new⟩ beyond what the parameters do later.  Proved here,
        for symbolic states and an arbitrary g: Σ⟨g, d new⟩ = Σ⟨claim, d old⟩ + Σ⟨claim, d θ⟩.
        So the claims for the old states are V's gradient one step earlier, and each parameter
        receives one share a step; the shares of all steps add up.

        Returns a ``Proof`` whose method is "induction" when the step is proved exactly.
        """
        context = [*self._left(), *self._right(), *self.variables]
        statement = ("the step is wrong", self._left(), self._right())
        return prove_statements([statement], context, self.variables).by_induction()

    def _left(self):
        return tuple(ex.inner(self.adjoints[new], ex.d(new)) for new in self.steps.values())

    def _right(self):
        return tuple(
            pair(claim, ex.d(x)) for x, claim in self.claims.items() if not ex.is_zero(claim)
        )

    def latex(self):
        """Return the inductive step, Σ⟨g, d new⟩ = Σ⟨claim, d old⟩, as an aligned block."""
        left = signed_sum([latex(t) for t in self._left()])
        first, *more = broken([latex(t) for t in self._right()] or ["0"], ALONE // 2)
        return aligned([f"{left} &= {first}", *(rf"&\qquad {line}" for line in more)])

    def _repr_latex_(self):
        return f"$\\displaystyle {self.latex()}$"


def recursion(steps, adjoints, claims):
    """State how gradients go back through one step of a recurrence; ``.verify()`` proves it.

    steps: dict {old state: new state}, for an LSTM {h_prev: h, c_prev: c}; the old states are
        symbols, the new ones expressions of them, of the same shape.
    adjoints: dict {new state: symbol} for the whole gradient that reaches each new state.
    claims: dict {old state or parameter: expression in the adjoints} for what each receives
        through this step.  It must have every old state; what it leaves out is held constant.

    Raises ValueError when a state has no claim or no adjoint, or when an adjoint occurs in a
    state, and ShapeError when shapes differ.
    """
    for given, name in ((steps, "steps"), (adjoints, "adjoints"), (claims, "claims")):
        if not isinstance(given, dict) or not given:
            raise ValueError(f"{name}: expected a dict that is not empty, got {given!r}")
    for old, new in steps.items():
        if not isinstance(old, ex.Variable) or not ex.is_matrix(new):
            raise ValueError(f"steps: expected a symbol and its next state, got {old} and {new}")
        if new not in adjoints or old not in claims:
            what = "an adjoint" if new not in adjoints else "a claim"
            raise ValueError(f"recursion: there is {what} missing for {old} ↦ {new}")
        if old.shape != new.shape:
            raise ex.clash("recursion", old, new)
    if len(set(steps.values())) < len(steps) or len(set(adjoints.values())) < len(adjoints):
        raise ValueError("recursion: expected different new states, each with its own adjoint")
    taken = {*ex.walk(*steps.values()), *steps, *claims}
    for new, g in adjoints.items():
        if not isinstance(g, ex.Variable) or g in taken:
            raise ValueError(
                f"adjoints: expected a fresh symbol for {new}, an arbitrary gradient, got {g}"
            )
        if new not in steps.values():
            raise ValueError(f"adjoints: {new} is not among the new states")
    claims = {x: ex.sympify(claim) for x, claim in claims.items()}
    for x, claim in claims.items():
        if not isinstance(x, ex.Variable) and not ex.is_scalar_symbol(x):
            raise ValueError(f"claims: expected states and parameters, got {x}")
        if ex.differentials_in(claim):
            raise ValueError(f"claims: expected no differential, got {claim} for {x}")
        if ex.shape_text(x) != ex.shape_text(claim):
            raise ex.clash("recursion", x, claim)
    ex.check_names(*steps, *steps.values(), *adjoints.values(), *claims, *claims.values())
    return Recursion(dict(steps), dict(adjoints), claims)
