"""What could not be sent is found at load, with the name of the secret and never its value."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.compile.snapshot import Report, compile_config
from pipeline.config.files import JobDefaults, read_config
from pipeline.language.secrets import Secrets
from pipeline.operate.check import check

VALUE = "tok3n-valu3"


def report(folder: Path, *, environ: dict[str, str] | None = None, **parts: str) -> Report:
    """Return what is found in one webhook whose ``request`` and ``delivery`` hold these parts."""
    (folder / "webhooks").mkdir(exist_ok=True)
    url = parts.get("url", "https://x.example/in")
    (folder / "webhooks/w.yaml").write_text(
        f"id: w\ntrigger: {{events: [A]}}\nrequest:\n  url: '{url}'\n{parts.get('request', '')}\n"
        f"delivery:\n  timeout: 5s\n{parts.get('delivery', '')}\n"
    )
    environ = environ or {}
    text = read_config(folder, environ=environ, defaults=JobDefaults())
    return compile_config(text, secrets=Secrets(environ, folder))


def errors(found: Report) -> list[str]:
    return [f"{each.code}: {each.message} {each.hint}" for each in found.findings if not each.warning]


SENT = {
    "bearer": "  auth: {bearer: {token: '${T}'}}",
    "header": "  auth: {header: {name: X-Key, value: 'Key ${T}'}}",
    "headers": "  headers: {X-Key: '${T}'}",
    "basic": "  auth: {basic: {username: me, password: '${T}'}}",
    "oauth2": "  auth: {oauth2: {token_url: 'https://a.example/t', client_id: me, client_secret: '${T}'}}",
    "prefix": "  signature: {hmac: {header: X-Sig, secret: s, prefix: '${T}'}}",
}


IN_HEADERS = "  headers: {{{}: x}}"
BEARER = SENT["bearer"]
KEY = "  auth: {{header: {{name: {}, value: '${{T}}'}}}}"
HMAC = "  signature: {{hmac: {{header: {}, secret: '${{T}}'}}}}"


@pytest.mark.parametrize("place", SENT)
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_line_ends_at_the_end_are_no_fault(tmp_path: Path, place: str, end: str) -> None:
    assert errors(report(tmp_path, request=SENT[place], environ={"T": VALUE + end})) == []


@pytest.mark.parametrize("place", SENT)
@pytest.mark.parametrize("inside", ["\n", "\r", "\r\nx-evil: 1", "\x85", "\x00", "\x1b[0m", "\udce4"])
def test_what_no_request_can_carry_is_refused_by_name(tmp_path: Path, place: str, inside: str) -> None:
    (found,) = errors(report(tmp_path, request=SENT[place], environ={"T": f"tok3n-{inside}-valu3"}))
    assert "secret ${T} holds " in found
    assert "valu3" not in found


def test_what_is_not_ascii_is_refused_where_it_would_be_sent_as_something_else(tmp_path: Path) -> None:
    greek, latin = {"T": "λ"}, {"T": "tökn"}
    assert errors(report(tmp_path, request=SENT["bearer"], environ=greek))
    assert not errors(report(tmp_path, request=SENT["bearer"], environ=latin))
    assert errors(report(tmp_path, request=SENT["bearer"], delivery="  client: aiohttp", environ=latin))
    assert errors(report(tmp_path, request=SENT["headers"], environ=latin))
    assert not errors(report(tmp_path, request=SENT["basic"], environ=greek))


def test_a_secret_from_a_file_is_trimmed_and_judged_alike(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xef\xbb\xbf" + VALUE.encode() + b"\r\n\n")
    secrets = Secrets({"T": "\n"}, tmp_path)
    request = SENT["bearer"].replace("${T}", "${file:key}")
    assert errors(report(tmp_path, request=request)) == []
    assert secrets.expand("${file:key}") == VALUE
    assert secrets.expand("${T:-instead}") == "instead"
    (tmp_path / "key").write_bytes(b"one\ntwo\n")
    (found,) = errors(report(tmp_path, request=request))
    assert "secret ${file:key} holds a line end inside" in found


def test_bytes_that_are_no_text_are_refused_in_query_and_body(tmp_path: Path) -> None:
    request = "  query: {k: '${T}'}\n  body: {a: ['${T}']}"
    found = errors(report(tmp_path, request=request, environ={"T": "a\udcffb"}))
    assert len(found) == 2
    assert all("bytes that are no UTF-8" in each for each in found)


def test_a_colon_in_the_user_name_is_refused(tmp_path: Path) -> None:
    request = "  auth: {basic: {username: 'a:${T}', password: '${T}'}}"
    assert "colon" in errors(report(tmp_path, request=request, environ={"T": VALUE}))[0]


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        ([IN_HEADERS.format("authorization"), BEARER], ("headers.authorization", "auth.bearer")),
        ([IN_HEADERS.format("x-KEY"), KEY.format("X-Key")], ("headers.x-KEY", "auth.header.name")),
        ([IN_HEADERS.format("X-Sig"), HMAC.format("x-sig")], ("headers.X-Sig", "signature.hmac.header")),
        ([SENT["basic"], HMAC.format("Authorization")], ("auth.basic", "signature.hmac.header")),
        ([KEY.format("X-Key"), HMAC.format("x-key")], ("auth.header.name", "signature.hmac.header")),
        (
            [HMAC.format("X-Sig, timestamp_header: x-sig")],
            ("signature.hmac.header", "signature.hmac.timestamp_header"),
        ),
    ],
)
def test_a_header_is_set_at_one_place_only(tmp_path: Path, lines: list[str], names: tuple[str, str]) -> None:
    (found,) = errors(report(tmp_path, request="\n".join(lines), environ={"T": VALUE}))
    assert found.startswith("header-twice")
    assert all(f"`{name}`" in found for name in names)


@pytest.mark.parametrize("name", ["webhook-signature", "webhook-timestamp", "Date Time"])
def test_the_time_of_a_signature_stands_in_a_header_of_its_own(tmp_path: Path, name: str) -> None:
    lines = HMAC.format(f"X-Sig, timestamp_header: {name}")
    (found,) = errors(report(tmp_path, request=lines, environ={"T": VALUE}))
    assert found.startswith("header-")


@pytest.mark.parametrize(
    "text", ["", "body", "{body}{body}", "{{ timestamp }}.{body}", "{time}.{body}", "${T}.{body}"]
)
def test_what_is_signed_is_the_body_with_a_time_and_an_id(tmp_path: Path, text: str) -> None:
    lines = HMAC.format(f"X-Sig, signed: '{text}'").replace("{{T}}", "{T}")
    (found,) = errors(report(tmp_path, request=lines, environ={"T": VALUE}))
    assert "what is signed is `{body}`, once" in found


@pytest.mark.parametrize("name", ["Content-Type", "user-agent", "Accept-Encoding", "Host"])
def test_a_key_cannot_stand_where_the_sender_writes(tmp_path: Path, name: str) -> None:
    request = f"  auth: {{header: {{name: {name}, value: '${{T}}'}}}}"
    assert "header-reserved" in errors(report(tmp_path, request=request, environ={"T": VALUE}))[0]


@pytest.mark.parametrize(
    ("proxy", "code"),
    [
        ("http://127.0.0.1:3128", "refused-address"),
        ("http://me:${T}@10.1.2.3:3128", "refused-address"),
        ("http://１２７.0.0.1:3128", "refused-address"),
        ("http://localhost:3128", "refused-address"),
        ("socks5://proxy.example:1080", "wrong-proxy"),
        ("http://me:${T}@prox y:1", "wrong-proxy"),
        ("http://proxy.example/path", "wrong-proxy"),
    ],
)
def test_a_proxy_is_judged_like_a_url(tmp_path: Path, proxy: str, code: str) -> None:
    delivery = f"  client: aiohttp\n  proxy: '{proxy}'"
    (found,) = errors(report(tmp_path, delivery=delivery, environ={"T": VALUE}))
    assert found.startswith(code)
    assert VALUE not in found


def test_a_proxy_with_a_password_is_fine(tmp_path: Path) -> None:
    delivery = "  client: aiohttp\n  proxy: 'http://me:${T}@proxy.example:3128'"
    assert errors(report(tmp_path, delivery=delivery, environ={"T": "p/a@b"})) == []


@pytest.mark.parametrize("host", ["a..example", "xn--a.example", "a" * 64 + ".example"])
def test_what_is_no_host_name_is_refused(tmp_path: Path, host: str) -> None:
    url = f"https://{host}/"
    assert [each.split(":")[0] for each in errors(report(tmp_path, url=url))] == ["wrong-host"]
    auth = f"  auth: {{oauth2: {{token_url: '{url}', client_id: me, client_secret: '${{T}}'}}}}"
    found = errors(report(tmp_path, request=auth, environ={"T": VALUE}))
    assert [each.split(":")[0] for each in found] == ["wrong-host"]


# --- what `fail_when` may say


@pytest.mark.parametrize(
    ("condition", "remedy"),
    [
        ("{response.status: error}", "did you mean `response.body.status`"),
        ("{response.status: {ne: success}}", "did you mean `response.body.status`"),
        ("{not: {response.status: [ok, 200]}}", "did you mean `response.body.status`"),
        ("{any: [{response.status: true}]}", "did you mean `response.body.status`"),
        ("{response.status.code: 5}", "did you mean `response.body.status.code`"),
        ("{response.status: '201'}", "write 201 without quotes"),
        ("{response.headers: {exists: true}}", "response.headers.NAME"),
    ],
)
def test_what_can_never_hold_of_an_answer_names_the_remedy(
    tmp_path: Path, condition: str, remedy: str
) -> None:
    report(tmp_path, delivery=f"  fail_when: {condition}")
    (found,) = errors(check(tmp_path))
    assert remedy in found


def test_what_was_stored_keeps_its_meaning(tmp_path: Path) -> None:
    delivery = "  client: aiohttp\n  proxy: http://127.0.0.1:1/x\n  fail_when: {response.status: error}"
    request = "  headers: {authorization: x}\n  auth: {bearer: {token: '${T}'}}"
    assert len(errors(report(tmp_path, delivery=delivery, request=request, environ={"T": "a\nb"}))) == 3
    text = read_config(tmp_path, environ={}, defaults=JobDefaults())
    assert compile_config(text, secrets=None, stored=True).snapshot is not None


@pytest.mark.parametrize(
    ("condition", "reads"),
    [
        ("{response.status: {gte: 202}}", (False, False, ())),
        ("{response.status: {as: text, starts_with: '2'}}", (False, False, ())),
        ("{response.headers.X-Error: {exists: true}}", (False, False, ("X-Error",))),
        ("{response.body: {contains: error}}", (False, True, ())),
        ("{response.ok: false}", (True, False, ())),
        ("{not: {response.body.ok: true}}", (True, False, ())),
        ("[{response.status: 202}, {any: [{response.errors: {present: true}}]}]", (True, False, ())),
    ],
)
def test_of_an_answer_only_what_is_looked_at_is_read(
    tmp_path: Path, condition: str, reads: tuple[bool, bool, tuple[str, ...]]
) -> None:
    (webhook,) = report(tmp_path, delivery=f"  fail_when: {condition}").require().webhooks
    found = webhook.spec.reads
    assert (found.fields, found.body, found.headers) == reads


@pytest.mark.parametrize(
    "request_",
    [
        "  auth: {bearer: {token: '${A:-${B}}'}}",
        "  headers: {X-Key: 'Key ${A:-${B:-c}}'}",
        "  body: {a: [{b: '${A:-${B}}'}]}",
        "  query: {a: '${A:-${file:b}}'}",
        "  ca: '${A:-${B}}'",
        "  signature: {standard_webhooks: {secrets: ['${A:-${B}}']}}",
        "  signature: {hmac: {header: X-S, secret: '${A:-${B}}'}}",
        "  batch: {wrap: {key: '${A:-${B}}', all: '{{ items }}'}}",
    ],
)
def test_a_placeholder_in_the_default_of_another_is_refused(tmp_path: Path, request_: str) -> None:
    """A shell takes it; here `B}` would be left as a text, and sent."""
    where = "delivery" if request_.startswith("  batch") else "request"
    assert errors(report(tmp_path, environ={"A": "a", "B": "b"}, **{where: request_})) == [
        "placeholder: a default is a text and holds no placeholder "
        "name one variable, and set it where the job is started"
    ]


def test_a_default_with_a_brace_is_refused(tmp_path: Path) -> None:
    """It ends at the first `}`: with A set, its value and a `}` were sent."""
    (found,) = errors(report(tmp_path, environ={"A": "a"}, request="  body: {a: '${A:-{}}'}"))
    assert found.startswith("placeholder: a default ends at the first `}`, and holds no `{`")


def test_a_setting_takes_no_placeholder_in_its_default_either(tmp_path: Path) -> None:
    found = report(tmp_path, environ={"A": "5", "B": "6"}, delivery="  concurrency: ${A:-${B}}")
    assert any(one.startswith("placeholder: a default is a text and holds no") for one in errors(found))


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("bearer", f"Bearer {VALUE}", "begins with `Bearer`"),
        ("bearer", f'"{VALUE}"', "stands in quotes"),
        ("oauth2", f"'{VALUE}'", "stands in quotes"),
        ("headers", f'"{VALUE}"', "stands in quotes"),
        ("bearer", f"{VALUE} ", "begins or ends with a blank"),
        ("prefix", f"{VALUE} ", None),
        ("basic", f'"{VALUE}', None),
    ],
)
def test_a_token_with_its_scheme_or_quotes_is_a_warning(
    tmp_path: Path, place: str, value: str, said: str | None
) -> None:
    found = report(tmp_path, request=SENT[place], environ={"T": value})
    warned = [each.message for each in found.findings if each.code == "wrong-secret"]
    assert errors(found) == []
    assert len(warned) == (said is not None)
    assert all(str(said) in each for each in warned)
    assert not any(VALUE in str(each) for each in found.findings)


def test_a_default_with_blanks_or_quotes_is_meant_as_it_is_written(tmp_path: Path) -> None:
    request = "  query: {sep: '${SEP:-, }', exact: '${EXACT:-\"x\"}'}"
    assert report(tmp_path, request=request).findings == []
    (found,) = report(tmp_path, request=request, environ={"SEP": "; "}).findings
    assert found.message == "`request.query.sep` begins or ends with a blank, which is sent with it"


@pytest.mark.parametrize(
    ("written", "secret", "said"),
    [
        ("base64", "whsec_c2VjcmV0", None),
        ("base64", "c2VjcmV0", None),
        ("hex", "00ff", None),
        ("text", "whsec_what it is", None),
        ("base64", "s3cr-t", "the secret is no base64, as `secret_encoding` says"),
        ("hex", "0f0", "the secret is no hex, as `secret_encoding` says"),
        ("base64", "whsec_", "the secret is empty: anybody could sign in your name"),
    ],
)
def test_a_key_that_is_not_what_the_config_says_is_an_error(
    tmp_path: Path, written: str, secret: str, said: str | None
) -> None:
    hmac = f"{{header: X-Sig, secret: '${{T}}', secret_encoding: {written}}}"
    found = errors(report(tmp_path, request=f"  signature: {{hmac: {hmac}}}", environ={"T": secret}))
    assert [str(said) in one for one in found] == [True] * (said is not None)
    assert not any(secret in one for one in found)


@pytest.mark.parametrize(("prefix", "warned"), [("t={time},v1=", True), ("${T},t={timestamp}{id}", False)])
def test_a_word_in_a_prefix_that_is_not_filled_in_is_a_warning(
    tmp_path: Path, prefix: str, warned: bool
) -> None:
    hmac = f"{{header: X-Sig, secret: '${{T}}', prefix: '{prefix}'}}"
    found = report(tmp_path, request=f"  signature: {{hmac: {hmac}}}", environ={"T": "abc"})
    assert [one.message for one in found.findings] == ["`{time}` is sent as it is written"] * warned


@pytest.mark.parametrize(
    ("url", "value", "warned"),
    [
        ("${T}", "https://hooks.example/services/T0/B0", True),
        ("${T}", "https://me:T0@hooks.example/a/b", True),
        ("${T}", "https://hooks.example/in", False),
        ("${T}/users/1", "https://api.example/v1/x", False),
    ],
)
def test_a_secret_url_that_is_one_setting_is_a_warning(
    tmp_path: Path, url: str, value: str, warned: bool
) -> None:
    found = report(tmp_path, url=url, environ={"T": value})
    assert any(each.code == "secret-path" for each in found.findings) is warned
    assert not any("T0" in f"{each.message} {each.hint}" for each in found.findings)
