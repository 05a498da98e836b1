"""The token file: one line per token, ``ROLE NAME SHA256``; the tokens themselves are never stored."""

from __future__ import annotations

import hmac
import re
import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from pipeline.console.security.roles import ROLES, Role
from pipeline.model.errors import UsageError
from pipeline.model.files.plain_file import NO_SIGN, Sign, read_plain, sign_at
from pipeline.telemetry import log

_log = log.get("console")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
LOOK_SECS: Final = 1.0
"""How often to check whether the file has changed."""


@dataclass(slots=True, frozen=True)
class Token:
    """One line."""

    role: Role
    name: str
    digest: str


def parse_tokens(text: str, file: str) -> tuple[Token, ...]:
    """Return the tokens; empty lines and those starting with ``#`` are skipped. Raises UsageError.

    No message quotes what stands in place of a digest: it may be the token itself.
    """
    found: list[Token] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        words = line.split()
        wish = "want `ROLE NAME SHA256`, and nothing else"
        if len(words) != 3:
            raise UsageError(f"{file}:{number}: {wish}")
        role = next((role for role in ROLES if role == words[0]), None)
        if role is None:
            raise UsageError(f"{file}:{number}: {wish}; roles are {', '.join(ROLES)}")
        if _DIGEST.fullmatch(words[2].lower()) is None:
            remedy = '`printf %s "$TOKEN" | sha256sum` gives its 64 digits'
            raise UsageError(f"{file}:{number}: the third word is no SHA-256 of a token: {remedy}")
        if any(words[2].lower() == other.digest for other in found):
            raise UsageError(f"{file}:{number}: this token is listed twice")
        found.append(Token(role, words[1], words[2].lower()))
    return tuple(found)


class Tokens:
    """The tokens in a file, kept up to date. Raises UsageError where it cannot be read at the start."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._looked = time.monotonic()
        self._signature = self._sign()
        self._tokens = self._read()

    def find(self, token: str) -> Token | None:
        """Return the line of a token. Every line is compared, in constant time."""
        self._look()
        digest = sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
        found = None
        for one in self._tokens:
            if hmac.compare_digest(one.digest, digest):
                found = one
        return found

    def holds(self, token: Token) -> bool:
        """Return whether a token is still valid and unchanged."""
        self._look()
        return token in self._tokens

    def _look(self) -> None:
        now = time.monotonic()
        if self._path is None or now - self._looked < LOOK_SECS:
            return
        self._looked = now
        signature = self._sign()
        if signature == self._signature:
            return
        self._signature = signature
        try:
            self._tokens = self._read()
            _log.info("tokens read again", tokens=len(self._tokens))
        except UsageError as error:
            _log.error("the token file cannot be read: the tokens stay as they were", problem=str(error))

    def _sign(self) -> Sign:
        return NO_SIGN if self._path is None else sign_at(self._path)

    def _read(self) -> tuple[Token, ...]:
        if self._path is None:
            return ()
        try:
            text = read_plain(self._path).decode()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise UsageError(f"the token file {self._path} cannot be read: {reason}") from None
        return parse_tokens(text, str(self._path))
