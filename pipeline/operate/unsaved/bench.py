"""The whole config, kept compiled; an unsaved text replaces its file and only that is recompiled.

In the process of `child.py` alone: nothing here is bounded but by it.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from pipeline.compile.snapshot import Report, Snapshot, as_enabled, compile_config
from pipeline.compile.trial.desk import AskBack, AskedFor
from pipeline.compile.webhook import Webhook
from pipeline.config.files import (
    SHAPES,
    ConfigText,
    JobDefaults,
    config_files,
    is_webhook,
    read_config,
    wanted_lists,
)
from pipeline.config.job import PipelineReport, load_pipeline
from pipeline.config.layers import PREFIX
from pipeline.config.places import FILE
from pipeline.config.yaml.loader import decode_text
from pipeline.language.secrets import SecretRef, Secrets
from pipeline.model.files.plain_file import NO_SIGN, Sign, read_plain, sign_at
from pipeline.model.findings import Finding
from pipeline.model.json import Value
from pipeline.operate.check import all_found
from pipeline.operate.unsaved.listing import said_of
from pipeline.operate.unsaved.results import Checked

SETTLED_NS: Final = 50_000_000
"""A file changed more recently may change again without a visible difference."""
REPLACED: Final = 10_000
"""Replaced objects that may accumulate before a full collection; an edit leaves a hundred or two."""
STAND_IN: Final = "set"
"""Stands for values in pipeline.yaml that only the job knows."""


@dataclass(slots=True, frozen=True)
class Tried:
    """A config with an unsaved text."""

    report: Report
    file: str | None

    @property
    def webhook(self) -> Webhook | None:
        """The webhook that the file defines, ready to be tried; None where it cannot be."""
        if not Checked(self.file or "", tuple(self.report.findings)).can_be_tried:
            return None
        return _of_file(self.report.basis, self.file)

    @property
    def webhook_id(self) -> str | None:
        """The id that the file gives, if there is one."""
        found = self.data.get("id")
        return found if isinstance(found, str) else None

    @property
    def enabled(self) -> bool | None:
        """Whether the file says that it is enabled; None where it is not a webhook."""
        if self.file is None or not is_webhook(self.file):
            return None
        return self.data.get("enabled", True) is not False

    @property
    def data(self) -> dict[str, Value]:
        """The file's data, with bases merged as far as possible; {} where it has none."""
        return {} if self.file is None else data_of(self.report.basis, self.file)


def data_of(snapshot: Snapshot | None, name: str) -> dict[str, Value]:
    """Return a file's data in a version; with errors, as much as could be read."""
    if snapshot is None:
        return {}
    for file in (*snapshot.checked.webhooks, *snapshot.checked.partial):
        if file.file == name:
            return file.data
    return said_of(snapshot, name)


def _of_file(snapshot: Snapshot | None, file: str | None) -> Webhook | None:
    if snapshot is None:
        return None
    found = next((one for one in snapshot.webhooks if one.file == file), None)
    return None if found is None else as_enabled(found, snapshot)


class Known(Secrets):
    """Secrets, including those known by name only: the job has them, this process does not."""

    def __init__(self, environ: Mapping[str, str], base: Path, is_named: Callable[[str], bool]) -> None:
        super().__init__(environ, base)
        self._is_named = is_named

    def known(self, ref: SecretRef) -> bool:
        """Return whether it has a value, here or in the job."""
        return super().known(ref) or (ref.file is None and self._is_named(ref.key))


class Bench:
    """A config directory as it is on disk now, and the effect of unsaved texts on it."""

    def __init__(self, config: Path, ask: AskBack) -> None:
        self.config = config
        self._ask = ask
        self._environ = AskedFor(ask)
        self._named: dict[str, bool] = {}
        self._ours: dict[str, str] = {}
        self._version = -1
        self._files: dict[str, tuple[Sign, str]] = {}
        self._unread: dict[str, Sign] = {}
        """Files that cannot be read."""
        self._lists: list[str] = []
        self._key: object = None
        self._plain: _Pipeline | None = None
        self._frozen = 0
        """Objects that the garbage collector skipped after its last full collection."""
        self._secrets: Secrets | None = None
        """Those with which `saved` was compiled."""
        self.saved = Tried(Report(None, []), None)
        """The config as it is on disk."""

    def look(self, version: int) -> None:
        """Take in changes on disk and in the environment. version: of the environment."""
        if version != self._version:
            self._version = version
            self._environ.forget()
            self._named.clear()
            self._ours = self._ask({"prefix": PREFIX})
        texts = self._texts()
        pipeline = self._plain = self._pipeline({})
        secrets = self._known()
        lists = self._listed()
        config = pipeline.report.config
        defaults = None if config is None else config.defaults
        key = (texts, lists, self._unread, defaults, pipeline.report.findings)
        if key == self._key and self._secrets is not None and self._secrets.agree(secrets):
            return
        text, self.saved = self._compiled(texts, pipeline, secrets, None)
        self._tidy()
        self._secrets = secrets
        self._lists = wanted_lists(text)
        self._key = (texts, self._listed(), *key[2:])

    def _tidy(self) -> None:
        """Collect garbage, and keep the collector from walking a thousand webhooks again and again.

        What an edit has replaced is among the objects it skips: once these are many, it collects everything.
        """
        if gc.get_freeze_count() > self._frozen + REPLACED:
            gc.unfreeze()
        gc.collect()
        was_whole = not gc.get_freeze_count()
        gc.freeze()
        if was_whole:
            self._frozen = gc.get_freeze_count()

    def tried(self, file: str, text: str | None) -> Tried:
        """Return the config with a text in a file's place (None: without the file)."""
        unsaved = {file: text}
        texts: dict[str, str | None] = {name: one for name, (_, one) in self._files.items()}
        # Of all files only pipeline.yaml names shapes.
        pipeline = self._pipeline(unsaved) if self._plain is None or file.startswith(SHAPES) else self._plain
        return self._compiled(texts | unsaved, pipeline, self._known(), file)[1]

    def before(self, file: str) -> Webhook | None:
        """Return the webhook that the file on disk defines; None where there is none, or it has errors."""
        return Tried(self.saved.report, file).webhook

    def is_named(self, name: str) -> bool:
        """Return whether the job has a variable."""
        if name not in self._named:
            self._named[name] = self._ask({"named": name})
        return self._named[name]

    def is_set(self, name: str) -> bool:
        """Return whether a variable is set where requests are sent from."""
        return bool(self._environ.get(name)) or self.is_named(name)

    def _listed(self) -> list[Sign]:
        return [sign_at(f"{self.config}/{name}") for name in self._lists]

    def _known(self) -> Known:
        return Known(self._environ, self.config, self.is_named)

    def _compiled(
        self, texts: Mapping[str, str | None], pipeline: _Pipeline, secrets: Known, file: str | None
    ) -> tuple[ConfigText, Tried]:
        last = self.saved.report.basis
        if last is not None and self._secrets is not None and not self._secrets.agree(secrets):
            last = None
        config = pipeline.report.config
        text = read_config(
            self.config,
            environ=self._environ,
            defaults=JobDefaults() if config is None else config.defaults,
            before=None if last is None else last.text,
            unsaved=texts,
        )
        report = compile_config(text, secrets=secrets, before=last)
        report.findings = [
            one for one in all_found(pipeline.report, report) if not pipeline.stood_in or not _doubtful(one)
        ]
        return text, Tried(report, file)

    def _pipeline(self, unsaved: Mapping[str, str | None]) -> _Pipeline:
        environ = _Whole(self._environ, self._ours, self.is_named)
        report = load_pipeline(self.config, environ=environ, collects=True, unsaved=unsaved)
        return _Pipeline(report, environ.stood_in)

    def _texts(self) -> dict[str, str | None]:
        """Return the texts of all readable YAML files, each read again once it has changed."""
        found: dict[str, tuple[Sign, str]] = {}
        self._unread = {}
        now = time.time_ns()
        base = str(self.config)
        for name in config_files(self.config):
            path = f"{base}/{name}"
            sign = sign_at(path)
            known = self._files.get(name)
            if known is None or known[0] != sign:
                try:
                    known = sign, decode_text(read_plain(Path(path)))
                except (OSError, ValueError):
                    self._unread[name] = sign
                    continue
            if now - sign.changed_ns < SETTLED_NS:
                known = NO_SIGN, known[1]
            found[name] = known
        self._files = found
        return {name: text for name, (_, text) in found.items()}


class _Pipeline(NamedTuple):
    """The contents of pipeline.yaml."""

    report: PipelineReport
    stood_in: bool
    """Whether it refers to values that only the job knows."""


def _doubtful(finding: Finding) -> bool:
    """Return whether a finding may be due to a value that only the job knows."""
    return finding.file == FILE and not finding.warning and not finding.code.startswith("unknown-")


class _Whole(Mapping[str, str]):
    """The environment for pipeline.yaml: values that only the job knows are replaced by a stand-in."""

    def __init__(
        self, environ: Mapping[str, str], ours: Mapping[str, str], is_named: Callable[[str], bool]
    ) -> None:
        self._environ = environ
        self._ours = ours
        self._is_named = is_named
        self.stood_in = False

    def __getitem__(self, name: str) -> str:
        if name in self._ours:
            return self._ours[name]
        try:
            return self._environ[name]
        except KeyError:
            if not self._is_named(name):
                raise
            self.stood_in = True
            return STAND_IN

    def __iter__(self) -> Iterator[str]:
        return iter(self._ours)

    def __len__(self) -> int:
        return len(self._ours)
