"""Kafka Connect, one standalone process, with Debezium's connectors for one database."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.cdc.postgres import Postgres
from tests.kafka.servers.broker import STOP_SECS, Broker, die_with_parent, find_jars, free_port

POM = Path(__file__).resolve().with_name("pom.xml")
READY_SECS = 90.0
JVM_FLAGS = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

WORKER = {
    # Every connector says its own.
    "key.converter": "org.apache.kafka.connect.json.JsonConverter",
    "value.converter": "org.apache.kafka.connect.json.JsonConverter",
    "offset.flush.interval.ms": "1000",
    "plugin.discovery": "service_load",
    "topic.creation.enable": "true",
}

LOGGING = """
status = error
appender.console.type = Console
appender.console.name = STDOUT
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c{1} %m%n
rootLogger.level = warn
rootLogger.appenderRef.stdout.ref = STDOUT
"""


class NoConnect(Exception):
    """Connect did not come up; the text is the end of its log."""


@dataclass(slots=True)
class Connect:
    """One worker with its connectors; a connector's name is the prefix of its topics."""

    directory: Path
    port: int
    process: subprocess.Popen[bytes] = field(repr=False)

    @classmethod
    def start(
        cls,
        directory: Path,
        broker: Broker,
        postgres: Postgres,
        connectors: Mapping[str, Mapping[str, str]],
    ) -> Connect:
        """Start the worker and return when all connectors run. Raises NoBroker and NoConnect."""
        # All plugins are on the class path; an empty path would be the working directory and all in it.
        (directory / "plugins").mkdir(parents=True, exist_ok=True)
        port = free_port()
        worker = WORKER | {
            "bootstrap.servers": broker.address,
            "offset.storage.file.filename": str(directory / "offsets"),
            "listeners": f"http://127.0.0.1:{port}",
            "plugin.path": str(directory / "plugins"),
        }
        (directory / "log4j2.properties").write_text(LOGGING)
        files = [_properties(directory / "worker.properties", worker)]
        for name, own in connectors.items():
            files.append(_properties(directory / f"{name}.properties", connector(name, postgres, own)))
        jars = find_jars(POM)
        flags = [*JVM_FLAGS, f"-Dlog4j2.configurationFile={directory / 'log4j2.properties'}"]
        command = ["java", *flags, "-cp", f"{jars}/*", "org.apache.kafka.connect.cli.ConnectStandalone"]
        with open(directory / "connect.log", "ab") as log:
            process = subprocess.Popen(
                [*command, *map(str, files)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        connect = cls(directory, port, process)
        connect._wait_ready(list(connectors))
        return connect

    def close(self) -> None:
        """Stop the worker as an operator would."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _wait_ready(self, names: list[str]) -> None:
        deadline = time.monotonic() + READY_SECS
        while time.monotonic() < deadline and self.process.poll() is None:
            states = [self._state(name) for name in names]
            if "FAILED" in states:
                break
            if {*states} == {"RUNNING"}:
                return
            time.sleep(0.1)
        self.close()
        log = (self.directory / "connect.log").read_text(errors="replace")
        raise NoConnect(f"Kafka Connect did not become ready\n{log[-4000:]}")

    def _state(self, name: str) -> str:
        """Return the state of a connector's task, "" where it has not begun."""
        address = f"http://127.0.0.1:{self.port}/connectors/{name}/status"
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                tasks = json.load(answer)["tasks"]
                return str(tasks[0]["state"]) if tasks else ""
        except (OSError, urllib.error.HTTPError):
            return ""


def connector(name: str, postgres: Postgres, own: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of a connector for all tables of the schema ``public``."""
    return {
        "name": name,
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "tasks.max": "1",
        "database.hostname": "127.0.0.1",
        "database.port": str(postgres.port),
        "database.user": "postgres",
        "database.password": "unused",
        "database.dbname": "shop",
        "topic.prefix": name,
        "plugin.name": "pgoutput",
        "slot.name": f"slot_{name}",
        "publication.name": f"publication_{name}",
        "schema.include.list": "public",
        **own,
    }


def _properties(path: Path, fields: Mapping[str, str]) -> Path:
    path.write_text("".join(f"{name}={value}\n" for name, value in fields.items()))
    return path
