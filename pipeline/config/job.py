"""The job's own config: config/pipeline.yaml, overridden by HOOKLINE_* variables, overridden by flags."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from pipeline.config.collected import (
    add_collected,
    check_collect,
    check_places,
    check_read,
    followed,
    hook_formats,
    is_collect_secret,
)
from pipeline.config.files import NO_DIRECTORY, NOTHING, JobDefaults
from pipeline.config.formats import (
    check_names,
    check_tables,
    formats_of,
    is_registry_secret,
    own_names,
    registry_secrets,
)
from pipeline.config.layers import Layers
from pipeline.config.models.installation.collect import CollectTo
from pipeline.config.models.installation.job import PipelineFile
from pipeline.config.models.installation.source import JsonlSource, KafkaSource
from pipeline.config.models.validate import check
from pipeline.config.places import STDIN, check_moved_state, place, place_all
from pipeline.config.settings import Setting, settings_followed, settings_of
from pipeline.config.yaml.diagnostics import KeyPath, Problem, Problems
from pipeline.config.yaml.document import Document, locate
from pipeline.config.yaml.loader import EMPTY, decode_text, parse_yaml
from pipeline.config.yaml.locating import place as locate_problem
from pipeline.config.yaml.placeholders import Places, missing_setting, substitute
from pipeline.language.secrets import PlaceholderError, SecretRef, Secrets, parse_placeholders
from pipeline.model.errors import ConfigError
from pipeline.model.findings import Finding, in_order
from pipeline.model.json import Value
from pipeline.model.plain_file import read_plain

FILE = "pipeline.yaml"
_RECEIVERS: tuple[KeyPath, ...] = (("delivery", "proxy"), ("delivery", "batch", "wrap"))
_CLIENTS: tuple[KeyPath, ...] = (
    ("source", "kafka", "settings"),
    ("dead_letters", "kafka", "settings"),
    ("collect", "to", "kafka", "settings"),
)

M = TypeVar("M", bound=BaseModel)


@dataclass(slots=True, frozen=True)
class PipelineConfig:
    """How the job runs: its file, with what variables and flags set in its place."""

    file: PipelineFile
    source: JsonlSource | KafkaSource | None
    """The one that `file` names, else what the collector keeps. None: nothing to read; `hookline run` then
    needs --source."""
    state: Path
    """The state directory; a replay has another one than the file says."""
    delivery: Mapping[str, Value]
    """Defaults of every webhook's `delivery`, as plain data of the file."""
    settings: tuple[Setting, ...] = field(compare=False)
    formats: Mapping[str, Value] = field(default_factory=dict)
    """Which shape reads what, as plain data (`formats_of`)."""
    written: Mapping[str, str] = field(default_factory=dict)
    """How the paths of recordings are written, by where they lead: so `formats` calls them."""

    @property
    def collected(self) -> str | None:
        """The folder in which a collector keeps its events, where the config has one."""
        return None if self.file.collect is None else self.file.collect.to.recording

    @property
    def defaults(self) -> JobDefaults:
        """The parts that webhooks and shapes depend on."""
        return JobDefaults(
            tuple(self.file.exclude), self.delivery, tuple(self.file.network.allow), self.formats
        )


@dataclass(slots=True)
class PipelineReport:
    """The job's config (None where it has errors) and what was found."""

    config: PipelineConfig | None
    findings: list[Finding]
    root: str = ""

    def require(self) -> PipelineConfig:
        """Return the config; raises ConfigError with every finding."""
        if self.config is None:
            raise ConfigError(self.findings, root=self.root)
        return self.config


def load_pipeline(
    directory: str | Path,
    *,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Value] | None = None,
    check_source: bool = False,
    guard_state: bool = False,
    collects: bool = False,
    unsaved: Mapping[str, str | None] = NOTHING,
) -> PipelineReport:
    """Read the job's config.

    flags: values by dotted name (``source.jsonl.paths``, ``state``); a value of None is not given.
    check_source: a missing source, or a path that does not exist, is an error too (for `run`).
    guard_state: so is a state directory that is not there, while there is one where it was looked for before.
    collects: so is a key or a secret of `collect` that is missing (for who needs them).
    unsaved: texts of shapes that count in place of what lies on disk; None: as if the file were not there.

    Relative paths of the file start at its folder, those of variables and flags at the working directory.
    """
    environ = os.environ if environ is None else environ
    base = Path(directory)
    root = str(directory)
    document = _document(base)
    problems = Problems()
    tree = document.root
    secrets = Secrets(environ, base)
    substitute(document, secrets.find, Places(lambda path: not _is_secret(path)))
    findings = [found for found in document.findings if found.code != EMPTY]
    # Else what it says of `state` is not known, and nobody is told to move one.
    is_read = all(found.warning for found in findings)
    data: Value = {} if tree is None or tree.value is None else tree.value
    if not isinstance(data, dict):
        check(PipelineFile, data, problems, what="pipeline.yaml")
        data = {}
    findings += _misnamed(base)
    topics = _section(_section(data, "source"), "kafka")
    paths = _section(_section(data, "source"), "jsonl").get("paths")
    layers = Layers(data)
    findings.extend(layers.set_variables(environ))
    layers.set_flags(flags or {})
    if "collect" in data and _section(data, "source") == {"jsonl": {"follow": True}}:
        del data["source"]  # what the collector keeps is followed anyway
    is_given = any((flags or {}).get(f"source.{kind}.format") for kind in ("jsonl", "kafka"))
    formats, named = formats_of(data, {} if is_given else topics, None if is_given else paths)
    if not is_given:
        add_collected(formats, _section(data, "collect"))
    were = place_all(data, base, lambda path: layers.origin(path) in ("file", "default"))
    model = check(PipelineFile, data, problems, what="pipeline.yaml")
    if model is not None and "state" not in data:
        were["state",] = model.state
        model = model.model_copy(update={"state": place(base, model.state)})
    if model is not None and model.collect is not None and ("collect", "to", "recording") not in were:
        to = model.collect.to
        if to.recording is not None and "to" not in _section(data, "collect"):
            model = _replaced(model, ("collect", "to", "recording"), place(base, to.recording))
    used = None if model is None else _with_secrets(model, secrets, problems)
    source = None if used is None else _source(used)
    if model is not None:
        if model.collect is not None:
            named += hook_formats(model.collect)
            check_collect(model.collect, secrets, problems, needs_secrets=collects)
            check_places(model.collect, model.state, problems)
            if model.source is not None and layers.origin(("source",)) == "file":
                check_read(model.collect, model.source, problems)
        check_names(named, own_names(base, unsaved), problems)
        check_tables(data, problems)
    if check_source and model is not None and (model.source is not None or model.collect is None):
        _check_source(source, base, problems, were, None if model.collect is None else model.collect.to)
    if guard_state and is_read and model is not None and ("state",) in were:
        check_moved_state(model.state, were["state",], problems)
    for problem in problems.found:
        if _follows(problem, document.unset):
            continue
        origin = layers.origin(problem.path)
        if origin.startswith(("environment ", "flag ")):
            findings.append(
                Finding(origin, 0, 0, problem.code, problem.message, problem.hint, problem.warning)
            )
        else:
            findings.append(locate_problem(document, problem))
    findings = in_order(findings)
    if model is None or any(not f.warning for f in findings):
        return PipelineReport(None, findings, root)

    def origin_of(path: KeyPath) -> str:
        origin = layers.origin(path)
        return f"{os.path.join(root, FILE)}:{_line(document, path)}" if origin == "file" else origin

    settings = tuple(settings_of(model, origin_of))
    assert used is not None  # there is a model
    if used.source is None and source is not None:
        settings += tuple(settings_followed(source))
    # Also where a flag names other paths: what lies in these keeps its format.
    files = formats.get("files")
    written = {place(base, one): one for one in (files if isinstance(files, dict) else ())}
    written |= {place(base, one): one for path, one in were.items() if path[:2] == ("source", "jsonl")}
    config = PipelineConfig(
        used, source, Path(model.state), data.get("delivery", {}), settings, formats, written
    )
    return PipelineReport(config, findings, root)


def _follows(problem: Problem, unset: Sequence[KeyPath]) -> bool:
    """Return whether a problem is one because a placeholder has no value: it is there, or names it."""
    path = problem.path
    return any(
        path[: len(one)] == one
        or (path == one[:-1] and (isinstance(one[-1], int) or f"`{one[-1]}`" in problem.message))
        for one in unset
    )


def _section(holder: Value, name: str) -> dict[str, Value]:
    inner = holder.get(name) if isinstance(holder, dict) else None
    return inner if isinstance(inner, dict) else {}


def _source(file: PipelineFile) -> JsonlSource | KafkaSource | None:
    if file.source is None:
        return None if file.collect is None else followed(file.collect)
    return file.source.jsonl or file.source.kafka


def _is_secret(path: KeyPath) -> bool:
    """Return whether placeholders at this place of pipeline.yaml are put in only where they are used."""
    if is_registry_secret(path) or is_collect_secret(path):
        return True
    return any(path[: len(place)] == place for place in (*_RECEIVERS, *_CLIENTS))


def _with_secrets(model: PipelineFile, secrets: Secrets, problems: Problems) -> PipelineFile:
    """Return what the file says with the secrets of Kafka's clients in their places.

    Those of `delivery` stay placeholders: they are put in when a request is sent.
    """
    for at, text in registry_secrets(model.model_dump(include={"source"})):
        _known(at, text, secrets, problems)
    for path in _CLIENTS:
        holder: object = model
        for name in path[:-1]:
            holder = getattr(holder, str(name), None)
        settings = getattr(holder, "settings", None) or {}
        expanded = dict(settings)
        for name, value in settings.items():
            if isinstance(value, str) and _known((*path, name), value, secrets, problems):
                expanded[name] = secrets.expand(value)
        if expanded != settings:
            model = _replaced(model, path, expanded)
    return model


def _known(path: KeyPath, text: str, secrets: Secrets, problems: Problems) -> bool:
    """Return whether a text has secrets that are all known; others are reported."""
    if "${" not in text:
        return False
    try:
        refs = [part for part in parse_placeholders(text) if isinstance(part, SecretRef)]
    except PlaceholderError as error:
        problems.error(path, "placeholder", error.message, hint=error.hint, offset=error.offset)
        return False
    missing = next((ref for ref in refs if not secrets.known(ref)), None)
    if missing is not None:
        problems.found.append(missing_setting(path, missing, text))
    return missing is None


def _replaced(section: M, path: KeyPath, value: object) -> M:
    name, *rest = path
    inner = _replaced(getattr(section, str(name)), tuple(rest), value) if rest else value
    return section.model_copy(update={str(name): inner})


def _misnamed(base: Path) -> list[Finding]:
    """Return what is to be said of a pipeline.yml: nobody reads it."""
    other = "pipeline.yml"
    if not (base / other).is_file():
        return []
    alone = not (base / FILE).exists()
    hint = f"rename it to {FILE}" if alone else f"move what it says into {FILE}, and delete it"
    return [Finding(other, 0, 0, "not-read", f"`{other}` is not read", hint, warning=not alone)]


def _document(base: Path) -> Document:
    path = base / FILE
    try:
        return parse_yaml(decode_text(read_plain(path)), FILE)
    except FileNotFoundError:
        return Document(FILE, [""])
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        return Document(FILE, [""], None, [Finding(FILE, 0, 0, "unreadable", message)])
    except ValueError as error:
        return Document(FILE, [""], None, [Finding(FILE, 0, 0, "unreadable", str(error))])


def _check_source(
    source: JsonlSource | KafkaSource | None,
    base: Path,
    problems: Problems,
    were: Mapping[KeyPath, str],
    collects: CollectTo | None,
) -> None:
    if source is None and not base.is_dir():
        problems.error((), "missing-directory", f"`{base}`: {NO_DIRECTORY}")
    elif source is None:
        problems.error(
            (),
            "missing-source",
            "there is nothing to read: pipeline.yaml has no `source`",
            hint="name a recording with `run --source FILE`, add `source: {jsonl: {paths: [..]}}`, or take "
            "events over HTTP: `collect: {keys: any}`",
        )
    elif isinstance(source, JsonlSource):
        named = {
            "paths": source.inputs(),
            "events": source.events,
            "users": source.users,
        }
        for name, paths in named.items():
            for index, path in enumerate(paths or ()):
                if collects is not None and path == collects.recording:
                    continue  # the collector makes it, or the job
                if path != STDIN and not os.path.exists(path) and not glob(path, recursive=True):
                    at: KeyPath = ("source", "jsonl", name, index)
                    message = f"there is no file or directory `{path}`"
                    problems.error(at, "missing-path", message, hint=_looked(path, were.get(at)))


def _looked(path: str, was: str | None) -> str | None:
    """Return where a path was looked for; ``was``: how the file has it, None where it is not the file's."""
    if was is None:
        return None if os.path.isabs(path) else f"looked for it in {os.getcwd()}"
    if os.path.isabs(was):
        return None
    if os.path.exists(was):
        start = os.path.dirname(path.removesuffix(os.path.normpath(was))) or "."
        return f"relative paths in {FILE} start at its folder: write {os.path.relpath(was, start)}"
    return f"relative paths in {FILE} start at its folder"


def _line(document: Document, path: KeyPath) -> int:
    assert document.root is not None  # an origin in the file
    found = locate(document.root, path)
    return (found.key or found.node.span).line + 1
