"""A real Schema Registry on this machine: Apicurio, from Maven Central, with what it stores in memory.

Its Confluent-compatible API lies below /apis/ccompat/v7. Needs Java 17 or newer, and Maven the first time: it
is then kept (115 MB) where the broker's jars are.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from tests.kafka.servers.broker import JVM_FLAGS, STOP_SECS, NoBroker, die_with_parent, free_port

VERSION = "3.0.9"
ARTIFACT = f"io.apicurio:apicurio-registry-app:{VERSION}:tar.gz:all"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:2.8:copy"
"""Later ones want the artifact's parent as well, which nobody needs here."""
READY_SECS = 90.0


class NoRegistry(NoBroker):
    """A registry cannot be had on this machine; the text is the reason."""


@dataclass(slots=True)
class Apicurio:
    """One registry."""

    port: int
    process: subprocess.Popen[bytes] = field(repr=False)

    @property
    def url(self) -> str:
        """Of its Confluent-compatible API."""
        return f"http://127.0.0.1:{self.port}/apis/ccompat/v7"

    @classmethod
    def start(cls, directory: Path) -> Apicurio:
        """Start one and return when it answers. Raises NoRegistry."""
        home, port = find_apicurio(), free_port()
        flags = [
            f"-Dquarkus.http.port={port}",
            "-Dquarkus.http.host=127.0.0.1",
            f"-Djava.io.tmpdir={directory}",
        ]
        jar = home / f"apicurio-registry-app-{VERSION}-runner.jar"
        with open(directory / "apicurio.log", "ab") as log:
            process = subprocess.Popen(
                ["java", *JVM_FLAGS, *flags, "-jar", str(jar)],
                cwd=home,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        found = cls(port, process)
        deadline = time.monotonic() + READY_SECS
        while time.monotonic() < deadline and process.poll() is None:
            try:
                found.get("/schemas/types")
                return found
            except OSError:
                time.sleep(0.1)
        process.kill()
        raise NoRegistry(f"Apicurio did not answer in {READY_SECS:.0f} s; see {directory / 'apicurio.log'}")

    def get(self, path: str) -> tuple[int, bytes]:
        """Return status and body."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=20) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read()

    def stop(self) -> None:
        """Stop it."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def find_apicurio() -> Path:
    """Return the folder of the registry, fetching it with Maven the first time. Raises NoRegistry."""
    if shutil.which("java") is None:
        raise NoRegistry("there is no `java` on the path (Java 17 or newer runs the test registry)")
    base = os.environ.get("HOOKLINE_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "hookline"
    )
    cache = Path(base)
    home = cache / f"apicurio-{VERSION}"
    if home.is_dir():
        return home
    if shutil.which("mvn") is None:
        raise NoRegistry("there is no `mvn` on the path (Maven fetches the test registry the first time)")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        command = ["mvn", "-q", "-B", COPY, f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={scratch}"]
        result = subprocess.run(command, cwd=scratch, capture_output=True, text=True)
        if result.returncode != 0:
            raise NoRegistry(f"Maven cannot fetch the test registry:\n{result.stdout[-2000:]}")
        (packed,) = Path(scratch).glob("*.tar.gz")
        made = Path(scratch) / "made"
        with tarfile.open(packed) as archive:
            archive.extractall(made, filter="data")
        try:
            made.rename(home)
        except OSError:
            if not home.is_dir():  # another process may have been first
                raise
    return home
