"""Custom shapes of YAML, for tests: compiled as the config's are, and read one line at a time."""

from __future__ import annotations

from typing import Any

import orjson

from pipeline.compile.shapes import compile_when
from pipeline.config.models.shape import ShapeFile
from pipeline.config.models.validate import check
from pipeline.config.yaml.diagnostics import Problem, Problems
from pipeline.config.yaml.loader import parse_yaml
from pipeline.decode.decode import decode
from pipeline.decode.mapped.shape import compile_shape
from pipeline.decode.shape import Shape
from pipeline.model.records import Origin, Record
from pipeline.recording.native_lines import native_line

HERE = Origin("a.jsonl", 7)


def problems_of(text: str) -> list[Problem]:
    """Return what is wrong with a shape's YAML."""
    return _compiled(text)[1]


def shape(text: str, name: str = "own") -> Shape:
    """Return the shape of a YAML without faults; a list is one of entries, a map with `records` the whole."""
    found, problems = _compiled(text, name)
    assert found is not None
    assert problems == [], problems
    return found


def _compiled(text: str, name: str = "own") -> tuple[Shape | None, list[Problem]]:
    root = parse_yaml(text, "own.yaml").root
    assert root is not None
    data = root.value if isinstance(root.value, dict) and "records" in root.value else {"records": root.value}
    problems = Problems()
    model = check(ShapeFile, data, problems, what="a shape")
    made = None if model is None else compile_shape(name, model, data, problems, compile_when)
    return made, problems.found


def read(by: Shape, record: Any, **given: Any) -> list[Record]:
    """Return the records of a line: a JSON value, or bytes as they are."""
    raw = record if isinstance(record, bytes | None) else orjson.dumps(record)
    return decode(raw, format=by, **{"origin": HERE, **given})


def told(by: Shape, record: Any, **given: Any) -> list[Any]:
    """Return the records of a line in native form; of a dead letter its reason."""
    return [
        one.reason if type(one).__name__ == "Invalid" else orjson.loads(native_line(one))  # type: ignore[union-attr,arg-type]  # told apart by name: both kinds are given
        for one in read(by, record, **given)
    ]
