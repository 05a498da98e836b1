"""What the labels of a config match among the job's recent records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from pipeline.compile.snapshot import Snapshot
from pipeline.job.story import Moment
from pipeline.job.trials.rehearse import Rehearsal
from pipeline.language.work import TooExpensive, begin
from pipeline.match.index import TriggerIndex
from pipeline.match.labels import UPDATE, Label
from pipeline.operate.unsaved.results import LabelSeen
from pipeline.operate.unsaved.trying import Samples, fresh

NAMES = 20
"""Event names listed per label, the most frequent first."""


def labelled(snapshot: Snapshot, samples: Samples) -> list[LabelSeen]:
    """Return each label with the events of the samples that it matches."""
    moments = [one for one in _moments(snapshot, samples) if one[0].kind != UPDATE]
    found: list[LabelSeen] = []
    for file in snapshot.checked.labels:
        label = snapshot.labels.get(file.model.name)
        if label is None:
            continue
        names = Counter(event.name for event, user in moments if _matches(label, (event, user)))
        found.append(
            LabelSeen(
                label.name,
                file.file,
                file.model.description or "",
                label.about_users_only,
                names.total(),
                len(moments),
                dict(names.most_common(NAMES)),
            )
        )
    return found


def _moments(snapshot: Snapshot, samples: Samples) -> Iterator[Moment]:
    """Yield the events of the samples, each with its user as known then; nothing fires."""
    bare = replace(snapshot, webhooks=(), by_id={}, triggers=TriggerIndex([]))
    rehearsal = Rehearsal(bare, known=samples.users)
    for _, records in samples.records:
        for record in records:
            for event, user, _, _ in rehearsal.moments(fresh(record)):
                yield event, user


def _matches(label: Label, moment: Moment) -> bool:
    """Return whether a label matches; False where that exceeds a webhook's budget."""
    event, user = moment
    begin(event, user)
    try:
        return any(one.matches(event, user) for one in label.alternatives)
    except TooExpensive:
        return False
