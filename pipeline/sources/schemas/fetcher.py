"""Fetches missing schemas in a thread of its own until each is on disk."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from math import inf
from pathlib import Path
from typing import Final, TypeAlias

from pipeline.decode.framed.schemas import SCHEMAS, Registry, Stored
from pipeline.sources.schemas.registry import Unanswered, fetch
from pipeline.telemetry import log as logging
from pipeline.telemetry.happenings import SCHEMA_FETCHED, SCHEMA_HELD, SCHEMA_THERE, SCHEMA_UNKNOWN
from pipeline.telemetry.metrics import gauge

log = logging.get(__name__)

FIRST_DELAY_SECS: Final = 0.5
MOST_DELAY_SECS: Final = 10.0
PATIENT_SECS: Final = 2.0
"""So long an id that the registry does not have is asked for again: one of its nodes may not have heard yet
of what another has registered a moment ago."""
PATIENT_EVERY_SECS: Final = 60.0
"""So often at most: whoever may write to a topic may name any number of ids, and records wait meanwhile."""

Fetch: TypeAlias = Callable[[Registry, str, Path], Awaitable[Stored]]
Key: TypeAlias = tuple[str, str]


class Fetcher:
    """One per process. A registry has a thread while something of it is missing: no other waits for it."""

    def __init__(self, folder: Path, base: Path, *, fetch: Fetch = fetch) -> None:
        """folder: where schemas are kept. base: the config directory, for files that a format names."""
        self.folder = folder
        self._base = base
        self._fetch = fetch
        self._lock = threading.Lock()
        self._wanted: dict[str, dict[str, Registry]] = {}
        """By the registry's URL and the schema's id."""
        self._reasons: dict[Key, str] = {}
        self._patient_from: dict[str, float] = {}
        """By registry: when an id was first unknown, of those that are asked for again."""
        self._closed = threading.Event()
        SCHEMAS.look_in(folder)
        SCHEMAS.want = self.ask

    def ask(self, registry: Registry, id: str) -> None:
        """Fetch a schema, unless that is under way. Never waits."""
        with self._lock:
            if self._closed.is_set():
                return
            wanted = self._wanted.get(registry.url)
            if wanted is None:
                wanted = self._wanted[registry.url] = {}
                threading.Thread(target=self._run, args=(registry.url,), name="schemas", daemon=True).start()
            wanted.setdefault(id, registry)

    def wants(self, registry: Registry, id: str) -> bool:
        """Return whether a schema is still to be fetched."""
        with self._lock:
            return id in self._wanted.get(registry.url, ())

    def waits(self) -> str:
        """Return why records wait for a schema; "" where none does because its registry does not answer."""
        with self._lock:
            for (url, id), reason in self._reasons.items():
                return f"records wait for schema {id} of {url}: {reason}"
        return ""

    def close(self) -> None:
        """Ask no more. A question under way is not waited for."""
        self._closed.set()

    def _run(self, url: str) -> None:
        delay = FIRST_DELAY_SECS
        while not self._closed.is_set():
            with self._lock:
                wanted = list(self._wanted[url].items())
                if not wanted:
                    del self._wanted[url]
                    return
            is_patient = False
            for id, registry in wanted:
                stored = self._found(registry, id)
                if stored is not None and stored.unknown and self._is_early(url):
                    is_patient = True
                elif stored is None or not self._kept(registry, stored):
                    # The others are asked for first next time: what is wrong may be this one's alone.
                    with self._lock:
                        self._wanted[url][id] = self._wanted[url].pop(id)
                    self._closed.wait(delay)
                    delay = min(2 * delay, MOST_DELAY_SECS)
                    break
                delay = FIRST_DELAY_SECS
            if is_patient:
                self._closed.wait(FIRST_DELAY_SECS)

    def _is_early(self, url: str) -> bool:
        """Return whether a registry is not believed yet that it does not have an id."""
        now = time.monotonic()
        if now - self._patient_from.get(url, -inf) >= PATIENT_EVERY_SECS:
            self._patient_from[url] = now
        return now - self._patient_from[url] < PATIENT_SECS

    def _found(self, registry: Registry, id: str) -> Stored | None:
        """Return a schema, or that its registry has none; None where that must be asked again."""
        try:
            return asyncio.run(self._ask(registry, id))
        except Unanswered as error:
            reason = str(error)
        except Exception as error:  # a fault of ours must not end the thread: the reader would wait for ever
            reason = f"it cannot be fetched: {type(error).__name__}"
        self._failed((registry.url, id), reason)
        return None

    def _kept(self, registry: Registry, stored: Stored) -> bool:
        """Put a schema on disk; False where that must be tried again."""
        id = stored.id
        key = registry.url, id
        try:
            SCHEMAS.keep(self.folder, stored)
        except OSError as error:
            self._failed(key, f"it cannot be kept in {self.folder}: {error.strerror}")
            return False
        SCHEMAS.learn(stored)
        happening = SCHEMA_UNKNOWN if stored.unknown else SCHEMA_FETCHED
        happening.happened(log, schema=id, registry=registry.url)
        with self._lock:
            del self._wanted[registry.url][id]
            was_held = self._reasons.pop(key, None) is not None
            left = len(self._reasons)
            is_last = not any(url == key[0] for url, _ in self._reasons)
        if was_held and not is_last:
            gauge(SCHEMA_THERE.metric, left)
        elif was_held:
            SCHEMA_THERE.happened(log, left, schema=id, registry=registry.url)
        return True

    async def _ask(self, registry: Registry, id: str) -> Stored:
        return await self._fetch(registry, id, self._base)

    def _failed(self, key: Key, reason: str) -> None:
        with self._lock:
            is_new = key not in self._reasons
            is_first = not any(url == key[0] for url, _ in self._reasons)
            self._reasons[key] = reason
            held = len(self._reasons)
        if is_first:
            SCHEMA_HELD.happened(log, held, schema=key[1], registry=key[0], reason=reason)
        elif is_new:
            gauge(SCHEMA_HELD.metric, held)
