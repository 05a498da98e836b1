"""One connection: reads complete requests one after another and answers them in order.

httptools (llhttp, strict) refuses what two servers might read differently: a bare line feed, two lengths, a
length beside chunks, a zero byte. Limits on sizes, numbers and times are enforced here.
"""

from __future__ import annotations

import asyncio
from math import inf
from typing import Final, cast

import httptools

from pipeline.collect.http import reply
from pipeline.collect.http.answering import WRITE_SECS, Answering, Host
from pipeline.collect.http.incoming import Incoming
from pipeline.collect.request import Answer

_names: dict[bytes, str] = {}
"""Header names as sent, and in lower case."""
_MOST_NAMES: Final = 1_024
_HEAD_END: Final = b"\r\n\r\n"
_TURN_BYTES: Final = 1 << 15
"""Small requests and small chunks of this total size take milliseconds; the event loop alone would read
megabytes from one connection at a time."""
_BESIDE_BYTES: Final = 1 << 18
"""Beyond the size of a body, of what comes with its chunks: sizes, extensions, the headers after the last."""
_MANY: Final = 64
_SHORT_TURN_BYTES: Final = 1 << 11
"""For a connection with more than `_MANY` requests answered in one turn."""


def _name(name: bytes) -> str:
    found = name.lower().decode("latin-1")
    if len(_names) < _MOST_NAMES and len(name) < 64:
        _names[name] = found
    return found


class Connection(Answering):
    """See above."""

    __slots__ = ("_again", "_at", "_beside", "_fed", "_headers", "_parser", "_size", "_turn", "_whole")

    def __init__(self, host: Host, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(host, loop)
        self._parser = httptools.HttpRequestParser(self)
        self._fed = 0
        """Bytes of the incomplete head."""
        self._beside = 0
        """Bytes that came since the head and are not of the body."""
        self._headers = 0
        """Of this head, and after its body."""
        self._size = 0
        """Size of the headers."""
        self._turn = _TURN_BYTES
        self._at = 0
        """Where the next turn begins in the unread input."""
        self._whole: bytes | None = None
        """The input being read, if it begins with a head."""
        self._again = False
        """A request that asked for an upgrade is parsed again as HTTP/1.1."""

    # --- the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a place, or report that there is none."""
        self._transport = cast(asyncio.Transport, transport)
        if self._host.opened(self):
            self.deadline = self._host.now + self._host.limits.head_secs
            return
        if transport.is_closing():
            return
        message = "too many connections are open here"
        answer = reply.error(503, "too_many_connections", message, ("Retry-After", "1"))
        self._refuse(self._host.service.failed(None, answer, "connections"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Drop what was not handed over; what was is kept, although nobody hears of it."""
        self.deadline = inf
        self._last = True
        self._unread = b""
        self._let_go()
        self._request = None
        del self._parser  # it holds methods of this: each connection would stay until a garbage collection
        self._host.closed(self)

    def eof_received(self) -> bool:
        """Answer complete requests; then close."""
        unread, self._unread = self._unread[self._at :], b""
        self._feed(unread)
        if self._request is not None:
            self._drop(self._request)
        self._last = True
        return bool(self._queue) or self._busy is not None

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._request is None and not (
            self._fed or self._queue or self._busy or self._last or self._unread
        ):
            if self._take_known(data):
                return
            if len(data) <= 2 * self._turn:
                self._whole = data
                self._feed(data)
                self._whole = None
                return
        if self._unread:
            self._unread += data
        elif len(data) > 2 * self._turn and not self._transport.is_closing():
            self._unread, self._at = data, 0
            self._transport.pause_reading()
            self._take_turns()
        else:
            self._feed(data)

    def _take_known(self, data: bytes) -> bool:
        """Take a complete request with a cached head; False: it must be parsed."""
        end = data.find(_HEAD_END) + len(_HEAD_END)
        head = self._host.heads.of(data[:end])
        if head is None or head.length != len(data) - end:
            return False
        request = Incoming(self._host.gate, self, self._limit)
        request.says(head)
        if head.length:
            request.add(data[end:])
        request.completes()
        self._queue.append(request)
        self._next()
        if request.parked:
            self._pause()
        return True

    def _learn(self, request: Incoming) -> None:
        """Cache its head, if it and its body are all the input."""
        data, head = self._whole, request.head()
        if data is None or head is None:
            return
        end = data.find(_HEAD_END) + len(_HEAD_END)
        if head.length == request.size and end + head.length == len(data):
            self._host.heads.learn(data[:end], head)

    def _feed(self, data: bytes) -> None:
        if self._last:
            return
        while data:
            data = self._parse(data)
        if self._queue and (self._busy or self._queue[0].parked):
            self._pause()

    def _parse(self, data: bytes) -> bytes:
        """Parse input; return what is to be parsed anew, from a request on that asked for an upgrade."""
        if self._request is None or not self._request.method:
            self._fed += len(data)
        else:
            self._beside += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            return self._stay(data[upgrade.args[0] :])
        except (httptools.HttpParserError, httptools.HttpParserCallbackError):
            if not self._last:
                self._broken(reply.error(400, "bad_request", "this is not HTTP/1.1"), "malformed")
            return b""
        request = self._request
        if self._fed > self._host.limits.head and not self._last:
            self._head_too_large()
        elif request is not None and self._beside > request.size + _BESIDE_BYTES and not self._last:
            message = "more comes with the chunks than they hold"
            self._fail(request, reply.error(400, "small_chunks", message), "malformed")
        return b""

    def _take_turns(self) -> None:
        """Read a part of the input, then let the others have their turn."""
        begin, data = self._at, self._unread
        self._at = end = begin + self._turn
        if end < len(data):
            self._loop.call_soon(self._take_turns)
        else:
            self._unread = b""
        if data:
            before = self._host.requests
            self._feed(data[begin:end])
            if self._host.requests - before > _MANY:
                self._turn = _SHORT_TURN_BYTES
        if not self._unread and not self._paused and not self._transport.is_closing():
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        """The client does not read answers: stop reading, too."""
        self._pause()
        self.deadline = self._host.now + WRITE_SECS

    def resume_writing(self) -> None:
        """Go on."""
        self._settle()

    # --- the parser calls

    def on_message_begin(self) -> None:
        """A request begins."""
        if self._again or self._last:
            return
        self._request = Incoming(self._host.gate, self, self._limit)
        self._headers = self._size = 0
        self.deadline = self._host.now + self._host.limits.head_secs

    def on_url(self, url: bytes) -> None:
        """Take its target."""
        request = self._request
        if request is not None and not self._again:
            request.target = request.target + url if request.target else url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; those after the body are only counted."""
        self._headers += 1
        request = self._request
        if request is None or request.method:
            if self._headers > 2 * self._host.limits.headers and not self._last:
                self._head_too_large()
            return
        self._size += len(name) + len(value)
        key = _names.get(name) or _name(name)
        try:
            text = value.decode()  # npm's cloudevents sends UTF-8
        except UnicodeDecodeError:
            text = value.decode("latin-1")
        headers = request.headers
        headers[key] = f"{headers[key]}, {text}" if key in headers else text

    def on_headers_complete(self) -> None:
        """Decide whether to read its body."""
        self._fed = self._beside = 0
        request = self._request
        if request is None or self._again:
            return
        limits, headers = self._host.limits, request.headers
        if self._headers > limits.headers or self._size + len(request.target) > limits.head:
            self._head_too_large()
            return
        parser = self._parser
        version = parser.get_http_version()
        request.method = parser.get_method().decode("latin-1")
        request.since = request.begun = now = self._host.now
        self.deadline = now + limits.body_secs
        if version != "1.1":
            request.is_old = version == "1.0"
        if not parser.should_keep_alive():
            request.close = True
        self._queue.append(request)
        if version not in ("1.1", "1.0"):
            self._fail(request, reply.error(505, "bad_version", "HTTP/1.1 is spoken here"))
        elif headers.get("transfer-encoding", "chunked").lower() != "chunked":
            self._fail(
                request, reply.error(501, "bad_coding", "chunked is the only coding here"), "malformed"
            )
        elif int(headers.get("content-length", 0)) > limits.body:
            self._too_large(request)
        elif "expect" in headers:
            self._expected(request)

    def on_body(self, piece: bytes) -> None:
        """Take a piece of it, as long as there is room."""
        self._beside -= len(piece)
        request = self._request
        if request is None or request.answer is not None:
            return
        if request.size + len(piece) > self._host.limits.body:
            self._too_large(request)
            return
        request.add(piece)
        if request.is_crumbled:
            message = "the body comes in too many small chunks"
            self._fail(request, reply.error(400, "small_chunks", message), "malformed")
            return
        self.deadline = self._host.now + self._host.limits.body_secs
        if request.parked:
            self._pause()

    def on_message_complete(self) -> None:
        """Answer it when it is its turn."""
        request = self._request
        if request is None or (self._parser.should_upgrade() and not self._again):
            return
        if self._whole is not None and not self._again:
            self._learn(request)
        self._again = self._continue = False
        self._request = None
        request.completes()
        if request.close:
            self._last = True
        if self._busy is None:
            self._next()

    # --- what is too much, or nothing at all

    def overdue(self) -> None:
        """Its time is up. Called once ``deadline`` has passed."""
        self.deadline = inf
        if self._last or self._transport.get_write_buffer_size():
            self._transport.abort()
        elif self._request is None and not self._fed:
            if not self._queue and self._busy is None:
                self._transport.close()  # it was idle
        elif self._request is not None and self._request.method:
            self._fail(self._request, reply.error(408, "timeout", "the body did not come in time"), "timeout")
        else:
            self._broken(reply.error(408, "timeout", "the head did not come in time"), "timeout")

    def _too_large(self, request: Incoming) -> None:
        limit = self._host.limits.body
        self._fail(
            request, reply.error(413, "too_large", f"the body is larger than {limit} bytes"), "too_large"
        )

    def _head_too_large(self) -> None:
        self._broken(reply.error(431, "head_too_large", "the request's head is too large"), "head_too_large")

    def _fail(self, request: Incoming, answer: Answer, code: str = "malformed") -> None:
        self._give_up(request, self._host.service.failed(request.whole(b"", b""), answer, code))

    def _broken(self, answer: Answer, code: str) -> None:
        """Answer malformed input, after the requests before it."""
        request = self._request
        if request is None or not request.method:
            request = Incoming(self._host.gate, self, self._limit)
            self._queue.append(request)
        self._request = None
        self._give_up(request, self._host.service.failed(None, answer, code))

    def _drop(self, request: Incoming) -> None:
        request.leave()
        self._request = None
        if request in self._queue:
            self._queue.remove(request)

    def _refuse(self, answer: Answer) -> None:
        self._last = True
        self._write_last(reply.wire(answer, close=True))

    def _expected(self, request: Incoming) -> None:
        if request.headers["expect"].lower() != "100-continue":
            self._fail(
                request, reply.error(417, "bad_expectation", "only 100-continue is known"), "malformed"
            )
        elif not request.is_old:
            self._continue = True
            self._invite()

    def _stay(self, rest: bytes) -> bytes:
        """Continue with HTTP/1.1 where a request offers h2c (Java's client does); return what comes next."""
        request = self._request
        if request is None or self._last:
            return b""
        if request.method == "CONNECT":
            self._fail(request, reply.error(405, "bad_method", "this is no proxy"))
            return b""
        framing = b"".join(
            f"{name}: {request.headers[name]}\r\n".encode("latin-1")
            for name in ("content-length", "transfer-encoding")
            if name in request.headers
        )
        self._parser = httptools.HttpRequestParser(self)
        self._again = True
        return b"POST / HTTP/1.1\r\n" + framing + b"\r\n" + rest
