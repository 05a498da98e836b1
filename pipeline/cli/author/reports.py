"""The output of check and diff for code hosts: line annotations, and a comment in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from pipeline.model.findings import Finding, in_order
from pipeline.model.words import counted
from pipeline.operate.trials.diff import KINDS

if TYPE_CHECKING:
    from pipeline.job.trials.preview import Preview
    from pipeline.operate.trials.diff import Difference

MARKS = {"appear": "new", "vanish": "gone", "change": "changed"}
MOST_SHOWN = 60_000
"""Characters of a comment: code hosts take 65,536."""


def annotated(findings: Iterable[Finding], root: str) -> Iterator[str]:
    """Yield a workflow command of GitHub Actions per finding: it is shown at its line of a pull request.

    https://docs.github.com/actions/reference/workflow-commands-for-github-actions
    """
    for one in in_order(findings):
        place = {"file": str(Path(root) / one.file) if one.file else root}
        if one.line:
            place |= {"line": str(one.line), "col": str(one.column)}
        place["title"] = one.code
        fields = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in place.items())
        told = f"{one.message}\n{one.hint}" if one.hint else one.message
        yield f"::{'warning' if one.warning else 'error'} {fields}::{_escaped(told)}"


def _escaped(text: str, also: str = "") -> str:
    for letter in "%\r\n" + also:
        text = text.replace(letter, f"%{ord(letter):02X}")
    return text


def markdown(found: Mapping[str, Difference]) -> str:
    """Return what differs as a comment for a pull request: a table, then the first requests of each kind."""
    differing = {webhook: one for webhook, one in found.items() if one.differs}
    if not differing:
        return f"**Hookline**: the same requests as before from {counted(len(found), 'webhook')}.\n"
    text = (
        f"**Hookline**: {counted(len(differing), 'webhook')} of {len(found):,} would send other requests.\n"
    )
    text += "\n| webhook | " + " | ".join(KINDS) + " |\n|---|" + "---:|" * len(KINDS) + "\n"
    rows = (
        f"| `{webhook}` | " + " | ".join(f"{one.counts[kind]:,}" for kind in KINDS) + " |\n"
        for webhook, one in differing.items()
    )
    parts = ("\n".join(_samples(webhook, one)) for webhook, one in differing.items())
    for part in chain(rows, parts):
        if len(text) + len(part) > MOST_SHOWN:
            return text + "\nMore than a comment holds: `hookline diff` shows all of it.\n"
        text += part
    return text


def _samples(webhook: str, found: Difference) -> Iterator[str]:
    yield f"\n<details><summary><code>{webhook}</code>: the first requests that differ</summary>\n"
    for kind, mark in MARKS.items():
        for old, new in found.samples.get(kind, []):
            shown = [
                f"{sign} {line}"
                for sign, one in (("-", old), ("+", new))
                if one is not None
                for line in _request(one)
            ]
            fence = "`" * max(3, 1 + max(_ticks(line) for line in shown))
            yield "\n".join([f"\n{mark}:\n", f"{fence}diff", *shown, fence])
    yield "\n</details>\n"


def _request(shown: Preview) -> list[str]:
    if not shown.method:
        return [shown.line()]
    body = shown.body
    text = body if isinstance(body, str) else orjson.dumps(body, option=orjson.OPT_INDENT_2).decode()
    return [f"{shown.method} {shown.url}", *text.splitlines()]


def _ticks(line: str) -> int:
    """Return how many backticks stand together in a line at most."""
    most = run = 0
    for letter in line:
        run = run + 1 if letter == "`" else 0
        most = max(most, run)
    return most
