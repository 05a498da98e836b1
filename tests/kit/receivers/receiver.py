"""The receiver, answering by a function of the request; what it recorded; what a job that died left open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from pipeline.receiver.answer import Answer
from pipeline.receiver.received import Request
from pipeline.receiver.script import Script, answer_of
from pipeline.receiver.server import Receiver

Choose = Callable[[str, int, bytes], int | str]
"""Path, attempt and body to the status or the fault that is the answer."""


def read_records(path: Path) -> Iterator[dict[str, object]]:
    """Yield the complete lines of a recorder's file; a torn last line is left out."""
    if path.exists():
        yield from map(orjson.loads, path.read_bytes().split(b"\n")[:-1])


class Chosen(Script):
    """Answers as a function says."""

    def __init__(self, choose: Choose) -> None:
        super().__init__()
        self._choose = choose

    def answer(self, request: Request) -> Answer:
        attempt = int(request.headers["webhook-attempt"])
        return answer_of(self._choose(request.path, attempt, request.body))


@dataclass(slots=True)
class Arrival:
    """What is kept of a request: there may be a million."""

    id: str
    path: str
    attempt: int
    body: bytes
    status: int
    """What was answered; 0: nothing."""


class Arrivals(Receiver):
    """Knows what a job could not yet know of an answer when it died: the last request of each connection."""

    def __init__(self, choose: Choose) -> None:
        super().__init__(Chosen(choose), keep=False, inspect=self._note)
        self.arrivals: list[Arrival] = []
        self.last: dict[int, Arrival] = {}
        """Connection to its last request."""

    def _note(self, request: Request, status: int) -> None:
        attempt = int(request.headers["webhook-attempt"])
        arrival = Arrival(request.message_id, request.path, attempt, request.body, status)
        self.arrivals.append(arrival)
        self.last[request.connection] = arrival

    def begin(self, choose: Choose) -> None:
        """Forget what arrived, and answer as this function says."""
        self.arrivals.clear()
        self.last.clear()
        self.answer(Chosen(choose))

    def unsettled(self, since: int) -> set[tuple[str, int]]:
        """Return (id, attempt) of requests whose result a job that died may not have written down.

        Those are the last ones on each connection that the job opened; since: connections before it.
        """
        return {(a.id, a.attempt) for number, a in self.last.items() if number >= since}
