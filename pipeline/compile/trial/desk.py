"""The child's side of a trial: requests in, answers out, within bounds of time and memory."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from pipeline.compile.trial.wire import receive, send
from pipeline.model.errors import ConfigError
from pipeline.model.json import Value
from pipeline.model.process.bounds import Allowance, Bounds, address_space
from pipeline.model.process.lifeline import hold
from pipeline.model.process.private import keep_private
from pipeline.model.process.under_way import telling

NICE = 5
"""The job takes precedence."""
PLACE_BYTES = 512
VARIABLES = 10_000
"""Maximum number of variables requested: each costs the parent a moment."""

Work: TypeAlias = Callable[[dict[str, Value]], Value]
"""Answers one request."""
AskBack: TypeAlias = Callable[[Value], Value]
"""Asks the parent, in the middle of a request, for what only it has."""


class AskedFor(Mapping[str, str]):
    """The parent's environment: each variable is requested when it is looked up."""

    def __init__(self, ask: AskBack) -> None:
        self._ask = ask
        self._known: dict[str, str | None] = {}

    def __getitem__(self, name: str) -> str:
        if name not in self._known:
            if len(self._known) >= VARIABLES:
                raise ConfigError(f"the config names more than {VARIABLES:,} variables")
            self._known[name] = self._ask({"variable": name})
        value = self._known[name]
        if value is None:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter([name for name, value in self._known.items() if value is not None])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def forget(self) -> None:
        """Request everything again from now on."""
        self._known.clear()


def keep_desk(make: Callable[[AskBack], Work]) -> None:
    """Answer until the parent is gone. make: takes an AskBack and returns the Work."""
    hold()
    keep_private()
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    os.nice(NICE)
    outbox = os.dup(1)
    os.dup2(2, 1)  # printed output must not mix with messages
    place = int(sys.argv[1])

    def ask(question: Value) -> Value:
        send(outbox, {"asks": question})
        return receive(0)["reply"]

    work = make(ask)
    base = address_space()
    steps = 0

    def told(file: str) -> None:
        nonlocal steps
        steps += 1
        said = f"{steps} {file}".encode()[: PLACE_BYTES - 1]
        os.pwrite(place, said + b"\0", 0)

    send(outbox, {"ready": True})
    while True:
        try:
            request = receive(0)
        except EOFError:
            return
        answer = _bounded(work, request, base, told)
        send(outbox, answer)
        if "exceeded" in answer:
            return  # the next process begins with fresh memory


def _bounded(
    work: Work, request: dict[str, Value], base: int | None, told: Callable[[str], None]
) -> dict[str, Value]:
    allowance = Allowance(Bounds(**request["bounds"]), base)

    def begins(file: str) -> None:
        allowance.begins(file)
        told(file)

    try:
        with telling(begins):
            answer: dict[str, Value] = work(request)
            return answer
    except MemoryError:
        return {"exceeded": allowance.file}
    except ConfigError as error:
        return {"refused": str(error)}
    finally:
        allowance.end()
