"""Whose a request is: by its key, for its protocol, from its page; and no key is ever seen again."""

from __future__ import annotations

import pytest

from pipeline.collect.keys import Denied, Keys
from pipeline.config.models.installation.collect import CollectKey
from pipeline.language.secrets import Secrets
from pipeline.model.errors import ConfigError
from pipeline.telemetry.metrics import render_prometheus
from tests.collect.rig import EVENT, KEYS, Running, post, wait_for

PAGE = "https://shop.example"


def keys(**said) -> Keys:
    return Keys({name: CollectKey.model_validate(one) for name, one in said.items()}, Secrets({}))


def test_a_key_is_found_by_its_value():
    found = keys(a={"key": "one"}, b={"key": ["two", "three"]})
    assert [found.find(key, None, "native") for key in ("one", "two", "three")] == ["a", "b", "b"]


@pytest.mark.parametrize("credential", [None, "", "onE", "one ", "on", "two\0", "\udcff", "${KEY}"])
def test_another_value_is_unknown(credential):
    denied = keys(a={"key": "one"}).find(credential, None, "native")
    assert isinstance(denied, Denied)
    assert denied.status == 401


@pytest.mark.parametrize(
    ("origin", "name"), [(PAGE, "page"), (None, "page"), ("https://evil.example", None), ("null", None)]
)
def test_a_page_key_is_for_its_pages(origin, name):
    found = keys(page={"key": "one", "origins": [PAGE]}).find("one", origin, "native")
    assert found == name if name else isinstance(found, Denied) and found.status == 403


@pytest.mark.parametrize("origin", [PAGE, "null", ""])
def test_a_servers_key_is_for_no_page(origin):
    found = keys(server={"key": "one"}, page={"key": "two", "origins": [PAGE]}).find("one", origin, "native")
    assert isinstance(found, Denied)
    assert found.status == 403


def test_a_key_is_for_the_protocols_that_it_names():
    found = keys(a={"key": "one", "protocols": ["segment"]})
    assert found.find("one", None, "segment") == "a"
    denied = found.find("one", None, "native")
    assert isinstance(denied, Denied)
    assert denied.status == 403
    assert found.protocols_of("one") == {"segment"}
    assert found.protocols_of("two") is None


def test_two_names_for_one_key_and_an_empty_key_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"collect.keys.b.key\[1\]: `a` has the same key"):
        keys(a={"key": "one"}, b={"key": ["two", "one"]})
    (tmp_path / "wk").write_text("\n")
    with pytest.raises(ConfigError, match=r"collect\.keys\.a\.key"):
        Keys({"a": CollectKey(key=["${file:wk}"])}, Secrets({}, tmp_path))
    with pytest.raises(ConfigError, match="NOT_SET"):
        Keys({"a": CollectKey(key=["${NOT_SET}"])}, Secrets({}, tmp_path))


def test_any_takes_whatever_comes():
    found = Keys("any", Secrets({}))
    assert found.find(None, "https://every.example", "posthog") == "any"
    assert found.allows("https://every.example")


def status(running: Running, key: str | None, *headers: str, path: str = "/v1/events") -> int:
    return running.ask(post(b'{"a":1}', *headers, key=key, path=path)).status


def test_a_request_without_a_key_that_is_known_keeps_nothing(running):
    running.sink.batches.clear()
    for key in (None, "unknown", "sk-server-secre", "sk-server-secret2"):
        reply = running.ask(post(key=key))
        assert reply.status == 401
        assert b"secre" not in reply.body
    assert running.sink.batches == []
    assert status(running, "sk-server-secret") == 200
    assert status(running, "sk-server-secret", f"Origin: {PAGE}") == 403
    assert status(running, "wk-page-secret", f"Origin: {PAGE}") == 200
    assert status(running, "wk-page-secret", "Origin: https://evil.example") == 403
    assert status(running, None, "X-Write-Key: sk-server-secret") == 200
    assert status(running, None, path="/v1/events?key=sk-server-secret") == 200
    assert [dict(batch.members[0].headers)["hk-key"] for batch in running.sink.batches] == [
        b"server",
        b"web",
        b"server",
        b"server",
    ]


def test_a_key_in_a_file_is_rotated_within_a_second_without_a_restart(tmp_path):
    (tmp_path / "new").write_text("key-1\n")
    (tmp_path / "old").write_text("key-0\n")
    rotated = {"server": {"key": ["${file:new}", "${file:old}"]}}
    with Running({"keys": rotated}, base=tmp_path) as running:
        assert [status(running, key) for key in ("key-0", "key-1", "key-2")] == [200, 200, 401]
        (tmp_path / "old").write_text("key-1\n")
        replacement = tmp_path / "replacement"
        replacement.write_text("key-2\n")
        replacement.replace(tmp_path / "new")
        wait_for(lambda: status(running, "key-2") == 200, secs=1.5)
        wait_for(lambda: status(running, "key-0") == 401, secs=1.5)
        assert status(running, "key-1") == 200


def test_a_key_whose_file_is_gone_stays_valid_which_is_said_once(tmp_path, caplog):
    file = tmp_path / "key"
    file.write_text("key-1\n")
    with Running({"keys": {"server": {"key": "${file:key}"}}}, base=tmp_path) as running:
        assert status(running, "key-1") == 200
        file.unlink()
        wait_for(lambda: "stay valid" in caplog.text)
        assert status(running, "key-1") == 200
        file.write_text("key-2\n")
        wait_for(lambda: status(running, "key-1") == 401)
    assert caplog.text.count("stay valid") == 1


def test_no_key_is_in_a_line_a_metric_an_answer_or_the_log(running, caplog):
    """The page's key goes through every door, right and wrong."""
    caplog.set_level("DEBUG")
    secrets = ["wk-page-secret", "sk-server-secret"]
    assert str(KEYS).count("secret") == len(secrets)
    replies = []
    for secret in secrets:
        for path in ("/v1/events", f"/v1/events?key={secret}", f"/{secret}", f"/v1/events/{secret}"):
            for body in (b'{"a":1}', b"nothing", b"[" * 2000):
                replies.append(running.ask(post(body, f"X-Write-Key: {secret}", path=path, key=secret)))
                replies.append(running.ask(post(body, "Origin: https://evil.example", path=path, key=secret)))
    running.do(running.service.publish)
    said = "".join(f"{reply} {reply.body!r}" for reply in replies) + caplog.text + render_prometheus()
    lines = repr([(m.value, m.user, m.headers) for batch in running.sink.batches for m in batch.members])
    for secret in secrets:
        assert secret not in said
        assert secret not in lines


def test_a_hooks_secret_is_rotated_too(tmp_path):
    import hashlib
    import hmac

    def signed(secret: bytes) -> bytes:
        signature = hmac.new(secret, EVENT, hashlib.sha256).hexdigest()
        return post(EVENT, f"X-Hub-Signature-256: sha256={signature}", path="/hooks/code", key=None)

    (tmp_path / "secret").write_text("first-secret\n")
    hooks = {"code": {"verify": {"github": "${file:secret}"}, "format": "native"}}
    with Running({"hooks": hooks}, base=tmp_path) as running:
        assert running.ask(signed(b"first-secret")).status == 200
        assert running.ask(signed(b"second-secret")).status == 401
        (tmp_path / "secret").write_text("second-secret\n")
        wait_for(lambda: running.ask(signed(b"second-secret")).status == 200, secs=1.5)
        assert running.ask(signed(b"first-secret")).status == 401


def test_who_asks_for_verdicts_gets_them_and_nothing_is_kept(running):
    running.sink.batches.clear()
    body = b'[{"type":"event","name":"Hello","user_id":"u1"},{"type":"event"},{"set":{},"user_id":"u1"}]'
    said = running.ask(post(body, "X-Hookline-Verify: 1")).json
    assert said["kept"] == 0
    first, second, third = said["verdicts"]
    assert first == {"member": 0, "reads": "event", "name": "Hello", "user_id": "u1"}
    assert second["reads"] == "invalid"
    assert second["reason"]
    # As the job reads it: a field of it says what it is.
    assert third == {"member": 2, "reads": "update", "user_id": "u1"}
    assert running.sink.batches == []
    assert running.ask(post(body, "X-Hookline-Verify: 1", key="unknown")).status == 401


def test_verdicts_are_those_of_the_job_which_needs_no_type_where_a_field_tells_it(running):
    said = running.ask(post(b'{"name":"Hello","user_id":"u1"}', "X-Hookline-Verify: 1")).json
    assert said["verdicts"] == [{"member": 0, "reads": "event", "name": "Hello", "user_id": "u1"}]


def test_a_path_that_nobody_has_is_told_apart_from_a_webhook_that_nobody_named(running):
    path, hook = (running.ask(post(b"{}", path=path)) for path in ("/v1/event", "/hooks/paypal"))
    assert (path.status, hook.status) == (404, 404)
    assert "POST /v1/events" in path.json["message"]
    assert "`collect.hooks`" in hook.json["message"]
