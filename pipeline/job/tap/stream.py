"""A tap as a stream of lines: every tenth of a second what has come, every second the counts."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from fnmatch import fnmatchcase

import orjson

from pipeline.compile.versions import Versions
from pipeline.job.tap.seen import Seen
from pipeline.job.tap.shown import lines
from pipeline.job.tap.taps import Taps
from pipeline.job.tap.wanted import Wanted
from pipeline.model.json import Value
from pipeline.model.words import no_webhook
from pipeline.telemetry import log

WORK_SECS = 0.05
"""How long lines are made each time; the rest comes next."""
MOST_WAITING = 1_000
TELL_SECS = 1.0

_log = log.get("tap")


class TapStream:
    """One tap, from `hello` to `close`; each method is called by one thread at a time."""

    def __init__(
        self,
        taps: Taps,
        wanted: Wanted,
        versions: Versions,
        process: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._taps = taps
        self._wanted = wanted
        self._versions = versions
        self._process = process
        self._clock = clock
        self._listener = taps.add(wanted)
        self._waiting: deque[Seen] = deque()
        self._shown = 0
        self._left_out = 0
        self._passed_over = 0
        self._second = clock()
        self._left = wanted.rate

    def hello(self) -> Value:
        """Return the process's number, its config version, which webhooks the patterns mean now, and a note
        on patterns that mean none.
        """
        known = self._versions.configured
        return {
            "process": self._process,
            "config": self._versions.in_use,
            "webhooks": [one for one in known if self._wanted.of_webhook(one)],
            "unknown": {
                pattern: no_webhook(pattern, known)
                for pattern in self._wanted.webhooks
                if not any(fnmatchcase(one, pattern) for one in self._versions.specs)
            },
        }

    def take(self) -> list[bytes]:
        """Return the lines since the last call, each one JSON object with its line end."""
        found: list[bytes] = []
        begun = self._clock()
        if begun >= self._second + TELL_SECS or self._listener.failed:
            self._second, self._left = begun, self._wanted.rate
            found += self._counts()
        self._waiting.extend(self._listener.take())
        while self._waiting and self._clock() <= begun + WORK_SECS:
            seen = self._waiting.popleft()
            if self._left <= 0:
                # No work for lines that would not be shown.
                self._left_out += seen.raw is None
                self._passed_over += seen.raw is not None
                continue
            try:
                for line in lines(seen, self._wanted):
                    if self._left <= 0:
                        self._left_out += 1
                        continue
                    text = orjson.dumps(line, default=str, option=orjson.OPT_APPEND_NEWLINE)
                    self._left -= 1
                    self._shown += 1
                    found.append(text)
            except Exception as error:  # one odd record must not end the tap
                self._left_out += 1
                _log.warning("a line cannot be shown", stage=seen.stage, error=repr(error)[:200])
        while len(self._waiting) > MOST_WAITING:
            self._passed_over += 1
            self._waiting.popleft()
        return found

    def close(self) -> None:
        """Stop listening."""
        self._taps.remove(self._listener)

    def _counts(self) -> list[bytes]:
        told = (
            self._listener.left_out + self._left_out,
            self._listener.not_looked_at + self._passed_over,
            self._versions.in_use,
        )
        counts = {"not_shown": told[0], "not_looked_at": told[1], "shown": self._shown, "config": told[2]}
        if self._listener.failed:
            counts["failed"] = self._listener.failed
        return [orjson.dumps({"tap": counts}, option=orjson.OPT_APPEND_NEWLINE)]
