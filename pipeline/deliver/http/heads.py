"""The head of an answer, in whatever form receivers write it: read once, given on in one strict form.

Both clients look at answers through this, so that they are equally lenient. Bare line feeds, folded lines,
blanks before a colon and one length said twice are taken. What leaves a doubt about where the answer ends is
refused (two lengths, a length beside chunks, codings nobody asked for), and so are other protocols, a switch
of protocols, and control characters. 1xx answers are passed over.
"""

from __future__ import annotations

import re

from pipeline.deliver.http.attempt import MAX_HEAD, MAX_HEADERS, Fault

_START = b"HTTP/1."
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [^\x00\r\n]*)?")
_END = re.compile(rb"\n\r?\n")
_NAME = rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_VALUE = rb"[\t\x20-\x7e\x80-\xff]*"
_LINE = re.compile(rb"(%b)[ \t]*:(%b)" % (_NAME, _VALUE))
_STRICT = re.compile(rb"%b\r\n(?:%b:%b\r\n)*\r\n" % (_STATUS.pattern, _NAME, _VALUE))
_FRAMING = re.compile(rb"\n(?:content-length|transfer-encoding)[ \t]*:", re.IGNORECASE)
_CHUNKS = re.compile(rb"\ntransfer-encoding", re.IGNORECASE)
_RETRY_AFTER = re.compile(rb"\nretry-after:[ \t]*([^\r]*)", re.IGNORECASE)
_LENGTH = re.compile(rb"[0-9]{1,18}")


class HeadError(Exception):
    """The answer cannot be taken. ``fault`` is what the attempt ends in, ``status`` what the answer said
    before it went wrong (0: nothing).
    """

    def __init__(self, fault: Fault, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.fault: Fault = fault
        self.status = status


class HeadReader:
    """Reads one answer up to the end of its final head."""

    __slots__ = ("_buffer", "_looked", "_passed", "head", "status")

    def __init__(self) -> None:
        self._buffer = b""
        self._looked = 0
        self._passed = 0
        self.status = 0
        """Of the final head; 0 until it is there."""
        self.head = b""
        """The final head in its strict form: CRLF, one line per header, an empty line."""

    def feed(self, data: bytes) -> bytes | None:
        """Return the head in its strict form and what follows it; None while it is not complete.

        Raises HeadError. Must not be called again after it has returned something.
        """
        buffer = self._buffer + data if self._buffer else data
        while True:
            if buffer[:1] in (b"\r", b"\n"):
                # Some send an empty line after a body.
                kept = buffer.lstrip(b"\r\n")
                self._passed += len(buffer) - len(kept)
                buffer, self._looked = kept, 0
            if not _START.startswith(buffer[:7]):
                raise HeadError("protocol", f"not an HTTP/1 answer: it begins with {_shown(buffer)}")
            found = _END.search(buffer, max(0, self._looked - 3))
            end = found.end() if found is not None else len(buffer)
            if self._passed + end > MAX_HEAD:
                raise HeadError("head-limit", f"over {MAX_HEAD} bytes before the body", _status_of(buffer))
            if found is None:
                self._buffer, self._looked = buffer, len(buffer)
                return None
            raw, buffer = buffer[:end], buffer[end:]
            status = _status_of(raw)
            if status >= 200:
                self.status = status
                self.head = _strict(raw, status)
                self._buffer = b""
                return self.head + buffer
            if status == 101:
                raise HeadError("protocol", "the receiver switched protocols")
            if status == 0:
                raise HeadError("protocol", f"not an HTTP/1 answer: {_shown(raw)}")
            self._passed += end
            self._looked = 0

    @property
    def begun(self) -> int:
        """The status that the answer has told so far; 0: none."""
        return self.status or _status_of(self._buffer)

    @property
    def framed(self) -> bool:
        """True where the head says how long the body is; else the end of file ends it."""
        return _FRAMING.search(self.head) is not None

    @property
    def retry_after(self) -> str | None:
        """The value of the header."""
        found = _RETRY_AFTER.search(self.head)
        return found[1].decode("latin-1").strip() if found is not None else None

    def headers(self) -> dict[str, str]:
        """Return the headers by lower-case name; values of one name are joined with commas."""
        made: dict[str, str] = {}
        for line in self.head.split(b"\r\n")[1:-2]:
            name, _, value = line.partition(b":")
            key, text = name.decode("latin-1").lower(), value.strip(b" \t").decode("latin-1")
            made[key] = f"{made[key]}, {text}" if key in made else text
        return made


def _shown(raw: bytes) -> str:
    return ascii(raw.partition(b"\n")[0][:80])[1:]


def _status_of(raw: bytes) -> int:
    """Return the status of a status line that is complete; else 0."""
    line, end, _ = raw.partition(b"\n")
    found = _STATUS.fullmatch(line.removesuffix(b"\r")) if end else None
    return int(found[1]) if found is not None else 0


def _strict(raw: bytes, status: int) -> bytes:
    if _STRICT.fullmatch(raw) and len(_FRAMING.findall(raw)) < 2 and not _CHUNKS.search(raw):
        if raw.count(b"\n") > MAX_HEADERS + 2:
            raise HeadError("head-limit", f"over {MAX_HEADERS} headers before the body", status)
        return raw

    def wrong(what: str) -> HeadError:
        return HeadError("protocol", f"not an HTTP/1 answer: {what}", status)

    lines: list[bytes] = []
    for written in raw.rstrip(b"\r\n").split(b"\n"):
        line = written.removesuffix(b"\r")
        if line[:1] in (b" ", b"\t") and len(lines) > 1:
            lines[-1] += b" " + line.strip(b" \t")
        else:
            lines.append(line)
    if len(lines) > MAX_HEADERS + 1:
        raise HeadError("head-limit", f"over {MAX_HEADERS} headers before the body", status)
    made = [lines[0]]
    lengths: set[bytes] = set()
    codings: list[bytes] = []
    for line in lines[1:]:
        found = _LINE.fullmatch(line)
        if found is None:
            raise wrong(f"{_shown(line)} is no header")
        name, value = found[1].lower(), found[2].strip(b" \t")
        if name == b"content-length":
            lengths.update(part.strip(b" \t") for part in value.split(b","))
        elif name == b"transfer-encoding":
            codings += [part for one in value.split(b",") if (part := one.strip(b" \t").lower())]
        else:
            made.append(b"%b: %b" % (found[1], value))
    codings = [coding for coding in codings if coding != b"identity"]
    if len(lengths) > 1 or not all(_LENGTH.fullmatch(length) for length in lengths):
        raise wrong(f"content-length is {_shown(b', '.join(sorted(lengths)))}")
    if codings and codings != [b"chunked"]:
        raise wrong(f"transfer-encoding is {_shown(b', '.join(codings))}")
    if codings and lengths:
        raise wrong("it has a content-length beside chunks")
    made += [b"content-length: %b" % length for length in lengths]
    if codings:
        made.append(b"transfer-encoding: chunked")
    return b"\r\n".join(made) + b"\r\n\r\n"
