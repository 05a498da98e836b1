"""Classes as Java has loaded them once, kept beside their jars: a start with those takes half of the CPU."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

MAKE_SECS = 60.0


def kept_of(jars: Path) -> Path:
    """Return where the loaded classes of these jars are kept, for the Java of this machine."""
    java = Path(shutil.which("java") or "java").resolve()
    return jars.with_name(f"{jars.name}-{java.parent.parent.name}.jsa")


def flags_for(jars: Path) -> list[str]:
    """Return the flag for what is kept; Java passes over what another Java has written, or of other jars."""
    kept = kept_of(jars)
    return [f"-XX:SharedArchiveFile={kept}"] if kept.exists() else []


def keep(jars: Path, start: Callable[[Path, str], subprocess.Popen[bytes]]) -> None:
    """Keep the classes, unless they are kept: without them all goes on, slower.

    start: starts the program in a scratch folder with a flag of Java, and returns it when it is ready.
    """
    kept = kept_of(jars)
    if kept.exists():
        return
    with tempfile.TemporaryDirectory(dir=jars.parent) as scratch:
        made = Path(scratch) / kept.name
        program = start(Path(scratch), f"-XX:ArchiveClassesAtExit={made}")
        program.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            program.wait(MAKE_SECS)
        program.kill()
        program.wait()
        if made.exists():
            made.rename(kept)
