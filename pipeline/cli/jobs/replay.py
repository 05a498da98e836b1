"""``hookline replay``: run a recorded stream again, with the webhook-ids of the live run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pipeline.cli import given
from pipeline.cli.kinds import RATE, WHEN, Folder, Parsed
from pipeline.cli.options import allow_option, config_option, fields_of
from pipeline.cli.output import json_option, print_json_lines, say
from pipeline.model.printable import one_line
from pipeline.model.process.exits import Exit
from pipeline.model.words import counted

if TYPE_CHECKING:
    from pipeline.config.job import PipelineConfig
    from pipeline.job.replay import Replay
    from pipeline.job.trials.preview import Preview
    from pipeline.model.records import Invalid, Origin


def _speed(text: str) -> float:
    """Return the multiple; 0 for ``max``."""
    with suppress(ValueError):
        speed = 0.0 if text == "max" else float(text.removesuffix("x"))
        if text == "max" or 0.001 <= speed <= 1_000_000:
            return speed
    raise ValueError(f"`{text}` is no speed; want max, 1x, 10x")


SPEED: Final = Parsed("speed", _speed)
"""How fast event time passes: ``max``, or a multiple of the clock such as 1x or 10x."""


@click.command()
@config_option
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--from-kafka", is_flag=True, help="Replay the topics of the config up to their current end.")
@click.option("--from", "since", type=WHEN, help="Fire events at or after this time; earlier ones are read.")
@click.option(
    "--webhook",
    "webhooks",
    multiple=True,
    metavar="ID",
    help="Only this webhook; may be given several times.",
)
@click.option("--user", metavar="ID", help="Only events of this user or anonymous id.")
@click.option("--speed", type=SPEED, default="max", help="How fast event time passes: 1x, 10x, max.")
@click.option("--rate", type=RATE, metavar="N/s", help="At most this many requests per second and webhook.")
@click.option("--dry-run", is_flag=True, help="Send nothing; print each request as one line of JSON.")
@click.option(
    "--to",
    "ends",
    multiple=True,
    metavar="TIME|URL",
    help="A time: fire events before it. A URL: send to this origin instead, http://127.0.0.1:8787",
)
@click.option(
    "--state",
    type=Folder(),
    metavar="DIR",
    help="The replay's own state directory; by default one beside the job's, named after these words.",
)
@click.option(
    "--users-from",
    "users_of",
    type=Folder(),
    metavar="DIR",
    help="Join with what the job of this state directory knows of users now; dead records alone are joined "
    "so with the config's job.",
)
@allow_option
@given.format_option
@json_option
def replay(
    config: Path,
    paths: tuple[str, ...],
    from_kafka: bool,
    since: int | None,
    webhooks: tuple[str, ...],
    user: str | None,
    speed: float,
    rate: float | None,
    dry_run: bool,
    ends: tuple[str, ...],
    state: Path | None,
    users_of: Path | None,
    format: str | None,
    as_json: bool,
    **flags: Any,
) -> int | None:
    """Run a recorded stream through the webhooks again: to backfill a new one, or to repair.

    The whole stream is read, so that each event is joined with its user as of that event; --from, --to,
    --webhook and --user select what fires. Records of `dlq export --records` contain no users: they are
    joined with the users as the job knows them now. Requests carry the webhook-ids of the live run and
    `webhook-replay: true`. If it was stopped, the same command continues where it was.
    """
    from pipeline.cli.jobs.run import load
    from pipeline.decode.framed.schemas import FOLDER, SCHEMAS
    from pipeline.job.replay import Replay

    if not paths and not from_kafka:
        paths = kept_in(config)
    elif paths and from_kafka:
        raise click.UsageError("name recordings to replay, or --from-kafka")
    until, to = ends_of(ends)
    chosen = Replay(since, until, frozenset(webhooks), user, to, rate, speed or None)
    shape = f"source.{'kafka' if from_kafka else 'jsonl'}.format"
    job = load(config, {**fields_of(flags), "source.jsonl.paths": list(paths) or None, shape: format})
    if dry_run and from_kafka:
        raise click.UsageError("--dry-run reads recordings; `hookline record` makes one from topics")
    chosen = replace(chosen, users_of=joined_with(users_of, job.state, paths))
    for one in {job.state, chosen.users_of or job.state}:
        SCHEMAS.look_in(one / FOLDER)
    if dry_run:
        from pipeline.operate.trials.dry_run import would_send
        from pipeline.operate.trials.numbers import LineNumbers

        found = would_send(config, paths, format, chosen, job.file.sizes(), job.written)
        return show_dry(found, LineNumbers(paths).told)
    return run(config, job, chosen, state, as_json)


def kept_in(config: Path) -> tuple[str, ...]:
    """Return the folder in which a collector keeps its events. Raises a usage error where there is none."""
    from pipeline.config.job import load_pipeline

    folder = load_pipeline(config).require().collected
    if folder is None:
        raise click.UsageError(
            "name recordings to replay, or --from-kafka; the folder of `collect.to.recording` is replayed "
            "where pipeline.yaml names one"
        )
    say(f"replaying what the collector keeps in {folder}")
    return (folder,)


def joined_with(given: Path | None, state: Path, paths: tuple[str, ...]) -> Path | None:
    """Return the state directory whose users are known before anything is read, and say so; None: none.

    given: what ``--users-from`` names. Else it is for dead records alone: the state that they name, or the
    config's. Raises a usage error where there is no state that was asked for.
    """
    from pipeline.operate.kept.dead_records import died_in
    from pipeline.runtime.state.directory import describe

    if given is not None:
        if describe(given) is None:
            raise click.UsageError(f"--users-from {given}: no job has run on it, it holds no state")
        found: Path | None = given
    else:
        homes, are_all = died_in(paths) if paths else (set(), False)
        if not homes:
            return None
        if not are_all:
            say(
                "dead records among other recordings: they find users as those say. --users-from DIR joins "
                "with what a job knows of them now"
            )
            return None
        looked = [*(homes if len(homes) == 1 else ()), state]
        found = next((one for one in looked if describe(one) is not None), None)
        if found is None:
            said = " and ".join(map(str, dict.fromkeys(looked)))
            say(
                f"these are dead records, and nothing is known of their users: no state in {said}; "
                "--users-from names the job's state directory"
            )
            return None
    say(f"joined with what {found} knows of users now: their properties and links as of its last epoch")
    return found


def show_dry(found: Iterable[Preview | Invalid], told_place: Callable[[Origin], str]) -> int:
    """Print requests to stdout, dead letters and a closing count to stderr; return the exit code."""
    from pipeline.model.records import Invalid as Broken

    requests = dead = broken = 0
    for one in found:
        if isinstance(one, Broken):
            broken += 1
            say(one_line(f"dead letter: {told_place(one.origin)}: {one.reason}"))
            continue
        if one.dead_letter is None:
            print_json_lines([one.to_json()])
            requests += 1
        else:
            dead += 1
            say(one_line(f"dead letter: {one.webhook}: {one.dead_letter}"))
    letters = dead + broken
    told = f"{counted(requests, 'request')}, {counted(letters, 'dead letter')}"
    if broken and not requests:
        told += ": `hookline sniff FILE` says which shape the records have, `--format NAME` reads by it"
    say(told)
    return Exit.PROBLEMS if dead + broken and not requests else Exit.OK


def ends_of(ends: tuple[str, ...]) -> tuple[int | None, str | None]:
    """Return the time and the origin that ``--to`` names; raises a usage error for more than one of each."""
    urls = [end for end in ends if "://" in end]
    times = [end for end in ends if "://" not in end]
    if len(urls) > 1 or len(times) > 1:
        raise click.UsageError("--to takes one time and one URL at most")
    try:
        return (WHEN.convert(times[0], None, None) if times else None), (urls[0] if urls else None)
    except click.BadParameter as error:
        raise click.UsageError(f"--to: {error.message}, or a URL such as http://127.0.0.1:8787") from None


def run(config: Path, job: PipelineConfig, chosen: Replay, state: Path | None, as_json: bool) -> int | None:
    """Run the replay as a job of its own, with a summary."""
    from pipeline.cli.jobs.run import account, show
    from pipeline.runtime.background.accompany import accompany
    from pipeline.runtime.preflight import preflight
    from pipeline.runtime.process import run_job
    from pipeline.runtime.state.lives import known_lives

    snapshot = preflight(job, config)
    for webhook_id in sorted(chosen.webhooks):
        snapshot.named(webhook_id)
    if state is None:
        state = chosen.state_beside(job.state, job.source)
    elif state.resolve() in {one.resolve() for one in (job.state, chosen.users_of) if one is not None}:
        raise click.UsageError(f"--state {state} is a job's own: a replay has another one, or none is named")
    say(f"replaying with the state directory {state}")
    chosen = replace(chosen, lives=known_lives(job.state))
    job = replace(job, state=state)
    before = account(state)["records"]["read"]
    summary = run_job(job, config, replay=chosen, observe=lambda job: accompany(job, 0))
    show(state, summary, before, as_json)
    return None
