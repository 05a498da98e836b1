"""When the bytes of an answer left, and which sync had returned by then: read from a trace."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

TRACED = (
    "read,recvfrom,recvmsg,write,writev,pwrite64,pwritev,sendto,sendmsg,fdatasync,fsync,accept,accept4,close"
)
_LINE = re.compile(r"^(\d+)\s+(?:\d+:)*[\d.:]* ?(.*)$")
_CALL = re.compile(r"^(\w+)\((\d+)?")
_RESUMED = re.compile(r"^<\.\.\. (\w+) resumed>")
_MARK = re.compile(r"mark-\d+-")
_READS = frozenset({"read", "recvfrom", "recvmsg"})
_WRITES = frozenset({"write", "writev", "pwrite64", "pwritev", "sendto", "sendmsg"})
TRACED = ",".join(sorted(_READS | _WRITES | {"fdatasync", "fsync", "close"}))
"""The system calls to watch."""


@dataclass(slots=True)
class Answers:
    """What a trace shows of requests that each hold one mark, `mark-N-`."""

    early: list[str] = field(default_factory=list)
    """Marks whose answer left before a sync had returned that began after their line was written."""
    covered: list[str] = field(default_factory=list)


def answers(trace: Path) -> Answers:
    """Read a trace of `strace -f -s 4000 -e trace=TRACED`, in the order in which calls began and returned.

    A connection asks for one thing at a time: the answer on a descriptor belongs to the last mark that was
    read there. A line is written when the call that wrote it has returned; a sync covers the lines that were
    written when it began; an answer leaves when its call begins.
    """
    found = Answers()
    asked: dict[str, list[str]] = {}  # descriptor -> marks read and not answered
    begun: dict[str, tuple[str, str, str]] = {}  # thread -> call, descriptor, its text so far
    written: set[str] = set()
    covers: dict[str, frozenset[str]] = {}  # thread -> what was written when its sync began
    synced: set[str] = set()

    def returned(thread: str, call: str, descriptor: str, text: str) -> None:
        marks = _MARK.findall(text)
        if call in _READS and marks:
            asked.setdefault(descriptor, []).extend(marks)
        elif call in _WRITES and "hk-protocol" in text:
            written.update(marks)
        elif call in ("fdatasync", "fsync") and text.rstrip().endswith("= 0"):
            synced.update(covers.pop(thread, ()))

    def began(thread: str, call: str, descriptor: str, text: str) -> None:
        if call in ("fdatasync", "fsync"):
            covers[thread] = frozenset(written)
        elif call in _WRITES and "HTTP/1.1 200" in text and asked.get(descriptor):
            for mark in asked.pop(descriptor):
                (found.covered if mark in synced else found.early).append(mark)
        elif call == "close":
            asked.pop(descriptor, None)

    for line in trace.read_text(errors="replace").splitlines():
        matched = _LINE.match(line)
        if matched is None:
            continue
        thread, text = matched.groups()
        resumed = _RESUMED.match(text)
        if resumed and thread in begun:
            call, descriptor, before = begun.pop(thread)
            returned(thread, call, descriptor, before + text)
            continue
        called = _CALL.match(text)
        if called is None:
            continue
        call, descriptor = called[1], called[2] or ""
        began(thread, call, descriptor, text)
        if text.endswith("<unfinished ...>"):
            begun[thread] = (call, descriptor, text)
        else:
            returned(thread, call, descriptor, text)
    return found
