"""The README says what is true: what it names exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def test_files_and_folders_that_are_named_exist():
    names = re.findall(
        r"`((?:tests|docker|config|requirements|recordings|pipeline|dataflows)/[\w./-]*)`", README
    )
    assert names
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_targets_of_make_that_are_named_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z][a-z-]+)", README)) <= targets
