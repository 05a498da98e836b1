"""What flags take, where that is more than a number or one of some words.

An empty text is none of it: a variable that is not set leaves one (``--out "$OUT"``), and it would be the
present folder, or in everything that is selected from.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import click

from pipeline.language.units import parse_duration

T = TypeVar("T")
EMPTY = "it is empty: is a variable not set?"


class Words(click.types.StringParamType):
    """A text."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the text."""
        if not value:
            self.fail(EMPTY, param, ctx)
        return super().convert(value, param, ctx)


class Place(click.Path):
    """A path; what it leads to may be missing."""

    def __init__(self, *, file_okay: bool = True, readable: bool = True) -> None:
        super().__init__(path_type=Path, file_okay=file_okay, readable=readable)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        if not os.fspath(value):
            self.fail(EMPTY, param, ctx)
        return super().convert(value, param, ctx)


class Folder(Place):
    """A folder of ours, of which a verb itself says what is wrong with it."""

    def __init__(self) -> None:
        super().__init__(readable=False)


DEFAULT = Path("config")
"""The config directory of a project."""


class ConfigDir(click.ParamType[Path]):
    """A config directory; its pipeline.yaml may be named instead."""

    name = "dir"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the directory."""
        path: Path = Folder().convert(value, param, ctx)
        if not path.is_file():
            # Asked first: of one that this user may not look into, that one is told.
            if not _is_config(path):
                here = [Path()] if path == DEFAULT and not path.is_dir() else []
                meant = next((near for near in (path / DEFAULT, *here) if _is_config(near)), None)
                if meant is not None:
                    self.fail(f"`{value}` is no config directory: is `{meant}` meant?", param, ctx)
            return path
        if path.suffix not in (".yaml", ".yml"):
            self.fail(f"`{value}` is no config: name the directory that holds pipeline.yaml", param, ctx)
        return path.parent


def _is_config(path: Path) -> bool:
    return (path / "webhooks").is_dir() or (path / "pipeline.yaml").is_file()


class Parsed(click.ParamType[T]):
    """What a function makes of a text; its ValueError says what is wrong with one."""

    def __init__(self, name: str, parse: Callable[[str], T]) -> None:
        self.name, self._parse = name, parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> T:
        """Return what the text means; a default may be that already."""
        try:
            return self._parse(value) if isinstance(value, str) else cast(T, value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _when(text: str) -> int:
    from pipeline.model.times import parse_when

    return parse_when(text)


def _rate(text: str) -> float:
    with suppress(ValueError):
        rate = float(text.removesuffix("/s"))
        if 0 < rate < math.inf:
            return rate
    raise ValueError(f"`{text}` is no rate; want 100/s")


def _statuses(text: str) -> tuple[str, ...]:
    from pipeline.job.tap.answers import checked_statuses

    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise ValueError(EMPTY)
    return checked_statuses(words)


WHEN: Final = Parsed("time", _when)
"""ISO 8601, a unix time, or how long ago (90s, 15m, 2h, 3d): unix milliseconds."""
RATE: Final = Parsed("rate", _rate)
"""Requests per second: ``100`` or ``100/s``."""
STATUSES: Final = Parsed("statuses", _statuses)
"""How attempts ended: ``429,5xx,timeout``."""
SPAN: Final = Parsed("duration", parse_duration)
"""Seconds: 30s, 5m."""
