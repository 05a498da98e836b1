"""How values compare: typed, exact, never raising."""

from __future__ import annotations

from typing import Final

from pipeline.model.json import Value, canonical, equal
from pipeline.model.records import MISSING


class OperandError(ValueError):
    """An operand that cannot be used; ``hint`` is the remedy."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def is_number(value: Value) -> bool:
    """True for JSON numbers; not for bool, though it is a subclass of int."""
    kind = type(value)
    return kind is int or kind is float


def comparable(left: Value, right: Value) -> bool:
    """True where `<` is defined: two numbers, two texts, or two converted values of one kind."""
    if is_number(left):
        return is_number(right)
    return type(left) is type(right) and type(left) in (str, tuple)


def present(value: Value) -> bool:
    """False for missing, null, "", whitespace, [] and {}."""
    if value is MISSING or value is None:
        return False
    if type(value) is str:
        return not (value == "" or value.isspace())
    return not (type(value) in (list, dict) and not value)


_MAX_FOLDED: Final = 100
"""Maximum nesting that is folded: deeper than a config can be, shallower than the stack."""


def fold(value: Value, levels: int = _MAX_FOLDED) -> Value:
    """Return texts case-folded, also those inside lists and objects.

    Unicode's full case folding: ß becomes ss. Keys stay as they are.
    """
    if type(value) is str:
        return value.casefold()
    if type(value) is list and levels:
        return [fold(element, levels - 1) for element in value]
    if type(value) is dict and levels:
        return {key: fold(inner, levels - 1) for key, inner in value.items()}
    return value


_FEW: Final = 8


class Members:
    """A set of JSON values for `in`: one lookup for texts and numbers, whatever the list's length."""

    __slots__ = ("_names", "_other", "_plain", "_special")

    def __init__(self, values: list[Value] | frozenset[Value]) -> None:
        self._plain = frozenset(value for value in values if type(value) in (str, int, float, tuple))
        self._special = tuple(value for value in values if value is None or type(value) is bool)
        self._other = tuple(value for value in values if type(value) in (list, dict))
        # Few are compared one by one; many are looked up by a hash that equal values share.
        self._names = frozenset(map(canonical, self._other)) if len(self._other) > _FEW else None

    def __contains__(self, value: Value) -> bool:
        kind = type(value)
        if kind is str or kind is int or kind is float or kind is tuple:
            return value in self._plain
        if kind is list or kind is dict:
            if self._names is not None:
                return canonical(value) in self._names
            return any(equal(value, other) for other in self._other)
        return any(value is special for special in self._special)
