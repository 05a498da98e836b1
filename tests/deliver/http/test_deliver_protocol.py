"""One connection byte by byte, without a socket: what ends an answer and what may be used again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.deliver.http.attempt import MAX_BODY, Attempt
from pipeline.deliver.http.connection import Connection
from pipeline.deliver.http.target import build_target
from tests.kit.examples import examples

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Wire:
    """A transport that only remembers."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.aborted = False
        self.unsent = 0

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def abort(self) -> None:
        self.aborted = True

    def get_write_buffer_size(self) -> int:
        return self.unsent


class Line:
    """A connection with its wire and what it reported."""

    def __init__(self, *, glances: bool = True) -> None:
        self.wire = Wire()
        self.ends: list[tuple[Attempt | None, bool]] = []
        self.connection = Connection(lambda _, attempt, stale: self.ends.append((attempt, stale)))
        if not glances:
            self.connection._glance = None
        self.connection.connection_made(self.wire)  # type: ignore[arg-type]  # what it uses of one

    def ask(self, method: str = "POST") -> Attempt:
        attempt = Attempt(build_target(method, "http://example.com/", (), None), b"", b"")
        self.connection.send(attempt, b"request")
        return attempt

    def hear(self, *pieces: bytes) -> None:
        for piece in pieces:
            if not self.connection.closed:
                self.connection.data_received(piece)

    @property
    def reusable(self) -> bool:
        return not self.connection.closed and self.connection.attempt is None


def test_what_is_said_before_the_request_closes_the_connection() -> None:
    line = Line()
    line.hear(OK)
    assert line.connection.closed
    assert line.wire.aborted


def test_what_is_said_after_the_answer_closes_the_connection() -> None:
    line = Line()
    attempt = line.ask()
    line.hear(OK)
    assert line.reusable
    assert (attempt.status, attempt.answer) == (200, b"ok")
    line.hear(b"HTTP/1.1 500 x\r\n\r\n")
    assert line.connection.closed


@pytest.mark.parametrize("extra", [b"H", b"HTTP/1.1 500 x\r\ncontent-length: 0\r\n\r\n", OK, b"\x00", OK * 3])
def test_more_than_the_answer_in_one_piece_gives_the_answer_and_closes(extra: bytes) -> None:
    line = Line()
    attempt = line.ask()
    line.hear(OK + extra)
    assert (attempt.status, attempt.answer) == (200, b"ok")
    assert not line.reusable
    assert len(line.ends) == 1


def test_an_answer_to_a_request_that_is_not_sent_yet_in_full_is_believed_but_closes() -> None:
    line = Line()
    line.wire.unsent = 100_000
    attempt = line.ask()
    line.hear(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
    assert attempt.status == 413
    assert not line.reusable


def test_the_answer_to_head_has_no_body_whatever_its_length_says() -> None:
    line = Line()
    attempt = line.ask("HEAD")
    line.hear(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n")
    assert (attempt.status, attempt.answer) == (200, b"")
    assert not line.reusable


def test_a_connection_serves_many_answers_without_mixing_them() -> None:
    line = Line()
    for n in range(50):
        attempt = line.ask()
        body = b"%d" % n
        retry = b"retry-after: 7\r\n" if n % 2 else b""
        line.hear(b"HTTP/1.1 %d x\r\n%bcontent-length: %d\r\n\r\n%b" % (400 + n, retry, len(body), body))
        assert (attempt.status, attempt.answer, attempt.retry_after) == (
            400 + n,
            body,
            "7" if n % 2 else None,
        )
    assert line.reusable


def test_the_end_of_file_ends_a_body_only_where_nothing_else_does() -> None:
    open_end = Line()
    attempt = open_end.ask()
    open_end.hear(b"HTTP/1.1 200 OK\r\n\r\nhalf")
    open_end.connection.connection_lost(None)
    assert (attempt.status, attempt.fault, attempt.answer) == (200, None, b"half")
    for framed in (b"content-length: 10\r\n", b"transfer-encoding: chunked\r\n"):
        line = Line()
        attempt = line.ask()
        line.hear(b"HTTP/1.1 200 OK\r\n%b\r\n" % framed)
        line.connection.connection_lost(None)
        assert (attempt.status, attempt.fault) == (0, "closed")


def test_a_reset_is_never_the_end_of_a_body() -> None:
    line = Line()
    attempt = line.ask()
    line.hear(b"HTTP/1.1 200 OK\r\n\r\nhalf")
    line.connection.connection_lost(ConnectionResetError("gone"))
    assert (attempt.status, attempt.fault) == (0, "reset")


def test_only_a_used_connection_that_said_nothing_is_stale() -> None:
    fresh = Line()
    attempt = fresh.ask()
    fresh.connection.connection_lost(None)
    assert (attempt.fault, fresh.ends[-1][1]) == ("closed", False)
    used = Line()
    used.ask()
    used.hear(OK)
    again = used.ask()
    used.connection.connection_lost(ConnectionResetError())
    assert used.ends[-1] == (again, True)
    begun = Line()
    begun.ask()
    begun.hear(OK)
    attempt = begun.ask()
    begun.hear(b"HTTP")
    begun.connection.connection_lost(None)
    assert (attempt.fault, begun.ends[-1][1]) == ("closed", False)


def test_the_body_is_cut_and_the_connection_closed() -> None:
    line = Line()
    attempt = line.ask()
    line.hear(
        b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n", b"x" * 10_000, b"y" * 10_000, b"z" * 10_000
    )
    assert attempt.status == 200
    assert attempt.answer == b"x" * 10_000 + b"y" * (MAX_BODY - 10_000)
    assert line.connection.closed


@settings(max_examples=examples(200))
@given(st.data())
def test_no_bytes_break_it_and_every_attempt_ends_once(data: Any) -> None:
    line = Line()
    attempt = line.ask()
    wire = data.draw(
        st.one_of(
            st.binary(max_size=300),
            st.lists(
                st.sampled_from(
                    [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 103 x\r\n", b"\r\n", b"content-length: 3\r\n",
                     b"abc", b"transfer-encoding: chunked\r\n", b"3\r\n", b"0\r\n\r\n", b"x",
                     b"connection: close\r\n"]
                ),
                max_size=20,
            ).map(b"".join),
        )
    )  # fmt: skip
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=5)))
    pieces = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True) if a < b]
    line.hear(*pieces)
    line.connection.connection_lost(None)
    ended = [each for each, _ in line.ends if each is not None]
    assert ended == [attempt]
    assert (attempt.status >= 200) != (attempt.fault is not None)


@given(st.integers(1, 40))
def test_an_answer_in_pieces_is_the_same_answer(size: int) -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nRetry-After: 5\r\n\r\n"
    wire = b"HTTP/1.1 100 Continue\r\n\r\n" + head + b"2\r\nok\r\n1\r\n!\r\n0\r\n\r\n"
    line = Line()
    attempt = line.ask()
    line.hear(*(wire[place : place + size] for place in range(0, len(wire), size)))
    assert (attempt.status, attempt.answer, attempt.retry_after) == (200, b"ok!", "5")
    assert line.reusable


def glanced(*pieces: bytes, unsent: int = 0) -> bool:
    """Return whether an answer was understood without a look at its headers."""
    line = Line()
    line.wire.unsent = unsent
    line.ask()
    line.hear(*pieces)
    assert len(line.ends) == 1
    return line.connection._glance is not None


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        b"HTTP/1.1 204 No Content\r\nx-request-id: 7\r\n\r\n",
        b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nDATE: now\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy",
    ],
)
def test_an_answer_that_comes_whole_and_alone_needs_no_look_at_its_headers(answer: bytes) -> None:
    assert glanced(answer)


@pytest.mark.parametrize(
    "pieces",
    [
        (b"HTTP/1.1 503 Busy\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n",),
        (b"HTTP/1.1 429 No\r\nRETRY-AFTER : 7\r\ncontent-length: 0\r\n\r\n",),
        (b"HTTP/1.1 301 Moved\r\ncontent-length: 0\r\n\r\n",),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK,),
        (OK + b"H",),
        (OK + OK,),
        (OK[:20], OK[20:]),
        (b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (MAX_BODY + 1, b"x" * (MAX_BODY + 1)),),
        (b"not HTTP at all",),
    ],
)
def test_an_answer_that_may_say_more_is_read_with_its_headers(pieces: tuple[bytes, ...]) -> None:
    assert not glanced(*pieces)


def test_what_a_success_says_of_a_batch_is_read_with_its_headers() -> None:
    line = Line()
    for _ in range(2):
        attempt = line.ask()
        attempt.headers_matter = True
        line.hear(b"HTTP/1.1 207 Multi-Status\r\nRETRY-AFTER: 120\r\ncontent-length: 2\r\n\r\nok")
        assert (attempt.status, attempt.answer, attempt.retry_after) == (207, b"ok", "120")
    assert line.reusable


def test_a_success_closes_where_the_request_is_not_sent_yet_in_full() -> None:
    line = Line()
    line.wire.unsent = 100_000
    attempt = line.ask()
    line.hear(OK)
    assert attempt.status == 200
    assert not line.reusable


ANSWERS = [
    OK,
    OK + OK,
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 503 Busy\r\nretry-after: 3\r\ncontent-length: 4\r\n\r\nbusy",
    b"HTTP/1.1 500 Sorry\r\nserver: x\r\ncontent-length: 5\r\n\r\nsorry",
    b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
    b"nonsense",
]


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(st.tuples(st.sampled_from(ANSWERS), st.integers(0, 60)), max_size=12))
def test_a_glance_changes_no_answer(said: list[tuple[bytes, int]]) -> None:
    lines = [Line(), Line(glances=False)]
    told = []
    for line in lines:
        for answer, cut in said:
            if line.connection.closed:
                break
            if not line.reusable:
                continue
            line.ask()
            line.hear(*(piece for piece in (answer[:cut], answer[cut:]) if piece))
        told.append(
            [
                (one.status, one.answer, one.fault, one.retry_after, stale) if one is not None else None
                for one, stale in line.ends
            ]
            + [line.connection.closed]
        )
    assert told[0] == told[1]


MUTATED = [
    *ANSWERS,
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\ncontent-length: 2\r\nconnection: keep-alive\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
]
PIECES = [
    *(bytes([byte]) for byte in b"\0\t\n\r :;,-+0129aXz/\x80\xff"),
    *(
        b"\r\n",
        b"\n\n",
        b"chunked",
        b"content-length: 2\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"x: y\r\n",
    ),
    *(b"HTTP/1.1 ", b"RTSP/1.0 ", b"connection: close\r\n", b"upgrade: h2c\r\n"),
]


@settings(max_examples=examples(500), deadline=None)
@given(
    st.sampled_from(MUTATED),
    st.lists(st.tuples(st.integers(0, 120), st.integers(0, 3), st.sampled_from([b"", *PIECES])), max_size=4),
)
def test_what_is_taken_at_a_glance_is_what_the_reader_makes_of_it(
    answer: bytes, changes: list[tuple[int, int, bytes]]
) -> None:
    for place, cut, piece in changes:
        answer = answer[:place] + piece + answer[place + cut :]
    lines = [Line(), Line(glances=False)]
    for line in lines:
        line.ask()
        line.hear(answer or b"x")
        line.connection.connection_lost(None)
    told = [
        [(one.status, one.answer, one.fault, one.begun) for one, _ in line.ends if one is not None]
        for line in lines
    ]
    assert told[0] == told[1]
