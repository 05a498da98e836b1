"""Tests of custom shapes: `NAME.test.yaml` beside `NAME.yaml`, lines in and records out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson

from pipeline.compile.shapes import read_formats
from pipeline.config.files import JobDefaults
from pipeline.config.formats import own_names
from pipeline.config.models.webhooks.case import ShapeCase, ShapeCaseFile
from pipeline.decode.decode import decode
from pipeline.decode.shape import Shape
from pipeline.model.errors import ConfigError, InvalidRecord
from pipeline.model.json import Value
from pipeline.model.records import Invalid, Origin, Record
from pipeline.operate.trials.given import decode_message
from pipeline.operate.trials.results import CaseResult, Run, differ, differ_dead, run_cases
from pipeline.recording.native_lines import native_line
from pipeline.sources.files.lines.recorded import parse_line


def run_shape_file(path: Path, directory: Path) -> Iterator[CaseResult]:
    """Return the result of every case of a test of a shape; nothing raises."""

    def read(file: ShapeCaseFile) -> Run[ShapeCase]:
        shape, cases = _shape(path), list(file.cases)
        if file.expect is not None:
            name = "the lines give these records"
            cases.insert(0, ShapeCase(name=name, lines=file.lines, expect=file.expect, exact=file.exact))
        return cases, lambda case: run_shape_case(shape, case)

    return run_cases(path, directory, ShapeCaseFile, "shape", read)


def _shape(path: Path) -> Shape:
    """Return the shape beside a test. Raises ConfigError."""
    stem = path.name.rsplit(".test.", 1)[0]
    base = path.parent.parent
    name = next((name for name, file in own_names(base).items() if Path(file).stem == stem), None)
    if name is None:
        raise ConfigError(f"there is no shape `{stem}.yaml` beside the test")
    return read_formats(base, JobDefaults()).named[name]


def run_shape_case(shape: Shape, case: ShapeCase) -> list[str]:
    """Return what differs from what was expected, each a text of one or more lines."""
    got = [_told(record) for at, line in enumerate(case.lines) for record in _read(line, at, shape)]
    wanted = case.expect
    failures = []
    for number, (one, given) in enumerate(zip(got, wanted, strict=False), 1):
        lines = _differ(given, _as_read(given, one), one, case.exact)
        if lines:
            failures.append("\n".join([f"record {number}:", *(f"  {line}" for line in lines)]))
    for number in range(len(wanted) + 1, len(got) + 1):
        failures.append(f"record {number} was not expected:\n  {orjson.dumps(got[number - 1]).decode()}")
    for number in range(len(got) + 1, len(wanted) + 1):
        failures.append(f"record {number} was expected and is not there")
    return failures


def _read(line: Value, at: int, shape: Shape) -> Sequence[Record]:
    raw = line.encode() if isinstance(line, str) else orjson.dumps(line, default=str)
    origin = Origin("test", at)
    if not (isinstance(line, dict) and line.keys() >= {"hookline", "source", "offset"}):
        return decode(raw, format=shape, origin=origin)
    try:
        message = parse_line(raw)
    except InvalidRecord as error:
        return [Invalid(raw, str(error), origin)]
    return decode_message(message, shape)


def _told(record: Record) -> dict[str, Value]:
    """Return a record in native form; for a dead letter its reason."""
    if isinstance(record, Invalid):
        return {"dead_letter": record.reason}
    found: dict[str, Value] = orjson.loads(native_line(record))
    return found


def _as_read(given: dict[str, Value], got: dict[str, Value]) -> dict[str, Value]:
    """Return what is expected in Hookline's own notation; omitted fields are as they came."""
    if "dead_letter" in given:
        return given
    who = {name: got[name] for name in ("type", "name", "user_id", "anonymous_id") if name in got}
    whole = orjson.dumps({**who, **given}, default=str)
    (record, *more) = decode(whole, format="native", origin=Origin("expect", 0))
    return {"dead_letter": "it is more than one record"} if more else _told(record)


def _differ(
    given: dict[str, Value], normal: dict[str, Value], got: dict[str, Value], exact: bool
) -> list[str]:
    """Return the lines of the differences, in the given fields (all of them where it is `exact`)."""
    if "dead_letter" in given:
        return differ_dead(given["dead_letter"], got.get("dead_letter"), f"+ {orjson.dumps(got).decode()}")
    if "dead_letter" in normal:
        return [f"what is expected is no record in Hookline's own form: {normal['dead_letter']}"]
    wanted = {name: value for name, value in normal.items() if exact or name in given}
    return differ("record", wanted, got, exact)
