"""The commands that the README tells a newcomer to type, as one script."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"


def script(part: str) -> str:
    """Return the shell blocks between ``<!-- part -->`` and ``<!-- end of part -->``, one after the other."""
    found = re.search(rf"<!-- {part} -->\n(.*?)<!-- end of {part} -->", README.read_text(), re.DOTALL)
    assert found is not None, part
    return "\n".join(re.findall(r"^```sh\n(.*?)^```$", found[1], re.DOTALL | re.MULTILINE))


def run(
    commands: str, folder: Path, changes: Mapping[str, str], *, end: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a script in an empty folder, with texts replaced; what it left in the background is ended."""
    for text, other in changes.items():
        assert text in commands, text
        commands = commands.replace(text, other)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
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
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
    )
