"""Exact zero tests: an explicit value as a polynomial, its denominators multiplied out."""

import sympy as sp
from sympy.polys.rings import ring


def decide(value, meanings, sides=()):
    """Return True if this explicit scalar is zero, False if it is not, None if that is open.

    Functions of entries count as variables of their own: True is a proof all the same, and False
    is said only where there are none.
    meanings: dict from symbols to what is written out in their place.
    sides: symbols that are 0 or 1, so that s² = s.
    """
    fractions = _Fractions(value, meanings)
    numerator = fractions.numerator(value)
    if numerator == 0 or fractions.with_sides(numerator, sides) == 0:
        return True
    plain = not fractions.roots and all(g.is_Symbol or _is_inverse(g) for g in fractions.place)
    return False if plain and not sides else None


class _Fractions:
    """Arithmetic in the polynomials over all symbols and functions that a value contains.

    1/D is a variable of its own until the end; then the whole is multiplied by D as often as it
    takes.  D is not the zero polynomial, so the whole is zero if its numerator is.
    """

    def __init__(self, value, meanings):
        self.meanings, self.rationals, self.roots = dict(meanings), set(), {}
        generators = self._generators(value)
        self.inverses = [g for g in generators if _is_inverse(g)]
        numbers = sp.ZZ if all(r.is_Integer for r in self.rationals) else sp.QQ
        domain, *elements = ring([sp.Dummy() for _ in generators] or "unused", numbers)
        self.domain = domain
        self.known = dict(zip(generators, elements, strict=False))
        self.place = {g: i for i, g in enumerate(generators)}

    def _generators(self, value):
        found, seen, waiting = {}, set(), [value]
        while waiting:
            x = waiting.pop()
            if x in seen:
                continue
            seen.add(x)
            if x.is_Rational:
                self.rationals.add(x)
                continue
            if isinstance(x, sp.exp):
                self.meanings[x] = _split(x)
            if x in self.meanings:
                waiting.append(self.meanings[x])
            elif x.is_Add or x.is_Mul:
                waiting += x.args
            elif x.is_Pow and x.exp.is_Rational and not x.exp.is_Integer:
                root = self.roots.setdefault((x.base, x.exp.q), sp.Dummy("root"))
                self.meanings[x] = root**x.exp.p
                waiting.append(self.meanings[x])
            elif x.is_Pow and x.exp.is_Integer:
                waiting.append(x.base)
                if x.exp < 0:
                    found[1 / x.base] = None
            else:
                found[x] = None
        return list(found)

    def polynomial(self, x):
        if x not in self.known:
            self.known[x] = self._polynomial(x)
        return self.known[x]

    def _polynomial(self, x):
        if x.is_Rational:
            return self.domain(self.domain.domain.from_sympy(x))
        if x in self.meanings:
            return self.polynomial(self.meanings[x])
        if x.is_Add:
            return sum(map(self.polynomial, x.args), self.domain(0))
        if x.is_Mul:
            product = self.domain(1)
            for factor in x.args:
                product *= self.polynomial(factor)
            return product
        base = 1 / x.base if x.exp < 0 else x.base
        return self.polynomial(base) ** abs(int(x.exp))

    def numerator(self, value):
        whole = self.polynomial(value)
        # A denominator may contain others, made before it, so it may take several rounds.
        while any(whole.degree(self.place[g]) > 0 for g in self.inverses):
            for g in self.inverses:
                whole = self._without(whole, g)
        return whole

    def with_sides(self, whole, sides):
        """Write s for every power of a side s."""
        places, parts = [self.place[s] for s in sides if s in self.place], {}
        for monomial, number in whole.terms():
            powers = list(monomial)
            for place in places:
                powers[place] = min(powers[place], 1)
            parts[tuple(powers)] = parts.get(tuple(powers), 0) + number
        return self.domain.from_dict({m: number for m, number in parts.items() if number})

    def _without(self, whole, inverse):
        """Multiply by D as often as 1/D occurs in the highest power."""
        place, parts = self.place[inverse], {}
        for monomial, number in whole.terms():
            rest = list(monomial)
            power, rest[place] = rest[place], 0
            parts.setdefault(power, {})[tuple(rest)] = number
        highest, base = max(parts, default=0), self.polynomial(1 / inverse)
        terms = (
            self.domain.from_dict(part) * base ** (highest - power) for power, part in parts.items()
        )
        return sum(terms, self.domain(0)) if highest else whole


# An exponential that SymPy does not merge with its neighbours.
_Exp = sp.Function("exp of", real=True)


def _split(x):
    """Write exp(2 a - b) as exp(a)² exp(b)⁻¹."""
    product = sp.S.One
    for term in sp.Add.make_args(sp.expand(x.args[0])):
        number, rest = term.as_coeff_Mul()
        product *= _Exp(rest) ** number if number.is_Integer else _Exp(term)
    return product


def _is_inverse(x):
    return x.is_Pow and x.exp == -1
