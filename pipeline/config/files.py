"""The texts of a config directory, read once and named by their content hash.

A `ConfigText` is everything that compiling needs: it travels to other processes and hosts, is stored while a
pending delivery names it, and compiles to the same snapshot everywhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, Final

import orjson

from pipeline.config.documents import Documents, list_candidates, list_names
from pipeline.config.yaml.loader import decode_text
from pipeline.language.secrets import SecretRef, Secrets
from pipeline.model.errors import ConfigError, reason
from pipeline.model.files.plain_file import read_plain
from pipeline.model.json import Value, as_utf8, is_utf8
from pipeline.model.process.under_way import begins

LANGUAGE = 4
_SUFFIXES = (".yaml", ".yml")
TESTS = (".test.yaml", ".test.yml")
SHAPES = "shapes"
"""The folder of custom shapes."""
FOLDERS = ("labels", SHAPES, "webhooks")


@dataclass(slots=True, frozen=True)
class JobDefaults:
    """The parts of pipeline.yaml that affect what is read, and what a webhook sends or may reach."""

    exclude: tuple[str, ...] = ()
    """Labels whose events no webhook sees unless it sets `include_excluded`."""
    delivery: Mapping[str, Value] = field(default_factory=dict)
    """Defaults of every webhook's `delivery`, as plain data."""
    network_allow: tuple[str, ...] = ()
    """Networks (CIDR) that the guard allows although they are private."""
    formats: Mapping[str, Value] = field(default_factory=dict)
    """Which shape reads what (config/formats.py); empty: `auto` reads everything."""

    def to_data(self) -> dict[str, Any]:
        """Return them as a JSON value."""
        return {
            "exclude": list(self.exclude),
            "delivery": dict(self.delivery),
            "network_allow": list(self.network_allow),
            **({"formats": dict(self.formats)} if self.formats else {}),
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> JobDefaults:
        """Return what `to_data` gave."""
        exclude, allow = tuple(data["exclude"]), tuple(data["network_allow"])
        return cls(exclude, data["delivery"], allow, data.get("formats", {}))


@dataclass(frozen=True)
class ConfigText:
    """Texts by file name relative to the config directory, and the settings they use."""

    files: Mapping[str, str]
    settings: Mapping[str, str] = field(default_factory=dict)
    """Values of the plain settings (``NAME`` or ``file:path``) that occur outside secrets."""
    defaults: JobDefaults = JobDefaults()
    root: str = field(default="", compare=False)
    """The directory as it was named; for messages only, not part of the hash."""
    faults: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Unreadable files, with the reason; such a config does not compile."""
    language: int = LANGUAGE
    """The version of the files' meaning. 1: placeholders in `vars` are plain settings, as they once were. Up
    to 2 formats are not included: those of the job apply. Up to 3 those in conditions of a body are texts."""
    strays: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Files beside them that nobody reads although they look intended, with the reason."""

    @cached_property
    def hash(self) -> str:
        """The content hash: 32 hex digits."""
        return blake2b(self.to_bytes(), digest_size=16).hexdigest()

    def to_data(self) -> dict[str, Any]:
        """Return it as a JSON value."""
        return {
            "files": dict(self.files),
            "settings": dict(self.settings),
            **self.defaults.to_data(),
            **({"language": self.language} if self.language != 1 else {}),
        }

    def to_bytes(self) -> bytes:
        """Return the canonical form; equal configs give equal bytes."""
        return orjson.dumps(self.to_data(), option=orjson.OPT_SORT_KEYS)

    @classmethod
    def from_data(cls, data: Mapping[str, Any], root: str = "") -> ConfigText:
        """Return what `to_data` gave."""
        language = data.get("language", 1)
        return cls(data["files"], data["settings"], JobDefaults.from_data(data), root, language=language)

    @classmethod
    def from_bytes(cls, raw: bytes) -> ConfigText:
        """Return what `to_bytes` wrote."""
        return cls.from_data(orjson.loads(raw))

    @cached_property
    def documents(self) -> Documents:
        """The YAML files of webhooks, labels and shapes, by name."""
        return _documents(self.files)

    def __getstate__(self) -> dict[str, Any]:
        # Parsed documents are rebuilt where needed; they would make the pickle ten times larger.
        return {name: value for name, value in self.__dict__.items() if name != "documents"}


def _documents(files: Mapping[str, str], before: ConfigText | None = None) -> Documents:
    texts = {name: text for name, text in files.items() if is_yaml(name)}
    return Documents(texts, None if before is None else before.documents)


NOTHING: Final[Mapping[str, str | None]] = MappingProxyType({})
NO_DIRECTORY = "there is no such config directory: name one with -c, or begin one with `hookline init`"


def read_config(
    directory: str | Path,
    *,
    environ: Mapping[str, str] | None = None,
    defaults: JobDefaults | None = None,
    before: ConfigText | None = None,
    unsaved: Mapping[str, str | None] = NOTHING,
) -> ConfigText:
    """Read webhooks/*.yaml, labels/*.yaml, shapes/*.yaml and the list files they name.

    before: the previous reading; facts about unchanged files are reused. unsaved: texts that replace files on
    disk; None: as if the file did not exist. Raises ConfigError where the directory is not a config
    directory. Unreadable files are noted in ``faults``. ``*.test.yaml`` and hidden files are skipped.
    """
    base = Path(directory)
    if not base.is_dir():
        raise ConfigError(f"{base}: {NO_DIRECTORY}")
    if not (base / "webhooks").is_dir():
        raise ConfigError(f"{base}: the config directory has no folder `webhooks`")
    names = sorted({*config_files(base), *unsaved})
    text = read_files(base, names, environ=environ, defaults=defaults, before=before, unsaved=unsaved)
    found = replace(text, strays=dict(_strays(base)))
    found.__dict__["documents"] = text.documents
    return found


def read_files(
    base: Path,
    names: Iterable[str],
    *,
    webhooks: Path | None = None,
    environ: Mapping[str, str] | None = None,
    defaults: JobDefaults | None = None,
    before: ConfigText | None = None,
    unsaved: Mapping[str, str | None] = NOTHING,
) -> ConfigText:
    """Read the named files and the list files they name.

    webhooks: the real folder of the files in `webhooks`, if not below the config directory. before, unsaved:
    see `read_config`.
    """
    reader = _Reader(base, webhooks or base / "webhooks", unsaved)
    files = {name: content for name in names if (content := reader.read(name)) is not None}
    text = ConfigText(files, {}, defaults or JobDefaults(), str(base), faults=reader.faults)
    documents = text.__dict__["documents"] = _documents(files, before)
    secrets = Secrets(os.environ if environ is None else environ, base)
    settings: dict[str, str] = {}
    for name in documents:
        for ref in documents.uses(name).settings:
            # A default is already in the text; it is not a value from outside.
            outside = secrets.find(SecretRef(ref.key))
            if outside is None:
                continue
            settings[ref.key] = as_utf8(outside)
            if not is_utf8(outside):
                reader.faults[name] = f"the setting ${{{ref.key}}} holds bytes that are no UTF-8"
    lists: dict[str, str] = {}
    for name in wanted_lists(text):
        path = reader.path(name)
        if os.path.exists(path) and not os.path.isdir(path):
            if _is_private(name, text):
                reader.faults[name] = "holds secrets or settings: as a list it would be stored and shown"
            elif (content := reader.read(name)) is not None:
                lists[name] = content
    text = replace(text, files={**files, **lists}, settings=settings)
    text.__dict__["documents"] = documents
    return text


_ESCAPED = re.compile(r"\\udc[89a-f][0-9a-f]")
"""A byte of invalid UTF-8 in a name, escaped."""
_FILE_SECRET = re.compile(r"\$\{file:([^}]*)\}")


def _is_private(name: str, text: ConfigText) -> bool:
    """Return whether a file of the config directory must not be read as a list."""
    path = PurePosixPath(os.path.normpath(name))
    folder = path.parts[1:] if path.parts[0] in FOLDERS else path.parts
    if folder[:1] == ("secrets",) or path.name in ("pipeline.yaml", "pipeline.yml"):
        return True
    if any(part.startswith(".") for part in path.parts):
        return True
    named = {os.path.normpath(one) for file in text.files.values() for one in _FILE_SECRET.findall(file)}
    return any(str(path) == one or str(path) == f"webhooks/{one}" for one in named)


class _Reader:
    """Reads files by their names in a config; unreadable ones are faults."""

    def __init__(self, base: Path, webhooks: Path, unsaved: Mapping[str, str | None]) -> None:
        self._base = str(base)
        self._webhooks = str(webhooks)
        self._unsaved = unsaved
        self.faults: dict[str, str] = {}

    def path(self, name: str) -> str:
        """Return where a file of the config lies."""
        folder, _, rest = name.partition("/")
        return f"{self._webhooks}/{rest}" if folder == "webhooks" else f"{self._base}/{name}"

    def read(self, name: str) -> str | None:
        """Return a file's text; None where it has none."""
        begins(name)
        if name in self._unsaved:
            return self._unsaved[name]
        try:
            return decode_text(read_plain(self.path(name)))
        except IsADirectoryError:
            self.faults[name] = "is a folder: expected a file"
        except OSError as error:
            is_odd = _ESCAPED.search(name) is not None
            why = "its name is no UTF-8: rename it" if is_odd else f"cannot be read: {reason(error)}"
            self.faults[name] = why
        except ValueError as error:
            self.faults[name] = str(error)
        return None


def wanted_lists(text: ConfigText) -> list[str]:
    """Return every place where a list file named by conditions may be, whether it exists or not."""
    uses = [(name, text.documents.uses(name).lists) for name in text.documents]
    uses.append(("pipeline.yaml", tuple(list_names(text.defaults.delivery))))
    places = {
        candidate for name, lists in uses for listed in lists for candidate in list_candidates(listed, name)
    }
    return sorted(place for place in places if place not in text.documents)


def config_files(base: Path) -> list[str]:
    """Return the names of all label, shape and webhook files, sorted; what is no UTF-8 in them is escaped."""
    names = []
    for folder in FOLDERS:
        try:
            entries = sorted(os.listdir(base / folder))
        except OSError:
            continue
        names += [f"{folder}/{entry}" for entry in entries if is_yaml(entry) and not entry.startswith(".")]
    return [as_utf8(name) for name in names]


def is_config_file(name: str) -> bool:
    """Return whether `config_files` would return a file of this name, if there is one."""
    folder, _, file = name.partition("/")
    return folder in FOLDERS and "/" not in file and is_yaml(file) and not file.startswith(".")


def _strays(base: Path) -> Iterator[tuple[str, str]]:
    """Yield the files that somebody may take for webhooks, shapes or labels, and why they are none."""
    for folder in FOLDERS:
        try:
            entries = sorted(os.scandir(base / folder), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            name, bare = f"{folder}/{entry.name}", entry.name.lower()
            if is_yaml(entry.name) or bare.endswith(TESTS) or bare.startswith("."):
                continue
            if bare.endswith((*_SUFFIXES, ".json", ".yaml.txt", ".yml.txt")):
                yield name, "it is not read: its name must end in .yaml or .yml"
            elif entry.is_dir() and any(map(is_yaml, os.listdir(entry.path))):
                yield name, f"its files are not read: they must lie in {folder}/ itself"
    for path in sorted(base.iterdir()):
        if is_yaml(path.name) and path.stem != "pipeline" and path.is_file() and _is_trigger(path):
            yield path.name, "it is not read: a webhook must lie in webhooks/"
        meant = path.name.lower().removesuffix("s") + "s"
        if meant in FOLDERS and path.name != meant and path.is_dir():
            yield path.name, f"its files are not read: the folder must be named {meant}"


def _is_trigger(path: Path) -> bool:
    """Return whether a file looks like a webhook's."""
    with suppress(OSError), path.open("rb") as file:
        return re.search(rb"^trigger:", file.read(1 << 16), re.MULTILINE) is not None
    return False


def is_yaml(name: str) -> bool:
    """Return whether a file name is that of a webhook, base, label or shape file (tests are none)."""
    return name.endswith(_SUFFIXES) and not name.endswith(TESTS)


def is_webhook(name: str) -> bool:
    """Return whether a config file defines a webhook (a base, `_x.yaml`, does not)."""
    folder, _, file = name.partition("/")
    return folder == "webhooks" and is_yaml(file) and not file.startswith("_")


def watched_files(text: ConfigText) -> tuple[str, ...]:
    """Return what belongs to a config beside its own files: lists, and files of plain settings."""
    refs = (ref for name in text.documents for ref in text.documents.uses(name).settings)
    return (*wanted_lists(text), *dict.fromkeys(ref.file for ref in refs if ref.file is not None))
