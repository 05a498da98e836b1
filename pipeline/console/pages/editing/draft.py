"""What a browser posts from the edit page, beside the form's own fields."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Final

from pipeline.config.yaml.loader import MAX_FILE_BYTES
from pipeline.console.forms.fields.rows import FieldError, WebhookForm
from pipeline.console.forms.posted import is_field
from pipeline.console.forms.proposals import proposed_id
from pipeline.console.forms.settle import Settled, as_before, opened, settle
from pipeline.model.errors import UsageError
from pipeline.operate.files.edits import new_file

_KEPT: Final = ("etag", "sample", "record", "user", "gone", "read_as")
"""Fields of the page that a draft has as they were sent."""
_OWN: Final = frozenset({"base", "good", "yaml", "do", "proposed", "disk", "theirs", *_KEPT})
BLANK: Final = (
    "# yaml-language-server: $schema=../schema/webhook.json\nenabled: false\ntrigger:\n  events: []\n"
)
"""How a new webhook begins."""


@dataclass(slots=True, frozen=True)
class Draft:
    """A webhook that somebody edits."""

    file: str
    """Its file; of a new one what it will be called."""
    settled: Settled
    is_new: bool = False
    is_fresh: bool = False
    """True: nobody has typed anything yet."""
    etag: str = ""
    """Of the file when the page was opened."""
    disk: str = ""
    """What the file said when the page was opened."""
    good: str = ""
    """The last text that had no errors: its preview stays while there are some."""
    proposed: str = ""
    """The id that the page has proposed, while it proposes one."""
    do: str = ""
    """The button that was pressed."""
    sample: str = ""
    record: str = ""
    user: str = ""
    gone: str = ""
    """The name of the webhook whose file is gone since the page was opened; the page says so."""
    read_as: str = ""
    """As what the file was read, which is not in UTF-8; the page says so."""

    @property
    def text(self) -> str:
        """The text as it would be saved."""
        return self.settled.yaml


def opened_draft(file: str, text: str, etag: str = "", *, is_new: bool = False) -> Draft:
    """Return a page as it is opened. disk: what is there, where a new one is made of another."""
    return Draft(file, opened(text), is_new, True, etag, "" if is_new else text)


def sent_draft(file: str, pairs: Iterable[tuple[str, str]], taken: Collection[str] | None = None) -> Draft:
    """Return what a browser has sent. taken: ids there are, for a new webhook; None: it is there already.

    Raises UsageError for what no page of ours sends.
    """
    own: dict[str, str] = {}
    fields: list[tuple[str, str]] = []
    for name, value in pairs:
        if is_field(name):
            fields.append((name, value))
        elif name not in _OWN or name in own:
            raise UsageError(f"the page has no field `{name[:40]}`, or not twice")
        else:
            own[name] = value
    base = _text(own.get("base", '""'))
    disk, good = (_text(text) if (text := own.get(name, '""')) else base for name in ("disk", "good"))
    do, yaml = own.get("do", ""), own.get("yaml", "")
    if len(yaml) > MAX_FILE_BYTES:
        raise UsageError(f"a config file may hold {MAX_FILE_BYTES:,} characters")
    proposed = own.get("proposed", "")

    def with_id(form: WebhookForm) -> WebhookForm:
        """Give it an id that says what it is, until a person does."""
        nonlocal proposed
        if taken is None or form.fields["id"].strip() not in ("", proposed):
            proposed = ""
            return form
        proposed = proposed_id(form, taken)
        return replace(form, fields={**form.fields, "id": proposed})

    if do == "apply":  # the page of a conflict has no form: the rows that it does not send were not removed
        settled = opened(as_before(yaml, base))
    else:
        settled = settle(base, yaml, fields, do, file, complete=with_id)
    if taken is not None:
        file = new_file(settled.form.fields["id"])
        if settled.form.fields["id"] in taken:
            known = FieldError("id", "there is a webhook of this id already: choose another one")
            settled = replace(settled, errors=(*settled.errors, known))
    kept = {name: own.get(name, "") for name in _KEPT}
    return Draft(
        file,
        settled,
        is_new=taken is not None,
        is_fresh=False,
        disk=disk,
        good=good,
        proposed=proposed,
        do=do,
        **kept,
    )


def _text(quoted: str) -> str:
    """Return a text that a hidden field carries as JSON: browsers change the line ends of others."""
    try:
        found = json.loads(quoted)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, str):
        raise UsageError("the page was sent only in part: load it again")
    return found
