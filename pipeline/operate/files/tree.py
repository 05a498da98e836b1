"""The files of a config, and which of them use which."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from pipeline.config.documents import list_candidates, list_names
from pipeline.config.files import TESTS, config_files, is_config_file, is_webhook
from pipeline.config.yaml.loader import decode_text, parse_yaml
from pipeline.model.files.plain_file import NO_SIGN, Sign, read_plain, sign_at
from pipeline.model.findings import Finding
from pipeline.model.json import Plain, Value, as_utf8, leaves
from pipeline.operate.files.literals import literal_secrets

Kind = Literal["webhook", "base", "label", "shape", "list", "test"]


@dataclass(slots=True, frozen=True)
class ConfigFile(Plain):
    """One file."""

    file: str
    """Its name in the config directory."""
    kind: Kind
    name: str
    """A webhook's id, a label's name; else the file's name without its kind's suffix."""
    used_by: tuple[str, ...] = ()
    """Files that refer to it; empty for an unused list, base, label or shape."""
    changed_at: float = 0.0
    """Unix seconds."""


class _Said(NamedTuple):
    """What one file says about itself and others."""

    sign: Sign
    name: str
    extends: str = ""
    lists: tuple[str, ...] = ()
    words: frozenset[str] = frozenset()
    """Words that may be names of labels."""
    secrets: tuple[Finding, ...] = ()


class Tree:
    """The files of one config directory; each is parsed once for as long as it stays the same."""

    def __init__(self, config: Path) -> None:
        self._config = config
        self._said: dict[str, _Said] = {}

    def files(
        self, formats: Mapping[str, Value] | None = None, exclude: Iterable[str] = ()
    ) -> list[ConfigFile]:
        """Return all files, by kind and name. formats, exclude: shapes, labels that pipeline.yaml names."""
        names = config_files(self._config)
        said = {name: one for name in names if (one := self._look(name)) is not None}
        self._said = said
        used: defaultdict[str, list[str]] = defaultdict(list)
        labels = {one.name: name for name, one in said.items() if name.startswith("labels/")}
        for label in exclude:
            if label in labels:
                used[labels[label]].append("pipeline.yaml")
        lists: set[str] = set()
        for name, one in said.items():
            if one.extends:
                used[_base(one.extends, said)].append(name)
            for label in one.words & labels.keys():
                if labels[label] != name:
                    used[labels[label]].append(name)
            for listed in one.lists:
                for place in list_candidates(listed, name):
                    if place not in said and (self._config / place).is_file():
                        lists.add(place)
                        used[place].append(name)
                        break
        for name in {value for _, value in leaves(dict(formats or {})) if isinstance(value, str)}:
            used[f"shapes/{name}.yaml"].append("pipeline.yaml")
        found = [
            ConfigFile(
                name, _kind(name), one.name, tuple(dict.fromkeys(used[name])), one.sign.modified_ns / 1e9
            )
            for name, one in said.items()
        ]
        found += [
            ConfigFile(name, "list", Path(name).stem, tuple(dict.fromkeys(used[name])), self._at(name))
            for name in lists
        ]
        found += [ConfigFile(name, "test", Path(name).name, (), self._at(name)) for name in self._tests()]
        return sorted(found, key=lambda one: (_ORDER.index(one.kind), one.file))

    def secrets(self) -> list[Finding]:
        """Return a warning for each secret written out in a webhook or base, as in `files`."""
        return [found for one in self._said.values() for found in one.secrets]

    def text(self, file: str) -> str | None:
        """Return the text of a webhook, base, label or shape file; None where there is none of this name."""
        if not is_config_file(file):
            return None
        try:
            return decode_text(read_plain(self._config / file))
        except (OSError, ValueError):
            return None

    def _look(self, name: str) -> _Said | None:
        sign = sign_at(self._config / name)
        if sign == NO_SIGN:
            return None
        known = self._said.get(name)
        if known is not None and known.sign == sign:
            return known
        stem = re.sub(r"\.ya?ml$", "", name.partition("/")[2])
        document = parse_yaml(self.text(name) or "", name)
        data = document.fields
        if not data:
            return _Said(sign, stem)
        own = data.get("name" if name.startswith("labels/") else "id")
        extends = data.get("extends")
        return _Said(
            sign,
            own if isinstance(own, str) and own else stem,
            extends if isinstance(extends, str) else "",
            tuple(list_names(data)),
            frozenset(_words(data)),
            tuple(literal_secrets(document)) if name.startswith("webhooks/") else (),
        )

    def _at(self, name: str) -> float:
        return sign_at(self._config / name).modified_ns / 1e9

    def _tests(self) -> Iterator[str]:
        for folder in ("webhooks", "shapes"):
            try:
                entries = sorted(os.listdir(self._config / folder))
            except OSError:
                continue
            yield from (f"{folder}/{as_utf8(entry)}" for entry in entries if entry.endswith(TESTS))


_ORDER: tuple[Kind, ...] = ("webhook", "base", "label", "shape", "list", "test")


def _kind(name: str) -> Kind:
    if name.startswith("labels/"):
        return "label"
    if name.startswith("shapes/"):
        return "shape"
    return "webhook" if is_webhook(name) else "base"


def _base(extends: str, said: Mapping[str, _Said]) -> str:
    bare = f"webhooks/{extends.removesuffix('.yaml').removesuffix('.yml')}"
    return f"{bare}.yml" if f"{bare}.yml" in said else f"{bare}.yaml"


def _words(data: Value) -> Iterator[str]:
    """Yield the values where a label may stand: in `events`, `changes`, `exclude`, `label`, `labels`."""
    for path, value in leaves(data):
        key = next((step for step in reversed(path) if isinstance(step, str)), "")
        if isinstance(value, str) and key in ("events", "changes", "exclude", "label", "labels"):
            yield value
