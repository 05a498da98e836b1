"""Flags that several verbs share, and what they mean."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from pipeline.cli.kinds import DEFAULT, STATUSES, ConfigDir, Folder, Place

if TYPE_CHECKING:
    from pipeline.config.job import PipelineConfig, PipelineReport

F = TypeVar("F", bound=Callable[..., Any])


def setting(flag: str, field: str, *, help: str, env: str | None = None, **options: Any) -> Callable[[F], F]:
    """Add a flag that overrides a field of pipeline.yaml; the verb hands what it gets to `fields_of`.

    The environment variable is only named here: `load_pipeline` reads it, so that `hookline config show`
    can tell a flag from the environment.
    """
    env = env or f"HOOKLINE_{field.replace('.', '_').upper()}"
    return click.option(flag, field.replace(".", "__"), help=f"{help}  [env var: {env}]", **options)


def fields_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `setting` flags say, by the dotted names of their fields; None: not given."""
    found: dict[str, Any] = {}
    for name, value in given.items():
        plain = list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value
        found[name.replace("__", ".")] = None if plain is False or plain == [] else plain
    return found


def flags(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Return what adds these, of which the last is shown first."""

    def add(function: F) -> F:
        for option in options:
            function = option(function)
        return function

    return add


config_option = click.option(
    "-c",
    "--config",
    type=ConfigDir(),
    default=str(DEFAULT),
    envvar="HOOKLINE_CONFIG",
    show_envvar=True,
    help="Config directory.",
)
state_option = setting(
    "--state",
    "state",
    type=Folder(),
    metavar="DIR",
    help="State directory; by default that of the config.",
)
allow_option = setting(
    "--allow",
    "network.allow",
    multiple=True,
    metavar="CIDR",
    help="Allow a network that the guard blocks, e.g. 127.0.0.0/8; may be given several times.",
)
log_options = flags(
    setting("--log-format", "log.format", metavar="FORM", help="auto, console or json."),
    setting("--log-level", "log.level", metavar="LEVEL", help="debug, info, warning or error."),
)
yes_option = click.option(
    "--yes",
    is_flag=True,
    envvar="HOOKLINE_YES",
    show_envvar=True,
    help="Do not ask: a new state directory may send again what the Kafka group has read.",
)


def metrics_option(help: str) -> Callable[[F], F]:
    """Add ``--metrics``: where this verb serves what it measures."""
    return click.option(
        "--metrics", metavar="ADDRESS", envvar="HOOKLINE_METRICS", show_envvar=True, help=help
    )


def processes_option(help: str) -> Callable[[F], F]:
    """Add ``--processes``: how many a job has on this machine."""
    return click.option(
        "--processes",
        type=click.IntRange(1, 64),
        default=1,
        envvar="HOOKLINE_PROCESSES",
        show_envvar=True,
        help=help,
    )


def taken(report: PipelineReport, *, quiet: bool = False) -> PipelineConfig:
    """Return the settings that were found, and log as they say; tells what is doubtful.

    Raises ConfigError for what is wrong. quiet: whoever started us has told it.
    """
    from pipeline.cli.output import say
    from pipeline.model.findings import render
    from pipeline.telemetry import log

    found = report.require()
    if report.findings and not quiet:
        say(render(report.findings, root=report.root))
    log.setup(found.file.log.level, found.file.log.format)
    return found


def state_dir(config: Path, state: Path | None) -> Path:
    """Return the state directory that a verb means: its flag, the environment, or the config's."""
    named = state or os.environ.get("HOOKLINE_STATE")
    if named:
        return Path(named)
    from pipeline.config.files import NO_DIRECTORY
    from pipeline.config.job import load_pipeline
    from pipeline.model.errors import ConfigError

    if not config.is_dir():
        raise ConfigError(f"`{config}`: {NO_DIRECTORY}")
    return load_pipeline(config, guard_state=True).require().state


def on_state(function: F) -> F:
    """Add ``--config`` and ``--state``; the verb gets the state directory that they mean, as ``state``."""

    @functools.wraps(function)
    def command(config: Path, state: Path | None, **rest: Any) -> Any:
        return function(state=state_dir(config, state), **rest)

    return config_option(state_option(cast(F, command)))


def on_stores(function: F) -> F:
    """Add what `on_state` adds, and tell which of the stores that the verb is about are gone."""

    @functools.wraps(function)
    def command(state: Path, **rest: Any) -> Any:
        from pipeline.cli.output import say
        from pipeline.runtime.state.missing import missing

        say(*(f"warning: {one}" for one in missing(state)))
        return function(state=state, **rest)

    return on_state(cast(F, command))


def console_options(function: F) -> F:
    """Add ``--url`` and ``--token-file``: a job on another machine, through its console."""

    def need_both(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
        if value is not None and ctx.params.get("url") is None:
            raise click.UsageError("--token-file is for a console: name it with --url", ctx)
        return value

    url = click.option(
        "--url",
        metavar="URL",
        is_eager=True,
        help="Ask a job on another machine through its console: https://HOST.",
    )
    token = click.option(
        "--token-file",
        type=Place(),
        metavar="FILE",
        callback=need_both,
        help="File with the token for the console.",
    )
    return url(token(function))


status_option = click.option(
    "--status",
    "statuses",
    type=STATUSES,
    default=(),
    show_default=False,
    metavar="STATUS,..",
    help="How the last attempt ended: 503, 5xx, timeout; several with commas.",
)


class Actions(click.Group):
    """What a noun's verbs are: shown with the whole first sentence of each, found by other words, too."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve the action; an unknown one is a usage error with the one that was meant."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            from pipeline.model.words import did_you_mean

            known = sorted(self.commands)
            meant = next((one for one in _ACTIONS.get(args[0], ()) if one in known), None)
            meant = meant or did_you_mean(args[0], known, likeness=0.5)
            hint = f"did you mean `{meant}`?" if meant else f"there are {', '.join(known)}"
            ctx.fail(f"`{self.name}` has no `{args[0]}`: {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the actions, each with its first sentence."""
        with formatter.section("Commands"):
            rows = [
                (name, self.commands[name].get_short_help_str(limit=1_000)) for name in sorted(self.commands)
            ]
            formatter.write_dl(rows)


_ACTIONS = {
    "retry": ("replay", "retry-now"),
    "resend": ("replay", "retry-now"),
    "requeue": ("replay", "retry-now"),
    "ls": ("list",),
    "get": ("show",),
    "rm": ("purge", "drop"),
    "delete": ("purge", "drop"),
    "stop": ("disable", "pause"),
    "start": ("enable", "resume"),
}
"""What other tools call them."""
