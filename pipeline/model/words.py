"""Words for people: "did you mean", plurals, reasons without a machine's own terms."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import TypeVar, cast

from pipeline.model.errors import UsageError

W = TypeVar("W", bound=str)
LIKENESS = 0.6
"""How similar the known word must be, from 0 to 1: one letter of two may differ."""


_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")

LISTED = 20
"""Known words that are listed where none is similar."""


def counted(number: int, noun: str) -> str:
    """Return ``1 record``, ``2 records``, ``1,000 records``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def without_addresses(reason: str) -> str:
    """Return a reason without memory addresses: they mean nothing and differ from run to run."""
    return _ADDRESS.sub("", reason) if " at 0x" in reason else reason


def did_you_mean(word: str, known: Iterable[str], likeness: float = LIKENESS) -> str | None:
    """Return the known word that was probably meant, ignoring case, or None."""
    import difflib  # only for mistakes

    by_fold = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), by_fold, n=1, cutoff=likeness)
    return by_fold[close[0]] if close else None


def meant_or(word: str, known: Iterable[str], otherwise: str, likeness: float = LIKENESS) -> str:
    """Return the hint that names the known word that was probably meant, or else the other hint."""
    close = did_you_mean(word, known, likeness)
    return otherwise if close is None else f"did you mean `{close}`?"


def one_of(word: str, known: Collection[W], what: str) -> W:
    """Return a known word. Raises UsageError for others, with the one that was probably meant."""
    if word not in known:
        hint = meant_or(word, known, f"there are {', '.join(known)}")
        raise UsageError(f"there is no {what} `{word}`: {hint}")
    return cast(W, word)


_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])0?([0-9]|1[0-4])(?::?00)?", re.ASCII | re.IGNORECASE)


def zone_meant(name: object) -> str | None:
    """Return the hint for an unknown time zone; None where no IANA name is similar."""
    if not isinstance(name, str) or len(name) > LONGEST_ZONE:
        return None
    offset = _OFFSET.fullmatch(name.replace(" ", ""))
    if offset is not None:
        fixed = f"Etc/GMT{'-' if offset[1] == '+' else '+'}{offset[2]}"
        return f"a fixed offset is `{fixed}`, its sign turned round; `Europe/Berlin` knows summer time"
    from zoneinfo import available_timezones  # imported here: only needed for mistakes

    known = available_timezones()
    city = [one for one in known if one.rpartition("/")[2].lower() == name.strip().lower().replace(" ", "_")]
    meant = min(city, default=None) or did_you_mean(name, known, 0.8)
    return f"did you mean `{meant}`?" if meant is not None else None


LONGEST_ZONE = 40
"""Longer texts are not taken for a time zone."""


def likeness(word: str, other: str) -> float:
    """Return how similar two words are, from 0 to 1."""
    import difflib  # as above

    return difflib.SequenceMatcher(None, word, other).ratio()


def no_webhook(webhook_id: str, known: Collection[str]) -> str:
    """Return the message that there is no such webhook, with a similar one or those there are."""
    meant = did_you_mean(webhook_id, known)
    if meant is not None:
        return f"there is no webhook `{webhook_id}`; did you mean `{meant}`?"
    more = f" and {len(known) - LISTED} more" if len(known) > LISTED else ""
    return (
        f"there is no webhook `{webhook_id}`; there are: {', '.join(sorted(known)[:LISTED]) or 'none'}{more}"
    )
