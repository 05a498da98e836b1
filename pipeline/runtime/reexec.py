"""Replaces this process by a fresh run of its own command line: same pid, same terminal."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from pipeline.deliver.lanes.clock import keep_steady
from pipeline.model.process.stop import block


def reexec(*, stopping: bool) -> NoReturn:
    """Run this process's command line again in its place. Never returns.

    stopping: a stop was already requested; the new run is told, as it is of one that is requested meanwhile.
    Open files are closed by the exec, and with them go the locks of the state directory.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    block(stopping=stopping)
    keep_steady(os.environ)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
