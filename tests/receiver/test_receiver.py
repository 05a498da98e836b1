"""The receiver itself: what it reads, records and answers. It is the yardstick of other tests."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from pipeline.receiver.answer import Answer
from pipeline.receiver.faults import FAULTS
from pipeline.receiver.received import Request
from pipeline.receiver.script import Script, answer_of
from pipeline.receiver.server import Receiver
from pipeline.receiver.show import printer
from tests.kit.receivers.receiver import read_records


def exchange(receiver: Receiver, *pieces: bytes, answers: int = 1) -> bytes:
    """Send the pieces as they are; return what comes back until that many answers have come or it closes."""
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=5) as sock:
        for piece in pieces:
            sock.sendall(piece)
        got = b""
        while got.count(b"HTTP/1.") < answers or not got.endswith((b"\r\n\r\n", b"ok")):
            data = sock.recv(65536)
            if not data:
                break
            got += data
        return got


def test_requests_in_pieces_and_in_a_row_are_read(receiver: Receiver) -> None:
    one = b"POST /a?x=1 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nWebhook-Id: msg_1\r\n\r\nabc"
    exchange(receiver, *(one[place : place + 1] for place in range(len(one))))
    exchange(receiver, one * 3, answers=3)
    assert len(receiver.requests) == 4
    first = receiver.requests[0]
    assert (first.method, first.path, first.query, first.body, first.message_id) == (
        "POST", "/a", "x=1", b"abc", "msg_1",
    )  # fmt: skip


@pytest.mark.parametrize(
    "wire",
    [
        b"nonsense\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_and_not_recorded(receiver: Receiver, wire: bytes) -> None:
    assert exchange(receiver, wire).startswith(b"HTTP/1.1 4")
    assert receiver.requests == []


def to(path: str, message_id: str = "m") -> Request:
    return Request(0.0, "POST", path, "", {"webhook-id": message_id}, b"")


def test_a_script_goes_through_its_answers_and_repeats_the_last() -> None:
    script = Script({"/a": [500, "reset", 200], "*": [404]})
    assert [script.answer(to("/a")).fault or script.answer(to("/x")).status for _ in range(1)] == [404]
    script = Script({"/a": [500, "reset", 200], "*": [404]})
    got = [script.answer(to("/a")) for _ in range(4)]
    assert [each.fault or each.status for each in got] == [500, "reset", 200, 200]
    assert script.answer(to("/other")).status == 404


def test_a_script_per_id_lets_every_message_go_through_all_of_it() -> None:
    script = Script({"*": {"per_id": True, "answers": [500, 200]}})
    assert [script.answer(to("/", each)).status for each in ("a", "b", "a", "b", "a")] == [
        500,
        500,
        200,
        200,
        200,
    ]


@pytest.mark.parametrize(
    "bad",
    [
        {"*": []},
        {"*": ["nonsense"]},
        {"*": [True]},
        {"*": [{"code": 200}]},
        {"*": [None]},
        {"*": [{"fault": "x"}]},
    ],
)
def test_a_script_that_cannot_be_meant_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"answer|fault"):
        Script(bad)


def test_answers_have_their_delay_body_and_headers(receiver: Receiver) -> None:
    receiver.answer({"*": [{"status": 201, "delay_secs": 0.1, "body": "héllo ok", "headers": {"X-A": "b"}}]})
    begin = time.monotonic()
    got = exchange(receiver, b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n")
    assert time.monotonic() - begin >= 0.09
    assert got.startswith(b"HTTP/1.1 201 Created\r\n")
    assert b"X-A: b\r\n" in got
    assert got.endswith("content-length: 9\r\n\r\nhéllo ok".encode())


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_every_fault_survives_a_client_that_leaves(receiver: Receiver, fault: str) -> None:
    receiver.answer({"/broken": [fault], "*": [200]})
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=0.05) as sock:
        sock.sendall(b"POST /broken HTTP/1.1\r\ncontent-length: 0\r\n\r\n")
        try:
            sock.recv(1000)
        except OSError:
            pass  # a reset or nothing at all is what some faults are
    assert exchange(receiver, b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n").startswith(b"HTTP/1.1 200")


def test_what_is_recorded_is_on_disk_before_the_answer(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    with Receiver(record=path, bodies=True) as receiver:
        exchange(
            receiver,
            b"POST /a HTTP/1.1\r\ncontent-length: 2\r\nwebhook-id: msg_1\r\nwebhook-attempt: 2\r\n\r\nhi",
        )
        (row,) = read_records(path)
        assert {name: row[name] for name in ("path", "id", "attempt", "status", "body", "sha256")} == {
            "path": "/a", "id": "msg_1", "attempt": "2", "status": 200, "body": "hi",
            "sha256": hashlib.sha256(b"hi").hexdigest(),
        }  # fmt: skip
    with path.open("ab") as torn:
        torn.write(b'{"id": "msg_')
    assert len(list(read_records(path))) == 1
    assert list(read_records(tmp_path / "absent")) == []


def test_a_process_of_its_own_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    path = tmp_path / "requests.jsonl"
    code = (
        "import sys; from pathlib import Path; from pipeline.receiver.server import serve;"
        "n = serve(port=0, record=Path(sys.argv[1]), control=True, listening=lambda p: print(p, flush=True));"
        "print(n)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True, env=os.environ
    ) as process:
        assert process.stdout is not None
        url = f"http://127.0.0.1:{int(process.stdout.readline())}"
        for status in (200, 503):
            script = urllib.request.Request(
                f"{url}/_receiver/script", data=json.dumps({"*": [status]}).encode(), method="PUT"
            )
            urllib.request.urlopen(script).close()
            try:
                urllib.request.urlopen(urllib.request.Request(f"{url}/x", data=b"{}")).close()
            except urllib.error.HTTPError as error:
                error.close()
        bad = urllib.request.Request(f"{url}/_receiver/script", data=b'{"*": ["no"]}', method="PUT")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(bad)
        refused.value.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stdout.read() == "2\n"
    assert [row["status"] for row in read_records(path)] == [200, 503]


def test_a_port_that_is_taken_is_an_error_where_it_is_started(receiver: Receiver) -> None:
    with pytest.raises(OSError, match="in use"), Receiver(port=receiver.port):
        pass


def test_it_shows_what_arrives_and_judges_signatures() -> None:
    out = io.StringIO()
    show = printer(out, ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], headers=True)
    headers = {"webhook-id": "msg_1", "webhook-timestamp": "1", "webhook-attempt": "3", "x-a": "b"}
    show(Request(0.0, "POST", "/a", "q=1", headers, b'{"a": "\x1b[31m"}'), 200)
    show(Request(0.0, "POST", "/b", "", {}, b"\xff\x00"), 0)
    show(Request(0.0, "POST", "/deep", "", {}, b"[" * 100_000), 200)
    text = out.getvalue()
    assert "POST /a?q=1 -> 200 msg_1 attempt 3 signature BAD: no webhook-signature" in text
    assert "x-a: b" in text
    assert "-> fault" in text
    assert "(100000 characters)" in text
    assert "\x1b" not in text
    assert "\x00" not in text


def test_an_answer_may_be_given_as_such() -> None:
    assert answer_of(Answer(418)).status == 418
