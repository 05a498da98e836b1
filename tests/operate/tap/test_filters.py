"""The filters of a tap: the same as a console's query, as flags, and for the job."""

from __future__ import annotations

import shlex
from urllib.parse import parse_qs, urlencode

import pytest
from click.testing import CliRunner

from pipeline.cli.watch.tap import tap
from pipeline.model.errors import UsageError
from pipeline.operate.tap.filters import NAMES, Filters, redacted
from tests.kit.programs.run import Bench

FILTERS = [
    Filters(),
    Filters(stages=("read", "skipped"), webhooks=("crm-*", "a b"), events=("Big, Purchase",), rate=7),
    Filters(stages=("sent", "dead"), statuses=("5xx", "timeout"), outcomes=("retry",), payload="none"),
    Filters(stages=("unmatched",), why=True, where="event.name: {in: [A]}", user="u'1", payload="full"),
    Filters(stages=("unmatched",), message="msg_1", where='user.properties.x: "ä&="'),
]


@pytest.mark.parametrize("filters", FILTERS)
def test_a_query_says_the_same(filters: Filters):
    assert Filters.of_query(parse_qs(urlencode(filters.query()))) == filters


@pytest.mark.parametrize("filters", FILTERS)
def test_the_command_means_the_same(filters: Filters, bench: Bench, monkeypatch: pytest.MonkeyPatch):
    asked: list[dict[str, object]] = []

    class Seen:
        def __init__(self, state: object, arguments: dict[str, object], *, reconnect: bool) -> None:
            asked.append(arguments)

        def __iter__(self):
            return iter(())

    monkeypatch.setattr("pipeline.operate.tap.follow.Followed", Seen)
    words = shlex.split(filters.command())[2:]
    result = CliRunner().invoke(tap, [*words, "--state", str(bench.state)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert asked == [filters.arguments()]


def test_a_query_may_name_everything_that_the_job_takes():
    assert len(NAMES) == len(Filters().arguments())


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("stages=sent", "there is no filter `stages`: did you mean `stage`?"),
        ("rate=fast", "`rate` is a number of lines a second, not 'fast'"),
        ("payload=all", "`payload` is none, short or full, not 'all'"),
    ],
)
def test_what_there_is_not_is_refused(query: str, said: str):
    with pytest.raises(UsageError, match=said.replace("?", r"\?")):
        Filters.of_query(parse_qs(query))


def test_empty_fields_of_a_form_filter_nothing():
    assert Filters.of_query(parse_qs("webhook=&event=&user=&where=+&status=&rate=&why=", True)) == Filters()


def test_who_sees_no_payload_cannot_ask_about_it_either():
    assert Filters(webhooks=("a",)).without_payload().payload == "none"
    for name in ("user", "where"):
        with pytest.raises(UsageError, match=f"`{name}`: your role may not ask"):
            Filters(**{name: "x"}).without_payload()  # type: ignore[arg-type]  # by name


def test_a_line_for_them_says_what_happened_and_to_nobody():
    clause = {"clause": "user.plan: pro", "path": "user.plan", "holds": False, "depth": 0, "value": "free"}
    line = {
        "stage": "sent", "at": "t", "webhook": "w", "user": "u1", "response": "no, u1", "status": 503,
        "record": {"name": "E"}, "known": {"plan": "free"}, "before": {}, "request": {}, "raw": "u1",
        "why": [clause],
    }  # fmt: skip
    assert redacted(line, "•••") == {
        "stage": "sent", "at": "t", "webhook": "w", "user": "•••", "response": "•••", "status": 503,
        "why": [clause | {"value": "•••"}],
    }  # fmt: skip
