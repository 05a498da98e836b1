"""Running the programs of programs/. Where a part cannot be had the test is skipped with the reason.

With CI=true that is a failure instead.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.collect.sdks import parts

REQUIRED = os.environ.get("CI") == "true" and "sdks" not in os.environ.get("HOOKLINE_ALLOW_SKIP", "").split(
    ","
)


def had(part: Callable[[], Path]) -> Path:
    """Return a part, or skip the test."""
    try:
        return part()
    except parts.Absent as reason:
        if REQUIRED:
            pytest.fail(f"{reason} (HOOKLINE_ALLOW_SKIP=sdks allows that)", pytrace=False)
        pytest.skip(str(reason))


def command(language: str, name: str, *words: object) -> list[str]:
    """Return how a program of this folder is run."""
    runs = {"py": lambda: had(parts.python), "node": lambda: Path("node")}[language]()
    suffix = {"py": "py", "node": "cjs"}[language]
    return [str(runs), str(parts.PROGRAMS / f"{name}.{suffix}"), *map(str, words)]


def environment(language: str) -> dict[str, str]:
    """Return the environment of a program: that of a user, with the SDKs."""
    ours = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "NODE_PATH")}
    return ours | ({"NODE_PATH": str(had(parts.node_modules))} if language == "node" else {})


def program(language: str, name: str, *words: object, secs: float = 60) -> Any:
    """Run a program to its end and return what the last line of its stdout says."""
    done = subprocess.run(
        command(language, name, *words),
        env=environment(language), capture_output=True, text=True, timeout=secs,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])
