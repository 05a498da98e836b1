"""Words that other tools have for our operators and groups, and what is meant by them: for hints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final


def _by_word(meant: Mapping[str, str]) -> dict[str, str]:
    return {word: ours for ours, words in meant.items() for word in words.split()}


SYNONYMS: Final = _by_word(
    {
        "eq": "equals equal is exact == =",
        "ne": "neq not_eq not_equals is_not not !=",
        "gt": "> greater_than more_than",
        "gte": ">= ge min at_least",
        "lt": "< less_than",
        "lte": "<= le max at_most",
        "between": "range",
        "in": "one_of any_of any is_one_of",
        "not_in": "nin notin none_of",
        "contains": "includes has substring",
        "not_contains": "not_includes",
        "starts_with": "startswith prefix begins_with",
        "ends_with": "endswith suffix",
        "regex": "matches match pattern regexp",
        "glob": "like wildcard",
        "exists": "is_set set",
        "present": "not_empty",
        "before": "is_date_before until",
        "after": "is_date_after since",
    }
)
"""Other names of operators."""

REMEDIES: Final = _by_word(
    {
        "write {contains: ..., ignore_case: true}": "icontains",
        "write {not_contains: ..., ignore_case: true}": "not_icontains",
        "write {eq: ..., ignore_case: true}": "iequals",
        "write not: {path: {regex: ...}}": "not_regex",
        "write not: {path: {glob: ...}}": "not_glob",
        "write not: {path: {starts_with: ...}}": "not_starts_with",
        "write not: {path: {ends_with: ...}}": "not_ends_with",
        "write not: {path: {between: [...]}}": "not_between",
        "write {exists: false}": "is_not_set not_exists missing",
        "write `path: null` for null, {exists: false} for null or missing": "null",
        "write {present: false}": "empty is_empty blank",
        "write {as: size, gte: ...}": "length size count",
        "write {as: version, gt: ...}": "semver_gt",
        "write {as: version, lt: ...}": "semver_lt",
        "write {as: version, eq: ...}": "semver_eq",
        "write {as: ip, in: [...]}": "cidr",
        "an operator per element: repeat `contains`, or use any_element": "all",
    }
)
"""What to write in the place of operators that there are not."""

OTHER_GROUPS: Final = _by_word(
    {
        "all": "and && every where",
        "any": "or || some",
        "not": "none nor nand",
        "label": "labels",
        "any_element": "element elem_match elemMatch",
    }
)
"""Other names of `all`, `any`, `not`, `label` and `any_element`."""
