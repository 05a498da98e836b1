"""Another user's socket at the ports of a job's processes is seen before they take it for one of them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.model.process.exits import Exit
from pipeline.runtime.processes.group import Group, Team, free_ports
from pipeline.runtime.processes.mesh import Mesh, look
from tests.kit.programs.run import until

NOBODY = 65_534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def row(local: str, remote: str, state: str, uid: int, inode: int = 7) -> str:
    return f"   0: {local} {remote} {state} 00000000:00000000 00:00000000 00000000 {uid:5} 0 {inode} 1 0 20\n"


OURS = os.geteuid()
AT, OTHER, FAR = "0100007F:4E20", "0100007F:C001", "0200007F:4E20"
ROWS = {
    "nobody": ("", Mesh(frozenset(), 0, False)),
    "a member that listens": (row(AT, "00000000:0000", "0A", OURS), Mesh(frozenset(), 0, True)),
    "two members": (
        row(AT, OTHER, "01", OURS) + row(OTHER, AT, "01", OURS),
        Mesh(frozenset(), 1, False),
    ),
    "a stranger that came": (row(OTHER, AT, "01", NOBODY), Mesh(frozenset({NOBODY}), 0, False)),
    "a stranger that was first": (row(AT, OTHER, "01", NOBODY), Mesh(frozenset({NOBODY}), 1, False)),
    "one not taken yet": (row(AT, OTHER, "01", NOBODY, inode=0), Mesh(frozenset(), 0, False)),
    "one that is gone": (row(OTHER, AT, "06", NOBODY), Mesh(frozenset(), 0, False)),
    "another address": (row(OTHER, FAR, "01", NOBODY), Mesh(frozenset(), 0, False)),
    "another port": (row(OTHER, "0100007F:4E21", "01", NOBODY), Mesh(frozenset(), 0, False)),
    "by IPv6": (
        row("0" * 16 + "FFFF00000100007F:C001", "0" * 16 + "FFFF00000100007F:4E20", "01", NOBODY),
        Mesh(frozenset({NOBODY}), 0, False),
    ),
}


@pytest.mark.parametrize(("rows", "found"), ROWS.values(), ids=ROWS)
def test_who_is_at_a_port(tmp_path: Path, rows: str, found: Mesh) -> None:
    table = tmp_path / "tcp"
    table.write_text(HEAD + rows)
    assert look([20_000], [table, tmp_path / "no-ipv6"]) == found


def test_a_table_that_says_something_else_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "tcp").write_text(HEAD + "   0: odd\n")
    assert look([20_000], [tmp_path / "tcp"]) is None


@contextmanager
def stranger(port: int) -> Iterator[None]:
    """Let another user connect to a port as soon as somebody listens."""
    process = os.fork()
    if process == 0:
        try:
            os.setuid(NOBODY)
            while True:
                with socket.socket() as made:
                    if made.connect_ex(("127.0.0.1", port)) == 0:
                        made.recv(1)
        finally:
            os._exit(0)
    try:
        yield
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


@as_root
def test_the_system_tells_of_another_user(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with stranger(port):
            taken, _ = server.accept()
            with taken:
                until(lambda: (seen := look([port])) is not None and seen.strangers == {NOBODY})


@as_root
def test_a_group_that_a_stranger_comes_to_first_is_ended_and_says_who(
    caplog: pytest.LogCaptureFixture,
) -> None:
    group = Group(Team("job", [], 2))
    with socket.create_server(("127.0.0.1", 0)) as server:
        group.ports = [server.getsockname()[1]]
        # In the members' place: they would listen here.
        members = [subprocess.Popen(["sleep", "60"], stdout=subprocess.PIPE) for _ in range(2)]
        group.members = [*members]
        with stranger(group.ports[0]):
            assert group.wait() == Exit.FATAL
    assert [member.returncode for member in members] == [-signal.SIGKILL] * 2
    assert "another user of this machine is at a port" in caplog.text


def test_members_that_have_found_one_another_are_not_looked_at_any_more() -> None:
    group = Group(Team("job", [], 2))
    group.ports = free_ports(2)
    assert not group._has_strangers()
    assert group.ports, "nobody has come yet"
    with socket.create_server(("127.0.0.1", group.ports[0])) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    with near, far:
        assert not group._has_strangers()
    assert not group.ports
