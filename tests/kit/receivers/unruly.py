"""A receiver that answers at the wrong moments: twice, too early, too late, in halves; and knows when it did.

Each of its addresses (127.1.0.0/16, one port) has one mood. Every answer holds whose it is, so a test can
tell an answer that was taken for another's, and whether it stood there before the request was made.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import cast

_LENGTH = re.compile(rb"\r\ncontent-length: ([0-9]+)\r\n", re.IGNORECASE)
_ID = re.compile(rb"\r\nwebhook-id: ([^\r]+)\r\n", re.IGNORECASE)

Mood = Callable[["Talker", bytes], None]


def answer(body: bytes, status: int = 200, header: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d x\r\n%bcontent-length: %d\r\n\r\n%b" % (status, header, len(body), body)


class Talker(asyncio.Protocol):
    """One connection."""

    def __init__(self, unruly: Unruly) -> None:
        self.unruly = unruly
        self.transport: asyncio.Transport
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.unruly.talkers.add(self)
        self.mood = self.unruly.moods[transport.get_extra_info("sockname")[0]]
        if self.mood in ON_ACCEPT:
            later(self, ON_ACCEPT[self.mood])

    def connection_lost(self, exc: Exception | None) -> None:
        self.unruly.talkers.discard(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            head, mark, body = self._buffer.partition(b"\r\n\r\n")
            found = _LENGTH.search(head + b"\r\n") if mark else None
            if found is None:
                return
            if self.mood == "early" and len(body) < int(found[1]):
                self._buffer = b""
                self.say(answer(b"early"), b"early")
                self.transport.pause_reading()
                return
            if len(body) < int(found[1]):
                return
            self._buffer = body[int(found[1]) :]
            name = _ID.search(head + b"\r\n")
            assert name is not None
            MOODS[self.mood](self, name[1])

    def say(self, wire: bytes, *bodies: bytes) -> None:
        """Write, and note when the answers with these bodies had been said."""
        if not self.transport.is_closing():
            self.transport.write(wire)
            now = time.monotonic()
            for body in bodies:
                self.unruly.said[body] = now

    def alien(self, status: int = 200) -> tuple[bytes, bytes]:
        """Return an answer to no request, and its body."""
        self.unruly.aliens += 1
        body = b"alien-%d" % self.unruly.aliens
        return answer(body, status), body


def later(talker: Talker, delay_secs: float, status: int = 200) -> None:
    def speak() -> None:
        if 0 < delay_secs < 0.001:
            time.sleep(delay_secs)  # timers of a loop are coarser
        talker.say(*talker.alien(status))

    loop = asyncio.get_running_loop()
    if delay_secs < 0.001:
        loop.call_soon(speak)
    else:
        loop.call_later(delay_secs, speak)


def plain(talker: Talker, name: bytes) -> None:
    talker.say(answer(name), name)


def together(talker: Talker, name: bytes) -> None:
    wire, body = talker.alien()
    talker.say(answer(name) + wire, name, body)


def twice(delay_secs: float, status: int = 200) -> Mood:
    def mood(talker: Talker, name: bytes) -> None:
        plain(talker, name)
        later(talker, delay_secs, status)

    return mood


def once_in_a_while(talker: Talker, name: bytes) -> None:
    plain(talker, name)
    if talker.unruly.luck() < 0.2:
        later(talker, 0.0001)


def half_then_whole(talker: Talker, name: bytes) -> None:
    talker.say(b"HTTP/1.1 200 OK\r\ncontent-le")
    asyncio.get_running_loop().call_later(0.001, plain, talker, name)


def short_then_another(talker: Talker, name: bytes) -> None:
    wire, body = talker.alien()
    talker.say(answer(name)[:-1] + wire, body)


def closing_and_more(talker: Talker, name: bytes) -> None:
    wire, body = talker.alien()
    talker.say(answer(name, header=b"connection: close\r\n") + wire, name, body)


def in_pieces(talker: Talker, name: bytes) -> None:
    wire, loop = answer(name), asyncio.get_running_loop()
    talker.say(wire[:9])
    loop.call_later(0.001, talker.say, wire[9:30])
    loop.call_later(0.002, talker.say, wire[30:], name)
    later(talker, 0.002)


def late(talker: Talker, name: bytes) -> None:
    asyncio.get_running_loop().call_later(0.05, plain, talker, name)


def only_errors(talker: Talker, name: bytes) -> None:
    """A 422 to everybody, and a success that nobody asked for."""
    talker.say(answer(name, 422), name)
    later(talker, 0.0)


MOODS: dict[str, Mood] = {
    "plain": plain,
    "together": together,
    **{f"twice after {secs:g} s": twice(secs) for secs in (0, 0.00002, 0.0002, 0.001, 0.005, 0.02)},
    "an error too many": twice(0.0002, 500),
    "only errors": only_errors,
    "once in a while": once_in_a_while,
    "half, then whole": half_then_whole,
    "short, then another": short_then_another,
    "closing and more": closing_and_more,
    "in pieces": in_pieces,
    "late": late,
    "early": plain,
    "speaks first": plain,
    "speaks first after 0.001 s": plain,
}
ON_ACCEPT = {"speaks first": 0.0, "speaks first after 0.001 s": 0.001}


class Unruly:
    """The receiver, in a thread of its own."""

    def __init__(self, luck: Callable[[], float]) -> None:
        self.luck = luck
        self.moods: dict[str, str] = {}
        """By address."""
        self.said: dict[bytes, float] = {}
        """By the body of an answer: the monotonic time after which it stood at the other side."""
        self.talkers: set[Talker] = set()
        self.aliens = 0
        self.port = 0

    def origin(self, mood: str) -> str:
        """Return the URL of a receiver in this mood; each is another origin."""
        n = len(self.moods)
        address = f"127.1.{n // 250}.{n % 250 + 1}"
        self.moods[address] = mood
        return f"http://{address}:{self.port}/"

    def __enter__(self) -> Unruly:
        self._loop = asyncio.new_event_loop()
        listening = self._loop.create_server(lambda: Talker(self), "0.0.0.0", 0, backlog=512)
        self._server = self._loop.run_until_complete(listening)
        self.port = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        while self.talkers:
            for talker in list(self.talkers):
                talker.transport.abort()
            await asyncio.sleep(0)
