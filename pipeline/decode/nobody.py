"""Ids that stand for nobody: what a bug, a placeholder or a switched-off tracker leaves in place of an id.

A link by such an id would make one user of everybody who has it. PostHog refuses to merge such ids; this list
is modelled on its own, in any case and also for those that it refuses in one spelling only.

And ids that a device made: of two ids of one user, not the account's.
"""

from __future__ import annotations

import re
from typing import Final

_NOBODY: Final = frozenset(
    {
        "",
        # what languages print for nothing
        "undefined", "null", "(null)", "<null>", "none", "nil", "nan", "[object object]",
        "0", "0.0", "-0", "-1", "true", "false", "{}", "[]",
        # words for somebody who is not known
        "anonymous", "anon", "guest", "unknown", "nobody", "not_authenticated", "unauthenticated", "n/a",
        # the name of the field in place of its value
        "distinct_id", "distinctid", "id", "user_id", "userid", "anonymous_id", "anonymousid", "email",
        # phones whose owner forbids tracking
        "00000000-0000-0000-0000-000000000000",
    }
)  # fmt: skip
_QUOTES: Final = "\"'`"


def stands_for_nobody(name: str) -> bool:
    """Return whether an id stands for nobody: blank, or one of the known words, in any case or quotes."""
    if len(name) > 64:
        return not name.strip()
    bare = name.strip()
    while len(bare) > 1 and bare[0] in _QUOTES and bare[-1] == bare[0]:
        bare = bare[1:-1].strip()
    return bare.lower() in _NOBODY


_RANDOM: Final = re.compile(
    r"(?:\$device:)?(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{11,16}(?:-[0-9a-f]{4,20}){4})",
    re.IGNORECASE,
)
"""A UUID, or what PostHog's and Mixpanel's older browsers made: five numbers."""


def looks_random(name: str) -> bool:
    """Return whether an id was made by a browser or a phone, as nobody's account is called."""
    return _RANDOM.fullmatch(name) is not None
