"""Filters on text. Other values are converted to text first, as a template prints them."""

# ruff: noqa: D103 - what a filter gives stands in the table at the end, which the reference is made of

from __future__ import annotations

import re
from typing import Final

from pipeline.model.json import Value
from pipeline.render.filters.filter import Example, Filter
from pipeline.render.values.printing import MAX_RESULT, Failure, check_size, to_count, to_text

_SPACES: Final = re.compile(r"\s+")


def strip_html(value: Value) -> str:
    text = to_text(value)
    if "<" not in text or ">" not in text:
        return text
    if len(text) > MAX_RESULT // 8:
        raise Failure("strip_html wants a text of at most 128 KiB", text)  # its parser may be quadratic
    from pipeline.render.filters.markup import outside_tags  # few templates use it, and html.parser is large

    return outside_tags(text)


def append(value: Value, text: Value) -> str:
    return to_text(value) + to_text(text)


def prepend(value: Value, text: Value) -> str:
    return to_text(text) + to_text(value)


def capitalize(value: Value) -> str:
    return to_text(value).capitalize()


def downcase(value: Value) -> str:
    return to_text(value).lower()


def upcase(value: Value) -> str:
    return to_text(value).upper()


def strip(value: Value) -> str:
    return to_text(value).strip()


def lstrip(value: Value) -> str:
    return to_text(value).lstrip()


def rstrip(value: Value) -> str:
    return to_text(value).rstrip()


def squish(value: Value) -> str:
    return _SPACES.sub(" ", to_text(value).strip())


def strip_newlines(value: Value) -> str:
    return to_text(value).replace("\r\n", "").replace("\n", "")


def newline_to_br(value: Value) -> str:
    return to_text(value).replace("\r\n", "\n").replace("\n", "<br />\n")


def _replace(text: str, old: str, new: str, count: int = -1) -> str:
    """Replace, but compute the size of the result first: a template must not fill the memory."""
    found = text.count(old)
    if count >= 0:
        found = min(found, count)
    if len(text) + found * (len(new) - len(old)) > 2 * MAX_RESULT:
        raise Failure("a filter's result is larger than 1 MiB")
    return text.replace(old, new, count)


def replace(value: Value, old: Value, new: Value = "") -> str:
    return _replace(to_text(value), to_text(old), to_text(new))


def replace_first(value: Value, old: Value, new: Value = "") -> str:
    return _replace(to_text(value), to_text(old), to_text(new), 1)


def replace_last(value: Value, old: Value, new: Value = "") -> str:
    text, wanted = to_text(value), to_text(old)
    at = text.rfind(wanted)
    return text if at < 0 else text[:at] + to_text(new) + text[at + len(wanted) :]


def remove(value: Value, old: Value) -> str:
    return replace(value, old)


def remove_first(value: Value, old: Value) -> str:
    return replace_first(value, old)


def remove_last(value: Value, old: Value) -> str:
    return replace_last(value, old)


def split(value: Value, separator: Value = " ") -> list[str]:
    text, between = to_text(value), to_text(separator)
    if type(value) is not str:
        check_size(text)  # lists are printed with escapes: in a chain of splits they double each time
    if between == "":
        return list(text)
    if text in ("", between):
        return []
    return text.split(None if between == " " else between)


def truncate(value: Value, length: Value = 50, end: Value = "...") -> str:
    text, most, tail = to_text(value), to_count(length, "truncate"), to_text(end)
    if len(text) <= most:
        return text
    return text[: max(0, most - len(tail))] + tail


def truncatewords(value: Value, count: Value = 15, end: Value = "...") -> str:
    words, most = to_text(value).split(), max(1, to_count(count, "truncatewords"))
    return " ".join(words) if len(words) <= most else " ".join(words[:most]) + to_text(end)


def to_string(value: Value) -> str:
    return to_text(value)


TABLE: Final = (
    Filter(append, "the text with another behind it", Example("a", "append: '.png'", "a.png")),
    Filter(prepend, "the text with another before it", Example("b", "prepend: 'a'", "ab")),
    Filter(capitalize, "first letter upper case, the rest lower case", Example("anN", "capitalize", "Ann")),
    Filter(downcase, "lower case", Example("Ann@ACME.com", "downcase", "ann@acme.com")),
    Filter(upcase, "upper case", Example("de", "upcase", "DE")),
    Filter(strip, "without white space at both ends", Example(" a b ", "strip", "a b")),
    Filter(lstrip, "without white space at the start", Example(" a ", "lstrip", "a ")),
    Filter(rstrip, "without white space at the end", Example(" a ", "rstrip", " a")),
    Filter(
        squish,
        "each run of white space one blank",
        Example(" a \n b ", "squish", "a b"),
        per_text=7,
        per_element=4,
    ),
    Filter(strip_newlines, "without line ends", Example("a\r\nb", "strip_newlines", "ab"), per_text=3),
    Filter(
        newline_to_br,
        "`<br />` before each line end",
        Example("a\nb", "newline_to_br", "a<br />\nb"),
        per_text=8,
        per_element=3,
    ),
    Filter(
        replace,
        "every occurrence replaced",
        Example("a-b-c", "replace: '-', '+'", "a+b+c"),
        Example("ab", "replace: '', '.'", ".a.b."),
        per_text=6,
    ),
    Filter(replace_first, "the first replaced", Example("aa", "replace_first: 'a', 'b'", "ba"), per_text=3),
    Filter(replace_last, "the last replaced", Example("aa", "replace_last: 'a', 'b'", "ab"), per_text=3),
    Filter(remove, "every occurrence removed", Example("+49 15", "remove: '+'", "49 15"), per_text=4),
    Filter(remove_first, "the first removed", Example("abab", "remove_first: 'a'", "bab")),
    Filter(remove_last, "the last removed", Example("abab", "remove_last: 'a'", "abb")),
    Filter(
        split,
        "the parts between a separator; `' '` is any white space, `''` gives characters",
        Example("a,b,,c", "split: ','", ["a", "b", "", "c"]),
        Example(" Ann  Lee ", "split: ' '", ["Ann", "Lee"]),
        Example("abc", "split: ''", ["a", "b", "c"]),
        Example("", "split: ','", []),
        per_text=6,
        per_element=3,
    ),
    Filter(
        strip_html,
        "without tags, scripts and styles",
        Example("<p>a <b>b</b></p><script>x()</script>", "strip_html", "a b"),
        per_text=450,
    ),
    Filter(
        truncate,
        "at most so many characters (50), the end mark (`...`) included",
        Example("abcdefgh", "truncate: 6", "abc..."),
        Example("abcdef", "truncate: 6", "abcdef"),
    ),
    Filter(
        truncatewords,
        "at most so many words (15), then the end mark (`...`)",
        Example("a b c", "truncatewords: 2", "a b..."),
        Example("a b", "truncatewords: 2", "a b"),
    ),
    Filter(
        to_string,
        "the text that the value prints as",
        Example(1534.7, "to_string", "1534.7"),
        Example(True, "to_string", "true"),
        Example({"a": [1]}, "to_string", '{"a":[1]}'),
    ),
)
