"""The shipped config and the examples: they compile, their tests hold, receivers accept their bodies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it has no annotations
import pytest
import yaml

from pipeline.cli.author.test import as_text
from pipeline.compile.snapshot import Snapshot, compile_config
from pipeline.config.files import read_config, read_files
from pipeline.config.job import load_pipeline
from pipeline.config.models.schema import SCHEMAS
from pipeline.config.models.webhooks.case import CaseFile
from pipeline.config.yaml.loader import parse_yaml
from pipeline.decode.decode import decode
from pipeline.job.trials.preview import Preview
from pipeline.job.trials.rehearse import Rehearsal
from pipeline.language.secrets import Secrets
from pipeline.model.records import Origin
from pipeline.operate.schemas.files import schema
from pipeline.operate.trials.cases import find_tests, run_tests
from tests.kit.streams.samples import ROOT, shared_data

CONFIG = ROOT / "config"
EXAMPLES = sorted(path.stem for path in (CONFIG / "examples").glob("*.yaml") if ".test" not in path.name)


def shipped_files() -> list[Path]:
    return sorted(path for path in CONFIG.rglob("*.yaml"))


def kind_of(path: Path) -> str:
    if path.name.endswith(".test.yaml"):
        return "test"
    return {"config": "pipeline", "labels": "label"}.get(path.parent.name, "webhook")


def example(name: str) -> Snapshot:
    text = read_files(CONFIG, [f"webhooks/{name}.yaml"], webhooks=CONFIG / "examples", environ={})
    return compile_config(text, secrets=None).require()


def bodies(name: str, user: dict[str, Any], *events: dict[str, Any]) -> list[Any]:
    run = Rehearsal(example(name))
    lines = [{"type": "user", "user_id": "u1", "set": user}]
    lines += [{"type": "event", "user_id": "u1", "time": "2026-03-02T08:13:50Z", **event} for event in events]
    fired = [
        one
        for number, line in enumerate(lines)
        for record in decode(json.dumps(line).encode(), origin=Origin("x", number))
        for one in run.rehearse(record)
    ]
    assert all(one.request is not None for one in fired)
    return [Preview.of(one).body for one in fired]


def test_the_shipped_config_has_no_problem_at_all() -> None:
    pipeline = load_pipeline(CONFIG, environ={})
    assert pipeline.findings == []
    text = read_config(CONFIG, environ={}, defaults=pipeline.require().defaults)
    report = compile_config(text, secrets=Secrets(base=CONFIG))
    assert report.render() == ""
    assert report.require().by_id.keys() >= {"big-purchase", "plan-changed", "welcome"}


def test_the_tests_of_the_shipped_config_and_of_the_examples_hold() -> None:
    results = run_tests(CONFIG, environ={})
    assert all(result.passed for result in results), as_text(results)
    assert len(results) >= 2 * len(EXAMPLES) - 8


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_compiles_without_a_warning_and_has_a_test(name: str) -> None:
    assert CONFIG / "examples" / f"{name}.test.yaml" in find_tests(CONFIG)
    text = read_files(CONFIG, [f"webhooks/{name}.yaml"], webhooks=CONFIG / "examples", environ={})
    assert compile_config(text, secrets=None).render() == ""


@pytest.mark.parametrize("path", shipped_files(), ids=lambda path: path.relative_to(CONFIG).as_posix())
def test_every_shipped_file_names_its_schema_and_fits_it(path: Path) -> None:
    text = path.read_text()
    kind = kind_of(path)
    named = text.splitlines()[0].removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / named).resolve() == CONFIG / "schema" / f"{kind}.json"
    root = parse_yaml(text, path.name).root
    assert root is not None
    jsonschema.Draft202012Validator(schema(kind)).validate(root.value)


@pytest.mark.parametrize("kind", SCHEMAS)
def test_the_written_schemas_are_those_of_the_models(kind: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema(kind))
    written = json.loads((CONFIG / "schema" / f"{kind}.json").read_text())
    assert written == schema(kind), "run `make docs`"


def test_a_schema_refuses_what_the_models_refuse() -> None:
    validator = jsonschema.Draft202012Validator(schema("webhook"))
    good = {"id": "a", "trigger": {"events": "X"}, "request": {"url": "https://x.example/"}}
    validator.validate(good)
    for bad in (
        good | {"id": "a b"},
        good | {"zzz": 1},
        good | {"delivery": {"timeout": 5}},
        good | {"delivery": {"ordering": "some"}},
        good | {"delivery": {"timeout_secs": "5s"}},
        good | {"limit": {"count": 1001, "every": "1d"}},
        {"id": "a"},
    ):
        with pytest.raises(jsonschema.ValidationError):
            validator.validate(bad)


def test_every_field_has_a_description() -> None:
    for model in (SCHEMAS["webhook"][0], SCHEMAS["pipeline"][0], CaseFile):
        found = model.model_json_schema()
        for section in (found, *found["$defs"].values()):
            for name, field in section.get("properties", {}).items():
                assert field.get("description"), name


PURCHASE = {
    "name": "Purchase",
    "properties": {
        "order_id": "o-1",
        "amount": 900.5,
        "currency": "EUR",
        "products": [{"id": "p1", "name": "Tent", "qty": 2}],
    },
}


def test_slack_accepts_the_example() -> None:
    api = json.loads((shared_data() / "receivers" / "slack-web-api.json").read_text())
    (body,) = bodies("slack", {"name": "Ann", "plan": "enterprise"}, PURCHASE)
    known = {field["name"]: field for field in api["paths"]["/chat.postMessage"]["post"]["parameters"]}
    assert body.keys() <= known.keys()
    required = {name for name, field in known.items() if field.get("required") and field["in"] == "formData"}
    assert required <= body.keys()
    blocks = {**api["definitions"]["blocks"], "definitions": api["definitions"]}
    jsonschema.Draft4Validator(blocks).validate(body["blocks"])


def test_discord_accepts_the_example() -> None:
    api = json.loads((shared_data() / "receivers" / "discord.json").read_text())
    upgraded = {"name": "Plan Upgraded", "properties": {"from": "free", "to": "pro"}}
    (body,) = bodies("discord", {"name": "Ann", "country": "DE"}, upgraded)
    wanted = {"$ref": "#/components/schemas/IncomingWebhookRequestPartial", "components": api["components"]}
    jsonschema.Draft202012Validator(wanted).validate(body)
    assert body.keys() <= api["components"]["schemas"]["IncomingWebhookRequestPartial"]["properties"].keys()


def test_intercom_accepts_the_example() -> None:
    with (shared_data() / "receivers" / "intercom-2.15.yaml").open() as file:
        api = yaml.load(file, Loader=yaml.CSafeLoader)
    (body,) = bodies("intercom", {"name": "Ann"}, PURCHASE)
    wanted = api["components"]["schemas"]["create_data_event_request"]
    jsonschema.Draft4Validator(wanted).validate(body)
    assert body.keys() <= wanted["properties"].keys()
