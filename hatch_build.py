"""The front page as a package index shows it: README.md, whose links lead nowhere there.

With `Source = "https://..."` under `[project.urls]` in pyproject.toml they become addresses below it; without
one their words stay, and pictures go.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?://)([^)\s]+)\)")
_COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)


def front_page(readme: str, source: str = "") -> str:
    """Return README.md with links that hold anywhere; source: the address of its folder, "" where none is."""
    base = source.rstrip("/")

    def link(found: re.Match[str]) -> str:
        picture, words, target = found.groups()
        if base:
            return f"{picture}[{words}]({base}/{target})"
        return "" if picture else words

    return re.sub(r"\n{3,}", "\n\n", _LINK.sub(link, _COMMENT.sub("", readme)))


class CustomMetadataHook(MetadataHookInterface):
    """Gives the package its description."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the readme."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        page = front_page(text, metadata.get("urls", {}).get("Source", ""))
        metadata["readme"] = {"content-type": "text/markdown", "text": page}
