"""What a tap shows of a whole job in this process: stages, filters, reasons, and how much it leaves out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from pipeline.deliver.lanes.onlookers import Trip
from pipeline.job.assembly import Job
from pipeline.job.tap.answers import checked_statuses
from pipeline.job.tap.listener import Gate, Listener
from pipeline.job.tap.seen import Seen
from pipeline.job.tap.stream import TapStream
from pipeline.job.tap.taps import MOST, Taps
from pipeline.job.tap.wanted import (
    STAGES,
    Stage,
    Wanted,
    checked_outcomes,
    checked_stages,
)
from pipeline.match.condition_text import parse_condition
from pipeline.match.conditions.nodes import Condition
from pipeline.match.labels import Labels
from pipeline.model.errors import Refused, UsageError
from pipeline.outbox.handover import Delivery, Outcome, Progress, Result
from tests.kit.machine.clock import ManualClock
from tests.kit.programs.inprocess import run_flow
from tests.kit.streams.records import NOBODY, request
from tests.kit.taps import STREAM, WEBHOOKS, job_of, tapped


def short(lines: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(line["stage"], line.get("webhook"), line.get("event") or line.get("kind")) for line in lines]


def test_each_stage_shows_what_the_accounting_counts(tmp_path: Path):
    (lines,) = tapped(job_of(tmp_path, "big", "once", "broken"), Wanted(frozenset(STAGES), rate=1000))
    by_stage = {stage: [line for line in lines if line["stage"] == stage] for stage in STAGES}
    assert [line.get("event") or line.get("kind") or "?" for line in by_stage["read"]] == [
        "update", "View", "Purchase", "Purchase", "update", "Purchase", "?", "Click", "Purchase",
    ]  # fmt: skip
    assert [line["event"] for line in by_stage["skipped"]] == ["View", "Click"]
    assert "not JSON" in by_stage["invalid"][0]["reason"]
    assert by_stage["invalid"][0]["raw"] == "no JSON"
    assert short(by_stage["unmatched"]) == [("unmatched", "big", "Purchase")] * 3
    assert short(by_stage["suppressed"]) == [("suppressed", "once", "Purchase")] * 2
    matched = [(line["webhook"], line["record"].get("id")) for line in by_stage["matched"]]
    assert sorted(matched, key=str) == sorted(
        [("big", "e4"), ("once", "e2"), ("once", None), *(("broken", n) for n in ("e2", "e3", "e4", None))],
        key=str,
    )
    assert {line["webhook"] for line in by_stage["dead"]} == {"broken"}
    assert all("nothing" in line["reason"] and line["event"] == "Purchase" for line in by_stage["dead"])


def test_why_names_the_clause_that_does_not_hold_with_what_it_saw(tmp_path: Path):
    wanted = Wanted(frozenset({"unmatched"}), webhooks=("big",), why=True)
    (lines,) = tapped(job_of(tmp_path, "all", "big"), wanted)
    # By the event alone it is known as soon as it is read, for each of a chunk.
    found = {
        line["record"].get("id"): [(one["path"], one.get("value")) for one in line["why"]] for line in lines
    }
    assert found == {
        "e2": [("event.properties.amount", 5)],
        None: [("event.properties.amount", None)],
        "e3": [("user.properties.plan", "free")],
    }
    assert {line["record"].get("id"): line.get("known") for line in lines}["e3"] == {"plan": "free"}


def test_why_says_that_repeat_waits_and_that_a_name_is_another(tmp_path: Path):
    wanted = Wanted(frozenset({"unmatched", "skipped"}), webhooks=("third",), why=True)
    stream = [STREAM[2], {**STREAM[2], "name": "purchase"}]
    (lines,) = tapped(job_of(tmp_path, "all", "third", stream=stream), wanted)
    assert [(line["stage"], line["event"], line["why"][0]["clause"]) for line in lines] == [
        ("skipped", "purchase", "events: [Purchase]"),
        ("unmatched", "Purchase", "`repeat` waits for more"),
    ]


def test_why_nobody_waits_for_an_event(tmp_path: Path):
    wanted = Wanted(frozenset({"skipped"}), why=True)
    stream = [{**STREAM[2], "name": name} for name in ("purchase", "Other")]
    (lines,) = tapped(job_of(tmp_path, "big", stream=stream), wanted)
    assert [line["why"][0]["clause"] for line in lines] == [
        "no webhook's `events` names it; one waits for `Purchase`",
        "no webhook's `events` names it",
    ]


def where(text: str) -> Condition:
    return parse_condition(text, Labels())


FILTERS: list[tuple[Wanted, set[tuple[str, str | None]]]] = [
    (Wanted(webhooks=("b*",)), {("big", "e4")}),
    (Wanted(events=("View",)), {("all", "e1")}),
    (Wanted(events=("P*", "Cl*")), {("all", n) for n in ("e2", "e3", "e4", None)} | {("big", "e4")}),
    (Wanted(user="u2"), {("all", "e1")}),
    (
        Wanted(where=where("event.properties.amount: {gte: 100}")),
        {("all", "e3"), ("all", "e4"), ("big", "e4")},
    ),
    (Wanted(where=where("user.properties.plan: pro")), {("all", "e4"), ("big", "e4")}),
    (Wanted(webhooks=("nobody",)), set()),
]
OF_LINES: list[tuple[Stage, dict[str, Any], list[str]]] = [
    ("read", {"events": ("View", "Click")}, ["View", "Click"]),
    ("read", {"user": "u4"}, ["Purchase"]),
    ("read", {"where": where("event.properties.amount: 5")}, ["Purchase"]),
    ("skipped", {"events": ("Click",), "webhooks": ("b*",)}, ["Click"]),
    ("skipped", {"webhooks": ("big",), "events": ("Purchase",)}, ["Purchase", "Purchase"]),
    ("skipped", {}, []),
    ("invalid", {"events": ("Click",)}, []),
]


def test_filters(tmp_path: Path):
    of_lines = [Wanted(frozenset({stage}), **filters) for stage, filters, _ in OF_LINES]
    found = tapped(job_of(tmp_path, "all", "big"), *[wanted for wanted, _ in FILTERS], *of_lines)
    for lines, (wanted, shown) in zip(found, FILTERS, strict=False):
        assert {(line["webhook"], line["record"].get("id")) for line in lines} == shown, wanted
    for lines, row in zip(found[len(FILTERS) :], OF_LINES, strict=True):
        assert [line["event"] for line in lines] == row[2], row


def test_a_dead_letter_passes_the_filters_of_its_event(tmp_path: Path):
    of_amount = where("event.properties.amount: {gte: 100}")
    (lines,) = tapped(job_of(tmp_path, "broken"), Wanted(frozenset({"dead"}), where=of_amount))
    assert [line["user"] for line in lines] == ["u1", "u1"]
    assert lines[0]["request"]["body"]["event"]["properties"] == {"amount": 500}


def test_payloads_are_shown_short_whole_or_not_at_all_and_what_is_too_large_is_left_out(tmp_path: Path):
    texts = ["x" * 1000, "x" * 300_000]
    stream = [{"type": "event", "name": "View", "user_id": "u", "properties": {"text": one}} for one in texts]
    wanted = [Wanted(payload="none"), Wanted(payload="short"), Wanted(payload="full")]
    none, cut, whole = tapped(job_of(tmp_path, "all", stream=stream), *wanted)
    assert not any({"record", "known", "request"} & line.keys() for line in none)
    assert cut[0]["record"]["properties"]["text"] == "x" * 200 + "… (1,000 characters)"
    assert whole[0]["record"]["properties"]["text"] == texts[0]
    assert [line[1]["record"][:15] for line in (cut, whole)] == ["left out: 300,0"] * 2


def test_a_tap_changes_nothing_of_what_is_sent(tmp_path: Path):
    of_all = parse_condition("event.name: {regex: '.*'}", Labels())
    wanted = Wanted(frozenset(STAGES), where=of_all, why=True, rate=1)
    plain, _ = run_flow(job_of(tmp_path / "a", *WEBHOOKS))

    def look(job: Job) -> None:
        job.lookout.taps.add(wanted)

    watched, _ = run_flow(job_of(tmp_path / "b", *WEBHOOKS), look=look)
    assert sorted(watched) == sorted(plain)


def test_a_tap_shows_as_much_as_its_rate_and_counts_the_rest(tmp_path: Path):
    stream = [{"type": "event", "name": "View", "user_id": f"u{n}"} for n in range(500)]
    clock = ManualClock()
    streams: list[TapStream] = []

    def look(job: Job) -> None:
        made = TapStream(job.lookout.taps, Wanted(rate=50), job.versions, 0, clock.now)
        streams.append(made)

    run_flow(job_of(tmp_path, "all", stream=stream), look=look)
    shown = [orjson.loads(line) for line in streams[0].take()]
    clock.at += 2
    counts = [orjson.loads(line) for line in streams[0].take()]
    (told,) = [one["tap"] for one in counts if "tap" in one]
    matched = [one for one in shown if one["stage"] == "matched"]
    assert len(matched) == 50
    assert told["shown"] + told["not_shown"] == 500


def test_a_gate_lets_in_so_many_in_each_tenth_of_a_second_and_more_after_a_rest():
    clock = ManualClock()
    gate = Gate(3, clock.now)

    def let_in() -> int:
        return sum([gate.lets_in() for _ in range(50)])

    assert let_in() == 30
    assert let_in() == 0
    clock.at += 0.11
    assert let_in() == 3
    clock.at += 5
    assert let_in() == 30
    assert gate.turned_away == 200 - 63


def test_what_nobody_takes_is_bounded_by_bytes():
    listener = Listener(Wanted(rate=10_000))
    for offset in range(100):
        listener.put(Seen(stage="sent", at_ms=0, request=request("w", offset, body=b"x" * 200_000)))
    assert len(listener.take()) * 200_000 < 9 << 20
    assert listener.left_out > 50
    assert listener.take() == []


def test_names_of_events_are_remembered_for_so_many_requests():
    listener = Listener(Wanted())
    for number in range(25_000):
        listener.learn(f"msg_{number}", ("E", "u", None))
    assert listener.names_of("msg_0") is None
    assert listener.names_of("msg_24999") == ("E", "u", None)
    assert listener.names_of("msg_15000") == ("E", "u", None)


def test_with_nobody_there_nothing_is_asked_of_anybody():
    looked: list[Taps | None] = []
    taps = Taps()
    taps.let_look = looked.append
    assert taps.of_lines is taps.of_story is None
    matching, sending = taps.add(Wanted(frozenset({"matched"}))), taps.add(Wanted(frozenset({"sent"})))
    assert taps.of_lines is None
    assert looked == [taps]
    taps.remove(sending)
    taps.remove(matching)
    assert looked == [taps, None]
    assert taps.of_story is None


def test_too_many_taps_are_refused():
    taps = Taps()
    for _ in range(MOST):
        taps.add(Wanted())
    with pytest.raises(Refused, match="20 taps listen"):
        taps.add(Wanted())


@pytest.mark.parametrize(
    ("check", "word", "said"),
    [
        (checked_stages, "mached", "did you mean `matched`"),
        (checked_stages, "xyz", "there are read, invalid"),
        (checked_outcomes, "delivred", "did you mean `delivered`"),
        (checked_statuses, "time-out", "did you mean `timeout`"),
        (checked_statuses, "6xx", "there are timeout"),
    ],
)
def test_a_slip_is_named(check: Any, word: str, said: str):
    with pytest.raises(UsageError, match=said):
        check([word])


@pytest.mark.parametrize(
    ("statuses", "outcomes", "answer", "passes"),
    [
        ((), set(), (200, "", "delivered"), True),
        (("5xx",), set(), (503, "", "retry"), True),
        (("5xx",), set(), (429, "", "retry"), False),
        (("429", "timeout"), set(), (0, "timeout", "retry"), True),
        (("5xx",), set(), (0, "tls", "retry"), False),
        ((), {"dead"}, (400, "", "dead"), True),
        (("4xx",), {"retry"}, (400, "", "dead"), False),
    ],
)
def test_answers_are_filtered_by_status_class_fault_and_outcome(
    statuses: tuple[str, ...], outcomes: set[str], answer: tuple[int, str, str], passes: bool
):
    wanted = Wanted(statuses=checked_statuses(statuses), outcomes=checked_outcomes(outcomes))
    assert wanted.of_answer(*answer) is passes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("evnt.properties.amount: 1", r":1:1: error\[wrong-path\](.|\n)*\^\^\^\^"),
        ("event.properties.amount: {gt: 100", r":1:26: error"),
        ("event.properties.amount: {gtee: 100}", r"did you mean"),
        ("label: nothing", "no label `nothing`"),
        ("", "empty"),
        ("[]", "empty"),
    ],
)
def test_a_condition_with_a_slip_says_where(text: str, said: str):
    with pytest.raises(UsageError, match=said):
        parse_condition(text, Labels())


def test_with_too_many_matches_the_requests_of_those_that_are_shown_are_followed():
    looked: list[Taps | None] = []
    taps = Taps()
    taps.let_look = looked.append
    listener = taps.add(Wanted(rate=10))
    listener.learn("msg_w_1", ("E", "u", None))
    results = [
        Result(Delivery(port=NOBODY, request=request("w", n), progress=Progress(), row=b"%d" % n), outcome)
        for n, outcome in enumerate([Outcome.DELIVERED] * 100 + [Outcome.RETRY] * 5 + [Outcome.PARKED])
    ]
    nothing_sent = results[-1].delivery

    def trip(delivery: Delivery) -> Trip:
        return Trip(None if delivery is nothing_sent else 0.25)

    taps.results(results, trip, 1)
    shown = [(seen.request.message_id, seen.names) for seen in listener.take() if seen.request is not None]
    assert ("msg_w_1", ("E", "u", None)) in shown
    assert {f"msg_w_{n}" for n in range(100, 105)} <= {name for name, _ in shown}
    assert len(shown) < 20
    assert listener.left_out == 105 - len(shown)


def test_a_tap_that_fails_ends_alone_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def broken(wanted: Wanted, *_: object) -> bool:
        raise ValueError("odd")

    monkeypatch.setattr(Wanted, "of_webhook", broken)
    folder = job_of(tmp_path, "all")
    streams: list[TapStream] = []

    def look(job: Job) -> None:
        streams.append(TapStream(job.lookout.taps, Wanted(webhooks=("a*",)), job.versions, 0))

    sent, _ = run_flow(folder, look=look)
    assert len(sent) == 6
    (counts,) = [orjson.loads(line) for line in streams[0].take()]
    assert counts["tap"]["failed"] == "ValueError: odd"
