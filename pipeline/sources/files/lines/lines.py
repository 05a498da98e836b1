"""Splits blocks into lines, with no work per line unless a block holds something unusual."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate, count
from operator import add

from pipeline.decode.raw.strict import BOM, without_bom
from pipeline.model.errors import InvalidRecord
from pipeline.sources.files.lines.recorded import Message, parse_line

EXCERPT_BYTES = 1024
"""How much of an overlong line is kept."""
_HOLE = bytes(5)
"""NUL bytes before a line: a file was truncated below its writer, or its end was lost in a power cut. Fewer
may begin a registry's frame (decode/framed/frame.py).
"""


@dataclass(slots=True)
class Lines:
    """Some lines of one file. ``starts`` has one more item: where the line after the last one starts."""

    lines: list[bytes | None]
    starts: list[int]
    faults: dict[int, str] = field(default_factory=dict)
    """Lines that cannot be records, by index, with the reason."""
    messages: list[Message] | None = None
    """Of a recording of topics: the message of each line; its value is in ``lines``."""

    def unwrap(self, name: str) -> None:
        """Replace the lines by the recorded messages in them. name: of the file."""
        self.messages = []
        for at, line in enumerate(self.lines):
            try:
                message = parse_line(line or b"")
            except InvalidRecord as error:
                self.faults.setdefault(at, str(error))
                message = Message(name, self.starts[at], None, None, None, line)
            self.messages.append(message)
        self.lines = [message.value for message in self.messages]

    def since(self, index: int) -> Lines:
        """Return what there is from a line on."""
        return Lines(
            self.lines[index:],
            self.starts[index:],
            {at - index: reason for at, reason in self.faults.items() if at >= index},
            None if self.messages is None else self.messages[index:],
        )

    def joined(self, after: Lines) -> Lines:
        """Return these lines and those that follow them."""
        number = len(self.lines)
        faults = self.faults | {at + number: reason for at, reason in after.faults.items()}
        messages = None
        if self.messages is not None or after.messages is not None:
            messages = (self.messages or []) + (after.messages or [])
        return Lines(self.lines + after.lines, self.starts[:-1] + after.starts, faults, messages)


def without_hole(line: bytes) -> bytes:
    """Return a line without the hole before it."""
    return line.lstrip(b"\0") if line.startswith(_HOLE) else line


class LineSplitter:
    """Splits blocks into complete lines without their line ends (LF or CRLF), skipping blank ones and holes.

    A line longer than ``max_line_bytes`` is skipped without being kept, and yielded as its first bytes with a
    fault.
    """

    def __init__(self, start: int, max_line_bytes: int) -> None:
        self.next_start = start
        """Where the incomplete line starts."""
        self._max_line_bytes = max_line_bytes
        self._carry = b""
        self._rest = b""
        self._overlong = b""
        self._overlong_bytes = 0

    @property
    def has_rest(self) -> bool:
        """True where bytes after an overlong line wait for ``push(b"")``."""
        return bool(self._rest)

    @property
    def has_open_line(self) -> bool:
        """True where a non-blank line waits for its line end."""
        return self._overlong_bytes > 0 or bool(self._carry.removeprefix(_HOLE).strip())

    @property
    def has_torn_line(self) -> bool:
        """True where that line is the beginning of an object or a list: a bracket is open."""
        line = without_bom(self._carry).lstrip()
        if line[:1] not in (b"{", b"["):
            return False
        # Without its texts, one of which may have no end. By C loops, as it may be long.
        outside = b"".join(line.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])
        closed = outside.count(b"}") + outside.count(b"]")
        return outside.count(b"{") + outside.count(b"[") > closed

    @property
    def open_line(self) -> bytes:
        """The beginning of the line that waits for its end."""
        return self._overlong or self._carry[:EXCERPT_BYTES]

    def push(self, block: bytes) -> Lines:
        """Return the lines that are now complete, if any."""
        if self._rest:
            block, self._rest = self._rest + block, b""
        if self._overlong_bytes:
            return self._pass_over(block)
        data = self._carry + block if self._carry else block
        start = self.next_start
        lines = data.split(b"\n")
        self._carry = lines.pop()
        # Two C loops: 0.1 us per line, where a Python loop over the lines would take most of the time here.
        starts = list(map(add, accumulate(map(len, lines), initial=start), count()))
        # Searching for one byte is some sixty times faster than for several.
        if _HOLE[:1] in data and _HOLE in data:
            self._skip_holes(lines, starts)
        self.next_start = starts[-1]
        if len(self._carry) > self._max_line_bytes:
            self._overlong = self._carry[:EXCERPT_BYTES]
            self._overlong_bytes = len(self._carry)
            self._carry = b""
        has_bom = BOM[:1] in data and BOM in data
        faults = self._tidy(lines, starts, b"\r" in data, has_bom)
        return Lines(lines, starts, faults)  # type: ignore[arg-type]  # a fresh list of bytes only

    def _skip_holes(self, lines: list[bytes], starts: list[int]) -> None:
        """Let lines, in place, and the incomplete one begin after the NUL bytes before them."""
        for at, line in enumerate(lines):
            lines[at] = without_hole(line)
            starts[at] += len(line) - len(lines[at])
        if self._carry.startswith(_HOLE):
            bare = without_hole(self._carry) or _HOLE  # which may go on
            starts[-1] += len(self._carry) - len(bare)
            self._carry = bare

    def _tidy(self, lines: list[bytes], starts: list[int], has_cr: bool, has_bom: bool) -> dict[int, str]:
        """Remove what is not part of the records, in place; return the faults."""
        if has_bom:
            # In any line: files that each begin with one may have been concatenated.
            lines[:] = [without_bom(line) for line in lines]
        if has_cr:
            lines[:] = [line[:-1] if line.endswith(b"\r") else line for line in lines]
        if b"" in lines or any(map(bytes.isspace, lines)):
            kept = [at for at, line in enumerate(lines) if line and not line.isspace()]
            lines[:] = [lines[at] for at in kept]
            starts[:] = [*(starts[at] for at in kept), starts[-1]]
        faults: dict[int, str] = {}
        if starts[-1] - starts[0] > self._max_line_bytes:
            for at, line in enumerate(lines):
                if len(line) > self._max_line_bytes:
                    faults[at] = self._reason(len(line))
                    lines[at] = line[:EXCERPT_BYTES]
        return faults

    def _pass_over(self, block: bytes) -> Lines:
        cut = block.find(b"\n")
        if cut < 0:
            self._overlong_bytes += len(block)
            return Lines([], [self.next_start])
        length = self._overlong_bytes + cut
        start = self.next_start
        self.next_start = start + length + 1
        found = Lines([self._overlong], [start, self.next_start], {0: self._reason(length)})
        self._overlong = b""
        self._overlong_bytes = 0
        self._rest = block[cut + 1 :]
        return found

    def _reason(self, length: int) -> str:
        return f"the line is {length} bytes long, at most {self._max_line_bytes} are read"
