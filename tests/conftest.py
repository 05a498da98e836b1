"""Shared by all tests: the folder of helpers is importable as plain modules."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).resolve().parent))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that starts the tests in the background lets them ignore Ctrl-C; what they start must not.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Examples are compared, not timed: a busy machine must not fail them.
settings.register_profile("hookline", deadline=None)
settings.load_profile("hookline")
