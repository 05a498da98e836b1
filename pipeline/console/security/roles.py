"""The rights there are, and which roles have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from pipeline.config.models.installation.console import ConsoleRole

Right = Literal["view", "payloads", "operate", "edit"]
Role: TypeAlias = ConsoleRole
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
"""Rights that ``--read-only`` removes from everybody."""

HIDING: Final[frozenset[Right]] = frozenset({"payloads"})
"""Rights that ``--hide-payloads`` removes from everybody."""


@dataclass(slots=True, frozen=True)
class Viewer:
    """The person or program behind a request."""

    name: str
    role: Role
    rights: frozenset[Right]
    by: str = ""
    """How they logged in: link, token, proxy."""


def rights_of(role: Role, *, read_only: bool = False, hide_payloads: bool = False) -> frozenset[Right]:
    """Return a role's rights in a console with these options."""
    taken = (CHANGING if read_only else frozenset()) | (HIDING if hide_payloads else frozenset())
    return RIGHTS[role] - taken
