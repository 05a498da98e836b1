"""Whatever stands in the place of a field is a finding, never a failure of `check` itself."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from pipeline.compile.snapshot import compile_config
from pipeline.config.files import ConfigText, JobDefaults
from pipeline.language.secrets import Secrets
from pipeline.model.json import Value

WEBHOOK = """\
id: w
enabled: true
vars: {a: 1, s: {setting: "${X}"}}
trigger:
  events: [A]
  where:
    - event.properties.x: {as: number, gte: 5}
    - any: [{user.properties.y: z}, {not: {label: L}}]
    - any_element: {event.properties.l: [{a: 1}]}
    - event.time: {as: hour, tz: Europe/Berlin, between: ["09:00", "17:00"]}
  sample: {percent: 10, by: user.id}
  repeat: {count: 3, within: 10m, by: event.name}
limit: {per: user, count: 1, every: 24h}
dedupe: {by: [event.id], within: 24h}
request:
  method: POST
  url: "https://h.example/{{ event.id }}"
  query: {k: "{{ event.name }}", l: [1]}
  headers: {X-A: b}
  body: {a: [{$if: {event.name: A}, $then: 1}], c: {$for: "{{ event.properties.l }}", $do: "{{ item }}"}}
  auth: {oauth2: {token_url: "https://t.example/", client_id: c, client_secret: "${X}"}}
  signature: {hmac: {header: X-S, algorithm: sha256, secret: "${X}"}}
delivery:
  rate: 100/s
  retry: {max_attempts: 5, statuses: [404]}
  batch: {max_events: 10, max_wait: 1s, wrap: {d: "{{ items }}"}}
  fail_when: {response.ok: false}
"""
LABEL = """\
name: L
any:
  - {events: [A], where: {event.source: x}}
  - {capture: {kind: click, selector: "a > b", text: {glob: "S*"}}}
"""
SHAPE = """\
name: shop
records:
  - when: [{kind: order}]
    event:
      name: type
      user_id: [actor.id, id]
      time: {path: ts, unit: ms}
      properties: {total: {path: sum, find: "([0-9]+)"}, low: {path: e, lower: true}}
  - event:
      - {each: "lines[*]", name: {text: I}, user_id: ^.id, time: {path: t, format: "%d/%m/%Y", zone: UTC}}
    user: {user_id: id, set: {tier: t}, unset: gone, delete: true}
  - {when: [{k: x}], ignore: true}
"""
FILES = {"webhooks/w.yaml": WEBHOOK, "labels/l.yaml": LABEL, "shapes/shop.yaml": SHAPE}
WRONG: list[Value] = [None, "x", [], {"a": 1}]


def places(tree: Value, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    inside = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, one in inside:
        yield from places(one, (*path, key))


def put(tree: Value, path: tuple[str | int, ...], value: Value) -> Value:
    if not path:
        return value
    tree = holder = copy.deepcopy(tree)
    for part in path[:-1]:
        holder = holder[part]
    holder[path[-1]] = value
    return tree


def told(files: dict[str, str]) -> str:
    text = ConfigText(files, {"X": "5"}, JobDefaults(), "/config")
    return compile_config(text, secrets=Secrets({"X": "5"}, Path("/config"))).render()


def test_as_they_are_the_files_have_no_problem() -> None:
    assert told(FILES) == ""


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_a_wrong_value_anywhere_is_told(name: str, wrong: Value) -> None:
    tree = yaml.safe_load(FILES[name])
    for path in places(tree):
        written = yaml.safe_dump(put(tree, path, wrong), allow_unicode=True)
        told({**(FILES if name.startswith("labels/") else {"labels/l.yaml": LABEL}), name: written})
