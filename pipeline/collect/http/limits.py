"""How much of a request is read, and how long the collector waits for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(slots=True, frozen=True)
class Limits:
    """Limits of a collector. Sizes in bytes."""

    body: int = 20 << 20
    """Of one request, as received and decompressed."""
    in_flight: int = 64 << 20
    """Of all requests that are being read or kept. Beyond, they wait."""
    hold_secs: float = 5.0
    """How long they wait before they are refused. SDKs give up after ten."""
    connections: int = 10_000
    head: int = 16 << 10
    headers: int = 100
    head_secs: float = 10.0
    """From the first byte of a head to its last."""
    body_secs: float = 30.0
    """Between two pieces of a body."""
    crowded_secs: float = 2.0
    """For a whole body, while others wait for its room (less than hold_secs) or for a connection."""
    idle_secs: float = 620.0
    """Between two requests of a connection; longer than proxies keep theirs (nginx and AWS 60 s, Traefik 90,
    Caddy 120, Google 600): a beacon that one of them sends while it is being closed is lost."""
    drain_secs: float = 5.0
    """After SIGTERM: how long to keep serving while not ready, until senders have noticed."""


USUAL: Final = Limits()
