"""The shapes and formats of a config: which shape reads the records of which topic or file."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

import orjson

from pipeline.config.files import SHAPES, ConfigText, JobDefaults, config_files, read_files
from pipeline.config.formats import frame_kind, shape_name
from pipeline.config.models.installation.source import TableSettings
from pipeline.config.models.shape import InlineShape
from pipeline.config.models.validate import check
from pipeline.config.webhooks import CheckedConfig, check_files
from pipeline.config.yaml.diagnostics import KeyPath, Problem, Problems
from pipeline.config.yaml.document import Document
from pipeline.config.yaml.loader import decode_text, parse_yaml
from pipeline.config.yaml.locating import place
from pipeline.decode.auto import AUTO
from pipeline.decode.collected import collected
from pipeline.decode.connect.debezium import Table
from pipeline.decode.decode import BY_NAME, COLLECTED
from pipeline.decode.formats import Formats
from pipeline.decode.shape import Shape
from pipeline.language.path_syntax import Path
from pipeline.language.record_paths import ROOTS, parse_record_path
from pipeline.match.conditions.compile import compile_condition
from pipeline.model.errors import ConfigError
from pipeline.model.files.plain_file import read_plain
from pipeline.model.findings import Finding, errors_in
from pipeline.model.json import Value, map_at
from pipeline.model.words import meant_or

if TYPE_CHECKING:
    from pipeline.decode.mapped.conditions import CompileConditions, Judge

FILE = "pipeline.yaml"
_PATHS = ("source", "jsonl", "paths")
INLINE = "the custom shape in pipeline.yaml"
"""The name in reasons of a shape without a name."""


def compile_formats(text: ConfigText, checked: CheckedConfig) -> Formats:
    """Return which shape reads what; mistakes are added to the findings, or to the files' problems."""
    own = _own_shapes(checked)
    spec = text.defaults.formats
    compiling = _Formats(text, checked, own)
    topics: Mapping[str, Value] = spec.get("topics", {})
    files: Mapping[str, Value] = spec.get("files", {})
    of_topics = {
        name: compiling.shape(format, ("source", "kafka", "topics", name, "format"))
        for name, format in topics.items()
    }
    of_files = {name: compiling.shape(format, (*_PATHS, name, "format")) for name, format in files.items()}
    kind = "kafka" if topics else "jsonl"
    default = compiling.shape(spec.get("default", "auto"), ("source", kind, "format"))
    compiling.report()
    return Formats(
        default, of_topics, of_files, own, of_files.get(spec.get("others", "")), compiling.collected
    )


def read_formats(directory: FilePath, defaults: JobDefaults) -> Formats:
    """Return which shape reads what in a config directory, ignoring its webhooks. Raises ConfigError."""
    names = [name for name in config_files(directory) if name.startswith(f"{SHAPES}/")]
    text = read_files(directory, names, defaults=defaults)
    checked = check_files(text)
    formats = compile_formats(text, checked)
    findings = _findings(checked)
    if errors_in(findings):
        raise ConfigError(findings, root=text.root)
    return formats


def compile_own(name: str, text: str) -> Shape:
    """Return the custom shape in a text that is not a config file yet. Raises ConfigError."""
    file = f"{SHAPES}/{name}.yaml"
    checked = check_files(ConfigText({file: text}))
    own = _own_shapes(checked)
    findings = _findings(checked)
    if errors_in(findings) or name not in own:
        raise ConfigError(findings or f"{file} holds no shape `{name}`")
    return own[name]


def _findings(checked: CheckedConfig) -> list[Finding]:
    return [*checked.findings, *(found for file in checked.shapes for found in file.findings())]


def _own_shapes(checked: CheckedConfig) -> dict[str, Shape]:
    found: dict[str, Shape] = {}
    files: dict[str, str] = {}
    for file in checked.shapes:
        name = shape_name(file.file, file.data)
        if name in BY_NAME:
            message = f"`{name}` is the name of a built-in shape"
            file.problems.error(("name",), "duplicate-shape", message, hint="give it another name")
        elif name in found:
            message = f"the name `{name}` is already used in {files[name]}"
            file.problems.error(("name",), "duplicate-shape", message, hint="give one of them another name")
        when = partial(compile_when, lists=file.lists)
        found[name] = _own_shape(name, file.model, file.data, file.problems, when)
        files[name] = file.file
    return found


def _own_shape(
    name: str, model: InlineShape, data: Value, problems: Problems, conditions: CompileConditions
) -> Shape:
    from pipeline.decode.mapped.shape import compile_shape  # a dozen files, not for who has no custom shape

    return compile_shape(name, model, data, problems, conditions)


def compile_when(
    tree: Value, problems: Problems, levels: int, lists: Mapping[str, Collection[str]] | None = None
) -> Judge:
    """Return the judge of a `when`: conditions of triggers, over paths of records."""
    from pipeline.decode.mapped.conditions import Judge

    paths: list[Path] = []

    def parse(text: str) -> Path:
        path = parse_record_path(text, levels)
        paths.append(path)
        return path

    condition = compile_condition(tree, problems, lists=lists, roots=ROOTS, parse=parse)
    clauses = tuple((node.text, node.test) for node in condition.nodes)
    return Judge(condition.whole, clauses, tuple(paths))


def _table(data: Value) -> Table:
    """Return how a Debezium table is read, from pipeline.yaml."""
    model = TableSettings.model_validate(data)
    return Table(tuple(model.key), frozenset(model.exclude), model.rename, model.gives)


class _Formats:
    """Turns formats of pipeline.yaml into shapes, each of them once."""

    def __init__(self, text: ConfigText, checked: CheckedConfig, own: Mapping[str, Shape]) -> None:
        self._text = text
        self._checked = checked
        self._own = own
        self.collected = collected({**BY_NAME, **own}) if own else COLLECTED
        """For a collector's lines: hooks may name custom shapes, too."""
        self._inline: dict[bytes, Shape] = {}
        self._problems = Problems(stored=checked.stored)

    def shape(self, format: Value, path: KeyPath) -> Shape:
        """Return the shape of a format that stands at this place."""
        if isinstance(format, dict) and "table" in format:
            return _table(format["table"]).shape
        kind = frame_kind(format)
        if kind is not None:
            return self._framed(kind, format[kind], (*path, kind))
        if not isinstance(format, str):
            key = orjson.dumps(format, option=orjson.OPT_SORT_KEYS)
            if key not in self._inline:
                self._inline[key] = self._compiled(format, self._problems.at(*path))
            return self._inline[key]
        if format == COLLECTED.name:
            return self.collected
        shape = BY_NAME.get(format) or self._own.get(format)
        if shape is None:
            # A broken shape file is reported there.
            if not any(found.file.startswith("shapes/") for found in self._checked.findings):
                known = [*BY_NAME, *self._own]
                hint = meant_or(format, known, f"there are {', '.join(known)}")
                self._problems.error(path, "unknown-format", f"there is no shape `{format}`", hint=hint)
            return AUTO
        return shape

    def _compiled(self, data: Value, problems: Problems) -> Shape:
        model = check(InlineShape, data, problems, what="a shape")
        return (
            AUTO if model is None else _own_shape(model.name or INLINE, model, data, problems, compile_when)
        )

    def _framed(self, kind: str, data: Value, path: KeyPath) -> Shape:
        # Only for configs with framed records.
        from pipeline.decode.framed.avro import INSTALL, is_installed
        from pipeline.decode.framed.framing import Frame
        from pipeline.decode.framed.schemas import Registry
        from pipeline.decode.framed_shapes import framed

        then = self.shape(data.get("then", "auto"), (*path, "then"))
        if kind == "json_schema":
            return framed(Frame("json_schema"), then)
        if not is_installed():
            message = "records of Avro are read by the package `fastavro`, which is not installed"
            self._problems.error(path, "missing-package", message, hint=f"run {INSTALL}")
            return then
        words = {name: data.get(name) for name in ("username", "password", "token", "ca")}
        return framed(Frame("avro", Registry(data["registry"].rstrip("/"), **words)), then)

    def report(self) -> None:
        """Add the problems to the findings, at their places in pipeline.yaml."""
        if self._problems.found:
            document = self._document()
            self._checked.findings += [
                place(document, _indexed(problem, document))
                if document.root is not None
                else Finding(FILE, 0, 0, problem.code, problem.message, problem.hint, problem.warning)
                for problem in self._problems.found
            ]

    def _document(self) -> Document:
        try:
            return parse_yaml(decode_text(read_plain(FilePath(self._text.root) / FILE)), FILE)
        except (OSError, ValueError):
            return Document(FILE, [""])


def _indexed(problem: Problem, document: Document) -> Problem:
    """Return a problem of a path's format with the path replaced by its index."""
    if problem.path[:3] != _PATHS or len(problem.path) < 4:
        return problem
    data = map_at(document.data, *_PATHS[:-1]).get(_PATHS[-1])
    for index, one in enumerate(data if isinstance(data, list) else [data]):
        if isinstance(one, dict) and one.get("path") == problem.path[3]:
            between = (index,) if isinstance(data, list) else ()
            return replace(problem, path=(*_PATHS, *between, *problem.path[4:]))
    return problem
