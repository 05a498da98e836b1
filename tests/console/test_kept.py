"""Dead letters, what is pending, webhooks and users in the console: plain forms and the API, no browser."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import orjson
import pytest

from pipeline.outbox.handover import Progress
from pipeline.outbox.reading.view import accounting, dead_letters
from pipeline.receiver.server import Receiver
from tests.kit.machine.kept import T0, keep, letter
from tests.kit.programs.jobs import Job, accounted, ready
from tests.kit.programs.run import Bench, until
from tests.kit.web.pages import OURS, Caller, Reply, served

NOW = time.time_ns() // 1_000_000


def get(caller: Caller, path: str, token: str = "editor") -> Reply:
    said = caller.ask("GET", path, token=token)
    assert said.status == 200, said.text[:3000]
    return said


def api(caller: Caller, path: str, body: object, token: str = "editor", status: int = 200):
    said = caller.ask(
        "POST",
        f"/api/v1/{path}",
        {**OURS, "content-type": "application/json"},
        orjson.dumps(body),
        token=token,
    )
    assert said.status == status, said.text[:3000]
    return said.json


def form(page: str, action: str) -> dict[str, str]:
    """Return the fields of the form that posts to this path, as a browser without scripts would send them."""
    found = re.search(rf'<form method="post" action="{re.escape(action)}".*?</form>', page, re.S)
    assert found is not None, page
    inputs = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', found[0])
    return {name: html.unescape(value) for name, value in inputs}


@pytest.fixture
def live(tmp_path: Path, receiver: Receiver) -> Iterator[tuple[Bench, Caller]]:
    """A job that has given up 500 requests for three reasons, and a console over it."""
    bench = Bench(tmp_path)
    for name in "abc":
        bench.webhook(name, receiver.url(f"/{name}"), events=f'"{name}"')
    receiver.answer({"/a": [422], "/b": [400], "/c": [404]})
    counts = {"a": 200, "b": 150, "c": 150}
    bench.append(
        *(
            {"id": f"{name}{n}", "name": name, "user_id": f"u{n}"}
            for name, most in counts.items()
            for n in range(most)
        )
    )
    with Job(bench) as job:
        ready(bench, job)
        until(lambda: sum(accounted(bench).get(name, {}).get("dead", 0) for name in counts) == 500)
        with served(tmp_path, {}) as caller:
            yield bench, caller
        job.stop()


def test_five_hundred_are_counted_and_exactly_those_of_a_filter_are_sent_once(live, receiver: Receiver):
    """Acceptance check 11, by forms alone."""
    bench, caller = live
    page = get(caller, "/dead-letters").text
    assert "<b>500</b>" in page
    older = re.search(r'href="([^"]*before=[^"]*)" rel="next"', page)
    assert older is not None
    assert (
        len(re.findall(r'<th scope="row" class="nowrap">', get(caller, html.unescape(older[1])).text)) == 50
    )

    confirm = get(caller, "/dead-letters/selection?" + urlencode({"do": "replay", "status": "422"})).text
    assert "Send again: 200 dead letters" in confirm
    before = len(receiver.requests)
    stay = {one.key for _, one in dead_letters(bench.state) if one.progress.status != 422}
    receiver.answer({"*": [200]})
    # What dies meanwhile was not shown, and stays.
    fields = form(confirm, "/dead-letters/selection")
    said = caller.ask("POST", "/dead-letters/selection", OURS, fields, token="operator")
    assert (said.status, said.headers["location"]) == (303, "/dead-letters?status=422"), said.text
    until(lambda: accounted(bench)["a"]["delivered"] == 200)
    sent = receiver.requests[before:]
    assert len(sent) == 200
    assert len({request.headers["webhook-id"] for request in sent}) == 200
    assert {request.headers["webhook-replay"] for request in sent} == {"true"}
    assert {one.key for _, one in dead_letters(bench.state)} == stay
    assert [accounted(bench)[name]["dead"] for name in "abc"] == [0, 150, 150]
    line = next(line for line in caller.audit if line["action"] == "replay")
    assert (line["count"], line["digest"]) == (200, fields["digest"])

    again = caller.ask("POST", "/dead-letters/selection", OURS, fields, token="operator")
    assert again.status == 303  # nothing of it is left: nothing is sent
    assert len(receiver.requests) == before + 200

    # The overview and the webhooks, while the job runs.
    seen = get(caller, "/?format=json").json
    assert (seen["running"], seen["balances"]) == (True, True)
    assert seen["totals"]["matched"] == 500
    for path in ("/", "/webhooks", "/pending", "/events"):
        get(caller, path)
    paused = api(caller, "webhooks/orders", {"order": "pause", "webhooks": ["a", "c"]})
    assert paused["now"] is True
    states = {row["id"]: row["state"] for row in get(caller, "/webhooks?format=json").json["webhooks"]}
    assert states == {"a": "paused", "b": "active", "c": "paused"}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    """A console over the state of a stopped job."""
    folder = tmp_path_factory.mktemp("kept")
    keep(
        folder / "state",
        [
            *(letter("crm", n, user="lovelace", body=b'{"mail":"lovelace@example.com"}') for n in range(60)),
            letter("", 100, kind="record", reason="no JSON: <script>", body=b"<script>\xff\x1b[31m", at=NOW),
        ],
        [("crm", 200, Progress(attempt=2, status=503, excerpt="busy"))],
    )
    with served(folder) as caller:
        yield caller


def test_a_page_says_what_is_there_and_escapes_it(kept: Caller):
    page = get(kept, "/dead-letters?kind=records").text
    assert "<script>" not in page
    assert "no JSON: &lt;script&gt;" in page
    name = get(kept, "/dead-letters?kind=records&format=json").json["dead_letters"][0]["id"]
    shown = get(kept, f"/dead-letters/{name}").text
    assert "&lt;script&gt;\\xff" in shown
    assert "\x1b" not in shown
    assert "It still cannot be read: not UTF-8 at byte 8" in shown


def test_an_id_that_would_show_as_another_shows_what_is_in_it(kept: Caller):
    who = quote("\u202eecalevol")  # with right to left it reads "lovelace"
    page = get(kept, f"/events/users?id={who}").text
    assert "User \\u202eecalevol" in page
    assert page.count("\u202e") == 1, "the field to look for it, as it was typed"


def test_who_may_see_no_payloads_sees_counts_alone(kept: Caller):
    name = get(kept, "/dead-letters?webhook=crm&format=json").json["dead_letters"][0]["id"]
    for path in (
        "/", "/?format=json", "/dead-letters", "/dead-letters?kind=records", "/dead-letters?format=json",
        "/pending", "/webhooks", "/webhooks?format=json", "/api/v1/status",
        f"/dead-letters/{name}", f"/api/v1/dead-letters/{name}", "/api/v1/dead-letters", "/api/v1/outbox",
        "/dead-letters/selection?do=purge", "/pending/selection",
    ):  # fmt: skip
        said = get(kept, path, "viewer").text
        assert not re.search("lovelace|u200|script&gt;|example.com/\\$|busy", said), path
    for asks in ("user=lovelace", "text=lovelace"):
        refused = kept.ask("GET", f"/dead-letters?{asks}", token="viewer")
        assert (refused.status, "your role may not see payloads" in refused.text) == (422, True)
    assert kept.ask("GET", "/dead-letters/export", token="viewer").status == 403
    assert kept.ask("POST", "/dead-letters/selection", OURS, {"do": "purge"}, token="payloads").status == 403


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/dead-letters?since=yesterday", "`yesterday` is no time"),
        ("/dead-letters?status=50x", "there is no status or fault `50x`"),
        ("/dead-letters?webhook=cmr", "did you mean `crm`?"),
        ("/dead-letters?kind=x", "none of requests, records"),
        ("/dead-letters?before=zz", "is no cursor"),
        ("/pending?due=soon", "none of now, later"),
        ("/pending?after=zz", "is no cursor"),
        ("/pending?webhook=cmr", "did you mean `crm`?"),
    ],
)
def test_what_is_wrong_with_a_filter_stands_beside_it_and_what_was_typed_is_kept(kept: Caller, path, words):
    said = kept.ask("GET", path, token="editor")
    assert (said.status, words in html.unescape(said.text)) == (422, True)
    assert html.escape(path.partition("=")[2]) in said.text
    answer = kept.ask("GET", "/api/v1" + path.replace("/pending", "/outbox"), token="editor")
    assert (answer.status, words in answer.json["error"]) == (400, True)


def test_over_a_thousand_the_webhook_is_typed(tmp_path: Path):
    keep(tmp_path / "state", [letter("crm", n) for n in range(1001)])
    with served(tmp_path) as caller:
        confirm = get(caller, "/dead-letters/selection?do=purge&webhook=crm").text
        assert "Type crm to confirm" in confirm
        fields = form(confirm, "/dead-letters/selection")
        said = caller.ask("POST", "/dead-letters/selection", OURS, {**fields, "typed": "crn"}, token="editor")
        assert (said.status, "type `crm` to confirm" in said.text) == (422, True)
        assert not list((tmp_path / "state").rglob("commands/*.json"))
        said = caller.ask("POST", "/dead-letters/selection", OURS, {**fields, "typed": "crm"}, token="editor")
        assert said.status == 303
        assert len(list((tmp_path / "state").rglob("commands/*.json"))) == 2, "for the start of each shard"


def test_what_was_not_shown_is_not_changed(tmp_path: Path):
    keep(tmp_path / "state", [letter("crm", n) for n in range(3)])
    with served(tmp_path) as caller:
        counted = api(caller, "dead-letters/replay", {"filter": {"webhook": "crm"}, "dry_run": True})
        assert (counted["count"], counted["by_reason"][0]["reason"]) == (3, "max-age")
        api(caller, "dead-letters/replay", {"filter": {"webhook": "crm"}}, status=400)
        api(caller, "dead-letters/replay", {"filter": {}, "digest": "0" * 32}, status=409)
        for wrong in ({"status": 503}, {"webook": "crm"}, None):  # none of these means all
            api(caller, "dead-letters/replay", {"filter": wrong, "dry_run": True}, status=400)
        api(caller, "outbox/drop", {"filter": {"reason": "x"}, "dry_run": True}, status=400)
        api(caller, "webhooks/orders", {"order": "disable", "dry_run": True}, status=400)
        keep(tmp_path / "state", [letter("crm", 9)])
        done = api(caller, "dead-letters/replay", {"filter": {"webhook": "crm"}, "digest": counted["digest"]})
        assert (done["count"], done["at_next_start"]) == (3, True)
        assert [line["action"] for line in caller.audit if line["result"] == "done"] == ["replay"]


def test_an_order_to_many_says_first_what_is_owed_and_what_becomes_of_it(kept: Caller):
    ask = {"do": "pause", "which": "all"}
    page = kept.ask("POST", "/webhooks/orders", OURS, {"do": "pause"}, token="operator")
    assert page.status == 303  # nothing was chosen, and it is said
    one = kept.ask("POST", "/webhooks/orders", OURS, {**ask}, token="operator")
    assert one.status == 303
    assert get(kept, "/webhooks?format=json").json["webhooks"][0]["state"] == "paused"
    assert 'data-label="Due (UTC)">when resumed</td>' in get(kept, "/pending").text
    told = api(kept, "webhooks/orders", {"order": "pause", "webhooks": [], "dry_run": True})
    assert told["webhooks"] == [
        {
            "id": "crm",
            "pending": 1,
            "becomes": "kept until `resume`; a dead letter 72h after its match",
            "refused": "",
        }
    ]
    api(kept, "webhooks/orders", {"order": "resume", "webhooks": ["c*"]})
    assert (
        kept.ask("POST", "/webhooks/orders", OURS, {"do": "stop", "which": "all"}, token="editor").status
        == 400
    )


def test_an_empty_house_says_what_to_do(tmp_path: Path):
    with served(tmp_path, {}) as caller:
        assert "No webhooks yet" in get(caller, "/webhooks").text
        assert "No job has run here yet" in get(caller, "/dead-letters").text
        assert "Nothing is pending" in get(caller, "/pending").text
        needs = get(caller, "/?format=json").json["needs"]
        assert needs[0]["words"].startswith("No job is running")
        assert "No job is running" in get(caller, "/events").text
        assert "No job has run here yet" in get(caller, "/events/users?id=u1").text


def test_the_accounting_is_that_of_the_command(kept: Caller):
    assert get(kept, "/api/v1/status").json["webhooks"] == accounting(kept.console.state)["webhooks"]
    assert T0  # the clock of what is kept


def test_one_is_sent_again_from_its_page_and_deleted_after_a_question(kept: Caller):
    first = get(kept, "/dead-letters?kind=requests").text
    link = re.search(r'href="(/dead-letters/(\w+)\?at=\w+)"', first)
    assert link is not None
    page, name = get(kept, link[1]).text, link[2]
    assert f'action="{link[1]}"' in page
    confirm = get(kept, f"/dead-letters/selection?do=purge&id={name}&webhook=crm").text
    assert "Delete for good: 1 dead letter" in confirm
    said = kept.ask("POST", link[1], OURS, {"do": "replay"}, token="operator")
    assert (said.status, said.headers["location"]) == (303, "/dead-letters")
    wrong = kept.ask("POST", link[1], OURS, {"do": "burn"}, token="operator")
    assert (wrong.status, "no action for dead letters" in wrong.text) == (400, True)
    assert kept.ask("GET", "/dead-letters/none", token="viewer").status == 409
