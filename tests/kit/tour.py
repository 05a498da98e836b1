"""The commands that the pages tell a reader to type: found, and run as scripts.

Every ```` ```sh ```` block of a page stands either in a part, between ``<!-- run: NAME -->`` and
``<!-- end of NAME -->``, which a test runs as one script, or right below ``<!-- not run: REASON -->``.
"""

from __future__ import annotations

import atexit
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.kit.programs.forge import forge
from tests.kit.streams.samples import ROOT

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "docker/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]

_RUN = re.compile(r"^<!-- run: ([a-z ]+) -->$")
_NOT_RUN = re.compile(r"^<!-- not run: (.+) -->$")
_FENCE = re.compile(r"^( *)```(\w*)$")


class Block(NamedTuple):
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    text: str
    part: str
    """Name of the part it is in; "" outside."""
    reason: str
    """Why it is not run; "" where nothing is said."""


def blocks(path: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    page = path.relative_to(ROOT).as_posix()
    found: list[Block] = []
    part = reason = language = ""
    begun = indent = 0
    text: list[str] = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        line = line[indent:] if not line[:indent].strip() else line
        fence = _FENCE.match(line)
        if begun:
            if line == "```":
                found.append(Block(page, begun, language, "\n".join(text) + "\n", part, reason))
                begun, indent, reason = 0, 0, ""
            else:
                text.append(line)
        elif fence:
            begun, indent, language, text = number, len(fence[1]), fence[2], []
        elif run := _RUN.match(line.strip()):
            assert not part, f"{page}:{number}: inside the part `{part}`"
            part = run[1]
        elif line.strip() == f"<!-- end of {part} -->":
            part = ""
        elif line:
            not_run = _NOT_RUN.match(line.strip())
            reason = not_run[1] if not_run else ""
    assert not begun, f"{page}:{begun}: this block has no end"
    assert not part, f"{page}: the part `{part}` has no end"
    return found


def parts() -> dict[str, str]:
    """Return the script of every part, by name: its shell blocks, one after the other."""
    found: dict[str, tuple[str, str]] = {}
    for path in PAGES:
        for block in blocks(path):
            if block.part and block.language == "sh":
                page, script = found.get(block.part, (block.page, ""))
                assert page == block.page, f"two pages have a part `{block.part}`: {page} and {block.page}"
                found[block.part] = page, script + block.text
    return {name: script for name, (_, script) in found.items()}


def script(part: str) -> str:
    """Return the shell blocks of a part, one after the other."""
    return parts()[part]


def run(
    commands: str, folder: Path, changes: Mapping[str, str], *, end: str = "", installed: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run a script in a folder, with texts replaced; what it left in the background is ended.

    installed: `hookline` is the command as it is installed; else the forge starts it, which is faster.
    """
    for text, other in changes.items():
        assert text in commands, text
        commands = commands.replace(text, other)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    if not installed:
        path = f"{_stand_in(forge().requests)}{os.pathsep}{path}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_")}
    return subprocess.run(
        [
            "bash",
            "-euo",
            "pipefail",
            "-c",
            f"trap 'kill $(jobs -p) 2> /dev/null || :' EXIT\n{commands}\n{end}",
        ],
        cwd=folder,
        env={**environment, "PATH": path, "COLUMNS": "100"},
        pass_fds=() if installed else (forge().requests,),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=110,
    )


@functools.cache
def _stand_in(requests: int) -> Path:
    """Return a folder with a `hookline` that is started by the forge which takes requests there."""
    folder = Path(tempfile.mkdtemp(prefix="hookline-shim-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    words = f"{sys.executable} -IS {ROOT / 'tests' / 'kit' / 'programs' / 'shim.py'} {requests}"
    (folder / "hookline").write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    (folder / "hookline").chmod(0o755)
    return folder
