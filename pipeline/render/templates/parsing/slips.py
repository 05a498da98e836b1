"""Guesses what was meant by a mistake in a template, for hints."""

from __future__ import annotations

import re
from typing import Final

from pipeline.language.path_syntax import key_step

_OR_ELSE: Final = re.compile(r"(?:\|\||\?\?|or\b)\s*([^\s|}%]+)")
_AFTER_FILTER: Final = re.compile(r"\|\s*(\w+)\s*$")
_AFTER_PATH: Final = re.compile(r"[\w$-]+(?:\.[\w$-]+)+$")
_WORDS: Final = re.compile(r"[\w-]+(?: [\w-]+)*")
_QUOTES: Final = tuple("\u201c\u201d\u201e\u2018\u2019\u201a\u00ab\u00bb")
_IN_CONDITION: Final = re.compile(r"\{%-?\s*(?:if|elsif|unless)\s[^%]*$")
_LOOKED_AT: Final = 200
"""Characters on both sides of a place that are examined."""
_TESTED: Final = re.compile(r"is\s+(?:not\s+)?(?:defined|undefined|none|null|nil|empty|set|present|blank)\b")
_SIGN: Final = re.compile(r"[+*/%]|-[\s\d]")
_NO_ARITHMETIC: Final = (
    "write `| plus: 1`, `| times: 2`, ..., for texts `| append: 'x'`: there are no arithmetic signs"
)
_COMPARES: Final = "a comparison stands in `'a' if x > 5 else 'b'` or in `{% if %}`"
_COMPARING: Final = ("==", "!=", "<", ">", "and", "or", "contains")
_PLACES: Final = frozenset({"env", "environment", "secret", "secrets", "settings", "config", "process", "os"})
_NOW: Final = frozenset({"now", "today", "date", "current_time", "current_date", "timestamp"})
OTHER_TAGS: Final = {
    "set": "assign", "let": "assign", "elseif": "elsif", "elif": "elsif", "foreach": "for", "each": "for",
    "switch": "case", "print": "echo",
}  # fmt: skip
"""Other template languages' names of our tags."""


def unexpected(text: str, at: int) -> str | None:
    """Return the remedy for a token at a place of an expression where it cannot stand."""
    before, rest = text[max(0, at - _LOOKED_AT) : at], text[at : at + _LOOKED_AT]
    called = _AFTER_FILTER.search(before)
    instead = _OR_ELSE.match(rest)
    if rest[:1] in _QUOTES:
        return "texts stand in straight quotes: 'x'"
    if not before.strip(" {") and rest[:1] in ("#", "/"):
        return "a block begins with `{% if x %}` and ends with `{% endif %}`"
    if rest.startswith("|") and _IN_CONDITION.search(before) is not None:
        return "a condition takes no filters: keep the value by `{% assign x = .. %}` before it"
    if called is not None and rest[:1] not in ("|", "}", ""):
        given = re.match(r"\(?\s*('[^']*'|\"[^\"]*\"|[^\s)|}]+)", rest)
        return f"write `| {called[1]}: {given[1] if given else '..'}`: a colon stands before arguments"
    if instead is not None and not before.rstrip().endswith(("|", "and", "or")) and "{%" not in before:
        return f"write `| default: {instead[1]}`"
    if rest.startswith("("):
        return "there are no methods: filters such as `| upcase` change a value"
    if rest.startswith("?"):
        return "write `'a' if x > 5 else 'b'`"
    if rest[:1] == "=" and rest[:2] != "==":
        return "write `==`"
    if rest.startswith("&"):
        return "write `and`"
    if rest.startswith("["):
        if before.endswith(" in "):
            return "write `x == 'a' or x == 'b'`, or `vars.list contains x` with a list in `vars`"
        return "a path starts with a root such as `event`"
    if _TESTED.match(rest) is not None:
        return "write `x != nil` or `x == nil`: there are no tests such as `is defined`"
    if _SIGN.match(rest) is not None:
        return _NO_ARITHMETIC
    if rest.startswith(_COMPARING):
        return _COMPARES
    return _spaced(before, rest)


def unknown_root(text: str) -> str | None:
    """Return the remedy for a path with a root that other products use for settings or the time."""
    root, _, rest = text.partition(".")
    if (root.lower() in _PLACES and rest) or (len(root) > 2 and root.isupper() and not rest):
        name = rest.rpartition(".")[2] or root
        return f"write `${{{name}}}` in the place of `{{{{ {text} }}}}`"
    if root.lower() in _NOW and not rest:
        return "the event's time is `event.time`; `'now' | date: '%F'` prints it"
    return None


def unquoted(text: str, hint: str | None) -> str | None:
    """Return the remedy for an unknown path, with the spelling in case a text was meant."""
    is_word = text.isidentifier() and hint is not None and hint.startswith("a path starts")
    return f"{hint}; a text stands in quotes: '{text}'" if is_word else hint


def _spaced(before: str, rest: str) -> str | None:
    """Return the remedy for a name with spaces in it."""
    path = _AFTER_PATH.search(before.rstrip())
    words = _WORDS.match(rest)
    if path is None or words is None or not before.endswith(" "):
        return None
    start, _, first = path[0].rpartition(".")
    return f"a name with blanks goes in brackets: {start}{key_step(f'{first} {words[0]}')}"
