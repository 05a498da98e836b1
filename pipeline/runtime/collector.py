"""The process of a collector, from its config to its figures."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from pipeline.admin.routes import Route
from pipeline.admin.service import AdminService
from pipeline.collect.figures import Figures
from pipeline.collect.ops import TOKEN
from pipeline.collect.service import serve
from pipeline.collect.sinks import open_sink
from pipeline.config.files import NO_DIRECTORY
from pipeline.config.job import PipelineConfig
from pipeline.config.models.installation.collect import CollectSection
from pipeline.config.places import FILE
from pipeline.language.secrets import Secrets
from pipeline.model.errors import ConfigError
from pipeline.model.process.garbage import settled
from pipeline.model.process.stop import requested, stoppable
from pipeline.model.words import counted
from pipeline.runtime.background.progress import Facts
from pipeline.telemetry import log, metrics
from pipeline.telemetry.process import PROMETHEUS, measure_process

_log = log.get("collect")
PULSE_SECS = 5.0
"""Longer than any turn of the event loop should take."""


def section_of(config: PipelineConfig, config_dir: Path) -> CollectSection:
    """Return the `collect:` section. Raises ConfigError where there is none."""
    if config.file.collect is None:
        if not config_dir.is_dir():
            raise ConfigError(f"`{config_dir}`: {NO_DIRECTORY}")
        raise ConfigError(
            f"{config_dir / FILE} has no `collect`: nobody may send events. On your own machine add "
            "`collect: {keys: any}`"
        )
    return config.file.collect


def place_of(section: CollectSection) -> str:
    """Return where events are kept, in words."""
    kafka = section.to.kafka
    return f"topic {kafka.topic} of {kafka.brokers}" if kafka is not None else str(section.to.recording)


def run_collector(
    config: PipelineConfig,
    config_dir: Path,
    *,
    listening: Callable[[tuple[str, int]], None],
    views: str | None,
    stopping: Callable[[], bool],
) -> Figures:
    """Take events over HTTP until a signal arrives; return the figures.

    listening: called once with the address. views: where /healthz and /metrics are also served, as for a job.
    stopping: whether the signal has arrived. Raises StateError or Fatal of the sink, UsageError where it
    cannot listen.
    """
    section = section_of(config, config_dir)
    secrets = Secrets(os.environ, config_dir)
    with ExitStack() as stack:
        stack.enter_context(stoppable(lambda number: _log.info("stopping")))
        if views is not None:
            admin = AdminService(
                state=None, routes=_routes(), address=views, token=os.environ.get(TOKEN) or None
            )
            stack.callback(admin.stop)
            admin.start()
        sink = open_sink(section)
        settled()
        return serve(section, secrets, sink, stopping=stopping, listening=listening)


def _routes() -> list[Route]:
    def scrape() -> str:
        measure_process()
        return metrics.render_prometheus()

    return [
        Route("healthz", lambda: "ok\n", public=True),
        Route("metrics", scrape, public=True, content_type=PROMETHEUS),
    ]


class Pulse:
    """Whether a collector's event loop is still alive: it polls for a stop many times a second."""

    def __init__(self) -> None:
        self._beat_at = time.monotonic()

    def stopping(self) -> bool:
        """Return whether to stop; called by the loop."""
        self._beat_at = time.monotonic()
        return requested()

    @property
    def is_felt(self) -> bool:
        """Return whether the loop is alive; one that is stopping gets its time."""
        return requested() or time.monotonic() - self._beat_at < PULSE_SECS


def look() -> Callable[[], Facts]:
    """Return a function that reports the progress of this process's collector."""
    before: tuple[float, int] = (time.monotonic(), 0)
    rate = 0

    def facts() -> Facts:
        nonlocal before, rate
        now, members = time.monotonic(), _total("collect_members_total")
        if now - before[0] >= 1.0:
            rate = round((members - before[1]) / (now - before[0]))
            before = (now, members)
        return {
            "requests": _total("collect_requests_total"),
            "members": members,
            "per_sec": rate,
            "repeats": _total("collect_repeats_total"),
            "refused": _total("collect_refused_total"),
        }

    return facts


def _total(name: metrics.MetricName) -> int:
    return int(metrics.total(name))


def render(facts: Facts) -> str:
    """Return the line for a terminal."""
    parts = [counted(facts["members"], "record"), f"{facts['per_sec']:,}/s"]
    parts.append(counted(facts["requests"], "request"))
    parts += [f"{facts[name]:,} {name}" for name in ("repeats", "refused") if facts[name]]
    return "  ".join(parts)
