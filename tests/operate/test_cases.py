from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from pipeline.cli.author.test import as_junit, as_text
from pipeline.decode.formats import Formats
from pipeline.model.errors import GivenError
from pipeline.operate.trials.cases import CaseResult, find_tests, run_tests
from pipeline.operate.trials.given import Text, understand

WEBHOOK = """\
id: a
trigger: {events: [Purchase], where: {event.properties.amount: {gte: 500}}}
request:
  url: https://${HOST}/${TOKEN}
  headers: {X-A: "1"}
  body: {n: "{{ event.properties.amount }}", l: [1, {a: b}]}
"""
CASE = """\
settings: {HOST: x.example}
cases:
  - name: it holds
    users: [{id: u1}]
    events: [{name: Purchase, properties: {amount: 600}}]
"""


@pytest.fixture
def run(tmp_path: Path):
    def write(test: str, webhook: str = WEBHOOK, **more: str) -> list[CaseResult]:
        folder = tmp_path / "webhooks"
        folder.mkdir(exist_ok=True)
        (folder / "a.yaml").write_text(webhook)
        (folder / "a.test.yaml").write_text(test)
        for name, text in more.items():
            (folder / f"{name}.yaml").write_text(text)
        return run_tests(tmp_path, environ={})

    return write


@pytest.mark.parametrize(
    "expect",
    [
        "    expect: {url: 'https://x.example/${TOKEN}', method: POST, headers: {x-a: '1'}, body: {n: 600}}",
        "    expect: [{body: {l: [1, {}]}}]",
        "    expect: {body: {n: 600, l: [1, {a: b}]}}\n    exact: true",
        "    expect: [{}]",
    ],
)
def test_what_is_given_is_compared_and_the_rest_is_left_alone(run, expect: str) -> None:
    (result,) = run(CASE + expect)
    assert result.passed, result.failures


@pytest.mark.parametrize(
    ("expect", "failure"),
    [
        (
            "expect: none",
            'request 1 was not expected:\n  POST https://x.example/${TOKEN} {"n":600,"l":[1,{"a":"b"}]}',
        ),
        ("expect: [{}, {}]", "request 2 was expected and not made"),
        ("expect: {body: {n: 601}}", "request 1:\n  body.n\n    - 601\n    + 600"),
        ("expect: {body: {n: '600'}}", 'request 1:\n  body.n\n    - "600"\n    + 600'),
        ("expect: {body: {m: 1}}", "request 1:\n  body.m\n    - 1\n    + (absent)"),
        ("expect: {body: {l: [1]}}", "body.l: 1 elements expected, 2 found"),
        ("expect: {body: {n: 600}}\n    exact: true", 'body.l\n    + [1, {"a": "b"}]'),
        ("expect: {headers: {X-B: '2'}}", 'headers.X-B\n    - "2"\n    + (absent)'),
        ("expect: {method: PUT}", 'method\n    - "PUT"\n    + "POST"'),
        ("expect: {dead_letter: x}", "expected a dead letter: x"),
    ],
)
def test_a_difference_is_shown_with_both_sides(run, expect: str, failure: str) -> None:
    (result,) = run(f"{CASE}    {expect}")
    assert failure in "\n".join(result.failures)
    assert f"FAILED webhooks/a.test.yaml:3: it holds\n  {result.failures[0].splitlines()[0]}" in as_text(
        [result]
    )


@pytest.mark.parametrize(
    ("limit", "event", "why"),
    [
        ("", "{name: Purchase}", '"gte":500}` does not hold, event.properties.amount is missing'),
        ("", "{name: Purchas}", '`events: [Purchase]` does not hold, event.name is "Purchas"'),
        ("limit: {count: 1, every: 1h}\n", "{name: Purchase, properties: {amount: 600}}", "`limit` or"),
    ],
)
def test_a_request_that_is_not_made_says_which_clause_of_what_event(
    run, limit: str, event: str, why: str
) -> None:
    test = CASE.replace("amount: 600}}]", f"amount: 600}}}}, {event}]")
    (result,) = run(test + "    expect: [{}, {}]", WEBHOOK + limit)
    (failure,) = result.failures
    assert failure.startswith("request 2 was expected and not made\n  event ")
    assert why in failure


@pytest.mark.parametrize(
    ("written", "instead", "why"),
    [
        ("id: a", "id: a\nenabled: false", "the webhook is disabled"),
        ("where:", "repeat: {count: 3, within: 1h}, where:", "`repeat` waits for more"),
    ],
)
def test_what_is_not_a_clause_that_fails_is_said_in_its_own_words(
    run, written: str, instead: str, why: str
) -> None:
    (result,) = run(CASE + "    expect: [{}]", WEBHOOK.replace(written, instead))
    assert result.failures == [f"request 1 was expected and not made\n  event 1: {why}"]


def test_true_is_not_one_and_three_is_three_point_zero(run) -> None:
    webhook = WEBHOOK.replace("l: [1, {a: b}]", "t: true, f: 3.0")
    (result,) = run(CASE + "    expect: {body: {t: 1, f: 3}}", webhook)
    assert result.failures == ["request 1:\n  body.t\n    - 1\n    + true"]


def test_a_dead_letter_can_be_expected_by_its_reason(run) -> None:
    webhook = WEBHOOK.replace("event.properties.amount }}", "user.properties.email | require }}")
    (result,) = run(CASE + "    expect: {dead_letter: required value is missing}", webhook)
    assert result.passed, result.failures
    (result,) = run(CASE + "    expect: {dead_letter: something else}", webhook)
    assert "the dead letter's reason" in result.failures[0]
    (result,) = run(CASE + "    expect: {body: {}}", webhook)
    assert "it becomes a dead letter" in result.failures[0]


def test_properties_change_and_ids_link_between_events(run) -> None:
    webhook = (
        "id: a\ntrigger: {events: [Go]}\n"
        "request:\n"
        "  url: https://x.example/\n"
        "  body: {id: '{{ user.id }}', seen: '{{ user.properties.seen }}'}\n"
    )
    (result,) = run(
        "cases:\n  - name: linked\n    events:\n"
        "      - {type: user, anonymous_id: a1, set: {seen: 1}}\n"
        "      - {name: Go, anonymous_id: a1}\n"
        "      - {type: identify, anonymous_id: a1, user_id: u1}\n"
        "      - {name: Go, user_id: u1}\n"
        "      - {name: Go, anonymous_id: a1}\n"
        "    expect:\n"
        "      - body: {id: null, seen: 1}\n"
        "      - body: {id: u1, seen: 1}\n"
        "      - body: {id: u1, seen: 1}\n",
        webhook,
    )
    assert result.passed, result.failures


@pytest.mark.parametrize("user", ["id: u1", "anonymous_id: a1"])
def test_the_only_users_id_may_be_left_out(run, user: str) -> None:
    webhook = WEBHOOK.replace("l: [1, {a: b}]", 'id: "{{ user.id }}", anonymous: "{{ user.anonymous_id }}"')
    test = CASE.replace("id: u1", f"{user}, properties: {{plan: pro}}")
    wanted = {"id: u1": "{id: u1, anonymous: null}", "anonymous_id: a1": "{id: null, anonymous: a1}"}
    (result,) = run(f"{test}    expect: {{body: {wanted[user]}}}\n", webhook)
    assert result.passed, result.failures


def test_an_event_that_no_source_would_accept_fails_the_test(run) -> None:
    (result,) = run(CASE.replace("name: Purchase", "name: 5") + "    expect: none")
    assert result.failures[0].startswith("event 1 is invalid: ")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            "{name: Purchase, amount: 99}",
            "`amount` is no field of an event: its properties go under `properties`",
        ),
        (
            "{name: Purchase, timestamp: 2026-01-01}",
            "`timestamp` is no field of an event: did you mean `time`?",
        ),
        ("{type: user, plan: pro}", "`plan` is no field of a user: its properties go under `set`"),
    ],
)
def test_a_field_that_no_record_has_fails_the_test_also_where_nothing_is_expected(
    run, given: str, told: str
) -> None:
    (result,) = run(CASE.replace("{name: Purchase, properties: {amount: 600}}", given) + "    expect: none")
    assert result.failures == [f"event 1 is invalid: {told}"]


def test_a_hand_written_event_has_its_properties_in_their_place() -> None:
    with pytest.raises(GivenError, match="`amount` is no field of an event"):
        understand(Text("event.json", b'{"name": "A", "amount": 5}'), None, Formats())


def test_other_shapes_of_events_can_be_tested(run) -> None:
    (result,) = run(
        "settings: {HOST: x.example}\nformat: auto\ncases:\n  - name: segment\n"
        "    events: [{type: track, userId: u1, event: Purchase, properties: {amount: 700}}]\n"
        "    expect: {body: {n: 700}}\n"
    )
    assert result.passed, result.failures


def test_a_broken_test_file_is_one_failure_with_its_place(run) -> None:
    (result,) = run("cases:\n  - nme: x\n    events: [{}]\n    expect: none\n")
    assert not result.passed
    assert (
        "webhooks/a.test.yaml:2:5: error[unknown-field]: `nme` is not a field of `cases[0]`"
        in result.failures[0]
    )


def test_a_broken_webhook_is_one_failure_with_its_place(run) -> None:
    (result,) = run(CASE + "    expect: none", WEBHOOK + "zzz: 1\n", b="broken: [")
    assert "webhooks/a.yaml:7:1: error[unknown-field]" in result.failures[0]
    assert "webhooks/b.yaml" not in result.failures[0]


def test_a_test_without_its_webhook_says_so(run, tmp_path: Path) -> None:
    run(CASE + "    expect: none")
    (tmp_path / "webhooks" / "a.yaml").unlink()
    (result,) = run_tests(tmp_path, environ={})
    assert result.failures == ["there is no webhook `a.yaml` beside the test"]


def test_tests_are_found_below_the_config_directory(run, tmp_path: Path) -> None:
    run(CASE + "    expect: none")
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "x.test.yml").touch()
    assert [path.name for path in find_tests(tmp_path)] == ["x.test.yml", "a.test.yaml"]


def test_junit_holds_every_result_whatever_its_text(run) -> None:
    results = run(CASE + '    expect: {body: {n: "<&\\u0007\'\\""}}\n')
    results.append(CaseResult("b.test.yaml", 'a "good" <one>', 7))
    suite = ElementTree.fromstring(as_junit(results))[0]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    failed, passed = suite
    assert failed.find("failure") is not None
    assert passed.get("name") == 'a "good" <one>'
    assert passed.find("failure") is None


def test_the_closing_line_counts(run) -> None:
    results = run(
        CASE + "    expect: none\n  - name: two\n    events: [{name: X, user_id: u}]\n    expect: none\n"
    )
    assert as_text(results).splitlines()[-1] == "1 passed, 1 failed in 1 file"


def test_an_event_of_nobody_says_where_to_name_a_user(run) -> None:
    (result,) = run(CASE.replace("    users: [{id: u1}]\n", "") + "    expect: none\n")
    assert result.failures[0].endswith("nor `anonymous_id`: name a user under `users`, or in the event")


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("tests: []", "did you mean `cases`?"),
        ("cases: [{title: x}]", "did you mean `name`?"),
        ("cases: [{given: []}]", "did you mean `events`?"),
        ("cases: [{then: []}]", "did you mean `expect`?"),
        ("cases: [{users: [{traits: {}}]}]", "did you mean `properties`?"),
    ],
)
def test_words_of_other_products_are_told_ours(run, wrong: str, hint: str) -> None:
    (result,) = run(wrong + "\n")
    assert hint in "".join(result.failures)
