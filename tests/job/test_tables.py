"""Tables in front of a whole job: the recorded topics of a database, then an event of each user."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from pipeline.config.job import load_pipeline
from pipeline.sources.files.lines.recorded import Message, dump_line
from tests.decode.connect.captured import is_same, messages, rows
from tests.kit.programs.inprocess import run_flow

PIPELINE = """
source:
  kafka:
    brokers: 127.0.0.1:1
    format: debezium
    topics:
      schemas.public.users: {exclude: password_hash, rename: {mail: email}}
      schemas.public.members: {key: [tenant, id], as: both}
      events: {format: native}
network: {allow: [127.0.0.0/8]}
"""
WEBHOOK = """
id: any
trigger: {events: ['*']}
request:
  url: http://127.0.0.1:1/
  body: {name: "{{ event.name }}", id: "{{ user.id }}", user: "{{ user.properties }}"}
"""


def config_in(folder: Path, pipeline: str) -> Path:
    (folder / "webhooks").mkdir(parents=True)
    (folder / "pipeline.yaml").write_text(pipeline)
    (folder / "webhooks" / "any.yaml").write_text(WEBHOOK)
    return folder


def test_events_see_the_rows_of_recorded_tables(tmp_path: Path) -> None:
    config_in(tmp_path / "config", PIPELINE)
    visits = [
        Message(
            "events/0", at, None, None, None, orjson.dumps({"type": "event", "name": "Visit", "user_id": who})
        )
        for at, who in enumerate([row["id"] for row in rows("users")])
    ]
    recorded = [*messages("schemas", "users"), *messages("schemas", "members"), *visits]
    (tmp_path / "topics.rec.jsonl").write_bytes(b"".join(map(dump_line, recorded)))
    sent, summary = run_flow(tmp_path, stream="topics.rec.jsonl")
    assert summary is not None
    assert summary["records"]["invalid"] == 0
    bodies = [orjson.loads(body) for _, _, body in sent]
    seen = {body["id"]: body["user"] for body in bodies if body["name"] == "Visit"}
    for row in rows("users"):
        known, email = seen[str(row["id"])], row["mail"]
        assert known["email"] == email
        assert not known.keys() & {"mail", "password_hash"}
        assert is_same(known["balance"], row["balance"])
    changes = [body for body in bodies if body["name"] != "Visit"]
    assert {body["name"] for body in changes} == {"members.created", "members.updated", "members.deleted"}
    # The webhook of a deletion still sees who it was.
    assert all(body["user"]["role"] for body in changes)


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ("{format: native, key: id}", "no-table"),
        ("{format: {records: [{ignore: true}]}, rename: {a: b}}", "no-table"),
        ("{format: debezium, as: users}", "wrong-value"),
        ("{format: debezium, side: events}", "unseen-updates"),
        ("{format: debezium, exclude: {a: b}}", "wrong-type"),
        ("{format: debezium, key: [1]}", "wrong-type"),
    ],
)
def test_settings_of_a_table_are_checked(tmp_path: Path, settings: str, code: str) -> None:
    lines = PIPELINE.replace("      events: {format: native}", f"      events: {settings}")
    report = load_pipeline(config_in(tmp_path, lines), environ={})
    (found,) = report.findings
    assert (found.line, found.code) == (9, code), found
