"""What a replay would send, without sending it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.decode.formats import Formats
from pipeline.job.preview import Preview
from pipeline.job.rehearse import Rehearsal
from pipeline.job.replay import Replay
from pipeline.model.records import Invalid
from pipeline.model.sizes import USUAL, Sizes
from pipeline.operate.trials.given import load_snapshot, named_shape, read_stream


def would_send(
    config: Path, paths: Sequence[str], format: str | None, chosen: Replay, sizes: Sizes = USUAL
) -> Iterator[Preview | Invalid]:
    """Yield the requests of recordings, and the records that cannot be read, in stream order.

    Raises UsageError for an unknown webhook or shape.
    """
    snapshot = load_snapshot(config)
    for webhook_id in sorted(chosen.webhooks):
        snapshot.named(webhook_id)
    formats = snapshot.formats if format is None else Formats(named_shape(snapshot.formats, format))
    rehearsal = Rehearsal(snapshot, chosen, sizes)
    for record in read_stream(paths, formats, sizes):
        if isinstance(record, Invalid):
            yield record
            continue
        for match in rehearsal.tell(record):
            if isinstance(match, Invalid):
                yield match
            elif match.request is not None:
                shown = Preview.of(match)
                headers = {**shown.headers, "webhook-replay": "true"}
                yield replace(shown, url=chosen.redirect(shown.url), headers=headers)
