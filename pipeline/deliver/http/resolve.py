"""Resolves names: every address passes the guard before it is dialled.

`getaddrinfo` blocks and cannot be cancelled, so every lookup has a thread of its own: a name server that
hangs for one webhook must not use up a pool that the others wait for. Lookups of one name are shared, and
good answers are kept for a short time.
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
"""Blocking: the addresses of a host and port, as `socket.getaddrinfo` returns them."""

_AT_AN_ADDRESS = frozenset({"connect", "timeout", "tls", "closed", "reset", "protocol"})
"""Faults that another address of the name may not have."""
KEEP_SECS = 30.0
BEHIND_PROXY_SECS = 2.0
"""How long a name is asked for that the proxy will resolve: many who need a proxy have no other names."""


def system_lookup(host: str, port: int) -> Sequence[AddrInfo]:
    """Ask the system's resolver; raises OSError."""
    found: Sequence[Any] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return found


class Resolver:
    """Resolves and judges. Used by one event loop. most: names that are looked up at a time."""

    def __init__(
        self, allow: Sequence[Network] = (), lookup: Lookup = system_lookup, most: int = 2048
    ) -> None:
        self._most = most
        self._allow = allow
        self._lookup = lookup
        self._kept: dict[tuple[str, int], tuple[float, list[AddrInfo]]] = {}
        self._unknown: dict[str, float] = {}
        """Names behind proxies that are not asked for until then."""
        self._asking: dict[tuple[str, int], asyncio.Future[list[AddrInfo]]] = {}

    async def resolve(self, host: str, port: int) -> list[AddrInfo]:
        """Return the addresses that may be dialled, in the resolver's order.

        Raises GuardRefusal where no answer may be dialled, OSError where the name has none, OwnLimit where
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
                raise OwnLimit(ALL_IN_USE)  # each takes a thread, and descriptors
            asking = self._asking[key] = self._ask(loop, host, port)
            asking.add_done_callback(lambda _: self._asking.pop(key, None))
        answers = self._judge(host, await asyncio.shield(asking))
        if len(self._kept) > 1000:
            self._kept.clear()
        self._kept[key] = (loop.time() + KEEP_SECS, answers)
        return answers

    async def judge_behind_proxy(self, host: str, port: int) -> None:
        """Raise GuardRefusal where the host is known here and no answer may be dialled, by a proxy either.

        A name that is not known here, or not in time, is left to the proxy: for a while it is not asked
        for again. The proxy's own view may be another one: it must guard, too.
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
        """Raise GuardRefusal where the host, as it is written, must not be reached, not by a proxy either."""
        why = check_url_literal(host, self._allow)
        if why is not None:
            raise GuardRefusal(f"{host} is {why}; `network.allow` opens it where that is meant")

    def learn(self, attempt: Attempt) -> None:
        """Draw from an attempt's fault what it tells of the addresses of its receiver's name.

        Where none took a connection they are asked for anew. Where one did, and gave no answer, the next one
        comes first from now on: that machine may be ill, or the path to it let no large packets through.
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
        """Ask again next time."""
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
        # Whoever asked may have given up: an answer that nobody awaits is no error.
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
            except Exception as error:  # whatever it is: they wait for this name until they are told
                failure = OSError(f"{type(error).__name__}: {error}")
            try:
                loop.call_soon_threadsafe(settle, answers, failure)
            except RuntimeError:
                pass  # the engine stopped meanwhile

        try:
            threading.Thread(target=run, name=f"resolve {host}"[:15], daemon=True).start()
        except RuntimeError as error:  # there is no more room for threads
            future.set_exception(OSError(errno.EAGAIN, str(error)))
        return future


def _lacking() -> OSError | None:
    """Return why this process can open no file; None where it can.

    To the C library a name is unknown as well where it could not open what it looks names up in.
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
