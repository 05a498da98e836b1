"""Makes texts of strangers safe for a terminal: nothing moves the cursor, reverses direction or hides."""

from __future__ import annotations

import re
from typing import Final

_JSON_UNSAFE: Final = re.compile(
    "[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
"""What JSON writers do not escape: C1 controls, direction marks, zero-width characters."""


def one_line(text: str) -> str:
    """Return a text with everything escaped that is neither visible nor a blank; line ends too."""
    return printable(text, kept="")


def printable(text: str, *, kept: str = "\n\t") -> str:
    """Return a text with everything escaped that is neither visible, nor a blank, nor in ``kept``."""
    plain = text
    for sign in kept:
        plain = plain.replace(sign, "")
    if plain.isprintable():
        return text
    return "".join(each if each.isprintable() or each in kept else _escape(each) for each in text)


def printable_json(text: str) -> str:
    """Return the same JSON with everything escaped that a terminal would act on."""
    return _JSON_UNSAFE.sub(lambda found: escaped(found.group()), text)


def _escape(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii")


def escaped(text: str) -> str:
    """Return each sign as JSON escapes it, lone surrogates too."""
    units = text.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
