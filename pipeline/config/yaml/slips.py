"""Mistakes in one line of YAML that libyaml could not parse: what must be quoted, and the line repaired."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from pipeline.config.yaml.suspects import TYPOGRAPHIC

_MAX_LINE = 1_000
"""Nothing is guessed about longer lines."""


class Slip(NamedTuple):
    """A part of a line that is probably meant as something else."""

    start: int
    text: str
    hint: str
    repair: str | None
    """The line as it was probably meant; None: unknown."""


def slip_in(source: str, column: int | None) -> Slip | None:
    """Return the value of a line that must be quoted. column: where libyaml stumbled; None: elsewhere."""
    parts = split_value(source) if len(source) <= _MAX_LINE else None
    if parts is None:
        return None
    lead, value, tail = parts
    start, quoted = len(lead), lead + quote(value) + tail
    if value[0] in "[{" and not value.startswith(("{{", "{%")):
        return _flow_slip(source, start)
    if value[0] in TYPOGRAPHIC and column is not None:
        return Slip(start, value, f"{value[0]} is no quote: put straight quotes around it", quoted)
    if value[0] in "-?" and value[1:2] == " " and column == start and lead.strip().endswith(":"):
        if value[0] == "-" and ": " in value:
            return Slip(start, value, "a list begins in a new line", lead)
        or_list = "; a list begins in a new line" if value[0] == "-" else ""
        return Slip(start, value, f"quote the value: {quote(value)}{or_list}", quoted)
    if (
        value.startswith(("{{", "{%"))
        or value[0] in "@`%"
        or re.match(r"\*([^\w]|$)", value)
        or (column is not None and value[0] == "*")
        or (column is not None and value[0] not in "\"'|>&!" and ": " in value + " " and lead.strip())
        or (value[0] in "|>" and column is not None and start < column)
    ):
        return Slip(start, value, f"quote the value: {quote(value)}", quoted)
    if value[0] in "\"'" and column is not None and column > start:
        inner = '\\"' if value[0] == '"' else "''"
        hint = f"the value goes on after its closing {value[0]}; write inner quotes as {inner}"
        return Slip(start, value, hint, None)
    return None


_NO_BLANK = re.compile(r"(\s*(?:-\s+)*[A-Za-z_$][\w$.-]*)(?::\u00a0?|\s*=\s+)([^\s/:=].*)")


def no_blank(source: str) -> Slip | None:
    """`method:POST` and `method = POST`, which are one text, and with the next line no map."""
    found = _NO_BLANK.fullmatch(source)
    if found is None:
        return None
    key, value = found[1].strip(), found[2].strip()
    start = len(found[1]) - len(found[1].lstrip())
    rule = "a blank follows the colon" if source[len(found[1])] == ":" else "a colon follows the key"
    return Slip(start, source[start:].rstrip(), f"{rule}: {key}: {value}", f"{found[1]}: {value}")


# A channel or a colour, which starts a comment: `{channel: #growth}`.
HASH = re.compile(r"(?<=[:,\[]\s)#[^\s,\]}#]+(?=\s*[,\]}])")
_FLOW_SLIPS = (
    # A path with brackets: `lines[*]`, `event.tags[-1]`, `user["Customer No."]`, `vars.m[user.id]`.
    r"(?<=[\[{,:\s])[^\s\[\]{},:\"'][^\s\[\]{},:\"']*"
    r"(?:\[(?:\*|-?\d+|\"[^\"]*\"|'[^']*'|[A-Za-z_][\w$-]*\.[\w.$-]+)\][^\s\[\]{},:\"']*)+",
    # A star that begins no alias: `*`, `*.pdf`, `*/pricing`.
    r"(?<=[\[,:\s])\*(?!\w+\s*[,\]}])[^\"',\]}]*(?=[,\]}])",
    r"\{%.*%\}[^,\]}]*",
    r"(?<=[\[,:\s])[@`%][^,\]}]*",
    r"\{\{.*?\}\}[^,\]}]*",
    HASH,
    # The whole value: `Bearer ${TOKEN}`, `https://h.example/${A}/${B}`.
    r"(?:(?<=:\s)|(?<=,\s)|(?<=[\[,]))(?=\S)(?:(?!:\s)[^\"'{}\[\],])*?\$\{[^}]*\}"
    r"(?:\$\{[^}]*\}|[^,{}\[\]])*",
)


def _flow_slip(source: str, start: int) -> Slip | None:
    """A mistake inside ``{...}`` or ``[...]`` on one line: ``[*]``, ``{a: @b}``, ``{url: x/${NAME}}``."""
    for pattern in _FLOW_SLIPS:
        found = re.search(pattern, source[start:])
        if found is not None and source[start + found.start() - 1] not in "\"'":
            at, text = start + found.start(), found[0].rstrip()
            repair = source[:at] + quote(text) + source[at + len(text) :]
            return Slip(at, text, f"quote it: {quote(text)}", repair)
    return None


def quote(text: str) -> str:
    """Return the text as a YAML scalar in quotes."""
    if '"' not in text and "\\" not in text:
        return f'"{text}"'
    return "'" + text.replace("'", "''") + "'"


def split_value(source: str) -> tuple[str, str, str] | None:
    """Return what precedes a line's value (dashes, a key), the value, and trailing blanks with a comment.

    None for a line without a value. A single pass: a regex would try every way to distribute the blanks.
    """
    start = _after_blanks(source, 0)
    while source[start : start + 1] == "-":
        following = _after_blanks(source, start + 1)
        if following in (start + 1, len(source)):
            break
        start = following
    if start == len(source):
        return None
    start = _after_key(source, start)
    end = next(
        (at for at in range(start + 1, len(source)) if source[at] == "#" and source[at - 1].isspace()),
        len(source),
    )
    value = source[start:end].rstrip()
    return source[:start], value or source[start : start + 1], source[start + len(value) :]


def _after_blanks(source: str, at: int) -> int:
    while at < len(source) and source[at].isspace():
        at += 1
    return at


def _after_key(source: str, start: int) -> int:
    """Return where the value after a key begins; the start, where there is no key with a value."""
    first = source[start]
    if first in "\"'":
        close = source.find(first, start + 1)
        colon = _after_blanks(source, close + 1) if close > 0 else len(source)
        colons: Iterable[int] = (colon,) if source[colon : colon + 1] == ":" else ()
    elif first in "#{}[],&*!|>%@`":
        return start
    else:
        stop = next((at for at in range(start + 1, len(source)) if source[at] in '#"{}[]'), len(source))
        colons = (at for at in range(start + 1, stop) if source[at] == ":")
    for colon in colons:
        value = _after_blanks(source, colon + 1)
        if colon + 1 < value < len(source):
            return value
    return start
