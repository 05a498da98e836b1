"""Brokers that let in only those they know: what gets in, and what is said to those who do not."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.config.models.installation.job import DeadLettersKafka, DeadLettersSection
from pipeline.config.models.installation.source import KafkaSource as KafkaSection
from pipeline.kafka.client import KafkaSettings
from pipeline.model.errors import ConfigError, Fatal, HooklineError
from pipeline.outbox.copies.copies import open_copies
from pipeline.outbox.copies.place import NotCopied
from pipeline.receiver.server import Receiver
from pipeline.recording.topic_writer import TopicWriter
from pipeline.sources.topics.kafka_source import KafkaSource
from pipeline.telemetry.happenings import BROKERS_UNREACHABLE
from tests.kafka.servers.secured import CANARY, PASSWORD, PRINCIPALS, USER, Security, forbid, permit
from tests.kafka.servers.topics import Tapper, Topics, until
from tests.kafka.test_kafka_copies import letter
from tests.kit.programs.forge import Child, forge
from tests.kit.programs.run import Bench
from tests.kit.receivers.certificates import Certificates

WRONG = f"{CANARY}-mistyped"


@pytest.fixture
def shared(topics: Topics, secured: Security) -> str:
    """A topic with one record that the users of the secured listeners may read; so is the test's group."""
    events = topics.create("events")
    topics.send(events, b"{}")
    permit(topics.admin, ("topic", events, "READ"), ("group", f"group-{topics.suffix}", "READ"))
    return events


def source(topics: Topics, secured: Security, protocol: str, topic: str, **changes: Any) -> KafkaSource:
    return KafkaSource(
        KafkaSettings(
            brokers=secured.address(protocol),
            events=(topic,),
            group=changes.pop("group", f"group-{topics.suffix}"),
            connect_secs=changes.pop("connect_secs", 10.0),
            settings=secured.settings(protocol, **changes),
        )
    )


def refused(ask: Callable[[], object], kind: type[HooklineError] = ConfigError) -> str:
    """Return the message of a refusal, which must come at once, and without a password."""
    begun = time.monotonic()
    # Not pytest.raises: what it keeps of the frames lets the garbage collector end clients, on any thread.
    try:
        ask()
    except kind as error:
        text = str(error)
    else:
        pytest.fail("was not refused")
    assert time.monotonic() - begun < 5, "a refusal is not waited for"
    assert CANARY not in text
    return text


@pytest.mark.parametrize("protocol", PRINCIPALS)
def test_those_who_are_known_read_and_commit(
    topics: Topics, secured: Security, shared: str, tap: Tapper, protocol: str
) -> None:
    seen = tap(source(topics, secured, protocol, shared).open("kafka-0"))
    seen.take(1)
    seen.reader.durable(seen.reader.position)
    asked = source(topics, secured, protocol, shared).admin

    def committed() -> bool:
        seen.turn()
        return asked.group_offsets(shared, 1) == {0: 1}

    until(committed, "the committed offset")


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
@pytest.mark.parametrize("changes", [{"sasl_password": WRONG}, {"sasl_username": "nobody"}])
def test_a_wrong_password_is_one_message_and_no_waiting(
    topics: Topics,
    secured: Security,
    shared: str,
    caplog: pytest.LogCaptureFixture,
    protocol: str,
    changes: dict[str, str],
) -> None:
    caplog.set_level("DEBUG")
    text = refused(source(topics, secured, protocol, shared, **changes).list_partitions)
    assert text.startswith(f"Kafka at {secured.address(protocol)} refuses us: ")
    assert "Authentication failed" in text
    assert text.endswith("check `security.protocol` and `sasl.*` in `settings`")
    assert [record.message for record in caplog.records if record.levelname != "DEBUG"] == []
    assert CANARY not in caplog.text


@pytest.mark.parametrize("protocol", ["SASL_SSL", "SSL"])
@pytest.mark.parametrize("authority", ["another", "none"])
def test_a_broker_with_a_certificate_of_an_unknown_authority_is_not_talked_to(
    topics: Topics, secured: Security, shared: str, tmp_path: Path, protocol: str, authority: str
) -> None:
    known = str(Certificates.make(tmp_path).ca) if authority == "another" else None
    text = refused(source(topics, secured, protocol, shared, ssl_ca_location=known).list_partitions)
    assert "certificate verify failed" in text
    assert "ssl.ca.location" in text


@pytest.mark.parametrize("certificate", ["none", "of another authority"])
def test_a_broker_that_wants_a_certificate_says_no_at_once(
    topics: Topics, secured: Security, shared: str, tmp_path: Path, certificate: str
) -> None:
    chain, key = None, None
    if certificate != "none":
        chain, key = map(str, Certificates.make(tmp_path).issue("client"))
    own = {"ssl_certificate_location": chain, "ssl_key_location": key}
    text = refused(source(topics, secured, "SSL", shared, **own).list_partitions)
    assert "SSL alert number" in text
    assert text.endswith("check `security.protocol` and `ssl.*` in `settings`")


@pytest.mark.parametrize("protocol", PRINCIPALS)
def test_a_client_of_another_protocol_is_told_what_to_look_at(
    topics: Topics, secured: Security, shared: str, protocol: str
) -> None:
    plain = KafkaSettings(secured.address(protocol), (shared,), connect_secs=0.5)
    text = refused(KafkaSource(plain).list_partitions, Fatal)
    assert text.endswith("the listener may want another `security.protocol` in `settings`")


def test_a_topic_that_we_may_not_see_or_not_read_is_told_with_who_needs_what(
    topics: Topics, secured: Security, shared: str
) -> None:
    events = topics.create("others")
    asked = source(topics, secured, "SASL_SSL", events)
    said = f"does not let us READ topic `{events}`: user `{USER}` needs READ on it"
    assert refused(asked.list_partitions) == f"Kafka at {secured.address('SASL_SSL')} {said}"
    permit(topics.admin, ("topic", events, "DESCRIBE"))
    until(lambda: events in asked.admin._client.list_topics(timeout=5).topics, "the permission")
    assert refused(asked.list_partitions) == f"Kafka at {secured.address('SASL_SSL')} {said}"


def test_a_group_that_we_may_not_use_is_told_before_anything_is_read(
    topics: Topics, secured: Security, shared: str
) -> None:
    text = refused(source(topics, secured, "SASL_SSL", shared, group="others").list_partitions)
    assert text.endswith(f"does not let us use group `others`: user `{USER}` needs READ on the group")


def test_a_permission_that_is_taken_away_ends_the_job_with_what_is_needed(
    topics: Topics, secured: Security, shared: str, tap: Tapper
) -> None:
    seen = tap(source(topics, secured, "SASL_SSL", shared).open("kafka-0"))
    seen.take(1)
    forbid(topics.admin, shared, "READ")

    def read() -> None:
        until(lambda: seen.turn(), "the end")

    assert "the user needs READ on it" in refused(read, Fatal)


def test_topics_are_written_and_created_only_where_that_is_permitted(
    topics: Topics, secured: Security, shared: str
) -> None:
    fresh = f"fresh-{topics.suffix}"

    def writer(**changes: Any) -> TopicWriter:
        return TopicWriter(secured.address("SASL_SSL"), secured.settings("SASL_SSL", **changes))

    assert "Authentication failed" in refused(lambda: writer(sasl_password=WRONG).ensure([shared], 1, {}))
    assert "verify failed" in refused(lambda: writer(ssl_ca_location=None).ensure([shared], 1, {}))
    assert "needs WRITE on it" in refused(lambda: writer().ensure([shared], 1, {}))
    permit(topics.admin, ("topic", fresh, "WRITE"))
    asked = writer()
    until(lambda: "needs CREATE on it" in refused(lambda: asked.ensure([fresh], 1, {})), "the permission")
    permit(topics.admin, ("topic", fresh, "CREATE"))

    def created() -> bool:
        try:
            return asked.ensure([fresh], 1, {}) == [fresh]
        except ConfigError:
            return False

    until(created, "the permission")
    asked.send(fresh, b"1", key=None, time_ms=1, headers=None)
    asked.flush()


def test_copies_go_to_the_brokers_of_the_source_with_its_password(
    topics: Topics, secured: Security, shared: str, tap: Tapper, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    dead = topics.create("dead")

    def copies(**changes: Any) -> Any:
        return open_copies(
            DeadLettersSection(kafka=DeadLettersKafka(topic=dead, settings={"linger.ms": 0})),
            KafkaSection(
                brokers=secured.address("SASL_SSL"),
                events=["events"],
                settings=secured.settings("SASL_SSL", **changes),
            ),
        )

    for text in (
        refused(lambda: copies(sasl_password=WRONG)),
        refused(lambda: copies(ssl_ca_location=None)),
        refused(copies),
    ):
        assert secured.address("SASL_SSL") in text
    assert text.endswith(f"does not let us WRITE topic `{dead}`: user `{USER}` needs WRITE on it")
    permit(topics.admin, ("topic", dead, "WRITE"))
    opened: list[Any] = []

    def permitted() -> bool:
        try:
            opened.append(copies())
        except ConfigError:
            return False
        return True

    until(permitted, "the permission")
    place = opened[0]
    place.copy([letter(7)])

    def refusal(offset: int) -> str:
        try:
            place.copy([letter(offset)])
        except NotCopied as error:
            return str(error)
        return ""

    forbid(topics.admin, dead, "WRITE")
    until(lambda: "Topic authorization failed" in refusal(8), "the permission to be gone")
    permit(topics.admin, ("topic", dead, "WRITE"))
    until(lambda: refusal(9) == "", "the permission")
    place.close()
    seen = tap(topics.open(events=(dead,), stop="end"))
    offsets = [json.loads(line or b"")["origin"]["offset"] for line in seen.finish()]
    assert (offsets[0], offsets[-1], set(offsets) - {8}) == (7, 9, {7, 9})
    assert CANARY not in caplog.text
    # A refused handshake may reach us first as a lost connection: then that is said once.
    said = {record.message for record in caplog.records if record.levelname != "DEBUG"}
    assert said <= {BROKERS_UNREACHABLE.text}


PIPELINE = """
source:
  kafka:
    brokers: "{address}"
    events: [{events}]
    users: [{users}]
    group: {group}
    settings:
      security.protocol: SASL_SSL
      ssl.ca.location: {ca}
      sasl.mechanisms: SCRAM-SHA-512
      sasl.username: app
      sasl.password: ${{KAFKA_PASSWORD}}
      debug: broker,security,protocol
dead_letters: {{kafka: {{topic: {dead}}}}}
network: {{allow: [127.0.0.0/8]}}
epoch: 200ms
shards: 2
log: {{level: debug}}
"""


@pytest.fixture
def bench(topics: Topics, secured: Security, tmp_path: Path) -> Bench:
    """A job that reads and writes topics of a secured broker, with everything permitted, all of it logged."""
    events, users, dead = (f"{name}-{topics.suffix}" for name in ("events", "users", "dead"))
    group = f"group-{topics.suffix}"
    topics.create("dead")
    rules = [
        ("topic", topic, operation) for topic in (events, users, dead) for operation in ("CREATE", "ALL")
    ]
    permit(
        topics.admin, *rules, *(("group", f"{group}{more}", "READ") for more in ("", "-record", "-replay"))
    )
    bench = Bench(tmp_path, environment={"KAFKA_PASSWORD": PASSWORD, "RUST_BACKTRACE": "0"})
    bench.settings = PIPELINE.format(
        address=secured.address("SASL_SSL"), events=events, users=users, dead=dead, group=group,
        ca=secured.certificates.ca,
    )  # fmt: skip
    return bench


class Verbs:
    """Runs verbs as processes of their own and keeps all that they say."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.said = ""
        self.started: list[Child] = []

    def start(self, *words: object) -> Child:
        # What it says goes to files: nobody reads a pipe while it runs, and the developers' log is long.
        out, err = self._files(len(self.started))
        process = forge().start([*map(str, words)], self.bench.environ, out, err)
        self.started.append(process)
        return process

    def end(self, process: Child, code: int = 0) -> tuple[str, str]:
        process.wait(30)
        out, err = (path.read_text() for path in self._files(self.started.index(process)))
        self.said += out + err
        assert process.returncode == code, err[-3000:]
        return out, err

    def _files(self, number: int) -> tuple[Path, Path]:
        return self.bench.folder / f"stdout-{number}", self.bench.folder / f"stderr-{number}"

    def run(self, *words: object, code: int = 0) -> tuple[str, str]:
        return self.end(self.start(*words), code)


@pytest.fixture
def verbs(bench: Bench) -> Iterator[Verbs]:
    verbs = Verbs(bench)
    yield verbs
    for process in verbs.started:
        process.kill()
        process.wait()


def test_all_verbs_work_with_a_secured_broker_and_no_password_is_seen(
    topics: Topics, secured: Security, bench: Bench, verbs: Verbs
) -> None:
    given = {**secured.settings("SASL_SSL"), "sasl.password": "${KAFKA_PASSWORD}"}
    settings = [word for name, value in given.items() for word in ("--setting", f"{name}={value}")]
    events, users = f"events-{topics.suffix}", f"users-{topics.suffix}"
    bench.append({"id": "e1"}, {"id": "e2"})
    where = ["--brokers", secured.address("SASL_SSL"), "--events", events, "--users", users]
    verbs.run("produce", bench.stream, *where, *settings, "--partitions", 1)
    with Receiver({"*": [200, 400]}) as receiver:
        bench.webhook("crm", receiver.url("/crm"))
        assert "no problems" in verbs.run("check", "-c", bench.config)[0]
        assert '"sasl.password": "***"' in verbs.run("config", "show", "-c", bench.config, "--json")[0]
        job = verbs.start("run", "-c", bench.config, "--state", bench.state)
        until(lambda: bench.counts("crm")["dead"] == 1, "a dead letter")
        job.terminate()
        verbs.end(job)
        assert bench.counts("crm")["delivered"] == 1
        recording = verbs.start("record", "-c", bench.config, "--out", bench.folder / "rec", "--json")
        files = (bench.folder / "rec").rglob
        until(lambda: any(file.stat().st_size for file in files("*.zst")), "a recording")
        recording.terminate()
        assert json.loads(verbs.end(recording)[0])["records"] == 2
        verbs.run("replay", "--from-kafka", "-c", bench.config, "--state", bench.folder / "again")
        assert len(receiver.requests) == 4
    copied = topics.source(events=(f"dead-{topics.suffix}",), stop="end").open("kafka-0")
    until(lambda: copied.read(10) is not None, "the copy of the dead letter")
    copied.close()
    assert "librdkafka" in verbs.said, "even the developers' log was on"
    for path in (bench.state, bench.folder / "again", bench.folder / "rec"):
        verbs.said += "".join(f.read_bytes().decode("latin-1") for f in path.rglob("*") if f.is_file())
    assert CANARY not in verbs.said


def test_every_verb_says_why_it_is_refused_and_exits_with_1(
    topics: Topics, bench: Bench, verbs: Verbs
) -> None:
    bench.webhook("crm", "http://127.0.0.1:1/crm")
    topics.create("events"), topics.create("users")
    bench.environment["KAFKA_PASSWORD"] = WRONG
    for words in (["run", "--state", bench.state], ["record", "--out", bench.folder / "rec"]):
        _, err = verbs.run(*words, "-c", bench.config, code=1)
        told = [line for line in err.splitlines() if '"level":"debug"' not in line]
        assert len(told) == 1, "one message, and no stack or panic beside it"
        assert "refuses us" in told[0]
        assert "`sasl.*`" in told[0]
    assert CANARY not in verbs.said


def test_check_says_what_librdkafka_cannot_use_without_asking_anybody(bench: Bench, verbs: Verbs) -> None:
    good, bench.environment["KAFKA_PASSWORD"] = bench.settings, PASSWORD
    for wrong, told in {
        "sasl.pasword": "`sasl.pasword` is no setting of librdkafka",
        "ssl.ca.location": f"`ssl.ca.location`: there is no file `{bench.config / 'nowhere.pem'}`",
        "sasl.mechanisms": "Unsupported SASL mechanism: PLAINTEXT",
        "group.id": "`group.id` is set by Hookline and cannot be changed",
    }.items():
        value = {"ssl.ca.location": "nowhere.pem", "sasl.mechanisms": "PLAINTEXT"}.get(wrong, "x")
        kept = [line for line in good.splitlines() if f" {wrong}:" not in line]
        bench.settings = "\n".join(kept).replace("settings:\n", f"settings:\n      {wrong}: {value}\n")
        bench.webhook("crm", "https://crm.test/")
        assert told in verbs.run("check", "-c", bench.config, code=1)[0]
    assert CANARY not in verbs.said
