"""`NAME.test.yaml` beside a custom shape: lines in, records out."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.operate.trials.cases import run_tests

SHOP = """
name: shop
records:
- event: {name: type, user_id: [uid, message.key], time: {path: ts, unit: s}, properties: payload}
- when: [{ping: true}]
  ignore: true
"""
GOOD = """
lines:
  - {type: A, uid: 7, ts: 1795435200, payload: {a: {b: 1, c: 2}}}
  - '{"type":"B","uid":"u","payload":{}}'
  - {ping: true}
  - {hookline: 1, source: t/0, offset: 5, key: u9, value: {type: C}}
  - {odd: 1}
  - not json
expect:
  - {type: event, name: A, user_id: 7, time: "2026-11-23T12:00:00Z", properties: {a: {b: 1}}}
  - {type: event, name: B}
  - {type: event, name: C, user_id: u9}
  - {dead_letter: "the event has no `name`"}
  - {dead_letter: not JSON}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "webhooks").mkdir()
    (tmp_path / "shapes").mkdir()
    (tmp_path / "shapes" / "shop.yaml").write_text(SHOP)
    return tmp_path


def results(folder: Path, text: str, name: str = "shop") -> list[tuple[str, str]]:
    (folder / "shapes" / f"{name}.test.yaml").write_text(text)
    return [(one.name, "\n".join(one.failures)) for one in run_tests(folder)]


def test_lines_give_the_records_that_are_expected(folder: Path) -> None:
    assert results(folder, GOOD) == [("the lines give these records", "")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "lines: [{type: A, uid: 1}]\nexpect: [{type: event, name: B}]",
            'record 1:\n  record.name\n    - "B"',
        ),
        ("lines: [{type: A, uid: 1}]\nexpect: []", "record 1 was not expected"),
        (
            "lines: [{ping: true}]\nexpect: [{type: event, name: A, user_id: u}]",
            "record 1 was expected and is not there",
        ),
        ("lines: [{type: A, uid: 1}]\nexpect: [{dead_letter: x}]", "expected a dead letter: x"),
        ("lines: [{odd: 1}]\nexpect: [{dead_letter: x}]", "the dead letter's reason"),
        (
            "lines: [{type: A, uid: 1}]\nexpect: [{type: evnt, name: A, user_id: 1}]",
            "no record in Hookline's own form",
        ),
        (
            "exact: true\nlines: [{type: A, uid: 1, payload: {a: 1}}]\n"
            "expect: [{type: event, name: A, user_id: 1}]",
            "properties",
        ),
        ("line: [{}]", "did you mean `lines`?"),
        ("lines: [{}]", "has `lines` and `expect`"),
    ],
)
def test_what_is_not_as_expected_is_shown(folder: Path, text: str, told: str) -> None:
    ((_, failures),) = results(folder, text)
    assert told in failures, failures


def test_several_cases_have_their_names_and_a_shape_must_be_beside_them(folder: Path) -> None:
    text = "cases: [{name: one, lines: [{ping: true}], expect: []}, {name: two, lines: [{}], expect: []}]"
    first, second = results(folder, text)
    assert first == ("one", "")
    assert second[0] == "two"
    assert "was not expected" in second[1]
    (folder / "shapes" / "shop.test.yaml").unlink()
    ((_, failures),) = results(folder, text, "other")
    assert "there is no shape `other.yaml` beside the test" in failures
