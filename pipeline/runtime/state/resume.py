"""What Bytewax will resume with, read from its recovery store: positions and sequence numbers."""

from __future__ import annotations

import io
import pickle
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

from pipeline.model.errors import StateError
from pipeline.runtime.state.recovery import resume_epoch


class _Plain(pickle.Unpickler):
    """Tokens are tuples, texts and numbers: nothing of a state directory may name code to run."""

    def find_class(self, module_name: str, global_name: str, /) -> NoReturn:
        raise StateError(f"the recovery store holds {module_name}.{global_name}, which is no token of ours")


def read_tokens(recovery: Path) -> dict[str, dict[str, Any]]:
    """Return the tokens of the epoch that a start would resume, by step and key; {} where nothing ran."""
    parts = sorted(recovery.glob("part-*.sqlite3"))
    resume = resume_epoch(parts)
    if resume is None:
        return {}
    newest: dict[tuple[str, str], tuple[int, bytes | None]] = {}
    for part in parts:
        with closing(sqlite3.connect(part)) as db:
            for step, key, epoch, change in db.execute(
                "SELECT step_id, state_key, snap_epoch, ser_change FROM snaps WHERE snap_epoch < ?", (resume,)
            ):
                if epoch >= newest.get((step, key), (-1, None))[0]:
                    newest[step, key] = (epoch, change)
    tokens: dict[str, dict[str, Any]] = {}
    for (step, key), (_, change) in newest.items():
        if change is not None:
            tokens.setdefault(step.rpartition(".")[2], {})[key] = _Plain(io.BytesIO(change)).load()
    return tokens
