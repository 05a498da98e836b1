"""What is generated is up to date: the parts of the pages and config/README.md (tests/config: schemas)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import reference
from generate import PAGES, PARTS, ROOT, generated, named, rooms


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_generated_parts_are_up_to_date(path: Path):
    text = path.read_text()
    assert generated(text) == text, "run `make docs`"


def test_every_generated_part_is_somewhere():
    assert sorted(part for path in PAGES for part in named(path.read_text())) == sorted(PARTS)


def test_the_table_of_rooms_has_a_row_for_each_folder():
    folders = {path.parent.name for path in (ROOT / "pipeline").glob("*/__init__.py")}
    assert sorted(re.findall(r"^\| `pipeline/(\w+)/` \|", rooms(), re.MULTILINE)) == sorted(folders)


def test_the_reference_is_that_of_the_models():
    assert (ROOT / "config" / "README.md").read_text() == reference.reference(), "run `make docs`"
