"""The filters of a list, as they stand in the URL: every invalid value is reported."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from pipeline.console.context import RequestContext
from pipeline.job.tap.answers import checked_statuses
from pipeline.model.errors import UsageError
from pipeline.model.times import parse_when
from pipeline.model.words import one_of
from pipeline.operate.kept.dlq import Selection
from pipeline.operate.kept.outbox import Owing
from pipeline.operate.overview.needs import is_stable

T = TypeVar("T")
SECRET = ("user", "text")
"""Filters on payloads are for viewers who may see them: the matches would reveal the contents."""


@dataclass(slots=True)
class Filter(Generic[T]):
    """A selection, the words it was made from, and their errors."""

    wanted: T
    typed: dict[str, str]
    """Only the words given, as typed."""
    problems: dict[str, str] = field(default_factory=dict)
    """By field."""
    known: Collection[str] = ()
    """All words that there are."""

    @property
    def is_narrow(self) -> bool:
        """Whether it filters by more than the kind."""
        return bool(self.typed.keys() - {"kind"})

    def link(self, path: str, **changes: str | None) -> str:
        """Return the path with these words changed; None or "" removes one."""
        words = {name: value for name, value in {**self.typed, **changes}.items() if value}
        return f"{path}?{urlencode(words)}" if words else path

    def require(self, given: Iterable[str] = ()) -> T:
        """Return the selection. given: words none of which may be passed over. Raises UsageError for invalid
        and unknown ones.
        """
        for name in given:
            one_of(name, self.known, "filter")
        for name, problem in self.problems.items():
            raise UsageError(f"{name}: {problem}")
        return self.wanted


def dead_filter(context: RequestContext, given: Mapping[str, str]) -> Filter[Selection]:
    """Return the filter for dead letters.

    By webhook, kind, reason, status, since, until, user, text and id.
    """
    words = _Words(context, given)
    kind = words.one("kind", ("requests", "records"))
    selection = Selection(
        kind="records" if kind == "records" else "requests" if kind == "requests" else None,
        reason=words.text("reason"),
        ids=tuple(one for one in (words.text("id") or "").split(",") if one),
        **words.rows(),
    )
    return Filter(selection, words.typed, words.problems, words.known)


def owed_filter(context: RequestContext, given: Mapping[str, str]) -> Filter[Owing]:
    """Return the filter for pending requests: webhook, status, due, since, until, user, text."""
    words = _Words(context, given)
    due = words.one("due", ("now", "later"))
    owing = Owing(
        due="now" if due == "now" else "later" if due == "later" else None,
        **words.rows(),
    )
    return Filter(owing, words.typed, words.problems, words.known)


class _Words:
    def __init__(self, context: RequestContext, given: Mapping[str, str]) -> None:
        self._asked = context
        self._given = given
        self.typed: dict[str, str] = {}
        self.problems: dict[str, str] = {}
        self.known: list[str] = []

    def text(self, name: str) -> str | None:
        """Return a word; None where it is not given, or the viewer may not use it."""
        self.known.append(name)
        value = self._given.get(name, "").strip()
        if not value:
            return None
        if name in SECRET and not self._asked.may("payloads"):
            self.problems[name] = "your role may not see payloads, and so not search them"
            return None
        if name == "reason" and not is_stable(value) and not self._asked.may("payloads"):
            self.problems[name] = "your role sees only reasons of one word, such as status-400"
            return None
        self.typed[name] = value
        return value

    def rows(self) -> dict[str, Any]:
        """Return what selects dead letters and pending requests alike."""
        return {
            "webhook": self.text("webhook"),
            "statuses": self.read("status", _statuses) or (),
            "since": self.read("since", parse_when),
            "until": self.read("until", parse_when),
            "user": self.text("user"),
            "text": self.text("text"),
            "seen": self._asked.masked if self._asked.console.mask else None,
        }

    def one(self, name: str, known: tuple[str, ...]) -> str | None:
        value = self.text(name)
        if value is not None and value not in known:
            self.problems[name] = f"`{value}` is none of {', '.join(known)}"
        return value

    def read(self, name: str, reader: Callable[[str], T]) -> T | None:
        value = self.text(name)
        if value is None:
            return None
        try:
            return reader(value)
        except (UsageError, ValueError) as error:
            self.problems[name] = str(error)
            return None


def _statuses(text: str) -> tuple[str, ...]:
    return checked_statuses([word.strip() for word in text.split(",") if word.strip()])
