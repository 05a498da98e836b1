"""Which shape reads what: formats by topic and by path, as plain data, and the names of custom shapes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from pipeline.config.files import NOTHING, SHAPES, is_yaml
from pipeline.config.models.installation.source import TABLE_SETTINGS
from pipeline.config.yaml.diagnostics import KeyPath, Problems
from pipeline.config.yaml.loader import decode_text, parse_yaml
from pipeline.language.formats import FORMATS, RECORDING
from pipeline.model.files.plain_file import read_plain
from pipeline.model.json import Value, leaves, map_at
from pipeline.model.words import did_you_mean

DEBEZIUM = "debezium"
"""The format of tables."""

Named = list[tuple[KeyPath, str]]
"""Places in pipeline.yaml that name a shape, and the names."""


def formats_of(
    data: dict[str, Value], kafka: dict[str, Value], paths: Value
) -> tuple[dict[str, Value], Named]:
    """Return which shape reads what, and which names that are said where.

    ``{"default": format, "topics": {NAME: format}, "files": {PATH: format}, "others": PATH}``, each only
    where something is said; a format is a name, ``{"table": settings}``, or a custom shape's data.
    kafka, paths: the topics and the paths of pipeline.yaml, also where a flag names recordings instead: their
    lines keep the formats of the topics and files that they come from, and where all paths have one format,
    other files are read like this one of them.
    """
    named: Named = []
    topics: dict[str, Value] = {}
    usual = kafka.get("format")
    own = map_at(kafka, "topics")
    for name in [*_listed(kafka.get("events")), *_listed(kafka.get("users")), *own]:
        if not isinstance(name, str):
            continue  # reported with the section
        given = own.get(name)
        format = map_at(given).get("format")
        if format is not None:
            _note(format, ("source", "kafka", "topics", name, "format"), named)
        format = usual if format is None else format
        if format is not None:
            topics[name] = _with_table(format, given)
    found: dict[str, Value] = {"topics": topics} if topics else {}
    for kind in ("kafka", "jsonl"):
        default = map_at(data, "source", kind).get("format")
        if default is not None:
            _note(default, ("source", kind, "format"), named)
            found["default"] = default
    section = map_at(data, "source", "jsonl")
    # Names at places that a flag overrides are reported where shapes are compiled.
    files = _files(paths, section.get("format"), named if section.get("paths") is paths else [])
    listed = paths if isinstance(paths, list) else [paths]
    if files and "default" not in found and len(files) == len(listed):
        path, format = next(iter(files.items()))
        if all(one == format for one in files.values()):
            found["others"] = path
    return (found | {"files": files} if files else found), named


def _files(paths: Value, usual: Value, named: Named) -> dict[str, Value]:
    files: dict[str, Value] = {}
    for index, one in enumerate(paths if isinstance(paths, list) else [paths]):
        if not isinstance(one, dict) or not isinstance(one.get("path"), str):
            continue
        if one.get("format") is not None:
            _note(one["format"], ("source", "jsonl", "paths", index, "format"), named)
            files[one["path"]] = _with_table(one["format"], one)
        elif _is_table(usual):
            files[one["path"]] = _with_table(usual, one)
    return files


def _with_table(format: Value, given: Value) -> Value:
    """Return a format, as ``{"table": settings}`` if it is Debezium's with settings."""
    kind = frame_kind(format)
    if kind is not None and isinstance(format[kind], dict):
        return {kind: {**format[kind], "then": _with_table(format[kind].get("then", "auto"), given)}}
    if format != DEBEZIUM or not isinstance(given, dict):
        return format
    table = {name: given[name] for name in TABLE_SETTINGS if given.get(name) is not None}
    return {"table": table} if table else format


def check_tables(data: dict[str, Value], problems: Problems) -> None:
    """Report table settings where no table is read."""
    for kind in ("kafka", "jsonl"):
        section = map_at(data, "source", kind)
        parts: list[tuple[KeyPath, Value]] = []
        parts += [(("topics", name), given) for name, given in map_at(section, "topics").items()]
        if isinstance(paths := section.get("paths"), list):
            parts += [(("paths", index), given) for index, given in enumerate(paths)]
        for path, given in parts:
            if not isinstance(given, dict):
                continue
            if _is_table(given.get("format") or section.get("format")):
                if given.get("side") == "events" and given.get("as", "user") == "user":
                    message = "rows are updates of users (`as: user`), and no event waits for those here"
                    hint = "write `side: users`, or `as: event`"
                    problems.warn(("source", kind, *path, "side"), "unseen-updates", message, hint=hint)
                continue
            for name in TABLE_SETTINGS:
                if name in given:
                    message = f"`{name}` is a setting of `format: {DEBEZIUM}`"
                    hint = f"set `format: {DEBEZIUM}` beside it, or take it away"
                    problems.error(("source", kind, *path, name), "no-table", message, hint=hint)


def _is_table(format: Value) -> bool:
    """Return whether table rows are read, also in a registry's frame."""
    kind = frame_kind(format)
    inner = None if kind is None else format[kind]
    return format == DEBEZIUM or (isinstance(inner, dict) and inner.get("then") == DEBEZIUM)


def _note(format: Value, path: KeyPath, named: Named) -> None:
    if isinstance(format, str):
        named.append((path, format))
    elif (kind := frame_kind(format)) is not None and isinstance(format[kind], dict):
        _note(format[kind].get("then"), (*path, kind, "then"), named)


def frame_kind(format: Value) -> str | None:
    """Return which registry frame a format's records have, None where they have none."""
    if isinstance(format, dict):
        return next((kind for kind in ("avro", "json_schema") if kind in format), None)
    return None


def is_registry_secret(path: KeyPath) -> bool:
    """Return whether the text at this place of pipeline.yaml is only resolved where a registry is asked."""
    return path[:1] == ("source",) and "format" in path and path[-1] in ("username", "password", "token")


def registry_secrets(data: Value) -> Iterator[tuple[KeyPath, str]]:
    """Yield the texts of such places in the data of pipeline.yaml."""
    for path, text in leaves(data):
        if path and isinstance(text, str) and is_registry_secret(path):
            yield path, text


def _listed(value: Value) -> list[Value]:
    return [value] if isinstance(value, str) else value if isinstance(value, list) else []


def own_names(base: Path, unsaved: Mapping[str, str | None] = NOTHING) -> dict[str, str]:
    """Return the custom shapes of a config directory by name, each with its file; including broken ones.

    unsaved: texts that replace files on disk; None: as if the file did not exist.
    """
    found: dict[str, str] = {}
    try:
        entries = os.listdir(base / SHAPES)
    except OSError:
        entries = []
    names = {f"{SHAPES}/{entry}" for entry in entries if not entry.startswith(".")}
    for name in sorted({*names, *(one for one in unsaved if one.startswith(f"{SHAPES}/"))}):
        text = unsaved.get(name, "")
        if is_yaml(name) and text is not None:
            try:
                text = unsaved.get(name) or decode_text(read_plain(base / name))
                data = parse_yaml(text, name).data
            except (OSError, ValueError):
                data = None
            found[shape_name(name, data)] = name
    return found


def shape_name(file: str, data: Value) -> str:
    """Return a custom shape's name: its `name`, else that of its file."""
    name = data.get("name") if isinstance(data, dict) else None
    return name if isinstance(name, str) else PurePosixPath(file).stem


def check_names(named: Named, own: Iterable[str], problems: Problems) -> None:
    """Report unknown formats."""
    known = [*FORMATS, *own]
    for path, name in named:
        if name == RECORDING and "jsonl" in path:
            continue
        if name not in known:
            close = did_you_mean(name, known)
            hint = (
                f"did you mean `{close}`?"
                if close
                else f"custom shapes are files in {SHAPES}/; built in are "
            )
            hint += "" if close else ", ".join(FORMATS)
            problems.error(path, "unknown-format", f"there is no shape `{name}`", hint=hint)
