"""A real Kafka broker on this machine: one KRaft node from Maven artifacts, ready in a few seconds.

``Broker.create(directory)`` starts one on free ports, for tests, which may kill and restart it. The command
is `tests.kafka.broker`.

Needs Java 17 or newer, and Maven the first time: the jars (54 MB) are then kept in HOOKLINE_CACHE, or
``hookline`` in the user's cache directory, and beside them their classes as Java has loaded them (49 MB).
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import hashlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.kafka.servers import classes

POM = Path(__file__).resolve().parents[1] / "pom.xml"
READY_SECS = 60.0
STOP_SECS = 20.0
PR_SET_PDEATHSIG = 1

# C1 alone starts a third faster than the default tiers, and a test broker never gets hot enough for C2.
JVM_FLAGS = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "num.network.threads": "1",
    "num.io.threads": "2",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    # After a SIGKILL the controller takes the node back only when its old session has expired.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "200",
    # Retention and compaction are looked at twice a second, so that a test can wait for them.
    "log.retention.check.interval.ms": "500",
    "log.initial.task.delay.ms": "500",
    "log.cleaner.backoff.ms": "500",
    "log.cleaner.dedupe.buffer.size": "2097152",
    "log.cleaner.threads": "1",
}


class NoBroker(Exception):
    """A broker cannot be had on this machine; the text is the reason."""


@dataclass(slots=True)
class Broker:
    """One broker with its data in ``directory``. ``owned`` is False for one that somebody else runs."""

    address: str
    directory: Path | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    jvm: Sequence[str] = JVM_FLAGS

    @classmethod
    def create(
        cls,
        directory: Path,
        *,
        port: int | None = None,
        properties: Mapping[str, str] | None = None,
        more: Mapping[str, int] | None = None,
        scram: Mapping[str, str] | None = None,
        detach: bool = False,
        jvm: Sequence[str] = JVM_FLAGS,
    ) -> Broker:
        """Format a new node in ``directory``, start it and return when it answers. Raises NoBroker.

        more: ports of further listeners, by security protocol; scram: users of SCRAM-SHA-512, with passwords;
        jvm: flags of the Java machine.
        """
        jars = find_jars()
        if jvm is JVM_FLAGS:
            classes.keep(jars, cls._first)
        directory.mkdir(parents=True, exist_ok=True)
        port, controller = port or free_port(), free_port()
        ports = {"PLAINTEXT": port, "CONTROLLER": controller, **(more or {})}
        listeners = ",".join(f"{name}://127.0.0.1:{number}" for name, number in ports.items())
        protocols = ",".join(f"{name}:{name}" for name in ports if name != "CONTROLLER")
        own = {
            "listeners": listeners,
            "advertised.listeners": listeners,
            "listener.security.protocol.map": f"CONTROLLER:PLAINTEXT,{protocols}",
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller}",
            "log.dirs": str(directory / "data"),
        }
        settings = directory / "server.properties"
        lines = [f"{name}={value}\n" for name, value in {**PROPERTIES, **own, **(properties or {})}.items()]
        settings.write_text("".join(lines))
        node = base64.urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
        words = ["format", "--standalone", "-t", node, "-c", str(settings)]
        for name, password in (scram or {}).items():
            words += ["--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]"]
        command = [*java(jars), "kafka.tools.StorageTool", *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        broker = cls(f"127.0.0.1:{port}", directory, jvm=jvm)
        broker.start(detach=detach)
        return broker

    @classmethod
    def _first(cls, folder: Path, flag: str) -> subprocess.Popen[bytes]:
        process = cls.create(folder / "broker", jvm=(*JVM_FLAGS, flag)).process
        assert process is not None
        return process

    @classmethod
    def reopen(cls, directory: Path) -> Broker:
        """Return the broker formatted earlier in ``directory``, not started."""
        for line in (directory / "server.properties").read_text().splitlines():
            if line.startswith("listeners=PLAINTEXT://"):
                return cls(line.split("://")[1].split(",")[0], directory)
        raise NoBroker(f"{directory / 'server.properties'} names no listener")

    @property
    def owned(self) -> bool:
        """True if this broker may be killed and restarted."""
        return self.directory is not None

    def start(self, *, wait: bool = True, detach: bool = False) -> None:
        """Start the node on what it has stored; with ``wait``, return when it answers.

        detach: it outlives this process.
        """
        assert self.directory is not None
        with open(self.directory / "broker.log", "ab") as log:
            self.process = subprocess.Popen(
                [*java(find_jars(), self.jvm), "kafka.Kafka", str(self.directory / "server.properties")],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=None if detach else die_with_parent,
            )
        (self.directory / "pid").write_text(str(self.process.pid))
        if wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        """Return when the broker answers a client; raises NoBroker with the end of its log if it does not."""
        settings: dict[str, Any] = {
            "bootstrap.servers": self.address,
            "reconnect.backoff.max.ms": 100,
            # What it says while the port is still closed is expected.
            "log_level": 0,
            "error_cb": lambda error: None,
        }
        client = AdminClient(settings)
        deadline = time.monotonic() + READY_SECS
        while time.monotonic() < deadline:
            if self.process is not None and self.process.poll() is not None:
                break
            try:
                if client.list_topics(timeout=0.5).brokers:
                    return
            except KafkaException:
                continue
        log = self.directory / "broker.log" if self.directory else None
        tail = log.read_text(errors="replace")[-2000:] if log and log.exists() else ""
        raise NoBroker(f"the broker at {self.address} did not become ready in {READY_SECS:.0f} s\n{tail}")

    def stop(self) -> None:
        """Stop the node with SIGTERM, as an operator would."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the node with SIGKILL: what a crash looks like."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        assert self.owned
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(STOP_SECS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


def java(jars: Path, jvm: Sequence[str] = JVM_FLAGS) -> list[str]:
    """Return the start of a command line that runs a class of the broker's jars."""
    shared = classes.flags_for(jars) if jvm is JVM_FLAGS else []
    return ["java", *jvm, *shared, "-cp", f"{jars}/*"]


def free_port() -> int:
    """Return a port that nobody listens on right now.

    It lies below the range from which systems take ports for outgoing connections, as it is used only when
    the broker has started.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def die_with_parent() -> None:
    """Runs in the child before the broker starts: a killed test run must not leave a broker behind."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def find_jars(pom: Path = POM) -> Path:
    """Return the folder of the jars a pom names, fetching them with Maven the first time. Raises NoBroker."""
    if shutil.which("java") is None:
        raise NoBroker("there is no `java` on the path (Java 17 or newer runs the test broker)")
    base = os.environ.get("HOOKLINE_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "hookline"
    )
    cache = Path(base)
    jars = cache / f"{pom.parent.name}-{hashlib.sha256(pom.read_bytes()).hexdigest()[:12]}"
    if jars.is_dir():
        return jars
    if shutil.which("mvn") is None:
        raise NoBroker("there is no `mvn` on the path (Maven fetches the test broker's jars the first time)")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        made = Path(scratch) / "lib"
        command = ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies"]
        command += ["-DincludeScope=runtime", f"-DoutputDirectory={made}"]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            raise NoBroker(f"Maven cannot fetch the jars of {pom}:\n{result.stdout[-2000:]}")
        try:
            made.rename(jars)
        except OSError:
            if not jars.is_dir():  # another process may have been first: its jars are the same
                raise
    return jars


def up(directory: Path, port: int, *, detach: bool) -> Broker:
    """Start the broker of ``directory``, made there if there is none yet; return when it answers."""
    if (directory / "server.properties").exists():
        broker = Broker.reopen(directory)
        broker.start(detach=detach)
        return broker
    return Broker.create(directory, port=port, detach=detach)


def down(directory: Path) -> bool:
    """Stop the broker that `up` left running; False if there is none."""
    try:
        pid = int((directory / "pid").read_text())
    except (OSError, ValueError):
        return False
    if not _runs(pid, directory):
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECS
    while _runs(pid, directory) and time.monotonic() < deadline:
        time.sleep(0.05)
    (directory / "pid").unlink(missing_ok=True)
    return True


def _runs(pid: int, directory: Path) -> bool:
    """True if this process is the broker of the directory (not another that got its number later)."""
    try:
        return str(directory.resolve()).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
