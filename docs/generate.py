"""Writes the generated parts of all pages, config/README.md and config/schema/. A test finds drift.

`make docs` runs it. Parts of a page stand between ``<!-- generated: NAME -->`` and ``<!-- end of NAME -->``.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path

import reference
import rights
import yaml

import pipeline
from pipeline.cli import app
from pipeline.decode.builtin import native
from pipeline.decode.decode import BY_NAME
from pipeline.language.formats import FORMATS
from pipeline.model.process.exits import MEANING, Exit
from pipeline.operate.starting import shipped
from pipeline.telemetry import happenings
from pipeline.telemetry.log import Log
from pipeline.telemetry.metrics import METRICS, prometheus_name

ROOT = Path(__file__).resolve().parents[1]


def verbs() -> str:
    """Return the table of verbs."""
    rows = ["| | verb | what it does |", "|---|---|---|"]
    for title, group in app.GROUPS.items():
        for index, (name, verb) in enumerate(group.items()):
            rows.append(f"| {'' if index else title} | `hookline {name}` | {verb.line} |")
    return "\n".join(rows) + "\n"


def exit_codes() -> str:
    """Return the table of exit codes."""
    rows = [f"| {code.value} | {MEANING[code]} |" for code in Exit]
    return "\n".join(["| exit code | meaning |", "|---|---|", *rows]) + "\n"


def metric_table() -> str:
    """Return the table of metrics, with what to do about each."""
    rows = ["| metric | kind, unit | meaning | what to do |", "|---|---|---|---|"]
    for name, metric in METRICS.items():
        labels = f" {{{', '.join(metric.labels)}}}" if metric.labels else ""
        rows.append(
            f"| `{prometheus_name(name)}`{labels} | {metric.kind}, {metric.unit} "
            f"| {metric.meaning} | {metric.remedy} |"
        )
    return "\n".join(rows) + "\n"


def log_lines() -> str:
    """Return the table of what is both logged and measured, warnings and errors, each with what to do."""
    rows = ["| line | metric | what to do |", "|---|---|---|"]
    for one in vars(happenings).values():
        if isinstance(one, happenings.Happening) and one.level is not Log.info:
            remedy = METRICS[one.metric].remedy
            rows.append(f"| {one.text.replace('|', '/')} | `{prometheus_name(one.metric)}` | {remedy} |")
    return "\n".join(rows) + "\n"


def native_format() -> str:
    """Return the documentation of the native record shape, as its module has it."""
    text = inspect.getdoc(native)
    assert text is not None
    return f"```text\n{text.partition(chr(10))[2].strip(chr(10))}\n```\n"


def shapes() -> str:
    """Return the table of built-in shapes, as the rows of decode/shapes.py say."""
    rows = [
        f"| `{name}` | {BY_NAME[name].reads} | {BY_NAME[name].side} |" for name in FORMATS if name != "auto"
    ]
    return "\n".join(["| `format` | what is read | side of a topic |", "|---|---|---|", *rows]) + "\n"


def examples() -> str:
    """Return the table of examples, as each describes itself."""
    rows = ["| file | what it sends |", "|---|---|"]
    for name in shipped.example_names():
        said = yaml.safe_load(shipped.example(name))["description"]
        rows.append(f"| `{name}.yaml` | {said} |")
    return "\n".join(rows) + "\n"


def rooms() -> str:
    """Return the table of rooms: the map that the package's own docstring is."""
    lines = re.findall(r"^(\w+) {2,}(\S.*)$", inspect.getdoc(pipeline) or "", re.MULTILINE)
    rows = [f"| `pipeline/{name}/` | {what} |" for name, what in lines]
    return "\n".join(["| room | what is in it |", "|---|---|", *rows]) + "\n"


def inner_rooms() -> str:
    """Return the table of the rooms in rooms, by the first line of what each says of itself."""
    rows = ["| room | what is in it |", "|---|---|"]
    for path in sorted((ROOT / "pipeline").glob("*/*/**/__init__.py")):
        said = ast.get_docstring(ast.parse(path.read_text())) or ""
        rows.append(f"| `{path.parent.relative_to(ROOT)}/` | {said.partition(chr(10))[0]} |")
    return "\n".join(rows) + "\n"


PARTS: dict[str, Callable[[], str]] = {
    "rooms": rooms,
    "inner rooms": inner_rooms,
    "verbs": verbs,
    "exit codes": exit_codes,
    "metrics": metric_table,
    "log lines": log_lines,
    "native format": native_format,
    "shapes": shapes,
    "examples": examples,
    "requests of the console": rights.requests,
}
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

_PART = re.compile(r"(<!-- generated: ([a-z ]+) -->\n)(.*?)(<!-- end of \2 -->)", re.DOTALL)


def generated(text: str) -> str:
    """Return the text with every generated part written anew. Raises KeyError for an unknown part."""
    return _PART.sub(lambda part: f"{part[1]}{PARTS[part[2]]()}{part[4]}", text)


def named(text: str) -> list[str]:
    """Return the names of the generated parts of a text."""
    return [part[2] for part in _PART.finditer(text)]


def main() -> None:
    """Write every file whose generated parts have drifted, and the pages that are generated as a whole."""
    for path in PAGES:
        before = path.read_text()
        after = generated(before)
        if after != before:
            path.write_text(after)
            print(f"{path.relative_to(ROOT)}: written", file=sys.stderr)
    reference.write(ROOT / "config")


if __name__ == "__main__":
    main()
