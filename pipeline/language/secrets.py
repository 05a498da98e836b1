"""Placeholders in config texts: ``${NAME}``, ``${NAME:-default}``, ``${file:path}``.

In the scheme, host and port of a URL they are plain settings, resolved at load; anywhere else in a request
they are secrets, filled in when it is sent (slots.py). ``$${`` is a literal ``${``; ``${{ x }}`` is a dollar
sign before a template.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.model.errors import ConfigError, Misspelt
from pipeline.model.files.plain_file import Sign, read_plain, sign_at
from pipeline.model.masking import Masks

_PLACEHOLDER = re.compile(r"\$\$\{(?!\{)|\$\{(?!\{)([^}]*)(\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PATH_START = re.compile(r"[/?#]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SET_IT = "set it in the environment and restart, or use `${file:PATH}`; `check --offline` needs none"


class PlaceholderError(Misspelt, ValueError):
    """An invalid ``${...}``."""


@dataclass(slots=True, frozen=True)
class SecretRef:
    """One ``${...}``: the name of an environment variable, or ``file:`` and a path."""

    key: str
    """``NAME`` or ``file:path``: what it is called in messages."""
    default: str | None = None
    """The value where the variable is not set; None: then it is missing."""

    @property
    def file(self) -> str | None:
        """The path, where the value is the content of a file; else None."""
        return self.key[5:] if self.key.startswith("file:") else None

    @property
    def source(self) -> str:
        """The text between the braces; the inverse of `SecretRef.parse`."""
        return self.key if self.default is None else f"{self.key}:-{self.default}"

    def __str__(self) -> str:
        return f"${{{self.key}}}"

    @classmethod
    def parse(cls, source: str) -> SecretRef:
        """Return the reference between the braces. Raises ValueError where it is invalid."""
        if source.startswith("file:") and len(source) > 5 and not _CONTROL.search(source):
            return cls(source)
        name = _NAME.match(source)
        if name is None or _CONTROL.search(source):
            raise ValueError(f"`${{{source}}}` is no placeholder")
        rest = source[name.end() :]
        if not rest:
            return cls(name.group())
        if rest.startswith(":-"):
            return cls(name.group(), rest[2:])
        raise ValueError(f"`${{{source}}}` is no placeholder")


class SecretText(str):
    """A text of `vars` with secret placeholders: it may only stand as a whole value of a request."""

    __slots__ = ()


def holds_secret(value: object) -> bool:
    """Return whether a value is, or contains, a text with secrets."""
    if isinstance(value, dict):
        return any(map(holds_secret, value.values()))
    if isinstance(value, list):
        return any(map(holds_secret, value))
    return isinstance(value, SecretText)


def parse_placeholders(text: str) -> list[str | SecretRef]:
    """Split a text into literal pieces (never two in a row, never empty) and references.

    Raises PlaceholderError at the first ``${`` that is unclosed or names nothing.
    """
    parts: list[str | SecretRef] = []
    literal = ""
    end = 0
    for match in _PLACEHOLDER.finditer(text):
        literal += text[end : match.start()]
        end = match.end()
        if match.group().startswith("$${"):
            literal += "${"
            continue
        hint = "write `$${` for a literal `${`"
        if not match.group(2):
            raise PlaceholderError("`${` is not closed by `}`", match.start(), hint)
        try:
            ref = SecretRef.parse(match.group(1))
        except ValueError as error:
            raise PlaceholderError(
                str(error), match.start(), f"a name, `NAME:-default` or `file:path`; {hint}"
            ) from None
        if literal:
            parts.append(literal)
        parts.append(ref)
        literal = ""
    literal += text[end:]
    if literal:
        parts.append(literal)
    return parts


def without_value(ref: SecretRef) -> tuple[str, str | None]:
    """Return what is said of a secret without a value, and the remedy."""
    if ref.file:
        return f"secret {ref}: the file `{ref.file}` cannot be read, or is empty", None
    return f"secret {ref}: `{ref.key}` is not set, or empty", _SET_IT


def refs_in(text: str) -> list[SecretRef]:
    """Return the references of a text; none where it cannot be read."""
    try:
        return [part for part in parse_placeholders(text) if isinstance(part, SecretRef)]
    except PlaceholderError:
        return []


def origin_end(url: str) -> int:
    """Return where a URL's path begins, after scheme, host and port."""
    blank = _PLACEHOLDER.sub(lambda found: "x" * len(found.group()), url)
    scheme = blank.find("://")
    found = _PATH_START.search(blank, scheme + 3 if scheme >= 0 else 0)
    return found.start() if found is not None else len(url)


def origin_refs(url: str) -> list[SecretRef]:
    """Return the placeholders in a URL's scheme, host and port: the plain settings. Empty if unreadable."""
    return refs_in(url[: origin_end(url)])


class Secrets:
    """Looks secrets up in the environment or in files; every value is kept until `reread` finds another.

    base: the folder of relative ``file:`` paths. No message ever contains a value.
    """

    def __init__(self, environ: Mapping[str, str] | None = None, base: Path | None = None) -> None:
        self._environ = os.environ if environ is None else environ
        self._base = base or Path()
        self.masks = Masks()
        """The values that were put into requests, to be hidden in everything shown."""
        self._values: dict[SecretRef, str | None] = {}
        self._files: dict[SecretRef, Sign] = {}
        """The files that were read, with their signatures."""
        self._changing: dict[SecretRef, Sign] = {}
        self.lost: set[str] = set()
        """Files that are gone, empty or unreadable by now; the value that each of them had is still used."""

    def place(self, path: str) -> str:
        """Return where a path in a webhook's file leads: beside that file, or in the config directory."""
        if os.path.isabs(path):
            return path
        places = [self._base / "webhooks" / path, self._base / path]
        return str(next(filter(os.path.exists, places), places[0]))

    def resolve(self, ref: SecretRef) -> str:
        """Return the value without trailing line ends. Raises ConfigError where there is none."""
        value = self.find(ref)
        if value is None:
            place = "file cannot be read" if ref.file else "variable is not set"
            place += ", or is empty"
            raise ConfigError(f"secret {ref}: the {place}")
        return value

    def known(self, ref: SecretRef) -> bool:
        """Return whether `resolve` would return a value."""
        return self.find(ref) is not None

    def agree(self, other: Secrets) -> bool:
        """Return whether every value looked up here is the same there."""
        return all(other.find(ref) == value for ref, value in self._values.items())

    def expand(self, text: str) -> str:
        """Return a text with every placeholder replaced by its value.

        Raises ConfigError where one is missing, PlaceholderError where one cannot be read.
        """
        return "".join(
            part if isinstance(part, str) else self.resolve(part) for part in parse_placeholders(text)
        )

    def reread(self) -> bool:
        """Return whether one of the files that were read holds another value now.

        A change counts once the file looks the same at two calls in a row, so that none is read half-written.
        A file that is gone, empty or unreadable keeps its value: it may be about to be replaced.
        """
        changed = False
        for ref, known in list(self._files.items()):
            found = self._signature(ref)
            if found == known or self._changing.get(ref) != found:
                self._changing[ref] = found
                continue
            self._files[ref] = found
            value = self._read(ref)
            (self.lost.discard if value else self.lost.add)(str(ref.file))
            if value and value != self._values[ref]:
                self._values[ref] = value
                changed = True
        return changed

    def _signature(self, ref: SecretRef) -> Sign:
        return sign_at(self._base / (ref.file or ""))

    def find(self, ref: SecretRef) -> str | None:
        """Return the value, None where there is none."""
        if ref not in self._values:
            if ref.file is not None:
                # Taken before reading: a change in between shows as another signature next time.
                signature = self._signature(ref)
            self._values[ref] = self._read(ref)
            if ref.file is not None:
                self._files[ref] = signature
        return self._values[ref]

    def _read(self, ref: SecretRef) -> str | None:
        # `echo token | base64`, editors and `cat` add line ends that nobody means.
        if ref.file is None:
            return self._environ.get(ref.key, "").rstrip("\r\n") or ref.default
        try:
            return read_plain(self._base / ref.file).decode("utf-8-sig").rstrip("\r\n") or None
        except (OSError, UnicodeDecodeError, ValueError):
            return None
