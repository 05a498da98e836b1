"""What may be done, and which roles may do it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

Right = Literal["view", "payloads", "operate", "edit"]
Role = Literal["viewer", "payloads", "operator", "editor"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
RIGHTS: Final[dict[Role, frozenset[Right]]] = {
    "viewer": frozenset({"view"}),
    "payloads": frozenset({"view", "payloads"}),
    "operator": frozenset({"view", "payloads", "operate"}),
    "editor": frozenset({"view", "payloads", "operate", "edit"}),
}
"""view: pages and counts. payloads: bodies, properties, user ids. operate: send, replay, pause, drop.
edit: files."""
CHANGING: Final[frozenset[Right]] = frozenset({"operate", "edit"})
"""Rights that ``--read-only`` takes from everybody."""


@dataclass(slots=True, frozen=True)
class Viewer:
    """Who asks."""

    name: str
    role: Role
    rights: frozenset[Right]
