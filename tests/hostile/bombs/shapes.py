"""Every form of custom shapes, and what Connect's schemas make of values."""

# ruff: noqa: E501 - tables read best with a row a line

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from functools import partial

import orjson

from pipeline.decode.decode import BY_NAME
from pipeline.decode.scan import scan
from pipeline.decode.shape import Shape
from pipeline.model.json import Value
from pipeline.sources.chunk import NOWHERE, RawChunk
from tests.hostile.bombs.values import RECORD, Bomb
from tests.kit.streams.shapes import shape

EVENT = "name: {text: bought}, user_id: u"
MEMBER = "name: {text: bought}, user_id: ^.u"
_LOGICAL: dict[str, dict[str, Value]] = {
    "decimal": {"name": "org.apache.kafka.connect.data.Decimal", "parameters": {"scale": "2"}},
    "scale": {"name": "org.apache.kafka.connect.data.Decimal", "parameters": {"scale": "-200000"}},
    "variable": {"name": "io.debezium.data.VariableScaleDecimal"},
}


def _many(form: str, times: int = 20) -> str:
    """Return the properties of a shape that holds a form so many times."""
    return "{" + ", ".join(f"k{number}: {form}" for number in range(times)) + "}"


def _shapes() -> Iterator[tuple[str, str, str, Value]]:
    """Yield entry, case, the shape, and a record against it."""
    text: Value = {"u": "x", "t": "x" * RECORD}
    inner: Value = {"u": "x", "t": json.dumps({"a": [1] * (RECORD // 4)})}
    listed: Value = {"u": "x", "a": [1] * 9_000, "t": "x" * (RECORD - 50_000), "b": {"c": "x" * 1_000}}
    within: Value = {"u": "x", "a": [1] * 9_000, "t": json.dumps({"a": [1] * (RECORD // 5)})}
    for pattern in ("(z)", "^(.*)y$", "(.*)", "([a-z]*[0-9]*){50}", "((?:x?){300}z)"):
        form = f"{{path: t, find: '{pattern}'}}"
        yield "form:find", pattern, f"- event: {{{EVENT}, properties: {_many(form)}}}", text
        member = f"{{path: ^.t, find: '{pattern}'}}"
        yield (
            "form:find",
            f"each {pattern}",
            f"- event: {{{MEMBER}, each: 'a[*]', properties: {_many(member, 1)}}}",
            listed,
        )
    for entry, form, record in (
        ("join", "{join: [t, t, t, t, t, t, t, t]}", text),
        ("join", "{join: [{join: [t, t, t, t]}, {join: [t, t, t, t]}]}", text),
        ("lower", "{path: t, lower: true}", {"u": "x", "t": "É" * (RECORD // 2)}),
        ("json", "{json: t, path: 'a[0]'}", inner),
        ("json", "{json: {json: {json: t}}}", {"u": "x", "t": json.dumps(json.dumps("\\" * (RECORD // 8)))}),
        ("pairs", "{pairs: p}", {"u": "x", "p": [{"key": "a", "value": 1}] * (RECORD // 23)}),
        ("path", "'p[*].a'", {"u": "x", "p": [{}] * (RECORD // 3)}),
        ("path", "[" + ", ".join(f"'p[*].a{number}'" for number in range(9)) + "]", {"u": "x", "p": [{}] * (RECORD // 3)}),
    ):  # fmt: skip
        yield f"form:{entry}", form, f"- event: {{{EVENT}, properties: {_many(form)}}}", record
    for entry, form, record in (
        ("json", "{json: ^.t, path: 'a[0]'}", within),
        ("path", "^", listed),
        ("path", "^.t", listed),
        ("path", "message.key", listed),
        ("path", "message.key.a", listed),
        ("join", "{join: [^.b.c, ^.b.c, ^.b.c]}", listed),
        ("lower", "{path: ^.t, lower: true}", listed),
        ("pairs", "{pairs: ^.a}", listed),
    ):  # fmt: skip
        yield (
            f"form:{entry}",
            f"each {form}",
            f"- event: {{{MEMBER}, each: 'a[*]', properties: {{k: {form}}}}}",
            record,
        )
    twice: Value = {"u": "x", "a": [{"b": [1] * 90}] * 4_000}
    yield "form:each", "twice", "- event: {name: {text: bought}, user_id: ^^.u, each: 'a[*].b[*]'}", twice
    yield (
        "form:each",
        "lacking",
        "- event: {name: n, user_id: ^.u, each: 'a[*]'}",
        {"u": "x", "a": [1] * (RECORD // 2)},
    )
    wrong: Value = {"u": "x", "a": [{"t": "x"}] * 9_000}
    yield "form:each", "wrong", f"- event: {{{MEMBER}, each: 'a[*]', time: t}}", wrong
    yield "form:when", "each", f"- event: {{{MEMBER}, each: 'a[*]', when: {{^.t: {{contains: zz}}}}}}", listed


def of_shapes() -> Iterator[Bomb]:
    """Yield every form, wanted and not; and values by their schema."""

    def make(made: Callable[[], Shape], record: bytes, wanted: bool) -> Callable[[], Callable[[], object]]:
        key = orjson.dumps({"a": "x" * RECORD})
        chunk = RawChunk("p", "r/0", [0], [record], NOWHERE, received=[1], keys=[key])

        def prepared() -> Callable[[], object]:
            by = made()
            return lambda: scan(chunk, format=by, wants=lambda name, kind: wanted)

        return prepared

    for entry, case, spec, record in _shapes():
        for wanted in (True, False):
            name = f"{case} {'wanted' if wanted else ''}"
            yield Bomb(entry, name, make(partial(shape, spec), orjson.dumps(record), wanted))
    letters = base64.b64encode(b"\x7f" * (RECORD // 2)).decode()
    for case, values in {
        "decimal": [letters],
        "decimal ": [letters[:1_000]] * 600,
        "scale": ["AQ=="] * 5_000,
        "variable": [{"scale": 150_000, "value": "AQ=="}] * 20_000,
    }.items():
        items: Value = {"type": "bytes", **_LOGICAL[case.strip()]}
        row = {
            "field": "after",
            "type": "struct",
            "fields": [{"field": "a", "type": "array", "items": items}],
        }
        change = {"op": "c", "after": {"a": values}, "source": {"table": "t"}}
        line = orjson.dumps({"schema": {"type": "struct", "fields": [row]}, "payload": change})
        yield Bomb(f"value:{case.strip()}", case, make(lambda: BY_NAME["debezium"], line, True))
