"""A complete starter project: runs as it is, and its comments say what to change."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import orjson

from pipeline.model.errors import UsageError
from pipeline.model.files.disk import write_text
from pipeline.model.json import Value
from pipeline.operate.schemas.files import write_schemas
from pipeline.operate.starting.shipped import reference

_PIPELINE = """\
# yaml-language-server: $schema=schema/pipeline.json
# Settings of the job. README.md in this directory describes every field; `hookline config show` prints those
# in effect. Paths are relative to this directory.
source:
  jsonl: {paths: [../sample.jsonl]}
  # kafka: {brokers: "127.0.0.1:9092", events: [events], users: [user-properties], group: hookline}
# Events over HTTP, from SDKs and curl: replace `source` by this line, `hookline run` by `hookline up`.
# collect: {keys: any}
state: ../state

# Private and local addresses are refused, except these: `hookline receiver` listens on one. Remove this
# line where you send to real receivers.
network: {allow: [127.0.0.0/8]}
"""
_WEBHOOK = """\
# yaml-language-server: $schema=../schema/webhook.json
id: big-purchase
description: Tell sales when a paying user spends a hundred or more.
trigger:
  events: [Purchase]
  where:
    - event.properties.amount: {gte: 100}
    - user.properties.plan: {in: [pro, enterprise]}
request:
  url: http://127.0.0.1:8787/sales
  # headers: {Authorization: "Bearer ${CRM_TOKEN}"}   # a secret: an environment variable of the job
  body:
    text: "{{ user.properties.name | default: 'Someone' }} spent {{ event.properties.amount }}"
    order: "{{ event.properties }}"
"""
_TESTS = """\
# yaml-language-server: $schema=../schema/test.json
cases:
  - name: a large purchase by a paying user fires
    users: [{id: u1, properties: {plan: pro, name: Ada}}]
    events: [{name: Purchase, user_id: u1, properties: {amount: 250}}]
    expect: {url: "http://127.0.0.1:8787/sales", body: {text: Ada spent 250, order: {amount: 250}}}
  - name: a small purchase does not fire
    users: [{id: u1, properties: {plan: pro}}]
    events: [{name: Purchase, user_id: u1, properties: {amount: 99}}]
    expect: none
"""
_SAMPLE: Final[tuple[dict[str, Value], ...]] = (
    {"type": "user", "user_id": "u1", "set": {"plan": "pro", "name": "Ada"}},
    {"type": "event", "name": "Purchase", "user_id": "u1", "properties": {"amount": 250, "sku": "p-07"}},
    {"type": "event", "name": "Purchase", "user_id": "u2", "properties": {"amount": 900}},
    {"type": "user", "user_id": "u2", "set": {"plan": "enterprise", "name": "Bob"}},
    {"type": "event", "name": "Purchase", "user_id": "u2", "properties": {"amount": 120, "sku": "p-11"}},
    {"type": "event", "name": "Page Viewed", "user_id": "u1", "properties": {"path": "/pricing"}},
)
"""Two larger purchases by paying users; one more was made before its user paid."""


def _stream() -> str:
    """Return the records as lines, a minute between two of them."""
    lines = [
        orjson.dumps({**record, "time": f"2026-11-24T10:{minute:02}:00Z"}).decode()
        for minute, record in enumerate(_SAMPLE)
    ]
    return "\n".join(lines) + "\n"


_IGNORED = """\
# The job's state, and the events that a collector stores: personal data.
/state/
/config/collected/
# Secrets
.env
"""
_SCHEMAS: Final = "config/schema"
FILES: Final[dict[str, str]] = {
    "config/pipeline.yaml": _PIPELINE,
    "config/webhooks/big-purchase.yaml": _WEBHOOK,
    "config/webhooks/big-purchase.test.yaml": _TESTS,
    "sample.jsonl": _stream(),
    ".gitignore": _IGNORED,
}


def write_project(directory: Path) -> list[Path]:
    """Write a project: config, a webhook with its tests, a stream of six lines, schemas and reference.

    Returns the files, with one folder for all schemas. An existing .gitignore is kept. Raises UsageError
    where any other file exists already: nothing is written then.
    """
    texts = {**FILES, "config/README.md": reference()}
    if (directory / ".gitignore").exists():
        del texts[".gitignore"]
    there = [name for name in (*texts, _SCHEMAS) if (directory / name).exists()]
    if there:
        raise UsageError(f"{directory / there[0]} is there already: name another folder, `hookline init DIR`")
    for name, text in texts.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    write_schemas(directory / _SCHEMAS)
    return [*(directory / name for name in texts), directory / _SCHEMAS]
