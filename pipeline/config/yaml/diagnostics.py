"""Problems of a config: collected while it is read and compiled, located and rendered at the end.

Everything that checks a part of a file gets a `Problems` collector and names the place by the path of keys
and indexes from the file's root. Nothing raises at the first problem: all of them are shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partialmethod

KeyPath = tuple[str | int, ...]
"""Keys and list indexes from the root of a file: ``("trigger", "where", 0, "event.properties.amount")``."""


@dataclass(slots=True, frozen=True)
class Problem:
    """One finding, not yet located in the text."""

    path: KeyPath
    code: str
    """A stable kebab-case name: ``unknown-field``, ``template-syntax``, ..."""
    message: str
    hint: str | None = None
    """The remedy, or a "did you mean"."""
    on_key: bool = False
    """True: point at the key at the end of the path, not at its value."""
    offset: int | None = None
    """The character concerned inside the scalar's text, e.g. the position in a template."""
    length: int | None = None
    warning: bool = False


@dataclass(slots=True)
class Problems:
    """Collector for one file. ``at(...)`` gives a view that prefixes paths, for nested checks."""

    found: list[Problem] = field(default_factory=list)
    prefix: KeyPath = ()
    stored: bool = False
    """True: a version from a state directory is checked, which some version of Hookline has accepted."""

    def at(self, *parts: str | int) -> Problems:
        """Return a collector of the same list whose paths start with these parts."""
        return Problems(self.found, self.prefix + parts, self.stored)

    def error(
        self,
        path: KeyPath,
        code: str,
        message: str,
        *,
        hint: str | None = None,
        on_key: bool = False,
        offset: int | None = None,
        length: int | None = None,
        warning: bool = False,
        is_new: bool = False,
    ) -> None:
        """Add an error: the file cannot be used."""
        if not (is_new and self.stored):
            found = Problem(self.prefix + path, code, message, hint, on_key, offset, length, warning)
            self.found.append(found)

    warn = partialmethod(error, warning=True)
    """Add a warning: the file works, but probably not as meant."""

    refuse = partialmethod(error, is_new=True)
    """Add an error that an older Hookline did not know: it counts only where files are read.

    A stored version keeps the meaning it had, so that what it owes is still sent.
    """

    def soften(self, code: str) -> None:
        """Make warnings of the errors of this code."""
        self.found[:] = [replace(one, warning=True) if one.code == code else one for one in self.found]

    @property
    def errors(self) -> int:
        """How many of the problems are errors."""
        return sum(not problem.warning for problem in self.found)
