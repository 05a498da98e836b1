"""Reads one HTTP answer, however receivers write it: its head, and where its body ends.

Both clients read answers through this, so that they are equally lenient. Bare line feeds, folded lines,
blanks before a colon, padded chunk sizes and a repeated equal length are accepted. So are, though the
connection is then not reused: a length beside chunks, which override it (RFC 9112, 6.3), `chunked` said more
than once, another coding within the chunks, which is passed on as one of the content, and a line that is no
header, which is left out. Whatever makes the answer's end ambiguous is
refused (two lengths, unrequested codings), and so are other protocols and a switch of protocols. 1xx
responses are skipped.
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
_TELLING = re.compile(rb"content-length|transfer-encoding|http/1\.", re.IGNORECASE)
"""What is in no line that may be left out: it says where a body ends, or is another answer's beginning."""
_STRICT = re.compile(rb"%b\r\n(?:%b:%b\r\n)*\r\n" % (_STATUS.pattern, _NAME, _VALUE))
_LENGTH = re.compile(rb"[0-9]{1,18}")
_SIZE = re.compile(rb"([0-9a-fA-F]{1,16})[ \t]*(?:;[^\r\x00]*)?")
_NO_LENGTH = -1
_LONGEST_LINE = 8192
"""Maximum length of a line between chunks."""
OVERHEAD = 8
"""How many times longer than its body an answer may be on the wire: one-byte chunks, trailers."""
BROKEN_OFF = "the connection was closed before the answer was complete"
_BODYLESS = frozenset({204, 304})


class AnswerError(Exception):
    """The answer cannot be accepted. ``fault`` is the attempt's fault, ``status`` what the answer said before
    it went wrong (0: nothing).
    """

    def __init__(self, fault: Fault, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.fault: Fault = fault
        self.status = status


class AnswerReader:
    """Reads one answer from its first byte."""

    __slots__ = (
        "_buffer", "_in_data", "_in_trailers", "_left", "_looked", "_lower", "_passed", "done", "framed",
        "head", "is_chunked", "status", "surplus",
    )  # fmt: skip

    def __init__(self) -> None:
        self._buffer = b""
        self._looked = 0
        self._passed = 0
        self._left = 0
        self._lower = b""
        self._in_data = self._in_trailers = False
        self.status = 0
        """The final head's status; 0 until it is complete."""
        self.head = b""
        """The final head in strict form: CRLF, one line per header, an empty line."""
        self.framed = False
        """True where the head gives the body's length."""
        self.is_chunked = False
        self.done = False
        """True once the answer is complete."""
        self.surplus = b""
        """Data that arrived with the answer but is not part of it."""

    def feed(self, data: bytes, *, bodyless: bool = False) -> bytes:
        """Return the part of the data that is body. bodyless: the answer to a HEAD. Raises AnswerError."""
        if not self.status:
            rest = self._read_head(data)
            if rest is None:
                return b""
            data = rest
            self._begin_body(bodyless)
        if self.done:
            self.surplus += data
            return b""
        if self.is_chunked:
            return self._read_chunks(data)
        if not self.framed:
            return data
        piece = data if len(data) <= self._left else data[: self._left]
        self._left -= len(piece)
        self.done = not self._left
        self.surplus = data[len(piece) :]
        return piece

    @property
    def ends_with_connection(self) -> bool:
        """True where end of file completes the answer: no length was given, or only the line after the last
        chunk is missing.
        """
        return bool(self.status) and (self._in_trailers or not self.framed)

    @property
    def begun(self) -> int:
        """The status that the answer has said so far; 0: none."""
        return self.status or _status_of(self._buffer)

    @property
    def keep(self) -> bool:
        """True where the connection may be reused after a complete answer."""
        if self.surplus:
            return False
        is_old = self._lower.startswith(b"http/1.0")
        if b"\nconnection:" not in self._lower:
            return not is_old
        lines = self._lower.split(b"\nconnection:")[1:]
        options = {option.strip(b" \t") for line in lines for option in line.partition(b"\r")[0].split(b",")}
        return b"keep-alive" in options if is_old else b"close" not in options

    def header(self, name: bytes) -> str | None:
        """Return the first value of a header. name: in lower case."""
        at = self._lower.find(b"\n%b:" % name)
        if at < 0:
            return None
        value = self.head[at + len(name) + 2 :].partition(b"\r")[0]
        return value.strip(b" \t").decode("latin-1")

    def headers(self) -> dict[str, str]:
        """Return the headers by lower-case name; repeated ones are joined with commas."""
        made: dict[str, str] = {}
        for line in self.head.split(b"\r\n")[1:-2]:
            name, _, value = line.partition(b":")
            key, text = name.decode("latin-1").lower(), value.strip(b" \t").decode("latin-1")
            made[key] = f"{made[key]}, {text}" if key in made else text
        return made

    # --- inside

    def _read_head(self, data: bytes) -> bytes | None:
        """Return the data after the final head; None while that is not complete."""
        buffer = self._buffer + data if self._buffer else data
        while True:
            if buffer[:1] in (b"\r", b"\n"):
                # Some send an empty line after a body.
                kept = buffer.lstrip(b"\r\n")
                self._passed += len(buffer) - len(kept)
                buffer, self._looked = kept, 0
            if not _START.startswith(buffer[:7]):
                raise AnswerError("protocol", f"not an HTTP/1 answer: {_other(buffer)}")
            found = _END.search(buffer, max(0, self._looked - 3))
            end = found.end() if found is not None else len(buffer)
            if self._passed + end > MAX_HEAD:
                raise AnswerError("head-limit", f"over {MAX_HEAD} bytes before the body", _status_of(buffer))
            if found is None:
                self._buffer, self._looked = buffer, len(buffer)
                return None
            raw, buffer = buffer[:end], buffer[end:]
            status = _status_of(raw)
            if status >= 200:
                self.head = _strict(raw, status)
                self._lower = self.head.lower()
                self.status = status
                self._buffer = b""
                return buffer
            if status == 101:
                raise AnswerError("protocol", "the receiver switched protocols")
            if status == 0:
                raise AnswerError("protocol", f"not an HTTP/1 answer: {_shown(raw)}")
            self._passed += end
            self._looked = 0

    def _begin_body(self, bodyless: bool) -> None:
        if bodyless or self.status in _BODYLESS:
            self.framed = self.done = True
            return
        length = _length_in(self._lower)
        if length != _NO_LENGTH:
            self._left = length
            self.framed, self.done = True, not length
        elif b"\ntransfer-encoding:" in self._lower:
            self.framed = self.is_chunked = True

    def _read_chunks(self, data: bytes) -> bytes:
        buffer = self._buffer + data if self._buffer else data
        made: list[bytes] = []
        at = 0
        while not self.done:
            if self._in_data:
                piece = buffer[at : at + self._left]
                made.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if self._left:
                    break
                ends = buffer[at : at + 2]
                if ends[:1] == b"\n":
                    at += 1
                elif ends == b"\r\n":
                    at += 2
                elif ends in (b"", b"\r"):
                    break
                else:
                    raise self._wrong("a chunk is longer than its size")
                self._in_data = False
            end = buffer.find(b"\n", at)
            if (end if end >= 0 else len(buffer)) - at > _LONGEST_LINE:
                raise self._wrong("a line between chunks is too long")
            if end < 0:
                break
            line = buffer[at:end].removesuffix(b"\r")
            at = end + 1
            if self._in_trailers:
                self.done = not line
                continue
            found = _SIZE.fullmatch(line)
            if found is None:
                raise self._wrong(f"{_shown(line)} is no size of a chunk")
            self._left = int(found[1], 16)
            self._in_data, self._in_trailers = self._left > 0, not self._left
        self._buffer = buffer[at:]
        self.surplus = self._buffer if self.done else b""
        return b"".join(made)

    def _wrong(self, what: str) -> AnswerError:
        return _wrong(what, self.status)


def is_plainly_chunked(wire: bytes) -> bool:
    """Return whether an answer names `chunked` once, as its only coding."""
    lower = wire.lower()
    return lower.count(b"\ntransfer-encoding:") == 1 and b"\r\ntransfer-encoding: chunked\r\n" in lower


def _length_in(lower: bytes) -> int:
    """Return the length in a lower-case head."""
    at = lower.find(b"\ncontent-length:")
    if at < 0:
        return _NO_LENGTH
    value = lower[at + 16 :].partition(b"\r")[0].strip(b" \t")
    return int(value) if _LENGTH.fullmatch(value) else _NO_LENGTH


def _other(raw: bytes) -> str:
    """Return what speaks there in the place of HTTP/1."""
    if raw.startswith(b"\x15\x03"):
        return "it speaks TLS: is it a port for `https://`?"
    if raw[:2] == b"\0\0" and raw[3:4] == b"\4":  # a frame of settings comes first
        return "it speaks HTTP/2 alone, which Hookline does not"
    return f"it begins with {_shown(raw)}"


def _shown(raw: bytes) -> str:
    return ascii(raw.partition(b"\n")[0][:80])[1:]


def _status_of(raw: bytes) -> int:
    """Return the status of a complete status line; else 0."""
    line, end, _ = raw.partition(b"\n")
    found = _STATUS.fullmatch(line.removesuffix(b"\r")) if end else None
    return int(found[1]) if found is not None else 0


def _strict(raw: bytes, status: int) -> bytes:
    """Return a head in strict form."""
    if _is_plain(raw) and _STRICT.fullmatch(raw):
        if raw.count(b"\n") > MAX_HEADERS + 2:
            raise _too_many(status)
        return raw
    lines = _unfolded(raw)
    if len(lines) > MAX_HEADERS + 1:
        raise _too_many(status)
    made = [lines[0]]
    lengths: set[bytes] = set()
    codings: list[bytes] = []
    is_odd = False
    for line in lines[1:]:
        found = _LINE.fullmatch(line)
        if found is None:
            if _TELLING.search(line):
                raise _wrong(f"{_shown(line)} is no header", status)
            is_odd = True
            continue
        name, value = found[1].lower(), found[2].strip(b" \t")
        if name == b"content-length":
            lengths.update(part.strip(b" \t") for part in value.split(b","))
        elif name == b"transfer-encoding":
            codings += [part for one in value.split(b",") if (part := one.strip(b" \t").lower())]
        else:
            made.append(b"%b: %b" % (found[1], value))
    codings = [coding for coding in codings if coding != b"identity"]
    if len(lengths) > 1 or not all(_LENGTH.fullmatch(length) for length in lengths):
        raise _wrong(f"content-length is {_shown(b', '.join(sorted(lengths)))}", status)
    inner = [coding for coding in codings if coding != b"chunked"]
    chunks = codings[len(inner) :]  # where chunks are the outermost coding they say where the body ends
    if codings and (not chunks or set(chunks) != {b"chunked"}):
        raise _wrong(f"transfer-encoding is {_shown(b', '.join(codings))}", status)
    if inner:
        made.append(b"content-encoding: " + b", ".join(inner))
    if is_odd or len(codings) > 1 or (codings and lengths):
        made = [line for line in made if not line.lower().startswith(b"connection:")] + [b"connection: close"]
    if codings:
        made.append(b"transfer-encoding: chunked")
    else:
        made += [b"content-length: %b" % length for length in lengths]
    return b"\r\n".join(made) + b"\r\n\r\n"


def _unfolded(raw: bytes) -> list[bytes]:
    """Return the lines of a head, each with those that go on with it."""
    lines: list[bytes] = []
    for written in raw.rstrip(b"\r\n").split(b"\n"):
        line = written.removesuffix(b"\r")
        if line[:1] in (b" ", b"\t") and len(lines) > 1:
            lines[-1] += b" " + line.strip(b" \t")
        else:
            lines.append(line)
    return lines


def _is_plain(raw: bytes) -> bool:
    """Return whether at most one header says where the body ends, in the simplest form."""
    lower = raw.lower()
    lengths, codings = lower.count(b"\ncontent-length"), lower.count(b"\ntransfer-encoding")
    if lengths + codings > 1:
        return False
    if codings:
        return b"\ntransfer-encoding: chunked\r" in lower
    return not lengths or _length_in(lower) != _NO_LENGTH


def _wrong(what: str, status: int) -> AnswerError:
    return AnswerError("protocol", f"not an HTTP/1 answer: {what}", status)


def _too_many(status: int) -> AnswerError:
    return AnswerError("head-limit", f"over {MAX_HEADERS} headers before the body", status)
