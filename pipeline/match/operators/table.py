"""The operators of conditions, as data: the compiler, the tests and the reference all read this table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from pipeline.model.json import Value
from pipeline.model.records import MISSING, Missing

Wants = Literal["any", "order", "range", "list", "text", "element", "flag", "date"]
"""The kind of operand: any value; number or text; two of these; a list; text or list of texts; text or a
value; boolean; a date."""


@dataclass(slots=True, frozen=True)
class Example:
    """One line of the reference, and one test: does the operator hold for this value and operand?"""

    value: Value | Missing
    operand: Value
    holds: bool
    ignore_case: bool = False


@dataclass(slots=True, frozen=True)
class Operator:
    """One operator. A negated one holds exactly where the one it negates does not."""

    name: str
    wants: Wants
    meaning: str
    examples: tuple[Example, ...]
    operand: str
    """What it wants, in the words of the reference."""
    negates: str | None = None

    @property
    def cased(self) -> bool:
        """True: `ignore_case` applies."""
        return self.wants in ("any", "list", "text", "element")

    @property
    def whole(self) -> bool:
        """True: an array is one value; otherwise the operator holds if it holds for any element."""
        return self.wants in ("element", "flag")


_OPERANDS: Final[dict[Wants, str]] = {
    "any": "any value",
    "order": "number, text or date",
    "range": "[low, high]",
    "list": "list or {file: ...}",
    "text": "text, or a list that means any of them",
    "element": "text, value, or a list that means any of them",
    "flag": "true or false",
    "date": "date, or relative to the event: -30d, now",
}


def _operator(
    name: str,
    wants: Wants,
    meaning: str,
    examples: tuple[tuple[Any, ...], ...],
    *,
    operand: str | None = None,
    negates: str | None = None,
) -> Operator:
    rows = tuple(Example(*row) for row in examples)
    return Operator(name, wants, meaning, rows, operand or _OPERANDS[wants], negates)


OPERATORS: Final[dict[str, Operator]] = {
    operator.name: operator
    for operator in (
        _operator(
            "eq",
            "any",
            "is the same value of the same type; on an array: any element is, or the whole array",
            (
                (5, 5, True),
                (5.0, 5, True),
                ("5", 5, False),
                (True, 1, False),
                (None, None, True),
                (MISSING, None, False),
                (["a", "b"], "b", True),
                (9007199254740993, 9007199254740992, False),
                ("Pro", "pro", False),
                ("Pro", "pro", True, True),
            ),
        ),
        _operator(
            "ne",
            "any",
            "`eq` does not hold (also where the value is missing)",
            (("a", "b", True), ("a", "a", False), (MISSING, "a", True), (["a", "b"], "b", False)),
            negates="eq",
        ),
        _operator(
            "gt",
            "order",
            "is greater; numbers with numbers, texts with texts (by code point)",
            ((6, 5, True), (5, 5, False), ("6", 5, False), (MISSING, 5, False), ([1, 9], 5, True)),
        ),
        _operator("gte", "order", "is greater or equal", ((5, 5, True), (4.99, 5, False), (True, 0, False))),
        _operator(
            "lt", "order", "is less", ((4, 5, True), (5, 5, False), (None, 5, False), ("a", "b", True))
        ),
        _operator("lte", "order", "is less or equal", ((5, 5, True), (5.01, 5, False))),
        _operator(
            "between",
            "range",
            "lies between the two, both included",
            ((5, [5, 10], True), (10, [5, 10], True), (10.5, [5, 10], False), ("7", [5, 10], False)),
        ),
        _operator(
            "in",
            "list",
            "equals one of the list; on an array: any element does",
            (
                ("a", ["a", "b"], True),
                ("1", [1, 2], False),
                (None, ["a", None], True),
                (["x", "a"], ["a"], True),
                ("A", ["a"], True, True),
            ),
        ),
        _operator(
            "not_in",
            "list",
            "`in` does not hold (also where the value is missing)",
            (
                ("c", ["a", "b"], True),
                ("a", ["a"], False),
                (MISSING, ["a"], True),
                (["x", "a"], ["a"], False),
            ),
            negates="in",
        ),
        _operator(
            "contains",
            "element",
            "text: holds this part; array: holds this element",
            (
                ("hello world", "lo w", True),
                (["hello world"], "lo w", False),
                (["a", 5], 5, True),
                ("hello", ["x", "ell"], True),
                (5, "5", False),
                ("HELLO", "ell", True, True),
            ),
        ),
        _operator(
            "not_contains",
            "element",
            "`contains` does not hold (also where the value is missing)",
            (("hello", "x", True), ("hello", ["x", "h"], False), (MISSING, "x", True), (["a"], "a", False)),
            negates="contains",
        ),
        _operator(
            "starts_with",
            "text",
            "begins with the text",
            (
                ("+4915", "+49", True),
                ("+4915", ["+1", "+49"], True),
                (4915, "49", False),
                ("Ab", "ab", True, True),
            ),
        ),
        _operator(
            "ends_with",
            "text",
            "ends with the text",
            (("a.pdf", ".pdf", True), ("a.PDF", ".pdf", False), ("a.PDF", ".pdf", True, True)),
        ),
        _operator(
            "glob",
            "text",
            r"the whole text fits: `*` stops at `/`, `**` does not; `\*` is a star",
            (
                ("/pricing/eu", "/pricing/*", True),
                ("/pricing/eu/de", "/pricing/*", False),
                ("/docs/a/b", "/docs/**", True),
                ("/x/docs/a", "/docs/**", False),
                ("/Docs/A", "/docs/*", True, True),
            ),
            operand="pattern, or a list that means any of them",
        ),
        _operator(
            "regex",
            "text",
            "the pattern is found anywhere in the text",
            (
                ("order-123", "[0-9]{3}", True),
                ("order-12", "^[0-9]+$", False),
                (123, "123", False),
                ("ABC", "b", True, True),
                ("Straße", "^.{6}$", True, True),
                ("Straße", "STRASSE", False, True),
            ),
            operand="RE2 pattern, or a list that means any of them",
        ),
        _operator(
            "exists",
            "flag",
            "`true`: there is a value other than null",
            (
                ("", True, True),
                (None, True, False),
                (MISSING, True, False),
                (None, False, True),
                (0, False, False),
            ),
        ),
        _operator(
            "present",
            "flag",
            '`true`: neither missing nor null, "", whitespace, [] or {}',
            (
                (0, True, True),
                (False, True, True),
                (" ", True, False),
                ([], True, False),
                ({}, False, True),
                ("x", False, False),
            ),
        ),
        _operator(
            "before",
            "date",
            "is an earlier moment",
            (
                ("2026-01-01", "2026-01-02", True),
                ("2026-01-02T00:00:00Z", "2026-01-02", False),
                ("x", "2026-01-02", False),
            ),
        ),
        _operator(
            "after",
            "date",
            "is a later moment",
            (
                (1769817600, "2026-01-30", True),
                (1769817600000, "2026-02-01", False),
                (MISSING, "2000-01-01", False),
            ),
        ),
    )
}

MODIFIERS: Final = {
    "as": "converts the value first; what cannot be converted counts as missing",
    "ignore_case": "`true`: upper and lower case are the same, beside the text operators, eq and in "
    "(ß is ss, but letter by letter in a regex)",
    "tz": "an IANA time zone, or a path to one; for dates without a zone, weekday and hour (default UTC)",
}
