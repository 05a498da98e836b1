"""The site builds, strictly: a link that leads nowhere, or a page outside the navigation, fails it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from links import OUTSIDE

ROOT = Path(__file__).resolve().parents[2]


def build(config: Path, site: Path) -> subprocess.CompletedProcess[str]:
    builder = Path(sys.executable).with_name("properdocs")
    words = [builder, "build", "--config-file", config, "--site-dir", site]
    return subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=60)


def test_the_site_has_every_page_and_loads_nothing_from_elsewhere(tmp_path: Path):
    done = build(ROOT / "properdocs.yml", tmp_path / "site")
    assert done.returncode == 0, done.stderr
    pages = {path.stem for path in (tmp_path / "site").glob("*.html")} - {"404", "search"}
    wanted = {path.stem for path in (ROOT / "docs").glob("*.md")} | {
        Path(name).stem for name in OUTSIDE.values()
    }
    assert pages == wanted
    for path in (tmp_path / "site").glob("*.html"):
        text = path.read_text()
        for tag in ('<script src="http', '<link rel="stylesheet" href="http', '<img src="http'):
            assert tag not in text, path.name
    assert 'href="reference.html#conditions"' in (tmp_path / "site" / "webhooks.html").read_text()
    assert not list((tmp_path / "site").rglob("*.py"))


def test_every_broken_link_fails_the_build(tmp_path: Path):
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    links = "[a](nowhere.md) [b](tour.md#nowhere) [c](../Makefile)"
    with (tmp_path / "docs" / "tour.md").open("a") as page:
        page.write(f"\n{links}\n")
    config = (ROOT / "properdocs.yml").read_text().replace("docs/links.py", str(ROOT / "docs" / "links.py"))
    (tmp_path / "properdocs.yml").write_text(config)
    done = build(tmp_path / "properdocs.yml", tmp_path / "site")
    assert done.returncode == 1
    assert done.stderr.count("WARNING") == 3, done.stderr
