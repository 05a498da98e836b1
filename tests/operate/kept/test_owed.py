"""What is owed, as a person asks for it: what is due first, each webhook, exactly what was shown."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pipeline.model.errors import Refused, UsageError
from pipeline.operate.kept.chosen import ShownSelections
from pipeline.operate.kept.outbox import Owing, choose, to_json
from pipeline.operate.kept.owed_pages import page, summary
from pipeline.operate.kept.rows import UNTRIED
from pipeline.outbox.handover import Progress
from tests.kit.machine.kept import T0, keep

NOW = time.time_ns() // 1_000_000
LATER = NOW + 3_600_000


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return keep(
        tmp_path / "state",
        owed=[
            ("crm", 1, Progress()),
            ("crm", 2, Progress(attempt=2, due_ms=LATER, status=503, excerpt="busy")),
            ("crm", 3, Progress(attempt=1, due_ms=T0, excerpt="timeout: no answer")),
            ("mail", 4, Progress(attempt=9, due_ms=LATER - 1, status=429, excerpt="slow down")),
            ("mail", 5, Progress(attempt=1, due_ms=LATER + 1, status=429)),
        ],
    )


def numbers(state: Path, owing: Owing, **rest) -> list[int]:
    return [int(one.request.user[3:]) for one in page(state, owing, **rest).rows]


@pytest.mark.parametrize(
    ("owing", "found"),
    [
        (Owing(), [1, 3, 4, 2, 5]),
        (Owing(webhook="crm"), [1, 3, 2]),
        (Owing(due="now"), [1, 3]),
        (Owing(due="later"), [4, 2, 5]),
        (Owing(statuses=("5xx", "timeout")), [3, 2]),
        (Owing(user="u4"), [4]),
        (Owing(since=T0 + 2000, until=T0 + 4000), [4, 3]),
        (Owing(text="nothing"), []),
    ],
)
def test_what_is_selected_comes_in_the_order_in_which_it_is_due(state, owing, found):
    assert sorted(numbers(state, owing)) == sorted(found)
    dues = [one.progress.due_ms for one in page(state, owing).rows]
    assert dues == sorted(dues)
    assert len(choose(state, owing).rows) == len(found)


def test_pages_go_on_where_the_last_one_ended(tmp_path):
    dues = [(n * 37) % 50 for n in range(50)]
    state = keep(tmp_path / "state", owed=[("crm", n, Progress(due_ms=due)) for n, due in enumerate(dues)])
    found, cursor = [], None
    while True:
        part = page(state, Owing(), cursor, limit=1)
        found += [one.progress.due_ms for one in part.rows]
        cursor = part.later
        if cursor is None:
            break
    assert found == sorted(dues)
    with pytest.raises(UsageError, match="is no cursor"):
        page(state, Owing(), "00")


def test_each_webhook_says_what_is_due_since_when_and_what_was_answered(state):
    crm, mail = summary(state).webhooks
    assert (crm.webhook, crm.pending, crm.now, crm.later) == ("crm", 3, 2, 1)
    assert (crm.oldest_ms, crm.due_ms, crm.last, crm.response) == (T0, LATER, "503", "busy")
    assert (mail.now, mail.later, mail.attempts, mail.last, mail.due_ms) == (0, 2, 9, "429", LATER - 1)


def test_where_time_is_up_no_webhook_is_hidden_by_another(tmp_path):
    many = [("crm", n, Progress()) for n in range(900)]
    state = keep(tmp_path / "state", owed=[*many, ("mail", 901, Progress())])
    found = summary(state, secs=0)
    assert not found.is_complete
    assert [(one.webhook, one.pending, one.now) for one in found.webhooks] == [
        ("crm", 900, 256),
        ("mail", 1, 1),
    ]
    assert not page(state, Owing(), secs=0).is_complete
    with pytest.raises(Refused, match="narrow the selection by webhook"):
        choose(state, Owing(), secs=0)


def test_what_comes_after_it_was_shown_is_not_given_up_with_it(state):
    shown = ShownSelections()
    first = choose(state, Owing(webhook="crm"))
    digest = shown.show(first)
    assert first.counts == {("crm", UNTRIED): 1, ("crm", "503"): 1, ("crm", "timeout"): 1}
    keep(state, owed=[("crm", 50, Progress())])
    now = choose(state, Owing(webhook="crm"))
    assert sorted(shown.exactly(now, digest).rows) == sorted(first.rows) != sorted(now.rows)


def test_a_row_shows_no_secret(state):
    (row,) = page(state, Owing(user="u4")).rows
    assert to_json(row)["request"]["url"] == "https://example.com/${TOKEN}"


def test_of_many_webhooks_those_are_looked_at_that_owe_most(tmp_path: Path):
    owed = [(f"w{n}", 100 * n + each, Progress()) for n in range(5) for each in range(n + 1)]
    found = summary(keep(tmp_path / "state", (), owed), most=2)
    assert [(one.webhook, one.pending) for one in found.webhooks] == [("w4", 5), ("w3", 4)]
    assert found.others == 3
    assert summary(tmp_path / "state", most=5).others == 0
