"""The messages between a process and its trial child: a length, then JSON."""

from __future__ import annotations

import json
import os
import select
import struct
import time
from dataclasses import asdict

import orjson

from pipeline.model.json import Value

_HEAD = struct.Struct(">Q")
MOST = 512 << 20
"""Maximum size of one message, a whole config."""


def send(descriptor: int, message: Value) -> None:
    """Write a message of JSON values and dataclasses. Raises OSError where nobody reads."""
    try:
        payload = orjson.dumps(message)
    except orjson.JSONEncodeError:  # file names may contain invalid UTF-8
        payload = json.dumps(message, default=asdict).encode()
    left = memoryview(_HEAD.pack(len(payload)) + payload)
    while left:
        left = left[os.write(descriptor, left) :]


def receive(descriptor: int) -> Value:
    """Wait for a message and return it. Raises EOFError where the writer is gone."""
    (size,) = _HEAD.unpack(_read(descriptor, _HEAD.size))
    if size > MOST:
        raise EOFError
    payload = _read(descriptor, size)
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        return json.loads(payload)


def comes(descriptor: int, secs: float) -> bool:
    """Wait this long for a message; return whether one arrives, or its writer is gone."""
    deadline = time.monotonic() + secs
    poll = select.poll()  # `select` only supports descriptors below 1024
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))


def _read(descriptor: int, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = os.read(descriptor, min(size - len(parts), 1 << 20))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)
