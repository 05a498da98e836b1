"""The command ``hookline``: verbs that compose. Data goes to stdout, talk to stderr."""

from __future__ import annotations

import sys

from pipeline.model.lifeline import hold
from pipeline.model.private import keep_private, leave_no_memory
from pipeline.model.stop import listen

STOPPABLE = frozenset({"run", "replay"})
"""Verbs that run a job."""


AUTHORING = frozenset({"new", "schema", "check"})
"""Verbs that write nothing but config files: those are as open as the person's other files."""


def main() -> None:
    """Run the command line of this process; never returns. Exit codes: `pipeline.model.exits`."""
    if AUTHORING & set(sys.argv[1:2]):
        leave_no_memory()
    else:
        keep_private()
    if STOPPABLE & set(sys.argv[1:2]):
        # Before the imports: a job that is stopped while it starts ends as cleanly as a running one.
        listen()
        hold()
    from pipeline.cli.app import run

    raise SystemExit(run())
