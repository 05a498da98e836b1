"""One answer of the receiver, as a script defines it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, frozen=True)
class Answer:
    """One answer."""

    status: int = 200
    fault: str | None = None
    """A name from faults.FAULTS: how the answer is broken."""
    delay_secs: float = 0.0
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    wire: bytes = b""
    """The whole answer, where it is a plain one; made once."""


def plain_answer(status: int, body: bytes, headers: tuple[tuple[str, str], ...]) -> Answer:
    """Return an answer that is sent as it is, its wire made once."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    length = "" if status in (204, 304) or status < 200 else f"content-length: {len(body)}\r\n"
    wire = f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}\r\n{lines}{length}\r\n".encode("latin-1")
    return Answer(status, None, 0.0, body, headers, wire + (b"" if status in (204, 304) else body))


_REASONS = {200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 500: "Internal Server Error"}
