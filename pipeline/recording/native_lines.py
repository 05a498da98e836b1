"""A decoded record as one line of Hookline's own shape (pipeline/decode/builtin/native.py has its fields)."""

from __future__ import annotations

from typing import Any

import orjson

from pipeline.model.records import Event, IdentityLink, PropertyUpdate


def native_line(record: Event | PropertyUpdate | IdentityLink) -> bytes:
    """Return the JSON object that decodes to the same record, except for its origin (and an
    alias's reach).
    """
    fields: dict[str, Any]
    match record:
        case Event():
            fields = {"type": "event", "name": record.name, "kind": record.kind}
            fields |= {
                "properties": record.properties,
                "context": record.context,
                "elements": record.elements,
            }
        case PropertyUpdate(delete=True):
            fields = {"type": "user", "delete": True}
        case PropertyUpdate():
            fields = {
                "type": "user",
                "set": record.set,
                "set_once": record.set_once,
                "unset": [*record.unset],
            }
        case IdentityLink():
            link = {"anonymous_id": record.anonymous_id, "user_id": record.user_id, "time": record.time}
            return orjson.dumps({"type": "identify", **_present(link)})
    fields |= {"id": record.id, "user_id": record.user_id, "anonymous_id": record.anonymous_id}
    fields |= {"time": record.time, "received_at": record.received_at, "source": record.source}
    return orjson.dumps(_present(fields))


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value for name, value in fields.items() if value is not None and value != {} and value != []
    }
