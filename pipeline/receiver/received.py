"""Received requests: in memory, and in an append-only file that other processes can read at any time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from pipeline.model.files.disk import append_all


@dataclass(slots=True, frozen=True)
class Request:
    """One request as it arrived."""

    at: float
    """Unix seconds when it was complete."""
    method: str
    path: str
    """Without the query."""
    query: str
    headers: Mapping[str, str]
    """Lower-case names; of a repeated header the last."""
    body: bytes
    connection: int = 0
    """The number of its connection, counted from 0."""

    @property
    def message_id(self) -> str:
        """Return the ``webhook-id`` header; "" where there is none."""
        return self.headers.get("webhook-id", "")


class Recorder:
    """Keeps requests. keep: in memory. path: a JSONL file to append to, one write per request.

    bodies: whether the file holds the whole body (``body``) beside its hash.
    """

    def __init__(self, *, keep: bool = True, path: Path | None = None, bodies: bool = False) -> None:
        self.requests: list[Request] = []
        self.count = 0
        self._keep = keep
        self._bodies = bodies
        self._file = (
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600) if path else None
        )

    def add(self, request: Request, status: int) -> None:
        """Keep a request and the status that it will get (0: none); written before the answer is sent."""
        self.count += 1
        if self._keep:
            self.requests.append(request)
        if self._file is not None:
            line = {
                "at": request.at,
                "method": request.method,
                "path": request.path,
                "query": request.query,
                "id": request.message_id,
                "attempt": request.headers.get("webhook-attempt", ""),
                "status": status,
                "sha256": hashlib.sha256(request.body).hexdigest(),
            }
            if self._bodies:
                line["headers"] = dict(request.headers)
                line["body"] = request.body.decode("utf-8", "backslashreplace")
            append_all(self._file, orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
