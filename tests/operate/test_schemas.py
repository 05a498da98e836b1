"""What `check` refuses by form the editor refuses, and what `check` accepts the editor accepts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it has no annotations
import pytest

from pipeline.compile.snapshot import compile_config
from pipeline.config.files import ConfigText
from pipeline.config.job import load_pipeline
from pipeline.config.yaml.loader import parse_yaml
from pipeline.language.secrets import Secrets
from pipeline.match.operators.conversions import CONVERSIONS
from pipeline.match.operators.table import OPERATORS
from pipeline.operate.schemas.files import schema
from tests.kit.streams.samples import shared_data

VALIDATORS = {
    kind: jsonschema.Draft202012Validator(schema(kind)) for kind in ("webhook", "label", "pipeline", "test")
}
P = "event.properties.x"
URL = "https://h.example/"


def accepts(tree: Any, kind: str = "webhook") -> bool:
    return VALIDATORS[kind].is_valid(tree)


def hook(**more: Any) -> dict[str, Any]:
    return {"id": "a", "trigger": {"events": "A"}, "request": {"url": URL}, **more}


def where(tree: Any) -> dict[str, Any]:
    return hook(trigger={"events": "A", "where": tree})


def body(tree: Any, **request: Any) -> dict[str, Any]:
    return hook(request={"url": URL, "body": tree, **request})


def errors(tree: Any) -> list[str]:
    """Return what `check` says of a webhook that is written so (JSON is YAML)."""
    found = compile_config(ConfigText({"webhooks/a.yaml": json.dumps(tree)}), secrets=Secrets({}))
    return [one.message for one in found.findings if not one.warning]


CONDITIONS: list[Any] = [
    [],
    {},
    "event.properties.x",
    [{P: []}],
    {P: {}},
    {P: {"as": "number"}},
    {P: {"greater": 5}},
    {P: {"eq": 5, "ignorecase": True}},
    {"evnt.name": "x"},
    {"event.nmae": "x"},
    {"properties.x": 1},
    {"user.plan": "pro"},
    {"all": []},
    {"any": []},
    {"not": [{P: 1}, {P: 2}]},
    {"not": []},
    {"and": [{P: 1}]},
    {P: {"gt": [1]}},
    {P: {"gt": True}},
    {P: {"between": [1]}},
    {P: {"between": 5}},
    {P: {"in": "a"}},
    {P: {"in": []}},
    {P: {"contains": []}},
    {P: {"starts_with": 5}},
    {P: {"starts_with": []}},
    {P: {"glob": {"path": "user.id"}}},
    {P: {"regex": [5]}},
    {P: {"exists": "yes"}},
    {P: {"present": 1}},
    {P: {"before": True}},
    {P: {"as": "nmuber", "gt": 5}},
    {P: {"as": "weekday", "starts_with": "m"}},
    {P: {"as": "version", "before": "2026-01-01"}},
    {P: {"eq": 1, "tz": "Europe/Berlin"}},
    {P: {"gt": 5, "ignore_case": True}},
    {P: {"as": "number", "eq": 5, "ignore_case": True}},
    {P: {"ignore_case": "yes", "eq": "a"}},
    {"any_element": {}},
    {"any_element": {P: {"category": {"is": 1}}}},
    {"any_element": [{P: 1}]},
    {"label": 5},
    {"label": []},
    {"item.x": 1},
]
BODIES: list[Any] = [
    body({"$then": 1}),
    body({"$else": 1}),
    body({"$do": 1}),
    body({"$if": {P: 1}}),
    body({"$for": "{{ event.properties.l }}"}),
    body({"$if": {P: 1}, "$then": 1, "a": 2}),
    body({"$for": "{{ event.properties.l }}", "$do": 1, "a": 2}),
    body({"$if": {P: {"is": 1}}, "a": 1}),
    body({"{{ event.name }}": 1}),
    body({"a": {"x-${NAME:-b}": 1}}),
    body('{"text": "{{ event.name }}"}'),
    body({"a": 1}, encoding="text"),
    hook(request={"url": URL, "encoding": "text"}),
    body({"a": 1}, content_type="text/csv"),
    body({"a": 1}, method="GET"),
]
HMAC = {"header": "x", "secret": "s"}
SIGNED = {"secrets": ["whsec_aaaa"]}
SECTIONS: list[Any] = [
    hook(trigger={"events": "A", "changes": "plan"}),
    hook(trigger={"where": [{P: 1}]}),
    hook(trigger={"events": []}),
    hook(trigger={"changes": ""}),
    {"id": "a", "trigger": {"events": "A"}},
    {"id": "a", "request": {"url": URL}},
    hook(request={"method": "PUT"}),
    hook(request={"url": URL, "auth": {"bearer": {"token": "t"}, "header": {"name": "x", "value": "y"}}}),
    hook(request={"url": URL, "signature": {"hmac": HMAC, "standard_webhooks": SIGNED}}),
    hook(request={"url": URL, "signature": {"standard_webhooks": {"secrets": []}}}),
    hook(delivery={"proxy": "http://p.example"}),
    hook(delivery={"batch": {"as": "ndjson", "wrap": {"a": "{{ items }}"}}}),
    hook(delivery={"batch": {}}, request={"url": URL, "encoding": "form", "body": {"a": 1}}),
    hook(delivery={"timeout": "0s"}),
    hook(delivery={"timeout": 5}),
    hook(delivery={"rate": "0/s"}),
    hook(delivery={"retry": {"statuses": [200]}}),
    hook(delivery={"fail_when": {"event.name": "x"}}),
    hook(delivery={"fail_when": {"response.ok": {"is": False}}}),
    hook(limit={"every": "0h"}),
    hook(id=".."),
    hook(zzz=1),
]  # fmt: skip


@pytest.mark.parametrize("tree", [*map(where, CONDITIONS), *BODIES, *SECTIONS], ids=json.dumps)
def test_a_form_that_check_refuses_is_refused_in_the_editor(tree: Any) -> None:
    assert errors(tree)
    assert not accepts(tree)


VALID: list[Any] = [
    where({P: 1, "user.properties.plan": ["pro", "free"]}),
    where([{P: None}, {P: {"path": "user.id"}}, {P: {"in": {"path": "vars.l"}}}]) | {"vars": {"l": ["a"]}},
    where([{P: {"regex": {"path": "vars.x"}}}, {P: {"glob": {"setting": "${A:-b}"}}}]) | {"vars": {"x": "a"}},
    where({"not": {"any": {P: 1, "event.name": "x"}}}),
    where({"all": {P: 1}, "any": [{P: 1}], "not": [{P: 2}]}),
    where({'event.properties["Sales Rep"]': "x", "event.properties.l[*].a": {"gt": 1}}),
    where({P: {"as": "version", "gte": "4.9", "lt": 5}}),
    where({P: {"as": "hour", "between": ["09:00", "17:00"], "tz": "user.properties.tz"}}),
    where({P: {"before": "-30d", "tz": "Europe/Berlin", "exists": True}}),
    where({P: {"as": "domain", "in": ["A.com"], "ignore_case": True, "present": True}}),
    where({"any_element": {"event.properties.l": [{"category": "Shoes"}, {"qty": {"gte": 2}}]}}),
    where({"any_element": {"event.properties.l": {"gte": 2}}}),
    where({"any_element": {"event.properties.l": {"any": [{"a": 1}, {"b": 2}]}}}),
    where({"event.user_id": {"eq": {"path": "user.properties.owner"}}, "event": {"exists": True}}),
    where({"user.before.plan": {"ne": "x", "exists": True}}),
    body({"$if": {"user.properties.plan": "pro"}, "type": "divider"}),
    body({"a": {"$if": {P: 1}, "$then": 1, "$else": 2}, "$$if": 1, "$unknown": 2}),
    body([{"$for": "{{ event.properties.l }}", "sku": "{{ item.id }}", "b": {"$if": {"item.x": 1}, "c": 1}}]),
    body([{"$for": "{{ event.properties.l }}", "$do": "{{ item }}"}]),
    body({"$spread": "{{ event.properties }}", "plan": "x"}),
    body({"$${A}": 1, "a$${B}": 2, "${": 3, "${a.b}": 4, "US$": 5}),
    body("{{ event.properties }}"),
    body("<a/>", encoding="text", content_type="application/xml"),
    body('{"a": 1}', encoding="text"),
    hook(delivery={"fail_when": {"response.ok": False}, "batch": {"wrap": {"d": "{{ items }}"}}}),
    hook(delivery={"rate": "100/s"}),
    hook(delivery={"concurrency": "${N:-4}", "timeout": "${T:-5s}"}, enabled="${ON:-true}"),
    hook(trigger={"events": ["A"], "where": [{"event.properties.n": {"gt": {"setting": "${N:-4}"}}}]}),
    hook(trigger={"changes": ["plan"], "where": None}),
    hook(limit={"per": "user", "count": 1, "every": "ever"}, dedupe={}),
]  # fmt: skip


@pytest.mark.parametrize("tree", VALID, ids=json.dumps)
def test_what_check_accepts_is_accepted_in_the_editor(tree: Any) -> None:
    assert [told for told in errors(tree) if "${" not in json.dumps(tree)] == []
    VALIDATORS["webhook"].validate(tree)


def test_a_webhook_that_extends_a_base_may_leave_the_rest_to_it() -> None:
    assert accepts({"id": "a", "extends": "_base"})
    own = {"request": {"body": {"x": 1}}, "trigger": {"where": {P: 1}}}
    assert accepts({"id": "a", "extends": "_base", **own})


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=lambda one: one.name)
def test_every_example_of_an_operator_is_accepted(operator: Any) -> None:
    for example in operator.examples:
        fold = {"ignore_case": True} if example.ignore_case else {}
        assert accepts(where({P: {operator.name: example.operand, **fold}})), example


@pytest.mark.parametrize("conversion", CONVERSIONS.values(), ids=lambda one: one.name)
def test_every_example_of_a_conversion_is_accepted(conversion: Any) -> None:
    for _, operator, operand, _ in conversion.examples:
        assert accepts(where({P: {"as": conversion.name, operator: operand}})), operand


LABELS = [
    ({"name": "L", "events": ["A"], "where": {"event.source": "ios"}}, True),
    ({"name": "L", "any": [{"capture": {"kind": "click", "text": {"glob": "Sign*"}, "href": "/x"}}]}, True),
    ({"name": "L", "where": {"user.properties.email": {"as": "domain", "eq": "acme.com"}}}, True),
    ({"name": "L"}, False),
    ({"name": "L", "any": []}, False),
    ({"name": "L", "any": [{}]}, False),
    ({"name": "L", "events": []}, False),
    ({"name": "L", "any": [{"capture": {}}]}, False),
    ({"name": "L", "any": [{"events": "A"}, {"events": []}]}, False),
    ({"name": "L", "any": [{"events": "A"}, {"capture": {"kind": []}}]}, False),
    ({"name": "L", "any": [{"events": "A"}], "events": "B"}, False),
    ({"name": "L", "where": {"email": "x"}}, False),
    ({"name": "L", "capture": {"text": {"is": "x"}}}, False),
]


@pytest.mark.parametrize(("tree", "good"), LABELS)
def test_a_label_is_accepted_where_check_accepts_it(tree: Any, good: bool) -> None:
    found = compile_config(ConfigText({"labels/l.yaml": json.dumps(tree)}), secrets=Secrets({}))
    assert (found.errors == 0) is good
    assert accepts(tree, "label") is good


JOBS = [
    ({}, True),
    ({"source": {"jsonl": {"paths": "a.jsonl"}}, "delivery": {"fail_when": {"response.ok": False}}}, True),
    ({"source": {"kafka": {"brokers": ["a:1", "b:2"], "users": "u"}}, "shards": 4, "epoch": "500ms"}, True),
    ({"source": {"kafka": {"brokers": "a:1"}}}, False),
    ({"source": {"kafka": {"brokers": [], "events": "e"}}}, False),
    ({"source": {"kafka": {"brokers": "a:1", "topics": "e"}}}, False),
    ({"source": {"jsonl": {"paths": "a"}, "kafka": {"brokers": "a:1", "events": "e"}}}, False),
    ({"source": {"jsonl": {"paths": "a", "events": "b"}}}, False),
    ({"source": {"jsonl": {"follow": True}}}, False),
    ({"epoch": "0s"}, False),
    ({"shards": 0}, False),
]


@pytest.mark.parametrize(("tree", "good"), JOBS)
def test_a_pipeline_yaml_is_accepted_where_check_accepts_it(tmp_path: Path, tree: Any, good: bool) -> None:
    (tmp_path / "pipeline.yaml").write_text(json.dumps(tree))
    assert (load_pipeline(tmp_path, environ={}).config is not None) is good
    assert accepts(tree, "pipeline") is good


def test_all_webhooks_that_others_have_written_are_accepted() -> None:
    files = [
        path
        for folder in (shared_data() / "webhooks", Path("config/examples"), Path("tests/render/golden"))
        for path in folder.rglob("*.yaml")
        if ".test." not in path.name
    ]
    seen = 0
    for path in files:
        root = parse_yaml(path.read_text(), path.name).root
        if root is not None and isinstance(root.value, dict) and {"id", "request"} <= root.value.keys():
            VALIDATORS["webhook"].validate(root.value)
            seen += 1
    assert seen > 30
