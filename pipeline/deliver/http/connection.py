"""One HTTP/1.1 connection of the native client: an asyncio protocol.

It handles what a library would: reuse, limits on the body, end of file, and unsolicited data. One request at
a time, no pipelining. An answer that arrives complete and alone takes a fast path with httptools, unless its
headers need more; every other one is read as in both clients (reader.py).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

import httptools

from pipeline.deliver.http.attempt import MAX_BODY, MAX_HEAD, Attempt, Fault
from pipeline.deliver.http.reader import (
    BROKEN_OFF,
    OVERHEAD,
    AnswerError,
    AnswerReader,
    is_plainly_chunked,
)
from pipeline.deliver.http.tls import words_of
from pipeline.deliver.http.trust import DEEP, DOUBTFUL, Ear, Sign, is_farewell, may_be_farewell, sign_of


class Glance:
    """A parser that skips individual headers, which are two thirds of the cost of parsing an answer.

    It accepts a success, or a failure without Retry-After, that arrives complete and alone; anything else is
    left to the general reader, which is more lenient and never stricter.
    """

    __slots__ = ("_begun", "_chunks", "_ended", "_keep", "_parser", "body")

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.body = b""

    def takes(self, data: bytes) -> int:
        """Return the status of a kept-alive answer that is all of the data, its body in `body`; else 0.

        After a 0 it must not be used again.
        """
        if b"\0" in data or not data.startswith(b"HTTP/1."):
            return 0  # the parser accepts other protocols, and this character where none belongs
        self._begun = self._ended = 0
        self._keep = self._chunks = False
        self.body = b""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            return 0
        if not self._keep or self._begun != 1 or self._ended != 1 or len(self.body) > MAX_BODY:
            return 0
        if self._chunks and not is_plainly_chunked(data):
            return 0
        status = int(self._parser.get_status_code())
        if 200 <= status < 300:
            return status
        # A failure asks to wait: the reader reads the header's value.
        return status if status >= 400 and b"retry-after" not in data.lower() else 0

    def on_message_begin(self) -> None:
        """Count messages: a second one is unsolicited."""
        self._begun += 1

    def on_chunk_header(self) -> None:
        """Note that it is chunked: the parser accepts other codings besides."""
        self._chunks = True

    def on_body(self, data: bytes) -> None:
        """Keep the body up to its limit; many small chunks must not be copied again and again."""
        if len(self.body) <= MAX_BODY:
            self.body += data

    def on_message_complete(self) -> None:
        """Note the end, and whether the receiver keeps the connection open."""
        self._ended += 1
        self._keep = self._parser.should_keep_alive()


class Connection(asyncio.Protocol):
    """A connection to one origin; ``idle`` while it has no attempt."""

    __slots__ = (
        "_body", "_doubt", "_early", "_glance", "_on_done", "_reader", "_received", "_size", "attempt",
        "born", "closed", "ear", "idle_since", "transport", "used",
    )  # fmt: skip

    def __init__(
        self,
        on_done: Callable[[Connection, Attempt | None, bool], None],
        doubt: Callable[[Sign], None] = lambda sign: None,
    ) -> None:
        """on_done(connection, attempt, stale): the attempt ended (its answer is filled in), or (None) an idle
        connection closed. stale: a kept-alive connection was closed before any byte of an answer, or with an
        error that may be none. doubt: called with each sign that the other side is out of step.
        """
        self._on_done = on_done
        self._doubt = doubt
        self._glance: Glance | None = Glance()
        """None once an answer needed more: the receiver's next ones will, too."""
        self.transport: asyncio.Transport | None = None
        self.attempt: Attempt | None = None
        self.ear: Ear | None = None
        """Set by the client that opened it."""
        self.closed = False
        self.used = 0
        self.born = 0.0
        """When the client got it; jittered, so that not all connections of an origin end at once."""
        self.idle_since = 0.0
        self._reset()

    def _reset(self) -> None:
        self._received = 0
        self._size = 0
        self._early = False
        self._reader: AnswerReader | None = None
        self._body: bytes | bytearray = b""

    # --- from the pool

    def send(self, attempt: Attempt, data: bytes) -> None:
        """Write a request; the connection must be open and idle."""
        self.attempt = attempt
        self.used += 1
        self._received = 0
        self.transport.write(data)  # type: ignore[union-attr]  # open means that there is a transport

    def close(self) -> None:
        """Close at once, without a report."""
        if self.attempt is not None and self._reader is not None:
            self.attempt.begun = self._reader.begun
        self.attempt = None
        self.closed = True
        if self.transport is not None:
            self.transport.abort()

    # --- asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast(asyncio.Transport, transport)
        if self.closed:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Read on; end the attempt when its answer is complete or over a limit."""
        attempt = self.attempt
        if attempt is None:
            # Nobody asked: it could be taken for the answer to a later request.
            if not is_farewell(data):
                self._doubt("unasked")
            self._lose()
            return
        glance = self._glance
        if glance is not None and not attempt.headers_matter and attempt.target.method != "HEAD":
            status = glance.takes(data)
            if status and not (
                self._is_unsent(attempt)
                if len(attempt.body) > DEEP
                else self.transport.get_write_buffer_size()  # type: ignore[union-attr]  # data came
            ):
                attempt.status, attempt.answer = status, glance.body
                self.attempt = None
                self._on_done(self, attempt, False)
                return
            self._glance = None
        self._received += len(data)
        reader = self._reader
        if reader is None:
            reader = self._reader = AnswerReader()
            self._early = self._is_unsent(attempt)
        try:
            piece = reader.feed(data, bodyless=attempt.target.method == "HEAD")
        except AnswerError as error:
            if error.fault == "protocol" and self.used > 1:
                self._doubt("garbled")
            self._fail(error.fault, str(error), error.status)
            return
        if may_be_farewell(reader, self.used):
            self.attempt = None
            self._lose()
            self._on_done(self, attempt, True)
            return
        most = attempt.most
        if piece:
            if not self._size:
                self._body = piece
            elif self._size < most:
                if type(self._body) is bytes:
                    self._body = bytearray(self._body)
                self._body += piece
            self._size += len(piece)
        if reader.done and self._size <= most:
            self._end(reader.keep and attempt.target.method != "HEAD")
        elif self._size > most or (reader.status and self._received > MAX_HEAD + OVERHEAD * most):
            attempt.cut = True
            self._end(False)

    def eof_received(self) -> None:
        """Let the transport close; `connection_lost` decides what that means."""

    def connection_lost(self, exc: Exception | None) -> None:
        """End the attempt: as complete where end of file ends the body, else as a fault."""
        self.closed = True
        attempt, reader = self.attempt, self._reader
        begun = reader.begun if reader is not None else 0
        if attempt is None:
            self._on_done(self, None, False)
        elif reader is not None and reader.ends_with_connection and exc is None:
            self._end(False)
        elif self._received == 0 and self.used > 1 and not isinstance(exc, ssl.SSLError):
            self.attempt = None
            self._on_done(self, attempt, True)
        elif exc is None:
            self._fail("closed", BROKEN_OFF, begun)
        elif isinstance(exc, ssl.SSLError):
            self._fail("tls", words_of(exc), begun)
        else:
            self._fail("reset", f"{type(exc).__name__}: {exc}", begun)

    # --- inside

    def _end(self, keep: bool) -> None:
        """Report the answer, unless it may be another request's."""
        attempt = self.attempt
        if attempt is None:
            return
        reader = self._reader
        assert reader is not None  # an answer was read
        sign = sign_of(reader, early=self._early, used=self.used)
        if sign is not None:
            self._doubt(sign)
            # A connection that has served nobody else cannot bring anybody else's answer.
            if self.used > 1:
                self._fail("protocol", DOUBTFUL[sign])
                return
        self.attempt = None
        attempt.status = reader.status
        attempt.retry_after = reader.header(b"retry-after")
        if attempt.retry_after is not None:
            attempt.date = reader.header(b"date")
        if 300 <= reader.status < 400:
            attempt.location = (reader.header(b"location") or "").encode("latin-1")
        if attempt.headers_matter:
            attempt.headers = reader.headers()
        attempt.answer = bytes(self._body[: attempt.most])
        # Unsent bytes: the receiver answered early, and would read the rest of the request as the next one.
        if not keep or self.closed or self._is_unsent(attempt):
            self._lose()
        else:
            self._reset()
        self._on_done(self, attempt, False)

    def _is_unsent(self, attempt: Attempt) -> bool:
        """Return whether a part of the request is still unsent."""
        if self.transport.get_write_buffer_size():  # type: ignore[union-attr]  # data came
            return True
        return len(attempt.body) > DEEP and self.ear is not None and self.ear.is_unsent()

    def _fail(self, fault: Fault, detail: str, begun: int = 0) -> None:
        attempt, self.attempt = self.attempt, None
        self._lose()
        if attempt is not None:
            attempt.fault = fault
            attempt.detail = detail
            attempt.begun = begun
            self._on_done(self, attempt, False)

    def _lose(self) -> None:
        """Close without a report."""
        if not self.closed:
            self.closed = True
            self.transport.abort()  # type: ignore[union-attr]  # data came, so there is a transport
