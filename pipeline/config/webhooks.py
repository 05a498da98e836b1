"""From config texts to checked webhooks and labels: parse, substitute settings, merge bases, validate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Final, Generic, TypeAlias, TypeVar

import orjson

from pipeline.config.documents import (
    UNREAD,
    is_body_condition,
    is_setting,
    is_var,
    list_candidates,
    list_names,
    named_setting,
    read_list,
)
from pipeline.config.files import SHAPES, ConfigText, is_webhook, is_yaml
from pipeline.config.models.salvage import salvage
from pipeline.config.models.shape import ShapeFile
from pipeline.config.models.validate import check, check_quoted, describe
from pipeline.config.models.webhooks.label import LabelFile
from pipeline.config.models.webhooks.webhook import WebhookFile
from pipeline.config.yaml.diagnostics import KeyPath, Problems
from pipeline.config.yaml.document import Document, Node
from pipeline.config.yaml.extends import merge_data, resolve_base
from pipeline.config.yaml.locating import place
from pipeline.config.yaml.placeholders import Places, among, everywhere, nowhere, substitute
from pipeline.model.findings import Finding
from pipeline.model.json import Value
from pipeline.model.process.bounds import SMALLER
from pipeline.model.process.under_way import begins

M = TypeVar("M", WebhookFile, LabelFile, ShapeFile)

MAX_VALUES: Final = 20_000
"""Values per file. Long lists belong in list files, which are read much faster."""
MAX_CHARS: Final = 64 << 20
"""Characters of all files together."""


@dataclass(slots=True, eq=False)
class CheckedFile(Generic[M]):
    """A webhook, label or shape file that its model accepts."""

    file: str
    root: Node
    data: dict[str, Value]
    """Plain data: bases and defaults merged, settings resolved, secrets as written."""
    model: M
    """The compilers' input: the validated data with defaults."""
    lists: Mapping[str, list[str]]
    """Entries of the list files that it names, by the name as written."""
    problems: Problems
    """For the compilers: paths from the root of ``data``."""

    @property
    def definition(self) -> str:
        """Hash of the file's data, without comments: 32 hex digits."""
        return blake2b(orjson.dumps(self.data), digest_size=16).hexdigest()

    def findings(self) -> list[Finding]:
        """Return the problems at their places."""
        return _placed(self.root, self.problems)


CheckedWebhook: TypeAlias = CheckedFile[WebhookFile]
CheckedLabel: TypeAlias = CheckedFile[LabelFile]
CheckedShape: TypeAlias = CheckedFile[ShapeFile]


@dataclass(slots=True, eq=False)
class CheckedConfig:
    """All files of a config that their models accept, sorted by name, and the findings so far."""

    webhooks: list[CheckedWebhook]
    labels: list[CheckedLabel]
    findings: list[Finding]
    partial: list[CheckedWebhook] = field(default_factory=list)
    """Webhooks rejected by their model, without the faulty parts: compilers search them for
    further faults."""
    broken_labels: set[str] = field(default_factory=set)
    """Labels whose files have errors: conditions that use them are not at fault."""
    shapes: list[CheckedShape] = field(default_factory=list)
    stored: bool = False
    """True: a version from a state directory, not the present files."""
    too_large: set[str] = field(default_factory=set)
    """Files that are not parsed because they are too large."""


@dataclass(slots=True, frozen=True, eq=False)
class Kept:
    """Files of an earlier version that mean the same in this one, by name."""

    webhooks: Mapping[str, CheckedWebhook] = field(default_factory=dict)
    labels: Mapping[str, CheckedLabel] = field(default_factory=dict)

    def root(self, name: str) -> Node | None:
        """Return the parsed tree of a kept file, else None."""
        found = self.webhooks.get(name) or self.labels.get(name)
        return None if found is None else found.root


def check_files(text: ConfigText, *, stored: bool = False, kept: Kept = Kept()) -> CheckedConfig:
    """Parse and validate every file. Files with errors are missing from the result, their faults are noted.

    stored: the text is a version from a state directory (see `Problems.refuse`). kept: files that are reused
    without parsing.
    """
    findings = [Finding(name, 0, 0, "unreadable", message) for name, message in text.faults.items()]
    settings = among(text.settings)
    findings += [
        Finding(name, 0, 0, "not-read", message, warning=True) for name, message in text.strays.items()
    ]
    documents = text.documents
    size = sum(map(len, text.files.values()))
    if size > MAX_CHARS and not stored:
        message = f"all files hold {size:,} characters together: {MAX_CHARS:,} at most are read"
        return CheckedConfig([], [], [Finding("", 0, 0, "config-too-large", message, SMALLER)])
    checked = CheckedConfig([], [], findings, stored=stored)
    for name in documents:
        known = kept.root(name)
        document = documents[name] if known is None else known.document
        if known is None:
            begins(name)
            substitute(document, settings, _places(name, text.language, stored))
        findings.extend(document.findings)
        if document.values > MAX_VALUES and not stored:
            findings.append(_too_many(document))
            checked.too_large.add(name)
    for name in sorted(documents):
        if name in kept.webhooks:
            checked.webhooks.append(kept.webhooks[name])
            continue
        if name in kept.labels:
            checked.labels.append(kept.labels[name])
            continue
        document = documents[name]
        if document.root is None or name in checked.too_large:
            continue
        begins(name)
        if name.startswith("labels/"):
            _label(document, text, checked)
        elif name.startswith(f"{SHAPES}/"):
            shape = _alone(ShapeFile, document, text, checked, what="a shape")
            checked.shapes += [] if shape is None else [shape]
        elif is_webhook(name):
            _webhook(document, text, checked)
        elif name.startswith("webhooks/_"):
            _base(document, checked)
    _check_unique(checked.webhooks, "id", lambda model: model.id, "duplicate-id", findings)
    _check_unique(checked.labels, "name", lambda model: model.name, "duplicate-label", findings)
    # The compiler gets one of each: it would find the same fault again.
    checked.labels = list({file.model.name: file for file in reversed(checked.labels)}.values())[::-1]
    return checked


def _too_many(document: Document) -> Finding:
    message = f"the file holds {document.values:,} values: {MAX_VALUES:,} are the most"
    return Finding(document.file, 0, 0, "file-too-large", message, SMALLER)


def _places(name: str, language: int, stored: bool) -> Places:
    if not name.startswith("webhooks/"):
        if language == 1:
            return Places(stored=stored)
        return Places(refused=nowhere if stored else everywhere, named=named_setting, stored=stored)
    if language == 1:
        return Places(is_setting, stored=stored)

    def settings(path: KeyPath) -> bool:
        return is_setting(path) or (language > 3 and is_body_condition(path))

    def refused(path: KeyPath) -> bool:
        return not stored and (path[:2] == ("trigger", "where") or is_body_condition(path))

    return Places(settings, is_var, refused, named_setting, stored)


_TAKEN_AWAY: Final = "null takes away what the base has, such as `events: null`"


def _webhook(document: Document, text: ConfigText, checked: CheckedConfig) -> None:
    root, base = resolve_base(document, text.documents, checked.findings)
    problems = Problems(stored=checked.stored)
    data = root.value
    if text.defaults.delivery and isinstance(data, dict):
        data = {**data, "delivery": merge_data(text.defaults.delivery, data.get("delivery", {}))}
    quoted = document.quoted if base is None else {**base.quoted, **document.quoted}
    model = check_quoted(WebhookFile, data, quoted, problems, what="a webhook")
    sources = (document,) if base is None else (document, base)
    named = any(text.documents.uses(one.file).lists for one in sources)
    lists = _lists(data, document, text) if named or any(list_names(text.defaults.delivery)) else {}
    if model is not None and not _broken(document) and not (base is not None and _broken(base)):
        checked.webhooks.append(CheckedFile(document.file, root, data, model, lists, problems))
        return
    if model is None and isinstance(data, dict):
        kept, model = salvage(data, problems)
        if model is not None:
            checked.partial.append(
                CheckedFile(document.file, root, kept, model, lists, Problems(stored=checked.stored))
            )
    if isinstance(data, dict) and "extends" in data and (base is None or not base.is_base):
        # What its base would have said is unknown.
        problems.found[:] = [one for one in problems.found if one.code != "missing-field"]
    elif base is not None:
        problems.found[:] = [
            replace(one, hint=_TAKEN_AWAY) if one.code == "one-of" else one for one in problems.found
        ]
    checked.findings.extend(_placed(root, problems))


def _base(document: Document, checked: CheckedConfig) -> None:
    root, problems = document.root, Problems(stored=checked.stored)
    assert root is not None  # the caller leaves out what could not be read
    if not isinstance(root.value, dict):
        message = f"a base is a map of fields, not {describe(root.value)}"
        problems.refuse((), "wrong-type", message, hint="write `field: value` lines")
    checked.findings.extend(_placed(root, problems))


def _label(document: Document, text: ConfigText, checked: CheckedConfig) -> None:
    label = _alone(LabelFile, document, text, checked, what="a label")
    if label is not None:
        checked.labels.append(label)
        return
    name = document.fields.get("name")
    if isinstance(name, str):
        checked.broken_labels.add(name)


def _alone(
    kind: type[M], document: Document, text: ConfigText, checked: CheckedConfig, *, what: str
) -> CheckedFile[M] | None:
    """Return a file that extends no other; None after adding its findings."""
    root, problems = document.root, Problems(stored=checked.stored)
    assert root is not None  # the caller skips what could not be read
    data = root.value
    model = check(kind, data, problems, what=what)
    if model is not None and not _broken(document):
        return CheckedFile(document.file, root, data, model, _lists(data, document, text), problems)
    checked.findings.extend(_placed(root, problems))
    return None


def _placed(root: Node, problems: Problems) -> list[Finding]:
    return [place(root.document, problem, root) for problem in problems.found]


def _broken(document: Document) -> bool:
    # A setting without a value is a fault, but other faults can be found all the same.
    return any(not finding.warning and finding.code != "missing-setting" for finding in document.findings)


def _lists(data: Value, document: Document, text: ConfigText) -> dict[str, list[str]]:
    """Return the list files that conditions of this file name. A missing one is reported by the
    conditions.
    """
    lists: dict[str, list[str]] = {}
    for named in list_names(data):
        for candidate in list_candidates(named, document.file):
            content = text.files.get(candidate)
            if content is not None and not (is_yaml(candidate) and candidate in text.documents):
                lists[named] = read_list(content)
                break
            if candidate in text.faults:
                lists[named] = UNREAD
                break
    return lists


def _check_unique(
    files: Sequence[CheckedFile[M]],
    field: str,
    named: Callable[[M], str],
    code: str,
    findings: list[Finding],
) -> None:
    first: dict[str, CheckedFile[M]] = {}
    for file in files:
        name = named(file.model)
        other = first.setdefault(name, file)
        if other is file:
            continue
        assert file.root.items is not None  # a model accepted it
        node = file.root.items[field][1]
        message = f"the {field} `{name}` is already used in {other.file}"
        hint = f"give one of them another {field}, or delete one"
        findings.append(node.document.finding(node.span, code, message, hint=hint))
