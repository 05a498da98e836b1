"""The SDKs that tests run, each from its own registry, pinned by a lock; fetched once into the user's cache.

Those of PyPI live in an environment of their own (requirements/sdks.lock): they want other versions of some
packages than the job does. Those of npm come from package-lock.json beside this file.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from pipeline.console.browser.build import cached_folder
from tests.kit.streams.samples import ROOT

HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"
PYTHON_LOCK = ROOT / "requirements" / "sdks.lock"
NODE_LOCK = HERE / "package-lock.json"


class Absent(Exception):
    """Something that these tests need is not on this machine; the message says what and how to get it."""


def python() -> Path:
    """Return the interpreter that has the SDKs of PyPI. Raises Absent."""

    def make(folder: Path) -> None:
        _run([sys.executable, "-m", "venv", "--without-pip", "--copies", str(folder)])
        words = [
            "install",
            "-q",
            "--disable-pip-version-check",
            "--no-input",
            "--require-hashes",
            "--no-deps",
        ]
        interpreter = folder / "bin" / "python"
        _run(
            [sys.executable, "-m", "pip", "--python", str(interpreter), *words, "-r", str(PYTHON_LOCK)],
        )

    return cached_folder("sdks-python", PYTHON_LOCK, make) / "bin" / "python"


def node_modules() -> Path:
    """Return the folder that has the SDKs of npm. Raises Absent."""
    for name in ("node", "npm"):
        if shutil.which(name) is None:
            raise Absent(f"there is no `{name}` on the path (Debian: nodejs and npm)")

    def make(folder: Path) -> None:
        folder.mkdir()
        for file in (NODE_LOCK, HERE / "package.json", HERE / ".npmrc"):
            shutil.copy(file, folder)
        _run(["npm", "ci", "--ignore-scripts", "--silent"], folder)

    return cached_folder("sdks-node", NODE_LOCK, make) / "node_modules"


def chromium() -> Path:
    """Return the browser. Raises Absent."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        raise Absent("there is no `chromium` on the path (Debian: chromium)")
    return Path(found)


def _run(command: list[str], folder: Path | None = None) -> None:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if result.returncode != 0:
        said = (result.stdout + result.stderr)[-2000:]
        raise Absent(f"`{' '.join(command[:4])} ..` cannot fetch the SDKs:\n{said}")
