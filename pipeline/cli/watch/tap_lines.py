"""The lines of a tap as a person reads them: one line each, a JSON object, YAML, or a command for curl."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson
from rich.cells import cell_len, set_cell_size

from pipeline.model.printable import one_line, printable, printable_json
from pipeline.operate.curl import curl_of
from pipeline.operate.tap.retry_words import retry_words

Line = Mapping[str, Any]

STAGE_WIDTH: Final = 10
SEEN: Final = 200
"""Characters of a value that a clause saw."""
PAYLOAD: Final = ("record", "known", "before", "request", "raw", "response")


def text_line(line: Line, width: int | None = None, *, full: bool = False) -> str:
    """Return the line, cut to the width of a terminal, with the clauses that do not hold below it.

    full: with the payload below it, uncut.
    """
    parts = [str(line["at"])[11:23], f"{line['stage']:<{STAGE_WIDTH}}"]
    if line.get("webhook"):
        parts.append(str(line["webhook"]))
    if line["stage"] in ("sent", "dead"):
        parts += _attempt(line)
    if line.get("kind"):
        parts.append(str(line["kind"]))
    parts += [str(line[name]) for name in ("event", "user") if line.get(name)]
    if line["stage"] not in ("sent", "dead") and line.get("reason"):
        parts.append(str(line["reason"]))
    if line.get("webhook_id"):
        parts.append(str(line["webhook_id"]))
    elif line["stage"] in ("read", "invalid", "skipped"):
        parts.append(str(line["origin"]))
    rows = [_fit(one_line(" ".join([parts[0], "  ".join(parts[1:])])), width)]
    for one in line.get("why", ()):
        rows += _clause(one, width)
    if full:
        rows += [f"  {name}: {_compact(line[name])}" for name in PAYLOAD if line.get(name)]
    return "\n".join(rows)


def _attempt(line: Line) -> list[str]:
    status, response = line.get("status"), str(line.get("response") or "")
    said = str(status) if status else response.partition(":")[0] or "-"
    outcome = str(line["outcome"])
    if outcome == "retry":
        outcome = retry_words(line)
    elif outcome == "dead":
        outcome = f"dead ({line.get('reason', '')})"
    found = [f"{said} {outcome}", f"attempt {line['attempt']}"]
    return [*found, f"{line['ms']:.0f} ms"] if "ms" in line else found


def _clause(one: Line, width: int | None) -> list[str]:
    """Return a clause and what it saw, which is below it where both are too wide for one row."""
    of = f"{one['webhook']}: " if "webhook" in one else ""
    mark = "✓" if one["holds"] else "✗"
    indent = " " * 13 + "  " * one["depth"]
    clause = one_line(f"{indent}{mark} {of}{one['clause']}")
    saw = ""
    if one.get("path") is not None:
        value = _compact(one["value"]) if "value" in one else "missing"
        saw = f"{one['path']} is {value if len(value) <= SEEN else value[:SEEN] + '…'}"
    saw = one_line(saw + (f" ({one['advice']})" if "advice" in one else ""))
    row = f"{clause}   {saw}" if saw else clause
    is_wide = width is not None and cell_len(row) > width
    rows = [clause, f"{indent}    {saw}"] if is_wide and saw else [row]
    return [_fit(row, width) for row in rows]


def _fit(row: str, width: int | None) -> str:
    return row if width is None or cell_len(row) <= width else f"{set_cell_size(row, width - 1)}…"


def _compact(value: object) -> str:
    return printable_json(orjson.dumps(value, default=str).decode())


def json_line(line: Line) -> str:
    """Return the line as one JSON object."""
    return _compact(line)


def yaml_document(line: Line) -> str:
    """Return the line as a document of YAML."""
    import yaml

    text = yaml.safe_dump(dict(line), sort_keys=False, allow_unicode=False, width=100)
    return f"---\n{printable(text)}".rstrip("\n")


def curl_command(line: Line) -> str:
    """Return the request as a command for curl, with ``${NAME}`` for each secret; "" where there is none."""
    request = line.get("request")
    if not isinstance(request, dict) or not request.get("url"):
        return ""
    headers, body = request["headers"], request.get("body")
    pairs = headers.items() if isinstance(headers, dict) else headers
    sent = "" if body is None else body if isinstance(body, str) else orjson.dumps(body).decode()
    return printable(f"# {text_line(line)}\n{curl_of(request['method'], request['url'], pairs, sent)}")


FORMATS: Final[dict[str, Callable[[Line], str]]] = {
    "json": json_line,
    "yaml": yaml_document,
    "curl": curl_command,
}
"""But for `line`, which knows the terminal's width."""
