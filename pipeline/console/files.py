"""The static files of pages: the style sheet and its like, and the script bundle where it was built.

Nothing else is served: the files are a table of names, read once. A bundle's name contains the hash of its
bytes, a file of `static/` has it as a query: browsers may cache both for ever.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
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


def _named(static: Path, assets: Path) -> Iterator[tuple[str, str, Path]]:
    """Yield each file's name, URL path with its version, and place."""
    for file in sorted(static.iterdir()):
        if file.suffix in KINDS:
            digest = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
            yield file.name, f"/static/{file.name}?v={digest}", file
    for name, hashed in _bundled(assets).items():
        yield name, f"/assets/{hashed}", assets / hashed


def _bundled(assets: Path) -> Mapping[str, str]:
    try:
        found: dict[str, str] = json.loads((assets / "manifest.json").read_bytes())["files"]
    except FileNotFoundError:
        return {}
    return {name: hashed for name, hashed in found.items() if (assets / hashed).is_file()}


_NAMED: Final = tuple(_named(_HERE / "static", _HERE / "assets"))
_PATHS: Final = {name: path for name, path, _ in _NAMED}
_FILES: Final = {path.partition("?")[0]: file for _, path, file in _NAMED}


def asset(name: str) -> str:
    """Return the URL path of ``console.css`` or ``editor.js``; "" where the bundle was not built."""
    return _PATHS.get(name, "")


async def serve(context: RequestContext) -> web.StreamResponse:
    """Serve one of the files, compressed if the browser accepts that."""
    path = context.path
    file = _FILES.get(path)
    if file is None:
        raise web.HTTPNotFound
    is_hashed = path.startswith("/assets/") or "v" in context.query
    kept = FOR_EVER if is_hashed else "no-cache"
    answer = web.FileResponse(file, headers={"cache-control": kept})
    answer.content_type = KINDS[file.suffix]
    return answer
