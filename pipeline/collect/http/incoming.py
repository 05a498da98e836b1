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
"""Pieces beyond are put together while they come, where they are small."""
_CRUMB: Final = 4_096
_HEAP: Final = 1 << 16
_MOST_CRUMBS: Final = 20_000
"""Small pieces beyond have to hold `_LEAST_PIECE` bytes each, on average."""
_LEAST_PIECE: Final = 16
_NO_QUERY: Final[dict[str, str]] = {}
_UNUSUAL: Final = frozenset({"transfer-encoding", "expect", "upgrade", "trailer"})
"""With these a request is more than its head and so many bytes."""


class Owner(Protocol):
    """Whose request it is."""

    def entered(self) -> None:
        """It has come through the gate."""
        ...

    def refuse(self, request: Incoming, retry_secs: int) -> None:
        """It waits no longer."""
        ...


class Incoming:
    """A guest of the gate: what it brings is counted from its first byte until its answer is written."""

    # What most requests do not change stands here: to make one has to be cheap.
    size = 0
    target = b""
    path: str | None = None
    """Of the target, once somebody has asked."""
    query: Mapping[str, str] = _NO_QUERY
    method = ""
    is_old = False
    """HTTP/1.0."""
    close = False
    """No other request follows on its connection."""
    complete = False
    encoding: str | None = None
    is_packed = False
    """It has to be unpacked: known when it is complete."""
    parked = False
    """It waits at the gate."""
    answer: Answer | None = None
    """It was answered before it was read to its end; the rest is not read."""
    since = 0.0
    """When its body began, on the host's clock."""
    is_crumbled = False
    """It comes in so small pieces that reading it costs more than it may hold."""
    _crumbs = 0
    _inside = 0
    """Bytes that the gate counts for it as inside: what it has brought, or what it was let in for."""
    _let_in = False
    """It has waited, and has the room for all of it: it does not wait again."""

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
            # As `crowded` and `waiting` say: nearly everybody walks through.
            if (gate.inside + gate.held > gate.limit or (first and gate.waiting)) and not self._let_in:
                self._park()

    def _gather(self, crumb: bytes) -> None:
        """Take a small piece: one by one they would take twenty times their size."""
        last = self._parts[-1]
        if type(last) is bytearray and len(last) < _HEAP:
            last += crumb
        else:
            self._parts.append(bytearray(crumb))
        self._crumbs += 1
        self.is_crumbled = self._crumbs > _MOST_CRUMBS and self.size < _LEAST_PIECE * self._crumbs

    def completes(self) -> None:
        """Say that it came whole; what it may become unpacked has to have room, too."""
        self.complete = True
        if not self._parts:
            return
        encoding = self.encoding = self.headers.get("content-encoding")
        if encoding is None and self._parts[0][:1] == b"{":
            return  # nothing that is packed begins so
        if self._looks_packed():
            self.is_packed = True
            if not self.parked and not self._let_in:
                more = min(self._limit, most(self.encoding, self.size))
                self._inside += more
                self._gate.inside += more
                if self._gate.crowded:
                    self._park()

    def holds(self, size: int) -> None:
        """Count what it has become."""
        gate = self._gate
        gate.inside += size - self._inside
        self.size = self._inside = size
        gate.settle()

    @property
    def need(self) -> int:
        """Return how much room it takes to its end, at most."""
        size = self.size
        if not self.complete:
            size = max(size, int(self.headers.get("content-length", self._limit)))
        packed = self._looks_packed()
        return size + min(self._limit, most(self.headers.get("content-encoding"), size)) if packed else size

    def enter(self, room: int) -> None:
        """Go on."""
        self.parked = False
        self._let_in = True
        self._inside = room
        self._owner.entered()

    def _park(self) -> None:
        self.parked = True
        inside, self._inside = self._inside, 0
        self._gate.wait(self, inside)

    def _looks_packed(self) -> bool:
        parts = self._parts
        begin = bytes(parts[0]) if len(parts[0]) > 1 else b"".join(parts[:2])
        return is_packed(self.headers.get("content-encoding"), begin)

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
        return bytes(parts[0]) if len(parts) == 1 else b"".join(parts)

    def whole(self, body: bytes, raw: bytes) -> Request:
        """Return the complete request, as the protocols see it."""
        path = self.path
        if path is None:
            path = self._read_target()
        return Request(self.method, path, self.query, self.headers, body, int(time.time() * 1000), raw)

    def says(self, head: Head) -> None:
        """Take what a head says that came before."""
        self.method, self.target, self.headers = head.method, head.target, head.headers
        self.path, self.query = head.path, head.query

    def head(self) -> Head | None:
        """Return what its head says, where it is worth to be known; to be asked when it is complete."""
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
                self.query = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS))
            except ValueError:
                pass  # so many fields are no client's: the path answers for itself
        if path[:1] != "/":
            path = _of_absolute(path)
        if "%" in path:
            path = unquote(path)
        self.path = path
        return path


def _of_absolute(target: str) -> str:
    """Return the path of ``http://host/path``, as proxies write it."""
    _, scheme, rest = target.partition("://")
    if not scheme:
        return target
    _, slash, path = rest.partition("/")
    return slash + path or "/"
