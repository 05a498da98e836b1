"""The exit codes of every verb: one table, printed by the help and the runbook."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What the exit code of a command says."""

    OK = 0
    PROBLEMS = 1
    USAGE = 2
    STATE = 3
    FATAL = 4
    INTERRUPTED = 130
    """What a shell expects of a command that Ctrl-C ended: 128 plus the signal's number."""


MEANING: dict[Exit, str] = {
    Exit.OK: "done; pending deliveries and dead letters are reported, no error (see `--fail-on-dead`)",
    Exit.PROBLEMS: "problems in the config or the input, all of them shown; or the answer is no: "
    "`explain` does not fire, a test or `send` fails, nothing is selected",
    Exit.USAGE: "wrong usage: an unknown verb or flag, a missing argument",
    Exit.STATE: "the state directory is in use by another job, of another version, or damaged",
    Exit.FATAL: "stopped by a fatal error; nothing is lost, the next start resumes",
    Exit.INTERRUPTED: "ended by Ctrl-C before it was done; `run`, `up` and others that serve end with 0",
}

MEMBER_EXIT = 75
"""How a member of a multi-process job asks its supervisor for a restart; nobody else sees it."""
MEMBER_STOPPED = 76
"""How a member says that it was stopped before it joined the others, which may be waiting for it."""
