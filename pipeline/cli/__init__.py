"""The command ``hookline``: verbs that compose. Data goes to stdout, talk to stderr."""

from __future__ import annotations

import os
import signal
import sys

STOPPABLE = frozenset({"run", "replay", "collect", "up"})
"""Verbs that run until they are stopped."""


AUTHORING = frozenset({"init", "new", "schema", "check"})
"""Verbs that write nothing but files to share: those are as open as the person's other files."""


def main() -> None:
    """Run the command line of this process; never returns. Exit codes: `pipeline.model.process.exits`."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Ctrl-C among the imports ends it without a traceback; `Verbs` undoes this once the verb is there.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from pipeline.model.process.garbage import ending, starting
    from pipeline.model.process.lifeline import hold
    from pipeline.model.process.private import keep_private, leave_no_memory
    from pipeline.model.process.standard import open_standard, own_output
    from pipeline.model.process.stop import listen
    from pipeline.model.process.variables import trim_variables

    trim_variables()
    open_standard()
    own_output()
    starting()
    # A panic's stack names Bytewax's own lines, and finding them takes memory: where that is wanting, the
    # process would abort in place of saying so.
    os.environ["RUST_BACKTRACE"] = "0"
    # Else pydantic looks through every installed package for plugins of its own.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    if AUTHORING & set(sys.argv[1:2]):
        leave_no_memory()
    else:
        keep_private()
    if STOPPABLE & set(sys.argv[1:2]):
        # Before the imports: a job that is stopped while it starts ends as cleanly as a running one.
        listen()
    hold()
    from pipeline.cli.app import run

    code = run()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # so it does while threads end
    ending()
    raise SystemExit(code)
