"""The parts of docs/console.md that say who may do what, made of the console's tables."""

from __future__ import annotations

from pipeline.console.security.roles import CHANGING, HIDING, RIGHTS, ROLES
from pipeline.console.serving.routes import ROUTES

_HEADS = ("viewer", "payloads", "operator", "editor", "`--read-only`", "`--hide-payloads`")


def requests() -> str:
    """Return the table of requests: who may send each, and which flag takes it from everybody."""
    rows = ["| request | " + " | ".join(_HEADS) + " |", "|---" * (len(_HEADS) + 1) + "|"]
    for route in ROUTES:
        if route.right is None:
            cells = ["without a log-in", *[""] * (len(_HEADS) - 1)]
        else:
            cells = ["yes" if route.right in RIGHTS[role] else "" for role in ROLES]
            cells += ["nobody" if route.right in taken else "" for taken in (CHANGING, HIDING)]
        rows.append(f"| `{route.method} {route.path}` | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"
