"""The bundle of the pages' scripts: its lock, the same bytes each time, what is not in it, and the wheel."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

import pytest

from tests.kit.programs.run import started
from tests.kit.web.bundle import BROWSER, built

ROOT = BROWSER.parents[2]
MANIFEST = "pipeline/console/assets/manifest.json"
PACKAGES = json.loads((BROWSER / "package.json").read_text())


@pytest.fixture(scope="module")
def assets() -> Path:
    """The bundle of this tree."""
    return built()


def test_the_lock_pins_and_hashes_and_names_no_registry():
    wanted = PACKAGES["dependencies"] | PACKAGES["devDependencies"]
    text = (BROWSER / "package-lock.json").read_text()
    assert "://" not in text
    packages = json.loads(text)["packages"]
    root = packages.pop("")
    assert root["dependencies"] | root["devDependencies"] == wanted
    for name, entry in packages.items():
        assert entry["integrity"].startswith("sha512-"), name
    assert {name: packages[f"node_modules/{name}"]["version"] for name in wanted} == wanted


def test_every_package_is_in_the_table_with_its_reason():
    table = (ROOT / "docs" / "internals.md").read_text().split("|---|---|\n")[-1].partition("\n\n")[0]
    rows = re.findall(r"^\| `([\w@./-]+)` \| .+ \|$", table, re.MULTILINE)
    assert rows == [*PACKAGES["dependencies"], *PACKAGES["devDependencies"]]


def test_built_twice_it_has_the_same_bytes(assets: Path, tmp_path: Path):
    again = tmp_path / "again"
    subprocess.run([sys.executable, BROWSER / "build.py", "--force", "--out", again], check=True, timeout=100)
    files = {path.name: path.read_bytes() for path in assets.iterdir()}
    assert files == {path.name: path.read_bytes() for path in again.iterdir()}


def test_names_have_the_hash_of_the_bytes(assets: Path):
    names = json.loads((assets / "manifest.json").read_text())["files"]
    assert {*names} == {"console.js", "editor.js", "editor.css", "licenses.txt"}
    for name, hashed in names.items():
        content = (assets / hashed).read_bytes()
        digest = re.fullmatch(r"(\w+)-([0-9a-f]{12})\.(\w+)", hashed)
        assert digest, hashed
        assert f"{digest[1]}.{digest[3]}" == name
        assert hashlib.sha256(content).hexdigest().startswith(digest[2])
        assert gzip.decompress((assets / f"{hashed}.gz").read_bytes()) == content


def test_nothing_of_elsewhere_is_asked_for_and_no_text_is_run(assets: Path):
    for path in assets.glob("*.[jc]s*"):
        if path.suffix == ".gz" or path.name == "manifest.json":
            continue
        text = path.read_text()
        named = {*re.findall(r"https?://[\w.]+", text)}
        assert named <= {"http://www.w3.org"}, path.name  # the namespace of SVG
        assert not re.search(r"\beval\(|\bFunction\(|sourceMappingURL|document\.write\(", text), path.name
        assert not re.search(r"\b(localStorage|sessionStorage|indexedDB)\b", text), path.name
        assert str(ROOT) not in text


def test_the_licences_are_beside_it(assets: Path):
    text = next(assets.glob("licenses-*.txt")).read_text()
    for name in PACKAGES["dependencies"]:
        assert re.search(rf"^{re.escape(name)} \d", text, re.MULTILINE), name
    assert "axe-core" not in text  # only tests have it


@pytest.fixture(scope="module")
def wheel(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    words = ["-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run([sys.executable, *words], cwd=ROOT, check=True, capture_output=True, timeout=100)
    (found,) = folder.glob("*.whl")
    return found


def test_the_wheel_has_the_bundle_and_not_its_sources(assets: Path, wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    assert {f"pipeline/console/assets/{path.name}" for path in assets.iterdir()} <= {*names}
    assert not [name for name in names if "console/browser" in name or "node_modules" in name]


def test_the_wheel_alone_serves_what_its_pages_load(wheel: Path, tmp_path: Path):
    installed = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(installed)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "pipeline.yaml").write_text("source: {jsonl: {paths: [x.jsonl]}}\n")
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}
    words = ["-P", "-m", "pipeline.cli", "console", "--listen", "127.0.0.1:0"]
    with started(sys.executable, *words, "-c", tmp_path / "config", env=environment) as console:
        assert console.stdout is not None
        base = console.stdout.readline().partition("/login#")[0].rpartition(" ")[2]
        with urllib.request.urlopen(f"{base}/login", timeout=30) as answer:
            page = answer.read().decode()
        paths = re.findall(r'(?:src|href)="(/[^"]+\.(?:css|js|svg)[^"]*)"', page)
        paths += [
            f"/assets/{name}" for name in json.loads((installed / MANIFEST).read_text())["files"].values()
        ]
        assert len(paths) >= 7
        for path in paths:
            with urllib.request.urlopen(base + path, timeout=30) as answer:
                assert len(answer.read()) > 50, path
