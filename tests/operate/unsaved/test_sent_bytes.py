"""What a preview shows is what a test sends and what the job delivers, byte for byte: every example."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest

from pipeline.admin.socket_client import NotRunning, ask
from pipeline.model.errors import HooklineError
from pipeline.operate.running import looks
from pipeline.operate.unsaved.cases import case_samples
from pipeline.operate.unsaved.results import Previewed
from pipeline.operate.unsaved.workbench import Workbench
from pipeline.receiver.received import Request
from pipeline.receiver.server import Receiver
from tests.kit.programs.jobs import Job, ready
from tests.kit.programs.run import Bench, until
from tests.kit.streams.samples import ROOT

EXAMPLES = sorted(path.stem for path in (ROOT / "config/examples").glob("*.yaml") if ".test" not in path.name)
COPIES = 2
"""Times that each event of the examples' own tests comes, each time of other users."""
ANSWER = {"body": '{"ok": true, "access_token": "t"}', "headers": {"content-type": "application/json"}}
PLACEHOLDER = re.compile(r"\$\{(\w+)[^}]*\}")


@dataclass(slots=True)
class Tried:
    """One event, and what the preview of its example says."""

    webhook: str
    shown: Previewed
    must: bool
    """Whether the job has to deliver it: nothing that came before can hold it back."""


def _webhooks(bench: Bench, receiver: Receiver) -> dict[str, str]:
    """Write the examples as webhooks whose receiver is ours, each batch of one; return their secrets."""
    origin, secrets = receiver.url("").rstrip("/"), dict[str, str]()
    (bench.config / "webhooks").mkdir(parents=True)
    (bench.config / "pipeline.yaml").write_text(bench.settings)
    for folder in ("labels", "lists"):
        shutil.copytree(ROOT / "config" / folder, bench.config / folder)
    for name in EXAMPLES:
        text = (ROOT / f"config/examples/{name}.yaml").read_text()
        text = re.sub(r"https://[\w.-]+", origin, text)
        text = re.sub(r"max_events: \d+", "max_events: 1", text)
        (bench.config / f"webhooks/{name}.yaml").write_text(text)
        tests = (ROOT / f"config/examples/{name}.test.yaml").read_bytes()
        (bench.config / f"webhooks/{name}.test.yaml").write_bytes(tests)
        secrets |= {one: f"s3cret-{one}" for one in re.findall(r"\$\{(\w+)", text)}
    return secrets


def _streamed(bench: Bench, workbench: Workbench) -> dict[str, Tried]:
    """Put the events of all tests on the stream; return what their previews show, by webhook-id."""
    found: dict[str, Tried] = {}
    lines: list[dict[str, Any]] = []
    for name in EXAMPLES * COPIES:
        file, copy, known = f"webhooks/{name}.yaml", len(lines), set[str]()
        text = (bench.config / file).read_text()
        for at, sample in enumerate(case_samples(bench.config, file)):
            case = sample.id.partition(" #")[0]
            who = f"{name}-{copy}-{case}"
            record = {**sample.records[0], "id": f"{who}-{at}", "user_id": who}
            record.pop("anonymous_id", None)
            first = case not in known
            if first:
                known.add(case)
                lines.append({"type": "user", "user_id": who, "set": sample.properties})
            lines.append(record)
            user = orjson.dumps(sample.properties).decode()
            shown = workbench.preview(file, text, orjson.dumps(record).decode(), user)
            assert (shown.checked.own, shown.problem) == ((), None)
            found[str(shown.webhook_id)] = Tried(name, shown, first and shown.fires)
    bench.stream.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    return found


def _id_of(request: Request, tried: dict[str, Tried]) -> str:
    """Return the webhook-id of an event; a batch of one has another."""
    batches = {"msg_" + blake2b(f"{one}\n".encode(), digest_size=16).hexdigest(): one for one in tried}
    return batches.get(request.message_id, request.message_id)


def _same(sent: Request, tried: Tried, secrets: dict[str, str]) -> None:
    """Compare a request with what was shown of it, secrets in their places."""
    shown = tried.shown.request
    assert shown is not None

    def filled(text: str) -> str:
        return PLACEHOLDER.sub(lambda found: secrets[found[1]], text)

    url = urlsplit(filled(shown.url.replace("%24%7B", "${").replace("%7D", "}")))
    assert (sent.method, sent.path, sent.query) == (shown.method, url.path, url.query)
    assert sent.body.decode() == filled(shown.body)
    headers = {name.lower(): filled(value) for name, value in shown.headers.items()}
    del headers["webhook-id"]  # of a batch it is another one
    assert headers.items() <= sent.headers.items()
    assert {name.lower() for name in shown.added} <= sent.headers.keys()


def test_fifty_events_over_all_examples_are_shown_as_they_are_sent(tmp_path: Path) -> None:
    with Receiver({"*": ANSWER}) as receiver:
        bench = Bench(tmp_path)
        secrets = bench.environment = _webhooks(bench, receiver)
        workbench = Workbench(bench.config, bench.state, environ=secrets)
        try:
            tried = _streamed(bench, workbench)
            with pytest.raises(NotRunning, match="the job is stopped, and a test is sent by the job"):
                looks.send_test(bench.state, "slack", {"type": "event", "name": "Purchase", "user_id": "u"})
            with Job(bench) as job:
                ready(bench, job)
                wanted = {name for name, one in tried.items() if one.must}
                until(lambda: wanted <= {_id_of(one, tried) for one in receiver.requests})
                delivered = [(one, _id_of(one, tried)) for one in receiver.requests]
                compared = [(one, tried[name]) for one, name in delivered if name in tried]
                for request, one in compared:
                    _same(request, one, secrets)
                assert len(tried) >= 50
                assert {one.webhook for _, one in compared} == set(EXAMPLES)
                for one in [*tried.values()][: len(tried) // COPIES]:
                    if one.shown.request is not None:
                        _same(_test_sent(bench, receiver, one), one, secrets)
                _unsaved_is_sent(bench, receiver, workbench)
        finally:
            workbench.close()


def _test_sent(bench: Bench, receiver: Receiver, one: Tried, **more: Any) -> Request:
    before = len(receiver.requests)
    sent = looks.send_test(
        bench.state, str(one.shown.checked.webhook), one.shown.record, one.shown.properties, **more
    )
    assert sent["answer"]["status"] == 200, sent
    (found,) = (one for one in receiver.requests[before:] if one.headers.get("webhook-test") == "true")
    return found


def _unsaved_is_sent(bench: Bench, receiver: Receiver, workbench: Workbench) -> None:
    """A text that nobody has saved, also of a webhook that is new, is sent with the job's secrets."""
    text = f"id: new\ntrigger: {{events: [Sold]}}\nrequest:\n  url: {receiver.url('/new')}\n"
    text += "  headers: {X-Key: '${SLACK_BOT_TOKEN}'}\n  body: {who: '{{ user.properties.plan }}'}\n"
    record = orjson.dumps({"type": "event", "name": "Sold", "user_id": "n1"}).decode()
    shown = workbench.preview("webhooks/new.yaml", text, record, '{"plan": "pro"}')
    request = _test_sent(bench, receiver, Tried("new", shown, True), files={"webhooks/new.yaml": text})
    assert (request.path, request.body) == ("/new", b'{"who":"pro"}')
    assert request.headers["x-key"] == "s3cret-SLACK_BOT_TOKEN"
    with pytest.raises(HooklineError, match="did you mean `request`"):
        looks.send_test(
            bench.state, "new", shown.record, None, {"webhooks/new.yaml": text.replace("request", "reqest")}
        )
    (told,) = ask(bench.state, "secrets", names=["NOWHERE", "PATH"])
    assert "s3cret" not in str(told)
    assert told["secrets"]["SLACK_BOT_TOKEN"] == {"set": True, "webhooks": ["slack"], "age_secs": None}
    assert (told["secrets"]["NOWHERE"]["set"], told["secrets"]["PATH"]["set"]) == (False, True)
