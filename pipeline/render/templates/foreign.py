"""Detects other products' template syntax, which would be sent literally, and warns.

`{person.properties.name}` is PostHog's; `$.properties.total` is Segment's and RudderStack's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pipeline.language.path_syntax import EVENT_ROOTS, PathError, like_index, parse_path
from pipeline.render.templates.spot import Spot

_BRACES: Final = re.compile(
    r"(?<![{$])\{ *(?:to(?:Float|Int|String)\( *)?"
    r"((?:event|person)(?:\.[\w$-]+)*|user(?:\.[\w$-]+)+) *\)? *\}(?!\})"
)
_ROOTED: Final = re.compile(
    r"\$\.((?:properties|traits|context|event|type|userId|anonymousId|messageId|timestamp)(?:\.[\w-]+)*)\s*"
)
_BARE: Final = re.compile(
    r"\$?((?:event|user)\.(?:properties|context|before)(?:\.[\w$-]+|\[[^\[\]]*\])+)", re.ASCII
)
"""A path without its braces."""
_UNOPENED: Final = re.compile(r"(?<![\w.{$])(?:event|user)\.[\w$.\[\]\"'-]+(?: *\|[^{}]{0,100})? *\}\}")
"""A path, with filters, that is closed."""
_LOOKED_AT: Final = 1_000
"""Characters before it in which it may be opened."""
_TRIPLE: Final = re.compile(r"\{\{\{([^{}]*)\}\}\}")
_IN_JSON: Final = re.compile(r"\"(\{\{-?([^{}]*?)-?\}\})\"")
"""An expression that is all of a JSON text inside a text."""
_LITERAL: Final = r"(?:'[^']*'|\"[^\"]*\")"
_HARMLESS: Final = re.compile(
    r"\s*(?:(?:event\.(?:time|received_at|kind)|user\.identified|index|forloop\.\w+|vars\.[\w.$-]+)"
    rf"|{_LITERAL}(?:\s+if\s[^|]*\selse\s+{_LITERAL})?"
    r"|.*\|\s*(?:escapejs|url_encode|base64_encode|sha1|sha256|md5|hmac_sha256|date|size|plus|minus|times"
    r"|divided_by|round|ceil|floor|to_integer|to_number|format_number)\b[^|]*"
    rf"(?:\|\s*default:\s*(?:{_LITERAL}|[\w.-]+))?)\s*"
)
"""An expression whose value cannot end the text around it, as far as its author does not mean it."""
_BEGINS_JSON: Final = re.compile(
    r"\s*(?:\{\s*\"[^\"]*\"\s*:|\[\s*(?:\{\s*\"|\[|\"[^\"]*\"\s*[,\]]|[\w.-]+\s*,))"
)
"""What no sentence begins with: `{"key":`, `["a",`, `[{"`."""
_DOT_DIGIT: Final = re.compile(r"\.(?:[0-9]|(?:size|first|last)(?![\w$-]))")
"""Occurs in few templates."""
_NUMBERED: Final = re.compile(
    r"(?<![\w.\"'$-])(?:event|user|vars|item)(?:\.[\w$-]+|\[[^\[\]]*\])*\.(?:[0-9]{1,3}|size|first|last)(?![\w$-])(?:\.[\w$-]+|\[[^\[\]]*\])*"
)
"""A path with a short number after a dot, or a word of Liquid that is a key here."""
_MEANT: Final = re.compile(r"did you mean `(.+)`\?")


def warn_of_foreign(text: str, spot: Spot) -> None:
    """Warn of each foreign template in a text, with our equivalent."""
    if _DOT_DIGIT.search(text) is not None:
        _warn_of_indexes(text, spot)
    for one in _TRIPLE.finditer(text) if "{{{" in text else ():
        spot.warn(
            "looks-like-template",
            "the third brace is sent, in front of the value and behind it",
            hint=f"write `{one[0][1:-1]}`",
            offset=one.start(),
            length=len(one[0]),
        )
    for one in _UNOPENED.finditer(text) if "}}" in text else ():
        near = max(0, one.start() - _LOOKED_AT), one.start()
        if text.rfind("{{", *near) <= text.rfind("}}", *near):
            spot.warn(
                "looks-like-template",
                f"`{one[0]}` is sent as it is written: nothing opens it",
                hint=f"write `{{{{ {one[0]}`",
                offset=one.start(),
                length=len(one[0]),
            )
    for written, offset, path in _found(text):
        spot.warn(
            "looks-like-template",
            f"`{written}` is sent as it is written",
            hint=f"write `{{{{ {_here(path)} }}}}` if the value is meant",
            offset=offset,
            length=len(written),
        )


def warn_of_json(text: str, spot: Spot) -> None:
    """Warn of values that can break the JSON which a text inside a body, or a text body, holds."""
    for one in _IN_JSON.finditer(text) if '"{{' in text and _is_json(text) else ():
        if _HARMLESS.fullmatch(one[2]) is None:
            value = re.sub(r"\|\s*json\s*$", "", one[2]).strip()
            spot.warn(
                "json-text",
                "a quote or a line end in the value breaks the JSON in this text",
                hint=f"write `{{{{ {value} | json }}}}` without quotes around it",
                offset=one.start(),
                length=len(one[0]),
            )


def _is_json(text: str) -> bool:
    """Return whether a text is JSON, or lines of it, as `[Alert] "{{ event.name }}"` is not."""
    plain = filled(text, "0")
    return plain.rstrip()[-1:] in ("}", "]") and _BEGINS_JSON.match(plain) is not None


def filled(text: str, value: str) -> str:
    """Return a text without tags, with this in place of each expression."""
    for opens, closes, instead in (("{{", "}}", value), ("{%", "%}", "")):
        # No pattern: it would look for the end of each that is not closed.
        before, *others = text.split(opens)
        text = before + "".join(instead + other.partition(closes)[2] for other in others)
    return text


def may_warn(text: str) -> bool:
    """Return whether `warn_of_foreign` could find something in a template that is one path."""
    return "{{{" in text or _DOT_DIGIT.search(text) is not None


def _warn_of_indexes(text: str, spot: Spot) -> None:
    """Warn of `{{ event.properties.items.0.sku }}`, other products' array index."""
    for one in _NUMBERED.finditer(text):
        found, start = like_index(one[0]), one.start()
        inside = max(text.rfind("{{", 0, start), text.rfind("{%", 0, start))
        if found is not None and inside > max(text.rfind("}}", 0, start), text.rfind("%}", 0, start)):
            code, message, hint = found
            spot.warn(code, message, hint=hint, offset=start, length=len(one[0]))


def _found(text: str) -> Iterator[tuple[str, int, str]]:
    """Yield each one: its text, its offset, and its path."""
    if "{" in text:
        for one in _BRACES.finditer(text):
            yield one[0], one.start(), one[1]
    if (bare := _BARE.fullmatch(text)) is not None:
        yield text, 0, bare[1]
    if text.startswith("$.") and (rooted := _ROOTED.fullmatch(text)):
        path = rooted[1].removeprefix("context.") if rooted[1].startswith("context.traits") else rooted[1]
        yield text.rstrip(), 0, path if path.startswith("traits") else f"event.{path}"


def _here(path: str) -> str:
    """Return our equivalent of another product's path, as the remedies of paths know it."""
    for _ in range(3):
        try:
            parse_path(path, EVENT_ROOTS)
        except PathError as error:
            meant = _MEANT.fullmatch(error.hint or "")
            if meant is None:
                break
            path = meant[1]
        else:
            break
    return path
