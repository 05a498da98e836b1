"""Someone else has saved the file meanwhile: apply the changes made here to the file as it is now."""

from __future__ import annotations

from dataclasses import replace

from pipeline.config.edit.differences import differences
from pipeline.console.forms.fields.scalars import value_at
from pipeline.console.forms.fields.trees import ABSENT, Patch
from pipeline.console.forms.settle import opened
from pipeline.console.forms.writing import apply, data_of
from pipeline.console.pages.editing.draft import Draft
from pipeline.operate.unsaved.workbench import Workbench


def rebase(bench: Workbench, draft: Draft) -> Draft:
    """Return the draft on the file as it is now, with the changes that still mean something there.

    Raises Changed where the file is gone, and ConfigError where one of the texts cannot be read.
    """
    theirs = bench.read(draft.file, guess=True)
    old, new = data_of(draft.disk, draft.file), data_of(draft.text, draft.file)
    applied = apply(theirs.text, patches(old, new), draft.file)
    settled = replace(opened(applied.text), refused=tuple(applied.refused))
    return replace(draft, settled=settled, etag=theirs.etag, disk=theirs.text, do="")


def patches(old: object, new: object) -> list[Patch]:
    """Return what makes one value of the other, each with what it takes the place of."""
    changes = differences(old, new, ())
    if changes is None:
        return [Patch("set", (), new, old)]
    return [
        Patch(
            one.verb,
            one.path,
            one.value,
            ABSENT if one.verb == "insert" else value_at(old, one.path),
            one.at,
        )
        for one in changes
    ]
