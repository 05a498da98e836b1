"""Gives each file a unique name, used in origins and positions."""

from __future__ import annotations

import os
import stat
from collections.abc import Container, Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from pipeline.model.errors import ConfigError
from pipeline.sources.files.finding.inputs import STDIN, Input


def name_apart(inputs: Iterable[Input]) -> list[Input]:
    """Return the inputs sorted by name, each file once; equal names get parent directories in front."""
    by_path: dict[str, Input] = {}
    for item in inputs:
        where = STDIN if item.path == STDIN else _absolute(item.path)
        if where in by_path and by_path[where].side != item.side:
            raise ConfigError(f"{item.path}: the same file is given for events and for users")
        by_path.setdefault(where, item)
    by_name: dict[str, list[tuple[str, Input]]] = {}
    for where, item in by_path.items():
        by_name.setdefault(item.name, []).append((where, item))
    named: list[Input] = []
    for name, group in by_name.items():
        if len(group) == 1:
            named.append(group[0][1])
        else:
            named += [
                replace(item, name=apart, sole_name=name)
                for apart, (_, item) in zip(_endings([where for where, _ in group]), group, strict=True)
            ]
    return sorted(
        item
        if (item.name + item.sole_name).isascii()
        else replace(item, name=as_utf8_name(item.name), sole_name=as_utf8_name(item.sole_name))
        for item in named
    )


@lru_cache(maxsize=1 << 16)
def _absolute(path: str) -> str:
    return str(Path(path).absolute())


def as_utf8_name(name: str) -> str:
    r"""Return a name that may stand in JSON: invalid UTF-8 becomes ``\xff``.

    Permanent in positions and origins, hence not as `model.json.as_utf8` shows such names to people.
    """
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "backslashreplace")


def each_once(inputs: Iterable[Input], known: Container[str]) -> list[Input]:
    """Return the inputs without further names of one file, such as links.

    Of several names the one already known counts, else that of the file itself, else the first. Raises
    ConfigError where one is for events and another for users.
    """
    by_file: dict[tuple[int, int], Input] = {}
    others: list[Input] = []
    for item in inputs:
        status = None if item.path == STDIN or item.is_collectors else _status(item.path)
        if status is None or not stat.S_ISREG(status.st_mode):
            others.append(item)
            continue
        other = by_file.setdefault((status.st_dev, status.st_ino), item)
        if other.side != item.side:
            raise ConfigError(f"{item.path}: the same file as {other.path} is given for events and for users")
        rank = [(one.name not in known, os.path.islink(one.path), one.name) for one in (other, item)]
        if rank[1] < rank[0]:
            by_file[status.st_dev, status.st_ino] = item
    return sorted([*others, *by_file.values()])


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None  # opening it reports what is wrong


def _endings(paths: list[str]) -> list[str]:
    """Return the shortest endings that distinguish these absolute paths."""
    parts = [Path(path).parts for path in paths]
    length = 1
    while len({item[-length:] for item in parts}) < len(parts):
        length += 1
    return ["/".join(item[-length:]).replace("//", "/") for item in parts]
