"""``hookline run``: the job, from its config to the summary."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.accounts import (
    invalid_hint,
    order_lines,
    records_line,
    show_names,
    show_webhooks,
    silent_lines,
)
from pipeline.cli.options import (
    allow_option,
    config_option,
    fields_of,
    log_options,
    metrics_option,
    processes_option,
    setting,
    state_option,
    taken,
    yes_option,
)
from pipeline.cli.output import echo, json_option, print_json, print_json_lines, print_text, say
from pipeline.model.process.exits import Exit
from pipeline.model.words import counted

if TYPE_CHECKING:
    from pipeline.config.job import PipelineConfig
    from pipeline.outbox.reading.view import Accounting
    from pipeline.runtime.process import Summary


@click.command()
@config_option
@setting(
    "--source",
    "source.jsonl.paths",
    env="HOOKLINE_SOURCE",
    multiple=True,
    metavar="PATH",
    help="Recording to read: a file, a directory, or - for stdin; may be given several times.",
)
@state_option
@setting(
    "--follow",
    "source.jsonl.follow",
    env="HOOKLINE_FOLLOW",
    is_flag=True,
    help="Keep reading as the files grow.",
)
@setting("--shards", "shards", type=int, help="Number of shards; fixed for a state directory.")
@setting("--epoch", "epoch", metavar="TIME", help="Time between two commits, e.g. 1s.")
@allow_option
@log_options
@metrics_option(
    "Serve /metrics, /healthz, /readyz and /status on PORT or HOST:PORT; names by which they are asked "
    "for follow after commas. HOOKLINE_METRICS_TOKEN: the bearer token that /metrics and /status want."
)
@processes_option("Processes on this machine; the shards are spread over them.")
@click.option("--restart", is_flag=True, help="Restart after a fatal error or a crash, with backoff.")
@click.option(
    "--pin",
    is_flag=True,
    envvar="HOOKLINE_PIN",
    show_envvar=True,
    help="Pin each process to a core of its own: less CPU per delivery.",
)
@click.option("--member", hidden=True, help="Place in the group that this process belongs to.")
@yes_option
@click.option("--fail-on-dead", is_flag=True, help="Exit 1 if there are dead letters at the end.")
@json_option
def run(
    config: Path,
    metrics: str | None,
    processes: int,
    restart: bool,
    pin: bool,
    member: str | None,
    yes: bool,
    fail_on_dead: bool,
    as_json: bool,
    **flags: Any,
) -> int:
    """Run the job: read the source, fire the webhooks, end with a summary.

    A recording is read to its end; a job that follows files or reads topics runs until SIGTERM or Ctrl-C.
    Pending deliveries are kept in the state directory, and the next run continues with them.
    """
    from pipeline.model.errors import StartAnew, Stopped
    from pipeline.model.process.exits import MEMBER_EXIT, MEMBER_STOPPED

    job_config = load(config, fields_of(flags), quiet=member is not None)
    if member is None:
        warn_of_processes(job_config, processes)
        if not yes:
            ask_before_again(job_config)
    before = 0 if member else account(job_config.state)["records"]["read"]
    if (processes > 1 or restart) and member is None:
        summary = run_together(job_config, processes, restart)
    else:
        try:
            summary = run_alone(job_config, config, metrics, member, pin=pin)
        except StartAnew:
            if member is None:
                raise
            # A part cannot start anew alone: its supervisor does it for all.
            return MEMBER_EXIT
        except Stopped:
            if member is None:
                raise
            return MEMBER_STOPPED
    if member is not None:
        print_json_lines([summary])
        return Exit.OK
    show(job_config.state, summary, before, as_json)
    dead = sum(counts["dead"] for counts in summary["webhooks"].values()) + summary["records"]["invalid"]
    return Exit.PROBLEMS if fail_on_dead and dead else Exit.OK


def warn_of_processes(job_config: PipelineConfig, processes: int) -> None:
    """Tell that some processes will have no shard, if it is so."""
    from pipeline.telemetry import log

    shards = job_config.file.shards
    if processes > shards:
        log.get("job").warning(
            "more processes than shards: some only read, or do nothing",
            processes=processes,
            shards=shards,
            remedy="the number of shards is fixed for a state directory: take fewer processes",
        )


def ask_before_again(job_config: PipelineConfig) -> None:
    """Let a person decide whether a new state directory may send everything again."""
    from pipeline.runtime.state.resend import refuse_without_consent, would_resend

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        refuse_without_consent(job_config)
        return
    resend = would_resend(job_config)
    if resend is not None:
        click.confirm(f"{resend}. Go on?", abort=True, err=True)


def run_alone(
    job_config: PipelineConfig, config: Path, metrics: str | None, member: str | None, *, pin: bool
) -> Summary:
    """Run the job, or one member of it, in this process and return its summary."""
    from pipeline.runtime.background.accompany import accompany
    from pipeline.runtime.background.cores import keep_on_one_core
    from pipeline.runtime.opening import ALONE, Cluster
    from pipeline.runtime.process import run_job

    cluster = Cluster.of_member(member) if member else ALONE
    if pin:
        keep_on_one_core(cluster.process)
    return run_job(
        job_config,
        config,
        cluster=cluster,
        observe=lambda job: accompany(job, cluster.process, metrics, progress=member is None),
    )


def run_together(job_config: PipelineConfig, processes: int, restart: bool) -> Summary:
    """Run the job in processes of their own and return the summary of all; exits as the job did."""
    import pipeline.runtime.background.accompany
    import pipeline.runtime.process  # noqa: F401 - the members, forked from this process, need both
    from pipeline.cli.app import run as run_words
    from pipeline.runtime.background.progress import JobProgress, look_through
    from pipeline.runtime.processes.supervisor import run_group

    begun = time.monotonic()
    with ExitStack() as stack:

        def show_progress() -> None:
            stack.callback(JobProgress(look_through(lambda: account(job_config.state))).stop)

        code, figures = run_group(
            sys.argv[1:], processes, restart=restart, run=run_words, begun=show_progress
        )
    if code:
        raise click.exceptions.Exit(code)
    elapsed = round(time.monotonic() - begun, 3)
    return {**account(job_config.state), **figures, "elapsed_secs": elapsed}


def load(
    config: Path, flags: dict[str, Any], *, quiet: bool = False, collects: bool = False
) -> PipelineConfig:
    """Return the job's settings; says what is doubtful, raises ConfigError for what is wrong.

    flags: see `fields_of`. collects: whether a collector runs beside it, that needs its keys.
    """
    from pipeline.config.job import PipelineReport, load_pipeline
    from pipeline.config.watch import second_look

    def read() -> PipelineReport:
        return load_pipeline(config, flags=flags, check_source=True, guard_state=True, collects=collects)

    report = second_look(config, read, lambda found: found.config is not None)
    return taken(report, quiet=quiet)


def account(state: Path) -> Accounting:
    """Return the accounting of a state directory; zeros where there is none yet."""
    from pipeline.model.errors import StateError
    from pipeline.outbox.counters import RECORDS
    from pipeline.outbox.reading.view import accounting

    try:
        return accounting(state)
    except StateError:
        return {"records": dict.fromkeys(RECORDS, 0), "webhooks": {}}


def show(state: Path, summary: Summary, before: int, as_json: bool) -> None:
    """Print the summary: as JSON alone, or as a table for a person."""
    read, secs = summary["records"]["read"] - before, summary["elapsed_secs"]
    if line := invalid_hint(state, summary["records"]):
        say(line)
    if as_json:
        print_json(summary)
        say(*reasons(state, summary))
        return
    echo()
    show_webhooks(summary["records"], summary["webhooks"])
    print_text(*reasons(state, summary))
    show_names(summary["events_seen"])
    print_text(*silent_lines(state, summary["records"], summary["webhooks"]))
    print_text(f"\n{records_line(summary['records'])}", *order_lines(summary["records"]))
    speed = read / secs if secs else 0
    print_text(f"this run: {counted(read, 'record')} in {secs:,.1f} s, {speed:,.0f} records/s")
    if not read and before:
        print_text(
            "what this state directory has read before is not read again; `hookline replay` reads it anew"
        )
    latency = summary["latency_ms"]
    if latency.get("p50"):
        print_text(f"event to answer: p50 {latency['p50']:,.1f} ms, p99 {latency['p99']:,.1f} ms")


def reasons(state: Path, summary: Summary) -> list[str]:
    """Return a line for each webhook that has something pending: why."""
    from pipeline.operate.running.waiting import waiting

    webhooks = summary["webhooks"]
    return [why.line(name, webhooks[name]["pending"]) for name, why in waiting(state, webhooks, None).items()]
