"""The job's own config: config/pipeline.yaml, overridden by HOOKLINE_* variables, overridden by flags."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.config.client_secrets import is_secret, replaced, with_secrets
from pipeline.config.collected import (
    add_collected,
    check_collect,
    check_places,
    check_read,
    followed,
    hook_formats,
)
from pipeline.config.files import NO_DIRECTORY, NOTHING, JobDefaults
from pipeline.config.formats import (
    Named,
    check_names,
    check_tables,
    formats_of,
    own_names,
)
from pipeline.config.layers import Layers
from pipeline.config.models.installation.collect import CollectSection
from pipeline.config.models.installation.job import PipelineFile
from pipeline.config.models.installation.source import JsonlSource, KafkaSource
from pipeline.config.models.validate import check, check_quoted
from pipeline.config.places import FILE, check_moved_state, check_recordings, place, place_all
from pipeline.config.settings import Setting, settings_followed, settings_of
from pipeline.config.yaml.diagnostics import KeyPath, Problem, Problems
from pipeline.config.yaml.document import Document, locate
from pipeline.config.yaml.loader import EMPTY, decode_text, parse_yaml
from pipeline.config.yaml.locating import place as locate_problem
from pipeline.config.yaml.placeholders import Places, substitute
from pipeline.language.secrets import Secrets
from pipeline.model.errors import ConfigError, reason
from pipeline.model.files.plain_file import read_plain
from pipeline.model.findings import Finding, in_order
from pipeline.model.json import Value, map_at


@dataclass(slots=True, frozen=True)
class PipelineConfig:
    """How the job runs: its file, overridden by variables and flags."""

    file: PipelineFile
    source: JsonlSource | KafkaSource | None
    """The one in `file`, else what the collector keeps. None: nothing to read; `hookline run` then needs
    --source."""
    state: Path
    """The state directory; a replay has a different one than the file's."""
    delivery: Mapping[str, Value]
    """Defaults of every webhook's `delivery`, as plain data of the file."""
    settings: tuple[Setting, ...] = field(compare=False)
    formats: Mapping[str, Value] = field(default_factory=dict)
    """Which shape reads what, as plain data (`formats_of`)."""
    written: Mapping[str, str] = field(default_factory=dict)
    """How the paths of recordings are written, by where they lead, as `formats` names them."""

    @property
    def collected(self) -> str | None:
        """The folder in which a collector keeps its events, where the config has one."""
        return None if self.file.collect is None else self.file.collect.to.recording

    @property
    def defaults(self) -> JobDefaults:
        """The parts that affect webhooks and shapes."""
        return JobDefaults(
            tuple(self.file.exclude), self.delivery, tuple(self.file.network.allow), self.formats
        )


@dataclass(slots=True)
class PipelineReport:
    """The job's config (None where it has errors) and the findings."""

    config: PipelineConfig | None
    findings: list[Finding]
    root: str = ""
    placed: Callable[[Problems], Iterable[Finding]] = field(default=lambda problems: (), compare=False)
    """Locates problems that are found later."""

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

    flags: values by dotted name (``source.jsonl.paths``, ``state``); None: not given. check_source: a missing
    source, or a nonexistent path, is an error too (for `run`). guard_state: so is a missing state directory,
    if there is one at its former place. collects: so is a missing key or secret of `collect` (for the
    collector). unsaved: texts of shapes that replace files on disk; None: as if the file did not exist.
    Relative paths in the file start at its folder, those of variables and flags at the working directory.
    """
    environ = os.environ if environ is None else environ
    base, root = Path(directory), str(directory)
    document, problems, secrets = _document(base), Problems(), Secrets(environ, base)
    substitute(document, secrets.find, Places(lambda path: not is_secret(path)))
    findings = [found for found in document.findings if found.code != EMPTY]
    # Otherwise `state` is unknown, and nobody is told to move one.
    is_read = all(found.warning for found in findings)
    findings += _misnamed(base)
    data = _data(document, problems)
    # As in the file, before variables and flags override them.
    topics = map_at(data, "source", "kafka")
    paths = map_at(data, "source", "jsonl").get("paths")
    layers = Layers(data)
    findings.extend(layers.set_variables(environ))
    layers.set_flags(flags or {})
    if "collect" in data and map_at(data, "source") == {"jsonl": {"follow": True}}:
        del data["source"]  # what the collector keeps is followed anyway
    formats, named = _formats(data, topics, paths, flags or {})
    were = place_all(data, base, lambda path: layers.origin(path) in ("file", "default"))
    model = check_quoted(PipelineFile, data, document.quoted, problems, what=FILE)
    if model is not None:
        model = _with_default_places(model, data, base, were)
    used = None if model is None else with_secrets(model, secrets, problems)
    source = None if used is None else _source(used)
    if model is not None:
        if model.collect is not None:
            named += hook_formats(model.collect)
            _check_collector(model, model.collect, layers, secrets, problems, needs_secrets=collects)
        check_names(named, own_names(base, unsaved), problems)
        check_tables(data, problems)
        if check_source and (model.source is not None or model.collect is None):
            _check_source(source, base, problems)
        if isinstance(source, JsonlSource):
            kept = None if model.collect is None else model.collect.to.recording
            check_recordings(source, kept, were, problems, is_start=check_source)
        if guard_state and is_read and ("state",) in were:
            check_moved_state(base, model.state, were["state",], problems)
    findings += _placed(problems, document, layers)
    findings = in_order(findings)
    if model is None or used is None or any(not found.warning for found in findings):
        return PipelineReport(None, findings, root)

    def origin_of(path: KeyPath) -> str:
        origin = layers.origin(path)
        return f"{os.path.join(root, FILE)}:{_line(document, path)}" if origin == "file" else origin

    settings = tuple(settings_of(model, origin_of))
    if used.source is None and source is not None:
        settings += tuple(settings_followed(source))
    names = _written(base, formats, were)
    config = PipelineConfig(
        used, source, Path(model.state), data.get("delivery", {}), settings, formats, names
    )
    return PipelineReport(config, findings, root, lambda late: _placed(late, document, layers))


def _check_collector(
    model: PipelineFile,
    collect: CollectSection,
    layers: Layers,
    secrets: Secrets,
    problems: Problems,
    *,
    needs_secrets: bool,
) -> None:
    check_collect(collect, secrets, problems, needs_secrets=needs_secrets)
    check_places(collect, model.state, problems)
    if model.source is not None and layers.origin(("source",)) == "file":
        check_read(collect, model.source, problems)


def _written(base: Path, formats: Mapping[str, Value], were: Mapping[KeyPath, str]) -> dict[str, str]:
    """Return how the paths of recordings are written, by where they lead.

    Also where a flag names other paths: these keep their formats.
    """
    files = formats.get("files")
    names = {place(base, one): one for one in (files if isinstance(files, dict) else ())}
    return names | {place(base, one): one for path, one in were.items() if path[:2] == ("source", "jsonl")}


def _data(document: Document, problems: Problems) -> dict[str, Value]:
    """Return the file's data; {} where it is empty, or not a mapping, which is reported."""
    tree = document.root
    data: Value = {} if tree is None or tree.value is None else tree.value
    if isinstance(data, dict):
        return data
    check(PipelineFile, data, problems, what=FILE)
    return {}


def _formats(
    data: dict[str, Value], topics: dict[str, Value], paths: Value, flags: Mapping[str, Value]
) -> tuple[dict[str, Value], Named]:
    """Return which shape reads what (`formats_of`), and the named shapes with their places.

    topics, paths: those of the file itself. A flag that names a format applies to all of them.
    """
    if any(flags.get(f"source.{kind}.format") for kind in ("jsonl", "kafka")):
        return formats_of(data, {}, None)
    formats, named = formats_of(data, topics, paths)
    add_collected(formats, map_at(data, "collect"))
    return formats, named


def _with_default_places(
    model: PipelineFile, data: dict[str, Value], base: Path, were: dict[KeyPath, str]
) -> PipelineFile:
    """Return the config with default paths for state and collector's folder, unless they are set."""
    if "state" not in data:
        were["state",] = model.state
        model = model.model_copy(update={"state": place(base, model.state)})
    at: KeyPath = ("collect", "to", "recording")
    if model.collect is not None and at not in were and "to" not in map_at(data, "collect"):
        recording = model.collect.to.recording
        if recording is not None:
            model = replaced(model, at, place(base, recording))
    return model


def _placed(problems: Problems, document: Document, layers: Layers) -> Iterator[Finding]:
    """Yield the problems at their places: in the file, or at the variable or flag that set the value."""
    for problem in problems.found:
        if _follows(problem, document.unset):
            continue
        origin = layers.origin(problem.path)
        if origin.startswith(("environment ", "flag ")):
            yield Finding(origin, 0, 0, problem.code, problem.message, problem.hint, problem.warning)
        else:
            yield locate_problem(document, problem)


def _follows(problem: Problem, unset: Sequence[KeyPath]) -> bool:
    """Return whether a problem is only a consequence of a placeholder without a value."""
    path = problem.path
    return any(
        path[: len(one)] == one
        or (path == one[:-1] and (isinstance(one[-1], int) or f"`{one[-1]}`" in problem.message))
        for one in unset
    )


def _source(file: PipelineFile) -> JsonlSource | KafkaSource | None:
    if file.source is None:
        return None if file.collect is None else followed(file.collect)
    return file.source.jsonl or file.source.kafka


def _misnamed(base: Path) -> list[Finding]:
    """Return the message about a pipeline.yml, which nobody reads."""
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
        message = f"cannot be read: {reason(error)}"
        return Document(FILE, [""], None, [Finding(FILE, 0, 0, "unreadable", message)])
    except ValueError as error:
        return Document(FILE, [""], None, [Finding(FILE, 0, 0, "unreadable", str(error))])


def _check_source(source: JsonlSource | KafkaSource | None, base: Path, problems: Problems) -> None:
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


def _line(document: Document, path: KeyPath) -> int:
    assert document.root is not None  # an origin in the file
    found = locate(document.root, path)
    return (found.key or found.node.span).line + 1
