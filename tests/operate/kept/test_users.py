"""Users as they are known now, and what would become today of what died."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import orjson
import pytest

from pipeline.join.links import Identity
from pipeline.join.users import Users
from pipeline.model.errors import NoState
from pipeline.model.json import Value
from pipeline.model.records import Envelope, Event, IdentityLink, Origin, PropertyUpdate, User
from pipeline.model.sizes import KEPT_BYTES
from pipeline.operate.kept.users import look_up
from pipeline.operate.unsaved.today import Today, today
from pipeline.operate.unsaved.workbench import Workbench
from pipeline.outbox.seen import seen_of
from pipeline.store.folders import identity_folder, shard_folder
from pipeline.store.store import Store
from tests.kit.machine.kept import letter

ORIGIN = Origin("shop.jsonl", 1)
WEBHOOK = """\
id: crm
trigger: {events: [Purchase], where: {event.properties.amount: {gte: 10}}}
request: {url: "https://crm.example/hook", body: {plan: "{{ user.properties.plan }}"}}
"""


def update(user_id: str | None, anonymous_id: str | None = None, **properties: Value) -> PropertyUpdate:
    return PropertyUpdate(None, user_id, anonymous_id, 1, 1, None, properties, {}, (), ORIGIN)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    with closing(Store(shard_folder(folder, 0))) as shard:
        users = Users(shard)
        users.apply("u:ada", update("ada", plan="pro"), "p")
        users.apply("a:loose", update(None, "loose", seen=1), "p")
        users.flush()
        shard.commit()
    with closing(Store(identity_folder(folder, "p"))) as links:
        identity = Identity(links)
        for anonymous, user in (("phone", "ada"), ("old-ada", "ada"), ("tv", "old-ada")):
            list(identity.link(IdentityLink(anonymous, user, 1, ORIGIN, alias=anonymous == "old-ada")))
        links.commit()
    return folder


def test_a_user_is_found_by_every_id_of_theirs(state: Path):
    for asked in ("ada", "phone", "old-ada", "tv"):
        found = look_up(state, asked)
        assert (found.user_id, found.properties) == ("ada", {"plan": "pro"}), asked
        assert {*found.linked_ids} >= {"phone", "old-ada"}
        assert found.all_links
    assert look_up(state, "loose").to_json() == {
        "asked": "loose", "user_id": None, "anonymous_id": "loose", "known": True, "properties": {"seen": 1},
        "linked_ids": [], "all_links": True,
    }  # fmt: skip
    nobody = look_up(state, "nobody")
    assert (nobody.properties, nobody.linked_ids) == (None, [])


def test_where_no_job_has_run_it_is_said(tmp_path: Path):
    with pytest.raises(NoState, match="holds no state"):
        look_up(tmp_path, "ada")


@pytest.fixture
def bench(tmp_path: Path, state: Path) -> Iterator[Workbench]:
    config = tmp_path / "config"
    (config / "webhooks").mkdir(parents=True)
    (config / "webhooks" / "crm.yaml").write_text(WEBHOOK)
    bench = Workbench(config, state)
    yield bench
    bench.close()


def test_what_died_is_judged_by_the_present_config(bench: Workbench, state: Path):
    def unrendered(amount: float, kind: str = "render") -> Today:
        event = Event("e1", "Purchase", "track", "ada", None, 1, 1, None, {"amount": amount}, {}, ORIGIN)
        body = seen_of(event, User("ada", None, True, {"plan": "old"}))
        return today(bench, state, letter("crm", 1, kind=kind, body=body))

    fires = unrendered(12.5)
    assert fires.good
    assert fires.previewed is not None
    assert fires.previewed.request is not None
    assert orjson.loads(fires.previewed.request.body) == {"plan": "old"}  # as the template saw them
    no = unrendered(3, "condition")
    assert (no.good, no.words) == (False, "Today it does not fire")
    assert no.previewed is not None
    assert [clause.holds for clause in no.previewed.clauses if clause.path] == [True, False]

    sent = today(bench, state, letter("crm", 1))
    assert (sent.good, "Its event is not kept" in sent.words) == (True, True)
    assert "in no file any more" in today(bench, state, letter("gone", 1)).words

    body = b'{"type":"event","name":"Purchase","user_id":"ada","properties":{"amount":11}}'
    record = letter("", 1, kind="record", body=body)
    read = today(bench, state, record)
    assert (read.good, [one.fires for one in read.verdicts]) == (True, [True])
    for bad in (b"{", b"\xff"):
        broken = today(bench, state, letter("", 1, kind="record", body=bad))
        assert (broken.good, "still cannot be read" in broken.words) == (False, True)
    cut = b'{"a": "' + b"x" * KEPT_BYTES
    assert (
        "Only its first 64 KiB"
        in today(bench, state, letter("", 1, kind="record", body=cut[:KEPT_BYTES])).words
    )


def test_a_record_that_died_is_read_with_what_came_around_it(bench: Workbench, state: Path):
    (bench.config / "pipeline.yaml").write_text(
        "source: {jsonl: {paths: [{path: shop.jsonl, format: keyed}]}}\n"
    )
    (bench.config / "shapes").mkdir()
    shape = "name: keyed\nrecords:\n- event: {name: {text: Purchase}, user_id: message.key, properties: .}\n"
    (bench.config / "shapes" / "keyed.yaml").write_text(shape)
    died = letter("", 1, kind="record", body=b'{"amount":11}')
    assert not today(bench, state, died).good  # it came without a key
    keyed = msgspec.structs.replace(died, message=Envelope(key=b"ada"))
    assert [one.fires for one in today(bench, state, keyed).verdicts] == [True]


def test_every_webhook_says_the_first_clause_that_does_not_hold(bench: Workbench):
    told = bench.explain('{"name": "Purchase", "user_id": "ada", "properties": {"amount": 3}}')
    (one,) = told.verdicts
    assert (one.webhook, one.fires, one.verdict) == ("crm", False, "does not fire")
    assert (one.clause or "").endswith(" is 3")
    assert bench.explain("[").problem is not None
