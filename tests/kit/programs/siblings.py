"""Members of a group that are forked from a process that has imported everything, as the forge's are.

`hookline run --processes` and `hookline up` start their members as new processes, and each would import for
a second. A process that will have members gets a helper before it does anything else: `subprocess.Popen` asks
that for a member, and what the helper forks is a child of the asking process, not its own (CLONE_PARENT), so
that its number, its signals and its end are what they always are. Whatever else is started is started anew.
"""

from __future__ import annotations

import array
import ctypes
import fcntl
import json
import os
import platform
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

NAME = "siblings"
"""The helper's, where the system names processes: it is nobody's member."""
CLONE = {"x86_64": 56, "aarch64": 220}.get(platform.machine())
CLONE_PARENT = 0x8000
PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15
MEMBER = [sys.executable, "-m", "pipeline.cli"]
_libc = ctypes.PyDLL(None)

Become = Callable[[dict[str, Any], Sequence[int]], NoReturn]


def wanted(words: Sequence[str]) -> bool:
    """Return whether a command line has members."""
    has_members = "--processes" in words or words[:1] == ["up"]
    return CLONE is not None and has_members and "--member" not in words


def install(become: Become) -> None:
    """Give this process a helper. become: what a member does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        ours.close()
        _serve(theirs, become)
    theirs.close()

    def fork(job: dict[str, Any], files: Sequence[int]) -> int:
        socket.send_fds(ours, [json.dumps(job).encode()], files)
        return array.array("i", ours.recv(4))[0]

    instead_of(MEMBER, fork)


def instead_of(begins: Sequence[str], fork: Callable[[dict[str, Any], Sequence[int]], int]) -> None:
    """Have each program whose command line begins so be forked. fork: returns the child's number."""

    class Popen(subprocess.Popen):
        def _execute_child(self, args: Any, *more: Any) -> None:
            _executable, _before, _close, pass_fds, cwd, env, *_, session, _group = more
            pipes = more[9:15]
            if list(args[: len(begins)]) != begins:
                super()._execute_child(args, *more)  # type: ignore[misc]  # not of its stub
                return
            reads, _, _, writes, _, tells = pipes
            files = [own if own != -1 else std for own, std in ((reads, 0), (writes, 1), (tells, 2))]
            job = {"argv": list(args[len(begins) :]), "env": dict(os.environ if env is None else env)}
            job |= {"cwd": cwd or os.getcwd(), "session": session, "places": list(pass_fds)}
            self.pid = fork(job, [*files, *pass_fds])
            self._child_created = True
            self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]  # likewise

    subprocess.Popen = Popen  # type: ignore[misc]  # for all who start one from now on


def _serve(requests: socket.socket, become: Become) -> NoReturn:
    """Fork until the asking process is gone."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    name = Path("/proc/self/comm").read_bytes().strip()
    _libc.prctl(PR_SET_NAME, NAME.encode())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open(os.devnull) as none:
        for number in range(3):
            os.dup2(none.fileno(), number)
    while True:
        data, files, _, _ = socket.recv_fds(requests, 1 << 20, 16)
        if not data:
            os._exit(0)
        pid = sibling()
        if pid == 0:
            requests.close()
            _libc.prctl(PR_SET_NAME, name)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            job = json.loads(data)
            become(job, placed(files, job["places"]))
        for file in files:
            os.close(file)
        requests.send(array.array("i", [pid]))


def placed(files: list[int], places: Sequence[int]) -> list[int]:
    """Put the descriptors behind the first three to their places; return the first three."""
    above = [fcntl.fcntl(file, fcntl.F_DUPFD, 500) for file in files]
    for file in files:
        os.close(file)
    for file, place in zip(above[3:], places, strict=True):
        os.dup2(file, place)
        os.close(file)
    return above[:3]


def sibling() -> int:
    """Fork, as `os.fork` does, a child of this process's parent."""
    ctypes.pythonapi.PyOS_BeforeFork()
    pid: int = _libc.syscall(CLONE, CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
    else:
        ctypes.pythonapi.PyOS_AfterFork_Parent()
    assert pid >= 0, "the system does not fork"
    return pid
