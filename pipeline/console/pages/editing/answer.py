"""The answer to what was posted on the edit page, kept for the page that shows it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

from pipeline.console.context import RequestContext
from pipeline.console.pages.editing.draft import Draft
from pipeline.model.findings import Finding
from pipeline.model.json import Value

MOST: Final = 16
"""Answers kept per session; the oldest are dropped."""


@dataclass(slots=True, frozen=True)
class Answer:
    """What the page shows."""

    draft: Draft
    status: int = 200
    refused: tuple[Finding, ...] = ()
    """Why it was not saved."""
    is_conflict: bool = False
    """Somebody else has saved meanwhile: the page shows the three versions."""
    asks: bool = False
    """Whether the page asks before it sends a test."""
    tested: dict[str, Value] | None = None
    """What came of a test."""


def keep(context: RequestContext, path: str, answer: Answer) -> str | None:
    """Return where a browser asks for the page of an answer; None where the viewer has no session."""
    if context.session is None:
        return None
    answers = context.session.answers
    while len(answers) >= MOST:
        del answers[next(iter(answers))]
    where = f"{path}?draft={secrets.token_hex(8)}"
    answers[where] = answer
    return where


def kept(context: RequestContext, path: str) -> Answer | None:
    """Return the answer that the query of this path names; None where it is no longer kept."""
    where = f"{path}?draft={context.query['draft']}"
    answer = None if context.session is None else context.session.answers.get(where)
    return answer if isinstance(answer, Answer) else None


def drop(context: RequestContext) -> None:
    """Forget what led to a save: Back then shows what was saved."""
    if context.session is not None:
        context.session.answers.clear()
