"""What would happen to a dead letter today: whether the present config wants it, and what it would send."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import orjson

from pipeline.model.errors import ConfigError, HooklineError
from pipeline.model.json import Value
from pipeline.model.sizes import KEPT_BYTES
from pipeline.operate.kept.dead_records import records
from pipeline.operate.running.looks import samples
from pipeline.operate.unsaved.results import Previewed, WebhookVerdict
from pipeline.operate.unsaved.workbench import Workbench
from pipeline.outbox.codec import DeadLetter
from pipeline.outbox.seen import event_and_user
from pipeline.recording.native_lines import native_line


@dataclass(slots=True, frozen=True)
class Today:
    """What the present config makes of a dead letter."""

    words: str
    """One sentence."""
    good: bool
    """True: replaying it, or reading it again, would achieve something."""
    previewed: Previewed | None = None
    """Where its event is available: every clause, and the request."""
    verdicts: tuple[WebhookVerdict, ...] = ()
    """For a record that can be read now: what each webhook makes of it."""

    def to_json(self) -> dict[str, Value]:
        """Return the sentence and what it is based on."""
        return {
            "words": self.words,
            "good": self.good,
            "preview": None if self.previewed is None else self.previewed.to_json(),
            "webhooks": [one.to_json() for one in self.verdicts],
        }


def today(bench: Workbench, state: Path, letter: DeadLetter) -> Today:
    """Return what the config on disk makes of a dead letter now. Nothing is sent, nothing is changed."""
    if letter.kind == "record":
        return _of_record(bench, state, letter)
    webhook = letter.request.webhook_id
    try:
        file = bench.file_of(webhook)
        text = bench.read(file).text
    except ConfigError as error:
        return Today(f"Its webhook is in no file any more: {error}", good=letter.kind == "delivery")
    if letter.kind == "delivery":
        return _of_delivery(bench, state, letter, file, text)
    event, user = event_and_user(letter)
    record = native_line(event).decode("utf-8", "replace")
    seen = bench.preview(file, text, record, orjson.dumps(user.properties).decode())
    return _judged(seen, "Sent again, it is rendered anew with what the template saw then")


def _judged(seen: Previewed, again: str) -> Today:
    if seen.checked.errors:
        return Today("Its webhook's file has errors now", good=False, previewed=seen)
    if seen.problem is not None:
        return Today(f"It cannot be tried: {seen.problem}", good=False)
    if seen.dead_letter is not None:
        return Today(f"It still cannot be rendered: {seen.dead_letter}", good=False, previewed=seen)
    if not seen.fires:
        return Today(f"Today it {seen.verdict}", good=False, previewed=seen)
    return Today(f"Today it fires and can be rendered. {again}", good=True, previewed=seen)


def _of_delivery(bench: Workbench, state: Path, letter: DeadLetter, file: str, text: str) -> Today:
    """The event of a rendered request is not kept; it is only available if the job has sampled it."""
    again = "Sent again, it is the request below as it was, with its webhook-id"
    try:
        origin = str(letter.origin._replace(item=0))
        found = next((one for one in samples(state) if one.origin == origin), None)
    except HooklineError:
        found = None
    if found is not None and letter.origin.item < len(found.records):
        record = orjson.dumps(found.records[letter.origin.item]).decode()
        return _judged(bench.preview(file, text, record), again)
    words = f"{again}. Its event is not kept, so whether it would match today is not known"
    if not bench.check(file, text).enabled:
        words = f"Its webhook is off in its file. {words}"
    return Today(words, good=True)


def _of_record(bench: Workbench, state: Path, letter: DeadLetter) -> Today:
    (line,) = records([letter], state)  # its key, its headers and its topic tell how it is read
    told = bench.explain(line.decode())
    if told.problem is not None and len(letter.request.body) == KEPT_BYTES:
        kept = f"Only its first {KEPT_BYTES >> 10} KiB were kept"
        return Today(f"{kept}, so it cannot be read again: its source has all of it", good=False)
    if told.problem is not None:
        return Today(f"It still cannot be read: {told.problem}", good=False)
    fires = sum(one.fires for one in told.verdicts)
    return Today(
        f"It can be read now, and {fires:,} webhook{'s' * (fires != 1)} would fire: `hookline dlq export "
        "--records -o dead.rec.jsonl`, then `hookline replay dead.rec.jsonl`",
        good=True,
        verdicts=told.verdicts,
    )
