"""Runs one collector, from start to stop."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import uvloop

from pipeline.collect.batch import Sink, Why
from pipeline.collect.collector import Collector
from pipeline.collect.figures import Counts, Figures
from pipeline.collect.http.limits import USUAL, Limits
from pipeline.collect.http.server import Server
from pipeline.collect.keys import Keys, secret_of
from pipeline.collect.ops import TOKEN, Ops
from pipeline.collect.protocols.hooks.hooks import Hook
from pipeline.collect.protocols.protocol import Clock, Settings
from pipeline.collect.protocols.protocol import Limits as MemberLimits
from pipeline.collect.protocols.table import Table
from pipeline.config.models.installation.collect import CollectSection
from pipeline.language.secrets import Secrets
from pipeline.model.errors import ConfigError, cannot_listen
from pipeline.telemetry import log as logs

_log = logs.get(__name__)
_LOOK_SECS: Final = 0.05
_REREAD_SECS: Final = 0.4
"""A file counts once it looks the same twice: a key that was rotated is known within a second."""
_PUBLISH_SECS: Final = 1.0
_UNREADY: Final = {Why.BUSY: "overloaded", Why.DISK: "disk", Why.BROKER: "brokers", Why.STOPPING: "stopping"}


def serve(
    section: CollectSection,
    secrets: Secrets,
    sink: Sink,
    *,
    stopping: Callable[[], bool],
    listening: Callable[[tuple[str, int]], None],
) -> Figures:
    """Take events until ``stopping`` says so, keep what was handed over, and return what was done.

    listening: called with the address once it listens. Closes the sink. Raises ConfigError where a key is
    missing, UsageError where the address cannot be had.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(section, secrets, sink, stopping, listening))


async def _serve(
    section: CollectSection,
    secrets: Secrets,
    sink: Sink,
    stopping: Callable[[], bool],
    listening: Callable[[tuple[str, int]], None],
) -> Figures:
    try:
        service = Service(section, secrets, sink)
        listening(await service.start())
        while not stopping():
            await asyncio.sleep(_LOOK_SECS)
            service.look()
        await service.stop()
    finally:
        await sink.close()
    return service.figures


class Service:
    """A collector's parts, put together. Used by one event loop.

    usual: what the config does not say of how a request is read.
    """

    def __init__(self, section: CollectSection, secrets: Secrets, sink: Sink, usual: Limits = USUAL) -> None:
        limits = section.limits
        self._section = section
        self._sink = sink
        self._secrets = secrets
        self._keys = Keys(section.keys, secrets)
        self._counts = Counts()
        clock = section.clock
        self._settings = Settings(
            MemberLimits(limits.body_bytes, limits.members, limits.member_bytes),
            Clock(clock.correct, int(clock.tolerance_secs * 1000), int(clock.max_future_secs * 1000)),
        )
        ops = Ops(self.not_ready, self.publish, token=os.environ.get(TOKEN), is_open=section.keys == "any")
        self.collector = Collector(self._table(), self._keys, sink, self._counts, ops)
        self.server = Server(
            self.collector,
            replace(
                usual,
                body=limits.body_bytes,
                in_flight=limits.in_flight_bytes,
                hold_secs=limits.hold_secs,
                connections=limits.connections,
            ),
        )
        self._next_reread = self._next_publish = 0.0
        self._stopping = False

    def _table(self) -> Table:
        """Return the paths, with the secrets of hooks as they are now."""
        hooks = {}
        for name, said in self._section.hooks.items():
            way, texts = said.verify.way
            secrets = []
            for text in texts:
                secrets.append(secret_of(text, self._secrets, f"collect.hooks.{name}.verify.{way}"))
            hooks[name] = Hook(way, secrets, said.format)
        return Table(self._settings, hooks=hooks, speaks=self._keys.protocols_of)

    @property
    def figures(self) -> Figures:
        """Return what was done so far."""
        return self._counts.figures

    async def start(self) -> tuple[str, int]:
        """Listen, and return where. Raises UsageError where that cannot be."""
        host, port = self._section.address
        try:
            address = await self.server.listen(host, port)
        except OSError as error:
            raise cannot_listen(host, port, error) from None
        if self.server.room < self._section.limits.connections:
            _log.warning(
                "fewer connections than `collect.limits.connections` may be open: raise `ulimit -n`",
                connections=self.server.room,
            )
        return address

    def look(self) -> None:
        """Do what is to be done now and then."""
        now = time.monotonic()
        if now >= self._next_reread:
            self._next_reread = now + _REREAD_SECS
            lost = set(self._secrets.lost)
            try:
                if self._secrets.reread():
                    self._keys.read()
                    self.collector.table = self._table()
                    _log.info("keys were read again: a file has changed")
            except ConfigError as error:
                _log.error("keys cannot be read again: those that were known stay", error=str(error))
            if fresh := self._secrets.lost - lost:
                _log.warning(
                    "files of keys are gone, empty or unreadable: the keys that they held stay valid. To "
                    "revoke one, put another into its file, or restart",
                    files=sorted(fresh),
                )
        if now >= self._next_publish:
            self._next_publish = now + _PUBLISH_SECS
            self.publish()

    def publish(self) -> None:
        """Bring the metrics up to date."""
        gate = self.server.gate
        self._sink.measure()
        self._counts.publish(
            held=gate.waiting, in_flight_bytes=max(gate.inside, 0), connections=self.server.connections
        )

    def not_ready(self) -> str | None:
        """Return why nothing more should be sent here; None: it may."""
        if self._stopping:
            return _UNREADY[Why.STOPPING]
        if self.server.gate.full:
            return _UNREADY[Why.BUSY]
        trouble = self._sink.trouble
        return None if trouble is None else _UNREADY[trouble]

    async def stop(self) -> None:
        """Be not ready, answer for a moment more, and end every connection."""
        self._stopping = True

        def refuse_rest() -> None:
            self.collector.stopping = True

        await self.server.stop(refuse_rest)
        self.collector.close()
        self.publish()
