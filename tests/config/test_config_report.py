from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config.files import read_config
from pipeline.config.webhooks import check_files
from pipeline.model.errors import ConfigError, GivenError
from pipeline.model.findings import Finding, render, render_finding

GOOD = """\
id: {id}
trigger: {{events: [Purchase]}}
request: {{url: "https://x.example/"}}
"""


@pytest.fixture
def config(tmp_path: Path):
    """Write files and return the checked config and what it prints."""

    def write(**files: str):
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/")
            path = path.with_name(path.name + ".yaml")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (tmp_path / "webhooks").mkdir(exist_ok=True)
        checked = check_files(read_config(tmp_path, environ={"SIZE": "7", "HOST": "h.example"}))
        return checked, render(checked.findings, root="config")

    return write


def test_a_message_names_place_field_find_and_remedy(config) -> None:
    _, shown = config(
        webhooks__cart="id: cart\ntrigger: {events: [Cart]}\nrequest:\n  url: https://x.example/\n"
        "delivery:\n  retires: 3\n  timeout: 5\n"
    )
    assert shown == (
        "config/webhooks/cart.yaml:6:3: error[unknown-field]: `retires` is not a field of `delivery`\n"
        "    6 |   retires: 3\n"
        "      |   ^^^^^^^ did you mean `retry`?\n"
        "config/webhooks/cart.yaml:7:12: error[wrong-value]: a duration needs a unit: `5s`, `5m` or `5h`\n"
        "    7 |   timeout: 5\n"
        "      |            ^\n"
        "2 problems in 1 file (2 errors)"
    )


def test_all_problems_of_all_files_come_at_once_sorted_by_file_and_line(config) -> None:
    checked, shown = config(
        webhooks__b="id: b\nenabled: yes\ntrigger: {event: x}\n",
        webhooks__a="id: a\nrequest: {url: {{ x }}}\nx: True\n",
        labels__l="name: L\nevent: [x]\n",
    )
    places = [line.split(": ")[0] for line in shown.splitlines() if line.startswith("config/")]
    assert places == [
        "config/labels/l.yaml:2:1",
        "config/webhooks/a.yaml:1:1",
        "config/webhooks/a.yaml:2:16",
        "config/webhooks/a.yaml:3:1",
        "config/webhooks/a.yaml:3:4",
        "config/webhooks/b.yaml:1:1",
        "config/webhooks/b.yaml:2:10",
        "config/webhooks/b.yaml:3:11",
    ]
    assert shown.splitlines()[-1] == "8 problems in 3 files (7 errors, 1 warning)"
    assert checked.webhooks == []


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("payload: {}", "did you mean `request.body`?"),
        ("where: []", "it belongs under `trigger`"),
        ("timeout: 5s", "it belongs under `delivery`"),
        ("desciption: x", "did you mean `description`?"),
        ("zzz: 1", "fields: id, description, enabled"),
    ],
)
def test_an_unknown_field_is_answered_with_its_remedy(config, field: str, message: str) -> None:
    _, shown = config(webhooks__a=GOOD.format(id="a") + field)
    assert message in shown


@pytest.mark.parametrize("written", ["timeout_secs: 5s", "batch: {as_: ndjson}", "retry: {max_age_secs: 1d}"])
def test_the_name_of_an_attribute_is_no_field_of_a_file(config, written: str) -> None:
    checked, shown = config(webhooks__a=GOOD.format(id="a") + f"delivery: {{{written}}}")
    assert not checked.webhooks
    assert "error[unknown-field]" in shown
    assert "did you mean" in shown


def test_what_is_counted_keeps_within_the_users_state(config) -> None:
    _, shown = config(webhooks__a=GOOD.format(id="a") + "limit: {count: 1001, every: 0s, by: event.name}")
    assert "`count` is a whole number from 1 to 1000" in shown
    assert "`every` is longer than nothing" in shown
    assert "2 problems in 1 file" in shown


def test_wrong_types_say_what_is_wanted_and_what_was_found(config) -> None:
    _, shown = config(
        webhooks__a="id: a\nenabled: True\ntrigger: {events: [5]}\n"
        'request: {url: "https://x.example/", method: post, headers: {X-V: 2}, auth: {bearer: {}}}\n'
        "delivery: {concurrency: '64', rate: 10, batch: {as: lines}, retry: {max_attempts: 0}}\n"
        "limit: {every: never}\n"
    )
    for told in (
        '`enabled` must be true or false, not the text "True"',
        "write `true`",
        "`trigger.events[0]` must be a text, not the number 5",
        'quote it: "5"',
        '`request.method` must be `POST`, `PUT`, `PATCH`, `GET` or `DELETE`, not the text "post"',
        "did you mean `POST`?",
        "`request.headers.X-V` must be a text",
        "`request.auth.bearer` needs the field `token`",
        '`delivery.concurrency` must be a whole number, not the text "64"',
        "a rate is a number per unit of time",
        "`delivery.batch.as` must be `array` or `ndjson`",
        "`delivery.retry.max_attempts` must be 1 or more",
        "or `ever`",
    ):
        assert told in shown


def test_an_element_that_is_no_map_is_told_its_fields(config) -> None:
    _, shown = config(labels__l="name: L\nany: [5]\n", shapes__s="name: s\nrecords: [5]\n")
    assert "`any[0]` must be a map of fields, not the number 5" in shown
    assert "its fields: events, where, capture" in shown
    assert "its fields: when, event, user, link, ignore" in shown


def test_so_many_problems_are_counted_once_they_are_enough(config) -> None:
    many = "".join(f"x{n}: 1\n" for n in range(103))
    checked, shown = config(webhooks__a=GOOD.format(id="a") + many)
    assert "and 3 more problems with the fields of a webhook" in shown
    assert len(checked.findings) == 101


def test_fields_that_exclude_each_other_are_named(config) -> None:
    _, shown = config(
        webhooks__a="id: a\ntrigger: {events: x, changes: y}\nrequest: {url: 'https://x.example/', auth: "
        "{basic: {username: a, password: b}, bearer: {token: c}}}\ndelivery: {proxy: 'http://p:1'}\n",
        webhooks__b="id: b\ntrigger: {where: []}\nrequest: {url: 'https://x.example/'}\n",
    )
    assert "`events` and `changes` exclude each other" in shown
    assert "`basic` and `bearer` exclude each other" in shown
    assert "`proxy` needs `client: aiohttp`" in shown
    assert "`trigger` needs `events` or `changes`" in shown


@pytest.mark.parametrize("bad", ["a b", "ä", "x" * 65, '""', "a/b", "5"])
def test_ids_are_restricted(config, bad: str) -> None:
    _, shown = config(webhooks__a=GOOD.format(id=bad))
    assert "an id is 1 to 64 of the characters" in shown


def test_an_id_used_twice_names_the_other_file(config) -> None:
    _, shown = config(webhooks__a=GOOD.format(id="x"), webhooks__b=GOOD.format(id="x"))
    assert (
        "config/webhooks/b.yaml:1:5: error[duplicate-id]: the id `x` is already used in webhooks/a.yaml"
        in shown
    )


def test_a_base_is_merged_maps_by_key_and_lists_whole(config) -> None:
    checked, shown = config(
        webhooks___base="request: {url: 'https://x.example/', headers: {A: '1', B: '2'}}\n"
        "trigger: {events: [One, Two]}\ndelivery: {retry: {max_delay: 5s}}\n",
        webhooks__a="id: a\nextends: _base\ntrigger: {events: [Three]}\nrequest: {headers: {B: '3'}}\n",
    )
    assert shown == ""
    (webhook,) = checked.webhooks
    assert webhook.data["request"] == {"url": "https://x.example/", "headers": {"A": "1", "B": "3"}}
    assert webhook.data["trigger"] == {"events": ["Three"]}
    assert webhook.model.delivery.retry.max_delay_secs == 5.0


@pytest.mark.parametrize(("base", "own"), [("text", "{a: 1}"), ("{a: 1}", "text"), ("[1]", "{a: 1}")])
def test_what_is_no_map_in_both_is_the_webhooks_own(config, base: str, own: str) -> None:
    base = f"request: {{url: 'https://x.example/', body: {base}}}\n"
    checked, _ = config(
        webhooks___base=base,
        webhooks__a=f"id: a\nextends: _base\ntrigger: {{events: [X]}}\nrequest: {{body: {own}}}\n",
    )
    (webhook,) = checked.webhooks
    assert webhook.data["request"]["body"] == (own if own == "text" else {"a": 1})


@pytest.mark.parametrize("file", ["webhooks__a", "webhooks___base", "labels__l", "shapes__s"])
@pytest.mark.parametrize("text", ["- 1\n", "text\n", "", "null\n"])
def test_a_file_that_is_no_map_is_a_problem_of_that_file(config, file: str, text: str) -> None:
    used = GOOD.format(id="b") + ("extends: _base\n" if file == "webhooks___base" else "")
    _, shown = config(**{file: text}, webhooks__b=used)
    assert f"config/{file.replace('__', '/', 1)}.yaml:1:1: error[" in shown
    assert shown.splitlines()[-1].startswith("1 problem in 1 file (1 error")


def test_a_problem_of_a_base_is_shown_once_at_its_place_in_the_base(config) -> None:
    base = "request: {url: 'https://x.example/', methd: PUT}\n"
    one = "extends: _base\ntrigger: {events: [X]}\n"
    _, shown = config(webhooks___base=base, webhooks__a=f"id: a\n{one}", webhooks__b=f"id: b\n{one}")
    assert shown.splitlines()[0] == (
        "config/webhooks/_base.yaml:1:38: error[unknown-field]: `methd` is not a field of `request`"
    )
    assert shown.splitlines()[-1] == "1 problem in 1 file (1 error)"


def test_a_base_that_is_missing_or_nested_is_an_error(config) -> None:
    _, shown = config(
        webhooks___base="extends: _other\n",
        webhooks__a=GOOD.format(id="a") + "extends: _bse\n",
        webhooks__b=GOOD.format(id="b") + "extends: _base\n",
    )
    assert "there is no base file `webhooks/_bse.yaml`" in shown
    assert "did you mean `_base`?" in shown
    assert "config/webhooks/_base.yaml:1:1: error[nested-extends]" in shown


@pytest.mark.parametrize(
    ("base", "extends", "code"),
    [
        ("_base", "_bse", "unknown-base"),
        ("_base", "[_base]", "wrong-type"),
        ("_base", "_nested", "nested-extends"),
        ("_base", "_broken", "yaml-syntax"),
    ],
)
def test_what_a_base_would_have_said_is_not_missed_where_it_cannot_be_read(
    config, base: str, extends: str, code: str
) -> None:
    _, shown = config(
        **{f"webhooks__{base}": "trigger: {events: [X]}\nrequest: {url: 'https://x.example/'}\n"},
        **({"webhooks___nested": "extends: _base\n"} if extends == "_nested" else {}),
        **({"webhooks___broken": "request: [\n"} if extends == "_broken" else {}),
        webhooks__a=f"id: a\nextends: {extends}\n",
    )
    assert f"error[{code}]" in shown
    assert shown.splitlines()[-1] == "1 problem in 1 file (1 error)"


def test_what_a_base_has_is_taken_away_by_null(config) -> None:
    base = "trigger: {events: [X]}\nrequest: {url: 'https://x.example/'}\n"
    one = "id: {0}\nextends: _base\ntrigger: {{{1}changes: [plan]}}\n"
    checked, shown = config(
        webhooks___base=base, webhooks__a=one.format("a", ""), webhooks__b=one.format("b", "events: null, ")
    )
    assert "null takes away what the base has, such as `events: null`" in shown
    assert [webhook.model.id for webhook in checked.webhooks] == ["b"]


def test_settings_outside_requests_are_put_in_and_secrets_stay(config) -> None:
    checked, shown = config(
        webhooks__a="id: a\nvars: {n: {setting: 'n${SIZE}'}, s: 'n${SIZE}'}\ntrigger: {events: [X]}\n"
        "request: {url: 'https://${HOST}/${TOKEN}', body: '${TOKEN}'}\n"
        "delivery:\n  concurrency: ${SIZE}\n  max_pending: ${MANY:-9}\n"
    )
    assert shown == ""
    (webhook,) = checked.webhooks
    assert webhook.data["vars"] == {"n": "n7", "s": "n${SIZE}"}
    assert (webhook.model.delivery.concurrency, webhook.model.delivery.max_pending) == (7, 9)
    assert webhook.data["request"]["body"] == "${TOKEN}"


def test_a_setting_in_quotes_is_a_number_where_a_field_wants_one(config) -> None:
    checked, shown = config(
        webhooks___base="delivery: {concurrency: '${SIZE}', max_pending: '${SIZE}'}\n",
        webhooks__a="id: a\nextends: _base\ntrigger: {events: ['${SIZE}']}\nvars: {n: {setting: '${SIZE}'}}\n"
        "limit: {count: '${SIZE}', every: 1h}\nrequest: {url: 'https://x.example'}\n",
        webhooks__b="id: b\nextends: _base\ntrigger: {events: [X]}\nrequest: {url: 'https://x.example'}\n"
        "delivery: {concurrency: '5', max_pending: '1${SIZE}'}\n",
    )
    (webhook,) = checked.webhooks
    assert (webhook.model.limit.count, webhook.model.delivery.concurrency) == (7, 7)
    assert (webhook.model.trigger.events, webhook.model.vars) == (["7"], {"n": "7"})
    assert 'not the text "5"' in shown
    assert 'not the text "17"' in shown
    assert shown.splitlines()[-1] == "2 problems in 1 file (2 errors)"


def test_a_setting_that_is_not_set_is_shown_at_its_place(config) -> None:
    _, shown = config(
        webhooks__a=GOOD.format(id="a") + "vars:\n  n: 'x ${NOPE} ${'\n  m: {setting: 'is ${NOPE}'}\n"
    )
    assert "config/webhooks/a.yaml:6:20: error[missing-setting]: the variable `NOPE` is not set" in shown
    assert "config/webhooks/a.yaml:5:17: error[placeholder]: `${` is not closed by `}`" in shown


def test_unreadable_files_are_named_among_the_others(config, tmp_path: Path) -> None:
    (tmp_path / "webhooks").mkdir()
    (tmp_path / "webhooks" / "bad.yaml").write_bytes(b"id: \xff\n")
    _, shown = config(webhooks__a=GOOD.format(id="a") + "zzz: 1")
    assert "config/webhooks/bad.yaml: error[unreadable]: the file is not UTF-8: byte 0xff in line 1" in shown
    assert shown.splitlines()[-1] == "2 problems in 2 files (2 errors)"


def test_a_message_never_obeys_what_a_file_holds() -> None:
    finding = Finding("a\x1b[31m.yaml", 1, 1, "x", "bad \x1b[2J", None, False, "k: \x1b[2J", 1)
    assert "\x1b" not in render_finding(finding)


def test_carets_stand_below_wide_characters() -> None:
    finding = Finding("a.yaml", 1, 4, "x", "m", None, False, "中文: y", 2)
    lines = render_finding(finding).splitlines()
    assert lines[2] == "      | " + " " * 5 + "^^"


def test_a_long_line_is_cut_around_its_place() -> None:
    finding = Finding("a.yaml", 1, 5001, "x", "m", None, False, "x" * 5000 + "HERE" + "y" * 5000, 4)
    lines = render_finding(finding).splitlines()
    assert len(lines[1]) < 200
    assert lines[1][lines[2].index("^") :].startswith("HERE")


def test_a_misspelt_required_field_is_one_problem(config) -> None:
    _, shown = config(webhooks__a="id: a\ntriger: {events: [X]}\nrequest: {ulr: 'https://x.example/'}\n")
    assert "did you mean `trigger`?" in shown
    assert shown.splitlines()[-1] == "2 problems in 1 file (2 errors)"


def test_an_error_carries_its_findings_and_shows_each_with_its_place():
    found = Finding("a.yaml", 1, 2, "json", "unexpected end")
    error = ConfigError([found], root="config")
    assert error.findings == (found,)
    assert error.shown() == str(error)
    assert error.shown().splitlines() == [
        "config/a.yaml:1:2: error[json]: unexpected end",
        "1 problem in 1 file (1 error)",
    ]
    assert GivenError([found]).shown() == "a.yaml:1:2: error[json]: unexpected end"
    assert ConfigError("no such directory").shown() == "error: no such directory"
