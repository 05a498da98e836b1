"""One request that is being read: its head, what has come of its body, and where it stands at the gate."""

from __future__ import annotations

import time
from typing import Final, Protocol
from urllib.parse import parse_qsl, unquote

from pipeline.collect.asked import Answer, Asked
from pipeline.collect.http.gate import Gate
from pipeline.collect.http.unpack import is_packed, most

_MOST_FIELDS: Final = 100
_NO_QUERY: Final[dict[str, str]] = {}


class Owner(Protocol):
    """Whose request it is."""

    def entered(self) -> None:
        """It has come through the gate."""
        ...

    def refuse(self, request: Request, retry_secs: int) -> None:
        """It waits no longer."""
        ...


class Request:
    """A guest of the gate: what it brings is counted from its first byte until its answer is written."""

    __slots__ = (
        "_gate",
        "_inside",
        "_owner",
        "_parts",
        "answer",
        "close",
        "complete",
        "encoding",
        "headers",
        "is_old",
        "is_packed",
        "method",
        "parked",
        "since",
        "size",
        "target",
    )

    def __init__(self, gate: Gate, owner: Owner) -> None:
        self._gate = gate
        self._owner = owner
        self._parts: list[bytes] = []
        self._inside = 0
        self.size = 0
        self.target = b""
        self.method = ""
        self.headers: dict[str, str] = {}
        self.is_old = False
        """HTTP/1.0."""
        self.close = False
        """No other request follows on its connection."""
        self.complete = False
        self.encoding: str | None = None
        self.is_packed = False
        """It has to be unpacked: known when it is complete."""
        self.parked = False
        """It waits at the gate."""
        self.answer: Answer | None = None
        """It was answered before it was read to its end; the rest is not read."""
        self.since = 0.0
        """When its body began, on the loop's clock."""

    def add(self, piece: bytes) -> None:
        """Take a piece of the body; afterwards it may be parked."""
        self._parts.append(piece)
        self.brings(len(piece))

    def brings(self, size: int) -> None:
        """Count bytes."""
        gate, first = self._gate, not self.size
        self.size += size
        if self.parked:
            return
        self._inside += size
        gate.inside += size
        if gate.inside > gate.limit or (first and gate.waiting):
            self.parked = True
            inside, self._inside = self._inside, 0
            gate.wait(self, inside)

    def completes(self, limit: int) -> None:
        """Say that it came whole; what it may become unpacked has to have room, too."""
        self.complete = True
        self.encoding = self.headers.get("content-encoding")
        parts = self._parts
        if not parts:
            return
        begin = parts[0] if len(parts[0]) > 1 else b"".join(parts[:2])
        if is_packed(self.encoding, begin):
            self.is_packed = True
            self.brings(min(limit, most(self.encoding, self.size)))

    def holds(self, size: int) -> None:
        """Count what it has become."""
        more = size - self.size
        self.size = size
        self._inside += more
        self._gate.inside += more

    def enter(self) -> None:
        """Go on."""
        self.parked = False
        self._inside = self.size
        self._owner.entered()

    def turned_away(self, retry_secs: int) -> None:
        """Wait no longer."""
        self._owner.refuse(self, retry_secs)

    def leave(self) -> None:
        """Let go of the body; it is answered, or nobody waits for the answer any more."""
        self._parts = []
        if self.parked:
            self.parked = False
            self._gate.give_up(self)
        inside, self._inside = self._inside, 0
        self.size = 0
        if inside:
            self._gate.leave(inside)

    def body(self) -> bytes:
        """Return the body as it came; the request does not hold it any more."""
        parts, self._parts = self._parts, []
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def asked(self, body: bytes, raw: bytes) -> Asked:
        """Return what the protocols see of it."""
        path, mark, text = self.target.decode("latin-1").partition("?")
        query = _NO_QUERY
        if mark:
            text = text.partition("#")[0]
            try:
                query = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS))
            except ValueError:
                pass  # so many fields are no client's: the path answers for itself
        if path[:1] != "/":
            path = _of_absolute(path)
        if "%" in path:
            path = unquote(path)
        return Asked(self.method, path, query, self.headers, body, int(time.time() * 1000), raw)


def _of_absolute(target: str) -> str:
    """Return the path of ``http://host/path``, as proxies write it."""
    _, scheme, rest = target.partition("://")
    if not scheme:
        return target
    _, slash, path = rest.partition("/")
    return slash + path or "/"


def text_of(value: bytes) -> str:
    """Return a header's value: UTF-8 where it is (npm's cloudevents sends it so), else Latin-1."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
