"""The locks hold what pyproject.toml asks for, with hashes, and nothing of where it came from."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def lock(name: str) -> str:
    return (ROOT / "requirements" / f"{name}.lock").read_text()


def locked(name: str) -> dict[str, set[str]]:
    """Return the versions of each package of a lock; several where they depend on the Python version."""
    found: dict[str, set[str]] = {}
    for package, version in re.findall(r"^([a-z0-9._-]+)==(\S+)", lock(name), re.MULTILINE):
        found.setdefault(canonicalize_name(package), set()).add(version)
    return found


@pytest.mark.parametrize("name", ["run", "dev", "sdks", "node"])
def test_every_line_of_a_lock_is_pinned_and_hashed_and_names_no_place(name: str):
    text = lock(name)
    assert "://" not in text
    assert "@" not in text
    entries = re.split(r"\n(?=\S)", text.strip())
    assert len(entries) > (1 if name == "node" else 25)
    for entry in entries:
        assert re.match(r"[a-z0-9._-]+==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry


def test_no_later_major_version_is_taken_that_nobody_has_tried():
    for requirement in map(Requirement, PROJECT["dependencies"]):
        assert {one.operator for one in requirement.specifier} & {"<", "=="}, requirement


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("run", [*PROJECT["dependencies"], *EXTRAS["build"], *EXTRAS["registry"]]),
        ("sdks", (ROOT / "requirements" / "sdks.in").read_text().split()),
        ("node", (ROOT / "requirements" / "node.in").read_text().split()),
        ("dev", [one for name in ("build", "registry", "dev", "docs") for one in EXTRAS[name]]),
    ],
)
def test_the_locks_satisfy_the_project(name: str, wanted: list[str]):
    versions = locked(name)
    for requirement in map(Requirement, wanted):
        found = versions.get(canonicalize_name(requirement.name))
        assert found, f"{requirement.name} is not in {name}.lock: run `make lock`"
        assert all(requirement.specifier.contains(one) for one in found), requirement


def test_tests_run_with_the_versions_that_the_job_runs_with():
    run, dev = locked("run"), locked("dev")
    assert {name: run[name] for name in run} == {name: dev.get(name) for name in run}


def test_the_lock_of_npm_pins_and_hashes_and_names_no_registry():
    folder = ROOT / "tests" / "collect" / "sdks"
    wanted = json.loads((folder / "package.json").read_text())["dependencies"]
    packages = json.loads((folder / "package-lock.json").read_text())["packages"]
    assert packages.pop("")["dependencies"] == wanted
    for name, entry in packages.items():
        assert entry["integrity"].startswith("sha512-"), name
        assert "resolved" not in entry, name
    assert {name: packages[f"node_modules/{name}"]["version"] for name in wanted} == wanted
