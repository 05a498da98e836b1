"""Texts in other charsets than UTF-8, as answers and requests have them."""

from __future__ import annotations

import codecs
import re
from functools import lru_cache
from typing import Final

NO_CODING: Final = frozenset({"", "identity", "none", "binary", "utf-8", "utf8"})
"""Values of ``content-encoding`` that mean no coding: some take it for the charset."""
_CHARSET: Final = re.compile(r"""charset\s*=\s*["']?([\w.:-]+)""", re.IGNORECASE)
_TEXTS: Final = re.compile(
    r"utf-?(8|16|32)(-?[lb]e)?|(us-)?ascii|(iso-?)?8859-?\d+|latin-?\d+|(windows-?|cp)125\d"
    r"|shift-?jis|euc-?(jp|kr|cn)|gb(2312|k|18030)|big5|koi8-?[ru]"
)
"""Charsets by their common names; Python's codecs know more, some of which are not charsets."""
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_USUAL: Final = frozenset({"", "utf-8", "utf8", "ascii", "us-ascii"})


class NotInCharset(ValueError):
    """The text is not in its charset, which the message names."""


def decoded(text: bytes, content_type: str) -> str:
    """Return a text in the charset of its byte order mark, else in that of its content type, else in UTF-8.

    Raises NotInCharset.
    """
    for mark, charset in _MARKS:
        if text.startswith(mark):
            return _text(text[len(mark) :], charset)
    charset = _charset_of(content_type)
    wide = charset[:6].rstrip("-") in ("utf-16", "utf16", "utf-32", "utf32")
    if not charset or (wide and not charset.endswith("e")):
        charset = _by_zeros(text) or ("utf-8" if not charset else f"{charset}-be")
    elif not _TEXTS.fullmatch(charset):
        charset = "utf-8"
    return _text(text, charset)


def in_utf8(text: bytes, content_type: str) -> bytes:
    """Return a text in UTF-8. Raises NotInCharset.

    What is UTF-8 stays as it is, whatever its content type names: some libraries name a charset that they do
    not write. So does a text whose content type names none that is known.
    """
    if not names_another(content_type):
        return text
    if b"\0" not in text[:4]:
        try:
            text.decode()
        except UnicodeDecodeError:
            pass
        else:
            return text
    return decoded(text, content_type).encode()


@lru_cache(maxsize=256)
def names_another(content_type: str) -> bool:
    """Return whether a content type names a charset that is known, and not UTF-8 or a part of it."""
    charset = _charset_of(content_type)
    return charset not in _USUAL and _TEXTS.fullmatch(charset) is not None


def _charset_of(content_type: str) -> str:
    """Return the charset that a content type names, in lower case with dashes; "" for none."""
    found = _CHARSET.search(content_type)
    return "" if found is None else found[1].lower().replace("_", "-")


def _by_zeros(text: bytes) -> str:
    """Return the charset shown by the zero bytes of the first character (RFC 4627, 3); "" for one
    byte each.
    """
    zeros = bytes(byte and 1 for byte in text[:4])
    known = {b"\0\0\0\1": "utf-32-be", b"\1\0\0\0": "utf-32-le", b"\0\1": "utf-16-be", b"\1\0": "utf-16-le"}
    return known.get(zeros) or known.get(zeros[:2], "")


def _text(text: bytes, charset: str) -> str:
    try:
        return text.decode(charset)
    except (UnicodeDecodeError, LookupError):
        raise NotInCharset(f"it is no {charset}") from None
