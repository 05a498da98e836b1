"""Suggestions for fields: names of events and labels, properties, secrets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pipeline.config.yaml.loader import parse_yaml
from pipeline.console.forms.fields.constants import shown_list
from pipeline.model.files.plain_file import read_plain
from pipeline.model.json import Value
from pipeline.operate.unsaved.environment import SecretState

SET: Final = "set in the job"


@dataclass(slots=True, frozen=True)
class Offers:
    """All of them: a text to insert, and what it is."""

    events: list[tuple[str, str]] = field(default_factory=list)
    names: frozenset[str] = frozenset()
    """Of events that the job has sampled, and of labels."""
    event_paths: list[tuple[str, str]] = field(default_factory=list)
    user_paths: list[tuple[str, str]] = field(default_factory=list)
    secrets: list[tuple[str, str]] = field(default_factory=list)


def offers(
    config: Path, seen: dict[str, Value], typed: str, secrets: Sequence[SecretState], *, payloads: bool
) -> Offers:
    """Return what there is. seen: the names that the job has seen. typed: the field of events as it stands,
    whose last name is being written.
    """
    names = [("*", "every event")]
    names += [(name, _told(one)) for name, one in seen["events"].items()]
    names += [(name, "label") for name in labels(config)]
    before = typed.rpartition(",")[0].strip()
    head = f"{before}, " if before else ""
    properties: dict[str, Value] = {}
    for one in seen["events"].values():
        for name, told in one["properties"].items():
            properties.setdefault(name, told)
    return Offers(
        [(head + shown_list([name], names=True), words) for name, words in names],
        frozenset(name for name, _ in names),
        _paths(properties.items(), payloads=payloads),
        _paths(seen["user_properties"].items(), payloads=payloads),
        [(f"${{{one.name}}}", _state(one)) for one in secrets if not one.name.startswith("file:")],
    )


def _told(one: Value) -> str:
    last = str(one["last_at"] or "")[11:19]
    return f"{one['sampled']:,} in the samples" + (f", last {last}" if last else "")


def _paths(seen: Iterable[tuple[str, Value]], *, payloads: bool) -> list[tuple[str, str]]:
    found = []
    for name, told in seen:
        kinds = " or ".join(told["types"])
        example = "" if not payloads or told["example"] is None else f", such as {str(told['example'])[:40]}"
        found.append((name, f"{kinds}{example}"))
    return found


def _state(one: SecretState) -> str:
    return SET if one.is_set else "missing"


def labels(config: Path) -> list[str]:
    """Return the names of labels."""
    found = []
    for path in sorted((config / "labels").glob("*.y*ml")):
        try:
            name = parse_yaml(read_plain(path).decode(), path.name).fields.get("name")
        except (OSError, ValueError):
            continue
        if isinstance(name, str):
            found.append(name)
    return found
