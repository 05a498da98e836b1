"""A PostgreSQL server of our own, with logical decoding, that is gone when it is closed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.kafka.servers.broker import STOP_SECS, die_with_parent, free_port

READY_SECS = 30.0

SETTINGS = {
    "wal_level": "logical",
    "max_replication_slots": "16",
    "max_wal_senders": "16",
    "fsync": "off",
    "shared_buffers": "16MB",
    "timezone": "UTC",
    "listen_addresses": "127.0.0.1",
}


class NoPostgres(Exception):
    """A server cannot be had on this machine; the text is the reason."""


@dataclass(slots=True)
class Postgres:
    """One server with the database ``shop``; its user ``postgres`` needs no password."""

    port: int
    directory: Path
    binaries: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @classmethod
    def create(cls) -> Postgres:
        """Start a server in a temporary folder and return when it answers. Raises NoPostgres."""
        binaries = find_binaries()
        # Not below pytest's folder: the server's user may not enter that one.
        directory = Path(tempfile.mkdtemp(prefix="hookline-postgres-", dir="/tmp"))
        if os.geteuid() == 0:
            shutil.chown(directory, "postgres", "postgres")
        server = cls(free_port(), directory, binaries)
        data = directory / "data"
        server._run("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8")
        options = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        command = [str(binaries / "postgres"), "-D", str(data), "-k", str(directory), *options]
        with open(directory / "postgres.log", "ab") as log:
            server.process = subprocess.Popen(
                [*command, "-p", str(server.port)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                user=_user(),
                group=_user(),
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        server._wait_ready()
        server._run("createdb", "-h", str(directory), "-p", str(server.port), "-U", "postgres", "shop")
        return server

    def sql(self, *statements: str) -> list[str]:
        """Run statements, each committed for itself, and return the rows that they give as lines."""
        command = [str(self.binaries / "psql"), "-h", str(self.directory), "-p", str(self.port)]
        command += ["-U", "postgres", "-d", "shop", "-XAtq", "-v", "ON_ERROR_STOP=1", "-f", "-"]
        script = "".join(f"{statement.strip().rstrip(';')};\n" for statement in statements)
        done = subprocess.run(command, input=script, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def close(self) -> None:
        """Stop the server and remove its folder."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(STOP_SECS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
        shutil.rmtree(self.directory, ignore_errors=True)

    def _run(self, program: str, *words: str) -> None:
        command = [str(self.binaries / program), *words]
        done = subprocess.run(
            command, capture_output=True, text=True, user=_user(), group=_user(), cwd=self.directory
        )
        if done.returncode != 0:
            raise NoPostgres(f"{program} failed: {done.stderr[-2000:]}")

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + READY_SECS
        command = [str(self.binaries / "pg_isready"), "-h", str(self.directory), "-p", str(self.port), "-q"]
        while time.monotonic() < deadline:
            if subprocess.run(command).returncode == 0:
                return
            time.sleep(0.05)
        raise NoPostgres(f"PostgreSQL did not become ready\n{(self.directory / 'postgres.log').read_text()}")


def find_binaries() -> Path:
    """Return the folder of PostgreSQL's programs, of Debian's package or on the path. Raises NoPostgres."""
    found = shutil.which("postgres")
    folders = [Path(found).parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "psql").exists():
            return folder
    raise NoPostgres("there is no PostgreSQL server here (Debian: apt install postgresql)")


def _user() -> str | None:
    """PostgreSQL refuses to run as root."""
    return "postgres" if os.geteuid() == 0 else None
