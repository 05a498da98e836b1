"""The README says what is true: generated parts are up to date, files exist, commands parse."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.docs.generate import FILES, PARTS, generated, named

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_generated_parts_are_up_to_date(path: Path):
    text = path.read_text()
    assert generated(text) == text, "run `make docs`"


def test_every_generated_part_is_somewhere():
    assert sorted(part for path in FILES for part in named(path.read_text())) == sorted(PARTS)


def test_files_and_folders_that_are_named_exist():
    names = re.findall(
        r"`((?:tests|docker|config|requirements|recordings|pipeline|dataflows)/[\w./-]*)`", README
    )
    assert names
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_every_dependency_is_in_the_table_with_its_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[<>=\[ ]", line)[0] for line in project["dependencies"]}
    table = README.partition("## Dependencies")[2]
    assert {name for name in wanted if f"| `{name}` |" not in table} == set()
    assert set(re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE)) == wanted


def test_targets_of_make_that_are_named_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z][a-z-]+)", README)) <= targets
