"""The scripts of the console's pages, and the packages of which they are made; bundled where they are not.

Where they cannot be had the test is skipped with the reason. With CI=true that is a failure instead.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.streams.samples import ROOT

BROWSER = ROOT / "pipeline" / "console" / "browser"
ALLOWED = os.environ.get("HOOKLINE_ALLOW_SKIP", "").split(",")
REQUIRED = os.environ.get("CI") == "true" and "console" not in ALLOWED


def absent(reason: str) -> None:
    """Skip a test since something that it needs is not on this machine."""
    if REQUIRED:
        pytest.fail(f"{reason} (HOOKLINE_ALLOW_SKIP=console allows that)", pytrace=False)
    pytest.skip(reason)


@functools.cache
def built() -> Path:
    """Return the folder of the bundle."""
    _build()
    return BROWSER.parent / "assets"


@functools.cache
def node_modules() -> Path:
    """Return the folder of the packages, those of tests among them."""
    return Path(_build("--modules").strip())


def _build(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, BROWSER / "build.py", *words], capture_output=True, text=True, timeout=300
    )
    if done.returncode != 0:
        absent(done.stderr.strip())
    return done.stdout
