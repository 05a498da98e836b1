"""The audit log: what was done through the console and by whom, on disk before the answer is sent.

Lines say what was done to what, and which keys of a file changed; they contain no bodies and no values.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal, get_args

import orjson

from pipeline.config.yaml.document import Node
from pipeline.config.yaml.loader import parse_yaml
from pipeline.model.errors import HooklineError
from pipeline.model.files.disk import append_all, make_folder, sync, sync_data
from pipeline.model.json import Value, leaves
from pipeline.model.process.private import NEVER_FOLLOWED

Action = Literal[
    "log in", "log out", "create", "save", "delete", "send test", "add case", "enable", "disable",
    "pause", "resume", "replay", "purge", "send now", "drop", "refused", "other",
]  # fmt: skip
Result = Literal["done", "refused", "unknown"]
"""unknown: it was cut off, by a timeout or the end of the console, and may have been done."""
ACTIONS: Final[tuple[Action, ...]] = get_args(Action)
NAME: Final = "audit.jsonl"
"""The file's name in the state directory, unless another path is configured."""
ROOM_BYTES: Final = 1 << 20
"""With less room on its disk, nothing is started that would have to be logged."""
CHARS: Final = 200
"""Maximum length of a text from outside."""
KEYS: Final = 100
REFUSALS_PER_MIN: Final = 60
"""Refusals that get a line; further ones are counted in the next line."""


class AuditFailed(HooklineError):
    """The audit log cannot be written, so nothing that needs a line is done."""


@dataclass(slots=True, frozen=True)
class Act:
    """What a handler says it did, or was about to do."""

    action: Action
    target: str = ""
    before: str = ""
    after: str = ""
    keys: tuple[str, ...] = ()
    count: int | None = None
    digest: str = ""
    who: str = ""
    role: str = ""


@dataclass(slots=True, frozen=True)
class AuditLine:
    """One line."""

    act: Act
    who: str
    role: str
    by: str
    """How the user had logged in: link, token, proxy; "" where nobody had."""
    address: str
    request: str
    """Method and path as in the route table."""
    status: int
    result: Result
    why: str = ""

    def to_json(self) -> dict[str, Value]:
        """Return the non-empty fields."""
        act = self.act
        found: dict[str, Value] = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "who": _short(act.who or self.who),
            "role": act.role or self.role,
            "by": self.by,
            "from": _short(self.address),
            "action": act.action,
            "target": _short(act.target),
            "result": self.result,
            "status": self.status,
            "why": _short(self.why),
            "before": act.before,
            "after": act.after,
            "keys": [_short(key) for key in act.keys[:KEYS]],
            "count": act.count,
            "digest": act.digest,
            "request": _short(self.request),
        }
        return {name: value for name, value in found.items() if value not in ("", None, [])}


class Audit:
    """The file; thread-safe. Each line is synced."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._owed: list[bytes] = []
        """Lines of completed actions that could not be written yet."""
        self._refused: list[float] = []
        self._unlisted = 0

    def ready(self) -> None:
        """Return where a line can be written now. Raises AuditFailed."""
        with self._lock:
            os.close(self._open())

    def write(self, lines: Iterable[AuditLine]) -> None:
        """Return when these lines are on disk, each complete.

        Raises AuditFailed where they are not: they are kept, and written before the next one.
        """
        with self._lock:
            self._owed += [_text(line.to_json()) for line in lines]
            self._settle()

    def refused(self, line: AuditLine) -> None:
        """Log that somebody was refused. More than one a second on average are only counted, and nothing is
        written where the file cannot be.
        """
        now = time.monotonic()
        with self._lock:
            self._refused = [at for at in self._refused if now - at < 60.0]
            if len(self._refused) >= REFUSALS_PER_MIN:
                self._unlisted += 1
                return
            self._refused.append(now)
            found = line.to_json()
            if self._unlisted:
                found["unlisted"], self._unlisted = self._unlisted, 0
            owed, self._owed = self._owed, [*self._owed, _text(found)]
            try:
                self._settle()
            except AuditFailed:
                self._owed = owed

    def _settle(self) -> None:
        if not self._owed:
            return
        descriptor = self._open()
        try:
            append_all(descriptor, b"".join(self._owed))
            sync_data(descriptor)
            self._owed = []
        except OSError as error:
            raise _failed(error) from None
        finally:
            os.close(descriptor)

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK | NEVER_FOLLOWED
        try:
            is_new = not self.path.exists()
            if is_new:
                make_folder(self.path.parent)
            descriptor = os.open(self.path, flags | os.O_CREAT, 0o600)
        except OSError as error:
            raise _failed(error) from None
        try:
            found, disk = os.fstat(descriptor), os.fstatvfs(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise AuditFailed(
                    "the audit cannot be written, so nothing was done: it is not a regular file"
                )
            if disk.f_bavail * disk.f_frsize < ROOM_BYTES:
                raise AuditFailed("the audit cannot be written, so nothing was done: its disk is full")
            if is_new:
                sync(self.path.parent)
            if found.st_size and os.pread(descriptor, 1, found.st_size - 1) != b"\n":
                append_all(descriptor, b"\n")  # the fragment left by a crash stays a line of its own
        except OSError as error:
            os.close(descriptor)
            raise _failed(error) from None
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def keys_changed(before: str, after: str) -> tuple[str, ...]:
    """Return the dotted names of what differs between two YAML texts; never the values."""
    old, new = (_leaves(parse_yaml(text, "").root) for text in (before, after))
    return tuple(sorted(key for key in old.keys() | new.keys() if old.get(key, _GONE) != new.get(key, _GONE)))


_GONE: Final = object()


def _leaves(root: Node | None) -> dict[str, Value]:
    if root is None or root.value is None:
        return {}
    return {".".join(map(str, path)): value for path, value in leaves(root.value)}


def _text(line: dict[str, Value]) -> bytes:
    return orjson.dumps(line, default=str, option=orjson.OPT_APPEND_NEWLINE)


def _short(text: str) -> str:
    # A header or path may contain invalid UTF-8: it is logged all the same.
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= CHARS else text[:CHARS] + "..."


def _failed(error: OSError) -> AuditFailed:
    return AuditFailed(
        f"the audit cannot be written, so nothing was done: {error.strerror}. Make it writable again, or "
        "name another file: `hookline console --audit FILE`"
    )
