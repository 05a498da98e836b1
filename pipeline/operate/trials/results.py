"""The result of a test, what a test file says, and how two values differ."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, TypeVar

from pipeline.config.models.field_types import Section
from pipeline.config.models.validate import check
from pipeline.config.models.webhooks.case import Case, ShapeCase
from pipeline.config.yaml.diagnostics import Problems
from pipeline.config.yaml.document import Node
from pipeline.config.yaml.loader import decode_text, parse_yaml
from pipeline.config.yaml.locating import place
from pipeline.model.errors import ConfigError, reason
from pipeline.model.files.plain_file import read_plain
from pipeline.model.json import Value, equal
from pipeline.model.process.bounds import bounded
from pipeline.model.records import MISSING

M = TypeVar("M", bound=Section)
C = TypeVar("C", Case, ShapeCase)
Run: TypeAlias = tuple[Sequence[C], Callable[[C], list[str]]]
"""Cases, and what returns the differences from what one expects."""


@dataclass(slots=True)
class CaseResult:
    """The result of one test; ``failures`` is empty where it passes."""

    file: str
    name: str
    line: int = 0
    failures: list[str] = field(default_factory=list)
    secs: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return not self.failures

    def to_json(self) -> dict[str, Value]:
        """Return everything but the duration."""
        return {
            "file": self.file,
            "line": self.line,
            "name": self.name,
            "passed": self.passed,
            "failures": self.failures,
        }


def read_file(path: Path, shown: str, model: type[M]) -> tuple[M, Node]:
    """Return the contents of a test file, and its root. Raises ConfigError."""
    try:
        document = parse_yaml(decode_text(read_plain(path)), shown)
    except OSError as error:
        raise ConfigError(f"cannot be read: {reason(error)}") from None
    except ValueError as error:
        raise ConfigError(str(error)) from None
    findings = list(document.findings)
    problems = Problems()
    cases = None
    if document.root is not None:
        cases = check(model, document.root.value, problems, what="a test file")
        findings += [place(document, problem) for problem in problems.found]
    if cases is None or document.root is None or any(not finding.warning for finding in findings):
        raise ConfigError(findings)
    return cases, document.root


def differ(path: str, wanted: Value, got: Value, exact: bool) -> list[str]:
    """Return the lines of the differences; exact: all keys of maps count, not only expected ones."""
    if isinstance(wanted, dict) and isinstance(got, dict):
        lines = [
            line
            for key, value in wanted.items()
            for line in differ(f"{path}.{key}", value, got.get(key, MISSING), exact)
        ]
        if exact:
            lines += [f"{path}.{key}\n  + {_json(value)}" for key, value in got.items() if key not in wanted]
        return [part for line in lines for part in line.split("\n")]
    if isinstance(wanted, list) and isinstance(got, list):
        if len(wanted) == len(got):
            pairs = enumerate(zip(wanted, got, strict=True))
            return [line for index, (a, b) in pairs for line in differ(f"{path}[{index}]", a, b, exact)]
        return [
            f"{path}: {len(wanted)} elements expected, {len(got)} found",
            f"  - {_json(wanted)}",
            f"  + {_json(got)}",
        ]
    if equal(wanted, got):
        return []
    return [path, f"  - {_json(wanted)}", f"  + {_json(got)}"]


def _json(value: Value) -> str:
    return "(absent)" if value is MISSING else json.dumps(value, ensure_ascii=False)


def differ_dead(wanted: Value, got: str | None, sent: str) -> list[str]:
    """Return how a dead letter's reason differs from what was expected; sent: what there is in its place."""
    if got is None:
        return [f"expected a dead letter: {wanted}", sent]
    return [] if str(wanted) in got else ["the dead letter's reason", f"- {wanted}", f"+ {got}"]


def run_cases(
    path: Path, directory: Path, model: type[M], subject: str, read: Callable[[M], Run[C]]
) -> Iterator[CaseResult]:
    """Yield the result of every case of a test file; a broken one yields a failed result, nothing raises.

    subject: what is tested. read: gets it ready; returns the cases, and what makes the differences of one.
    """
    shown = os.path.relpath(path, directory)
    holds = "the file is a test"
    try:
        with bounded():
            file, root = read_file(path, shown, model)
            holds = f"the {subject} has no errors"
            cases, run = read(file)
    except ConfigError as error:
        yield CaseResult(shown, holds, 0, [str(error)])
        return
    listed = root.items["cases"][1].elements if root.items and "cases" in root.items else None
    lines = [node.span.line + 1 for node in listed or []]
    own = [1] * (len(cases) - len(lines))  # what the file itself is a case of
    for case, line in zip(cases, own + lines, strict=True):
        started = time.perf_counter()
        failures = run(case)
        yield CaseResult(shown, case.name, line, failures, time.perf_counter() - started)
