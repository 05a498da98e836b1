"""What `check` says about the slips that people make: place, find and remedy, each a row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.match.operators.synonyms import REMEDIES, SYNONYMS
from pipeline.model.findings import Finding
from pipeline.operate.check import check

Files = dict[str, str | bytes | None]
"""Contents by name; None: a folder."""
Checked = Callable[..., list[Finding]]

JOB = "source: {jsonl: {paths: [x.jsonl]}}\n"
URL = "https://h.example/in"
HOOK = f"id: a\ntrigger: {{events: [A]}}\nrequest: {{url: '{URL}'}}\n"
LABEL = "name: L\nevents: [A]\n"


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checked:
    monkeypatch.setenv("TOKEN", "t0k")

    def write(files: Files, job: str | bytes | None = JOB) -> list[Finding]:
        (tmp_path / "webhooks").mkdir(exist_ok=True)
        for name, content in {"pipeline.yaml": job, **files}.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            elif content is not None:
                path.write_text(content)
            elif name != "pipeline.yaml":
                path.mkdir()
        return check(tmp_path).findings

    return write


def told(findings: list[Finding]) -> list[str]:
    """Return each finding on one line: place, message, hint; warnings say so."""
    return [
        f"{'warning: ' if one.warning else ''}{one.file}:{one.line}: {one.message}"
        + (f" ({one.hint})" if one.hint else "")
        for one in findings
    ]


def hook(request: str = f"{{url: '{URL}'}}", trigger: str = "{events: [A]}", more: str = "") -> Files:
    return {"webhooks/a.yaml": f"id: a\ntrigger: {trigger}\nrequest: {request}\n{more}"}


PLACEHOLDERS = [
    ("{url: 'https://h.example', headers: {Authorization: Bearer ${TOKEN}}}", '"Bearer ${TOKEN}"'),
    ("{url: 'https://h.example', headers: {A: Bearer ${TOKEN}, B: c}}", '"Bearer ${TOKEN}"'),
    ("{url: 'https://h.example', headers: {X: y, A: Basic a ${TOKEN} b}}", '"Basic a ${TOKEN} b"'),
    ("{url: https://h.example/${TOKEN}/x, method: PUT}", '"https://h.example/${TOKEN}/x"'),
    ("{url: https://h.example/${TOKEN}/${TOKEN}}", '"https://h.example/${TOKEN}/${TOKEN}"'),
    ("{url: 'https://h.example', body: [Bearer ${TOKEN}, x]}", '"Bearer ${TOKEN}"'),
]


@pytest.mark.parametrize(("request_", "quoted"), PLACEHOLDERS)
def test_a_placeholder_in_a_flow_map_is_one_fault_whose_remedy_is_right(
    checked: Checked, request_: str, quoted: str
) -> None:
    (found,) = checked(hook(request_))
    assert (found.code, found.hint) == ("yaml-syntax", f"quote it: {quoted}")
    bare = quoted.strip('"')
    assert found.source[found.column - 1 :].startswith(bare)
    assert not [one for one in checked(hook(request_.replace(bare, quoted, 1))) if not one.warning]


def test_what_a_merge_left_is_named(checked: Checked) -> None:
    text = f"<<<<<<< HEAD\n{HOOK}=======\n{HOOK}>>>>>>> b\n"
    (found,) = checked({"webhooks/a.yaml": text})
    assert (found.line, found.message) == (1, "a merge left its conflict")


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ("{url: 'https://h.example/in?a=1&token=t0ken', body: {}}", "plain-secret"),
        ("{url: 'https://hooks.slack.com/services/T0/B0/x', body: {}}", "plain-secret"),
        ("{url: 'https://h.example/in', query: {api_key: k3y}, body: {}}", "plain-secret"),
        ("{url: 'https://h.example/in?token=${TOKEN}&page={{ event.id }}', query: {sig: '${TOKEN}'}}", None),
        (
            "{url: 'https://h.example', headers: {content-type: application/x-www-form-urlencoded}}",
            "content-type",
        ),
        (
            "{url: 'https://h.example', encoding: form, headers: {Content-Type: application/json}}",
            "content-type",
        ),
        (
            "{url: 'https://h.example', headers: {Content-Type: application/xml; charset=utf-8}}",
            "content-type",
        ),
        ("{url: 'https://h.example', headers: {Content-Encoding: gzip}}", "content-encoding"),
        ("{url: 'https://h.example', headers: {Content-Encoding: identity}}", None),
        ("{url: 'https://h.example', headers: {Content-Type: application/vnd.api+json}}", None),
        ("{url: 'https://h.example', headers: {Content-Type: application/vnd.platform}}", None),
        (
            "{url: https://h.example, encoding: text, headers: {Content-Type: multipart/form-data}, body: x}",
            None,
        ),
        ("{url: 'https://h.example', method: GET, headers: {Content-Type: application/xml}}", None),
    ],
)
def test_secrets_in_a_url_and_headers_that_say_another_body_are_warnings(
    checked: Checked, request_: str, code: str | None
) -> None:
    assert [(one.code, one.warning) for one in checked(hook(request_))] == [(code, True)] * (code is not None)


UNKNOWN = "`{}` is not a field of `source.kafka` (did you mean `{}`?)".format
KAFKA = [
    ("brokers: 'b:1', topic: x", [UNKNOWN("topic", "events")]),
    (
        "brokers: 'b:1', topics: [x]",
        [
            "`source.kafka.topics` must be a map of fields, not a list "
            "(for example `topics: {app-events: {format: shop}}`)"
        ],
    ),
    ("bootstrap_servers: 'b:1', events: x", [UNKNOWN("bootstrap_servers", "brokers")]),
    ("bootstrap.servers: 'b:1', events: x", [UNKNOWN("bootstrap.servers", "brokers")]),
    ("broker: 'b:1', events: x", [UNKNOWN("broker", "brokers")]),
    ("group_id: g, brokers: 'b:1', events: x", [UNKNOWN("group_id", "group")]),
    ("brokers: ['b:1', '[::1]:9092', 'SASL_SSL://c.example:9'], events: x", []),
    ("brokers: 'b:1,c', events: x", []),
    ("brokers: [], events: x", ["a broker is missing (write host:port, or a list of them)"]),
    ("brokers: '', events: x", ["a broker is missing (write host:port, or a list of them)"]),
    ("brokers: 'b:1;c:2', events: x", ["`b:1;c:2` is no broker (write host:port, or a list of them)"]),
    (
        "brokers: [1], events: x",
        ["`source.kafka.brokers` must be a text, not a list (for example `brokers: 127.0.0.1:9092`)"],
    ),
]


@pytest.mark.parametrize(("kafka", "wanted"), KAFKA)
def test_names_that_other_tools_have_for_brokers_and_topics(
    checked: Checked, kafka: str, wanted: list[str]
) -> None:
    found = told(checked(hook(), f"source: {{kafka: {{{kafka}}}}}\n"))
    assert found == [f"pipeline.yaml:1: {line}" for line in wanted]


@pytest.mark.parametrize(
    ("exclude", "places"),
    [("[Buy, Byu, nope]", [(2, 16), (2, 21)]), ("Byu", [(2, 10)]), ("Buy", [])],
)
def test_an_excluded_label_that_does_not_exist_is_shown_at_its_place(
    checked: Checked, exclude: str, places: list[tuple[int, int]]
) -> None:
    files = {**hook(), "labels/buy.yaml": "name: Buy\nevents: [B]\n"}
    found = checked(files, f"{JOB.splitlines()[0]}\nexclude: {exclude}\n")
    assert [(one.file, one.line, one.column) for one in found] == [
        ("pipeline.yaml", *place) for place in places
    ]
    assert all(one.hint == "did you mean `Buy`?" for one in found if "Byu" in one.message)


CONDITIONS = [
    ("'>= 100'", "did you mean {gte: 100}?"),
    ("{gte: '>= 100'}", "did you mean {gte: 100}?"),
    ("'>=100'", "did you mean {gte: 100}?"),
    ("'> 5'", "did you mean {gt: 5}?"),
    ("'<5'", "did you mean {lt: 5}?"),
    ("['a', '!= b']", "did you mean {ne: b}?"),
    ("'== pro'", "did you mean {eq: pro}?"),
    ("'gt 5'", "did you mean {gt: 5}?"),
    ("'*@acme.com'", 'for a pattern write {glob: "*@acme.com"}'),
    ("'{{ user.properties.plan }}'", "write {path: user.properties.plan}"),
    ("{starts_with: '{{ user.properties.plan }}'}", "write {path: user.properties.plan}"),
    ("['a', 'x {{ vars.b }}']", "another path's value is {path: ...}"),
    ("{as: text, eq: '{{ event.name }}'}", "write {path: event.name}"),
    ("user.properties.plan", "write {path: user.properties.plan}"),
    ("{eq: 'event.properties[\"a b\"].c'}", "for the value at that path write"),
    ("{contains: [event.properties.plan]}", "write {path: event.properties.plan}"),
    ("{gt: 1_000}", "write 1000"),
    ("{gt: 1e3}", "write 1000"),
    ("{lte: '1,000.5'}", "write 1000.5"),
    ("{gte: .5}", "write 0.5"),
    ("{gte: -10%}", "write -10"),
    ("{between: ['1', '5']}", "write it without quotes"),
    ("{contains: '*@acme.com'}", "leave them out, or write {glob: "),
    ("{starts_with: '/docs/*'}", "leave them out, or write {glob: "),
    ("'%@acme.com%'", 'did you mean {contains: "@acme.com"}?'),
    ("{regex: '/^a.c$/gi'}", 'did you mean {regex: "^a.c$", ignore_case: true}?'),
    ("{glob: '*.{jpg,png}'}", 'write glob: ["*.jpg", "*.png"]'),
    ("/sign ?up/i", 'did you mean {regex: "sign ?up", ignore_case: true}?'),
    ("{not_in: ['/a+/g']}", 'did you mean {regex: "a+"}?'),
    ("{regex: '/pricing/'}", None),
    ("/pricing/", None),
    ("{regex: '^/users/i'}", None),
    ("{glob: '/search?q={x}*'}", None),
    ("{eq: 1_000}", None),
    ("{gt: abc}", "never with numbers: add `as: text`"),
    ("{gt: now}", "a time relative to the event"),
    ("{gt: B}", None),
    ("'user.created.v2'", None),
    ("'{x}'", None),
    ("'100%'", None),
    ("'<b>'", None),
    ("'a > 5'", None),
    ("'>'", None),
    ("'*'", None),
    ("{contains: '>= 100'}", None),
    ("'greater'", None),
]


@pytest.mark.parametrize(("operand", "wanted"), CONDITIONS)
def test_a_text_that_looks_like_something_else_is_a_warning(
    checked: Checked, operand: str, wanted: str | None
) -> None:
    findings = checked(hook(trigger=f"{{events: [A], where: [{{event.properties.x: {operand}}}]}}"))
    assert [one.warning for one in findings] == [True] * (wanted is not None)
    assert all(str(wanted) in one.message for one in findings)


def test_a_list_file_may_stand_for_itself_and_among_others(checked: Checked) -> None:
    for operand in ("{file: lists/l.txt}", "[a, {file: lists/l.txt}]", "{not_in: [{file: lists/l.txt}]}"):
        files = hook(trigger=f"{{events: [A], where: {{event.properties.x: {operand}}}}}")
        assert checked({**files, "lists/l.txt": "b\n"}) == []


NAMES = [
    ("events: 'Purchase, Refund'", "for several names write [Purchase, Refund]"),
    ("events: ['Purchase,Refund']", "for several names write [Purchase, Refund]"),
    ("events: 'Purchase|Refund'", "for several names write [Purchase, Refund]"),
    ("events: ['Page *']", 'for a pattern write `"*"` here, and where: {event.name: {glob: "Page *"}}'),
    ("changes: 'plan, email'", "for several names write [plan, email]"),
    ("events: '*', where: {event.name: 'A, B'}", "for several names write [A, B]"),
    ("events: '*', where: {event.properties.city: 'A, B'}", None),
    ("events: 'Purchase, '", None),
    ("events: '*'", None),
    ("events: [Purchase, Refund]", None),
]


@pytest.mark.parametrize(("names", "wanted"), NAMES)
def test_one_name_that_looks_like_several_is_a_warning(
    checked: Checked, names: str, wanted: str | None
) -> None:
    findings = checked(hook(trigger=f"{{{names}}}"))
    assert [(one.warning, one.hint) for one in findings] == [(True, wanted)] * (wanted is not None)


def test_a_change_from_and_to_is_told_as_conditions(checked: Checked) -> None:
    for changes in ("{plan: {from: free, to: pro}}", "[{plan: pro}]"):
        (found,) = checked(hook(trigger=f"{{changes: {changes}}}"))
        assert "`where: [{user.before.plan: free}, {user.properties.plan: pro}]`" in found.message


def test_a_label_that_is_named_like_several_is_meant(checked: Checked) -> None:
    files = hook(trigger="{events: ['Purchase, Refund']}")
    assert checked({**files, "labels/l.yaml": "name: Purchase, Refund\nevents: [A]\n"}) == []


AMOUNTS = [
    ("delivery: {timeout: 0s}", "`timeout` is longer than nothing"),
    ("delivery: {timeout: -1s}", "a duration is longer than nothing"),
    ("delivery: {timeout: 400d}", "`timeout` is 1h at most"),
    ("delivery: {timeout: 10 sec}", "did you mean `10s`?"),
    ("delivery: {timeout: 5 minutes}", "did you mean `5m`?"),
    ("delivery: {timeout: PT10S}", "did you mean `10s`?"),
    ("delivery: {timeout: 1M}", "did you mean `1m`, or months: `30d`?"),
    ("delivery: {retry: {max_age: 2 weeks}}", "did you mean `14d`?"),
    ("delivery: {retry: {max_age: P1DT12H}}", "did you mean `36h`?"),
    ("delivery: {retry: {max_age: 1h30m}}", "did you mean `90m`?"),
    ("delivery: {retry: {max_age: P1M}}", "did you mean `30d`?"),
    ("delivery: {retry: {max_age: 1 fortnight}}", "such as `10s` or `1.5h`"),
    ("delivery: {timeout: 10}", "a duration needs a unit"),
    ("delivery: {rate: 100}", "did you mean `100/s`?"),
    ("delivery: {rate: 5 per minute}", "did you mean `5/m`?"),
    ("delivery: {rate: 0/s}", "a rate is a number per unit of time"),
    ("delivery: {concurrency: 0}", "must be 1 or more"),
    ("delivery: {max_pending: -1}", "must be 1 or more"),
    ("delivery: {retry: {min_delay: 0s}}", "`min_delay` is longer than nothing"),
    ("delivery: {retry: {min_delay: 2h}}", "`min_delay` is longer than `max_delay`: raise that, too"),
    ("delivery: {retry: {max_delay: 0s}}", "`max_delay` is longer than nothing"),
    ("delivery: {retry: {max_age: 0s}}", "for no retries write `max_attempts: 1`"),
    ("delivery: {retry: {max_age: 99999d}}", "a duration may be 100 years at most"),
    ("delivery: {retry: {statuses: [200]}}", "a status that can be retried is 300 to 599, not 200"),
    (
        "delivery: {succeed_on: [503]}",
        "a status that can be a success is 300 to 499 but not 401: 503 is none",
    ),
    ("delivery: {succeed_on: [401]}", "300 to 499 but not 401: 401 is none"),
    ("delivery: {succeed_on: [429]}", "429 cannot be a success and be retried"),
    ("delivery: {batch: {max_wait: 0s}}", "`max_wait` is longer than nothing: leave out `batch`"),
    ("delivery: {batch: {max_wait: 2d}}", "`max_wait` is 1h at most"),
    ("delivery: {batch: {max_bytes: 0}}", "a size is at least one byte"),
    ("limit: {every: 0s}", "`every` is longer than nothing"),
    ("limit: {every: -1h}", "a duration is longer than nothing, or `ever`"),
    ("limit: {every: 1mo}", "such as `10s` or `1.5h`, or `ever`: did you mean `30d`?"),
    ("limit: {every: forever}", "or `ever`: did you mean `ever`?"),
    ("limit: {count: 0, every: 1h}", "must be 1 or more"),
    ("dedupe: {within: 0d}", "`within` is longer than nothing"),
    ("dedupe: {within: 99999999d}", "a duration may be 100 years at most"),
]


@pytest.mark.parametrize(("amount", "wanted"), AMOUNTS)
def test_an_amount_of_nothing_and_one_that_nobody_means_are_errors(
    checked: Checked, amount: str, wanted: str
) -> None:
    (found,) = checked(hook(more=amount + "\n"))
    assert not found.warning
    assert wanted in found.message


JOBS = [
    ("epoch: 0s", "`epoch` is longer than nothing"),
    ("epoch: 10d", "`epoch` is 1h at most"),
    ("join: {max_wait: 0s}", "`max_wait` is longer than nothing"),
    ("shards: 0", "`shards` must be 1 or more"),
    ("sources: {}", "did you mean `source`?"),
    ("state_dir: x", "did you mean `state`?"),
    ("allow: []", "it belongs under `network`"),
    ("webhooks: x", "webhooks are files in webhooks/, one each"),
    ("processes: 2", "give it to the job: `hookline run --processes 2`"),
    ("kafka: {}", "it belongs under `source` or `dead_letters`"),
    ("- a", "pipeline.yaml is a map of fields, not a list (leave out the `-`"),
    ("hello", "not the text \"hello\" (write `field: value` lines)"),
    ("source: x.jsonl", "(for example `source: {jsonl: {paths: [shop.jsonl]}}`)"),
    ("source: {file: x.jsonl}", "did you mean `jsonl`?"),
    ("source: {kafka: {brokers: 'http://h:1', events: [e]}}", "`http://h:1` is no broker (write host:port"),
    ("source: {kafka: {brokers: 'h:99999', events: [e]}}", "`h:99999` is no broker"),
    ("source: {kafka: {brokers: 'h:1', events: [e], group: '${G:-}'}}", "group` must not be empty"),
    ("source: {jsonl: {paths: [a.jsonl, '${RECORDING:-}']}}", "a path is empty"),
    ("dead_letters: {jsonl: {path: ''}}", "`dead_letters.jsonl.path` must not be empty"),
    ("source: {kafka: {brokers: 'h:1', events: [a b]}}", "no name of a topic (letters, digits,"),
    ("source: {kafka: {brokers: 'h:1', users: 'a, b'}}", "for several write [a, b]"),
    ("source: {kafka: {brokers: 'h:1', topics: {'..': {}}}}", "`..` is no name of a topic"),
    ("source: {kafka: {brokers: 'h:1', events: [e], start: latst}}", "did you mean `latest`?"),
    ("source: {kafka: {brokers: 'h:1', events: [e], start: oldest}}", "did you mean `earliest`?"),
    (HOOK, "this is a webhook, not pipeline.yaml (it belongs in webhooks/)"),
    (JOB + "---\nstate: x\n", "`---` begins a second one (move what follows into a file of its own)"),
]  # fmt: skip


@pytest.mark.parametrize(("job", "wanted"), JOBS)
def test_a_slip_in_pipeline_yaml_is_told_with_its_remedy(checked: Checked, job: str, wanted: str) -> None:
    (found,) = told(checked(hook(), job + "\n"))
    assert found.startswith("pipeline.yaml:")
    assert wanted in found


@pytest.mark.parametrize(
    "source",
    [
        '{kafka: {brokers: "${KAFKA}", events: ["${TOPIC}"]}}',
        '{kafka: {brokers: "h:1", topics: {a: {format: "${SHAPE}"}}}}',
        '{kafka: {brokers: "h:1", events: "${TOPIC}"}}',
    ],
)
def test_what_follows_from_a_setting_without_a_value_is_no_fault_of_its_own(
    tmp_path: Path, source: str
) -> None:
    (tmp_path / "webhooks").mkdir()
    (tmp_path / "webhooks" / "a.yaml").write_text(HOOK)
    (tmp_path / "pipeline.yaml").write_text(f"source: {source}\n")
    assert {one.code for one in check(tmp_path).findings} == {"missing-setting"}
    assert check(tmp_path, offline=True).findings == []


def test_a_var_whose_setting_has_no_value_is_there_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "webhooks").mkdir()
    (tmp_path / "webhooks" / "_base.yaml").write_text("vars: {b: {setting: '${BASE}'}}\n")
    (tmp_path / "webhooks" / "a.yaml").write_text(
        "id: a\nextends: _base\nvars: {x: {setting: '${LEAST}'}}\n"
        "trigger:\n  events: [A]\n  where:\n"
        "    - event.properties.n: {gte: {path: vars.x}}\n"
        "    - event.properties.m: {glob: {path: vars.b}}\n"
        "request:\n  url: https://h.example/\n"
        "  body:\n    b: '{{ vars.b | upcase }}'\n    x: '{{ vars.x }}'\n"
    )
    assert check(tmp_path, offline=True).findings == []
    assert {one.code for one in check(tmp_path).findings} == {"missing-setting"}
    other = (tmp_path / "webhooks" / "a.yaml").read_text().replace("{{ vars.x }}", "{{ vars.y }}")
    (tmp_path / "webhooks" / "a.yaml").write_text(other)
    assert [one.message for one in check(tmp_path, offline=True).findings] == ["there is no var `y`"]


def test_what_a_section_lacks_is_told_though_a_setting_beside_it_has_no_value(checked: Checked) -> None:
    job = 'collect: {to: {kafka: {brokers: "${KAFKA}"}}}\n'
    found = [one.message for one in checked({}, job)]
    assert "`collect.to.kafka` needs the field `topic`" in found
    assert "`collect.to.kafka` needs the field `brokers`" not in found


def test_a_webhook_is_not_blamed_for_an_address_that_a_broken_pipeline_yaml_may_allow(
    checked: Checked,
) -> None:
    local = hook("{url: 'http://127.0.0.1:8787/'}")
    allowed = "network: {allow: [127.0.0.0/8]}\n"
    assert [one.code for one in checked(local, JOB + allowed + "epoch: 0s\n")] == ["wrong-value"]
    assert [one.code for one in checked(local, JOB)] == ["refused-address"]
    assert [one.code for one in checked(local, None)] == ["refused-address"]


@pytest.mark.parametrize("job", [None, "", "# nothing yet\n", "---\n", "null\n", "\ufeff", "{}\n"])
def test_an_empty_pipeline_yaml_is_one_in_which_all_is_as_by_default(
    checked: Checked, job: str | None
) -> None:
    assert checked(hook(), job) == []


FILES: list[tuple[Files, list[str]]] = [
    ({"labels/a.yaml": ""}, ["labels/a.yaml:1: the file is empty (a label has a `name`"]),
    ({"webhooks/a.yaml": b"\xef\xbb\xbf" + HOOK.encode().replace(b"\n", b"\r\n")}, []),
    ({"webhooks/a.yml": HOOK}, []),
    ({"webhooks/a.YAML": HOOK}, ["warning: webhooks/a.YAML:0: it is not read: its name must end in"]),
    ({"webhooks/a.json": "{}"}, ["warning: webhooks/a.json:0: it is not read: its name must end in"]),
    ({"webhooks/a.yaml.txt": HOOK}, ["warning: webhooks/a.yaml.txt:0: it is not read"]),
    (
        {"webhooks/sub": None, "webhooks/sub/a.yaml": HOOK},
        ["warning: webhooks/sub:0: its files are not read: they must lie in webhooks/"],
    ),
    (
        {"a.yaml": HOOK, "notes.yaml": "a: trigger", "webhooks/b.yaml": HOOK},
        ["warning: a.yaml:0: it is not read: a webhook must lie in webhooks/"],
    ),
    (
        {"Webhook": None, "Webhook/a.yaml": HOOK, "shapes": None},
        ["warning: Webhook:0: its files are not read: the folder must be named webhooks"],
    ),
    (
        {"pipeline.yml": "state: x\n", "webhooks/a.yaml": HOOK},
        ["warning: pipeline.yml:0: `pipeline.yml` is not read (move what it says"],
    ),
    (
        {"webhooks/a.yaml": HOOK, "webhooks/b.yml": HOOK},
        ["webhooks/b.yml:1: the id `a` is already used in webhooks/a.yaml (give one of"],
    ),
    (
        {"labels/a.yaml": LABEL, "labels/b.yaml": LABEL},
        ["labels/b.yaml:1: the name `L` is already used in labels/a.yaml (give one of"],
    ),
    ({"labels/b.yaml": HOOK}, ["labels/b.yaml:1: this is a webhook, not a label (it belongs in webhooks/)"]),
    (
        {"webhooks/a.yaml": HOOK.replace("trigger", "triger") + "enable: true\ndelivry: {}\n"},
        [
            "webhooks/a.yaml:2: `triger` is not a field of a webhook (did you mean `trigger`?)",
            "webhooks/a.yaml:4: `enable` is not a field of a webhook (did you mean `enabled`?)",
            "webhooks/a.yaml:5: `delivry` is not a field of a webhook (did you mean `delivery`?)",
        ],
    ),
]


@pytest.mark.parametrize(("files", "wanted"), FILES)
def test_a_file_that_is_no_webhook_or_label_says_what_it_is(
    checked: Checked, files: Files, wanted: list[str]
) -> None:
    found = told(checked(files))
    assert len(found) == len(wanted), found
    assert all(line.startswith(start) for line, start in zip(found, wanted, strict=True)), found


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "1: the file is empty (`hookline new` writes"),
        ("# todo\n", "1: the file is empty but for comments (`hookline new`"),
        ("- id: a\n", "1: a webhook is a map of fields, not a list (leave out"),
        (HOOK + "---\n# end\n", "4: one file holds one document; `---` begins a second one (leave it o"),
        (HOOK.replace("{events", "\n\tevents: [A]\nx: {events"), "3: "),
        (HOOK.encode("utf-16"), "0: the file is UTF-16; save it as UTF-8"),
        (None, "0: is a folder: expected a file"),
        (LABEL, "1: this is a label, not a webhook (it belongs in labels/)"),
        (JOB, "1: this is the job's pipeline.yaml, not a webhook (it belo"),
        ("cases: []\n", "1: this is a config test, not a webhook (it belongs in a file `NAME"),
    ],
)
def test_a_text_that_is_no_webhook_says_what_it_is(
    checked: Checked, text: str | bytes | None, wanted: str
) -> None:
    (found,) = told(checked({"webhooks/a.yaml": text}))
    assert found.startswith(f"webhooks/a.yaml:{wanted}")


def test_a_pipeline_yml_alone_is_an_error(checked: Checked) -> None:
    files: Files = {**hook(), "pipeline.yml": JOB}
    assert told(checked(files, None)) == [
        "pipeline.yml:0: `pipeline.yml` is not read (rename it to pipeline.yaml)"
    ]


IDS = [
    ("Big Purchase", "did you mean `big-purchase`?"),
    ("käufer (Straße)", "did you mean `kaeufer-strasse`?"),
    ("a/b", "did you mean `a-b`?"),
    ("5", 'quote it: "5"'),
    ("'..'", "`..` names nothing"),
    ("日本", "an id is 1 to 64 of the characters a-z, A-Z, 0-9, `.`, `_` and `-`"),
    ("Big-Purchase", None),
]


@pytest.mark.parametrize(("id", "wanted"), IDS)
def test_an_id_that_cannot_be_one_gets_the_nearest_that_can(
    checked: Checked, id: str, wanted: str | None
) -> None:
    findings = checked({"webhooks/a.yaml": HOOK.replace("id: a", f"id: {id}")})
    assert [found.message.endswith(str(wanted)) for found in findings] == [True] * (wanted is not None)


WORDS = {
    "eq": "equals is == equal_to isEqualTo 'Is Equal To'",
    "ne": "!= <> is_not isnt notEquals not_equal",
    "gt": "greater greater_than greaterThan > gt? more_than $gt above",
    "gte": ">= greater_or_equal greaterThanOrEqual at_least min ge",
    "lt": "less less_than < lower $lt below",
    "lte": "<= less_or_equal at_most max le",
    "in": "one_of oneOf any_of isin $in enum",
    "not_in": "none_of $nin nin notIn is_not_in",
    "contains": "includes has substring",
    "not_contains": "does_not_contain doesNotContain not_includes",
    "starts_with": "startswith startsWith prefix begins_with 'starts with'",
    "ends_with": "endswith endsWith suffix",
    "regex": "matches match regexp =~ rlike $regex matchesRegex",
    "glob": "like LIKE wildcard",
    "exists": "is_set isSet defined is_not_null has_value $exists",
    "present": "not_empty is_not_empty isNotEmpty is_present",
    "before": "is_before isBefore earlier_than is_date_before",
    "after": "since is_after later_than",
}  # fmt: skip


@pytest.mark.parametrize(
    ("word", "meant"),
    [(word, meant) for meant, words in WORDS.items() for word in __import__("shlex").split(words)],
)
def test_a_word_that_other_tools_have_for_an_operator_gets_ours(
    checked: Checked, word: str, meant: str
) -> None:
    (found,) = checked(hook(trigger=f'{{events: [A], where: [{{event.properties.x: {{"{word}": true}}}}]}}'))
    assert found.hint == f"did you mean `{meant}`?"


def test_no_word_means_two_things() -> None:
    assert not SYNONYMS.keys() & REMEDIES.keys()
