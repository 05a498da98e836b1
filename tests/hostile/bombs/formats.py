"""Every format of records."""

# ruff: noqa: E501 - tables read best with a row a line

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import orjson

from pipeline.decode.scan import scan
from pipeline.language.formats import FORMATS
from pipeline.model.json import Value
from pipeline.sources.chunk import NOWHERE, RawChunk
from tests.hostile.bombs.values import RECORD, Bomb, whole


def records() -> dict[str, dict[str, bytes]]:
    """Return records of every format that are as large as they may be."""
    track = {"type": "track", "event": "bought", "userId": "u", "messageId": "m"}
    native = {"type": "event", "name": "bought", "user_id": "u", "id": "e"}
    chains: Value = {
        "text": "a.b:href=\"x\";" * 70_000, "semicolons": ";" * RECORD, "colons": ":" * RECORD, "quotes": '\\"' * 400_000,
        "open": 'a:x="' + "b" * RECORD,
    }  # fmt: skip
    posthog = {"event": "$autocapture", "distinct_id": "u", "uuid": "m", "timestamp": "2026-11-23T14:50:00Z"}
    heap = {"event": "bought", "user_id": "1", "event_id": "2", "time": "2026-11-23T14:50:00Z"}
    cloud = {"specversion": "1.0", "type": "bought", "source": "/s", "id": "1"}
    values = whole()
    return {
        "native": {shape: orjson.dumps({**native, "properties": {"a": value}}) for shape, value in values.items()},
        "segment": {
            **{shape: orjson.dumps({**track, "properties": {"a": value}}) for shape, value in values.items()},
            "batch": orjson.dumps({"batch": [track] * (RECORD // 80)}),
            "empty batch": orjson.dumps({"batch": [{}] * (RECORD // 3)}),
            "identify": orjson.dumps({"type": "identify", "userId": "u", "traits": values["keys"]}),
        },
        "posthog": {
            **{
                shape: orjson.dumps({**posthog, "properties": {"$elements_chain": chain}})
                for shape, chain in chains.items()
            },
            "elements": orjson.dumps({**posthog, "properties": {"$elements": [{"tag_name": "a"}] * 50_000}}),
            "batch": orjson.dumps({"api_key": "k", "batch": [posthog] * (RECORD // 110)}),
            "set": orjson.dumps({**posthog, "properties": {"$set": values["keys"]}}),
        },
        "heap": {
            "hierarchy": orjson.dumps({**heap, "hierarchy": "@a;.b;[href=x];|" * 60_000}),
            "pipes": orjson.dumps({**heap, "hierarchy": "|" * RECORD}),
            **{shape: orjson.dumps({**heap, "a": values[shape]}) for shape in ("ones", "keys", "text", "lists")},
        },
        "cloudevents": {
            **{shape: orjson.dumps({**cloud, "data": {"a": value}}) for shape, value in values.items()},
            "batch": orjson.dumps([cloud] * (RECORD // 70)),
            "attributes": orjson.dumps({**cloud, **{f"k{number}": 1 for number in range(70_000)}}),
        },
        "auto": {
            "rubbish": b"\xff" * RECORD, "brackets": b"[" * RECORD, "objects": b'{"a":' * (RECORD // 5),
            "digits": b"1" * RECORD, "long integers": b"[" + b"123456789012345678901," * 45_000 + b"1]",
            "surrogates": b'"' + b"\\ud800" * (RECORD // 6) + b'"', "empty": b"[" + b"{}," * (RECORD // 3) + b"{}]",
            "blanks": b" " * RECORD, "escapes": b'{"a":"' + b"\\u0041" * (RECORD // 6) + b'"}',
        },
    }  # fmt: skip


def of_formats() -> Iterator[Bomb]:
    """Yield every format: a record that is wanted, and one that is not."""

    def make(format: str, record: bytes, wanted: bool) -> Callable[[], Callable[[], object]]:
        chunk = RawChunk("p", "r.jsonl", [0], [record], NOWHERE)
        return lambda: lambda: scan(chunk, format=format, wants=lambda name, kind: wanted)

    known = records()
    others = {
        shape: orjson.dumps({"event": "a", "properties": whole()[shape]})
        for shape in ("ones", "keys", "lists", "text")
    }
    for of, found in {**dict.fromkeys(FORMATS, others), **known}.items():
        for format, (shape, record) in itertools.product(dict.fromkeys((of, "auto")), found.items()):
            for wanted in (True, False):
                case = f"{of if of != format else ''} {shape} {'wanted' if wanted else ''}"
                yield Bomb(f"format:{of}", f"{format} {case}", make(format, record[: 1 << 20], wanted))
