"""A request that is still being read: its head, the body so far, and its share of the memory gate."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final, Protocol
from urllib.parse import parse_qsl, unquote

from pipeline.collect.http.gate import Gate
from pipeline.collect.http.heads import Head
from pipeline.collect.http.unpack import is_packed, most
from pipeline.collect.request import Answer, Request

_MOST_FIELDS: Final = 100
_MOST_PARTS: Final = 64
"""Beyond this number, small pieces are joined as they come."""
_CRUMB: Final = 4_096
_HEAP: Final = 1 << 16
_MOST_CRUMBS: Final = 20_000
"""Beyond this number, small pieces must hold `_LEAST_PIECE` bytes each, on average."""
_LEAST_PIECE: Final = 16
_DELAY_SECS: Final = 1.0
"""A shorter delay is not known well: the head's time is exact to a quarter of a second."""
_NO_QUERY: Final[dict[str, str]] = {}
_UNUSUAL: Final = frozenset({"transfer-encoding", "expect", "upgrade", "trailer"})
"""With these, a request is more than a head and a number of bytes."""


class Owner(Protocol):
    """The connection of a request."""

    def entered(self) -> None:
        """It has passed the gate."""
        ...

    def refuse(self, request: Incoming, retry_secs: int) -> None:
        """Its wait is over without success."""
        ...


class Incoming:
    """A guest of the gate: its bytes are counted from the first one until its answer is written."""

    # Class attributes for what most requests never change: creating one must be cheap.
    size = 0
    target = b""
    path: str | None = None
    """Of the target, once it is needed."""
    query: Mapping[str, str] = _NO_QUERY
    method = ""
    is_old = False
    """HTTP/1.0."""
    close = False
    """No other request follows on its connection."""
    complete = False
    encoding: str | None = None
    is_packed = False
    """It must be decompressed: known once it is complete."""
    parked = False
    """It waits at the gate."""
    answer: Answer | None = None
    """It was answered before it was read to its end; the rest is not read."""
    since = 0.0
    """When its body began, by the host's clock."""
    begun = 0.0
    """When its head came, by the gate's clock; unset for one that came at once and did not wait."""
    is_crumbled = False
    """Its pieces are so small that reading them costs more than it may."""
    _crumbs = 0
    _inside = 0
    """Bytes that the gate counts as inside for it: received, or reserved when it was admitted."""
    _let_in = False
    """It has waited, and has room for everything: it does not wait again."""

    def __init__(self, gate: Gate, owner: Owner, limit: int) -> None:
        self._gate = gate
        self._owner = owner
        self._limit = limit
        self._parts: list[bytes | bytearray] = []
        self.headers: dict[str, str] = {}

    def add(self, piece: bytes) -> None:
        """Take a piece of the body; afterwards it may be parked."""
        gate, first, size = self._gate, not self.size, len(piece)
        parts = self._parts
        if len(parts) < _MOST_PARTS or size >= _CRUMB:
            parts.append(piece)
        else:
            self._gather(piece)
        self.size += size
        if self.parked:
            gate.held += size
            return
        more = self.size - self._inside
        if more > 0:
            self._inside += more
            gate.inside += more
            # Nearly all requests pass straight through.
            if (
                (gate.inside + gate.held > gate.room_of_large or (first and gate.waiting))
                and not self._let_in
                and gate.is_shut_to(self, begins=first)
            ):
                self._park()

    def _gather(self, crumb: bytes) -> None:
        """Take a small piece: kept one by one they would take twenty times their size."""
        last = self._parts[-1]
        if type(last) is bytearray and len(last) < _HEAP:
            last += crumb
        else:
            self._parts.append(bytearray(crumb))
        self._crumbs += 1
        self.is_crumbled = self._crumbs > _MOST_CRUMBS and self.size < _LEAST_PIECE * self._crumbs

    def completes(self) -> None:
        """It is complete; its decompressed size must have room, too."""
        self.complete = True
        if not self._parts:
            return
        encoding = self.encoding = self.headers.get("content-encoding")
        if encoding is None and self._parts[0][:1] == b"{":
            return  # no compressed data begins like this
        if self._looks_packed():
            self.is_packed = True
            if not self.parked and not self._let_in:
                more = min(self._limit, most(self.encoding, self.size))
                self._inside += more
                self._gate.inside += more
                if self._gate.is_shut_to(self, begins=False):
                    self._park()

    def holds(self, size: int) -> None:
        """Count its decompressed size."""
        gate = self._gate
        gate.inside += size - self._inside
        self.size = self._inside = size
        gate.settle()

    @property
    def wire(self) -> int:
        """Return its maximum size as sent."""
        if self.complete:
            return self.size
        return max(self.size, int(self.headers.get("content-length", self._limit)))

    @property
    def need(self) -> int:
        """Return the maximum room it needs."""
        size = self.wire
        packed = self._looks_packed()
        return size + min(self._limit, most(self.headers.get("content-encoding"), size)) if packed else size

    def enter(self, room: int) -> None:
        """Continue."""
        self.parked = False
        self._let_in = True
        self._inside = room
        self._owner.entered()

    @property
    def inside(self) -> int:
        """Return how many bytes the gate counts as inside for it."""
        return self._inside

    def _park(self) -> None:
        self.parked = True
        self.begun = self.begun or self._gate.clock()
        inside, self._inside = self._inside, 0
        self._gate.wait(self, inside)

    def _looks_packed(self) -> bool:
        parts = self._parts
        begin = bytes(parts[0]) if len(parts[0]) > 1 else b"".join(parts[:2])
        return is_packed(self.headers.get("content-encoding"), begin)

    def turned_away(self, retry_secs: int) -> None:
        """Stop waiting."""
        self._owner.refuse(self, retry_secs)

    def leave(self) -> None:
        """Release the body; it is answered, or nobody waits for the answer any more."""
        self._parts = []
        if self.parked:
            self.parked = False
            self._gate.give_up(self)
        inside, self._inside = self._inside, 0
        self.size = 0
        if inside:
            self._gate.leave(inside)

    def body(self) -> bytes:
        """Return the body as received; the request no longer holds it."""
        parts, self._parts = self._parts, []
        return bytes(parts[0]) if len(parts) == 1 else b"".join(parts)

    def whole(self, body: bytes, raw: bytes) -> Request:
        """Return the complete request, as the protocols see it."""
        path = self.path
        if path is None:
            path = self._read_target()
        now = int(time.time() * 1000)
        delay = self._gate.clock() - self.begun if self.begun else 0.0
        if delay < _DELAY_SECS:
            return Request(self.method, path, self.query, self.headers, body, now, raw)
        return Request(self.method, path, self.query, self.headers, body, now, raw, int(delay * 1000))

    def says(self, head: Head) -> None:
        """Take the contents of a cached head."""
        self.method, self.target, self.headers = head.method, head.target, head.headers
        self.path, self.query = head.path, head.query

    def head(self) -> Head | None:
        """Return its head, if worth caching; call it once it is complete."""
        headers = self.headers
        if self.close or self.is_old or self.answer is not None or not _UNUSUAL.isdisjoint(headers):
            return None
        path = self._read_target() if self.path is None else self.path
        return Head(
            self.method, self.target, path, self.query, headers, int(headers.get("content-length", 0))
        )

    def _read_target(self) -> str:
        path, mark, text = self.target.decode("latin-1").partition("?")
        if mark:
            text = text.partition("#")[0]
            try:
                pairs = parse_qsl(text, True, errors="surrogateescape", max_num_fields=_MOST_FIELDS)
                self.query = dict(pairs)
            except ValueError:
                pass  # no client sends so many fields: they are ignored
        if path[:1] != "/":
            path = _of_absolute(path)
        if "%" in path:
            path = unquote(path)
        self.path = path
        return path


def _of_absolute(target: str) -> str:
    """Return the path of ``http://host/path``, as sent by proxies."""
    _, scheme, rest = target.partition("://")
    if not scheme:
        return target
    _, slash, path = rest.partition("/")
    return slash + path or "/"
