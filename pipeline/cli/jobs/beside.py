"""Verbs that run beside this one: those that a demo starts."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from pipeline.model.errors import Fatal, UsageError
from pipeline.model.process.exits import Exit
from pipeline.model.process.lifeline import Lifeline

HOOKLINE = (sys.executable, "-P", "-m", "pipeline.cli")
STOP_SECS = 10.0


@contextlib.contextmanager
def started(
    verb: str,
    *words: str,
    log: Path,
    lifeline: Lifeline,
    variables: Mapping[str, str] = MappingProxyType({}),
    data: Path | None = None,
    until: str = "",
) -> Iterator[str]:
    """Run a verb until the end of the block, or of this process, however that ends.

    log: where its talk goes, and its data, unless ``data`` names another file. until: what a line begins
    with that is waited for; the rest of it is yielded. Raises UsageError or Fatal where the verb ends before.
    """
    environment = {**os.environ, **variables}
    lifeline.tie(environment)
    with log.open("wb") as talk, data.open("wb") if data else contextlib.nullcontext(talk) as out:
        process = subprocess.Popen(
            [*HOOKLINE, verb, *words],
            stdout=out,
            stderr=talk,
            env=environment,
            start_new_session=True,  # we end it, not the terminal
            pass_fds=lifeline.descriptors,
        )
    try:
        yield _rest_of_line(process, verb, log, until) if until else ""
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECS)
        except subprocess.TimeoutExpired:
            process.kill()


def _rest_of_line(process: subprocess.Popen[bytes], verb: str, log: Path, begin: str) -> str:
    pause = threading.Event()
    while True:
        lines = log.read_text(errors="replace").splitlines()
        found = next((line.partition(begin)[2] for line in lines if begin in line), None)
        if found is not None:
            return found.strip()
        if process.poll() is not None:
            error = UsageError if process.returncode == Exit.USAGE else Fatal
            raise error("\n".join(lines).removeprefix("error: ") or f"`hookline {verb}` did not start")
        pause.wait(0.05)
