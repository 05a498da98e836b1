"""Which processes of a job are connected, read from the system's socket table.

Bytewax listens and connects by itself, and takes whoever connects first for the process it expects. So their
parent watches while they find one another: another user's socket at one of their ports is a stranger,
whatever it has sent by then. Root could read the processes anyway.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_ESTABLISHED, _LISTENING = "01", "0A"
_LOOPBACK: Final = ("0100007F", "0000000000000000FFFF00000100007F")
"""127.0.0.1 as the tables write it, also inside an IPv6 address."""


@dataclass(slots=True, frozen=True)
class Mesh:
    """The connections at these ports of 127.0.0.1."""

    strangers: frozenset[int]
    """Users other than ours and root at either end."""
    connections: int
    is_open: bool
    """Whether a port is still being listened on."""


def look(ports: Collection[int], tables: Collection[Path] = TABLES) -> Mesh | None:
    """Return who is connected to these ports; None where the system does not tell."""
    strangers: set[int] = set()
    connections, is_open, ours = 0, False, {0, os.geteuid()}
    try:
        for line in _lines(tables):
            _, local, remote, state, *rest = line.split()
            uid, inode = int(rest[3]), rest[5]
            is_local, is_remote = _is_at(local, ports), _is_at(remote, ports)
            if state == _LISTENING and is_local:
                is_open = True
            # A connection that nobody has accepted yet has no owner.
            elif state == _ESTABLISHED and inode != "0" and (is_local or is_remote):
                connections += is_local
                if uid not in ours:
                    strangers.add(uid)
    except (OSError, ValueError, IndexError):
        return None
    return Mesh(frozenset(strangers), connections, is_open)


def _lines(tables: Collection[Path]) -> Iterator[str]:
    for table in tables:
        if table.exists():
            yield from table.read_text().splitlines()[1:]


def _is_at(end: str, ports: Collection[int]) -> bool:
    address, _, port = end.partition(":")
    return address in _LOOPBACK and int(port, 16) in ports
