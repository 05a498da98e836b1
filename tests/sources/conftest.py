"""What tests of sources share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.sources.files.recording import Recording


@pytest.fixture(autouse=True)
def _closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close what a test opens: the system has 128 instances of inotify for all that a user runs."""
    opened: list[Recording] = []
    begin = Recording.__init__

    def opening(self: Recording, *args: Any, **more: Any) -> None:
        begin(self, *args, **more)
        opened.append(self)

    monkeypatch.setattr(Recording, "__init__", opening)
    yield
    for one in opened:
        one.close()
