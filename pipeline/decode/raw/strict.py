"""Strict JSON: whatever is refused here can never reach a body.

orjson already refuses NaN, Infinity, numbers beyond a double, lone surrogates, invalid UTF-8 and control
characters. Two rules are ours: an integer beyond 64 bits is refused (orjson would round it to a float),
and so is nesting beyond MAX_DEPTH (orjson reads 1,024 levels but writes only 254).
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from pipeline.model.errors import InvalidRecord
from pipeline.model.integers import long_integer
from pipeline.model.json import Json

MAX_DEPTH = 200
"""Levels of nesting a record may have; a body around it adds its own and must stay below 254."""

BOM = b"\xef\xbb\xbf"
"""A byte order mark, which is not part of a record."""

SHALLOW_BYTES = 2 * MAX_DEPTH
"""A text up to this length cannot be nested too deeply: every level takes two brackets."""

_NO_JSON = re.compile(rb"[:,\[]\s*([-+]?(?:NaN|Infinity|nan|inf))\s*[,}\]]")
"""What Python and others write for non-finite numbers; only searched in invalid JSON."""
_BOMS = re.compile(b"(?:" + BOM + b")+")
_NO_MARKS = bytes(set(range(256)) - set(b'"[]{}'))
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_RUNS = re.compile(rb"\[+|\]+")
_OPEN = b"["[0]
_LEAF_LEVELS = 8
"""Innermost levels that are removed at once; little remains above them."""


def loads(raw: bytes, *, is_clean: bool = False) -> Json:
    """Return the decoded value. Raises InvalidRecord with the reason.

    ``is_clean``: our two rules are known to hold, do not check them again.
    """
    try:
        value: Json = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        if raw.startswith(BOM) and (bare := without_bom(raw)):
            # Windows writes one at the beginning of a file; concatenated files have them anywhere.
            return loads(bare, is_clean=is_clean)
        raise InvalidRecord(_reason(raw, error)) from None
    if is_clean:
        return value
    long = long_integer(raw)
    if long is not None:
        raise InvalidRecord(f"the integer {long[:40]}{'...' * (len(long) > 40)} does not fit into 64 bits")
    if may_be_deep(raw) and _depth_of(raw) > MAX_DEPTH:
        raise InvalidRecord(f"the JSON is nested more than {MAX_DEPTH} levels deep")
    return value


def inside(text: str) -> Json:
    """Return what a text holds that is itself the JSON of an object or a list; any other text as it is.

    Debezium's outbox router and others encode a record twice. Raises InvalidRecord as `loads` does.
    """
    return loads(text.encode()) if text.lstrip()[:1] in ("{", "[") else text


def without_bom(raw: bytes) -> bytes:
    """Return the bytes without the byte order marks at their beginning."""
    found = _BOMS.match(raw)
    return raw if found is None else raw[found.end() :]


def may_be_deep(raw: bytes) -> bool:
    """Return True where ``raw`` has brackets for more than MAX_DEPTH levels; False is certain."""
    return len(raw) > SHALLOW_BYTES and raw.count(b"{") + raw.count(b"[") > MAX_DEPTH


def has_surrogates(text: bytes) -> bool:
    """Return True where the text contains an escaped surrogate; most texts contain no escape at all."""
    return b"\\" in text and (b"\\ud" in text or b"\\uD" in text)


def is_utf8(text: bytes) -> bool:
    """Return whether the text is UTF-8."""
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def is_doubtful(line: bytes) -> bool:
    """Return True where a first look, which skips what it does not read, may miss a broken rule."""
    return has_surrogates(line) or may_be_deep(line) or not is_utf8(line)


def _reason(raw: bytes, error: orjson.JSONDecodeError) -> str:
    if not raw.strip():
        return "the line is empty"
    try:
        raw.decode()
    except UnicodeDecodeError as found:
        return f"not UTF-8 at byte {found.start}"
    odd = _NO_JSON.search(raw)
    if odd is not None:
        return f"not JSON: {odd[1].decode()} is no number of JSON ({error})"
    return f"not JSON: {error}"


def depth(value: Any) -> int:
    """Return the number of levels of lists and dicts, without recursion."""
    depth = 0
    level = [value]
    while True:
        level = [item for item in level if type(item) in (dict, list)]
        if not level:
            return depth
        depth += 1
        level = [child for item in level for child in (item.values() if type(item) is dict else item)]


def _depth_of(raw: bytes) -> int:
    """Return the number of levels of lists and objects in a JSON text.

    Counts brackets outside strings: a fraction of the time of walking the decoded value.
    """
    if b"\\" in raw:
        raw = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    marks = raw.translate(_ONE_KIND, _NO_MARKS).replace(b'""', b"")
    if b'"' in marks:
        marks = b"".join(marks.split(b'"')[::2])
    levels = 0
    while marks and levels < _LEAF_LEVELS:
        marks = marks.replace(b"[]", b"")
        levels += 1
    deep = depth = 0
    for run in _RUNS.findall(marks):
        depth += len(run) if run[0] == _OPEN else -len(run)
        deep = max(deep, depth)
    return levels + deep
