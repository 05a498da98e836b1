"""Avro: a schema's text becomes a function from bytes to JSON.

fastavro reads the bytes. It is given the schema with what JSON needs written into it: every type whose value
is no JSON gets a logical type of ours (logical.py), so that values come out converted, and what the reader
of a record needs no more (defaults, aliases, docs) is left out: the writer's schema is the one that is read
by. Unions are the value alone, without the name of its branch.

What a schema could do to this process is refused here: items that take no bytes (a count of a thousand
million in nine bytes) and types that go too deep by naming one another; and one record may have at most
MOST_FIELDS fields in all. fastavro's compiled reader would overflow the stack on nested data (measured:
5,000 bytes are enough); schemas that refer to themselves are read by its Python form, which ends at Python's
limit.
"""

from __future__ import annotations

import importlib
import io
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias

import orjson

from pipeline.decode.framed.connect_values import NAMES, of_name
from pipeline.decode.framed.logical import (
    LOGICAL,
    Convert,
    decimals,
    duration,
    finite,
    single,
    text_of_bytes,
    uuid_of_fixed,
)
from pipeline.decode.raw import strict
from pipeline.model.errors import InvalidRecord
from pipeline.model.json import Json, kind_of

Read: TypeAlias = Callable[[bytes], Json]

INSTALL: Final = "pip install 'hookline[registry]'"
MOST_FIELDS: Final = 250_000
"""In one record, with those in its lists and maps: about what a JSON text of the usual limit can hold."""
MOST_LEVELS: Final = 64
"""Of a schema's text."""
MOST_DEEP: Final = 200
"""Levels of a record: types that name one another may be many more than their text shows."""
MOST_SCALE: Final = 1_000
"""Digits behind a decimal's point, beyond what any database keeps."""

_PRIMITIVE: Final = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
_OURS: Final = "hookline-"
_local = threading.local()


def is_installed() -> bool:
    """Return whether the package that reads Avro is there."""
    try:
        _fastavro()
    except ImportError:
        return False
    return True


def compile_avro(text: str, references: Sequence[str] = ()) -> Read:
    """Return what reads records of a schema. references: schemas that it names, before those that name them.

    Raises InvalidRecord for what is no schema, and for one that cannot be read within bounds. What it returns
    raises InvalidRecord for bytes that are no such record.
    """
    library = _fastavro()
    rewriting = _Rewriting()
    named: dict[str, Any] = {}
    try:
        for one in references:
            library.parse_schema(rewriting.schema(_loaded(one)), named_schemas=named)
        schema = library.parse_schema(rewriting.schema(_loaded(text)), named_schemas=named)
    except InvalidRecord:
        raise
    except Exception as error:
        raise InvalidRecord(f"its schema is no Avro schema: {type(error).__name__}: {error!s:.200}") from None
    read = library.plain_reader if rewriting.is_recursive else library.reader
    is_recursive = rewriting.is_recursive

    def read_whole(payload: bytes) -> Json:
        stream = io.BytesIO(payload)
        _local.left = MOST_FIELDS
        try:
            value: Json = read(stream, schema)
        except InvalidRecord:
            raise
        except RecursionError:
            raise InvalidRecord("it is nested too deep") from None
        except Exception as error:
            told = "it ends too soon" if isinstance(error, EOFError) else f"{error!s:.100}"
            raise InvalidRecord(f"it is damaged, or of another schema: {told}") from None
        if stream.tell() != len(payload):
            left = len(payload) - stream.tell()
            raise InvalidRecord(f"it is damaged, or of another schema: {left:,} bytes are left over")
        if is_recursive and strict.depth(value) > strict.MAX_DEPTH:
            raise InvalidRecord(f"it is nested more than {strict.MAX_DEPTH} levels deep")
        return value

    return read_whole


def _loaded(text: str) -> Json:
    try:
        value: Json = orjson.loads(text)
    except orjson.JSONDecodeError:
        # A primitive may stand without quotes: registries take `string` for `"string"`.
        value = text.strip()
    return value


class _Library:
    """What is used of fastavro. The Python form of its reader lies in every wheel, beside the other."""

    def __init__(self) -> None:
        package = importlib.import_module("fastavro")
        plain = importlib.import_module("fastavro._read_py")
        self.parse_schema: Callable[..., Any] = package.parse_schema
        compiled, python = package.schemaless_reader, plain.schemaless_reader
        self.reader: Callable[[io.BytesIO, Any], Json] = lambda stream, schema: compiled(stream, schema, None)
        self.plain_reader: Callable[[io.BytesIO, Any], Json] = lambda stream, schema: python(
            stream, schema, None
        )
        for types, name, convert in _conversions():
            for kind in types:
                package.read.LOGICAL_READERS[f"{kind}-{name}"] = convert


@lru_cache(maxsize=1)
def _fastavro() -> _Library:
    return _Library()


def _conversions() -> list[tuple[tuple[str, ...], str, Callable[..., Json]]]:
    """Return our logical types: of which types, the name, and what converts."""

    def plain(convert: Convert) -> Callable[..., Json]:
        return lambda value, writer=None, reader=None: convert(value)

    def decimal(value: bytes, writer: dict[str, Any], reader: Json = None) -> Json:
        return _decimals(writer["scale"])(value)

    found: list[tuple[tuple[str, ...], str, Callable[..., Json]]] = [
        (("bytes", "fixed"), f"{_OURS}bytes", plain(text_of_bytes)),
        (("fixed",), f"{_OURS}uuid", plain(uuid_of_fixed)),
        (("fixed",), f"{_OURS}duration", plain(duration)),
        (("float",), f"{_OURS}float", plain(single)),
        (("double",), f"{_OURS}double", plain(finite)),
        (("bytes", "fixed"), f"{_OURS}decimal", decimal),
        (("record",), f"{_OURS}counted", _counted),
    ]
    found += [((kind,), f"{_OURS}{name}", plain(convert)) for (kind, name), convert in LOGICAL.items()]
    of_connect = [(name, of_name(name)) for name in NAMES]
    return found + [
        (("int", "long", "string", "record"), f"{_OURS}{name}", plain(convert))
        for name, convert in of_connect
        if convert is not None
    ]


_decimals = lru_cache(maxsize=256)(decimals)


def _counted(value: Json, writer: Json = None, reader: Json = None) -> Json:
    _local.left -= 1 + len(value)  # type: ignore[arg-type]  # a record
    if _local.left < 0:
        raise InvalidRecord(f"it holds more than {MOST_FIELDS:,} fields")
    return value


class _Rewriting:
    """Makes a schema one whose values come out as JSON; remembers what reading it takes."""

    def __init__(self) -> None:
        self.is_recursive = False
        self._empty: dict[str, bool] = {}
        """By full name, whether values of the type take no bytes."""
        self._deep: dict[str, int] = {}
        """By full name, how many levels values of the type have."""
        self._open: set[str] = set()
        """Records that are being rewritten."""

    def schema(self, schema: Json, space: str = "", level: int = 0) -> Json:
        """Return a schema rewritten. Raises InvalidRecord."""
        if level > MOST_LEVELS:
            raise InvalidRecord(f"its schema is nested more than {MOST_LEVELS} levels deep")
        if type(schema) is str:
            return self._named(schema, space)
        if type(schema) is list:
            return [self.schema(one, space, level + 1) for one in schema]
        if type(schema) is not dict:
            raise InvalidRecord(f"its schema is no Avro schema: a type is {kind_of(schema)}")
        kind = schema.get("type")
        if type(kind) is not str:
            return self.schema(kind, space, level + 1)
        match kind:
            case "record" | "error":
                return self._record(schema, space, level)
            case "array":
                items = self.schema(schema.get("items"), space, level + 1)
                if self._is_empty(items):
                    raise InvalidRecord("its schema has a list whose items take no bytes: no count is safe")
                return {"type": "array", "items": items}
            case "map":
                return {
                    "type": "map",
                    "values": self.schema(schema.get("values"), space, level + 1),
                }
            case "enum" | "fixed":
                return self._leaf(kind, schema, space)
        if kind in _PRIMITIVE:
            return self._with_logical(kind, schema)
        return self._named(kind, space)

    def _named(self, name: str, space: str) -> Json:
        if name in _PRIMITIVE:
            return self._with_logical(name, {})
        full = _full(name, space)
        if full not in self._empty and full not in self._open:
            full = name  # a name without dots may be of no namespace
        if full in self._open:
            self.is_recursive = True
        elif full not in self._empty:
            raise InvalidRecord(f"its schema names `{name:.100}`, which is not defined")
        return full

    def _define(self, schema: dict[str, Json], space: str) -> str:
        name, own = schema.get("name"), schema.get("namespace")
        if type(name) is not str or not name:
            raise InvalidRecord("its schema is no Avro schema: a type has no name")
        full = _full(name, own if type(own) is str and own else space)
        if full in self._empty or full in self._open:
            raise InvalidRecord(f"its schema is no Avro schema: `{full:.100}` is defined twice")
        return full

    def _record(self, schema: dict[str, Json], space: str, level: int) -> Json:
        full = self._define(schema, space)
        inner = full.rpartition(".")[0]
        fields = schema.get("fields")
        if type(fields) is not list:
            raise InvalidRecord(f"its schema is no Avro schema: the record `{full:.100}` has no fields")
        self._open.add(full)
        found: dict[str, Json] = {}
        for field in fields:
            name = field.get("name") if type(field) is dict else None
            if type(field) is not dict or type(name) is not str:
                raise InvalidRecord(f"its schema is no Avro schema: a field of `{full:.100}` has no name")
            found[name] = self.schema(field.get("type"), inner, level + 1)
        if len(found) < len(fields):
            raise InvalidRecord(f"its schema is no Avro schema: `{full:.100}` has two fields of one name")
        self._open.discard(full)
        self._deep[full] = 1 + max(map(self._levels, found.values()), default=0)
        if self._deep[full] > MOST_DEEP:
            raise InvalidRecord(f"records of its schema have more than {MOST_DEEP} levels")
        self._empty[full] = all(self._is_empty(one) for one in found.values())
        members: list[Json] = [{"name": name, "type": one} for name, one in found.items()]
        record: dict[str, Json] = {"type": "record", "name": full, "fields": members}
        if schema.get("connect.name") in NAMES:
            return {**record, "logicalType": f"{_OURS}{schema['connect.name']}"}
        return {**record, "logicalType": f"{_OURS}counted"}

    def _leaf(self, kind: str, schema: dict[str, Json], space: str) -> Json:
        full = self._define(schema, space)
        if kind == "enum":
            self._empty[full] = False
            return {"type": "enum", "name": full, "symbols": schema.get("symbols")}
        size = schema.get("size")
        if type(size) is not int or size < 0:
            raise InvalidRecord(f"its schema is no Avro schema: `{full:.100}` has no size")
        self._empty[full] = size == 0
        return {**self._with_logical("fixed", schema), "name": full, "size": size}

    def _with_logical(self, kind: str, schema: dict[str, Json]) -> dict[str, Json]:
        logical, connect = schema.get("logicalType"), schema.get("connect.name")
        found: dict[str, Json] = {"type": kind}
        scale = schema.get("scale", 0)
        if (
            logical == "decimal"
            and kind in ("bytes", "fixed")
            and type(scale) is int
            and 0 <= scale <= MOST_SCALE
        ):
            return {**found, "logicalType": f"{_OURS}decimal", "scale": scale}
        if kind == "fixed" and (logical, schema.get("size")) in (("uuid", 16), ("duration", 12)):
            return {**found, "logicalType": f"{_OURS}{logical}"}
        if kind in ("int", "long", "string") and connect in NAMES:
            return {**found, "logicalType": f"{_OURS}{connect}"}
        if (kind, logical) in LOGICAL:
            return {**found, "logicalType": f"{_OURS}{logical}"}
        if kind in ("bytes", "fixed"):
            return {**found, "logicalType": f"{_OURS}bytes"}
        if kind in ("float", "double"):
            return {**found, "logicalType": f"{_OURS}{kind}"}
        return found

    def _levels(self, schema: Json) -> int:
        """Return how many levels values of a rewritten schema have; where it refers to itself, one."""
        if type(schema) is str:
            return self._deep.get(schema, 1)
        if type(schema) is list:
            return 1 + max(map(self._levels, schema), default=0)
        if type(schema) is dict and schema["type"] in ("array", "map"):
            return 1 + self._levels(schema.get("items", schema.get("values")))
        return self._deep.get(str(schema["name"]), 1) if type(schema) is dict and "name" in schema else 1

    def _is_empty(self, schema: Json) -> bool:
        """Return whether values of a rewritten schema take no bytes."""
        if type(schema) is str:
            return self._empty.get(schema, False)
        if type(schema) is dict:
            kind = schema["type"]
            if kind in ("record", "fixed"):
                return self._empty[str(schema["name"])]
            return kind == "null"
        return False  # the number of a union's branch


def _full(name: str, space: str) -> str:
    return name if "." in name or not space else f"{space}.{name}"
