"""The peers in Java: their jars from Maven, each checked, and their sources, compiled once per version."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.kafka.servers.broker import NoBroker, find_jars

PEERS = Path(__file__).resolve().parents[1] / "peers"
SHARED = PEERS / "java"
"""What both peers compile with their own source: reading, rendering, signing, and the HTTP client."""
JVM = ("-Xms512m", "-Xmx512m", "-XX:+UseSerialGC")
OPENED = ("java.lang", "java.util", "java.nio", "java.net", "java.time", "sun.nio.ch")
"""What Flink looks into of Java's own packages."""


class NoPeer(Exception):
    """A peer cannot be had on this machine; the text is the reason."""


def command(name: str) -> list[str]:
    """Return the start of a command line that runs a peer: "flink" or "streams". Raises NoPeer."""
    folder = PEERS / name
    if shutil.which("javac") is None:
        raise NoPeer("there is no `javac` on the path (a JDK 17 or newer)")
    try:
        jars = find_jars(folder / "pom.xml")
    except NoBroker as reason:
        raise NoPeer(str(reason)) from None
    check(jars, folder / "jars.sha256")
    opened = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENED]
    return ["java", *JVM, *opened, "-cp", f"{compiled(folder, jars)}:{jars}/*", name.title()]


def check(jars: Path, sums: Path) -> None:
    """Raise NoPeer where the jars are not exactly those of a list that sha256sum has written."""
    wanted = {name: digest for digest, name in map(str.split, sums.read_text().splitlines())}
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in jars.glob("*.jar")}
    wrong = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if wrong:
        raise NoPeer(f"{', '.join(wrong)} in {jars}: not what {sums.name} says")


def compiled(folder: Path, jars: Path) -> Path:
    """Return the folder of a peer's classes. Raises NoPeer where javac refuses them."""
    sources = sorted([*SHARED.glob("*.java"), *folder.glob("*.java")])
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    classes = jars.with_name(f"{jars.name}-classes-{digest[:12]}")
    if classes.is_dir():
        return classes
    with tempfile.TemporaryDirectory(dir=jars.parent) as scratch:
        made = os.path.join(scratch, "classes")
        javac = ["javac", "--release", "17", "-d", made, "-cp", f"{jars}/*", *map(str, sources)]
        result = subprocess.run(javac, capture_output=True, text=True)
        if result.returncode:
            raise NoPeer(f"javac cannot compile {folder.name}:\n{result.stderr[-2000:]}")
        os.rename(made, classes)
    return classes
