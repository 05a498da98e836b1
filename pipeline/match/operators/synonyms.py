"""Other tools' names for our operators and groups, and ours for them; for hints."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final


def _by_word(meant: Mapping[str, str]) -> dict[str, str]:
    return {word: ours for ours, words in meant.items() for word in words.split()}


SYNONYMS: Final = _by_word(
    {
        "eq": (
            "equals equal equal_to is exact exactly == === = value same same_as is_equal_to is_exactly const"
        ),
        "ne": (
            "neq not_eq not_equal not_equals not_equal_to is_not isnt not != !== <> does_not_equal "
            "is_not_equal_to differs unequal"
        ),
        "gt": "> greater greater_than more more_than larger bigger above over exceeds",
        "gte": (
            ">= => ge min minimum at_least greater_or_equal greater_than_or_equal greater_than_equal "
            "greater_than_or_equals from not_less_than"
        ),
        "lt": "< less less_than smaller lower fewer_than below under",
        "lte": (
            "<= =< le max maximum at_most less_or_equal less_than_or_equal less_than_equal "
            "less_than_or_equals up_to to not_greater_than"
        ),
        "between": "range in_range inside within_range",
        "in": (
            "one_of oneof any_of anyof any is_one_of is_any_of is_in isin enum among in_list is_any member_of"
        ),
        "not_in": (
            "nin notin none_of noneof not_one_of is_none_of is_not_in is_not_any_of not_in_list "
            "not_any_of except excludes_all anything_but"
        ),
        "contains": (
            "includes include has substring contain contains_any contains_any_of has_any str_contains "
            "has_substring includes_any array_contains overlaps"
        ),
        "not_contains": (
            "not_includes does_not_contain doesnt_contain excludes exclude not_contain "
            "does_not_include contains_none lacks"
        ),
        "starts_with": (
            "startswith start_with starts prefix begins_with beginswith begins has_prefix hasprefix"
        ),
        "ends_with": "endswith end_with ends suffix has_suffix hassuffix",
        "regex": "matches match matches_regex pattern regexp rlike re test ~ =~ ~* similar_to regex_match",
        "glob": "like wildcard wildcards matches_glob ilike",
        "exists": (
            "is_set set defined is_defined has_value known is_known isset not_null is_not_null "
            "notnull has_property"
        ),
        "present": (
            "not_empty is_not_empty is_present non_empty nonempty not_blank is_not_blank filled has_any_value"
        ),
        "before": "is_date_before until earlier earlier_than is_before date_before older_than",
        "after": "is_date_after since later later_than is_after date_after newer_than",
    }
)
"""Other names of operators."""

REMEDIES: Final = _by_word(
    {
        "write {contains: ..., ignore_case: true}": "icontains contains_ignore_case",
        "write {not_contains: ..., ignore_case: true}": "not_icontains",
        "write {eq: ..., ignore_case: true}": "iequals ieq iexact equals_ignore_case",
        "write {starts_with: ..., ignore_case: true}": "istarts_with istartswith",
        "write {ends_with: ..., ignore_case: true}": "iends_with iendswith",
        "write {regex: ..., ignore_case: true}": "iregex imatches",
        "write not: {path: {regex: ...}}": (
            "not_regex not_matches does_not_match not_match !~ not_matching not_matches_regex"
        ),
        "write not: {path: {glob: ...}}": "not_glob not_like",
        "write not: {path: {starts_with: ...}}": "not_starts_with does_not_start_with",
        "write not: {path: {ends_with: ...}}": "not_ends_with does_not_end_with",
        "write not: {path: {between: [...]}}": "not_between outside",
        "write not: {path: {contains: [...]}}": "contains_none_of",
        "write {exists: false}": (
            "is_not_set not_exists not_set unset does_not_exist missing is_missing undefined "
            "is_undefined not_defined unknown is_unknown has_no_value not_exist"
        ),
        "write `path: null` for null, {exists: false} for null or missing": "null is_null isnull nil",
        "write {present: false}": "empty is_empty blank is_blank isempty not_present",
        "write {as: size, gte: ...}": "length size count len min_length max_length minlength maxlength",
        "write `path: true`": "is_true istrue truthy",
        "write `path: false`": "is_false isfalse falsy",
        "write {as: number, ...} to convert the value first": "type typeof is_number numeric",
        "write {gt: LOW, lt: HIGH} for the two ends excluded": "between_exclusive",
        "write {after: -7d} for the last seven days before the event": (
            "within in_last last within_last in_the_last is_within"
        ),
        "write not: {path: {after: -7d}} or {before: -7d}": "not_in_last more_than_ago ago",
        "write {as: date, ...}, or `before` and `after`": "on date is_date_exact is_on",
        "write `ignore_case: true`": (
            "case_insensitive caseinsensitive ci insensitive icase case_sensitive options"
        ),
        "there is no arithmetic in conditions: compare the value itself": "mod modulo divisible_by",
        "write {as: version, gt: ...}": "semver_gt sem_ver_gt sem_ver_greater_than",
        "write {as: version, lt: ...}": "semver_lt sem_ver_lt sem_ver_less_than",
        "write {as: version, eq: ...}": "semver_eq sem_ver_eq sem_ver_equal",
        "write {as: ip, in: [...]}": "cidr",
        "write any_element: {path: [...]}": "elem_match",
        "beside other words write {eq: {path: ...}}": "path",
        "beside other words write {in: {file: ...}}": "file",
        "write a condition for each: [{path: {contains: a}}, {path: {contains: b}}]": (
            "all contains_all has_all includes_all all_of"
        ),
        "for any of several values write {in: [...]}": "or",
        "several operators on one path are all meant, without a word between them": "and",
    }
)
"""What to write in place of operators that do not exist."""

_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_GAPS: Final = re.compile(r"[\s_-]+")


def as_word(name: str) -> str:
    """Return an operator as it stands in these tables: `is_not` for `isNot`, `Is Not`, `is-not?`."""
    return _GAPS.sub("_", _CAMEL.sub("_", name.strip()).lower()).strip("_?") or name


OTHER_GROUPS: Final = _by_word(
    {
        "all": "and && every where all_of allof must filter conditions",
        "any": "or || some any_of anyof should one_of",
        "not": "none nor nand must_not ! none_of unless",
        "label": "labels",
        "any_element": "element elem_match elemMatch",
    }
)
"""Other names of `all`, `any`, `not`, `label` and `any_element`."""

OTHER_CONVERSIONS: Final = _by_word(
    {
        "number": "int integer float double decimal numeric num",
        "text": "str string varchar",
        "date": "datetime time timestamp iso8601 unix",
        "version": "semver",
        "domain": "email host hostname url",
        "ip": "cidr ip_address",
        "size": "length len count",
        "weekday": "day day_of_week dow",
        "hour": "time_of_day",
    }
)
"""Other names of conversions."""
