"""Resolves names: every address passes the guard before it is dialled.

`getaddrinfo` blocks and cannot be cancelled, so every look-up has a thread of its own: a name server that
hangs for one webhook must not exhaust a pool that the others need. Concurrent look-ups of one name are
shared, and good results are kept for a short time.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from pipeline.deliver.http.attempt import ALL_IN_USE, AddrInfo, Attempt, OwnLimit
from pipeline.deliver.http.guard import (
    GuardRefusal,
    Network,
    check_address,
    check_url_literal,
    literal_address,
)

Lookup: TypeAlias = Callable[[str, int], Sequence[AddrInfo]]
"""Blocking: the addresses of a host and port, as returned by `socket.getaddrinfo`."""

_AT_AN_ADDRESS = frozenset({"connect", "timeout", "tls", "closed", "reset", "protocol"})
"""Faults that another address of the same name may not have."""
KEEP_SECS = 30.0
BEHIND_PROXY_SECS = 2.0
"""How long to look up a name that the proxy will resolve: behind a proxy local DNS often knows no other
names."""


def system_lookup(host: str, port: int) -> Sequence[AddrInfo]:
    """Ask the system's resolver; raises OSError."""
    found: Sequence[Any] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return found


class Resolver:
    """Resolves and judges. Used by one event loop. most: concurrent look-ups."""

    def __init__(
        self, allow: Sequence[Network] = (), lookup: Lookup = system_lookup, most: int = 2048
    ) -> None:
        self._most = most
        self._allow = allow
        self._lookup = lookup
        self._kept: dict[tuple[str, int], tuple[float, list[AddrInfo]]] = {}
        self._unknown: dict[str, float] = {}
        """Names behind proxies that are not looked up again until this time."""
        self._asking: dict[tuple[str, int], asyncio.Future[list[AddrInfo]]] = {}

    async def resolve(self, host: str, port: int) -> list[AddrInfo]:
        """Return the addresses that may be dialled, in the resolver's order.

        Raises GuardRefusal where no address may be dialled, OSError where the name has none, OwnLimit where
        too many are being looked up.
        """
        self.check_literal(host)
        literal = literal_address(host)
        if literal is not None:
            return [_literal_info(literal, port)]
        loop = asyncio.get_running_loop()
        key = (host, port)
        kept = self._kept.get(key)
        if kept is not None and loop.time() < kept[0]:
            return kept[1]
        asking = self._asking.get(key)
        if asking is None:
            if len(self._asking) >= self._most:
                raise OwnLimit(ALL_IN_USE)  # each needs a thread and descriptors
            asking = self._asking[key] = self._ask(loop, host, port)
            asking.add_done_callback(lambda _: self._asking.pop(key, None))
        answers = self._judge(host, await asyncio.shield(asking))
        if len(self._kept) > 1000:
            self._kept.clear()
        self._kept[key] = (loop.time() + KEEP_SECS, answers)
        return answers

    async def judge_behind_proxy(self, host: str, port: int) -> None:
        """Raise GuardRefusal where the host is known here and none of its addresses may be dialled, even by a
        proxy.

        A name that is unknown here, or takes too long, is left to the proxy, and not looked up again for a
        while. The proxy may resolve it differently: it must guard, too.
        """
        self.check_literal(host)
        loop = asyncio.get_running_loop()
        if loop.time() < self._unknown.get(host, 0.0):
            return
        try:
            await asyncio.wait_for(self.resolve(host, port), BEHIND_PROXY_SECS)
        except (OSError, TimeoutError):
            if len(self._unknown) > 1000:
                self._unknown.clear()
            self._unknown[host] = loop.time() + KEEP_SECS

    def check_literal(self, host: str) -> None:
        """Raise GuardRefusal where a literal address must not be reached, even through a proxy."""
        why = check_url_literal(host, self._allow)
        if why is not None:
            raise GuardRefusal(f"{host} is {why}; `network.allow` opens it where that is meant")

    def learn(self, attempt: Attempt) -> None:
        """Learn from an attempt's fault about the addresses of its receiver's name.

        Where none accepted a connection they are looked up again. Where one did but gave no answer, the next
        one is tried first from now on: that machine may be ill, or its path may drop large packets.
        """
        if attempt.begun or attempt.fault not in _AT_AN_ADDRESS:
            return
        host, port = attempt.target.origin[1:3]
        if attempt.fault == "connect":
            self.forget(host, port)
        elif (host, port) in self._kept:
            until, addresses = self._kept[host, port]
            self._kept[host, port] = (until, addresses[1:] + addresses[:1])

    def forget(self, host: str, port: int) -> None:
        """Look it up again next time."""
        self._kept.pop((host, port), None)

    def _judge(self, host: str, answers: Sequence[AddrInfo]) -> list[AddrInfo]:
        good: list[AddrInfo] = []
        refused: GuardRefusal | None = None
        for answer in answers:
            try:
                check_address(host, answer[4][0], self._allow)
            except GuardRefusal as error:
                refused = refused or error
            else:
                good.append(answer)
        if good:
            return good
        raise refused or OSError(f"no address for {host}")

    def _ask(self, loop: asyncio.AbstractEventLoop, host: str, port: int) -> asyncio.Future[list[AddrInfo]]:
        future: asyncio.Future[list[AddrInfo]] = loop.create_future()
        # The caller may have given up: a result that nobody awaits is not an error.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())

        def settle(answers: list[AddrInfo], error: Exception | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(answers)
            else:
                future.set_exception(error)

        def run() -> None:
            answers: list[AddrInfo] = []
            failure: OSError | None = None
            try:
                answers = list(self._lookup(host, port))
            except OSError as error:
                failure = _lacking() or error
            except Exception as error:  # whatever it is: the waiters must be told
                failure = OSError(f"{type(error).__name__}: {error}")
            try:
                loop.call_soon_threadsafe(settle, answers, failure)
            except RuntimeError:
                pass  # the engine has stopped meanwhile

        try:
            threading.Thread(target=run, name=f"resolve {host}"[:15], daemon=True).start()
        except RuntimeError as error:  # no more threads can be started
            future.set_exception(OSError(errno.EAGAIN, str(error)))
        return future


def _lacking() -> OSError | None:
    """Return why this process cannot open a file; None where it can.

    The C library reports an unknown name also where it could not open its own configuration.
    """
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return OSError(error.errno, error.strerror)
    return None


def _literal_info(address: str, port: int) -> AddrInfo:
    if ":" in address:
        return (socket.AF_INET6, socket.SOCK_STREAM, 0, "", (address, port, 0, 0))
    return (socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, port))
