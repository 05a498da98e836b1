"""The schemas that are known: in memory, and as files that outlive the process and travel with recordings.

    STATE/schemas/3f2a9c.../7.json      {"version":1,"registry":"http://registry:8081","id":"7",
                                         "type":"AVRO","schema":"{..}","references":["{..}"],"crc":..}
    OUT/schemas/...                     the same beside what `hookline record` writes

The folder is named after the registry: ids count per registry. Ids never change their schema, so a file is
never asked for again; that an id is unknown is a file too (``"unknown"``), which is believed for a while.
Decoding reads what is here and waits for nobody (sources/schemas fetches what is missing).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final, TypeAlias
from zlib import crc32

import msgspec

from pipeline.decode.raw import strict
from pipeline.model.errors import InvalidRecord
from pipeline.model.files.disk import make_folder, replace_durably
from pipeline.model.json import Json

FOLDER: Final = "schemas"
"""Below a state directory, and beside a recording."""
UNKNOWN_SECS: Final = 300.0
"""So long it is believed that an id is unknown: a crash and the start after it see the same."""

PRUNED_EVERY: Final = 1_000
"""Unknown ids that are written down between two removals of those that are believed no longer."""

MOST_KNOWN: Final = 10_000
"""So many are in memory: whoever may write to a topic may name any number of ids."""

Read: TypeAlias = Callable[[bytes], Json]


@dataclass(slots=True, frozen=True)
class Registry:
    """Where the schemas of a format are, and how to ask. Texts may hold placeholders."""

    url: str
    username: str | None = None
    password: str | None = None
    token: str | None = None
    ca: str | None = None


class Stored(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One file."""

    version: int
    registry: str
    id: str
    type: str = "AVRO"
    schema: str = ""
    references: list[str] = []
    """Schemas that this one names, before those that name them."""
    unknown: str = ""
    """What the registry said of an id that it does not have."""
    at: float = 0.0
    """When it said so (unix seconds)."""
    crc: int = 0
    """Of all the others: a damaged file is no schema."""


@dataclass(slots=True, frozen=True)
class Schema:
    """What reads records of one schema."""

    read: Read
    until: float | None = None
    """When it is to be asked for again (unix seconds)."""


def _nobody_fetches(registry: Registry, id: str) -> None:
    """Where no job reads, what is missing stays missing."""


class Schemas:
    """All schemas that this process knows."""

    def __init__(self) -> None:
        self._folders: list[Path] = []
        self._beside: list[Path] = []
        self._known: dict[tuple[str, str], Schema] = {}
        self._unknown = 0
        self.want: Callable[[Registry, str], None] = _nobody_fetches
        """Has a schema fetched, which is not waited for."""

    def look_in(self, *folders: Path) -> None:
        """Read schemas from these folders, too."""
        self._folders += [one for one in folders if one not in self._folders]

    def look_beside(self, *recordings: Path) -> None:
        """Read schemas from what `hookline record` has put beside these files and folders, too."""
        for path in recordings:
            self._beside += [
                folder
                for above in (path, *list(path.absolute().parents)[:2])
                if (folder := above / FOLDER) not in self._beside and folder.is_dir()
            ]

    def forget(self) -> None:
        """Know nothing any more."""
        self._folders.clear()
        self._beside.clear()
        self._known.clear()
        self.want = _nobody_fetches

    def read(self, registry: str, id: str, payload: bytes) -> Json:
        """Return the value of a record. Raises InvalidRecord."""
        schema = self._known.get((registry, id)) or self._load(registry, id)
        if schema is None:
            raise InvalidRecord(
                f"schema {id} of {registry} is not here: it is fetched by the job that reads the topics "
                f"(and kept below its state directory, in {FOLDER}/), and copied by `hookline record`"
            )
        try:
            return schema.read(payload)
        except InvalidRecord as error:
            raise InvalidRecord(f"schema {id} of {registry}: {error}") from None

    def has(self, registry: str, id: str) -> bool:
        """Return whether records of a schema can be read, or are known to be unreadable."""
        schema = self._known.get((registry, id)) or self._load(registry, id)
        # One that is believed for longer was found unknown under another clock.
        return schema is not None and (
            schema.until is None or 0.0 < schema.until - time.time() <= UNKNOWN_SECS
        )

    def keep(self, folder: Path, stored: Stored) -> None:
        """Write a schema down; it is on disk when this returns. Raises OSError."""
        path = _path(folder, stored.registry, stored.id)
        make_folder(path.parent)
        if stored.unknown:
            if self._unknown % PRUNED_EVERY == 0:
                _prune(path.parent)
            self._unknown += 1
        replace_durably(path, msgspec.json.encode(msgspec.structs.replace(stored, crc=_crc(stored))))

    def learn(self, stored: Stored, registry: str | None = None) -> None:
        """Know a schema from now on. registry: its name here, where a recording has another one for it."""
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()  # they are on disk
        self._known[registry or stored.registry, stored.id] = _compiled(stored)

    def copy(self, registry: str, id: str, folder: Path) -> None:
        """Write a schema that is known into another folder, too. Raises OSError."""
        if not _path(folder, registry, id).exists():
            stored = self._stored(registry, id)
            if stored is not None:
                self.keep(folder, msgspec.structs.replace(stored, registry=registry))

    def _load(self, registry: str, id: str) -> Schema | None:
        stored = self._stored(registry, id)
        if stored is None:
            return None
        self.learn(stored, registry)
        return self._known.get((registry, id))

    def _stored(self, registry: str, id: str) -> Stored | None:
        usual = [_path(folder, registry, id) for folder in (*self._folders, *self._beside)]
        # A recording's lines are framed by its own registry, however that is called where it is read.
        others = [path for folder in self._beside for path in _of_only_registry(folder, id)]
        for path in (*usual, *others):
            try:
                # What is damaged is fetched again.
                stored = msgspec.json.decode(path.read_bytes(), type=Stored)
            except (OSError, msgspec.DecodeError):
                continue
            if stored.version == 1 and stored.id == id and stored.crc == _crc(stored):
                return stored
        return None


SCHEMAS: Final = Schemas()
"""Those of this process."""


def _crc(stored: Stored) -> int:
    return crc32(msgspec.json.encode(msgspec.structs.replace(stored, crc=0)))


def _path(folder: Path, registry: str, id: str) -> Path:
    return folder / blake2b(registry.encode(), digest_size=8).hexdigest() / f"{id}.json"


def _prune(folder: Path) -> None:
    """Remove what says that an id was unknown and is believed no longer: it would be asked for again."""
    for path in folder.glob("*.json"):
        try:
            stored = msgspec.json.decode(path.read_bytes(), type=Stored)
        except (OSError, msgspec.DecodeError):
            continue
        if stored.unknown and not 0.0 <= time.time() - stored.at <= UNKNOWN_SECS:
            path.unlink(missing_ok=True)


def _of_only_registry(folder: Path, id: str) -> list[Path]:
    """Return where the schema is, if the folder is that of one registry alone."""
    try:
        found = [one for one in folder.iterdir() if one.is_dir()]
    except OSError:
        return []
    return [found[0] / f"{id}.json"] if len(found) == 1 else []


def _compiled(stored: Stored) -> Schema:
    if stored.unknown:
        return Schema(_failing(stored.unknown), stored.at + UNKNOWN_SECS)
    try:
        match stored.type:
            case "AVRO":
                from pipeline.decode.framed.avro import compile_avro  # not for who has no schemas

                return Schema(compile_avro(stored.schema, stored.references))
            case "JSON":
                return Schema(strict.loads)
        return Schema(_failing(f"it is a schema of {stored.type.title()}, which is not read"))
    except InvalidRecord as error:
        return Schema(_failing(str(error)))


def _failing(reason: str) -> Read:
    def read(payload: bytes) -> Json:
        raise InvalidRecord(reason)

    return read
