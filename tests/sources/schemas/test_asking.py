"""What a registry may answer: a schema, that it has none, or nothing that can be believed."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.decode.framed import schemas
from pipeline.decode.framed.schemas import SCHEMAS, Stored
from pipeline.decode.framed.schemas import Registry as Asked
from pipeline.model.errors import InvalidRecord
from pipeline.sources.schemas import registry as asking
from pipeline.sources.schemas.registry import MOST_BYTES, MOST_REFERENCES, Unanswered, fetch
from tests.kit.receivers.certificates import Certificates
from tests.kit.receivers.registry import Registry, a_registry, avro

GUID = "89791762-2336-4186-9674-299b90a802e2"
RECORD = {"type": "record", "name": "R", "fields": [{"name": "x", "type": "int"}]}


@pytest.fixture
def registry() -> Iterator[Registry]:
    with a_registry() as registry:
        yield registry


def ask(registry: Registry, id: str = "7", base: Path = Path(), **more: str) -> Stored:
    return asyncio.run(fetch(Asked(registry.url, **more), id, base))


def nothing_after(ending: threading.Event) -> None:
    ending.wait(10)


def refused(registry: Registry, id: str = "7", **more: str) -> str:
    with pytest.raises(Unanswered) as error:
        ask(registry, id, Path(), **more)
    return str(error.value)


def test_schemas_are_asked_for_by_id_and_by_guid_below_the_path_of_the_url(registry: Registry) -> None:
    registry.add(7, RECORD)
    registry.add(GUID, RECORD, schemaType="AVRO")
    assert json.loads(ask(registry).schema) == RECORD
    assert ask(registry, GUID).type == "AVRO"
    assert registry.asked == ["/api/schemas/ids/7", f"/api/schemas/guids/{GUID}"]


def test_references_come_with_a_schema_each_after_what_it_names(registry: Registry) -> None:
    def named(name: str, of: str) -> dict[str, object]:
        return {"type": "record", "name": name, "fields": [{"name": "x", "type": of}]}

    a, b = ({"name": name, "subject": f"sub/{name}", "version": 1} for name in "AB")
    registry.schemas["/subjects/sub%2FA/versions/1"] = {"schema": json.dumps(named("A", "int"))}
    registry.schemas["/subjects/sub%2FB/versions/1"] = {
        "schema": json.dumps(named("B", "A")),
        "references": [a],
    }
    registry.add(7, named("C", "B"), references=[b, a])
    found = ask(registry)
    assert [json.loads(one)["name"] for one in found.references] == ["A", "B"]
    SCHEMAS.learn(found)
    assert SCHEMAS.read(registry.url, "7", avro("int", 5)) == {"x": {"x": {"x": 5}}}


def test_references_without_end_are_a_dead_schema(registry: Registry) -> None:
    def endless(path: str) -> tuple[int, bytes] | None:
        number = 0 if "/ids/" in path else int(path.rpartition("/")[2])
        more = [{"name": "x", "subject": "s", "version": number + 1}]
        return 200, json.dumps({"schema": '"int"', "references": more}).encode()

    registry.script = endless
    assert "refers to more than" in ask(registry).unknown
    assert len(registry.asked) <= MOST_REFERENCES + 1


def test_an_id_that_the_registry_does_not_have_is_a_dead_record_for_a_while(
    registry: Registry, tmp_path: Path
) -> None:
    found = ask(registry)
    assert "does not have it" in found.unknown
    SCHEMAS.look_in(tmp_path)
    SCHEMAS.keep(tmp_path, found)
    assert SCHEMAS.has(registry.url, "7"), "also at the start after a crash"
    with pytest.raises(InvalidRecord, match="does not have it"):
        SCHEMAS.read(registry.url, "7", b"")
    SCHEMAS.learn(
        Stored(version=1, registry=registry.url, id="7", unknown="x", at=found.at - schemas.UNKNOWN_SECS)
    )
    assert not SCHEMAS.has(registry.url, "7"), "registries are restored"


def test_a_registry_that_knows_no_guids_makes_dead_records_of_them(registry: Registry) -> None:
    registry.script = lambda path: (404, b"") if "guids" in path else None
    assert "does not have it" in ask(registry, GUID).unknown


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((500, b"boom"), "500 for /schemas/ids/7: boom"),
        ((503, b""), "503"),
        ((429, b"slow down"), "429"),
        ((401, b""), "other credentials"),
        ((403, b""), "other credentials"),
        ((302, b""), "redirects are not followed"),
        ((404, b"<html>"), "may lack its path"),
        ((200, b"<html>hello</html>"), "no JSON object: <html>"),
        ((200, b"[]"), "no JSON object"),
        ((200, b"{}"), "no `schema`"),
        ((200, b'{"schema":7}'), "no `schema`"),
        ((200, b'{"schema":"int","references":7}'), "no list"),
        ((200, b'{"schema":"int","references":[{}]}'), "no subject"),
    ],
    ids=lambda one: str(one)[:40],
)
def test_what_may_pass_is_no_verdict_and_says_why(
    registry: Registry, answer: tuple[int, bytes], told: str
) -> None:
    registry.script = lambda path: answer
    assert told in refused(registry)
    assert all("elsewhere" not in path for path in registry.asked)


def test_an_answer_without_end_is_cut(registry: Registry) -> None:
    registry.script = lambda path: (200, b'{"schema":"' + b"x" * (MOST_BYTES + 1))
    assert "more than" in ask(registry).unknown


def test_nobody_there_and_nobody_answering_are_reasons(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    ending = threading.Event()
    monkeypatch.setattr(asking, "TOTAL_SECS", 0.2)
    registry.script = lambda path: nothing_after(ending)
    assert "no answer within" in refused(registry)
    ending.set()
    registry.stop()
    assert "127.0.0.1" in refused(registry)


def test_credentials_are_put_in_where_the_registry_is_asked_and_shown_nowhere(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.add(7, RECORD)
    (tmp_path / "token").write_text("tok-1\n")
    monkeypatch.setenv("PASSWORD", "hunter2")
    ask(registry, username="me", password="${PASSWORD}")
    ask(registry, base=tmp_path, token="${file:token}")
    (tmp_path / "token").write_text("tok-2\n")
    ask(registry, base=tmp_path, token="${file:token}")
    assert registry.authorization == ["Basic bWU6aHVudGVyMg==", "Bearer tok-1", "Bearer tok-2"]
    registry.script = lambda path: (500, f"you said {registry.authorization[-1]}".encode())
    assert refused(registry, username="me", password="${PASSWORD}").endswith("you said Basic ***")
    assert refused(registry, token="${PASSWORD}").endswith("you said Bearer ***")
    monkeypatch.setenv("PASSWORD", "hunter2\nx: y")
    told = refused(registry, token="${PASSWORD}")
    assert "hunter2" not in told
    assert "cannot be sent" in told
    monkeypatch.delenv("PASSWORD")
    assert "PASSWORD" in refused(registry, token="${PASSWORD}")


def test_a_registry_is_believed_by_its_certificate_alone(tmp_path: Path) -> None:
    certificates = Certificates.make(tmp_path)
    cert, key = certificates.issue("registry", ["127.0.0.1"])
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(cert, key)
    with a_registry(tls) as registry:
        registry.add(7, RECORD)
        assert ask(registry, base=tmp_path, ca="ca.pem").schema
        assert "certificate" in refused(registry)
        assert "No such file" in refused(registry, ca="missing.pem")


def test_a_damaged_file_is_no_schema(registry: Registry, tmp_path: Path) -> None:
    registry.add(7, RECORD)
    SCHEMAS.keep(tmp_path, ask(registry))
    (path,) = tmp_path.rglob("7.json")
    whole = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    for damaged in (whole[:-9], whole.replace(b"int", b"long"), b"", b"{}"):
        SCHEMAS.forget()
        SCHEMAS.look_in(tmp_path)
        path.write_bytes(damaged)
        assert not SCHEMAS.has(registry.url, "7"), "it is fetched again"
    path.write_bytes(whole)
    assert SCHEMAS.read(registry.url, "7", b"\2") == {"x": 1}


def test_a_recording_brings_its_schemas_whatever_its_registry_is_called_here(
    registry: Registry, tmp_path: Path
) -> None:
    registry.add(7, RECORD)
    SCHEMAS.keep(tmp_path / "out" / "schemas", ask(registry))
    (tmp_path / "out" / "kafka-0").mkdir()
    SCHEMAS.look_beside(tmp_path / "out" / "kafka-0" / "0.rec.jsonl")
    assert SCHEMAS.read("http://elsewhere", "7", b"\2") == {"x": 1}
    SCHEMAS.copy("http://elsewhere", "7", tmp_path / "state")
    SCHEMAS.forget()
    SCHEMAS.look_in(tmp_path / "state")
    assert SCHEMAS.has("http://elsewhere", "7")
    assert not SCHEMAS.has("http://other", "7"), "a state directory has no other's"
