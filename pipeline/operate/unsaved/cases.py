"""The events of a webhook's own tests, as samples: something to try it on when no job is running."""

from __future__ import annotations

from pathlib import Path

import orjson

from pipeline.config.files import SHAPES, TESTS, is_yaml
from pipeline.config.models.webhooks.case import Case, CaseFile
from pipeline.model.errors import ConfigError
from pipeline.model.records import Invalid
from pipeline.model.times import format_iso
from pipeline.operate.running.looks import Sample
from pipeline.operate.trials.cases import NOW, case_records
from pipeline.operate.trials.results import read_file
from pipeline.recording.native_lines import native_line


def case_samples(config: Path, file: str) -> list[Sample]:
    """Return the events of the test beside a webhook's file, each with its user; [] if unreadable."""
    if not is_yaml(file) or file.startswith(f"{SHAPES}/") or ".." in file:
        return []
    stem = file.rpartition(".")[0]
    for end in TESTS:
        path = config / f"{stem}{end}"
        if not path.is_file():
            continue
        try:
            cases, _ = read_file(path, f"{stem}{end}", CaseFile)
        except ConfigError:
            return []
        return [sample for case in cases.cases for sample in _samples(case, cases.format)]
    return []


def _samples(case: Case, format: str) -> list[Sample]:
    only = case.users[0] if len(case.users) == 1 else None
    found = []
    for number, given in enumerate(case.events):
        records = [
            orjson.loads(native_line(one))
            for one in case_records(given, number, only, format)
            if not isinstance(one, Invalid)
        ]
        if records:
            name = case.name if len(case.events) == 1 else f"{case.name} #{number + 1}"
            known = {} if only is None else only.properties
            found.append(Sample(f"case:{name}", format_iso(NOW), tuple(records), properties=known))
    return found
