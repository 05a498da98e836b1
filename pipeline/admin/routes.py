"""The one table of a job's routes, whether they are reached through the socket or over TCP.

The socket, which only the job's owner can open, leads to every route: its name is the command. Over TCP,
where anybody may ask, the public ones are pages: ``/`` and the name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import orjson

from pipeline.model.errors import HooklineError
from pipeline.model.json import Value
from pipeline.telemetry import log

TEXT = "text/plain; charset=utf-8"
_log = log.get(__name__)


class Stream(Protocol):
    """An answer of many lines, polled until the client is gone. Used by one thread at a time."""

    def hello(self) -> Value:
        """Return the first answer."""

    def take(self) -> list[bytes]:
        """Return the lines since the last call, each with its line end; never blocks."""

    def close(self) -> None:
        """End it."""


@dataclass(slots=True, frozen=True)
class Route:
    """One thing that can be asked.

    handler: a thread-safe function of keyword arguments that returns JSON data or a text; what it raises is
    the answer. public: takes no arguments, changes nothing and does not wait; others may wait for an epoch.
    """

    name: str
    handler: Callable[..., Value]
    public: bool = False
    content_type: str = TEXT
    """The content type of a text, when served as a page."""
    streams: bool = False
    """True: the handler starts a `Stream`. Over the socket only."""


Routes: TypeAlias = Sequence[Route]


@dataclass(slots=True, frozen=True)
class Answer:
    """A handler's result as JSON, or its error: a sentence and an exit code."""

    result: bytes | str
    error: str | None = None
    code: int = 0
    bug: bool = False
    """True where the error was not raised on purpose; it is in the log."""
    stream: Stream | None = None
    """What follows after the result."""


def answer(route: Route, arguments: Mapping[str, Value]) -> Answer:
    """Call a handler; never raises: an error becomes an answer."""
    try:
        result = route.handler(**arguments)
        if route.streams:
            stream: Stream = result
            return Answer(orjson.dumps(stream.hello()), stream=stream)
        return Answer(result if isinstance(result, str) else orjson.dumps(result))
    except HooklineError as error:
        return Answer(b"", str(error), error.exit_code)
    except BaseException as error:  # also SystemExit from a library
        _log.error("admin command failed", command=route.name, exc_info=error)
        return Answer(b"", f"{type(error).__name__}: {error}", HooklineError.exit_code, bug=True)
