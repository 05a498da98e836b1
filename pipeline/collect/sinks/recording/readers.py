"""How far each job has read: the position files that jobs leave in the folder."""

from __future__ import annotations

import os
from pathlib import Path

import orjson

from pipeline.sources.files.collected.passed import FOLDER
from pipeline.telemetry import log as logging
from pipeline.telemetry.happenings import COLLECT_READER_DAMAGED

log = logging.get(__name__)


def passed_line(folder: Path, keep_secs: float, now: float) -> int:
    """Return the first line that some reader still needs; 0 where nobody reads, or one is not understood.

    A reader whose file is older than ``keep_secs`` at ``now`` (unix seconds) is not waited for.
    """
    try:
        with os.scandir(folder / FOLDER) as entries:
            places = [_line(Path(entry.path)) for entry in entries if _counts(entry, keep_secs, now)]
    except OSError:
        return 0
    return min(places, default=0)


def _counts(entry: os.DirEntry[str], keep_secs: float, now: float) -> bool:
    # A file that is being replaced has another name meanwhile.
    if entry.name.startswith(".") or entry.name.endswith(".partial"):
        return False
    try:
        return now - entry.stat().st_mtime <= keep_secs
    except FileNotFoundError:
        return False


def _line(path: Path) -> int:
    try:
        said = orjson.loads(path.read_bytes())
        if said["version"] != 1 or type(said["offset"]) is not int or said["offset"] < 0:
            raise ValueError("version 1 with an offset is known")
        return int(said["offset"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        # The job replaces it at its next epoch; until then it may need everything.
        COLLECT_READER_DAMAGED.happened(log, file=str(path), reason=str(error))
        return 0
