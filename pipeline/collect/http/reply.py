"""An answer as bytes, and the answers to malformed requests."""

from __future__ import annotations

import time
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

import orjson

from pipeline.collect.request import Answer

_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}".encode() for status in HTTPStatus}
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_WITHOUT_LENGTH: Final = frozenset({204, 304})
_date: tuple[int, bytes] = (0, b"")
_usual: dict[int, tuple[Answer, bytes]] = {}
"""Answers of this second, and their bytes: most are one of a few."""
_MOST_USUAL: Final = 64
_SHORT: Final = 200


def error(status: int, code: str, message: str, *headers: tuple[str, str]) -> Answer:
    """Return an error. Its body has ``code`` and ``message``: rudder-sdk-python repeats a 400 ten times where
    they are missing.
    """
    return Answer(status, orjson.dumps({"code": code, "message": message, "error": message}), headers=headers)


def wire(answer: Answer, *, close: bool, old: bool = False, without_body: bool = False) -> bytes:
    """Return the bytes. close: no other request is answered here. old: the client speaks HTTP/1.0."""
    date = _dated()
    found = _usual.get(id(answer))
    if found is not None and found[0] is answer and not (close or old or without_body):
        return found[1]
    parts = [_LINES.get(answer.status) or f"HTTP/1.1 {answer.status} -".encode(), date]
    status, body = answer.status, answer.body
    if status not in _WITHOUT_LENGTH:
        if body:
            parts.append(b"\r\ncontent-type: ")
            parts.append(answer.content_type.encode("latin-1"))
        parts.append(b"\r\ncontent-length: %d" % len(body))
    for name, value in answer.headers:
        parts.append(f"\r\n{name}: {value}".encode("latin-1", "replace"))
    if close:
        parts.append(b"\r\nconnection: close")
    elif old:
        parts.append(b"\r\nconnection: keep-alive")
    parts.append(b"\r\n\r\n")
    if body and not without_body and status not in _WITHOUT_LENGTH:
        parts.append(body)
    data = b"".join(parts)
    if len(body) < _SHORT and len(_usual) < _MOST_USUAL and not (close or old or without_body):
        _usual[id(answer)] = answer, data
    return data


def _dated() -> bytes:
    global _date
    now = int(time.time())
    if _date[0] != now:
        _usual.clear()
        _date = (now, f"\r\nx-content-type-options: nosniff\r\ndate: {formatdate(now, usegmt=True)}".encode())
    return _date[1]
