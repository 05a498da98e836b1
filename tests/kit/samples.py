"""Where the public sample data is: `shared/data` beside or above the repository, or HOOKLINE_SHARED_DATA."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def shared_data() -> Path:
    """Return the folder of public samples; skip the test, with the reason, where it is absent."""
    named = os.environ.get("HOOKLINE_SHARED_DATA")
    candidates = [Path(named)] if named else [up / "shared" / "data" for up in ROOT.parents]
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    pytest.skip("the public samples (shared/data) are not here; set HOOKLINE_SHARED_DATA to their folder")
