"""Answers whose content matters: what can be read is judged, what cannot be read is no success."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import replace
from typing import Any

import orjson
import pytest

from pipeline.config.models.webhooks.delivery import BatchSettings, DeliverySettings, RetrySettings
from pipeline.deliver.http.attempt import MAX_WHOLE, Attempt, Posted
from pipeline.deliver.http.target import NOWHERE
from pipeline.deliver.requests.answers import Unreadable, parse, read_success, text_of
from pipeline.deliver.requests.oauth import UNKNOWN_SECS, TokenError, read_token
from pipeline.deliver.requests.spec import LaneSpec, Reads
from pipeline.outbox.handover import Outcome
from tests.kit.delivery.rig import Rig, delivery

SAID = '{"ok": false, "error": "Größe €"}'
PACKED = gzip.compress(SAID.encode())


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", PACKED),
        ("X-GZip", PACKED),
        ("gzip", PACKED + b"\0\0\r\n"),
        ("gzip", gzip.compress(SAID[:9].encode()) + gzip.compress(SAID[9:].encode())),
        ("deflate", zlib.compress(SAID.encode())),
        ("deflate", raw_deflate(SAID.encode())),
        ("deflate, gzip", gzip.compress(zlib.compress(SAID.encode()))),
        ("identity, gzip", PACKED),
        ("utf-8", SAID.encode()),
        ("", SAID.encode()),
    ],
)
def test_what_came_packed_is_unpacked(coding: str, body: bytes) -> None:
    assert parse(text_of(body, {"content-encoding": coding}))["error"] == "Größe €"


@pytest.mark.parametrize("charset", ["utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
@pytest.mark.parametrize("form", ["application/json; charset={}", 'text/json;Charset="{}"'])
def test_charsets_are_read(charset: str, form: str) -> None:
    headers = {"content-type": form.format(charset.upper())}
    assert parse(text_of(SAID.encode(charset), headers))["error"] == "Größe €"


@pytest.mark.parametrize("charset", ["utf-16le", "utf-16be", "utf-32le", "utf-32be"])
def test_a_charset_that_names_its_byte_order_needs_no_zeros(charset: str) -> None:
    assert text_of("日本 ok".encode(charset), {"content-type": f"text/plain; charset={charset}"}) == "日本 ok"


@pytest.mark.parametrize("charset", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_a_byte_order_mark_or_the_zeros_tell_the_charset(charset: str) -> None:
    assert parse(text_of(SAID.encode(charset), {}))["error"] == "Größe €"
    wrong = {"content-type": "application/json; charset=klingon"}
    assert parse(text_of(SAID.encode(), wrong))["error"] == "Größe €"


@pytest.mark.parametrize(
    ("coding", "body", "why"),
    [
        ("gzip", PACKED[:-1], "too early"),
        ("gzip", PACKED[:20], "too early"),
        ("gzip", SAID.encode(), "no gzip"),
        ("deflate", zlib.compress(SAID.encode())[:-9], "deflate"),
        ("br", b"\x0b\x02", "'br'"),
        ("gzip", gzip.compress(bytes(MAX_WHOLE + 1)), "longer than 1 MiB"),
        ("gzip, gzip", gzip.compress(gzip.compress(bytes(50 << 20), 1)), "longer than 1 MiB"),
        (",".join(["gzip"] * 9), PACKED, "packed 9 times"),
        ("", SAID.encode("cp1252"), "no utf-8"),
        ("", SAID[:-1].encode(), "no JSON"),
        ("", b"<html>busy</html>", "no JSON"),
        ("", b"[" * 100_000, "no JSON"),
        ("", b"{} {}", "no JSON"),
    ],
)
def test_what_cannot_be_read_says_why(coding: str, body: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        parse(text_of(body, {"content-encoding": coding}))


def test_the_empty_answer_is_nothing_and_an_answer_that_was_cut_is_not_read() -> None:
    assert parse(text_of(b"", {"content-encoding": "gzip"})) is None
    assert parse(text_of(b" \r\n", {})) is None
    assert parse("[NaN, 123456789012345678901]")[1] == 123456789012345678901
    with pytest.raises(Unreadable, match="longer than 1 MiB"):
        text_of(b"{}", {}, cut=True)


def said(body: bytes, reads: Reads, headers: dict[str, str] | None = None, **more: Any) -> tuple[Any, Any]:
    attempt = Attempt(NOWHERE, b"", b"", headers_matter=True, whole=True, status=200, answer=body, **more)
    attempt.headers = headers or {}
    answer, response, _ = read_success(attempt, LaneSpec("w", fail_when=lambda *_: False, reads=reads))
    return answer, response


def test_a_condition_sees_status_headers_and_body() -> None:
    reads = Reads(headers=("X-Error",))
    _, response = said(b'{"ok": 1, "status": "no", "headers": 2}', reads, {"x-error": "yes", "x-other": "no"})
    assert response["status"] == 200
    assert response["headers"] == {"X-Error": "yes"}
    assert response["ok"] == 1
    assert response["body"]["status"] == "no"


def test_only_what_a_condition_needs_must_be_readable() -> None:
    assert said(b"<html>", Reads(fields=False, body=False))[1]["status"] == 200
    assert said(b"all is well", Reads(fields=False))[0] == "all is well"
    assert said(b"ok", Reads())[0] == "ok"  # a word of consent, as Slack's webhooks answer
    assert said(b"", Reads())[0] is None
    with pytest.raises(Unreadable):
        said(b"db is down", Reads())


@pytest.mark.parametrize(
    ("body", "headers", "readable"),
    [
        (b"thanks, got them", {}, True),
        (b"<html>", {}, True),
        (b"", {"content-type": "application/json"}, True),
        (b'{"failed": [0', {}, False),
        (b"nonsense", {"content-type": "application/json"}, False),
        (PACKED[:-3], {"content-encoding": "gzip"}, False),
    ],
)
def test_of_a_batch_what_is_meant_as_json_must_be_readable(
    body: bytes, headers: dict[str, str], readable: bool
) -> None:
    attempt = Attempt(NOWHERE, b"", b"", headers_matter=True, whole=True, status=200, answer=body)
    attempt.headers = headers
    spec = LaneSpec("w", delivery=DeliverySettings(batch=BatchSettings()))
    if readable:
        assert read_success(attempt, spec)[0] is None
    else:
        with pytest.raises(Unreadable):
            read_success(attempt, spec)


# --- what follows


def judging(retry: RetrySettings | None = None) -> LaneSpec:
    settings = DeliverySettings(retry=retry or RetrySettings())
    return LaneSpec(
        "w", delivery=settings, fail_when=lambda e, u, scope: scope["response"].get("ok") is False
    )


def ends(rig: Rig) -> list[tuple[Outcome, str]]:
    return [(each.outcome, each.reason) for each in rig.results() if each.outcome is not Outcome.RETRY]


def test_a_success_that_says_not_now_is_retried_as_a_429() -> None:
    busy = (200, {"answer": b"error 429"})
    spec = LaneSpec(
        "w",
        fail_when=lambda e, u, scope: scope["response"].get("body") != 1,
        retry_when=lambda e, u, scope: "429" in str(scope["response"].get("body")),
        reads=Reads(fields=False),
    )
    rig = Rig(spec, luck=0.5)
    rig.client.by_message["msg_1"] = [busy, busy, busy, (200, {"answer": b"1"})]
    rig.client.by_message["msg_2"] = [busy, (200, {"answer": b"no"})]
    rig.give(delivery(1), delivery(2))
    rig.run()
    first = rig.results()
    assert [(each.outcome, each.delivery.progress.status) for each in first] == [(Outcome.RETRY, 200)] * 2
    assert first[0].delivery.progress.excerpt == "retry-when: 200: error 429"
    assert rig.core.lane("w").throttle.share < 1.0
    rig.run(60)
    assert sorted(ends(rig)) == [(Outcome.DELIVERED, ""), (Outcome.DEAD, "fail-when")]


def test_an_answer_that_cannot_be_read_is_tried_thrice_more_and_then_dead() -> None:
    rig = Rig(judging())
    rig.client.script["w"] = [(200, {"answer": b'{"ok": fal'})]
    rig.give(delivery(1))
    rig.run(60)
    results = rig.results()
    assert [each.outcome for each in results] == [Outcome.RETRY] * 3 + [Outcome.DEAD]
    assert results[-1].reason == "answer-unreadable"
    assert results[-1].delivery.progress.excerpt.startswith("unreadable: 200, but it is no JSON: {")


def test_what_is_kept_of_a_packed_answer_is_legible() -> None:
    rig = Rig(judging())
    rig.client.script["w"] = [(200, {"answer": PACKED, "headers": {"content-encoding": "gzip"}})]
    rig.give(delivery(1))
    rig.run(60)
    (dead,) = rig.results()
    assert (dead.reason, dead.delivery.progress.excerpt) == ("fail-when", SAID)


def test_a_packed_failure_is_legible_without_its_headers() -> None:
    rig = Rig(LaneSpec("w"))
    rig.client.script["w"] = [(404, {"answer": PACKED}), (404, {"answer": PACKED[:9]})]
    rig.give(delivery(1), delivery(2))
    rig.run(60)
    shown = [dead.delivery.progress.excerpt for dead in rig.results()]
    assert (shown[0], shown[1][:8]) == (SAID, "\\x1f\\x8b")


def test_a_dead_letter_says_where_its_answer_redirects_to() -> None:
    rig = Rig(LaneSpec("w"))
    place = {"location": b"https://api.example/in/"}
    rig.client.script["w"] = [(301, place), (302, place | {"answer": b"moved"})]
    rig.give(delivery(1), delivery(2))
    rig.run(60)
    assert [dead.delivery.progress.excerpt for dead in rig.results()] == [
        "it redirects to https://api.example/in/",
        "it redirects to https://api.example/in/: moved",
    ]


def test_one_that_can_be_read_at_last_is_judged() -> None:
    rig = Rig(judging())
    broken = (200, {"answer": b"x", "headers": {"content-encoding": "gzip"}})
    rig.client.by_message["msg_1"] = [broken, broken, (200, {"answer": b'{"ok": true}'})]
    rig.client.by_message["msg_2"] = [broken, (200, {"answer": b'{"ok": false}'})]
    rig.give(delivery(1), delivery(2))
    rig.run(60)
    assert sorted(ends(rig)) == [(Outcome.DELIVERED, ""), (Outcome.DEAD, "fail-when")]


def test_a_condition_that_breaks_on_an_answer_ends_that_delivery_and_nothing_else() -> None:
    def breaks(event: object, user: object, scope: Any) -> bool:
        return bool(scope["response"]["ok"])

    rig = Rig(replace(judging(), fail_when=breaks))
    rig.client.by_message["msg_1"] = [(200, {"answer": b'{"no": 1}'})] * 9
    rig.client.by_message["msg_2"] = [(200, {"answer": b'{"ok": false}'})]
    rig.give(delivery(1), delivery(2))
    rig.run(60)
    assert sorted(ends(rig)) == [(Outcome.DELIVERED, ""), (Outcome.DEAD, "answer-unreadable")]


def test_max_attempts_ends_it_sooner_with_the_same_reason() -> None:
    rig = Rig(judging(RetrySettings(max_attempts=2)))
    rig.client.script["w"] = [(200, {"answer": b"{", "cut": True})]
    rig.give(delivery(1))
    rig.run(60)
    assert ends(rig) == [(Outcome.DEAD, "answer-unreadable")]


@pytest.mark.parametrize("fault", ["protocol", "closed", "reset", "head-limit", "timeout"])
def test_a_2xx_that_breaks_off_is_not_repeated_for_days(fault: str) -> None:
    rig = Rig(LaneSpec("w"))
    rig.client.script["w"] = [fault, (fault, {"begun": 200})]
    rig.give(delivery(1))
    rig.run(300)
    assert ends(rig) == [(Outcome.DEAD, "answer-unreadable")]
    assert len(rig.client.sent) == 4


def test_a_failure_that_breaks_off_is_tried_on() -> None:
    rig = Rig(LaneSpec("w"))
    rig.client.script["w"] = [("protocol", {"begun": 503})] * 8 + [200]
    rig.give(delivery(1))
    rig.run(3600)
    assert ends(rig) == [(Outcome.DELIVERED, "")]


@pytest.mark.parametrize("fault", ["closed", "reset", "timeout", "head-limit"])
def test_a_refusal_that_has_no_end_is_a_refusal(fault: str) -> None:
    rig = Rig(LaneSpec("w"))
    rig.client.script["w"] = [(fault, {"begun": 429}), (fault, {"begun": 404})]
    rig.give(delivery(1))
    rig.run(300)
    assert ends(rig) == [(Outcome.DEAD, "status-404")]
    assert len(rig.client.sent) == 2


def test_a_refusal_of_no_form_may_be_anothers() -> None:
    rig = Rig(LaneSpec("w"))
    rig.client.script["w"] = [("protocol", {"begun": 404})] * 4 + [200]
    rig.give(delivery(1))
    rig.run(300)
    assert ends(rig) == [(Outcome.DELIVERED, "")]


def test_attempts_before_do_not_count_as_unreadable() -> None:
    rig = Rig(judging())
    unreadable = (200, {"answer": b"{"})
    rig.client.script["w"] = [503] * 6 + [unreadable, (200, {"answer": b'{"ok": true}'})]
    rig.give(delivery(1))
    rig.run(3600)
    assert ends(rig) == [(Outcome.DELIVERED, "")]


# --- tokens


def posted(answer: Any, headers: dict[str, str] | None = None, *, cut: bool = False) -> Posted:
    return Posted(200, headers or {}, answer if isinstance(answer, bytes) else orjson.dumps(answer), cut)


@pytest.mark.parametrize(
    ("answer", "secs"),
    [
        (posted({"access_token": "t", "expires_in": 60}), 60.0),
        (posted({"access_token": "t", "expires_in": "60"}), 60.0),
        (posted({"access_token": "t"}), UNKNOWN_SECS),
        (posted({"access_token": "t", "expires_in": None}), UNKNOWN_SECS),
        (posted({"access_token": "t", "expires_in": -1}), UNKNOWN_SECS),
        (posted({"access_token": "t", "expires_in": 0}), UNKNOWN_SECS),
        (posted(b'{"access_token": "t", "expires_in": NaN}'), UNKNOWN_SECS),
        (posted({"access_token": "t", "expires_in": "soon"}), UNKNOWN_SECS),
        (posted({"access_token": "t", "expires_in": [60]}), UNKNOWN_SECS),
        (posted({"access_token": "t", "expires_in": True}), UNKNOWN_SECS),
        (posted({"access_token": "t", "expires_in": 1e300}), 365 * 86400.0),
        (posted(b'\xef\xbb\xbf{"access_token": "t", "expires_in": 60}'), 60.0),
        (posted('{"access_token": "t", "expires_in": 60}'.encode("utf-16")), 60.0),
        (posted(gzip.compress(b'{"access_token":"t","expires_in":60}'), {"content-encoding": "gzip"}), 60.0),
        (posted({"scope": "x" * 100_000, "access_token": "t", "expires_in": 60}), 60.0),
    ],
)
def test_a_token_is_read_from_every_form_of_answer(answer: Posted, secs: float) -> None:
    assert read_token(answer) == ("t", secs, "")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (posted(b"<html>login</html>"), "cannot be read: it is no JSON"),
        (posted(b""), "holds no access_token"),
        (posted([1]), "holds no access_token"),
        (posted({"error": "invalid_scope"}), "no access_token but the error 'invalid_scope'"),
        (posted({"access_token": 5}), "no text that a header can carry"),
        (posted({"access_token": "a\nb"}), "no text that a header can carry"),
        (posted({"access_token": "ü"}), "no text that a header can carry"),
        (posted(PACKED[:-4], {"content-encoding": "gzip"}), "too early"),
        (posted(b"{}", cut=True), "longer than 1 MiB"),
    ],
)
def test_an_answer_without_a_token_says_what_is_wrong_with_it(answer: Posted, why: str) -> None:
    with pytest.raises(TokenError, match=why):
        read_token(answer)
