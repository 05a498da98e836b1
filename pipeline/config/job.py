"""The job's own config: config/pipeline.yaml, overridden by HOOKLINE_* variables, overridden by flags.

Every value knows where it came from, for `hookline config show`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin

from pydantic import BaseModel

from pipeline.config.files import NO_DIRECTORY, JobDefaults
from pipeline.config.models.job import JsonlSource, KafkaSource, PipelineFile
from pipeline.config.models.validate import check, submodel
from pipeline.config.yaml import scalars
from pipeline.config.yaml.diagnostics import KeyPath, Problems
from pipeline.config.yaml.document import Document, locate
from pipeline.config.yaml.loader import decode_text, parse_yaml
from pipeline.config.yaml.locating import place
from pipeline.config.yaml.placeholders import substitute
from pipeline.language.secrets import Secrets
from pipeline.model.errors import ConfigError
from pipeline.model.findings import Finding, in_order
from pipeline.model.records import Json
from pipeline.model.words import did_you_mean

FILE = "pipeline.yaml"
PREFIX = "HOOKLINE_"
_OTHERS = frozenset({"CONFIG", "SHARED_DATA", "TEST_KAFKA"})
"""Variables of this prefix that are no settings of the job."""
_SHORT = {"SOURCE": ("source", "jsonl", "paths"), "FOLLOW": ("source", "jsonl", "follow")}
"""Variables named after a flag rather than after a field."""
_FLAGS = {
    "source.jsonl.paths": "--source",
    "network.allow": "--allow",
    "log.level": "--log-level",
    "log.format": "--log-format",
}
"""Flags that are not named after the last part of their field."""
_SECRET_FIELDS = ("password", "secret", "key", "token")


class Setting(NamedTuple):
    """One value of the job's config, for `hookline config show`."""

    name: str
    value: Json
    origin: str
    """``config/pipeline.yaml:3``, ``environment HOOKLINE_SHARDS``, ``flag --shards`` or ``default``."""


@dataclass(slots=True, frozen=True)
class PipelineConfig:
    """How the job runs, in plain values with their units."""

    source: JsonlSource | KafkaSource | None = None
    """None: nothing to read; `hookline run` then needs --source."""
    state: Path = Path("state")
    epoch_secs: float = 1.0
    shards: int = 8
    disk_reserve_bytes: int = 256 << 20
    join_max_wait_secs: float | None = None
    network_allow: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    delivery: Mapping[str, Json] = field(default_factory=dict)
    """Defaults of every webhook's `delivery`, as plain data of the file."""
    dead_letters_kafka: Mapping[str, Json] | None = None
    """topic, brokers (may be None: the source's), settings."""
    dead_letters_jsonl: str | None = None
    log_level: str = "info"
    log_format: str = "auto"
    settings: tuple[Setting, ...] = field(default=(), compare=False)

    @property
    def defaults(self) -> JobDefaults:
        """The parts that webhooks depend on."""
        return JobDefaults(self.exclude, self.delivery, self.network_allow)


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
    flags: Mapping[str, Json] | None = None,
    check_source: bool = False,
) -> PipelineReport:
    """Read the job's config.

    flags: values by dotted name (``source.jsonl.paths``, ``state``); a value of None is not given.
    check_source: a missing source, or a path that does not exist, is an error too (for `run`).
    """
    environ = os.environ if environ is None else environ
    base = Path(directory)
    root = str(directory)
    document = _document(base)
    problems = Problems()
    tree = document.root
    substitute(document, Secrets(environ, base))
    findings = list(document.findings)
    data: Json = {} if tree is None else tree.value
    if not isinstance(data, dict):
        problems.error((), "wrong-type", "pipeline.yaml is a map of fields")
        data = {}
    origins: dict[KeyPath, str] = {}
    _note_file(data, (), origins)
    _apply_environment(data, environ, origins, findings)
    for name, value in (flags or {}).items():
        if value is not None:
            _set(
                data,
                tuple(name.split(".")),
                value,
                origins,
                f"flag {_flag(name)}",
            )
    model = check(PipelineFile, data, problems, what="pipeline.yaml")
    source = None
    if model is not None and model.source is not None:
        source = model.source.jsonl or model.source.kafka
    if check_source and model is not None:
        _check_source(source, base, problems)
    for problem in problems.found:
        origin = _origin_of(problem.path, origins)
        if origin.startswith(("environment ", "flag ")):
            findings.append(
                Finding(origin, 0, 0, problem.code, problem.message, problem.hint, problem.warning)
            )
        else:
            findings.append(place(document, problem))
    findings = in_order(findings)
    if model is None or any(not f.warning for f in findings):
        return PipelineReport(None, findings, root)
    shown = tuple(_settings(model, origins, document, root))
    letters = model.dead_letters
    config = PipelineConfig(
        source=source,
        state=Path(model.state),
        epoch_secs=model.epoch,
        shards=model.shards,
        disk_reserve_bytes=model.disk_reserve,
        join_max_wait_secs=model.join.max_wait,
        network_allow=tuple(model.network.allow),
        exclude=tuple(model.exclude),
        delivery=data.get("delivery", {}),
        dead_letters_kafka=letters.kafka.model_dump() if letters.kafka is not None else None,
        dead_letters_jsonl=letters.jsonl.path if letters.jsonl is not None else None,
        log_level=model.log.level,
        log_format=model.log.format,
        settings=shown,
    )
    return PipelineReport(config, findings, root)


def _flag(name: str) -> str:
    return _FLAGS.get(name) or "--" + name.split(".")[-1].replace("_", "-")


def variables() -> Iterator[tuple[str, KeyPath]]:
    """Yield every HOOKLINE_* variable with the field it sets."""
    for path, _ in _leaves(PipelineFile):
        yield PREFIX + "_".join(map(str, path)).upper(), path
    for name, short in _SHORT.items():
        yield PREFIX + name, short


def _document(base: Path) -> Document:
    path = base / FILE
    try:
        return parse_yaml(decode_text(path.read_bytes()), FILE)
    except FileNotFoundError:
        return Document(FILE, [""])
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        return Document(FILE, [""], None, [Finding(FILE, 0, 0, "unreadable", message)])
    except ValueError as error:
        return Document(FILE, [""], None, [Finding(FILE, 0, 0, "unreadable", str(error))])


def _apply_environment(
    data: dict[str, Json], environ: Mapping[str, str], origins: dict[KeyPath, str], findings: list[Finding]
) -> None:
    known = dict(variables())
    leaves = dict(_leaves(PipelineFile))
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name[len(PREFIX) :] in _OTHERS:
            continue
        path = known.get(name)
        if path is None:
            close = did_you_mean(name, known, likeness=0.85)
            if close:
                findings.append(
                    Finding(
                        f"environment {name}",
                        0,
                        0,
                        "unknown-variable",
                        f"`{name}` sets nothing",
                        f"did you mean `{close}`?",
                        warning=True,
                    )
                )
            continue
        _set(data, path, _from_text(environ[name], leaves[path]), origins, f"environment {name}")


def _from_text(text: str, annotation: Any) -> Json:
    """Return a variable's value as the field's type wants it: lists are separated by commas."""
    kinds = {get_origin(part) or part for part in (annotation, *get_args(annotation))}
    if list in kinds:
        return [part.strip() for part in text.split(",") if part.strip()]
    if kinds & {bool, int}:
        if bool in kinds and text in ("0", "1"):
            return text == "1"
        return scalars.resolve(text)
    return None if text == "null" and type(None) in kinds else text


def _set(data: dict[str, Json], path: KeyPath, value: Json, origins: dict[KeyPath, str], origin: str) -> None:
    here = data
    for index, part in enumerate(path[:-1]):
        if path[index - 1 : index] == ("source",) and index == 1 and part not in here:
            # Another kind of source replaces the one that a lower layer named.
            for other in list(here):
                del here[other]
        inner = here.get(str(part))
        if not isinstance(inner, dict):
            inner = here[str(part)] = {}
        here = inner
    if path == ("source", "jsonl", "paths"):
        here.pop("events", None)
        here.pop("users", None)
    here[str(path[-1])] = value
    for known in [known for known in origins if known[: len(path)] == path]:
        del origins[known]
    origins[path] = origin


def _note_file(value: Json, path: KeyPath, origins: dict[KeyPath, str]) -> None:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            _note_file(inner, (*path, key), origins)
    elif path:
        origins[path] = "file"


def _origin_of(path: KeyPath, origins: Mapping[KeyPath, str]) -> str:
    for length in range(len(path), 0, -1):
        if path[:length] in origins:
            return origins[path[:length]]
    inside = [origin for known, origin in origins.items() if path and known[: len(path)] == path]
    return inside[-1] if inside else "default"


def _check_source(source: JsonlSource | KafkaSource | None, base: Path, problems: Problems) -> None:
    if source is None and not base.is_dir():
        problems.error((), "missing-directory", f"`{base}`: {NO_DIRECTORY}")
    elif source is None:
        problems.error(
            (),
            "missing-source",
            "there is nothing to read: pipeline.yaml has no `source`",
            hint="name a recording with --source FILE, or add `source: {jsonl: {paths: [..]}}`",
        )
    elif isinstance(source, JsonlSource):
        for name in ("paths", "events", "users"):
            for index, path in enumerate(getattr(source, name) or ()):
                if path != "-" and not os.path.exists(path):
                    at: Sequence[str | int] = ("source", "jsonl", name, index)
                    problems.error(
                        tuple(at),
                        "missing-path",
                        f"there is no file or directory `{path}`",
                        hint=None if os.path.isabs(path) else f"looked for it in {os.getcwd()}",
                    )


def _leaves(model: type[BaseModel], prefix: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    for name, info in model.model_fields.items():
        path = (*prefix, info.alias or name)
        inner = submodel(info.annotation)
        if inner is None:
            yield path, info.annotation
        else:
            yield from _leaves(inner, path)


def _settings(
    model: BaseModel, origins: Mapping[KeyPath, str], document: Document, root: str, prefix: KeyPath = ()
) -> Iterator[Setting]:
    for name, info in type(model).model_fields.items():
        path = (*prefix, info.alias or name)
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _settings(value, origins, document, root, path)
            continue
        if value is None and submodel(info.annotation) is not None:
            continue
        origin = _origin_of(path, origins)
        if origin == "file":
            origin = f"{os.path.join(root, FILE)}:{_line(document, path)}"
        yield Setting(".".join(map(str, path)), _masked(value), origin)


def _line(document: Document, path: KeyPath) -> int:
    assert document.root is not None  # an origin in the file
    found = locate(document.root, path)
    return (found.key or found.node.span).line + 1


def _masked(value: Json) -> Json:
    """Return a value for showing: what looks like a password among free settings is hidden."""
    if isinstance(value, dict):
        return {
            key: "***" if any(word in key.lower() for word in _SECRET_FIELDS) else _masked(inner)
            for key, inner in value.items()
        }
    return value
