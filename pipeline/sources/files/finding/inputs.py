"""Finds the files that a recording's paths name.

A file found in a directory, or by a pattern, is named by its path inside the directory that is given, a file
given itself by its name alone, so that neither the working directory, nor the recording's location, nor what
other files are there changes an origin.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pipeline.model.errors import ConfigError
from pipeline.model.files.disk import below, folder_of

COLLECTORS = ".collect.json"
"""The file that distinguishes a collector's folder from others."""

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".ndjson", ".ndjson.gz", ".ndjson.zst")

_LIKE_LINES = re.compile(
    r".+\.(?:json|jsonl|ndjson|jsonlines|jl|log)"
    r"(?P<count>[._-][0-9][0-9T:._-]*)?(?:\.(?:gz|zst|bz2|xz|lz4|zip))?"
)
"""Names of files that may hold records; of a folder only those are read that end in `SUFFIXES`."""

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
    """The path that names it in pipeline.yaml, if known: formats go by it."""
    is_collectors: bool = False
    """It is the folder of a collector, whose files are its segments."""
    beside: tuple[str, ...] = ()
    """Patterns of file names beside it (`**/`: and in the folders there) that are inputs of their own: it was
    found in a folder, or by a pattern."""


def find_inputs(
    paths: Iterable[str], side: int | None = None, *, is_followed: bool = False, known: Container[str] = ()
) -> list[Input]:
    """Return the inputs that these paths name: files, directories, glob patterns, ``-``.

    is_followed: files may be added: a directory may be empty, a path may lead nowhere, of which others are
    named apart already. known: the names of hidden files that were read by a version that did, and go on.
    Raises ConfigError.
    """
    found: list[Input] = []
    for text in paths:
        if text == STDIN:
            found.append(Input(STDIN, STDIN, side))
            continue
        path = Path(text)
        if path.is_dir():
            found += _in_folder(path, side, is_followed, known)
        elif path.exists() or (is_followed and not glob.has_magic(text)):
            found.append(Input(path.name, text, side))
        else:
            matches = sorted(glob.glob(text, recursive=True)) if glob.has_magic(text) else []
            if not matches and not is_followed:
                raise ConfigError(f"{text}: there is no such file or directory")
            beside = (f"{'**/' if '**' in text else ''}{Path(text).name}",)
            base = folder_of(text)
            found += [
                Input(_inside(item, base), item, side, beside=beside)
                for item in matches
                if os.path.isfile(item)
            ]
    return found


@lru_cache(maxsize=1 << 16)
def _inside(path: str, base: str) -> str:
    return os.path.relpath(path, base)  # kept, as thousands of followed files are searched for each second


def _in_folder(folder: Path, side: int | None, is_followed: bool, known: Container[str]) -> list[Input]:
    """Return the folders of collectors in a folder, or itself if it is one, and the files outside them."""
    items = list(below(folder))
    collectors = {item.parent for item in items if item.name == COLLECTORS}
    found = [
        Input(
            folder.name if one == folder else one.relative_to(folder).as_posix(),
            str(one),
            side,
            is_collectors=True,
        )
        for one in sorted(collectors)
    ]
    if folder in collectors:
        return found
    files = sorted(
        item
        for item in items
        if item.name.endswith(SUFFIXES)
        and (not _is_hidden(inside := item.relative_to(folder)) or inside.as_posix() in known)
        and item.is_file()
        and (not collectors or collectors.isdisjoint(item.parents))
    )
    if not files and not collectors and not is_followed:
        raise ConfigError(
            f"{folder}: there is no *.jsonl or *.ndjson in this directory, with or without .gz or .zst; "
            f"name files that end otherwise by a pattern ({folder / '*.json.gz'})"
        )
    beside = tuple(f"**/*{suffix}" for suffix in SUFFIXES)
    return found + [
        Input(item.relative_to(folder).as_posix(), str(item), side, beside=beside) for item in files
    ]


def left_out(folder: Path, *, is_followed: bool) -> list[str]:
    """Return the files in a folder that may hold records and are not read, because of how their names end.

    is_followed: then a rotated file is one that was read under its old name.
    """
    items = list(below(folder))
    if any(item.name == COLLECTORS for item in items):
        return []
    found = [
        inside
        for item in items
        if not item.name.endswith(SUFFIXES)
        and (like := _LIKE_LINES.fullmatch(item.name)) is not None
        and not (is_followed and like["count"])
        and not _is_hidden(inside := item.relative_to(folder))
        and item.is_file()
    ]
    return sorted(map(str, found))


def _is_hidden(path: Path) -> bool:
    """Return whether a path has a hidden part, as copies under way have (`.x.jsonl`) and macOS's `._x.jsonl`.

    No pattern matches those either.
    """
    return any(part.startswith(".") for part in path.parts)


def part_of(path: str, written: Mapping[str, str]) -> str | None:
    """Return the path of pipeline.yaml that a file is, or lies in; None where it is in none.

    written: those paths as written, by where they lead.
    """
    if path == STDIN or not written:
        return None
    known = {os.path.abspath(place): one for place, one in written.items()}
    at = Path(os.path.abspath(path))
    return next((known[str(one)] for one in (at, *at.parents) if str(one) in known), None)
