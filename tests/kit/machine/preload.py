"""A machine whose clock is set and whose disk is slow: a small library that is loaded before libc.

Compiled by the tests themselves. Without a compiler they are skipped, in CI they fail.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("preload.c")


class Machine:
    """What a program sees that is started with `environment`."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            missing = "no C compiler: a clock set back and a slow disk are NOT tested (apt install gcc)"
            if os.environ.get("CI"):
                pytest.fail(missing)
            pytest.skip(missing)
        folder.mkdir(parents=True, exist_ok=True)
        library, self._settings = folder / "preload.so", folder / "settings"
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, SOURCE], check=True)
        self._ahead = self._slow = self._fails = 0.0
        self._write()
        self.environment = {"LD_PRELOAD": str(library), "PRELOAD_SETTINGS": str(self._settings)}

    def set_clock(self, ahead_secs: float) -> None:
        """Set the clock to so many seconds before or after the right time."""
        self._ahead = ahead_secs
        self._write()

    def slow_disk(self, secs: float) -> None:
        """Let every sync take so many seconds longer."""
        self._slow = secs
        self._write()

    def failing_disk(self, number: int) -> None:
        """Let every fdatasync fail with this errno; 0: it works again."""
        self._fails = number
        self._write()

    def _write(self) -> None:
        # In place: the library has the file in memory.
        with open(self._settings, "r+b" if self._settings.exists() else "wb") as file:
            file.write(struct.pack("ddd", self._ahead, self._slow, self._fails))
