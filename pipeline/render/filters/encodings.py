"""Filters that write a text in another notation: escaped for HTML, XML, CSV or JavaScript, URLs, base64."""

# ruff: noqa: D103 - what a filter gives stands in the table at the end, which the reference is made of

from __future__ import annotations

import base64
import binascii
import html
import re
from typing import Final
from urllib.parse import quote, quote_plus, unquote_plus

from pipeline.model.json import Value
from pipeline.render.filters.filter import Example, Filter
from pipeline.render.values.printing import Failure, UrlPath, to_text, utf8

_NOT_PATH: Final = re.compile(r"[\\\x00-\x1f\x7f-\x9f]|(?:^|/)\.{1,2}(?:;[^/]*)?(?:/|$)")
_XML_NAMES: Final = {
    "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;", "\r": "&#13;",
}  # fmt: skip
_XML_UNSAFE: Final = re.compile("[&<>\"'\r]")
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CSV_UNSAFE: Final = re.compile(r'[",;\t\r\n]|^\s|\s$')
_JS_UNSAFE: Final = re.compile(r"[\x00-\x1f\\'\"><&=\-;`\u2028\u2029]")


def escape(value: Value) -> str:
    return html.escape(to_text(value))


def escape_once(value: Value) -> str:
    return html.escape(html.unescape(to_text(value)))


def escapejs(value: Value) -> str:
    return _JS_UNSAFE.sub(lambda found: f"\\u{ord(found.group()):04X}", to_text(value))


def xml_escape(value: Value) -> str:
    text = to_text(value)
    bad = _NOT_XML.search(text)
    if bad is not None:
        raise Failure(f"XML cannot hold the character U+{ord(bad[0]):04X}", text)
    return _XML_UNSAFE.sub(lambda found: _XML_NAMES[found.group()], text)


def csv_escape(value: Value) -> str:
    text = to_text(value)
    return '"' + text.replace('"', '""') + '"' if _CSV_UNSAFE.search(text) else text


def url_encode(value: Value) -> str:
    return quote_plus(utf8(to_text(value)))


def url_decode(value: Value) -> str:
    try:
        return unquote_plus(to_text(value), errors="strict")
    except UnicodeDecodeError:
        raise Failure("url_decode wants UTF-8 behind the signs", value) from None


def url_path(value: Value) -> str:
    text = to_text(value)
    if _NOT_PATH.search(text):
        raise Failure("a URL's path holds no `\\`, no control character and no segment `.` or `..`", text)
    return UrlPath(quote(utf8(text), safe="/"))


def base64_encode(value: Value) -> str:
    return base64.b64encode(utf8(to_text(value))).decode()


def base64_url_safe_encode(value: Value) -> str:
    return base64.urlsafe_b64encode(utf8(to_text(value))).decode()


def base64_decode(value: Value) -> str:
    return _decode(to_text(value), b"+/")


def base64_url_safe_decode(value: Value) -> str:
    return _decode(to_text(value), b"-_")


def _decode(text: str, letters: bytes) -> str:
    compact = "".join(text.split())
    padded = compact + "=" * (-len(compact) % 4)
    try:
        return base64.b64decode(padded, letters, validate=True).decode()
    except (binascii.Error, ValueError):
        raise Failure("this is no base64 of a UTF-8 text", text) from None


TABLE: Final = (
    Filter(
        escape,
        "escaped for HTML",
        Example("<a> & 'b'", "escape", "&lt;a&gt; &amp; &#x27;b&#x27;"),
        per_text=7,
    ),
    Filter(
        escape_once,
        "escaped for HTML, what is escaped already stays",
        Example("&lt;a&gt; & b", "escape_once", "&lt;a&gt; &amp; b"),
        per_text=64,
    ),
    Filter(
        escapejs,
        "escaped for a JavaScript string",
        Example("a'b", "escapejs", "a\\u0027b"),
        per_text=260,
        per_element=24,
    ),
    Filter(
        xml_escape,
        "escaped for XML, in texts and attributes; a character that XML cannot hold is a dead letter",
        Example("<a> & 'b'", "xml_escape", "&lt;a&gt; &amp; &apos;b&apos;"),
        per_text=110,
        per_element=11,
    ),
    Filter(
        csv_escape,
        "a field of CSV, in quotes where it needs them (RFC 4180)",
        Example('5" nails, long', "csv_escape", '"5"" nails, long"'),
        Example("Ann", "csv_escape", "Ann"),
        per_text=12,
    ),
    Filter(
        url_encode,
        "encoded for a form or query",
        Example("a b&c", "url_encode", "a+b%26c"),
        per_text=45,
        per_element=11,
    ),
    Filter(
        url_decode, "decoded from a form or query", Example("a+b%26c", "url_decode", "a b&c"), per_text=45
    ),
    Filter(
        url_path,
        "several segments of a URL's path, each encoded; `/` stays, `.` and `..` are refused",
        Example("a b/c?", "url_path", "a%20b/c%3F"),
        per_text=60,
        per_element=16,
    ),
    Filter(base64_encode, "base64 of the UTF-8 text", Example("a?", "base64_encode", "YT8="), per_text=3),
    Filter(base64_decode, "the text of a base64", Example("YT8=", "base64_decode", "a?"), per_text=3),
    Filter(
        base64_url_safe_encode,
        "base64 with `-` and `_`",
        Example("a??>", "base64_url_safe_encode", "YT8_Pg=="),
        per_text=3,
    ),
    Filter(
        base64_url_safe_decode,
        "the text of a base64 with `-` and `_`",
        Example("YT8_Pg==", "base64_url_safe_decode", "a??>"),
        per_text=3,
    ),
)
