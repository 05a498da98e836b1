"""One connection of the receiver: a small HTTP/1.1 server protocol, fast enough to serve benchmarks."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import cast

from pipeline.receiver.answer import Answer
from pipeline.receiver.faults import FAULTS
from pipeline.receiver.received import Recorder, Request
from pipeline.receiver.script import Script

MAX_HEAD = 64 * 1024
MAX_BODY = 64 * 1024 * 1024
CONTROL = "/_receiver/script"


class Desk:
    """What all connections share: the script, the recorder, and the observers.

    inspect: called with each request and its answer's status. control: whether ``PUT /_receiver/script`` may
    change the script.
    """

    def __init__(
        self,
        script: Script,
        recorder: Recorder,
        inspect: Callable[[Request, int], None] | None = None,
        control: bool = False,
    ) -> None:
        self.script = script
        self.recorder = recorder
        self.inspect = inspect
        self.control = control
        self.connections: set[Connection] = set()
        self.accepted = 0


class Connection(asyncio.Protocol):
    """Reads requests and answers them in order. Faults use its public attributes."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.transport: asyncio.Transport
        self.number = desk.accepted
        desk.accepted += 1
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.served = 0
        self._buffer = b""
        self._busy = False
        """True while an answer is outstanding: later requests are kept."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; a fault may strike already."""
        self.transport = cast(asyncio.Transport, transport)
        self.desk.connections.add(self)
        early = self.desk.script.on_connect()
        if early is not None:
            FAULTS[early](self, Answer())

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.desk.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        """Answer every complete request."""
        self._buffer = self._buffer + data if self._buffer else data
        while not self._busy and self._buffer and not self.transport.is_closing():
            if not self._read():
                return

    def answered(self) -> None:
        """The answer is out; continue with the next request."""
        self._busy = False
        if self._buffer:
            self.data_received(b"")

    def _read(self) -> bool:
        """Read one request; False where it is not complete."""
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(buffer) > MAX_HEAD:
                self.transport.abort()
            return False
        lines = buffer[:end].decode("latin-1").split("\r\n")
        headers: dict[str, str] = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        try:
            method, target, _ = lines[0].split(" ")
            length = int(headers.get("content-length", "0"))
        except ValueError:
            return self._refuse(b"400 Bad Request")
        if "transfer-encoding" in headers or not 0 <= length <= MAX_BODY:
            return self._refuse(b"411 Length Required")
        stop = end + 4 + length
        if len(buffer) < stop:
            return False
        self._buffer = buffer[stop:]
        path, _, query = target.partition("?")
        body = buffer[end + 4 : stop]
        self._serve(Request(time.time(), method, path, query, headers, body, self.number))
        return True

    def _refuse(self, status: bytes) -> bool:
        self.transport.write(b"HTTP/1.1 %b\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % status)
        self.transport.close()
        return False

    def _serve(self, request: Request) -> None:
        desk = self.desk
        if request.path == CONTROL and desk.control:
            line, text = b"200 OK", b""
            try:
                desk.script = Script(json.loads(request.body))
            except (ValueError, TypeError, RecursionError) as error:
                line, text = b"400 Bad Request", str(error).encode()
            self.transport.write(b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n%b" % (line, len(text), text))
            return
        answer = desk.script.answer(request)
        self.served += 1
        status = answer.status if answer.fault is None else 0
        desk.recorder.add(request, status)
        if desk.inspect is not None:
            desk.inspect(request, status)
        if not answer.delay_secs and answer.fault is None:
            self.transport.write(answer.wire)
            return
        self._busy = True
        if answer.delay_secs:
            self.loop.call_later(answer.delay_secs, self._answer, answer)
        else:
            self._answer(answer)

    def _answer(self, answer: Answer) -> None:
        if self.transport.is_closing():
            return
        if answer.fault is not None:
            FAULTS[answer.fault](self, answer)
            return
        self.transport.write(answer.wire)
        self.answered()
