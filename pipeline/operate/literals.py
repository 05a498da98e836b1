"""Secrets that are written out in a webhook's file, where a placeholder should stand."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pipeline.config.files import config_files
from pipeline.config.yaml.document import Document, Node, Span, text_span
from pipeline.config.yaml.loader import decode_text, parse_yaml
from pipeline.language.secrets import origin_end
from pipeline.model.findings import Finding
from pipeline.model.json import Value
from pipeline.model.masking import Masks
from pipeline.model.plain_file import read_plain

FRESH_SECS: Final = 2.0
HIDDEN: Final = "•••"
_NAMES: Final = re.compile(
    r"authori[sz]ation|cookie|password|passwd|pwd|secret|token|credential|signature"
    r"|(?:api|access|private)[-_ ]?key|(?:^|[-_ ])(?:key|auth|pat)$",
    re.IGNORECASE,
)
_HOOKS: Final = re.compile(
    r"//(?:[^/?#]*@)?(?:hooks?\.|[^/?#]*webhook|(?:[^/?#]*\.)?discord(?:app)?\.com)|/webhooks?/",
    re.IGNORECASE,
)
"""Addresses whose path is a password."""
_PLACEHOLDER: Final = re.compile(r"\$\{(?!\{)[^}:]*(?::-([^}]*))?\}|\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_SCHEME: Final = re.compile(r"\s*(?:Bearer|Basic|Token|ApiKey|Digest)\s+", re.IGNORECASE)
_SEGMENT: Final = re.compile(r"[A-Za-z0-9_=+-]{8,}")
_USERINFO: Final = re.compile(r"(?<=://)[^/?#@]*(?=@)")
_PARAMETER: Final = re.compile(r"[?&]([^=&#]*)=([^&#]*)")
_LINE: Final = re.compile(r"^(\s*(?:- )?[\"']?([\w .-]+)[\"']?\s*:\s*)(\S.*)$")
_FIELDS: Final = frozenset(
    {"password", "token", "value", "client_secret", "refresh_token", "secret", "secrets"}
)


def literal_secrets(file: str, text: str) -> list[Finding]:
    """Return a warning for each secret that is written out, at its place."""
    document = parse_yaml(text, file)
    found = []
    for node, start, end, what in _literals(document):
        message = f"a secret stands in the file ({what})"
        hint = "put it into the job's environment and write ${NAME}"
        span = text_span(node, start, end - start)
        found.append(document.finding(span, "plain-secret", message, hint=hint, warning=True))
    return found


def hide_literals(text: str) -> str:
    """Return the text of a file with what looks like a secret hidden; lines stay where they were."""
    document = parse_yaml(text, "")
    if document.root is None:
        return "\n".join(map(_hide_line, text.split("\n")))
    lines = text.split("\n")
    for node, start, end, _ in reversed(list(_literals(document))):
        if node.style in ("|", ">") or node.span.line != node.span.end_line:
            _blank(lines, node.span)
            continue
        span = text_span(node, start, end - start)
        source = lines[span.line]
        # Quotes and escapes: what cannot be told apart is hidden whole.
        shown = source[span.column : span.end_column]
        if shown != str(node.value)[start:end]:
            span = node.span
        lines[span.line] = source[: span.column] + HIDDEN + source[span.end_column :]
    return "\n".join(lines)


class Written:
    """Secrets that are written out in the files of a config, hidden by their value wherever they come up: in
    requests above all, as they are shown and kept. For any thread.
    """

    def __init__(self, config: Path) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._looked = float("-inf")
        self._known: dict[str, tuple[tuple[int, ...], frozenset[str]]] = {}
        self._masks: Masks | None = None

    def look(self) -> None:
        """Take in what has changed on disk; does nothing where it looked a moment ago."""
        with self._lock:
            if time.monotonic() - self._looked < FRESH_SECS:
                return
            before = {value for _, values in self._known.values() for value in values}
            self._known = dict(self._read())
            found = {value for _, values in self._known.values() for value in values}
            if found != before:
                masks = Masks()
                for value in found:
                    masks.add(value, HIDDEN)
                self._masks = masks if found else None
            self._looked = time.monotonic()

    def hidden(self, value: Value) -> Value:
        """Return data without them."""
        masks = self._masks
        return value if masks is None else _masked(value, masks)

    def _read(self) -> Iterator[tuple[str, tuple[tuple[int, ...], frozenset[str]]]]:
        for name in config_files(self._config):
            path = self._config / name
            try:
                seen = path.stat()
                sign = seen.st_ino, seen.st_size, seen.st_mtime_ns
                known = self._known.get(name)
                if known is None or known[0] != sign:
                    document = parse_yaml(decode_text(read_plain(path)), name)
                    parts = _literals(document)
                    known = (
                        sign,
                        frozenset(str(node.value)[start:end].strip() for node, start, end, _ in parts),
                    )
            except (OSError, ValueError):
                continue
            yield name, known


def _masked(value: Value, masks: Masks) -> Value:
    if isinstance(value, str):
        return masks.mask(value)
    if isinstance(value, dict):
        return {key: _masked(inner, masks) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(inner, masks) for inner in value]
    return value


def _literals(document: Document) -> Iterator[tuple[Node, int, int, str]]:
    """Yield each scalar that holds one, with the part that it is, in the order of the file."""
    root = document.root
    if root is None:
        return
    found = list(_walk(root, ()))
    found.sort(key=lambda one: (one[0].span.line, one[0].span.column, one[1]))
    yield from found


def _walk(node: Node, path: tuple[str, ...]) -> Iterator[tuple[Node, int, int, str]]:
    if node.items is not None:
        for key, (_, inner) in node.items.items():
            yield from _walk(inner, (*path, key))
    elif node.elements is not None:
        for inner in node.elements:
            yield from _walk(inner, path)
    elif isinstance(node.value, str) and path and path[0] != "description":
        name = ".".join(path)
        for start, end in _parts(node.value, path):
            yield node, start, end, name


def _parts(text: str, path: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    if path[-1] in ("url", "token_url", "proxy"):
        yield from _of_url(text)
    is_secret = _NAMES.search(path[-1]) is not None and path[0] in ("request", "vars", "delivery")
    is_field = path[:2] in (("request", "auth"), ("request", "signature")) and path[-1] in _FIELDS
    if not (is_secret or is_field) or path[-1] in ("token_url", "header", "algorithm", "encoding", "prefix"):
        return
    start = found.end() if (found := _SCHEME.match(text)) else 0
    for match in _PLACEHOLDER.finditer(text, start):
        yield from _literal(text, start, match.start())
        if match.group(1):
            yield match.span(1)
        start = match.end()
    yield from _literal(text, start, len(text))


def _literal(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    if text[start:end].strip():
        yield start, end


def _of_url(text: str) -> Iterator[tuple[int, int]]:
    userinfo = _USERINFO.search(text)
    if userinfo is not None and not _PLACEHOLDER.fullmatch(userinfo.group().rpartition(":")[2]):
        yield userinfo.span()
    path = origin_end(text)
    query = text.find("?", path)
    until = len(text) if query < 0 else query
    if _HOOKS.search(text):
        holes = [found.span() for found in _PLACEHOLDER.finditer(text)]
        for found in _SEGMENT.finditer(text, path, until):
            inside = any(start <= found.start() < end for start, end in holes)
            if not inside and (any(map(str.isdigit, found.group())) or len(found.group()) >= 20):
                yield found.span()
    if query >= 0:
        for found in _PARAMETER.finditer(text, query):
            if _NAMES.search(found.group(1)) and found.group(2) and not _PLACEHOLDER.search(found.group(2)):
                yield found.span(2)


def _blank(lines: list[str], span: Span) -> None:
    for number in range(span.line, min(span.end_line, len(lines) - 1) + 1):
        start = span.column if number == span.line else len(lines[number]) - len(lines[number].lstrip())
        end = span.end_column if number == span.end_line else len(lines[number])
        if start < end and lines[number][start:end].strip():
            lines[number] = lines[number][:start] + HIDDEN + lines[number][end:]


def _hide_line(line: str) -> str:
    """Hide what a line of a broken file may hold: the value of a name that looks like a secret, a URL's."""
    found = _LINE.match(line)
    if found is None:
        return line
    if _NAMES.search(found.group(2)) or found.group(2).strip() in _FIELDS | {"url", "token_url", "proxy"}:
        return found.group(1) + HIDDEN
    return line
