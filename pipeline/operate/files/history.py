"""A config file's history in git: its versions, and whether it is committed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.model.json import Plain

SHOWN: Final = 20
_SECS: Final = 5.0
_MOST: Final = 1 << 20
"""Maximum size of all diffs, in characters."""
_MARK: Final = "\x01"
_DATE: Final = "--date=format-local:%Y-%m-%dT%H:%M:%SZ"
_SAFE: Final = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "--no-pager")
"""A repository's own settings may name programs: none of them is run."""


@dataclass(slots=True, frozen=True)
class Version(Plain):
    """One commit that changed the file."""

    id: str
    at: str
    """ISO 8601, in UTC."""
    author: str
    subject: str
    diff: str


def versions(config: Path, file: str) -> list[Version] | None:
    """Return the last commits that changed a file, newest first; None outside a repository."""
    form = f"--format={_MARK}%h%n%ad%n%an%n%s"
    told = _git(
        config,
        "log",
        "-p",
        "--follow",
        "--no-ext-diff",
        "--no-textconv",
        f"-n{SHOWN}",
        _DATE,
        form,
        "--",
        file,
    )
    if told is None:
        return None
    found = []
    for part in told[:_MOST].split(_MARK)[1:]:
        head, _, diff = part.partition("\n\n")
        known, at, author, subject = (head.split("\n") + [""] * 4)[:4]
        found.append(Version(known, at, author, subject, diff))
    return found


def is_committed(config: Path, file: str) -> bool | None:
    """Return whether the file equals its committed version; None outside a repository, or if ignored."""
    told = _git(config, "status", "--porcelain", "--ignored", "--", file)
    return None if told is None or told.startswith("!!") else not told.strip()


def _git(config: Path, *words: str) -> str | None:
    command: Sequence[str] = ("git", "-C", str(config), *_SAFE, *words)
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=_SECS,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "TZ": "UTC0"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None
