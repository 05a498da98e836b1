"""Sample webhooks and what is expected of them: five of our own, and public data where that is.

The public data is in `shared/data` beside or above the repository, or in HOOKLINE_SHARED_DATA.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
OWN = ROOT / "tests" / "samples"


def public_data() -> Path | None:
    """Return the folder of public samples, None where it is absent."""
    named = os.environ.get("HOOKLINE_SHARED_DATA")
    candidates = [Path(named)] if named else [up / "shared" / "data" for up in ROOT.parents]
    return next((candidate for candidate in candidates if candidate.is_dir()), None)


def shared_data() -> Path:
    """Return the folder of public samples; skip the test, with the reason, where it is absent."""
    found = public_data()
    if found is None:
        pytest.skip("the public samples (shared/data) are not here; set HOOKLINE_SHARED_DATA to their folder")
    return found


def webhook_folders() -> list[Path]:
    """Return the folders of sample webhooks that are here."""
    return [data / "webhooks" for data in (OWN, public_data()) if data is not None]


def webhook_cases() -> list[dict[str, Any]]:
    """Return what each sample webhook makes of an event and a user; `file` is the webhook's file."""
    return [
        {"file": folder / f"{case['webhook']}.yaml", **case}
        for folder in webhook_folders()
        for case in map(json.loads, (folder / "expected.jsonl").read_text("utf-8").splitlines())
    ]
