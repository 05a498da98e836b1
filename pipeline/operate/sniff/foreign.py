"""Recognises files that are not JSON lines: their format, and how to convert them."""

from __future__ import annotations

import json
import re
from typing import Final

import orjson

from pipeline.sources.files.lines.unpackers import no_lines

_MAGIC: Final = (
    (b"ORC", "an ORC file", "read it with the tool that wrote it, and write JSON lines"),
    (b"SQLite format 3", "an SQLite database", "`sqlite3 FILE -json` gives a list: `jq -c '.[]'` its lines"),
    (b"%PDF", "a PDF", "name a file of JSON lines"),
    (b"\x89PNG", "an image", "name a file of JSON lines"),
    (b"\x1e{", "a JSON text sequence (RFC 7464)", "`tr -d '\\036' < FILE > out.jsonl`"),
)
_TO_LINES: Final = "expected one record per line, each a JSON object"
_COLUMNS: Final = (
    (",", "CSV", "--icsv"),
    (";", "CSV with semicolons", "--icsv --ifs ';'"),
    ("\t", "tab-separated values", "--itsv"),
    ("|", "a table", "--icsv --ifs '|'"),
)
_LOG: Final = re.compile(
    r'\S+ \S+ \S+ \[[^\]]+\] "|<\d{1,3}>|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S* +\[?[A-Z]+'
)


def foreign(head: bytes) -> tuple[str, str] | None:
    """Return the format of a file with this beginning, and how to convert it; None where it may be JSON
    lines.

    ``FILE`` in the remedy stands for its name.
    """
    if (found := no_lines(head)) is not None:
        return found
    for magic, name, remedy in _MAGIC:
        if head.startswith(magic):
            return name, remedy
    text = head[:20_000].decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if not text:
        return "empty: it holds no line", "name a file with records"
    if text.startswith(("{", "[")) and _is_python(text):
        return "Python's way of writing dicts, no JSON", "write with json.dumps, one record a line"
    first = text.splitlines()[0]
    if text.startswith("{") and re.search(r"\}\s*\{", first) and _is_joined(first):
        return "several JSON objects in one line", "`jq -c . FILE > out.jsonl`"
    if text.startswith(("{", "[")):
        if _is_json(first) and "\n" not in text and "\r" in text:
            return "JSON lines that end with CR alone", "`tr '\\r' '\\n' < FILE > out.jsonl`"
        return _of_json(first)
    if _is_json(first):
        inner = orjson.loads(first)
        if isinstance(inner, str) and inner.lstrip()[:1] in ("{", "["):
            return None  # encoded twice, which is read
        return f"JSON without objects ({first[:20]})", _TO_LINES
    if head.startswith(b"\0") or head[:20_000].count(b"\0") > 8 or text.count("\ufffd") > 8:
        return "binary data of no kind that is known here", _TO_LINES
    return _of_text(text)


def _of_json(first: str) -> tuple[str, str] | None:
    """Return the format of a file that begins like JSON; None where it may be JSON lines."""
    if first.rstrip().endswith(",") and _is_json(first.rstrip()[:-1]):
        return "JSON lines with a comma after each", "`sed 's/,[[:space:]]*$//' FILE > out.jsonl`"
    opened = first.count("{") + first.count("[") - first.count("}") - first.count("]")
    if opened > 0 and len(first) < 1000 and re.fullmatch(r'[\[{\s]+("[^"\\]*"\s*:.*)?', first):
        return "JSON spread over several lines", "`jq -c . FILE > out.jsonl` makes a line of each value, " + (
            "`jq -c '.[]'` of each member of a list"
        )
    return None


def _of_text(text: str) -> tuple[str, str]:
    lines = [line for line in text.splitlines()[:20] if line.strip()]
    low = text[:200].lower()
    if low.startswith(("<!doctype html", "<html")):
        return "an HTML page", "an address that wants a login answers so; " + _TO_LINES
    if low.startswith("<"):
        return "XML", "write it as JSON lines with the tool that you know; " + _TO_LINES
    if lines and all(line.find("{") > 0 and _is_json(line[line.find("{") :]) for line in lines[:5]):
        return (
            "lines with a JSON object after something else",
            "`sed -n 's/^[^{]*{/{/p' FILE > out.jsonl`",
        )
    if _LOG.match(text):
        return "lines of a log", "let the logger write JSON; " + _TO_LINES
    for sign, name, flag in _COLUMNS:
        counts = [line.count(sign) for line in lines[:5]]
        if counts and min(counts) >= 1 and counts[0] == max(counts, key=counts.count):
            shown = ", ".join(column.strip(' "')[:20] for column in lines[0].split(sign)[:4])
            return (
                f"{name} (its columns: {shown}{', ...' * (counts[0] > 3)})",
                f"`mlr {flag} --ojsonl cat FILE > out.jsonl`",
            )
    if lines and all(re.match(r"\S+=\S*( \S+=|$)", line) for line in lines[:5]):
        return "logfmt", "let the logger write JSON; " + _TO_LINES
    if re.match(r"---\s|[\w-]+:(\s|$)", text):
        return "YAML", _TO_LINES
    return "plain text", _TO_LINES


def _is_python(text: str) -> bool:
    first = text.splitlines()[0]
    return not _is_json(first) and re.match(r"[\[{]\s*[\[{]?\s*'", first) is not None


def _is_json(line: str) -> bool:
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True


def _is_joined(line: str) -> bool:
    try:
        return json.JSONDecoder().raw_decode(line)[1] < len(line.rstrip())
    except (ValueError, RecursionError):
        return False
