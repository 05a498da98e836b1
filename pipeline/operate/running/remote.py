"""Asks a job on another machine, through its console, with a token."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import orjson

from pipeline.language.addresses import is_loopback
from pipeline.model.errors import HooklineError, Refused, UsageError
from pipeline.model.json import Value

ASK_SECS = 30.0
"""How long an answer may take to begin, and a stream may be silent: it sends a sign of life every 15 s."""
MOST_BYTES = 64 << 20


class NotReached(Refused):
    """No console answers there."""


class RemoteConsole:
    """A console by its address, ``https://hooks.example/console``. Raises UsageError for an invalid one."""

    def __init__(self, url: str, token_file: Path | None) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"--url: `{url}` is no address of a console: http://HOST:PORT")
        if parts.username or parts.password or parts.query:
            raise UsageError("--url: the address alone; a token comes from --token-file")
        self._secure = parts.scheme == "https"
        self._host = parts.netloc
        self._base = parts.path.rstrip("/")
        self._headers = {"user-agent": "hookline", "connection": "close"}
        if token_file is not None:
            if not self._secure and not is_loopback(parts.hostname):
                raise UsageError(
                    f"--url: the token would pass in clear to {parts.hostname}: write https://, "
                    "or reach the console by a tunnel that ends on this machine"
                )
            self._headers["authorization"] = f"Bearer {_token(token_file)}"
        self.url = f"{parts.scheme}://{parts.netloc}{self._base}"

    def get(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Value:
        """Return an answer's JSON. Raises HooklineError with the console's error."""
        with self._asked(path, query, "application/json") as answer:
            return orjson.loads(answer.read(MOST_BYTES))

    def post(self, path: str) -> Value:
        """Have something done; return the answer's JSON. Raises as `get` does."""
        with self._asked(path, (), "application/json", "POST") as answer:
            return orjson.loads(answer.read(MOST_BYTES))

    def lines(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Iterator[dict[str, Value]]:
        """Yield the objects of a streamed answer until it ends.

        Raises as `get` does, and OSError, ValueError or HTTPException where it breaks off.
        """
        with self._asked(path, query, "application/x-ndjson") as answer:
            while line := answer.readline():
                if line.strip():
                    yield orjson.loads(line)

    def _asked(
        self, path: str, query: Sequence[tuple[str, str]], accept: str, method: str = "GET"
    ) -> http.client.HTTPResponse:
        connection: http.client.HTTPConnection
        if self._secure:
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(self._host, timeout=ASK_SECS, context=context)
        else:
            connection = http.client.HTTPConnection(self._host, timeout=ASK_SECS)
        asked = f"{self._base}{path}" + (f"?{urlencode(query)}" if query else "")
        try:
            connection.request(method, asked, headers={**self._headers, "accept": accept})
            answer = connection.getresponse()
        except ssl.SSLError as error:
            raise NotReached(f"{self.url}: no TLS with this console: {error.reason or error}") from error
        except (OSError, http.client.HTTPException) as error:
            raise NotReached(f"no console answers at {self.url}: {error or type(error).__name__}") from error
        if answer.status == http.client.OK:
            return answer
        with answer:
            raise _refused(self.url, answer)


def _refused(url: str, answer: http.client.HTTPResponse) -> HooklineError:
    text = answer.read(1 << 16).decode("utf-8", "replace").strip()
    try:
        words = str(orjson.loads(text)["error"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        words = text.partition("\n")[0][:200]
    match answer.status:
        case 400 | 422:
            return UsageError(words)
        case 401:
            return Refused(f"{url}: the console wants a token that it knows: --token-file FILE")
        case 404:
            return Refused(f"{url}: no console of this version is there (404)")
        case _:
            return Refused(f"{url}: {words or answer.reason} ({answer.status})")


def _token(file: Path) -> str:
    try:
        found = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--token-file: {file} cannot be read: {error}") from error
    if not found or not found.isascii() or any(char.isspace() for char in found):
        raise UsageError(f"--token-file: {file} has to hold one token, and nothing else")
    return found
