"""The static files of pages: the style sheet and its like, and the script bundle where it was built.

Nothing else is served: the files are a table of names, read once. A bundle's name contains the hash of its
bytes, a file of `static/` has it as a query: browsers may cache both for ever.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from aiohttp import web

from pipeline.console.context import RequestContext

_HERE: Final = Path(__file__).parent
KINDS: Final = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
FOR_EVER: Final = "public, max-age=31536000, immutable"


class Files:
    """The files, by the paths under which they are served."""

    def __init__(self, static: Path, assets: Path) -> None:
        self._paths: dict[str, str] = {}
        self._files: dict[str, Path] = {}
        for file in sorted(static.iterdir()):
            if file.suffix in KINDS:
                digest = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
                self._add(file.name, f"/static/{file.name}", file, f"?v={digest}")
        for name, hashed in _bundled(assets).items():
            self._add(name, f"/assets/{hashed}", assets / hashed)

    def _add(self, name: str, path: str, file: Path, version: str = "") -> None:
        self._paths[name] = path + version
        self._files[path] = file

    def path(self, name: str) -> str:
        """Return the URL path of ``console.css`` or ``editor.js``; "" where the bundle was not built."""
        return self._paths.get(name, "")

    def find(self, path: str) -> Path | None:
        """Return the file of such a path; None where there is none."""
        return self._files.get(path)


def _bundled(assets: Path) -> Mapping[str, str]:
    try:
        found: dict[str, str] = json.loads((assets / "manifest.json").read_bytes())["files"]
    except FileNotFoundError:
        return {}
    return {name: hashed for name, hashed in found.items() if (assets / hashed).is_file()}


FILES: Final = Files(_HERE / "static", _HERE / "assets")


async def serve(context: RequestContext) -> web.StreamResponse:
    """Serve one of the files, compressed if the browser accepts that."""
    path = context.path
    file = FILES.find(path)
    if file is None:
        raise web.HTTPNotFound
    is_hashed = path.startswith("/assets/") or "v" in context.query
    kept = FOR_EVER if is_hashed else "no-cache"
    answer = web.FileResponse(file, headers={"cache-control": kept})
    answer.content_type = KINDS[file.suffix]
    return answer
