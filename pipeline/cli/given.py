"""What a person gives to a verb: an event, a user, a recorded stream."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson

from pipeline.decode.shapes import decode
from pipeline.language.formats import FORMATS
from pipeline.model.errors import ConfigError
from pipeline.model.records import Event, Invalid, Json, Origin, PropertyUpdate, Record

if TYPE_CHECKING:
    from pipeline.compile.snapshot import Snapshot

GIVEN = Path("-")
format_option = click.option(
    "--format", type=click.Choice(FORMATS), default="auto", show_default=True, help="Shape of the records."
)
event_option = click.option(
    "--event",
    "event_file",
    type=click.Path(path_type=Path, allow_dash=True, exists=True, dir_okay=False),
    required=True,
    help="File with the record as JSON (any shape that a source takes); - is stdin.",
)
user_option = click.option(
    "--user",
    "user_file",
    type=click.Path(path_type=Path, allow_dash=True, exists=True, dir_okay=False),
    help='File with what is known of the user: {"id": .., "properties": {..}}, or the properties alone.',
)


def load_snapshot(config: Path) -> Snapshot:
    """Return the compiled config for a verb that sends nothing: no secrets are looked up, no address refused.

    Raises ConfigError with every problem.
    """
    from dataclasses import replace

    from pipeline.compile.snapshot import compile_config
    from pipeline.config.files import read_config
    from pipeline.config.job import load_pipeline

    defaults = replace(load_pipeline(config).require().defaults, network_allow=("0.0.0.0/0", "::/0"))
    return compile_config(read_config(config, defaults=defaults), secrets=None).require()


def read_json(path: Path) -> Json:
    """Return the JSON of a file or of stdin. Raises ConfigError."""
    raw = sys.stdin.buffer.read() if path == GIVEN else path.read_bytes()
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"{path}:{error.lineno}:{error.colno}: error[json]: {error.msg}") from None


def given_records(path: Path, format: str, user_id: str | None) -> list[Record]:
    """Return the records of a file with one JSON value.

    An object without a type or other mark of a shape, but with a name, is an event in Hookline's own shape,
    of the given user (or of somebody unknown) where it names none. Raises ConfigError for what cannot be
    understood.
    """
    value = read_json(path)
    if isinstance(value, dict) and "name" in value and not value.keys() & {"type", "event", "specversion"}:
        value = {"type": "event", **value}
    is_event = isinstance(value, dict) and value.get("type") == "event"
    if is_event and not value.keys() & {"user_id", "anonymous_id"}:
        value = {**value, "anonymous_id": "someone"} if user_id is None else {**value, "user_id": user_id}
    now = time.time_ns() // 1_000_000
    records = decode(orjson.dumps(value), format=format, origin=Origin(path.name, 0), received_at=now)
    broken = [record for record in records if isinstance(record, Invalid)]
    if broken:
        raise ConfigError("\n".join(f"{path}: error[record]: {record.reason}" for record in broken))
    return records


def given_user(path: Path | None) -> tuple[str | None, str | None, dict[str, Json]]:
    """Return user id, anonymous id and properties of a user file; nothing known without one."""
    if path is None:
        return None, None, {}
    value = read_json(path)
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: error[user]: a user is a JSON object")
    if not isinstance(value.get("properties"), dict):
        return None, None, value
    user_id, anonymous_id = value.get("id", value.get("user_id")), value.get("anonymous_id")
    return (
        None if user_id is None else str(user_id),
        None if anonymous_id is None else str(anonymous_id),
        value["properties"],
    )


def known_update(records: Sequence[Record], user_file: Path | None) -> PropertyUpdate | None:
    """Return what the user file says as an update of the user whose records these are."""
    user_id, anonymous_id, properties = given_user(user_file)
    if user_id is None and anonymous_id is None:
        owner = next((one for one in records if isinstance(one, (Event, PropertyUpdate))), None)
        if owner is None:
            return None
        user_id = owner.user_id
        anonymous_id = None if user_id is not None else owner.anonymous_id
    origin = Origin("given", 0)
    return PropertyUpdate(None, user_id, anonymous_id, None, None, None, properties, {}, (), origin)


def read_stream(paths: Sequence[str], format: str = "auto") -> Iterator[Record]:
    """Yield every record of recordings, in the order in which the job would take them."""
    from pipeline.sources.files.recording import Recording

    reader = Recording(paths)
    try:
        while not reader.done:
            chunk = reader.read(1000)
            if chunk is None:
                time.sleep(0 if reader.done else 0.01)  # a pipe that has nothing to say yet
                continue
            for at, line in enumerate(chunk.lines):
                source = chunk.sources if isinstance(chunk.sources, str) else chunk.sources[at]
                origin = Origin(source, chunk.offsets[at])
                if chunk.faults and at in chunk.faults:
                    yield Invalid(line or b"", chunk.faults[at], origin)
                    continue
                yield from decode(
                    line,
                    format=format,
                    origin=origin,
                    received_at=chunk.received[at] if chunk.received else None,
                    headers=chunk.headers[at] if chunk.headers else None,
                    key=chunk.keys[at] if chunk.keys else None,
                )
    finally:
        reader.close()
