"""Someone else has saved the file meanwhile: apply the changes made here to the file as it is now."""

from __future__ import annotations

from dataclasses import replace

from pipeline.config.edit.differences import differences
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
    applied = apply(theirs.text, list(differences(old, new, ())), draft.file)
    settled = replace(opened(applied.text), refused=tuple(applied.refused))
    return replace(draft, settled=settled, etag=theirs.etag, disk=theirs.text, do="")
