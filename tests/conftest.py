"""Shared by all tests: the folder of helpers is importable as plain modules."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).resolve().parent))

# Examples are compared, not timed: a busy machine must not fail them.
settings.register_profile("hookline", deadline=None)
settings.load_profile("hookline")
