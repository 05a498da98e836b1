"""The taps of one process. Without any, each step tests one attribute: per chunk, batch and turn."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Final, ParamSpec

from pipeline.compile.snapshot import Snapshot
from pipeline.compile.webhook import Webhook
from pipeline.decode.formats import Formats
from pipeline.deliver.lanes.onlookers import Trips
from pipeline.job.settings import wall_clock
from pipeline.job.story import Candidates, Chosen, Match
from pipeline.job.tap.answers import fault_of
from pipeline.job.tap.listener import Listener
from pipeline.job.tap.seen import Names, Raw, Seen, names_of, of_result
from pipeline.job.tap.wanted import Wanted
from pipeline.language.work import TooExpensive, apart
from pipeline.match.triggers import Trigger
from pipeline.model.errors import Refused
from pipeline.model.records import Event, Invalid, Origin, Record, User
from pipeline.outbox.codec import DeadLetter
from pipeline.outbox.handover import Outcome, Request, Result
from pipeline.sources.chunk import RawChunk
from pipeline.telemetry import log

_log = log.get("tap")

MOST = 20
"""Taps per process."""
NOBODY: Final = User(None, None, identified=False)
_DELIVERED: Final = Outcome.DELIVERED  # a member look-up takes 0.1 us


Given = ParamSpec("Given")


def _harmless(tell: Callable[Given, None]) -> Callable[Given, None]:
    """An error in what a step reports ends the taps at worst, never the job."""

    @wraps(tell)
    def told(*given: Given.args, **named: Given.kwargs) -> None:
        try:
            tell(*given, **named)
        except Exception as error:
            taps = given[0]
            assert isinstance(taps, Taps)  # of its methods
            taps.fail(error)

    return told


class Taps:
    """The listeners, and what each step reports to them. No method here may end the job.

    let_look: makes the engine report its results to this object from now on, or to nobody.
    """

    def __init__(self) -> None:
        self.let_look: Callable[[Taps | None], None] = lambda taps: None
        self.of_lines: tuple[Listener, ...] | None = None
        """Listeners for what is read; None: nobody."""
        self.of_story: tuple[Listener, ...] | None = None
        """Listeners for what becomes of events."""
        self._all: tuple[Listener, ...] = ()
        self._of_results: tuple[Listener, ...] = ()
        self.current: Match | None = None
        """The match whose request the worker is making: dead letters from it belong to it."""
        self._lock = threading.Lock()

    # --- who listens: called by the admin's threads

    def add(self, wanted: Wanted) -> Listener:
        """Start listening. Raises Refused where there are too many."""
        listener = Listener(wanted)
        with self._lock:
            if len(self._all) >= MOST:
                raise Refused(f"{MOST} taps listen to this job already: end one of them")
            self._set((*self._all, listener))
        return listener

    def remove(self, listener: Listener) -> None:
        """Stop listening."""
        with self._lock:
            self._set(tuple(one for one in self._all if one is not listener))

    def fail(self, error: Exception) -> None:
        """End all taps after an internal error."""
        _log.error("the taps of this job end: they failed", exc_info=error)
        with self._lock:
            for listener in self._all:
                listener.failed = f"{type(error).__name__}: {error}"[:500]
            self._set(())

    def _set(self, listeners: tuple[Listener, ...]) -> None:
        def who(*stages: str) -> tuple[Listener, ...]:
            return tuple(one for one in listeners if not one.wanted.stages.isdisjoint(stages))

        self._all = listeners
        results = who("sent")
        if results or self._of_results:
            self.let_look(self if results else None)
        self._of_results = results
        self.of_lines = who("read", "skipped", "unmatched") or None
        self.of_story = who("invalid", "unmatched", "suppressed", "matched", "sent", "dead") or None

    # --- select: what is read

    @_harmless
    def lines(
        self,
        raw: RawChunk,
        formats: Formats,
        records: Sequence[Record],
        chosen: Sequence[Chosen],
        snapshot: Snapshot,
    ) -> None:
        """Take a raw chunk, the records decoded from it, and those that go on."""
        by_line: dict[tuple[str, int], dict[int, Candidates]] | None = None
        for listener in self.of_lines or ():
            stages = listener.wanted.stages
            if "read" in stages or "skipped" in stages:
                if listener.lines.is_shut():
                    listener.lines.turned_away += len(raw.lines)
                else:
                    by_line = _by_line(chosen) if by_line is None else by_line
                    self._lines(listener, raw, formats, by_line, snapshot)
            if "unmatched" in stages:
                self._by_event(listener, records, chosen, snapshot)

    def _lines(
        self,
        listener: Listener,
        raw: RawChunk,
        formats: Formats,
        by_line: Mapping[tuple[str, int], dict[int, Candidates]],
        snapshot: Snapshot,
    ) -> None:
        read, skipped = (stage in listener.wanted.stages for stage in ("read", "skipped"))
        gate, now_ms, parts = listener.lines, wall_clock(), raw.parts
        for at, line in enumerate(raw.lines):
            if not gate.lets_in():
                gate.turned_away += len(raw.lines) - at - 1
                return
            source = raw.sources if isinstance(raw.sources, str) else raw.sources[at]
            one = Raw(
                line,
                formats.of(source, parts[at] if isinstance(parts, list) else parts),
                Origin(source, raw.offsets[at]),
                None if raw.received is None else raw.received[at],
                None if raw.headers is None else raw.headers[at],
                None if raw.keys is None else raw.keys[at],
                (raw.faults or {}).get(at),
                by_line.get((source, raw.offsets[at]), {}),
                snapshot,
            )
            if read:
                listener.put(Seen(stage="read", at_ms=now_ms, raw=one))
            if skipped:
                listener.put(Seen(stage="skipped", at_ms=now_ms, raw=one))

    def _by_event(
        self, listener: Listener, records: Sequence[Record], chosen: Sequence[Chosen], snapshot: Snapshot
    ) -> None:
        """Report the webhooks that name an event but have a failing condition on it."""
        wanted = listener.wanted
        candidates = {id(record): found for record, found in chosen}
        for event in records:
            if type(event) is not Event:
                continue
            found = candidates.get(id(event), ())
            for index in snapshot.triggers.named(event.name, event.kind):
                webhook = snapshot.webhooks[index]
                if index in found or ~index in found or not wanted.of_webhook(webhook.id):
                    continue
                if not _names(webhook.trigger, event) or not wanted.of_event(event, NOBODY):
                    continue
                if listener.worker.lets_in():
                    listener.put(Seen(stage="unmatched", at_ms=wall_clock(), webhook=webhook, event=event))

    # --- shard: what becomes of events

    def passes_over(self) -> bool:
        """Return whether nobody has room for matches now: then counting them suffices."""
        return all(
            listener.samples and not listener.wanted.webhooks and listener.worker.is_shut()
            for listener in self.of_story or ()
        )

    def passed_over(self, matches: int) -> None:
        """Count matches that nobody has examined."""
        for listener in self.of_story or ():
            listener.worker.turned_away += matches

    @_harmless
    def matched(self, match: Match, request: Request | None) -> None:
        """Take a match, and its request, if any."""
        stage = "suppressed" if match.suppressed else "matched"
        event, user, webhook = match.event, match.user, match.webhook
        for listener in self.of_story or ():
            wanted = listener.wanted
            if not wanted.of_webhook(webhook.id):
                continue
            if not (listener.worker.lets_in() if listener.samples else wanted.of_event(event, user)):
                continue
            message_id = match.message_id if request is None else request.message_id
            if wanted.message not in (None, message_id):
                continue
            listener.learn(message_id, names_of(event))
            if stage in wanted.stages and (listener.samples or listener.worker.lets_in()):
                listener.put(
                    Seen(
                        stage=stage, at_ms=wall_clock(), webhook=webhook, event=event, user=_now(user),
                        match=match, request=request,
                    )
                )  # fmt: skip

    @_harmless
    def unmatched(self, webhook: Webhook, event: Event, user: User) -> None:
        """Take a candidate that does not fire: the user's side fails, or `repeat` waits for more."""
        for listener in self.of_story or ():
            wanted = listener.wanted
            if (
                "unmatched" in wanted.stages
                and wanted.of_webhook(webhook.id)
                and wanted.of_event(event, user)
                and listener.worker.lets_in()
            ):
                listener.put(
                    Seen(stage="unmatched", at_ms=wall_clock(), webhook=webhook, event=event, user=_now(user))
                )

    @_harmless
    def invalid(self, record: Invalid) -> None:
        """Take an unreadable record."""
        for listener in self.of_story or ():
            if (
                "invalid" in listener.wanted.stages
                and not listener.wanted.asks_event
                and listener.worker.lets_in()
            ):
                listener.put(Seen(stage="invalid", at_ms=wall_clock(), invalid=record))

    @_harmless
    def dead(self, letter: DeadLetter) -> None:
        """Take a dead letter; unreadable records are reported as `invalid`."""
        for listener in self.of_story or () if letter.kind != "record" else ():
            wanted, request, progress = listener.wanted, letter.request, letter.progress
            if "dead" not in wanted.stages or not wanted.of_webhook(request.webhook_id):
                continue
            if wanted.message not in (None, request.message_id):
                continue
            if not wanted.of_answer(progress.status, fault_of(progress.excerpt), "dead"):
                continue
            if (match := self.current) is not None:
                passes = wanted.of_event(match.event, match.user)
                names: Names | None = names_of(match.event)
            else:
                names = listener.names_of(request.message_id)
                passes = names is not None or not wanted.asks_event
            if not passes:
                continue
            if listener.deaths.lets_in():
                listener.put(
                    Seen(
                        stage="dead", at_ms=letter.dead_ms, request=request, letter=letter, names=names,
                        attempt=progress.attempt, status=progress.status, outcome="dead",
                        reason=letter.reason, excerpt=progress.excerpt,
                    )
                )  # fmt: skip

    # --- engine

    def results(self, results: list[Result], trips: Trips, now_ms: int) -> None:
        """Take the results of attempts."""
        for listener in self._of_results:
            if listener.samples:
                self._sampled(listener, results, trips, now_ms)
            else:
                self._filtered(listener, results, trips, now_ms)

    def _sampled(self, listener: Listener, results: list[Result], trips: Trips, now_ms: int) -> None:
        """Follow the requests in the sample; of others show failures, and a delivery now and then."""
        names_of, of_webhook = listener.names_of, listener.wanted.of_webhook
        shut, left_out = listener.strangers.is_shut(), 0
        for result in results:
            request = result.delivery.request
            names = names_of(request.message_id)
            if names is None:
                is_good = result.outcome is _DELIVERED
                if not of_webhook(request.webhook_id):
                    continue
                if is_good and shut:
                    left_out += 1
                    continue
                if not (listener.strangers if is_good else listener.engine).lets_in():
                    continue
            trip = trips(result.delivery)
            if trip.secs is not None:  # otherwise nothing was sent: parked, or too old
                listener.put(of_result(result, trip, now_ms, names))
        listener.strangers.turned_away += left_out

    def _filtered(self, listener: Listener, results: list[Result], trips: Trips, now_ms: int) -> None:
        wanted = listener.wanted
        for result in results:
            request, progress = result.delivery.request, result.delivery.progress
            if not wanted.of_webhook(request.webhook_id) or wanted.message not in (None, request.message_id):
                continue
            if wanted.asks_answer and not wanted.of_answer(
                progress.status, fault_of(progress.excerpt), result.outcome.name.lower()
            ):
                continue
            names = listener.names_of(request.message_id)
            if names is None and wanted.asks_event:
                continue
            trip = trips(result.delivery)
            if trip.secs is not None and listener.engine.lets_in():
                listener.put(of_result(result, trip, now_ms, names))


def _by_line(chosen: Sequence[Chosen]) -> dict[tuple[str, int], dict[int, Candidates]]:
    """Return who may want the records that go on, by line and position in it."""
    found: dict[tuple[str, int], dict[int, Candidates]] = {}
    for record, candidates in chosen:
        place = record.origin
        found.setdefault((place.source, place.offset), {})[place.item] = candidates
    return found


def _now(user: User) -> User:
    """Return a copy of the user: the properties change with the next update."""
    return User(user.id, user.anonymous_id, user.identified, dict(user.properties), user.before)


def _names(trigger: Trigger, event: Event) -> bool:
    """Return whether a trigger's `events` may mean an event, including the conditions of labels."""
    with apart():
        try:
            return any(one.may_match(event, NOBODY) for one in trigger.events)
        except TooExpensive:
            return False
