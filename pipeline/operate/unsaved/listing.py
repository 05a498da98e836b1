"""The webhooks of a config by name, including faulty ones as far as they can be read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Final

from pipeline.compile.snapshot import Report, Snapshot
from pipeline.config.files import is_webhook
from pipeline.config.models.field_types import is_id
from pipeline.model.json import Value, map_at

_ID_LINE: Final = re.compile(r"""^id:[ \t]*["']?([A-Za-z0-9._-]{1,64})["']?[ \t]*(?:#.*)?$""", re.MULTILINE)


def names_of(basis: Snapshot) -> Mapping[str, str]:
    """Return the name of each webhook by its file: its id, or the file where the id is invalid or taken.

    So each can be found, opened and fixed, whatever is wrong with it.
    """
    good = {one.file: one.model.id for one in basis.checked.webhooks}
    files = {*filter(is_webhook, basis.text.files), *filter(is_webhook, basis.text.faults)}
    found: dict[str, str] = {}
    taken: set[str] = set()
    for file in sorted(files, key=lambda file: (file not in good, file)):
        own = good[file] if file in good else _own_id(basis, file)
        found[file] = file if own is None or own in taken else own
        taken.add(found[file])
    return {file: found[file] for file in sorted(found)}


def listed(report: Report) -> list[Value]:
    """Return the contents of each webhook's file, and the number of its errors."""
    basis = report.basis
    if basis is None:
        return []
    errors = Counter(one.file for one in report.findings if not one.warning)
    checked = basis.checked
    # As written: the stand-ins for faulty parts are only for compilers.
    said = {one.file: one.root.value for one in checked.partial} | {
        one.file: one.data for one in checked.webhooks
    }
    ages = {one.file: one.model.delivery.retry.max_age_secs for one in checked.webhooks}
    found: list[Value] = []
    for file, name in names_of(basis).items():
        data = said[file] if file in said else said_of(basis, file)
        request = map_at(data, "request")
        found.append(
            {
                "id": name,
                "file": file,
                "enabled": data.get("enabled", True) is not False,
                "description": data.get("description"),
                "trigger": data.get("trigger"),
                "limit": data.get("limit"),
                "method": request.get("method", "POST"),
                "url": request.get("url"),
                "max_age_secs": ages.get(file),
                "errors": errors[file],
            }
        )
    return found


def _own_id(basis: Snapshot, file: str) -> str | None:
    """Return the id in a file with errors; in one that is not even YAML, from its line."""
    document = basis.text.documents.get(file)
    if document is None or document.root is None:
        line = _ID_LINE.search(basis.text.files.get(file, ""))
        own = line[1] if line is not None else None
    else:
        own = document.fields.get("id")
    return own if isinstance(own, str) and is_id(own) else None


def said_of(basis: Snapshot, file: str) -> dict[str, Value]:
    """Return what a file says in a version, as written; {} where it is no map."""
    document = basis.text.documents.get(file)
    return {} if document is None else document.fields
