"""Where to listen, as a flag says it."""

from __future__ import annotations

from pipeline.model.errors import UsageError


def parse_address(text: str, flag: str = "--metrics") -> tuple[str, int]:
    """Return host and port of ``PORT`` (this machine only) or ``HOST:PORT``; raises UsageError."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise UsageError(
            f"{flag}: `{text}` is not an address; want PORT or HOST:PORT, e.g. 9090 or 0.0.0.0:9090"
        )
    return host.strip("[]") or "127.0.0.1", int(port)
