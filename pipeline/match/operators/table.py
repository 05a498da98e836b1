"""The operators of conditions, as data: the compiler, the tests and the reference all read this table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from pipeline.model.json import Value
from pipeline.model.records import MISSING, Missing

Wants = Literal["any", "order", "range", "list", "text", "element", "flag", "date"]
"""What an operand is: any value; number or text; two of these; a list; text or a list of texts; text or a
value; true or false; a date."""


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
    operand: str
    meaning: str
    examples: tuple[Example, ...]
    negates: str | None = None
    cased: bool = False
    """True: `ignore_case` has a meaning."""
    whole: bool = False
    """True: an array is looked at as one value; else the operator holds if it does for any element."""


def _examples(*rows: tuple[Any, ...]) -> tuple[Example, ...]:
    return tuple(Example(*row) for row in rows)


OPERATORS: Final[dict[str, Operator]] = {
    operator.name: operator
    for operator in (
        Operator(
            "eq",
            "any",
            "any value",
            "is the same value of the same type; on an array: any element is, or the whole array",
            _examples(
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
            cased=True,
        ),
        Operator(
            "ne",
            "any",
            "any value",
            "`eq` does not hold (also where the value is missing)",
            _examples(("a", "b", True), ("a", "a", False), (MISSING, "a", True), (["a", "b"], "b", False)),
            negates="eq",
            cased=True,
        ),
        Operator(
            "gt",
            "order",
            "number, text or date",
            "is greater; numbers with numbers, texts with texts (by code point)",
            _examples((6, 5, True), (5, 5, False), ("6", 5, False), (MISSING, 5, False), ([1, 9], 5, True)),
        ),
        Operator(
            "gte",
            "order",
            "number, text or date",
            "is greater or equal",
            _examples((5, 5, True), (4.99, 5, False), (True, 0, False)),
        ),
        Operator(
            "lt",
            "order",
            "number, text or date",
            "is less",
            _examples((4, 5, True), (5, 5, False), (None, 5, False), ("a", "b", True)),
        ),
        Operator(
            "lte",
            "order",
            "number, text or date",
            "is less or equal",
            _examples((5, 5, True), (5.01, 5, False)),
        ),
        Operator(
            "between",
            "range",
            "[low, high]",
            "lies between the two, both included",
            _examples((5, [5, 10], True), (10, [5, 10], True), (10.5, [5, 10], False), ("7", [5, 10], False)),
        ),
        Operator(
            "in",
            "list",
            "list or {file: ...}",
            "equals one of the list; on an array: any element does",
            _examples(
                ("a", ["a", "b"], True),
                ("1", [1, 2], False),
                (None, ["a", None], True),
                (["x", "a"], ["a"], True),
                ("A", ["a"], True, True),
            ),
            cased=True,
        ),
        Operator(
            "not_in",
            "list",
            "list or {file: ...}",
            "`in` does not hold (also where the value is missing)",
            _examples(
                ("c", ["a", "b"], True),
                ("a", ["a"], False),
                (MISSING, ["a"], True),
                (["x", "a"], ["a"], False),
            ),
            negates="in",
            cased=True,
        ),
        Operator(
            "contains",
            "element",
            "text, value, or a list that means any of them",
            "text: holds this part; array: holds this element",
            _examples(
                ("hello world", "lo w", True),
                (["hello world"], "lo w", False),
                (["a", 5], 5, True),
                ("hello", ["x", "ell"], True),
                (5, "5", False),
                ("HELLO", "ell", True, True),
            ),
            cased=True,
            whole=True,
        ),
        Operator(
            "not_contains",
            "element",
            "text, value, or a list that means any of them",
            "`contains` does not hold (also where the value is missing)",
            _examples(
                ("hello", "x", True), ("hello", ["x", "h"], False), (MISSING, "x", True), (["a"], "a", False)
            ),
            negates="contains",
            cased=True,
            whole=True,
        ),
        Operator(
            "starts_with",
            "text",
            "text, or a list that means any of them",
            "begins with the text",
            _examples(
                ("+4915", "+49", True),
                ("+4915", ["+1", "+49"], True),
                (4915, "49", False),
                ("Ab", "ab", True, True),
            ),
            cased=True,
        ),
        Operator(
            "ends_with",
            "text",
            "text, or a list that means any of them",
            "ends with the text",
            _examples(("a.pdf", ".pdf", True), ("a.PDF", ".pdf", False), ("a.PDF", ".pdf", True, True)),
            cased=True,
        ),
        Operator(
            "glob",
            "text",
            "pattern, or a list that means any of them",
            r"the whole text fits: `*` stops at `/`, `**` does not; `\*` is a star",
            _examples(
                ("/pricing/eu", "/pricing/*", True),
                ("/pricing/eu/de", "/pricing/*", False),
                ("/docs/a/b", "/docs/**", True),
                ("/x/docs/a", "/docs/**", False),
                ("/Docs/A", "/docs/*", True, True),
            ),
            cased=True,
        ),
        Operator(
            "regex",
            "text",
            "RE2 pattern, or a list that means any of them",
            "the pattern is found anywhere in the text",
            _examples(
                ("order-123", "[0-9]{3}", True),
                ("order-12", "^[0-9]+$", False),
                (123, "123", False),
                ("ABC", "b", True, True),
            ),
            cased=True,
        ),
        Operator(
            "exists",
            "flag",
            "true or false",
            "`true`: there is a value other than null",
            _examples(
                ("", True, True),
                (None, True, False),
                (MISSING, True, False),
                (None, False, True),
                (0, False, False),
            ),
            whole=True,
        ),
        Operator(
            "present",
            "flag",
            "true or false",
            '`true`: neither missing nor null, "", whitespace, [] or {}',
            _examples(
                (0, True, True),
                (False, True, True),
                (" ", True, False),
                ([], True, False),
                ({}, False, True),
                ("x", False, False),
            ),
            whole=True,
        ),
        Operator(
            "before",
            "date",
            "date, or relative to the event: -30d, now",
            "is an earlier moment",
            _examples(
                ("2026-01-01", "2026-01-02", True),
                ("2026-01-02T00:00:00Z", "2026-01-02", False),
                ("x", "2026-01-02", False),
            ),
        ),
        Operator(
            "after",
            "date",
            "date, or relative to the event: -30d, now",
            "is a later moment",
            _examples(
                (1769817600, "2026-01-30", True),
                (1769817600000, "2026-02-01", False),
                (MISSING, "2000-01-01", False),
            ),
        ),
    )
}

MODIFIERS: Final = {
    "as": "converts the value first; what cannot be converted counts as missing",
    "ignore_case": "`true`: upper and lower case are the same, beside the text operators, eq and in",
    "tz": "an IANA time zone, or a path to one; for dates without a zone, weekday and hour (default UTC)",
}

SYNONYMS: Final = {
    "equals": "eq",
    "equal": "eq",
    "is": "eq",
    "exact": "eq",
    "==": "eq",
    "=": "eq",
    "neq": "ne",
    "not_eq": "ne",
    "not_equals": "ne",
    "is_not": "ne",
    "not": "ne",
    "!=": "ne",
    ">": "gt",
    "greater_than": "gt",
    "more_than": "gt",
    ">=": "gte",
    "ge": "gte",
    "min": "gte",
    "at_least": "gte",
    "<": "lt",
    "less_than": "lt",
    "<=": "lte",
    "le": "lte",
    "max": "lte",
    "at_most": "lte",
    "range": "between",
    "one_of": "in",
    "any_of": "in",
    "any": "in",
    "is_one_of": "in",
    "nin": "not_in",
    "notin": "not_in",
    "none_of": "not_in",
    "includes": "contains",
    "has": "contains",
    "substring": "contains",
    "not_includes": "not_contains",
    "startswith": "starts_with",
    "prefix": "starts_with",
    "begins_with": "starts_with",
    "endswith": "ends_with",
    "suffix": "ends_with",
    "matches": "regex",
    "match": "regex",
    "pattern": "regex",
    "regexp": "regex",
    "like": "glob",
    "wildcard": "glob",
    "is_set": "exists",
    "set": "exists",
    "not_empty": "present",
    "is_date_before": "before",
    "is_date_after": "after",
    "since": "after",
    "until": "before",
}
REMEDIES: Final = {
    "icontains": "write {contains: ..., ignore_case: true}",
    "not_icontains": "write {not_contains: ..., ignore_case: true}",
    "iequals": "write {eq: ..., ignore_case: true}",
    "not_regex": "write not: {path: {regex: ...}}",
    "not_glob": "write not: {path: {glob: ...}}",
    "not_starts_with": "write not: {path: {starts_with: ...}}",
    "not_ends_with": "write not: {path: {ends_with: ...}}",
    "not_between": "write not: {path: {between: [...]}}",
    "is_not_set": "write {exists: false}",
    "not_exists": "write {exists: false}",
    "missing": "write {exists: false}",
    "null": "write `path: null` for null, {exists: false} for null or missing",
    "empty": "write {present: false}",
    "is_empty": "write {present: false}",
    "blank": "write {present: false}",
    "length": "write {as: size, gte: ...}",
    "size": "write {as: size, gte: ...}",
    "count": "write {as: size, gte: ...}",
    "semver_gt": "write {as: version, gt: ...}",
    "semver_lt": "write {as: version, lt: ...}",
    "semver_eq": "write {as: version, eq: ...}",
    "cidr": "write {as: ip, in: [...]}",
    "all": "an operator per element: repeat `contains`, or use any_element",
}
