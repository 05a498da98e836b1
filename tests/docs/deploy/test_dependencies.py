"""What is imported is declared, and what is declared has its reason in the tables of docs/internals.md."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.docs.test_imports import imported

ROOT = Path(__file__).resolve().parents[3]
SDKS = ROOT / "tests" / "collect" / "sdks" / "package.json"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TABLES = (ROOT / "docs" / "internals.md").read_text().partition("## Dependencies")[2]


def declared() -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}


def modules() -> set[str]:
    """Return the top-level modules that the product imports, wherever in a file."""
    files = [*(ROOT / "pipeline").rglob("*.py"), *(ROOT / "dataflows").rglob("*.py")]
    return set().union(*map(imported, files)) - sys.stdlib_module_names - {"pipeline", "dataflows"}


def test_every_package_that_is_imported_is_declared():
    providers = packages_distributions()
    wanted = {name: {canonicalize_name(one) for one in providers.get(name, [])} for name in modules()}
    assert len(wanted) > 15
    assert {name: providers for name, providers in wanted.items() if not providers & declared()} == {}


@pytest.mark.parametrize(
    ("number", "wanted"),
    [
        (1, PROJECT["dependencies"]),
        (2, PROJECT["optional-dependencies"]["docs"]),
        (3, PROJECT["optional-dependencies"]["dev"]),
        (4, PROJECT["optional-dependencies"]["registry"]),
        (5, (ROOT / "requirements" / "sdks.in").read_text().split()),
    ],
    ids=["run", "docs", "dev", "registry", "sdks"],
)
def test_every_dependency_is_in_its_table_with_its_reason(number: int, wanted: list[str]):
    table = TABLES.split("|---|---|\n")[number].partition("\n\n")[0]
    rows = re.findall(r"^\| `([\w-]+)` \| .+ \|$", table, re.MULTILINE)
    names = [canonicalize_name(Requirement(line).name) for line in wanted]
    assert [canonicalize_name(name) for name in rows] == names


def test_every_sdk_of_npm_is_in_its_table_with_its_reason():
    table = TABLES.split("|---|---|\n")[6].partition("\n\n")[0]
    rows = re.findall(r"^\| `([\w@/-]+)` \| .+ \|$", table, re.MULTILINE)
    assert rows == list(json.loads(SDKS.read_text())["dependencies"])
