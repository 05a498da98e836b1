"""Imports point one way (pyproject.toml has the layers), and heavy libraries stay behind their doors."""

from __future__ import annotations

import ast
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

DOORS = {
    "bytewax": ["pipeline/job/flow.py", "pipeline/job/steps/*", "pipeline/runtime/*", "dataflows/*"],
    "confluent_kafka": [
        "pipeline/collect/sinks/kafka*.py",
        "pipeline/kafka/*",
        "pipeline/sources/topics/*",
        "pipeline/outbox/copies/kafka_copies.py",
        "pipeline/recording/topic_writer.py",
    ],
    "lmdb": ["pipeline/store/*", "pipeline/outbox/*"],
    "click": ["pipeline/cli/*"],
    "rich": ["pipeline/cli/*"],
    "aiohttp": [
        "pipeline/console/*",
        "pipeline/admin/http.py",
        "pipeline/admin/service.py",
        "pipeline/deliver/http/by_aiohttp/*",
        "pipeline/sources/schemas/registry.py",
    ],
    "pydantic": ["pipeline/config/*"],
    "liquid": ["pipeline/render/*"],
}


def imported(path: Path) -> set[str]:
    """Return the top-level packages that a module imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def test_the_layers_hold():
    lint = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([lint, "--no-logo"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout


def test_heavy_libraries_are_imported_only_behind_their_doors():
    modules = [path for top in ("pipeline", "dataflows") for path in (ROOT / top).rglob("*.py")]
    users = {str(path.relative_to(ROOT)): imported(path) for path in modules}
    strays = {
        (package, user)
        for package, doors in DOORS.items()
        for user, packages in users.items()
        if package in packages and not any(fnmatch(user, door) for door in doors)
    }
    assert not strays


def test_a_job_loads_only_what_every_job_needs():
    code = (
        "import sys, pipeline.runtime.process, pipeline.runtime.background.accompany\n"
        "sys.exit(repr({'aiohttp', 'confluent_kafka', 'liquid', 'rich', 'jinja2', 're2'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert result.stderr.strip() == "set()"
