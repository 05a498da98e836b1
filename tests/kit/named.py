"""Names of cases whose values are large: said to the length of the name, not whole."""

from __future__ import annotations

import reprlib
from collections.abc import Callable


def cut(length: int) -> Callable[[object], str]:
    """Return what names a case by the beginning of its value: `ids=cut(40)`."""
    brief = reprlib.Repr()
    brief.maxdict = brief.maxlist = brief.maxtuple = 4
    brief.maxlevel, brief.maxstring, brief.maxother = 12, 2 * length, 2 * length
    return lambda case: case[:length] if isinstance(case, str) else brief.repr(case)[:length]
