"""JSON Schema for editors, generated from the models and from the tables of operators.

A file names its schema in its first line, which the YAML language server of VS Code, Neovim and JetBrains
reads: ``# yaml-language-server: $schema=../schema/webhook.json``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import orjson

from pipeline.config.models.schema import SCHEMAS, model_schema
from pipeline.language.units import show_duration
from pipeline.model.files.disk import write_text
from pipeline.model.json import Value
from pipeline.operate.schemas.trees import definitions, ref, said


def schema(kind: str) -> dict[str, Value]:
    """Return the schema of a kind of file: webhook, label, shape, pipeline, test or shape-test."""
    model, title = SCHEMAS[kind]
    found = model_schema(model)
    parts: dict[str, Value] = found.setdefault("$defs", {})
    trees = definitions() if not kind.endswith("test") else {}
    _put_trees(model.__name__, found, parts)
    _as_written(found)
    parts |= {name: trees[name] for name in sorted(_used(found, trees))}
    for name, rule in _RULES.items():
        part = found if name == model.__name__ else parts.get(name)
        if part is not None:
            part.setdefault("allOf", []).extend(rule)
    if kind == "webhook":
        _allow_bases(found, parts)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found, "title": title}


def schema_text(kind: str) -> str:
    """Return the schema as it is written to config/schema/."""
    return orjson.dumps(schema(kind), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def write_schemas(directory: Path) -> list[Path]:
    """Write one file per kind, and return them."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for kind in SCHEMAS:
        path = directory / f"{kind}.json"
        write_text(path, schema_text(kind))
        written.append(path)
    return written


_IDS: Final = ("user_id", "anonymous_id", "id", "source")
_TREES: Final = {
    ("Trigger", "where"): "Condition",
    ("LabelFile", "where"): "Condition",
    ("LabelEntry", "where"): "Condition",
    ("DeliverySettings", "fail_when"): "ResponseCondition",
    ("DeliverySettings", "retry_when"): "ResponseCondition",
    ("Request", "body"): "Body",
    ("Capture", "text"): "Said",
    ("Capture", "href"): "Said",
    ("Capture", "path"): "Said",
    ("Capture", "url"): "Said",
    ("ShapeEntry", "when"): "RecordCondition",
    **{(part, "when"): "RecordCondition" for part in ("EventPart", "UserPart", "LinkPart")},
    **{(part, "time"): "RecordTime" for part in ("EventPart", "UserPart", "LinkPart")},
    ("EventPart", "received_at"): "RecordTime",
    **{("EventPart", name): "NameSource" for name in ("name", "kind", *_IDS)},
    **{("UserPart", name): "NameSource" for name in _IDS},
    ("UserPart", "unset"): "Source",
    **{("LinkPart", name): "NameSource" for name in ("user_id", "anonymous_id", "source")},
    **{("EventPart", name): "RecordObject" for name in ("properties", "context")},
    **{("UserPart", name): "RecordObject" for name in ("set", "set_once")},
    ("UserPart", "delete"): "Deletion",
}
"""Fields whose contents a compiler checks, and their definition."""


def _put_trees(model: str, found: dict[str, Value], parts: dict[str, Value]) -> None:
    for (section, field), name in _TREES.items():
        part = found if section == model else parts.get(section)
        if part is not None:
            kept = {key: part["properties"][field].get(key) for key in ("description", "examples")}
            part["properties"][field] = {
                "anyOf": [ref(name), {"type": "null"}],
                "default": None,
                **{key: value for key, value in kept.items() if value is not None},
            }


def _used(node: Value, trees: dict[str, Value]) -> set[str]:
    """Return the names of the trees that a schema refers to, directly or indirectly."""
    todo, used = [node], set[str]()
    while todo:
        one = todo.pop()
        if isinstance(one, list):
            todo += one
        elif isinstance(one, dict):
            todo += one.values()
            name = str(one.get("$ref", "")).removeprefix("#/$defs/")
            if name in trees and name not in used:
                used.add(name)
                todo.append(trees[name])
    return used


def _given(name: str) -> Value:
    """The field is present and not null."""
    return said(name, **{"not": {"type": "null"}})


def _at_least_one(*names: str) -> Value:
    return {"anyOf": [_given(name) for name in names]}


def _excludes(name: str, *others: str) -> list[Value]:
    return [{"not": {"allOf": [_given(name), _given(other)]}} for other in others]


def _exclusive(*names: str) -> list[Value]:
    return [rule for at, name in enumerate(names) for rule in _excludes(name, *names[at + 1 :])]


def _filled(*names: str) -> Value:
    """None of these is an empty text, list or map."""
    return {"properties": {name: {"not": {"enum": ["", [], {}]}} for name in names}}


def _some(name: str) -> Value:
    """The field is a list that is not empty."""
    return said(name, minItems=1)


def _when(field: str, values: list[str], then: Value) -> Value:
    return {"if": said(field, enum=values), "then": then}


_LABELLED = ("events", "where", "capture")
_JSON_TEXT = r"^\s*(\{(?![{%])|\[)[\s\S]*[}\]]\s*$"
_RULES: Final[dict[str, list[Value]]] = {
    "Trigger": [*_exclusive("events", "changes"), _filled("events", "changes")],
    "Request": [
        _when("method", ["GET", "DELETE"], {"not": _given("body")}),
        _when("encoding", ["text"], said("body", type="string")),
        {"if": _given("content_type"), "then": said("encoding", const="text")},
        {
            "if": {"properties": {"encoding": {"const": "json"}}},
            "then": {"properties": {"body": {"not": {"type": "string", "pattern": _JSON_TEXT}}}},
        },
    ],
    "AuthSection": _exclusive("basic", "bearer", "header", "oauth2"),
    "SignatureSection": _exclusive("standard_webhooks", "hmac"),
    "StandardSignature": [_filled("secrets")],
    "DeliverySettings": [{"if": _given("proxy"), "then": said("client", const="aiohttp")}],
    "BatchSettings": [_when("as", ["ndjson"], {"not": _given("wrap")})],
    "WebhookFile": [
        {
            "not": {
                "required": ["delivery", "request"],
                "properties": {
                    "delivery": _given("batch"),
                    "request": said("encoding", enum=["form", "text"]),
                },
            }
        }
    ],
    "Capture": [_filled("kind")],
    "LabelEntry": [_at_least_one(*_LABELLED), _filled(*_LABELLED)],
    "LabelFile": [_at_least_one("any", *_LABELLED), *_excludes("any", *_LABELLED), _filled(*_LABELLED)],
    "SourceSection": _exclusive("jsonl", "kafka"),
    "JsonlSource": [
        _at_least_one("paths", "events", "users"),
        *_excludes("paths", "events", "users"),
    ],
    "KafkaSource": [_at_least_one("events", "users", "topics")],
    "EventPart": [_at_least_one("user_id", "anonymous_id")],
    "UserPart": [_at_least_one("user_id", "anonymous_id")],
    "InlineShape": [_filled("records")],
    "ShapeFile": [_filled("records")],
    "ShapeEntry": [
        _at_least_one("event", "user", "link", "ignore"),
        *_excludes("ignore", "event", "user", "link"),
        _filled("event", "user", "link"),
    ],
    "CollectTo": [_at_least_one("recording", "kafka"), *_exclusive("recording", "kafka")],
    "CollectKey": [_filled("key")],
    "HookVerify": [
        _at_least_one("stripe", "github", "shopify", "standard_webhooks"),
        _filled("stripe", "github", "shopify", "standard_webhooks"),
    ],
    "ConsoleProxy": [_filled("from")],
    "ConsoleSection": [
        {"properties": {"secrets": {"additionalProperties": {"not": {"enum": ["", []]}}}}},
    ],
    "ShapeCaseFile": [
        {"if": _given("expect"), "then": _some("lines"), "else": {"not": _some("lines"), **_some("cases")}},
    ],
    "GivenUser": [_at_least_one("id", "anonymous_id"), *_exclusive("id", "anonymous_id")],
}
"""Rules between the fields of a section."""


def _allow_bases(found: dict[str, Value], parts: dict[str, Value]) -> None:
    """With `extends`, required fields may be in the base."""
    parts["Request"].pop("required")
    found["required"] = ["id"]
    found["allOf"].append(
        {
            "if": {"not": _given("extends")},
            "then": {
                "required": ["trigger", "request"],
                "properties": {
                    "request": {"required": ["url"]},
                    "trigger": _at_least_one("events", "changes"),
                },
            },
        }
    )


_PLACEHOLDER = r"\$\{"


def _as_written(node: Value) -> None:
    """Show durations as people write them, and allow ``${NAME}`` where a pattern or a number is expected."""
    if isinstance(node, list):
        for inner in node:
            _as_written(inner)
    elif isinstance(node, dict):
        for inner in node.values():
            _as_written(inner)
        default = node.get("default")
        if str(node.get("title", "")).startswith("duration") and isinstance(default, float):
            node["default"] = show_duration(default)
        if "pattern" in node and node.get("type") == "string":
            node["pattern"] = f"{node['pattern']}|{_PLACEHOLDER}"
        elif node.get("type") in ("integer", "number", "boolean"):
            node["type"], node["pattern"] = [node["type"], "string"], _PLACEHOLDER
