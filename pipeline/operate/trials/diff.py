"""What another config would have sent for a recorded stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.decode.formats import Formats
from pipeline.job.trials.preview import Preview
from pipeline.job.trials.rehearse import Rehearsal
from pipeline.model.json import Value
from pipeline.model.records import Invalid
from pipeline.operate.offline import load_snapshot
from pipeline.operate.trials.given import named_shape, read_stream

KINDS = ("same", "appear", "vanish", "change")


@dataclass(slots=True)
class Difference:
    """The differences of one webhook, and the first of each kind: (old, new), None where there is none."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    samples: dict[str, list[tuple[Preview | None, Preview | None]]] = field(default_factory=dict)

    @property
    def differs(self) -> bool:
        """Whether anything is not the same."""
        return any(number for kind, number in self.counts.items() if kind != "same")

    def to_json(self) -> dict[str, Value]:
        """Return the counts and the samples."""
        samples = {
            kind: [{"old": old and old.to_json(), "new": new and new.to_json()} for old, new in kept]
            for kind, kept in self.samples.items()
        }
        return {**self.counts, "samples": samples}


def diff(
    old: Path,
    new: Path,
    streams: Sequence[str],
    samples: int = 3,
    format: str | None = None,
    unread: Callable[[Invalid], object] = lambda record: None,
) -> dict[str, Difference]:
    """Return the differences per webhook, in the order of the two configs; samples: how many of each kind.

    The stream is read as the new config says, or by the shape of this name. unread: called with unreadable
    records.
    """
    snapshots = load_snapshot(old), load_snapshot(new)
    runs = Rehearsal(snapshots[0]), Rehearsal(snapshots[1])
    formats = snapshots[1].formats if format is None else Formats(named_shape(snapshots[1].formats, format))
    found = {webhook.id: Difference() for snapshot in snapshots for webhook in snapshot.webhooks}
    for record in read_stream(streams, formats):
        if isinstance(record, Invalid):
            unread(record)
            continue
        before, after = (
            {(match.webhook.id, match.message_id): Preview.of(match) for match in run.rehearse(record)}
            for run in runs
        )
        for key in dict.fromkeys([*before, *after]):
            was, now = before.get(key), after.get(key)
            kind = _kind(was, now)
            one = found[key[0]]
            one.counts[kind] += 1
            if kind != "same" and one.counts[kind] <= samples:
                one.samples.setdefault(kind, []).append((was, now))
    return found


def _kind(was: Preview | None, now: Preview | None) -> str:
    if was is None:
        return "appear"
    if now is None:
        return "vanish"
    return "same" if was == now else "change"
