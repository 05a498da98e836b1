"""Lets the site show pages that stand outside docs/, so that one link works in the site and on a forge.

A hook of properdocs.yml. Every link is written as it is right between the files; where the target's place in
the site is another one, the site gets that place.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from properdocs.config.defaults import ProperDocsConfig
from properdocs.structure.files import File, Files
from properdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]

OUTSIDE = {
    "config/README.md": "reference.md",
    "docker/README.md": "containers.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "reporting.md",
}
"""File of the repository -> its page in the site."""

_TEST = re.compile(r"\[([^\]]+)\]\((\.\./tests/[\w./-]+)\)")
"""A link to a test: the site has no place for it, so that its text stays there alone."""
_LINK = re.compile(r"(?<=\]\()([^)#\s:]+)(?=[)#])")


def on_files(files: Files, config: ProperDocsConfig) -> Files:
    """Add the pages from outside."""
    for path, page in OUTSIDE.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: ProperDocsConfig, files: Files) -> str:
    """Return the page with the links that the site needs."""
    sources = {name: path for path, name in OUTSIDE.items()}
    folder = posixpath.dirname(sources.get(page.file.src_uri, f"docs/{page.file.src_uri}"))

    def moved(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, link[1]))
        # What is neither stays as it is: the strict build says that it leads nowhere.
        return OUTSIDE.get(target, target.removeprefix("docs/") if target.startswith("docs/") else link[1])

    def named(link: re.Match[str]) -> str:
        return link[1] if (ROOT / "docs" / link[2]).is_file() else link[0]

    markdown = _TEST.sub(named, markdown)
    return _LINK.sub(moved, markdown)
