"""Which files the state need not remember any more: a position with tens of thousands delays each epoch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from os import DirEntry
from typing import Final

from pipeline.sources.files.following.rotated import Folders
from pipeline.sources.files.reading.beginning import HEAD_BYTES, digest, head_of
from pipeline.sources.files.reading.entry import Entry
from pipeline.sources.files.reading.lives import last_numbers, parted

MOST_UNSEEN: Final = 10_000
"""Files remembered that are at none of the paths: they may come back, or be named again."""


def departed(entries: Mapping[str, Entry], paths: Mapping[str, str], read: Iterable[str]) -> list[str]:
    """Return the names of entries that can be forgotten.

    paths: where the files that are there now lie, by name. read: what those are called that are open. Of the
    files of a path the last two stay, by which the next one is numbered, and those that still lie beside it;
    of paths that are gone, the last of `MOST_UNSEEN` files.
    """
    paths = {parted(name)[0]: path for name, path in paths.items()}
    kept = set(read)
    bases = paths.keys() | {parted(name)[0] for name in kept}
    latest = last_numbers(entries)
    older: dict[str, list[Entry]] = {}
    unseen = []
    for name, entry in entries.items():
        base, number = parted(name)
        if base not in bases:
            unseen.append(name)
        elif base in paths and number < latest[base] - 1 and name not in kept:
            older.setdefault(base, []).append(entry)
    gone = unseen[:-MOST_UNSEEN]
    folders = Folders()
    for base, lives in older.items():
        gone += _without_file(folders.beside(paths[base]), lives)
    return gone


def _without_file(files: Collection[DirEntry[str]], lives: Iterable[Entry]) -> list[str]:
    inodes = {one.inode() for one in files}
    heads = [head_of(one.path, HEAD_BYTES, is_raw=is_raw) or b"" for one in files for is_raw in (True, False)]
    begun: dict[int, set[str]] = {}
    gone = []
    for entry in lives:
        size = entry.head_bytes
        if size not in begun:
            begun[size] = {digest(head[:size]) for head in heads}
        if entry.inode not in inodes and entry.digest not in begun[size]:
            gone.append(entry.name)
    return gone
