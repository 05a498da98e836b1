"""The result of a test, what a test file says, and how two values differ."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pipeline.config.models.field_types import Section
from pipeline.config.models.validate import check
from pipeline.config.yaml.diagnostics import Problems
from pipeline.config.yaml.document import Node
from pipeline.config.yaml.loader import decode_text, parse_yaml
from pipeline.config.yaml.locating import place
from pipeline.model.errors import ConfigError, reason
from pipeline.model.files.plain_file import read_plain
from pipeline.model.json import Value, equal
from pipeline.model.records import MISSING

M = TypeVar("M", bound=Section)


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


def case_lines(root: Node) -> list[int]:
    """Return the line number of each of a file's `cases`."""
    listed = root.items["cases"][1].elements if root.items and "cases" in root.items else None
    return [node.span.line + 1 for node in listed or []]
