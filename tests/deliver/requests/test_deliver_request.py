"""From a delivery to a request head: targets, headers, excerpts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.models.webhooks.delivery import BatchSettings, DeliverySettings
from pipeline.config.models.webhooks.receiver import BasicAuth, BearerAuth, HeaderAuth, ReceiverSettings
from pipeline.deliver.http.target import TargetError, build_target, parse_origin
from pipeline.deliver.http.tls import Contexts
from pipeline.deliver.lanes.counts import Tally, quantiles
from pipeline.deliver.requests.credentials import UsedSecrets, auth_headers
from pipeline.deliver.requests.excerpt import MAX_EXCERPT, excerpt
from pipeline.deliver.requests.sender import Sender
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.language.headers import RESERVED
from pipeline.language.secrets import SecretRef, Secrets
from pipeline.language.slots import slot
from pipeline.model.errors import ConfigError
from tests.kit.delivery.rig import delivery


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("http://example.com", ("http", "example.com", 80), "/"),
        ("https://EXAMPLE.com:8443/a?b=c", ("https", "example.com", 8443), "/a?b=c"),
        (
            "https://example.com/a%2Fb/ü?q=%26&r=a+b#x",
            ("https", "example.com", 443),
            "/a%2Fb/%C3%BC?q=%26&r=a+b",
        ),
        ("http://[2606:4700::1]:81/", ("http", "2606:4700::1", 81), "/"),
        ("https://bücher.example/", ("https", "xn--bcher-kva.example", 443), "/"),
        ("http://example.com?a=b c", ("http", "example.com", 80), "/?a=b%20c"),
    ],
)
def test_urls_are_taken_apart(url: str, origin: tuple[str, str, int], path: str) -> None:
    found, got = parse_origin(url)
    assert (found[:3], got) == (origin, path)


@pytest.mark.parametrize(
    "url",
    ["", "/x", "ftp://x/", "http://", "http:///x", "http://user:pw@host/", "http://host:99999/", "http://host:0/",
     "http://ho st/", "http://host:port/", "http://[::1/", "http://a\r\nb/", "//host/x"],
)  # fmt: skip
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(TargetError):
        parse_origin(url)


@given(st.text(max_size=80))
def test_no_path_can_break_out_of_the_request_line(path: str) -> None:
    try:
        target = build_target("POST", "http://example.com/" + path, (), None)
    except (TargetError, UnicodeEncodeError):
        return
    line, *_ = target.prefix.split(b"\r\n")
    assert line.startswith(b"POST /")
    assert line.endswith(b" HTTP/1.1")
    assert line.count(b" ") == 2
    assert b"\n" not in line
    assert target.prefix.count(b"\r\n") == 5


def test_the_pair_of_basic_authentication_is_masked_as_it_is_sent() -> None:
    secrets = UsedSecrets(Secrets({"U": "ann", "P": "pw1"}))  # too short to be masked alone
    line = auth_headers(ReceiverSettings(auth=BasicAuth("${U}", "${P}")), secrets)
    assert line == b"Authorization: Basic YW5uOnB3MQ==\r\n"
    assert "YW5uOnB3MQ" not in secrets.mask("you sent Basic YW5uOnB3MQ==")
    assert "ann:pw1" not in secrets.mask("no user ann:pw1")


def test_a_long_secret_that_is_echoed_again_and_again_is_masked_to_its_end() -> None:
    secrets, value = UsedSecrets(Secrets()), "".join(f"{number:05d}" for number in range(1_000))
    secrets.remember(value, "${KEY}")
    assert excerpt((value * 20).encode(), secrets) == "${KEY}" * 20  # whatever is looked at first cuts one


@given(st.text(max_size=20), st.text(max_size=40))
def test_no_header_can_break_out_of_its_line(name: str, value: str) -> None:
    try:
        target = build_target("POST", "http://example.com/", ((name, value),), None)
    except TargetError:
        return
    assert target.prefix.count(b"\r\n") == 6
    assert target.prefix.count(b"\n") == 6


@pytest.mark.parametrize("name", ["Host", "Transfer-Encoding", *sorted(RESERVED), "a b", "", "a:b"])
def test_framing_headers_are_refused(name: str) -> None:
    with pytest.raises(TargetError):
        build_target("POST", "http://example.com/", ((name, "x"),), None)


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\x00b", "snow \u2603", "\x7f"])
def test_header_values_that_break_a_message_are_refused_and_not_shown(value: str) -> None:
    with pytest.raises(TargetError) as caught:
        build_target("POST", "http://example.com/", (("x-a", value),), None)
    assert value not in str(caught.value)


def test_the_host_header_has_the_port_only_where_it_is_unusual() -> None:
    def host(url: str) -> bytes:
        return build_target("POST", url, (), None).prefix.split(b"\r\n")[1]

    assert host("http://example.com/") == b"Host: example.com"
    assert host("https://example.com:443/") == b"Host: example.com"
    assert host("http://example.com:443/") == b"Host: example.com:443"
    assert host("http://[2606::1]:81/") == b"Host: [2606::1]:81"


def test_a_header_of_the_webhook_takes_the_place_of_ours() -> None:
    headers = (
        ("Content-Type", "application/vnd.api+json"),
        ("User-Agent", "me"),
        ("Accept", "application/vnd.api+json"),
        ("Accept-Encoding", "gzip"),
    )
    target = build_target("POST", "http://example.com/", headers, "application/json")
    assert target.headers == headers


def test_heads_are_built_once_per_url_and_headers() -> None:
    sender = Sender(LaneSpec("w"), UsedSecrets(Secrets({})), Contexts())
    first = sender.single(delivery(1), 1000.0)
    again = sender.single(delivery(2), 1000.5)
    other = sender.single(delivery(3, url="http://127.0.0.1:1/other"), 1001.0)
    assert first.target is again.target
    assert other.target is not first.target
    assert b"webhook-timestamp: 1000\r\n" in again.extra
    assert b"webhook-timestamp: 1001\r\n" in other.extra
    for n in range(1000):
        sender.single(delivery(n, url=f"http://127.0.0.1:1/{n}"), 1.0)
    assert len(sender._targets) <= 256


@pytest.mark.parametrize(
    "auth", [BearerAuth("${T}"), HeaderAuth("x-key", "${T}"), BasicAuth("${T}", "x"), BasicAuth("x", "${T}")]
)
def test_a_secret_that_no_header_can_carry_is_refused_without_being_shown(auth: object) -> None:
    receiver = ReceiverSettings(auth=auth)  # type: ignore[arg-type]  # one of the union
    secrets = UsedSecrets(Secrets({"T": "line\nbreak-secret"}))
    if isinstance(auth, BasicAuth):
        Sender(LaneSpec("w", receiver=receiver), secrets, Contexts())  # base64 carries anything
        return
    with pytest.raises(TargetError) as caught:
        Sender(LaneSpec("w", receiver=receiver), secrets, Contexts())
    assert "break-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "slot_value"),
    [
        ("application/json", b'a\\"b&c'),
        ("application/x-www-form-urlencoded", b"a%22b%26c"),
        ("text/plain; charset=utf-8", b'a"b&c'),
        ("application/x-ndjson", b'a\\"b&c'),
        ("application/vnd.api+json", b"a%22b%26c"),  # only the webhook of now can tell
    ],
)
def test_a_secret_is_escaped_as_the_body_was_written_before_a_reload(kind: str, slot_value: bytes) -> None:
    used = frozenset({SecretRef("KEY")})
    spec = LaneSpec("w", encoding="form")
    sender = Sender(spec, UsedSecrets(Secrets({"KEY": 'a"b&c'})), Contexts())
    one = delivery(1, headers=(("content-type", kind),), body=slot(*used).encode())
    assert sender.single(one, 0.0).body == slot_value


def test_a_secret_of_before_is_filled_in_where_a_reload_left_the_webhook_none() -> None:
    sender = Sender(LaneSpec("w"), UsedSecrets(Secrets({"KEY": "s3"})), Contexts())
    placed = slot(SecretRef("KEY"))
    made = sender.single(
        delivery(
            1, url=f"http://h.example/{placed}", headers=(("x-key", placed),), body=f'"{placed}"'.encode()
        ),
        0.0,
    )
    assert (made.body, made.target.path, made.target.headers[0]) == (b'"s3"', "/s3", ("x-key", "s3"))


def test_a_batch_is_joined_as_its_members_were_rendered_before_a_reload() -> None:
    spec = LaneSpec("w", delivery=DeliverySettings(batch=BatchSettings(as_="ndjson")))
    sender = Sender(spec, UsedSecrets(Secrets({})), Contexts())

    def sent(kind: str) -> bytes:
        members = [delivery(n, headers=(("content-type", kind),), body=b"%d" % n) for n in (1, 2)]
        return sender.batch(members, 0.0).body

    assert sent("application/json") == b"[1,2]"
    assert sent("application/x-ndjson") == sent("application/vnd.api+json") == b"1\n2\n"


def test_a_missing_secret_is_named() -> None:
    receiver = ReceiverSettings(auth=BearerAuth("${NOWHERE}"))
    with pytest.raises(ConfigError, match="NOWHERE"):
        Sender(LaneSpec("w", receiver=receiver), UsedSecrets(Secrets({})), Contexts())


# --- excerpts


def test_an_excerpt_is_one_printable_line() -> None:
    assert excerpt("ok\r\n\x1b[31mred\x00 Zoë \u202e".encode() + b"\xff", None) == (
        r"ok\r\n\x1b[31mred\x00 Zoë \u202e\xff"
    )


@given(st.binary(max_size=4000))
def test_every_excerpt_is_short_and_printable(answer: bytes) -> None:
    shown = excerpt(answer, None)
    assert shown.isprintable()
    assert len(shown.encode()) <= MAX_EXCERPT


def test_an_excerpt_is_cut_by_bytes_between_characters() -> None:
    shown = excerpt(("x" + "é" * 2000).encode(), None)
    assert len(shown.encode()) == MAX_EXCERPT - 1 or len(shown.encode()) == MAX_EXCERPT
    assert shown.endswith("é")


def test_secrets_are_masked_in_every_form_before_the_cut() -> None:
    secrets = UsedSecrets(Secrets({"KEY": "s3cr3t/with space+&", "LONG": "s3cr3t/with space+& and more"}))
    for name in ("KEY", "LONG"):
        secrets.expand("${%s}" % name)  # noqa: UP031  # braces of a placeholder
    text = "a s3cr3t/with space+& b s3cr3t%2Fwith%20space%2B%26 c s3cr3t%2Fwith+space%2B%26 "
    text += "d s3cr3t/with space+& and more"
    assert excerpt(text.encode(), secrets) == "a ${KEY} b ${KEY} c ${KEY} d ${LONG}"
    for escaped in (r"s3cr3t\/with space+\u0026", "s3cr3t/with space+&amp;", "s3cr3t%2fwith%20space%2b%26"):
        assert excerpt(escaped.encode(), secrets) == "${KEY}"
    edge = b"x" * (MAX_EXCERPT - 5) + b"s3cr3t/with space+&"
    assert "s3cr3t" not in excerpt(edge, secrets)


# --- latencies


def test_quantiles_are_within_a_few_per_cent() -> None:
    tally = Tally()
    for ms in range(1, 10_001):
        tally.latency(ms)
    p50, p99 = quantiles((tally.latencies,), (0.5, 0.99))
    assert p50 == pytest.approx(5000, rel=0.04)
    assert p99 == pytest.approx(9900, rel=0.04)
    assert len(tally.latencies) < 400
    assert quantiles((), (0.5, 0.99)) == [0.0, 0.0]


def test_a_clock_that_went_back_gives_no_negative_latency() -> None:
    tally = Tally()
    tally.latency(-5000)
    assert tally.latencies == {0: 1}
