"""The events of a soak: new users all the time, posted to a collector as a server would."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from contextlib import closing
from itertools import chain
from typing import Any

EVENTS_PER_USER = 4
SHARES = {"Sick": (50, 0), "Probe": (50, 1), "Dead": (25, 2)}
"""One event in so many has this name, beginning with that one; the others are called Load."""
BATCH_SECS = 0.25
BATCH = 1_000
"""Events of one request at most, where the machine stood still for a while."""
SLOW_SECS = 300.0
LATER = (429, 503)
"""Answers to a request that is sent again: so the collector says that it has too much to do."""


def name_of(number: int) -> str:
    """Return what an event is called."""
    return next((name for name, (share, first) in SHARES.items() if number % share == first), "Load")


def records(number: int) -> list[dict[str, Any]]:
    """Return an event, behind what makes its user known where it is the user's first one."""
    user = number // EVENTS_PER_USER
    event = {
        "type": "event",
        "id": f"e{number}",
        "name": name_of(number),
        "properties": {"n": number, "at": time.time()},
    }
    first = number % EVENTS_PER_USER == 0
    if first and user % 5 == 0:  # a visitor, who logs in afterwards
        link = {"type": "link", "anonymous_id": f"a{user}", "user_id": f"u{user}"}
        return [event | {"anonymous_id": f"a{user}"}, link, _update(user)]
    return [*([_update(user)] if first else []), event | {"user_id": f"u{user}"}]


def _update(user: int) -> dict[str, Any]:
    return {"type": "user", "user_id": f"u{user}", "set": {"name": f"User {user}", "plan": "pro", "n": user}}


class Feed:
    """Posts until it is stopped, from a thread of its own. A context manager."""

    def __init__(self, port: int, rate: float) -> None:
        self.sent: Counter[str] = Counter()
        """Events that were taken, by name."""
        self.failed = ""
        self._port, self._rate = port, rate
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def __enter__(self) -> Feed:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Post nothing more; raises AssertionError where something was refused."""
        self._end.set()
        self._thread.join(SLOW_SECS)
        assert not self.failed, self.failed

    def _run(self) -> None:
        try:
            with closing(
                http.client.HTTPConnection("127.0.0.1", self._port, timeout=SLOW_SECS)
            ) as connection:
                self._post_all(connection)
        except (OSError, http.client.HTTPException) as error:
            self.failed = f"the collector took nothing more: {error!r}"

    def _post_all(self, connection: http.client.HTTPConnection) -> None:
        begun, number = time.monotonic(), 0
        while not self._end.wait(BATCH_SECS):
            until = min(int((time.monotonic() - begun) * self._rate), number + BATCH)
            if until == number:
                continue
            since = time.monotonic()
            body = json.dumps(list(chain.from_iterable(map(records, range(number, until)))))
            while True:
                connection.request("POST", "/v1/events", body, {"authorization": "Bearer any"})
                answer = connection.getresponse()
                said = answer.read()
                if answer.status not in LATER or time.monotonic() - since > SLOW_SECS:
                    break
                self._end.wait(1.0)
            if answer.status != 200:
                self.failed = f"{answer.status}: {said[:500]!r}"
                return
            self.sent.update(map(name_of, range(number, until)))
            number = until
