"""What a browser sends of a page with a form."""

from __future__ import annotations

from pipeline.console.forms.fields.rows import Table
from pipeline.console.forms.fields.scalars import FIELDS
from pipeline.console.forms.settle import Settled


def sent(page: Settled) -> tuple[str, list[tuple[str, str]]]:
    """Return the YAML pane and the fields, with the line ends that browsers send."""
    form = page.form
    pairs = [
        (field.name, form.fields[field.name])
        for field in FIELDS
        if field.name not in form.locked and field.kind != "flag"
    ]
    pairs += [("enabled", "on")] if form.fields["enabled"] else [("enabled", "")]
    pairs += [(name, form.fields[name]) for name in ("trigger", "auth", "signature", "body-text")]
    pairs.append(("body-kind", form.body_kind))
    names: dict[Table, tuple[str, str | None]]
    names = {"header": ("name", None), "body": ("key", "kind"), "where": ("path", "op")}
    for table, (key, kind) in names.items():
        for number, row in enumerate(form.rows(table)):
            start = f"{table}-{number}-"
            pairs.append((f"{start}at", "" if row.at is None else str(row.at)))
            if table == "body":
                pairs.append((f"{start}depth", str(row.depth)))
            if not row.is_locked:
                pairs += [(start + key, row.key), (f"{start}value", row.value)]
                pairs += [(start + kind, row.kind)] if kind is not None else []
    return _as_sent(page.yaml), [(name, _as_sent(value)) for name, value in pairs]


def _as_sent(text: str) -> str:
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return lines.replace("\n", "\r\n")
