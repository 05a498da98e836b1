"""A program that never says anything (``python -m tests.kit.programs.silent``)."""

import signal

signal.pause()
