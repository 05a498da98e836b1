"""Dead records are replayed by the mended shape, joined with what the job knows of their users now."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest

from pipeline.cli.app import run
from pipeline.model.json import Value
from pipeline.receiver.server import Receiver
from tests.job.replays.past import contents
from tests.kit.programs.run import HOOKLINE as PROGRAM
from tests.kit.programs.run import Bench, finished, until

SETTINGS = """\
{network: {allow: [127.0.0.0/8]}, epoch: 100ms, shards: 2,
 source: {jsonl: {format: mine, paths: [../events.jsonl]}}}
"""
SHAPE = """\
name: mine
records:
- when: [{{kind: order}}]
  event: {{name: {{text: Order}}, user_id: {user}, anonymous_id: {device}, id: no, properties: .}}
- when: [{{kind: profile}}]
  user: {{user_id: {user}, set: has}}
- when: [{{kind: person}}]
  user: {{user_id: uid, set: has}}
- when: [{{kind: login}}]
  link: {{anonymous_id: device, user_id: uid}}
"""
BODY = 'body: {no: "{{ event.properties.no }}", who: "{{ user.id }}", has: "{{ user.properties }}"}'


class Mended:
    """A job that knows ann's plan as of now and could not read her orders; its shape is mended meanwhile."""

    def __init__(self, folder: Path, receiver: Receiver, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys
        self.receiver = receiver
        self.bench = Bench(folder, settings=SETTINGS)
        self.bench.write(
            "w", f"trigger: {{events: [Order]}}\nrequest: {{url: '{receiver.url('/w')}', {BODY}}}\n"
        )
        (self.bench.config / "shapes").mkdir()
        self.read_by("buyer.id", "phone")
        self.lines(
            {"kind": "order", "no": 1, "uid": "ann"},
            {"kind": "person", "uid": "ann", "has": {"plan": "free", "since": 2020}},
            {"kind": "order", "no": 2, "device": "d1", "uid": "ann", "wrong": 1},
            {"kind": "login", "device": "d1", "uid": "ann"},
            {"kind": "order", "no": 3, "uid": "nobody"},
            {"kind": "profile", "uid": "ann", "has": {"since": 2021}},
            {"kind": "order", "no": 4, "uid": "ann"},
        )

    @property
    def dead(self) -> Path:
        return self.bench.folder / "dead.rec.jsonl"

    def read_by(self, user: str, device: str) -> None:
        (self.bench.config / "shapes" / "mine.yaml").write_text(SHAPE.format(user=user, device=device))

    def lines(self, *lines: dict[str, Value]) -> None:
        with self.bench.stream.open("a") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)

    def export(self) -> None:
        self.read_by("uid", "device")
        said = self.bench.hookline("dlq", "export", "--records", "-o", self.dead)
        assert "joined with what the job knows of users now" in said

    def replay(self) -> str:
        """Replay in a process of its own, as the running job's stores want it."""
        words = [PROGRAM, "replay", self.dead, "-c", self.bench.config]
        return "".join(finished(*words, env=self.bench.environ))

    def rehearse(self, *flags: object, code: int = 0) -> str:
        words = ["replay", self.dead, "-c", self.bench.config, "--dry-run", *flags]
        self.capsys.readouterr()
        assert run([*map(str, words)]) == code
        found = self.capsys.readouterr()
        return found.out + found.err

    def arrived(self) -> dict[int, tuple[str, Value]]:
        found = [json.loads(request.body) for request in self.receiver.requests]
        self.receiver.requests.clear()
        return {one["no"]: (one["who"], one["has"]) for one in found}


@pytest.fixture
def mended(tmp_path: Path, receiver: Receiver, capsys: pytest.CaptureFixture[str]) -> Mended:
    return Mended(tmp_path, receiver, capsys)


PRO = {"plan": "pro", "since": 2020}
NOW = {1: ("ann", PRO), 2: ("ann", PRO), 3: ("nobody", {}), 4: ("ann", {**PRO, "since": 2021})}


def test_a_replay_of_dead_records_finds_users_as_the_job_knows_them_now(mended: Mended):
    bench = mended.bench
    with bench.running():
        until(lambda: len(bench.listed("dlq")) == 5)
        mended.export()
        mended.lines({"kind": "person", "uid": "ann", "has": {"plan": "pro"}})
        until(lambda: bench.status()["records"]["updates"] == 2)
        said = mended.replay()
        assert f"joined with what {bench.state} knows of users now" in said
        assert mended.arrived() == NOW
    before = contents(bench.state)
    made = [json.loads(line)["body"] for line in mended.rehearse().splitlines() if line[:1] == "{"]
    assert {one["no"]: (one["who"], one["has"]) for one in made} == NOW, "of a stopped job, too"
    assert contents(bench.state) == before, "the live state was touched"


def test_who_a_dead_record_belongs_to_is_asked_by_explain_and_by_name(mended: Mended):
    bench = mended.bench
    bench.run()
    mended.export()
    letter = next(one["id"] for one in bench.listed("dlq") if "wrong" in str(one["request"]["body"]))
    said = bench.hookline("explain", "--dlq", letter)
    assert '"plan": "free"' in said
    shutil.move(bench.state, bench.folder / "elsewhere")
    said = mended.rehearse()
    assert f"nothing is known of their users: no state in {bench.state} and" in said
    assert '"plan":"free"' not in said
    assert '"plan":"free"' in mended.rehearse("--users-from", bench.folder / "elsewhere")
    assert "it holds no state" in mended.rehearse("--users-from", bench.folder / "nowhere", code=2)
    words = ["replay", mended.dead, "-c", bench.config, "--users-from", bench.folder / "elsewhere", "--state"]
    assert run([*map(str, words), str(bench.folder / "elsewhere")]) == 2
    assert "is a job's own" in mended.capsys.readouterr().err
    packed = bench.folder / "packed.rec.jsonl.gz"
    packed.write_bytes(gzip.compress(mended.dead.read_bytes()))
    shutil.move(bench.folder / "elsewhere", bench.state)
    assert '"plan":"free"' in mended.rehearse(packed, "--webhook", "w")
    people = bench.folder / "people.jsonl"
    people.write_text('{"kind":"person","uid":"ann","has":{"plan":"then"}}\n')
    said = mended.rehearse(people, "--format", "mine")
    assert "dead records among other recordings: they find users as those say" in said
    assert '"plan":"then"' in said
