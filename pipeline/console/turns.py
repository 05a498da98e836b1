"""Runs what people try one call per person at a time, so that nobody's text keeps the others waiting."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from pipeline.model.errors import Refused

T = TypeVar("T")


class Superseded(Refused):
    """A later text of the same person and page arrived while this one waited: its result is not needed."""


@dataclass(slots=True)
class _Person:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    latest: dict[str, int] = field(default_factory=dict)
    """By page: the latest call."""


class Turns:
    """Runs calls of people in threads. Used by one event loop."""

    def __init__(self) -> None:
        self._people: dict[str, _Person] = {}
        self._numbers = itertools.count()

    async def run(self, person: str, page: str, call: Callable[[], T]) -> T:
        """Run a call in a thread, once this person's earlier ones have ended; return its result.

        Raises what it raises, and Superseded where a later one of the same page waits: its result is not
        needed. If the caller gives up, a started call runs to its end, and the turn ends with it.
        """
        mine, known = next(self._numbers), self._people.setdefault(person, _Person())
        known.latest[page] = mine
        known.waiting += 1
        try:
            await known.lock.acquire()
        finally:
            known.waiting -= 1
            self._forget(person, known)
        if known.latest.get(page) != mine:
            known.lock.release()
            self._forget(person, known)
            raise Superseded("a later text came in")

        def over(_: asyncio.Future[T]) -> None:
            if known.latest.get(page) == mine:
                del known.latest[page]
            known.lock.release()
            self._forget(person, known)

        work = asyncio.get_running_loop().run_in_executor(None, call)
        work.add_done_callback(over)
        return await asyncio.shield(work)

    def _forget(self, person: str, known: _Person) -> None:
        if not known.waiting and not known.lock.locked() and self._people.get(person) is known:
            del self._people[person]
