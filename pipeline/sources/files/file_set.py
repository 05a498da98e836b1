"""Which files a recording has, and what they are called in origins.

A file found in a directory is called by its path inside it, a file given itself by its name alone, so that
neither the working directory nor where the recording lies changes an origin.
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.model.disk import below
from pipeline.model.errors import ConfigError

MARK = ".collect.json"
"""The file that tells a collector's folder from others."""

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".ndjson", ".ndjson.gz", ".ndjson.zst")

STDIN = "-"


@dataclass(slots=True, frozen=True, order=True)
class Input:
    """One file (or standard input) of a recording."""

    name: str
    path: str
    side: int | None = None
    """0 for user properties, 1 for events, None where each record says what it is."""
    sole_name: str = ""
    """The name it would have had if no other file of the recording had the same one."""
    part: str | None = None
    """The path that names it in pipeline.yaml, where that is known: formats go by it."""
    is_collectors: bool = False
    """It is the folder of a collector, whose files are its segments."""


def find_inputs(
    paths: Iterable[str], side: int | None = None, *, may_be_empty: bool = False, may_be_gone: bool = False
) -> list[Input]:
    """Return the inputs that these paths name: files, directories, glob patterns, ``-``.

    ``may_be_empty``: a directory without recordings is fine (files may come); ``may_be_gone``: so is a path
    that leads nowhere (for now). Raises ConfigError.
    """
    found: list[Input] = []
    for text in paths:
        if text == STDIN:
            found.append(Input(STDIN, STDIN, side))
            continue
        path = Path(text)
        if path.is_dir():
            items = list(below(path))
            collectors = {item.parent for item in items if item.name == MARK}
            found += [
                Input(
                    path.name if one == path else one.relative_to(path).as_posix(),
                    str(one),
                    side,
                    is_collectors=True,
                )
                for one in sorted(collectors)
            ]
            if path in collectors:
                continue
            inside = sorted(
                item
                for item in items
                if item.name.endswith(SUFFIXES) and item.is_file() and collectors.isdisjoint(item.parents)
            )
            may_be_empty = may_be_empty or bool(collectors)
            if not inside and not may_be_empty:
                raise ConfigError(
                    f"{text}: there is no *.jsonl, *.jsonl.gz or *.jsonl.zst in this directory; name files "
                    f"that end otherwise by a pattern ({path / '*.json.gz'})"
                )
            found += [Input(item.relative_to(path).as_posix(), str(item), side) for item in inside]
        elif path.exists():
            found.append(Input(path.name, text, side))
        else:
            matches = sorted(glob.glob(text, recursive=True)) if glob.has_magic(text) else []
            if not matches and not may_be_gone:
                raise ConfigError(f"{text}: there is no such file or directory")
            found += [Input(Path(item).name, item, side) for item in matches if Path(item).is_file()]
    return found


def part_of(path: str, written: Mapping[str, str]) -> str | None:
    """Return the path of pipeline.yaml that a file is, or lies in; None where it is in none.

    written: those paths as they stand there, by where they lead.
    """
    if path == STDIN or not written:
        return None
    known = {os.path.abspath(place): one for place, one in written.items()}
    at = Path(os.path.abspath(path))
    return next((known[str(one)] for one in (at, *at.parents) if str(one) in known), None)


def name_apart(inputs: Iterable[Input]) -> list[Input]:
    """Return the inputs sorted by name, each file once, with equal names told apart by parent directories."""
    by_path: dict[str, Input] = {}
    for item in inputs:
        where = STDIN if item.path == STDIN else str(Path(item.path).absolute())
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
        replace(item, name=as_utf8_name(item.name), sole_name=as_utf8_name(item.sole_name)) for item in named
    )


def as_utf8_name(name: str) -> str:
    """Return a name that may stand in JSON: bytes that are no UTF-8 as ``\\xff``."""
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "backslashreplace")


def each_once(inputs: Iterable[Input], known: Container[str] = ()) -> list[Input]:
    """Return the inputs without further names of one file, which links give it.

    Of several names the one counts that is known already, else that of the file itself, else the first.
    Raises ConfigError where one is for events and another for users.
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
        return None  # who opens it says what is wrong


def _endings(paths: list[str]) -> list[str]:
    """Return the shortest ends of these different absolute paths that differ."""
    parts = [Path(path).parts for path in paths]
    length = 1
    while len({item[-length:] for item in parts}) < len(parts):
        length += 1
    return ["/".join(item[-length:]).replace("//", "/") for item in parts]
