"""Takes over a terminal for a while: full screen, single keys; restores it however the program ends."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from pipeline.telemetry.screen import has_colours

ENTER = "\x1b[?1049h\x1b[?25l"
_COLOUR = re.compile(r"\x1b\[3\dm")
LEAVE = "\x1b[?25h\x1b[?1049l"

KEYS = {
    "\x1b[A": "up", "\x1bOA": "up", "\x1b[B": "down", "\x1bOB": "down", "\x1b[5~": "page up",
    "\x1b[6~": "page down", "\x1b[H": "home", "\x1bOH": "home", "\x1b[1~": "home", "\x1b[F": "end",
    "\x1bOF": "end", "\x1b[4~": "end", "\r": "enter", "\n": "enter", "\x1b": "escape", "\x7f": "backspace",
    "\x08": "backspace",
}  # fmt: skip
"""What a terminal sends, and how the keys are called here; all others are their own sign."""


class EndedBySignal(BaseException):
    """A signal ends the program; not an Exception, so that nothing on the way takes it for a failure."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Terminal:
    """The terminal that stdin and stdout are; within `taken`, nobody else may write to it."""

    def __init__(self) -> None:
        self._input = sys.stdin.fileno()
        self._before: list[int | list[bytes | int]] | None = None
        self._rest = ""

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Take the terminal over, and give it back at any end: of the block, by Ctrl-C, SIGTERM, SIGHUP."""
        handlers = {number: signal.signal(number, self._end) for number in (signal.SIGTERM, signal.SIGHUP)}
        handlers[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, self._suspend)
        self._enter()
        try:
            yield
        finally:
            self._leave()
            for number, handler in handlers.items():
                signal.signal(number, handler)

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Give it back for a while, as to another program."""
        self._leave()
        # Ctrl-C is the other's. Not ignored: that would be handed on to it.
        before = signal.signal(signal.SIGINT, lambda number, frame: None)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
            self._enter()

    def size(self) -> tuple[int, int]:
        """Return columns and lines."""
        found = shutil.get_terminal_size((80, 24))
        return found.columns, found.lines

    def show(self, lines: Sequence[str]) -> None:
        """Put these lines on the screen, in the place of what stands there."""
        if not has_colours(sys.stdout):
            lines = [_COLOUR.sub("", line) for line in lines]
        text = "\x1b[H" + "".join(f"{line}\x1b[0m\x1b[K\n" for line in lines[:-1])
        if lines:
            text += f"{lines[-1]}\x1b[0m\x1b[K"
        sys.stdout.write(f"{text}\x1b[J")
        sys.stdout.flush()

    def keys(self, secs: float) -> list[str]:
        """Return the keys that were pressed, waiting so long for the first one."""
        ready, _, _ = select.select([self._input], [], [], max(0.0, secs))
        if ready:
            got = os.read(self._input, 1024)
            if not got:
                raise EndedBySignal(signal.SIGHUP)  # the terminal is gone
            self._rest += got.decode("utf-8", "replace")
        found = []
        while self._rest:
            key = next((one for one in sorted(KEYS, key=len, reverse=True) if self._rest.startswith(one)), "")
            key = key or self._rest[0]
            self._rest = self._rest[len(key) :]
            found.append(KEYS.get(key, key))
        return found

    def _enter(self) -> None:
        self._before = termios.tcgetattr(self._input)
        tty.setcbreak(self._input)
        sys.stdout.write(ENTER)
        sys.stdout.flush()

    def _leave(self) -> None:
        if self._before is None:
            return
        before, self._before = self._before, None
        try:
            sys.stdout.write(LEAVE)
            sys.stdout.flush()
        except OSError:
            pass  # the terminal is gone
        try:
            termios.tcsetattr(self._input, termios.TCSADRAIN, before)
        except termios.error:
            pass

    def _end(self, number: int, _frame: FrameType | None) -> None:
        raise EndedBySignal(number)

    def _suspend(self, number: int, _frame: FrameType | None) -> None:
        """Ctrl-Z: the shell gets its screen, and we ours when we go on."""
        self._leave()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        # Here it goes on.
        signal.signal(number, self._suspend)
        self._enter()
