"""Secrets written out in a webhook's file where a placeholder should stand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pipeline.config.yaml.document import Document, Node, Span, text_span
from pipeline.config.yaml.loader import parse_yaml
from pipeline.language.secrets import origin_end
from pipeline.model.findings import Finding

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
"""Addresses whose path is a secret."""
_PLACEHOLDER: Final = re.compile(r"\$\{(?!\{)[^}:]*(?::-([^}]*))?\}|\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_SCHEME: Final = re.compile(r"\s*(?:Bearer|Basic|Token|ApiKey|Digest)\s+", re.IGNORECASE)
_SEGMENT: Final = re.compile(r"[A-Za-z0-9_=+-]{8,}")
_USERINFO: Final = re.compile(r"(?<=://)[^/?#@]*(?=@)")
_PARAMETER: Final = re.compile(r"[?&]([^=&#]*)=([^&#]*)")
_LINE: Final = re.compile(r"^(\s*(?:- )?[\"']?([\w .-]+)[\"']?\s*:\s*)(\S.*)$")
_FIELDS: Final = frozenset(
    {"password", "token", "value", "client_secret", "refresh_token", "secret", "secrets"}
)


def literal_secrets(document: Document) -> list[Finding]:
    """Return a warning for each secret written out, at its place."""
    found = []
    for node, start, end, what in _literals(document):
        message = f"a secret stands in the file ({what})"
        hint = "put it into the job's environment and write ${NAME}"
        if str(node.value)[:start].endswith(":-"):
            hint = "it is used where the variable is not set: set that for the job, and leave out `:-`"
        span = text_span(node, start, end - start)
        found.append(document.finding(span, "plain-secret", message, hint=hint, warning=True))
    return found


def hide_literals(text: str) -> str:
    """Return the text of a file with all that looks like a secret hidden; line numbers do not change."""
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
        # Quotes and escapes: what cannot be separated is hidden as a whole.
        shown = source[span.column : span.end_column]
        if shown != str(node.value)[start:end]:
            span = node.span
        lines[span.line] = source[: span.column] + HIDDEN + source[span.end_column :]
    return "\n".join(lines)


def literal_values(document: Document) -> frozenset[str]:
    """Return the secrets written out."""
    return frozenset(str(node.value)[start:end].strip() for node, start, end, _ in _literals(document))


def _literals(document: Document) -> Iterator[tuple[Node, int, int, str]]:
    """Yield each scalar that holds one, and the part that is the secret, in file order."""
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
    """Hide what a line of a broken file may contain: the value of a secret-looking name, a URL's secrets."""
    found = _LINE.match(line)
    if found is None:
        return line
    if _NAMES.search(found.group(2)) or found.group(2).strip() in _FIELDS | {"url", "token_url", "proxy"}:
        return found.group(1) + HIDDEN
    return line
