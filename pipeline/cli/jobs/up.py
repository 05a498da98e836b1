"""``hookline up``: the collector, the job that reads from it and the console, side by side."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from pipeline.cli.jobs import collect as collecting
from pipeline.cli.jobs import run as running
from pipeline.cli.options import (
    allow_option,
    config_option,
    fields_of,
    log_options,
    metrics_option,
    processes_option,
    setting,
    state_option,
    yes_option,
)
from pipeline.cli.output import json_option, print_json, print_text

if TYPE_CHECKING:
    from pipeline.config.job import PipelineConfig
    from pipeline.runtime.process import Summary
    from pipeline.runtime.processes.board import Board
    from pipeline.runtime.processes.group import Team

COLLECT = "collect"
CONSOLE = "console"
HUNG_SECS = 30.0
"""A collector says twice a second where it stands, as long as it answers: silent for so long, it hangs."""


@click.command()
@config_option
@setting(
    "--listen",
    "collect.listen",
    metavar="ADDRESS",
    help="Address of the collector: PORT or HOST:PORT.",
)
@state_option
@allow_option
@log_options
@metrics_option(
    "Serve /metrics, /healthz, /readyz and /status of the job on PORT or HOST:PORT (each process on one "
    "of its own, one after the other), and behind them /metrics of the collector."
)
@processes_option("Processes of the job on this machine.")
@yes_option
@json_option
def up(
    config: Path,
    metrics: str | None,
    processes: int,
    yes: bool,
    as_json: bool,
    **flags: Any,
) -> int:
    """Run the collector, the job and the console, as far as pipeline.yaml configures them, until Ctrl-C.

    Each runs in its own process (the job in several, with --processes). A failed one is restarted with
    backoff; exit code 1, 2 or 3 of one ends all with that code. Ctrl-C stops the collector, then the job,
    then the console; a second one ends them immediately.
    """
    from pipeline.model.process.garbage import settled
    from pipeline.runtime.background.progress import JobProgress, look_through
    from pipeline.runtime.preflight import preflight
    from pipeline.runtime.processes.board import Board
    from pipeline.runtime.processes.supervisor import JOB, Supervisor, TeamEnded, figures_of

    job_config = running.load(config, fields_of(flags), collects=True)
    running.warn_of_processes(job_config, processes)
    preflight(job_config, config)  # or the collector would take events for a job that never starts
    if not yes:
        running.ask_before_again(job_config)
    state = job_config.state
    file = job_config.file
    with_console = "console" in file.model_fields_set
    names = [COLLECT] * (file.collect is not None) + [JOB] + [CONSOLE] * with_console
    board = Board(names)
    teams = teams_of(job_config, config, metrics, processes, flags, board)
    before, begun = running.account(state)["records"]["read"], time.monotonic()
    tell_start(config, job_config, processes)
    supervisor = Supervisor([team for team in teams if team.name in names])
    progress = JobProgress(look_through(lambda: running.account(state)), board.line(JOB))
    settled()
    try:
        code = supervisor.run()
    finally:
        progress.stop()
        for name in names:
            board.line(name)("")
    collected = last_of(supervisor.ended[COLLECT].outputs.get(0)) if COLLECT in supervisor.ended else None
    job: Summary = {
        **running.account(state),
        **figures_of(supervisor.ended.get(JOB)),
        "elapsed_secs": round(time.monotonic() - begun, 3),
    }
    if as_json:
        print_json({"collect": collected, "job": job} if COLLECT in names else {"job": job})
    else:
        if collected is not None and "members" in collected:
            print_text(collecting.summary(collected))
        if supervisor.ended.get(JOB, TeamEnded(0)).outputs:
            running.show(state, job, before, as_json=False)
    return code


def tell_start(config: Path, job_config: PipelineConfig, processes: int) -> None:
    """Log what is about to run."""
    from pipeline.config.files import read_config
    from pipeline.config.models.installation.source import JsonlSource
    from pipeline.telemetry import log

    files = read_config(config, defaults=job_config.defaults).files
    source = job_config.source
    reads = source.inputs() if isinstance(source, JsonlSource) else list(source.topics) if source else []
    log.get("up").info(
        "starting",
        webhooks=sum(name.startswith("webhooks/") for name in files),
        reads=", ".join(reads),
        state=str(job_config.state),
        processes=processes,
    )


def teams_of(
    job_config: PipelineConfig,
    config: Path,
    metrics: str | None,
    processes: int,
    flags: dict[str, Any],
    board: Board,
) -> list[Team]:
    """Return the collector, the job and the console, each as the command that it is."""
    from pipeline.runtime.background.progress import Facts
    from pipeline.runtime.collector import render
    from pipeline.runtime.processes.group import Team
    from pipeline.runtime.processes.supervisor import JOB
    from pipeline.telemetry import screen

    form = job_config.file.log.format
    if form == "auto":
        form = "console" if sys.stderr.isatty() else "json"  # theirs is a pipe
    common = ["-c", str(config), "--log-level", job_config.file.log.level, "--log-format", form]
    job = ["run", *common, "--state", str(job_config.state)]
    job += [word for network in flags["network__allow"] for word in ("--allow", network)]
    job += ["--metrics", metrics] if metrics else []
    show = board.line(COLLECT) if job_config.file.collect is not None else None

    def status(line: bytes) -> None:
        found = last_of(line) or {}
        if "status" in found and show is not None:
            facts: Facts = found["status"]
            show(render(facts))
            board.log(COLLECT, facts)
        elif "try" in found and sys.stderr.isatty():
            screen.write(collecting.to_try(found["try"]))

    def link(line: bytes) -> None:
        found = last_of(line) or {}
        if "link" in found:
            screen.write(f"{CONSOLE}: {found['link']}")

    collect = ["collect", *common]
    collect += ["--listen", flags["collect__listen"]] if flags["collect__listen"] else []
    collect += ["--metrics", behind(metrics, processes)] if metrics else []
    return [
        Team(COLLECT, collect, joined=False, talks=board.talk(COLLECT), tells=status, silent_secs=HUNG_SECS),
        Team(JOB, job, processes, talks=board.talk(JOB)),
        Team(
            CONSOLE,
            [CONSOLE, *common, "--state", str(job_config.state)],
            joined=False,
            talks=board.talk(CONSOLE),
            tells=link,
        ),
    ]


def behind(metrics: str, processes: int) -> str:
    """Return the address behind those of a job's processes. Raises UsageError."""
    from pipeline.admin.service import parse_address

    address, *names = metrics.split(",")
    _, port = parse_address(address)
    host = address.rpartition(":")[0]
    return ",".join([f"{host}:{port + processes if port else 0}".removeprefix(":"), *names])


def last_of(line: bytes | None) -> dict[str, Any] | None:
    """Return what a member wrote as JSON; None for other words."""
    try:
        found = orjson.loads(line or b"")
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None
