"""A process that starts its own command line anew: same pid and terminal, nothing left of what was before."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from pipeline.deliver.lanes.clock import keep_steady
from pipeline.model.process.stop import block


def start_anew(*, stopping: bool) -> NoReturn:
    """Run this process's command line again in its place; a stop that was (``stopping``) or is asked for
    reaches it.

    What is open is closed by then: the locks of the state directory go with the descriptors.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    block(stopping=stopping)
    keep_steady(os.environ)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
