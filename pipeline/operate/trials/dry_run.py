"""What a replay would send, without sending it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path

from pipeline.decode.formats import Formats
from pipeline.job.replay import Replay
from pipeline.job.trials.preview import Preview
from pipeline.job.trials.rehearse import Rehearsal
from pipeline.join.known import Known
from pipeline.model.records import Invalid
from pipeline.model.sizes import USUAL, Sizes
from pipeline.operate.offline import load_snapshot
from pipeline.operate.trials.given import EMPTY, named_shape, read_stream


def would_send(
    config: Path,
    paths: Sequence[str],
    format: str | None,
    chosen: Replay,
    sizes: Sizes = USUAL,
    written: Mapping[str, str] = EMPTY,
) -> Iterator[Preview | Invalid]:
    """Yield the requests and dead letters of recordings, and the unreadable records, in order.

    written: the paths of pipeline.yaml by the files they lead to, which have their formats. Raises UsageError
    for an unknown webhook or shape.
    """
    snapshot = load_snapshot(config, paths)
    for webhook_id in sorted(chosen.webhooks):
        snapshot.named(webhook_id)
    formats = snapshot.formats if format is None else Formats(named_shape(snapshot.formats, format))
    with nullcontext() if chosen.users_of is None else closing(Known(chosen.users_of)) as known:
        rehearsal = Rehearsal(snapshot, chosen, sizes, known)
        for record in read_stream(paths, formats, sizes, written):
            if isinstance(record, Invalid):
                yield record
                continue
            for match in rehearsal.tell(record):
                if isinstance(match, Invalid):
                    yield match
                elif match.request is None:
                    if not match.suppressed:
                        yield Preview.of(match)  # a dead letter
                else:
                    shown = Preview.of(match)
                    headers = {**shown.headers, "webhook-replay": "true"}
                    yield replace(shown, url=chosen.redirect(shown.url), headers=headers)
