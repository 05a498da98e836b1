from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.compile.snapshot import Report, compile_config
from pipeline.compile.webhook import Webhook
from pipeline.config.files import ConfigText, JobDefaults, read_config
from pipeline.config.models.webhooks.delivery import RetrySettings
from pipeline.config.models.webhooks.receiver import (
    BearerAuth,
    HmacSignature,
    MtlsSettings,
    StandardSignature,
)
from pipeline.deliver.requests.spec import Reads
from pipeline.language.headers import RESERVED
from pipeline.language.secrets import Secrets
from pipeline.model.errors import ConfigError
from pipeline.model.records import Event, User
from tests.kit.receivers.certificates import Certificates
from tests.kit.streams import records

GOOD = "id: {id}\ntrigger: {{events: [Purchase]}}\nrequest: {{url: 'https://x.example/'}}\n"


@pytest.fixture
def compiled(tmp_path: Path):
    """Write files, compile them, and return the report."""

    def write(
        defaults: JobDefaults | None = None, environ: dict[str, str] | None = None, **files: str
    ) -> Report:
        (tmp_path / "webhooks").mkdir(exist_ok=True)
        for name, content in files.items():
            folder, _, rest = name.partition("__")
            path = tmp_path / folder / (rest if "." in rest else f"{rest}.yaml")
            path.parent.mkdir(exist_ok=True)
            path.write_text(content)
        environ = environ or {}
        text = read_config(tmp_path, environ=environ, defaults=defaults)
        return compile_config(text, secrets=Secrets(environ, tmp_path))

    return write


def one(report: Report) -> Webhook:
    (webhook,) = report.require().webhooks
    return webhook


def event(name: str = "Purchase", **properties: Any) -> Event:
    return records.event(name, properties, time=0)


USER = User("u1", None, True, {"plan": "pro"})


def test_webhooks_come_in_the_order_of_their_files(compiled) -> None:
    report = compiled(
        webhooks__b=GOOD.format(id="x"), webhooks__a=GOOD.format(id="z"), webhooks__c=GOOD.format(id="y")
    )
    snapshot = report.require()
    assert [webhook.id for webhook in snapshot.webhooks] == ["z", "x", "y"]
    assert [webhook.file for webhook in snapshot.webhooks] == [f"webhooks/{name}.yaml" for name in "abc"]
    assert snapshot.triggers.select(event()) == (0, 1, 2)
    assert snapshot.by_id["x"] is snapshot.webhooks[1]


def test_a_disabled_webhook_matches_nothing_and_keeps_its_place(compiled) -> None:
    snapshot = compiled(
        webhooks__a=GOOD.format(id="a") + "enabled: false\n",
        webhooks__b=GOOD.format(id="b"),
        webhooks__c="id: c\nenabled: false\ntrigger: {changes: '*'}\nrequest: {url: 'https://x.example/'}\n",
    ).require()
    assert snapshot.triggers.select(event()) == (1,)
    assert not snapshot.triggers.changes_wanted
    assert [webhook.spec.enabled for webhook in snapshot.webhooks] == [False, True, False]


def test_the_same_text_gives_the_same_snapshot_in_another_process(compiled) -> None:
    report = compiled(webhooks__a=GOOD.format(id="a"), environ={})
    raw = report.require().text.to_bytes()
    again = compile_config(ConfigText.from_bytes(raw), secrets=None).require()
    assert again.hash == report.require().hash
    assert again.webhooks[0].spec.definition == report.require().webhooks[0].spec.definition
    assert again.webhooks[0].request.render(event(), USER) == one(report).request.render(event(), USER)


def test_a_comment_changes_the_version_but_not_the_definition(compiled) -> None:
    before = compiled(webhooks__a=GOOD.format(id="a")).require()
    after = compiled(webhooks__a="# why\n" + GOOD.format(id="a")).require()
    assert before.hash != after.hash
    assert before.webhooks[0].spec.definition == after.webhooks[0].spec.definition


def test_delivery_and_receiver_settings_arrive_with_their_units(compiled, tmp_path: Path) -> None:
    pem = tmp_path / "both.pem"
    cert, key = Certificates.make(tmp_path).issue("us", ("hookline",))
    pem.write_bytes(cert.read_bytes() + key.read_bytes())
    webhook = one(
        compiled(
            webhooks__a="id: a\ntrigger: {events: [X]}\nrequest:\n  url: https://x.example/\n"
            "  auth: {bearer: {token: '${T}'}, mtls: {cert: '${PEM}', key: '${PEM}'}}\n  ca: '${PEM}'\n"
            "  signature: {hmac: {header: X-S, secret: '${S}'}}\n"
            "delivery: {timeout: 1.5s, rate: 60/m, ordering: per_user, on_full: pause,\n"
            "  retry: {min_delay: 100ms, max_delay: 1m, max_age: 2d, max_attempts: 5, statuses: [409]},\n"
            "  batch: {max_events: 5, max_bytes: 1KiB, max_wait: 2s, as: array, wrap: {d: '{{ items }}'}}}\n",
            environ={"T": "t", "S": "s", "PEM": str(pem)},
        )
    )
    delivery = webhook.spec.delivery
    assert (delivery.timeout_secs, delivery.rate_per_sec) == (1.5, 1.0)
    assert (delivery.ordering, delivery.on_full) == ("per_user", "pause")
    assert delivery.retry == RetrySettings(0.1, 60.0, 172800.0, 5, [409])
    assert delivery.batch is not None
    assert (delivery.batch.max_events, delivery.batch.max_bytes, delivery.batch.max_wait_secs) == (
        5,
        1024,
        2.0,
    )
    assert webhook.spec.wrap is not None
    assert webhook.spec.wrap([b"1", b"2"]) == b'{"d":[1,2]}'
    receiver = webhook.spec.receiver
    assert receiver.auth == BearerAuth("${T}")
    assert receiver.mtls == MtlsSettings("${PEM}", "${PEM}")
    assert receiver.ca == "${PEM}"
    assert receiver.signature == HmacSignature("X-S", "${S}", "sha256", "hex", "sha256=")


@pytest.mark.parametrize(
    ("signature", "expected"),
    [
        ("{standard_webhooks: {secrets: '${S}'}}", StandardSignature(["${S}"])),
        (
            "{hmac: {header: H, secret: '${S}', algorithm: sha1}}",
            HmacSignature("H", "${S}", "sha1", prefix="sha1="),
        ),
        (
            "{hmac: {header: H, secret: '${S}', encoding: base64}}",
            HmacSignature("H", "${S}", "sha256", "base64", ""),
        ),
        ("{hmac: {header: H, secret: '${S}', prefix: ''}}", HmacSignature("H", "${S}", "sha256", prefix="")),
        ("{}", None),
    ],
)
def test_signatures(compiled, signature: str, expected: object) -> None:
    text = GOOD.format(id="a").replace("'}", f"', signature: {signature}}}")
    assert one(compiled(webhooks__a=text, environ={"S": "c2VjcmV0"})).spec.receiver.signature == expected


def test_defaults_of_the_job_apply_below_what_a_webhook_says(compiled) -> None:
    defaults = JobDefaults(delivery={"timeout": "3s", "retry": {"max_age": "1h", "max_attempts": 4}})
    webhook = one(
        compiled(defaults, webhooks__a=GOOD.format(id="a") + "delivery: {retry: {max_attempts: null}}\n")
    )
    assert webhook.delivery.timeout_secs == 3.0
    assert (webhook.delivery.retry.max_age_secs, webhook.delivery.retry.max_attempts) == (3600.0, None)


def test_excluded_labels_apply_unless_a_webhook_opts_out(compiled) -> None:
    snapshot = compiled(
        JobDefaults(exclude=("Tests",)),
        labels__tests="name: Tests\nwhere: {event.properties.test: true}\n",
        webhooks__a=GOOD.format(id="a"),
        webhooks__b=GOOD.format(id="b") + "include_excluded: true\n",
    ).require()
    assert snapshot.triggers.select(event(test=True)) == (1,)
    assert snapshot.triggers.select(event()) == (0, 1)


def test_a_secret_that_is_missing_is_an_error_at_its_place_and_only_where_secrets_are_looked_up(
    compiled,
) -> None:
    text = "id: a\ntrigger: {events: [X]}\nrequest:\n  url: https://x.example/${NOPE}\n"
    report = compiled(webhooks__a=text)
    assert "webhooks/a.yaml:4:26: error[missing-secret]" in report.render()
    with pytest.raises(ConfigError, match="NOPE"):
        report.require()
    assert compile_config(ConfigText({"webhooks/a.yaml": text}), secrets=None).snapshot is not None
    off = compiled(webhooks__a=text + "  auth: {bearer: {token: '${NOT}'}}\nenabled: false\n")
    assert {(one.code, one.warning) for one in off.findings} == {("missing-secret", True)}
    assert off.snapshot is not None, "nothing is sent before it is enabled: the secret may come later"


def test_each_missing_secret_of_a_text_is_told_at_its_own_place_with_one_remedy(compiled) -> None:
    text = (
        "id: a\ntrigger: {events: [X]}\n"
        "request:\n  url: https://x.example/${AB}/${A}\n"
        "  auth: {basic: {username: '${U:-}${V}', password: '${U:-}'}}\n"
    )
    found = compiled(webhooks__a=text).findings
    assert [(one.line, one.column, one.length) for one in found] == [(4, 26, 5), (4, 32, 4), (5, 35, 4)]
    assert len({one.hint for one in found}) == 1


def test_files_of_certificates_must_be_that(compiled, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate\n")
    text = f"id: a\ntrigger: {{events: [X]}}\nrequest: {{url: 'https://x.example/', ca: {tmp_path}/ca.pem}}\n"
    (found,) = compiled(webhooks__a=text).findings
    assert (found.line, found.code) == (3, "wrong-certificate")
    assert f"{tmp_path}/ca.pem holds no certificate that can be read" in found.message


def test_every_secret_of_a_receiver_must_have_a_value(compiled, tmp_path: Path) -> None:
    text = (
        "id: a\ntrigger: {events: [X]}\n"
        "request:\n"
        "  url: https://x.example/\n"
        "  auth:\n"
        "    oauth2: {token_url: 'https://x.example/', client_id: '${A}', client_secret: 'x${B}'}\n"
        "    mtls: {cert: 'c.pem', key: '${file:nope}'}\n"
        "  ca: nope.pem\n"
        "  signature: {standard_webhooks: {secrets: ['${S}', '${T}', '${BAD']}}\n"
        "delivery: {client: aiohttp, proxy: 'http://${P}@proxy.example'}\n"
    )
    report = compiled(webhooks__a=text, environ={"S": "whsec_AAAA", "T": "not base64"})
    assert [(found.line, found.column, found.code) for found in report.findings] == [
        (6, 59, "missing-secret"),
        (6, 83, "missing-secret"),
        (7, 18, "missing-file"),
        (7, 33, "missing-secret"),
        (8, 7, "missing-file"),
        (9, 53, "wrong-secret"),
        (9, 62, "placeholder"),
        (10, 44, "missing-secret"),
    ]
    assert "not base64" not in report.render()
    offline = compile_config(ConfigText({"webhooks/a.yaml": text}), secrets=None, offline=True)
    assert [found.code for found in offline.findings] == ["placeholder"]


@pytest.mark.parametrize(
    "signature",
    [
        "hmac: {header: X-Signature, secret: ''}",
        "hmac: {header: X-Signature, secret: '${NOPE:-}'}",
        "hmac: {header: X-Signature, secret: '${NOPE:- }'}",
        "standard_webhooks: {secrets: ['${NOPE:-}']}",
        "standard_webhooks: {secrets: ['whsec_${NOPE:-}']}",
    ],
)
def test_a_secret_that_signs_with_nothing_is_refused(compiled, signature: str) -> None:
    text = GOOD.format(id="a").replace("x.example/'", f"x.example/', signature: {{{signature}}}")
    (finding,) = compiled(webhooks__a=text).findings
    assert (finding.warning, finding.code) == (False, "wrong-secret")
    assert "anybody could sign" in finding.message


@pytest.mark.parametrize("name", [*sorted(RESERVED), "Webhook-Id", "a b", ""])
def test_a_name_that_headers_refuses_is_refused_wherever_a_header_is_named(compiled, name: str) -> None:
    for part in (
        f"headers: {{'{name}': x}}",
        f"auth: {{header: {{name: '{name}', value: '${{S}}'}}}}",
        f"signature: {{hmac: {{header: '{name}', secret: '${{S}}'}}}}",
    ):
        text = GOOD.format(id="a").replace("x.example/'", f"x.example/', {part}")
        (finding,) = compiled(environ={"S": "secret-value"}, webhooks__a=text).findings
        assert finding.code == ("header-reserved" if name.strip("a b") else "header-name"), part


def test_an_hmac_may_stand_where_our_signature_would(compiled) -> None:
    text = GOOD.format(id="a").replace(
        "x.example/'", "x.example/', signature: {hmac: {header: Webhook-Signature, secret: '${S}'}}"
    )
    assert compiled(environ={"S": "secret-value"}, webhooks__a=text).findings == []


def test_faults_of_every_compiler_are_shown_at_their_places(compiled) -> None:
    shown = compiled(
        webhooks__a="id: a\n"
        "trigger:\n"
        "  events: [X]\n"
        "  where:\n"
        "    - evnt.properties.x: 1\n"
        "    - event.properties.y: {gtee: 5}\n"
        "request:\n"
        "  url: https://x.example/{{ event.name | upcasee }}\n"
        "  body:\n"
        '    a: "{{ nope.x }}"\n'
        "    b:\n"
        "      - $if: {user.propertes.x: 1}\n"
        "        c: 1\n"
        "delivery: {fail_when: {respons.ok: false}}\n"
    ).render()
    for place in ("5:7", "6:28", "8:42", "10:12", "12:20", "14:24"):
        assert f"webhooks/a.yaml:{place}: error[" in shown, shown
    assert "6 problems in 1 file (6 errors)" in shown


def test_faults_of_fields_and_faults_of_compilers_are_shown_in_one_run(compiled) -> None:
    shown = compiled(
        webhooks__a="id: a b\n"
        "trigger:\n"
        "  event: [X]\n"
        "  where: {event.properties.y: {gtee: 5}}\n"
        "request:\n"
        "  url: https://x.example/\n"
        "  auth: {basic: {username: a, password: '${P}'}, bearer: {token: '${P}'}}\n"
        "  body: {a: '{{ event.name | upcasee }}'}\n"
        "delivery: {timeout: 5, fail_when: {respons.ok: false}}\n"
        "limit: {every: 1}\n"
        "dedupe: {by: evnt.id}\n",
        environ={"P": "p"},
    ).render()
    for place in ("1:5", "3:3", "4:32", "7:3", "8:30", "9:21", "9:36", "10:16", "11:14"):
        assert f"webhooks/a.yaml:{place}: error[" in shown, shown
    assert shown.splitlines()[-1] == "9 problems in 1 file (9 errors)"


@pytest.mark.parametrize(
    "text",
    [
        "id: a\n",
        "trigger: 5\nrequest: []\n",
        "id: a\ntrigger: {}\nrequest: {}\n",
        "vars: 5\nlimit: {}\n",
        "{}\n",
        "id: a\ntrigger: {events: [X], sample: {}, repeat: {by: 5}}\nrequest: {url: 5, auth: {basic: 1}}\n",
    ],
)
def test_whatever_is_missing_nothing_is_raised(compiled, text: str) -> None:
    report = compiled(webhooks__a=text)
    assert report.snapshot is None
    assert report.errors


def test_conditions_of_a_broken_label_are_not_to_blame(compiled) -> None:
    shown = compiled(
        labels__vip="name: VIP\nwere: {user.properties.vip: true}\n",
        webhooks__a=GOOD.format(id="a").replace("[Purchase]", "[Purchase], where: {label: VIP}"),
        webhooks__b=GOOD.format(id="b").replace("[Purchase]", "[Purchase], where: {label: VPI}"),
    ).render()
    assert shown.count("error[") == 2
    assert "did you mean `where`?" in shown
    assert "there is no label `VPI`" in shown


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8765/",
        "https://localhost/x",
        "https://[::1]/",
        "https://169.254.169.254/",
    ],
)
def test_an_address_that_would_be_refused_is_an_error_unless_it_is_opened(compiled, url: str) -> None:
    text = GOOD.format(id="a").replace("https://x.example/", url)
    shown = compiled(webhooks__a=text).render()
    assert "webhooks/a.yaml:3:" in shown
    assert "error[refused-address]" in shown
    assert "network: {allow: [..]}" in shown


def test_an_unusual_spelling_cannot_be_opened_and_no_remedy_says_so(compiled) -> None:
    text = GOOD.format(id="a").replace("https://x.example/", "https://0x7f.1/")
    shown = compiled(JobDefaults(network_allow=("127.0.0.0/8",)), webhooks__a=text).render()
    assert "error[refused-address]: `0x7f.1` will not be dialled: an unusual spelling of 127.0.0.1" in shown
    assert "allow" not in shown


def test_an_opened_address_is_fine(compiled) -> None:
    text = GOOD.format(id="a").replace("https://x.example/", "${R:-http://127.0.0.1:1}/hook")
    assert compiled(JobDefaults(network_allow=("127.0.0.0/8",)), webhooks__a=text).render() == ""


def test_what_only_updates_have_is_a_warning_where_events_fire(compiled) -> None:
    text = (
        "id: a\ntrigger: {{{}, where: {{user.before.plan: x}}}}\n"
        "request: {{url: 'https://x.example/', body: {}}}\n"
    )
    report = compiled(
        webhooks__a=text.format(
            "events: [X]", '{a: "{{ user.before.plan }}", b: "user.before of {{ event.id }}"}'
        )
    )
    assert [(one.code, one.line) for one in report.findings] == [("never-set", 2), ("never-set", 3)]
    assert compiled(webhooks__a=text.format("changes: [plan]", '"{{ user.before.plan }}"')).findings == []


@pytest.mark.parametrize(
    ("headers", "warns"),
    [
        ("{Authorization: Bearer abc}", True),
        ("{X-Api-Key: abc}", True),
        ("{X-Api-Key: '${K}'}", False),
        ("{Authorization: '{{ user.properties.token }}'}", False),
        ("{X-Key-Id: abc}", False),
    ],
)
def test_a_secret_that_stands_in_a_header_is_a_warning(compiled, headers: str, warns: bool) -> None:
    text = GOOD.format(id="a").replace("x.example/'", f"x.example/', headers: {headers}")
    found = compiled(environ={"K": "k"}, webhooks__a=text).findings
    assert [one.code for one in found] == ["plain-secret"] * warns


def test_what_is_too_old_before_its_first_retry_is_a_warning(compiled) -> None:
    text = GOOD.format(id="a") + "delivery: {retry: {min_delay: 1h, max_age: 1m}}\n"
    assert [one.code for one in compiled(webhooks__a=text).findings] == ["no-retry"]


def test_plain_secrets_and_plain_http_are_warnings(compiled) -> None:
    report = compiled(
        webhooks__a="id: a\ntrigger: {events: [X]}\n"
        "request: {url: 'http://x.example/', auth: {basic: {username: me, password: hunter2}}}\n"
    )
    assert [finding.code for finding in report.findings] == ["no-tls", "plain-secret"]
    assert (report.errors, len(report.findings)) == (0, 2)
    assert "hunter2" not in "".join(finding.message for finding in report.findings)
    assert report.snapshot is not None


@pytest.mark.parametrize(
    ("request_fields", "meant"),
    [
        ("headers: {X-Key: $API_KEY}", "${API_KEY}"),
        ("headers: {Authorization: Bearer $TOKEN}", "${TOKEN}"),
        ("auth: {header: {name: X-Key, value: '%API_KEY%'}}", "${API_KEY}"),
        ("headers: {X-Price: $5, X-Share: 5%, X-Currency: US$, X-Key: '${API_KEY:-x}'}", ""),
    ],
)
def test_a_variable_as_a_shell_writes_it_is_a_warning(compiled, request_fields: str, meant: str) -> None:
    report = compiled(
        webhooks__a="id: a\ntrigger: {events: [X]}\n"
        f"request: {{url: 'https://x.example/', {request_fields}}}\n"
    )
    assert report.errors == 0
    hints = [one.hint for one in report.findings if one.code == "looks-like-variable"]
    assert hints == ([f"write `{meant}` if the variable is meant"] if meant else [])


def test_so_is_one_in_a_url(compiled) -> None:
    url = "https://x.example/$SLACK_PATH?$filter=US$&key=$5"
    report = compiled(webhooks__a=f"id: a\ntrigger: {{events: [X]}}\nrequest: {{url: '{url}'}}\n")
    hints = [one.hint for one in report.findings if one.code == "looks-like-variable"]
    assert hints == ["write `${SLACK_PATH}` if the variable is meant"]


def test_a_template_in_vars_is_a_warning(compiled) -> None:
    report = compiled(
        webhooks__a="id: a\nvars: {a: {b: ['{{ event.id }}']}, c: '{x}'}\ntrigger: {events: [X]}\n"
        "request: {url: 'https://x.example/'}\n"
    )
    (found,) = report.findings
    assert (found.warning, found.code, found.line, found.column) == (True, "no-template", 2, 16)


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("request: {auth: {api_key: x}}", "did you mean `header`?"),
        ("request: {encoding: urlencoded}", "did you mean `form`?"),
        ("request: {missing: skip}", "did you mean `omit`?"),
        ("delivery: {on_full: drop}", "did you mean `dead_letter`?"),
        ("delivery: {ordering: true}", "did you mean `per_user`?"),
        ("delivery: {batch: {as: json}}", "did you mean `array`?"),
        ("limit: {count: 1, per: day}", "a time goes into `every`, such as `every: 1d`, a path into `by`"),
        ("dedupe: {key: event.id}", "did you mean `by`?"),
        ("trigger: {on: [A]}", "did you mean `events`?"),
        ("trigger: {events: [A], repeat: {times: 3, within: 1d}}", "did you mean `count`?"),
        ("throttle: 1", "did you mean `limit`?"),
        ("delivery: {throttle: 1}", "did you mean `rate`?"),
    ],
)
def test_words_of_other_products_are_told_ours(compiled, wrong: str, hint: str) -> None:
    assert hint in [one.hint for one in compiled(webhooks__a=f"id: a\n{wrong}\n").findings]


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("trigger: Signup", "its fields: events, changes, where, sample, repeat"),
        ("limit: 1 per day", "its fields: per, count, every, by"),
        ("delivery: {batch: 100}", "its fields: max_events, max_bytes, max_wait, as, wrap"),
        ("request: {auth: {basic: 'me:secret'}}", "its fields: username, password"),
    ],
)
def test_what_has_fields_and_is_written_as_a_value_is_told_them(compiled, wrong: str, hint: str) -> None:
    report = compiled(webhooks__a=f"id: a\n{wrong}\n")
    assert hint in [one.hint for one in report.findings if one.code == "wrong-type"]


def test_the_reason_of_a_dead_letter_names_file_and_line(compiled) -> None:
    webhook = one(
        compiled(
            webhooks__a="id: a\ntrigger: {events: [X]}\nrequest:\n  url: https://x.example/\n"
            "  body:\n    email: '{{ user.properties.email | require }}'\n"
        )
    )
    with pytest.raises(Exception, match=r"webhooks/a\.yaml:6, request\.body\.email"):
        webhook.request.render(event(), USER)


def test_a_fail_when_reads_the_response(compiled) -> None:
    fail_when = one(
        compiled(webhooks__a=GOOD.format(id="a") + "delivery: {fail_when: {response.ok: false}}\n")
    ).spec.fail_when
    assert fail_when is not None
    assert fail_when(None, None, {"response": {"ok": False}})
    assert not fail_when(None, None, {"response": {"ok": True}})
    assert not fail_when(None, None, {"response": {}})


def test_a_retry_when_reads_what_it_needs_of_the_response(compiled) -> None:
    text = (
        "delivery: {retry_when: {response.body: {contains: '429'}, response.headers.X-B: {exists: true}}}\n"
    )
    spec = one(compiled(webhooks__a=GOOD.format(id="a") + text)).spec
    assert (spec.reads, spec.reads_headers, spec.reads_body) == (
        Reads(fields=False, body=True, headers=("X-B",)), True, True,
    )  # fmt: skip
    assert spec.retry_when is not None
    assert spec.retry_when(None, None, {"response": {"body": "error 429", "headers": {"X-B": "1"}}})
    assert not spec.retry_when(None, None, {"response": {"body": "1", "headers": {"X-B": "1"}}})
    wrong = GOOD.format(id="a") + "delivery: {retry_when: {respons.ok: false}}\n"
    assert "did you mean `response.ok`?" in compiled(webhooks__a=wrong).render()


def test_an_excluded_label_that_does_not_exist_is_one_fault(compiled) -> None:
    report = compiled(
        JobDefaults(exclude=("Intrnal",)),
        labels__internal="name: Internal\nwhere: {user.properties.x: 1}\n",
        webhooks__a=GOOD.format(id="a"),
        webhooks__b=GOOD.format(id="b"),
    )
    assert report.render() == (
        f"{report.root}/pipeline.yaml: error[unknown-label]: `exclude` names the label `Intrnal`, which does "
        "not exist\n      | did you mean `Internal`?\n1 problem in 1 file (1 error)"
    )


UNSET = (
    "id: a\ntrigger: {events: [X], where: {evnt.x: 1}}\n"
    "request: {url: 'https://${HOST}/${TOKEN}'}\ndelivery:\n  concurrency: ${N}\n"
)


def test_a_setting_without_a_value_hides_no_other_fault(compiled) -> None:
    report = compiled(webhooks__a=UNSET)
    assert [(found.line, found.code) for found in report.findings] == [
        (2, "wrong-path"),
        (3, "missing-setting"),
        (5, "missing-setting"),
    ]


def test_offline_neither_settings_nor_secrets_are_faults_but_everything_else_is() -> None:
    report = compile_config(ConfigText({"webhooks/a.yaml": UNSET}), secrets=None, offline=True)
    assert [found.code for found in report.findings] == ["wrong-path"]
    fixed = ConfigText({"webhooks/a.yaml": UNSET.replace("evnt.x", "event.properties.x")})
    report = compile_config(fixed, secrets=None, offline=True)
    assert (report.findings, report.snapshot) == ([], None)


@pytest.mark.parametrize(("written", "code"), [("''", "wrong-name"), ("$set", "no-event")])
def test_one_name_in_the_place_of_a_list_is_pointed_at_itself(compiled, written: str, code: str) -> None:
    report = compiled(webhooks__a=GOOD.format(id="a").replace("[Purchase]", written))
    (found,) = report.findings
    assert (found.code, found.line, found.column) == (code, 2, len("trigger: {events: ") + 1)
