"""The error tree, grouped by what happens next.

    HooklineError
    ├── ConfigError      stop before starting, show every problem        exit 1
    │   ├── Changed      a file is not what was read: nothing was written (operate/files/edits.py)
    │   ├── GivenError   an event or a user that a verb was given is unusable
    │   └── Exceeded     reading it takes more than it may (model/process/bounds.py)
    ├── InvalidRecord    dead-letter the record with its reason, go on
    ├── RenderError      dead-letter this delivery with its reason, go on
    ├── UsageError       a command was called with the wrong words       exit 2
    ├── Refused          what was asked cannot be done as things stand     exit 1
    ├── Stopped          a stop was asked for before anything began      exit 0
    ├── StateError       the state directory is in use or damaged        exit 3
    │   ├── NoState      no job has run on it yet                        exit 1
    │   └── ClosedState  this user may not look into it                  exit 1
    └── Fatal            log, stop the job                               exit 4
        └── StartAnew    the flow cannot go on, a start anew can
            ├── ClockSetBack
            └── TopicGrew

What a receiver answers is no exception: outcomes are data (pipeline/deliver/lanes/policy.py).
"""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Sequence
from typing import Final

from pipeline.model.findings import Finding, render, render_finding

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Error numbers of a full disk or an exhausted quota."""
FAILING = frozenset({errno.EIO, errno.ENXIO, errno.ENODEV, errno.EROFS})
"""Error numbers of a disk that fails, is gone, or was remounted read-only after errors."""

_FILES: Final = ("open so many files", "`ulimit -n`")
LIMITS: Final = (
    (os.strerror(errno.EMFILE), *_FILES),
    (os.strerror(errno.ENFILE), *_FILES),
    (os.strerror(errno.EFBIG), "write a file that large", "`ulimit -f`"),
    ("can't start new thread", "have so many threads", "`ulimit -u`, `ulimit -v` or the container's limits"),
)
"""The message fragments of a process limit, what it prevents, and what to raise.

Errors of LMDB, SQLite and Rust have no numbers."""


class Misspelt(Exception):
    """A path, placeholder or template that cannot be read, for whoever knows where its text stands.

    offset: the character at which it goes wrong; length: how many are wrong, where that is known. hint: the
    remedy.
    """

    def __init__(self, message: str, offset: int, hint: str | None = None, length: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.hint = hint
        self.length = length


class HooklineError(Exception):
    """Base of every error that Hookline raises on purpose; its text is meant for a person."""

    exit_code = 4

    def shown(self) -> str:
        """Return what is printed where this error ends a command."""
        return f"error: {self}"


class ConfigError(HooklineError):
    """The configuration cannot be used: one sentence, or the findings of a check.

    root: the config directory, before which the findings' files are named.
    """

    exit_code = 1

    def __init__(self, problem: str | Sequence[Finding], *, root: str = "") -> None:
        super().__init__(problem)
        self.findings: tuple[Finding, ...] = () if isinstance(problem, str) else tuple(problem)
        self.root = root

    def __str__(self) -> str:
        return render(self.findings, root=self.root) if self.findings else super().__str__()

    def shown(self) -> str:
        """Return the findings, each with its place, or the one sentence."""
        return str(self) if self.findings else super().shown()


class GivenError(ConfigError):
    """The event or user given to a verb cannot be used; shown without a closing line."""

    def __str__(self) -> str:
        return "\n".join(render_finding(finding) for finding in self.findings)

    @property
    def reason(self) -> str:
        """What is wrong, for whoever knows what was given: a place only where it is one within that."""
        return "\n".join(one.message if not one.line else render_finding(one) for one in self.findings)


class InvalidRecord(HooklineError):
    """One input record cannot be understood; the reason says what was found and what is wanted."""


class RenderError(HooklineError):
    """One delivery cannot be rendered; the reason names the template's place and the value."""


class UsageError(HooklineError):
    """A command or flag was used wrongly."""

    exit_code = 2


class Refused(HooklineError):
    """What was asked for cannot be done as things stand; nothing was changed."""

    exit_code = 1


class Stopped(HooklineError):
    """A stop was requested while waiting; nothing had begun, so nothing is lost."""

    exit_code = 0

    def shown(self) -> str:
        """Return the sentence alone: nothing is wrong."""
        return str(self)


class StateError(HooklineError):
    """The state directory is in use, from another version, or damaged; says what to do."""

    exit_code = 3


class NoState(StateError):
    """A folder holds no state: the wrong one was named, or no job has run yet; nothing is damaged."""

    exit_code = 1

    @classmethod
    def at(cls, state: object) -> NoState:
        """Return the message for a folder where a job's state was expected."""
        return cls(
            f"`{state}` holds no state: no job has run on it yet (`hookline run` does), one is just "
            "beginning, or --state names another folder"
        )


class ClosedState(StateError):
    """This user may not look into a state directory; nothing is damaged."""

    exit_code = 1


class Fatal(HooklineError):
    """The job cannot go on (disk full, broker refuses us); nothing is lost, the next start resumes."""


class StartAnew(Fatal):
    """Only a start anew helps; `hookline run` and `replay` restart at once.

    stopping: whether a stop was requested as well.
    """

    stopping = False


class TopicGrew(StartAnew):
    """A topic has partitions that it had not when the job started."""

    def __init__(self, topic: str, partitions: int) -> None:
        super().__init__(
            f"topic `{topic}` has {partitions} partitions now, and new ones are only read from a start on. "
            "Nothing is lost: the next start reads them from their beginning."
        )


class ClockSetBack(StartAnew):
    """The machine's clock was set back while the job ran."""

    def __init__(self, secs: float) -> None:
        super().__init__(
            f"the machine's clock was set back by {secs:,.1f} s, and no timer of the flow runs "
            "until it has caught up. Nothing is lost: the next start goes on from the last epoch."
        )


def reason(error: OSError) -> str:
    """Return the system's reason for an error about a file; for missing permissions and too many open files
    also the remedy.
    """
    said = error.strerror or str(error)
    if error.errno == errno.EMFILE:
        said += f" ({resource.getrlimit(resource.RLIMIT_NOFILE)[0]:,}: raise `ulimit -n`)"
    if error.errno in (errno.EACCES, errno.EPERM):
        said += f" (user {os.geteuid()} needs access to it and to the folders above it: chown, chmod)"
    return said


def cannot_listen(host: str, port: int, error: OSError, flag: str = "--listen") -> UsageError:
    """Return what to tell where an address cannot be had; flag: names another one."""
    number = error.errno or 0
    # Of a host that is not found the number is the resolver's.
    said = os.strerror(number) if number > 0 else error.strerror or str(error)
    other = f"name another address with `{flag}`"
    remedies = {
        errno.EADDRINUSE: f"another program listens there: end it, or {other}",
        errno.EACCES: f"ports below 1024 are for root: put a proxy before it, or {other}",
        errno.EADDRNOTAVAIL: "this machine has no such address; 0.0.0.0 means all that it has",
    }
    return UsageError(f"cannot listen on {host}:{port}: {said} ({remedies.get(number, other)})")


def machine_fault(error: BaseException) -> Fatal | None:
    """Return the message for a fault of the machine: a disk that is full or fails, or a process limit. None
    for any other error.
    """
    if isinstance(error, Fatal):
        return error  # already reported
    number, text = error.errno if isinstance(error, OSError) else None, str(error)
    # SQLite, inside Bytewax, reports both as text without an error number.
    if number in FULL or "disk is full" in text:
        place = "the state directory"
        if isinstance(error, OSError) and error.filename:
            place, text = os.fsdecode(error.filename), os.strerror(error.errno or 0)
        return Fatal(
            f"the disk of {place} is full ({text}). Nothing is lost: free disk space, or files where `df -i` "
            "shows none free, and start again."
        )
    if number in FAILING or "disk I/O error" in text:
        # SQLite says the same of a file that may not grow.
        is_limited = resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY
        return Fatal(
            f"a disk does not read or write ({text}). What was on it before is not lost: "
            f"{'raise `ulimit -f`, or ' if is_limited else ''}see what the system says of the disk "
            "(`dmesg`), then start again."
        )
    for words, what, remedy in LIMITS:
        if words in text:
            return Fatal(
                f"this process may not {what} ({text}). Nothing is lost: raise {remedy} and start again."
            )
    return None
