"""P8 with whole jobs: addresses, injection through user data, bombs, regexes that would never end."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.cli.app import run
from pipeline.receiver.server import Receiver
from tests.kit.programs.jobs import Job, accounted, ready
from tests.kit.programs.run import Bench, until

FORBIDDEN_HOSTS = [
    "127.0.0.1", "127.1", "127.0.0.1.", "2130706433", "0x7f000001", "017700000001", "0x7f.0.0.1",
    "0177.0.0.1", "0", "0.0.0.0", "localhost", "LOCALHOST", "localhost.", "a.localhost",
    "10.0.0.1", "10.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "192.0.0.1", "198.18.0.1",
    "169.254.169.254", "2852039166", "0xa9fea9fe", "169.254.43518", "224.0.0.1", "255.255.255.255",
    "240.0.0.1",
    "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "[::ffff:7f00:1]", "[fe80::1]", "[fc00::1]",
    "[fd00:ec2::254]", "[ff02::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[2001:0:0:0:0:0:80ff:fffe]",
    "[0:0:0:0:0:ffff:a9fe:a9fe]", "[64:ff9b:1::1]", "[2001:db8::1]",
]  # fmt: skip
"""Every one is an address that a webhook must never be able to reach, in some spelling."""


def test_check_refuses_every_spelling_of_an_address_that_is_not_public(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """A decision alone: nothing is dialled."""
    bench = Bench(tmp_path, "{}")
    for number, host in enumerate(FORBIDDEN_HOSTS):
        bench.webhook(f"w{number}", f'"http://{host}:8080/x"')
    bench.webhook("good", "https://example.com/hook")
    assert run(["check", "--json", "-c", str(bench.config)]) == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    refused = {Path(problem["file"]).stem for problem in found if problem["severity"] == "error"}
    let_through = [host for number, host in enumerate(FORBIDDEN_HOSTS) if f"w{number}" not in refused]
    assert let_through == []
    assert "good" not in refused


class Wire:
    """A server that keeps the very bytes that come in, and answers 200 to each request."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.came: list[bytearray] = []
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        came = bytearray()
        self.came.append(came)
        with connection:
            answered = 0
            while data := connection.recv(65536):
                came += data
                while len(self.requests(came)) > answered:
                    answered += 1
                    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    @staticmethod
    def requests(came: bytes | bytearray) -> list[tuple[bytes, bytes]]:
        """Return head and body of each whole request."""
        found = []
        rest = bytes(came)
        while b"\r\n\r\n" in rest:
            head, _, after = rest.partition(b"\r\n\r\n")
            lines = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:])
            length = int(lines.get(b"content-length", b"0"))
            if len(after) < length:
                break
            found.append((head, after[:length]))
            rest = after[length:]
        return found

    def all(self) -> list[tuple[bytes, bytes]]:
        return [request for came in list(self.came) for request in self.requests(came)]

    def close(self) -> None:
        self.listener.close()


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.close()


NASTY = [
    "a\r\nX-Injected: 1", "a\nX-Injected: 1", "a\rX-Injected: 1",
    "a\r\n\r\nPOST /evil HTTP/1.1\r\nHost: evil\r\n\r\n",
    "a\x00b", "a\u0085X-Injected: 1", "a\u2028X-Injected: 1", "č\u010aX-Injected: 1", "../../admin",
    "a/../../x",
    "a?x=1#y", "a b", "%0d%0aX-Injected:%201", "\\..\\x", "@evil.example/", "//evil.example/", "é",
]  # fmt: skip


def test_user_data_stays_inside_its_header_path_and_query(tmp_path: Path, wire: Wire):
    bench = Bench(tmp_path)
    url = f"http://127.0.0.1:{wire.port}"
    value = "{{ event.properties.v }}"
    bench.webhook("header", f"{url}/header", f'  headers: {{X-Value: "v{value}"}}\n  body: {{}}\n')
    bench.webhook("path", f'"{url}/path/{value}/end"', "  body: {}\n")
    bench.webhook("query", f"{url}/query", f'  query: {{q: "{value}"}}\n  body: {{}}\n')
    bench.append(*({"id": f"e{n}", "properties": {"v": text}} for n, text in enumerate([*NASTY, "plain"])))
    with Job(bench, follow=False) as job:
        counts = job.ended()["webhooks"]
    total = len(NASTY) + 1
    for name in ("header", "path", "query"):
        assert counts[name]["matched"] == total
        assert counts[name]["delivered"] + counts[name]["dead"] == total
        assert counts[name]["delivered"] >= 1
    sent = wire.all()
    assert len(sent) == sum(counts[name]["delivered"] for name in counts)
    for head, body in sent:
        first, *lines = head.split(b"\r\n")
        method, target, version = first.split(b" ")
        assert (method, version, body) == (b"POST", b"HTTP/1.1", b"{}")
        assert target.startswith((b"/header", b"/path/", b"/query?q=", b"/query"))
        assert all(0x21 <= byte < 0x7F for byte in target)
        if target.startswith(b"/path/"):
            assert target.endswith(b"/end")
            assert target.count(b"/") == 3, "one value is one segment"
            assert target.split(b"/")[2] not in (b"..", b".")
        names = [line.partition(b":")[0].lower() for line in lines]
        assert b"x-injected" not in names
        assert names.count(b"host") == 1
        assert not any(byte < 0x20 or byte > 0x7E for line in lines for byte in line)
    assert b"evil" not in {target for head, _ in sent for target in head.split(b"\r\n")[0].split(b" ")}
    headers = [letter for letter in bench.listed("dlq") if letter["webhook"] == "header"]
    assert len(headers) == counts["header"]["dead"] >= 6


BOMBS = {
    "loops": "{% for i in event.properties.many %}{% for j in event.properties.many %}"
    "{% for k in event.properties.many %}x{% endfor %}{% endfor %}{% endfor %}",
    "range": "{% for i in (1..event.properties.big) %}x{% endfor %}",
    "growth": "{% assign s = event.properties.long %}"
    + "{% assign s = s | replace: 'a', s %}" * 4
    + "{{ s }}",
    "append": "{% assign s = event.properties.long %}" + "{% assign s = s | append: s %}" * 30 + "{{ s }}",
    "deep": "{{ event.properties.nested | json }}",
    "split": "{{ event.properties.long | split: '' | join: event.properties.long }}",
    "numbers": "{{ event.properties.big | times: event.properties.big | times: event.properties.big }}",
}


def test_bombs_in_templates_and_data_stop_neither_the_job_nor_other_webhooks(tmp_path: Path):
    nested: object = []
    for _ in range(150):
        nested = [nested]
    bomb = {"many": list(range(900)), "long": "a" * 5000, "nested": nested, "big": 9_000_000_000_000_000_000}
    with Receiver({"*": [200]}) as receiver:
        bench = Bench(tmp_path)
        for name, template in BOMBS.items():
            bench.webhook(name, receiver.url(f"/{name}"), f"  body: {{x: {json.dumps(template)}}}\n")
        bench.webhook("calm", receiver.url("/calm"), "  body: {id: '{{ event.id }}'}\n")
        bench.append({"id": "bomb", "properties": bomb}, {"id": "after", "properties": {}})
        with Job(bench) as job:
            ready(bench, job)
            until(lambda: bench.counts("calm")["delivered"] == 2)
            until(lambda: all(c["matched"] == 2 and not c["pending"] for c in accounted(bench).values()))
            assert job.peak() < 600 << 20
            job.stop()
        counts = accounted(bench)
        letters = {letter["webhook"]: letter["reason"] for letter in bench.listed("dlq")}
        for name in ("loops", "range", "growth", "append"):
            assert counts[name]["dead"] >= 1, name
            assert f"{name}.yaml" in letters[name], "the reason names the template's place"


def test_regexes_that_explode_elsewhere_are_linear_or_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    bench = Bench(tmp_path)
    with Receiver({"*": [200]}) as receiver:
        bench.webhook("calm", receiver.url("/calm"))
        for number, regex in enumerate(("(a+)+$", "(a|aa)+$", "(.*a){20}$", "^(([a-z])+.)+[A-Z]([a-z])+$")):
            bench.webhook(f"w{number}", receiver.url(f"/w{number}"))
            path = bench.config / "webhooks" / f"w{number}.yaml"
            where = f"  where: {{event.properties.v: {{regex: {json.dumps(regex)}}}}}\n"
            path.write_text(
                path.read_text().replace('trigger: {events: "*"}\n', f'trigger:\n  events: "*"\n{where}')
            )
        bench.append(*({"id": f"e{n}", "properties": {"v": "a" * 30_000 + "!"}} for n in range(20)))
        with Job(bench, follow=False) as job:
            counts = job.ended(secs=60)["webhooks"]
        assert counts["calm"]["delivered"] == 20
        matched = {name for name, each in counts.items() if each["matched"]}
        assert matched == {"calm"}, "none of the others matches"
    bench.webhook("bad", "https://example.com/")
    path = bench.config / "webhooks" / "bad.yaml"
    path.write_text(
        "id: bad\ntrigger:\n  events: \"*\"\n  where: {event.properties.v: {regex: '(a)\\1'}}\n"
        "request: {url: https://example.com/}\n"
    )
    assert run(["check", "-c", str(bench.config)]) == 1
    assert "bad.yaml:4" in capsys.readouterr().out
