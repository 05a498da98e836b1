"""An unsaved text means on the workbench what it means to `check`, `explain`, a dry run and a save."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.admin.routes import Route
from pipeline.admin.service import AdminService
from pipeline.job.replay import Replay
from pipeline.model.errors import ConfigError
from pipeline.model.process.bounds import Bounds
from pipeline.operate import check as checking
from pipeline.operate.offline import load_snapshot
from pipeline.operate.running.looks import Sample
from pipeline.operate.trials.dry_run import would_send
from pipeline.operate.trials.explain import explain
from pipeline.operate.trials.given import Text, formats_for, understand
from pipeline.operate.unsaved import workbench as module
from pipeline.operate.unsaved.cases import case_samples
from pipeline.operate.unsaved.workbench import Workbench
from tests.kit.streams.samples import ROOT

FILE = "webhooks/big-purchase.yaml"
NEW = "webhooks/new.yaml"
HOOK = "id: new\ntrigger: {events: [Purchase]}\nrequest:\n  url: https://x.example/\n"
EVENT = {
    "type": "event", "name": "Purchase", "user_id": "u1", "time": "2026-01-01T12:00:00Z",
    "properties": {"amount": 600, "currency": "EUR"},
}  # fmt: skip
LINK = '{"type": "identify", "user_id": "u1", "anonymous_id": "a1"}'


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("workbench") / "config"
    shutil.copytree(ROOT / "config", found)
    return found


@pytest.fixture(scope="module")
def shared(config: Path) -> Iterator[Workbench]:
    made = Workbench(config)
    yield made
    made.close()


@pytest.fixture
def bench(shared: Workbench, config: Path) -> Iterator[Workbench]:
    """The workbench over the shipped config; what a test writes there is gone after it."""
    kept = {path: path.read_bytes() for path in config.rglob("*") if path.is_file()}
    yield shared
    for path in config.rglob("*"):
        if path.is_file() and path not in kept:
            path.unlink()
    for path, raw in kept.items():
        if not path.exists() or path.read_bytes() != raw:
            path.write_bytes(raw)


WRONG = {
    "unknown-field": HOOK + "retires: 3\n",
    "wrong-operator": HOOK.replace("]}", "], where: [{event.properties.a: {gtee: 1}}]}"),
    "unknown-path": HOOK + '  body: {a: "{{ evnt.name }}"}\n',
    "templated-host": HOOK.replace("x.example", "{{ event.name }}"),
    "reserved-header": HOOK + "  headers: {Host: x}\n",
    "duplicate-id": HOOK.replace("id: new", "id: welcome"),
    "missing-secret": HOOK + "  headers: {X-Key: '${MISSING}'}\n",
    "refused-address": HOOK.replace("x.example", "10.0.0.1"),
    "duplicate-key": HOOK + "  body: {a: 1, a: 2}\n",
    "tab": HOOK + "\tbody: 1\n",
    "unknown-label": HOOK.replace("]}", "], where: [{label: Nobody}]}"),
    "warning": HOOK + "  headers: {X-Key: '$KEY'}\n",
    "good": HOOK,
    "empty": "",
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_found_at_the_same_place_as_by_check_and_not_saved(
    bench: Workbench, config: Path, text: str
) -> None:
    found = bench.check(NEW, text)
    if found.errors:
        with pytest.raises(ConfigError):
            bench.create("new", text)
        assert not (config / NEW).exists()
    (config / NEW).write_text(text)
    wanted = checking.check(config).to_json()
    assert found.to_json() == wanted
    assert bench.check_saved().to_json() == wanted
    if text not in (HOOK, WRONG["warning"]):
        assert wanted["errors"]


def test_of_each_webhook_the_clause_that_keeps_it_from_firing_is_told_and_no_part_of_one_that_holds(
    bench: Workbench,
):
    cheap = {**EVENT, "properties": {"amount": 5}}
    for event, wanted in ((EVENT, None), (cheap, 'event.properties.amount: {"gte":500} is 5')):
        told = {one.webhook: one.clause for one in bench.explain(json.dumps(event)).verdicts}
        assert told["big-purchase"] == wanted
        assert told["data-lake"] is None
        assert told["welcome"] == 'events: [Signed Up] is "Purchase"'


def test_a_secret_that_is_still_missing_hides_neither_the_request_nor_the_count(bench: Workbench):
    text = WRONG["missing-secret"]
    shown = bench.preview(NEW, text, json.dumps(EVENT))
    assert [one.code for one in shown.checked.own] == ["missing-secret"]
    assert shown.request is not None
    assert shown.request.headers["X-Key"] == "${MISSING}"
    fired = bench.would_fire(NEW, text, [Sample("1", "", (EVENT,))]).now
    assert fired is not None
    assert fired.fires == 1


def test_why_it_fires_is_what_explain_says_also_of_another_shape_and_where_it_does_not(
    bench: Workbench, config: Path
) -> None:
    user = {"id": "u1", "properties": {"plan": "pro", "email": "a@globex.net"}}
    segment = {"type": "track", "event": "Purchase", "userId": "u1", "timestamp": "2026-01-01T12:00:00Z"}
    for record, known in (
        (EVENT, None), (EVENT, user), ({**EVENT, "name": "Refund"}, user), (segment, None)
    ):  # fmt: skip
        given = understand(
            Text("event", json.dumps(record).encode()),
            None if known is None else Text("user", json.dumps(known).encode()),
            formats_for(config),
        )
        (wanted,) = (one.to_json() for one in explain(load_snapshot(config), given, "big-purchase"))
        told = None if known is None else json.dumps(known)
        text = (config / FILE).read_text()
        shown = bench.preview(FILE, text, json.dumps(record), told)
        clauses = [clause.to_json() for clause in shown.clauses]
        assert (clauses, shown.fires, shown.verdict) == (
            wanted["clauses"], wanted["fires"], wanted["verdict"]
        )  # fmt: skip
        assert shown.request is not None
        if wanted["request"] is not None:
            sent = shown.request
            assert wanted["request"] == {
                "webhook": "big-purchase", "method": sent.method, "url": sent.url, "headers": sent.headers,
                "body": json.loads(sent.body),
            }  # fmt: skip


def test_a_disabled_webhook_a_change_and_a_bad_record_are_told_as_such(bench: Workbench) -> None:
    shown = bench.preview(NEW, HOOK + "enabled: false\n", json.dumps(EVENT))
    assert (shown.fires, shown.checked.enabled) == (True, False)
    changes = HOOK.replace("{events: [Purchase]}", "{changes: [plan]}")
    update = {"type": "user", "user_id": "u1", "set": {"plan": "pro"}}
    shown = bench.preview(NEW, changes, json.dumps(update), '{"plan": "free", "city": "Ulm"}')
    assert shown.fires
    assert shown.user["before"] == {"plan": "free"}
    assert (shown.record["set"], shown.properties) == ({"plan": "pro"}, {"plan": "free", "city": "Ulm"})
    for record, said in (
        ("{", "error[json]"),
        ('{"a": 1}', "the shape fits none"),
        (LINK, "there is no event"),
    ):
        found = bench.preview(NEW, HOOK, record)
        assert said in str(found.problem)
        assert found.request is None
    assert bench.preview(NEW, "id: [", json.dumps(EVENT)).checked.errors
    late = bench.preview(NEW, HOOK + '  body: {a: "{{ event.properties.x | require }}"}\n', json.dumps(EVENT))
    assert late.fires is False
    assert "webhooks/new.yaml:5" in str(late.dead_letter)


def _samples() -> list[Sample]:
    """Eight hundred events and updates, the newest first."""
    records = []
    for number in range(800):
        if number % 4 == 0:
            user = {"plan": ["free", "pro"][number % 3 == 0]}
            records.append({"type": "user", "user_id": f"u{number % 7}", "set": user})
        else:
            properties = {"amount": number, "products": []}
            records.append({**EVENT, "user_id": f"u{number % 7}", "properties": properties})
    return [Sample(f"0-{at}", "", (one,)) for at, one in reversed([*enumerate(records)])]


def test_it_would_fire_as_often_as_a_dry_run_of_the_samples_says_and_the_differing_ones_are_named(
    bench: Workbench, config: Path, tmp_path: Path
) -> None:
    samples = _samples()
    stream = tmp_path / "samples.jsonl"
    stream.write_text("".join(json.dumps(one.records[0]) + "\n" for one in reversed(samples)))
    where = "    - event.properties.amount: {gte: 500}\n"
    text = (config / FILE).read_text()
    assert where in text
    edited = text.replace(
        where, "    - event.properties.amount: {gte: 450}\n    - user.properties.plan: pro\n"
    )
    edited += "limit: {per: user, count: 5, every: 1d}\n"
    told = bench.would_fire(FILE, edited, samples)
    chosen = Replay(webhooks=frozenset({"big-purchase"}))

    def sent() -> int:
        return len([*would_send(config, [str(stream)], None, chosen)])

    assert told.before is not None
    assert told.now is not None
    assert (told.samples, told.events) == (800, 600)
    assert told.before.fires == sent() > 100
    (config / FILE).write_text(edited)
    assert told.now.fires == sent() > 10
    assert told.now.suppressed > 0
    before, now = told.before.fires, told.now.fires
    fewer, more = (sum(one.fires is fires for one in told.differing) for fires in (False, True))
    assert len(told.differing) == 100 or before - fewer + more == now
    again = bench.would_fire(FILE, edited, samples)
    assert (again.now, again.before, again.differing) == (told.now, told.now, ())
    assert bench.would_fire(NEW, HOOK, samples).before is None
    assert bench.would_fire(NEW, "id: [", samples).now is None


def test_a_label_says_what_it_matches_among_samples(bench: Workbench) -> None:
    about = {"type": "user", "user_id": "u2", "set": {"email": "eve@globex.net"}}
    page = {**EVENT, "name": "Page Viewed", "properties": {"path": "/pricing/eu"}}
    click = {**EVENT, "name": "Page Viewed", "user_id": "u2", "properties": {"path": "/"}}
    newest_first = [click, about, page, EVENT]
    samples = [Sample(f"0-{at}", "", (one,)) for at, one in enumerate(newest_first)]
    found = {one.name: one for one in bench.labels(samples)}
    pricing, internal = found["Pricing Page"], found["Internal"]
    assert (pricing.matches, pricing.events, pricing.names) == (1, 3, {"Page Viewed": 1})
    assert (internal.about_users, internal.matches, internal.names) == (True, 1, {"Page Viewed": 1})
    assert internal.file == "labels/internal.yaml"


def test_what_others_save_is_seen_at_once_and_an_error_of_theirs_stands_in_nobodys_way(
    bench: Workbench, config: Path
) -> None:
    labelled = HOOK.replace("[Purchase]", "[Bought]")
    assert not bench.preview(NEW, labelled, json.dumps(EVENT)).fires
    label = config / "labels/bought.yaml"
    label.write_text("name: Bought\nevents: [Purchase]\n")
    assert bench.preview(NEW, labelled, json.dumps(EVENT)).fires
    label.write_text("name: Bought\nevents: [Refund]\n")
    assert not bench.preview(NEW, labelled, json.dumps(EVENT)).fires
    (config / "webhooks/broken.yaml").write_text("id: broken\ntrigger: {\n")
    found = bench.check(NEW, HOOK)
    assert {one.file for one in found.findings if not one.warning} == {"webhooks/broken.yaml"}
    assert bench.preview(NEW, HOOK, json.dumps(EVENT)).fires
    listed = {one["file"]: one for one in bench.webhooks()}
    assert listed["webhooks/broken.yaml"]["errors"]
    assert listed[FILE]["trigger"] == {
        "events": ["Purchase"],
        "where": [{"event.properties.amount": {"gte": 500}}],
    }
    saved = bench.create("new", HOOK)
    assert (config / NEW).read_text() == HOOK
    assert bench.file_of("new") == NEW
    bench.save(NEW, HOOK + "# more\n", saved.etag)
    bench.remove(NEW, bench.read(NEW).etag)
    with pytest.raises(ConfigError, match="no webhook `new`"):
        bench.file_of("new")
    with pytest.raises(ConfigError, match="no file that can be edited"):
        bench.check("pipeline.yaml", "")


def test_a_list_a_secret_file_and_a_shape_count_as_they_are_now(bench: Workbench, config: Path) -> None:
    listed = HOOK.replace("]}", "], where: [{user.id: {in: {file: lists/ids.txt}}}]}")
    assert bench.check(NEW, listed).errors
    (config / "lists/ids.txt").write_text("u1\n")
    assert bench.preview(NEW, listed, json.dumps(EVENT)).fires
    (config / "lists/ids.txt").write_text("u2\n")
    assert not bench.preview(NEW, listed, json.dumps(EVENT)).fires
    secret = HOOK + "  headers: {X-Key: '${file:token}'}\n"
    assert bench.check(NEW, secret).errors
    (config / "token").write_text("hush\n")
    found = bench.preview(NEW, secret, json.dumps(EVENT))
    assert found.request is not None
    assert found.request.headers["X-Key"] == "${file:token}"
    (config / NEW).write_text(secret)
    (token,) = (one for one in bench.secrets() if one.name == "file:token")
    assert (token.is_set, token.webhooks, token.setting) == (True, ("new",), False)
    assert token.age_secs is not None


@pytest.mark.parametrize(
    ("headers", "shown"),
    [
        ("accept: a/b, x-key: k", ["Accept", "x-key", "Content-Type", "webhook-id"]),
        ("Content-type: text/x", ["Content-type", "webhook-id"]),
        ("content-type: text/x", ["Content-Type", "webhook-id"]),
        ("Content-Type: '{{ user.properties.none }}'", ["Content-Type", "webhook-id"]),
    ],
)
def test_headers_have_the_names_under_which_they_are_sent(
    bench: Workbench, headers: str, shown: list[str]
) -> None:
    found = bench.preview(NEW, f"{HOOK}  headers: {{{headers}}}\n", json.dumps(EVENT))
    assert found.request is not None
    assert list(found.request.headers) == shown


def test_what_takes_too_much_is_a_finding_and_the_next_text_is_tried_all_the_same(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Some seconds of work: a limit of processor time is of whole seconds, the one that has begun among them.
    dear = "{{1|abs}}" * 7_000
    heavy = HOOK + "  body:\n" + "".join(f"    k{n}: '{dear}'\n" for n in range(15))
    bench.check(NEW, HOOK)
    monkeypatch.setattr(module, "BOUNDS", Bounds(config_secs=0.01, more_secs=0))
    assert [one.code for one in bench.check(NEW, heavy).findings] == ["config-too-expensive"]
    monkeypatch.undo()
    assert bench.check(NEW, HOOK).errors == 0


def test_what_the_job_has_is_missing_nowhere_and_what_it_lacks_is_missing_also_if_we_have_it(
    config: Path, bench: Workbench, tmp_path: Path
) -> None:
    has, values = {"KEY", "PASSWORD", "WHERE"}, {"WHERE": "crm.example"}

    def secrets(names: list[str]) -> object:
        return {"secrets": {name: {"set": name in has} for name in names}, "settings": values}

    text = HOOK.replace("x.example", "${WHERE}") + "  headers: {X-Key: '${KEY}'}\n"
    text += "  auth: {basic: {username: a, password: '${PASSWORD}'}}\n"
    text += "  signature: {standard_webhooks: {secrets: ['${KEY}']}}\n"
    ours = text.replace("'${KEY}'}", "'${OURS}'}")
    service = AdminService(state=tmp_path, routes=[Route("secrets", secrets)])
    service.start()
    workbench = Workbench(config, tmp_path, environ={"OURS": "x"})
    try:
        shown = workbench.preview(NEW, text, json.dumps(EVENT))
        assert shown.checked.findings == ()
        assert shown.request is not None
        assert shown.request.url == "https://crm.example/"
        assert shown.request.headers["X-Key"] == "${KEY}"
        found = workbench.check(NEW, ours)
        assert {one.code for one in found.findings} == {"missing-secret"}
        (config / NEW).write_text(text)
        told = {one.name: one.is_set for one in workbench.secrets()}
        assert (told["KEY"], told["RECEIVER"]) == (True, False)
        assert "OURS" not in json.dumps([one.to_json() for one in workbench.secrets()])
    finally:
        service.stop()
    workbench._environment._at = float("-inf")  # what it said is old
    try:
        found = workbench.check(NEW, ours)
        assert {one.code for one in found.findings} == {"missing-secret", "missing-setting"}
        assert "OURS" not in str(found.findings)
    finally:
        workbench.close()


def test_the_events_of_a_webhooks_own_tests_are_samples(config: Path) -> None:
    found = case_samples(config, FILE)
    assert found
    assert all(one.records and one.id.startswith("case:") for one in found)
    assert case_samples(config, NEW) == []
