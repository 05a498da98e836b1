"""Flags that several verbs share, and what they mean."""

from __future__ import annotations

import functools
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import click

F = TypeVar("F", bound=Callable[..., Any])


def setting(*names: str, env: str, help: str, **options: Any) -> Callable[[F], F]:
    """Add a flag that overrides a field of pipeline.yaml.

    The environment variable is only named here: `load_pipeline` reads it, so that `hookline config show`
    can tell a flag from the environment.
    """
    return click.option(*names, help=f"{help}  [env var: {env}]", **options)


class ConfigDir(click.ParamType[Path]):
    """A config directory; its pipeline.yaml may be named instead."""

    name = "dir"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the directory."""
        path = Path(value)
        if not path.is_file():
            return path
        if path.suffix not in (".yaml", ".yml"):
            self.fail(f"`{value}` is no config: name the directory that holds pipeline.yaml", param, ctx)
        return path.parent


def config_option(function: F) -> F:
    """Add ``-c/--config``: the config directory."""
    return click.option(
        "-c",
        "--config",
        type=ConfigDir(),
        default="config",
        envvar="HOOKLINE_CONFIG",
        show_envvar=True,
        help="Config directory.",
    )(function)


def state_option(function: F) -> F:
    """Add ``--state``: the state directory, by default the one of the config."""
    add = setting(
        "--state",
        env="HOOKLINE_STATE",
        type=click.Path(path_type=Path, readable=False),
        metavar="DIR",
        help="State directory; by default that of the config.",
    )
    return add(function)


def allow_option(function: F) -> F:
    """Add ``--allow``: networks that a job may reach although the guard refuses them."""
    add = setting(
        "--allow",
        env="HOOKLINE_NETWORK_ALLOW",
        multiple=True,
        metavar="CIDR",
        help="Open a network that the guard refuses, e.g. 127.0.0.0/8; may be given several times.",
    )
    return add(function)


def log_options(function: F) -> F:
    """Add ``--log-level`` and ``--log-format``."""
    level = setting("--log-level", env="HOOKLINE_LOG_LEVEL", help="debug, info, warning or error.")
    form = setting("--log-format", env="HOOKLINE_LOG_FORMAT", help="auto, console or json.")
    return level(form(function))


def yes_option(function: F) -> F:
    """Add ``--yes``: a job starts on a new state directory without asking."""
    return click.option(
        "--yes",
        is_flag=True,
        envvar="HOOKLINE_YES",
        show_envvar=True,
        help="Do not ask: a new state directory may send again what the Kafka group has read.",
    )(function)


def state_dir(config: Path, state: Path | None) -> Path:
    """Return the state directory that a verb means: its flag, the environment, or the config's."""
    named = state or os.environ.get("HOOKLINE_STATE")
    if named:
        return Path(named)
    from pipeline.config.job import load_pipeline

    return load_pipeline(config, guard_state=True).require().state


def on_state(function: F) -> F:
    """Add ``--config`` and ``--state``; the verb gets the state directory that they mean, as ``state``."""

    @functools.wraps(function)
    def command(config: Path, state: Path | None, **rest: Any) -> Any:
        return function(state=state_dir(config, state), **rest)

    return config_option(state_option(cast(F, command)))


_AGO = re.compile(r"(\d+)([smhd])")
_UNIT_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class When(click.ParamType[int]):
    """A time: ISO 8601, a unix time, or how long ago: 90s, 15m, 2h, 3d."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return unix milliseconds."""
        if isinstance(value, int):
            return value
        ago = _AGO.fullmatch(value)
        if ago:
            return time.time_ns() // 1_000_000 - int(ago[1]) * _UNIT_MS[ago[2]]
        from pipeline.model.times import parse_time

        try:
            return parse_time(value)
        except ValueError:
            self.fail(
                f"`{value}` is no time; want 2026-11-24, 2026-11-24T10:00:00Z, 15m, 2h or 3d", param, ctx
            )
