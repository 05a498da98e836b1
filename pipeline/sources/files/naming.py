"""Keeps the names of files that the state knows, whatever other files have come since."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.model.errors import StateError
from pipeline.sources.files.finding.inputs import Input
from pipeline.sources.files.following.moved import Moved
from pipeline.sources.files.following.rotated import find
from pipeline.sources.files.merging.line_cursor import LineCursor
from pipeline.sources.files.reading.beginning import is_as_read
from pipeline.sources.files.reading.entry import Entry
from pipeline.sources.files.reading.lives import Lives


def named_as_before(found: Iterable[Input], files: dict[str, Entry]) -> list[Input]:
    """Return the inputs, a restored copy under the name that an older version gave the file, if a pattern
    found it: the end of its path. The file itself is recognised by its inode.
    """
    named = []
    inodes = {_inode(one.path) for one in found if one.beside}
    left = {name for name, entry in files.items() if entry.inode not in inodes}
    left -= {one.name for one in found}
    for one in found:
        parts = Path(one.path).absolute().parts if one.beside and one.name not in files else ()
        ends = {"/".join(parts[at:]) for at in range(1, len(parts))} & left
        lives = ((end, Lives(end, files, None).entry) for end in ends)
        was = next((end for end, entry in lives if entry and is_as_read(one.path, entry)), one.name)
        left.discard(was)
        named.append(replace(one, name=was))
    return named


def keeping_names(
    found: Sequence[Input], files: dict[str, Entry], cursors: Iterable[LineCursor], *, is_followed: bool
) -> list[Input]:
    """Return the inputs, one of several of equal names under that name alone if it is read under it, or was:
    the others have come since, to another folder.
    """
    several: dict[str, list[Input]] = {}
    for one in found:
        if one.sole_name and one.name not in files:
            several.setdefault(one.sole_name, []).append(one)
    kept: dict[str, str] = {}
    for name, ones in several.items():
        paths = {cursor.source.path for cursor in cursors if cursor.source.name == name}
        entry = Lives(name, files, None).entry
        if not paths and entry is not None:
            paths = {one.path for one in ones if _is_of(one.path, entry, is_followed)}
        kept |= dict.fromkeys(sorted(paths)[:1], name)
    return [replace(one, name=kept.get(one.path, one.name)) for one in found] if kept else [*found]


def _is_of(path: str, entry: Entry, is_followed: bool) -> bool:
    """Return whether a file is that of an entry, or has its path since it was rotated."""
    if Moved([entry]).renamed(path, _inode(path)) is not None or is_as_read(path, entry):
        return True
    return is_followed and find(path, entry) is not None


def refuse_unsettled(found: Sequence[Input], files: dict[str, Entry]) -> None:
    """Raise StateError where the state knows one of several files, by their name, and it may be any."""
    names = {one.name for one in found}
    for one in found:
        is_new = one.sole_name and one.name not in files and one.sole_name not in names
        if is_new and Lives(one.sole_name, files, None).entry is not None:
            raise StateError(
                f"{one.path}: several files are called {one.sole_name}, and the state directory knows one of "
                "that name, but none of them is it. Rename the others, or start with an empty state directory"
            )


def _inode(path: str) -> int:
    try:
        return os.stat(path).st_ino
    except OSError:
        return -1  # it is gone by now
