"""A verb on a terminal of 80 columns, with somebody at its keyboard."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import termios
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from tests.kit.programs.forge import forge
from tests.kit.programs.run import until

CTRL_C = b"\x03"
MODE = re.compile(r"\x1b\[\?(25|1049|1000|1006|2004)([hl])")
"""What is turned on and off: the cursor, the other screen, the mouse, pasting."""
COLOUR = re.compile(r"\x1b\[([\d;]*)m")
CLEARED = re.compile(r"\r\x1b\[J")
USUAL = {"25": "h"}
"""A cursor is to be seen, everything else is off."""


class Terminal:
    """A verb that a terminal controls: a Ctrl-C reaches it, and those it has started."""

    def __init__(self, words: list[str], environment: Mapping[str, str]) -> None:
        self.leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(follower)
        self.said = ""
        self.process = forge().on_terminal(words, environment, follower)
        self._follower = follower
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def press(self, keys: bytes) -> None:
        """Type these."""
        os.write(self.leader, keys)

    def lines(self) -> list[str]:
        """Return every line that stood there, also for a moment."""
        plain = COLOUR.sub("", self.said)
        return [part for line in plain.split("\r\n") for part in CLEARED.split(line) if part]

    def waits(self) -> bool:
        """Return whether it has begun, and does nothing but wait."""
        assert self.process.poll() is None, self.said
        before = _standing(self.process.pid)
        threading.Event().wait(0.2)
        return before[0] == "S" and before == _standing(self.process.pid)

    def faults(self) -> list[str]:
        """Return what is not as it was before the verb: modes, colours, the keyboard; or a traceback."""
        found = []
        if termios.tcgetattr(self._follower) != self.before:
            found.append("the keyboard is in another mode")
        modes = dict(MODE.findall(self.said))
        found += [f"mode {one} is left {to}" for one, to in modes.items() if to != USUAL.get(one, "l")]
        colours = COLOUR.findall(self.said)
        if colours and colours[-1] not in ("", "0"):
            found.append(f"colour {colours[-1]} is left on")
        found += [word for word in ("Traceback", "panicked", "bug of Hookline") if word in self.said]
        return found

    def close(self) -> None:
        """End it, and let go of the terminal."""
        self.process.kill()
        self.process.wait(10)
        os.close(self._follower)
        self._thread.join(10)
        os.close(self.leader)

    def _read(self) -> None:
        while True:
            try:
                found = os.read(self.leader, 65536)
            except OSError:  # the last process has closed it
                return
            self.said += found.decode(errors="replace")


@contextlib.contextmanager
def terminal(words: list[object], environment: Mapping[str, str]) -> Iterator[Terminal]:
    """Give a verb that runs on a terminal; it is gone afterwards."""
    found = Terminal([*map(str, words)], environment)
    try:
        yield found
    finally:
        found.close()


def family(pid: int) -> set[int]:
    """Return all that a process has started, and those that these have, as far as they are alive."""
    found, left = set[int](), [pid]
    while left:
        for path in Path(f"/proc/{left.pop()}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                left += map(int, path.read_text().split())
        found.update(left)
    return found


def gone(pids: set[int]) -> bool:
    """Return whether all of these have ended."""
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def ends(shown: Terminal, *, presses: int = 1, secs: float = 20.0) -> int:
    """Press Ctrl-C so many times; return the exit code once the verb and all that it started are gone."""
    started = family(shown.process.pid)
    for number in range(presses):
        shown.press(CTRL_C)
        until(partial(_heard, shown, number))
    code = shown.process.wait(secs)
    until(lambda: gone(started), secs=secs)
    return code


def _heard(shown: Terminal, number: int) -> bool:
    return shown.said.count("^C") > number or shown.process.poll() is not None


def _standing(pid: int) -> tuple[str, int]:
    """Return whether a process sleeps, and how much it has worked."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return fields[0], int(fields[11]) + int(fields[12])
