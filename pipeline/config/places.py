"""Where relative paths lead: those of a file to the folder of that file, those of flags and variables to the
working directory.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from glob import glob
from pathlib import Path
from typing import Final

from pipeline.config.models.installation.source import JsonlSource
from pipeline.config.yaml.diagnostics import KeyPath, Problems
from pipeline.model.files.disk import folder_of
from pipeline.model.json import Value, map_at

STATE_META: Final = "hookline.json"
"""The file that makes a folder a state directory."""
FILE: Final = "pipeline.yaml"
STDIN: Final = "-"

PATHS: Final[tuple[KeyPath, ...]] = (
    ("state",),
    ("source", "jsonl", "paths"),
    ("source", "jsonl", "events"),
    ("source", "jsonl", "users"),
    ("dead_letters", "jsonl", "path"),
    ("collect", "to", "recording"),
    ("console", "tokens"),
    ("console", "audit"),
)
"""Fields of pipeline.yaml that hold paths."""
SETTINGS: Final[tuple[KeyPath, ...]] = (
    ("source", "kafka", "settings"),
    ("dead_letters", "kafka", "settings"),
    ("collect", "to", "kafka", "settings"),
)
"""Fields that hold settings of librdkafka, some of which are paths."""


def place(base: Path, path: str) -> str:
    """Return where a path in a file of the folder ``base`` leads.

    Lexically: a config directory that is a symlink (Kubernetes) has the parent in its name.
    """
    is_placed = path in ("", STDIN) or os.path.isabs(path)  # an empty one is the model's to refuse
    return path if is_placed else os.path.normpath(base / path)


def place_all(data: dict[str, Value], base: Path, in_file: Callable[[KeyPath], bool]) -> dict[KeyPath, str]:
    """Resolve the file's relative paths; return what those paths were.

    in_file: whether a value came from the file (or is the file's default).
    """
    were: dict[KeyPath, str] = {}
    for path in (*PATHS, *_setting_paths(data)):
        holder = map_at(data, *map(str, path[:-1]))
        if path[-1] not in holder or not in_file(path):
            continue
        last, value = str(path[-1]), holder[path[-1]]
        if isinstance(value, str):
            were[path] = value
            holder[last] = place(base, value)
        elif isinstance(value, (list, dict)):
            placed = [
                _place_one(base, one, (*path, index), were)
                for index, one in enumerate(value if isinstance(value, list) else [value])
            ]
            holder[last] = placed if isinstance(value, list) else placed[0]
    return were


def _place_one(base: Path, value: Value, path: KeyPath, were: dict[KeyPath, str]) -> Value:
    """Return a list's path resolved; also if it is in a map with more settings."""
    if isinstance(value, str):
        were[path] = value
        return place(base, value)
    if isinstance(value, dict) and isinstance(value.get("path"), str):
        were[path] = value["path"]
        return {**value, "path": place(base, value["path"])}
    return value


def _setting_paths(data: dict[str, Value]) -> Iterator[KeyPath]:
    for path in SETTINGS:
        for name, value in map_at(data, *map(str, path)).items():
            # librdkafka's word for the system's CAs is `probe`.
            if name.endswith((".location", ".keytab")) and value != "probe":
                yield (*path, name)


def check_moved_state(base: Path, new: str, was: str, problems: Problems) -> None:
    """Refuse to start afresh beside an earlier state: relative paths once started at the working directory.

    base: the config directory. A state directory in another project's folder is that project's.
    """
    old = os.path.normpath(was)
    # If the working directory is gone there is nothing in it to check.
    if os.path.isabs(was) or not is_state(old) or is_state(new) or _is_of_another(Path(old), base):
        return
    if os.path.realpath(old) != os.path.realpath(new):
        problems.error(
            ("state",),
            "moved-state",
            f"the state directory is `{new}` now, where there is none (relative paths in pipeline.yaml start "
            f"at its folder), and `{old}` in the working directory is one",
            hint=f"move it: mv {old} {new}; or name it with --state {old}",
        )


def _is_of_another(state: Path, base: Path) -> bool:
    """Return whether a state directory lies in or beside another config directory than ours."""
    folders = [one for one in (state.parent, state.parent / "config") if (one / FILE).is_file()]
    return bool(folders) and not any(one.samefile(base) for one in folders)


def is_state(path: str) -> bool:
    """Return whether a folder is a state directory."""
    return os.path.isfile(os.path.join(path, STATE_META))


def check_recordings(
    source: JsonlSource, kept: str | None, were: Mapping[KeyPath, str], problems: Problems, *, is_start: bool
) -> None:
    """Report paths of recordings that lead to no file; at a start also nonexistent ones, each with where it
    was looked for. One that is followed is waited for where its folder is there.

    kept: a collector's folder, which it creates itself, or the job. were: how the file writes the paths.
    """
    named = {"paths": source.inputs(), "events": source.events, "users": source.users}
    for name, paths in named.items():
        for index, path in enumerate(paths or ()):
            at: KeyPath = ("source", "jsonl", name, index)
            if (wrong := _foreign(path, were.get(at, were.get(at[:-1], path)))) is not None:
                problems.refuse(at, "wrong-path", wrong[0], hint=wrong[1])
                continue
            if not is_start or path in (kept, STDIN) or os.path.exists(path) or glob(path, recursive=True):
                continue
            message = f"there is no file or directory `{path}`"
            if source.follow and os.path.isdir(folder_of(path)):
                problems.warn(at, "missing-path", f"{message} yet: it is waited for")
            else:
                problems.error(at, "missing-path", message, hint=_looked(path, were.get(at)))


_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def _foreign(path: str, was: str) -> tuple[str, str] | None:
    """Return what is wrong with a path that other programs would follow, and the remedy; None for others."""
    if _URL.match(was):
        return f"`{was}` is a URL, and only files are read", "fetch it first, or pipe it to `--source -`"
    if was.startswith("~/") and not os.path.exists(path):
        return f"`{was}`: only a shell knows `~`", f"write {os.path.expanduser(was)}"
    return None


def _looked(path: str, was: str | None) -> str | None:
    """Return where a path was looked for; ``was``: as written in the file, None where it is not
    the file's.
    """
    if was is None:
        return None if os.path.isabs(path) else f"looked for it in {os.getcwd()}"
    if os.path.isabs(was):
        return None
    if os.path.exists(was):
        start = os.path.dirname(path.removesuffix(os.path.normpath(was))) or "."
        return f"relative paths in pipeline.yaml start at its folder: write {os.path.relpath(was, start)}"
    return "relative paths in pipeline.yaml start at its folder"
