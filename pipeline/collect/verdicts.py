"""What a job would make of a request's members: reported to the client, nothing is kept."""

from __future__ import annotations

from pipeline.collect.protocols.protocol import Cut
from pipeline.collect.request import Request
from pipeline.decode.decode import COLLECTED, decode
from pipeline.model.records import Event, IdentityLink, Invalid, Origin, PropertyUpdate, Record


def verdicts_of(cut: Cut, key: str, request: Request) -> list[dict[str, object]]:
    """Return one verdict a member: what it is read as, or why it would be a dead letter.

    Several, where a member holds several records: the place among the members is in each.
    """
    found: list[dict[str, object]] = []
    for place, member in enumerate(cut.batch(key, request).members):
        origin = Origin("collect", place)
        records = decode(
            member.value, format=COLLECTED, origin=origin, received_at=request.received_ms,
            headers=list(member.headers),
        )  # fmt: skip
        for record in records:
            found.append({"member": place, **_said(record)})
    return found


def _said(record: Record) -> dict[str, object]:
    match record:
        case Event():
            return {"reads": "event", "name": record.name, "user_id": record.user_id}
        case PropertyUpdate():
            return {"reads": "update", "user_id": record.user_id}
        case IdentityLink():
            return {"reads": "link", "user_id": record.user_id, "anonymous_id": record.anonymous_id}
        case Invalid():
            return {"reads": "invalid", "reason": record.reason}
