"""The bundle of the pages' scripts: its lock, the same bytes each time, what is not in it, and the wheel."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.kit.bundle import BROWSER, built

ROOT = BROWSER.parents[2]
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


def test_the_wheel_has_the_bundle_and_not_its_sources(assets: Path, tmp_path: Path):
    words = ["-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run([sys.executable, *words], cwd=ROOT, check=True, capture_output=True, timeout=100)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {f"pipeline/console/assets/{path.name}" for path in assets.iterdir()} <= {*names}
    assert not [name for name in names if "console/browser" in name or "node_modules" in name]
