"""What this machine lacks is told as that, and is nobody else's fault: descriptors, ports, threads."""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pipeline.deliver.http import tls
from pipeline.deliver.http.attempt import ALL_IN_USE, AddrInfo, OwnLimit, own_limit, unreached
from pipeline.deliver.http.by_aiohttp.client import AiohttpClient
from pipeline.deliver.http.resolve import Lookup, Resolver
from pipeline.receiver.server import Receiver
from tests.kit.delivery.sending import Sending, with_a_client


@contextmanager
def no_more_files() -> Iterator[None]:
    """Nothing more can be opened; what is open stays so."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def raising(error: Exception) -> Lookup:
    def lookup(host: str, port: int) -> list[AddrInfo]:
        raise error

    return lookup


@pytest.fixture(params=["native", "aiohttp"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"], ids=["dial", "look-up"])
def test_a_process_without_descriptors_blames_nobody_else(name: str, host: str, receiver: Receiver) -> None:
    async def act(sending: Sending) -> None:
        url = f"http://{host}:{receiver.port}/"
        with no_more_files():
            attempt = await sending.send(url)
        assert attempt.fault == "machine", attempt
        assert "raise `ulimit -n`" in attempt.detail
        assert not receiver.requests
        assert (await sending.send(url)).status == 200

    with_a_client(act, name)


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EMFILE, "ulimit -n"),
        (errno.ENFILE, "fs.file-max"),
        (errno.EADDRNOTAVAIL, "ip_local_port_range"),
        (errno.ENOBUFS, "no memory"),
    ],
)
def test_each_limit_is_told_with_its_remedy(name: str, number: int, remedy: str) -> None:
    async def act(sending: Sending) -> None:
        attempt = await sending.send("http://hooks.example/")
        assert attempt.fault == "machine"
        assert remedy in attempt.detail

    with_a_client(act, name, lookup=raising(OSError(number, "no")))


@pytest.mark.parametrize(
    "error",
    [None, OSError("Multiple exceptions"), ConnectionRefusedError(errno.ECONNREFUSED, "no"), ValueError("x")],
)
def test_what_the_receiver_or_the_net_refuses_is_no_limit(error: Exception | None) -> None:
    assert own_limit(error) is None


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 8787)"),
            "Connection refused (127.0.0.1:8787)",
        ),
        (
            OSError(
                "Multiple exceptions: [Errno 113] Connect call failed ('::1', 80, 0, 0), "
                "[Errno 111] Connect call failed ('127.0.0.1', 80)"
            ),
            "No route to host ([::1]:80), Connection refused (127.0.0.1:80)",
        ),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Name or service not known"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "Network is unreachable"),
        (ConnectionError(), "ConnectionError"),
    ],
)
def test_a_receiver_that_is_not_reached_is_told_in_the_words_of_the_system(
    error: Exception, told: str
) -> None:
    assert unreached(error) == told


def test_nobody_who_listens_is_a_refused_connection_by_either_client(name: str) -> None:
    async def act(sending: Sending) -> None:
        attempt = await sending.send("http://127.0.0.1:1/")
        assert (attempt.fault, attempt.detail) == ("connect", "Connection refused (127.0.0.1:1)")

    with_a_client(act, name)


def test_without_an_address_of_that_kind_the_receiver_cannot_be_reached() -> None:
    """As on a machine without IPv6; one that has a way has no port left."""
    error = OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
    nowhere = (socket.AF_INET6, socket.SOCK_STREAM, 0, "", ("fe80::1", 80, 0, 0))  # of no interface
    here = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 80))
    assert own_limit(error, [nowhere]) is None
    assert "no port left" in str(own_limit(error, [nowhere, here]))


def test_without_a_thread_for_a_look_up_nothing_waits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("resolve"):
            raise RuntimeError("can't start new thread")
        start(thread)

    async def act(sending: Sending) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            attempt = await sending.send("http://hooks.example/")
        assert attempt.fault == "machine"
        assert "ulimit -u" in attempt.detail
        # Nothing of the name is left that would be waited for.
        assert (await sending.send("http://hooks.example/")).detail == "gone"

    with_a_client(act, name, lookup=raising(OSError("gone")))


@pytest.mark.parametrize(
    "error", [RuntimeError("boom"), ValueError("embedded null"), MemoryError(), UnicodeError("label")]
)
def test_a_look_up_that_breaks_ends_the_attempt_and_holds_no_later_one(name: str, error: Exception) -> None:
    async def act(sending: Sending) -> None:
        for _ in range(2):
            attempt = await sending.send("http://hooks.example/")
            assert attempt.fault == "dns"
            assert attempt.detail == f"{type(error).__name__}: {error}"

    with_a_client(act, name, lookup=raising(error))


def test_what_no_client_foresees_ends_the_attempt(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(sending: Sending) -> None:
        def breaks(context: str) -> ssl.SSLContext:
            raise RuntimeError("unforeseen")

        monkeypatch.setattr(sending.contexts, "get", breaks)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            attempt = await sending.send(f"https://127.0.0.1:{listener.getsockname()[1]}/")
        assert attempt.fault == "connect"
        assert "unforeseen" in attempt.detail

    with_a_client(act, name)


def test_no_more_connections_are_open_than_may_be(name: str, receiver: Receiver) -> None:
    """Stores and journals need the other descriptors: the job would end without them."""
    receiver.answer({"/hangs": ["hang"]})

    async def act(sending: Sending) -> None:
        async with asyncio.TaskGroup() as group:
            hanging = [
                group.create_task(sending.send(receiver.url("/hangs"), webhook=f"w{n}", timeout_secs=1.0))
                for n in range(4)
            ]
            await asyncio.sleep(0)
            more = await sending.send(receiver.url(), webhook="more")
            assert (more.fault, more.detail) == ("machine", ALL_IN_USE)
        assert {task.result().fault for task in hanging} == {"timeout"}
        assert (await sending.send(receiver.url(), webhook="more")).status == 200

    with_a_client(act, name, max_connections=4)


def test_no_more_names_are_looked_up_at_a_time_than_may_be() -> None:
    asked = threading.Event()

    def silent(host: str, port: int) -> list[AddrInfo]:
        asked.wait(5)
        raise OSError("late")

    async def main() -> None:
        resolver = Resolver((), silent, most=2)
        async with asyncio.TaskGroup() as group:
            for n in range(2):
                group.create_task(refused(resolver, f"{n}.example", "late"))
            await asyncio.sleep(0)
            await refused(resolver, "2.example", "ulimit -n")
            asked.set()
        await refused(resolver, "2.example", "late")

    async def refused(resolver: Resolver, host: str, why: str) -> None:
        with pytest.raises(OSError, match=why):
            await resolver.resolve(host, 80)

    asyncio.run(main())


def test_a_token_that_is_not_asked_for_is_no_refusal() -> None:
    async def act(sending: Sending) -> None:
        assert isinstance(sending.client, AiohttpClient)
        with no_more_files(), pytest.raises(OwnLimit, match="ulimit -n"):
            await sending.client.post("http://127.0.0.1:1/token", b"", {})
        with pytest.raises(OSError, match=r"^connect: Connection refused") as refused:
            await sending.client.post("http://127.0.0.1:1/token", b"", {})
        assert not isinstance(refused.value, OwnLimit)

    with_a_client(act, "aiohttp")


@pytest.mark.skipif(ssl.get_default_verify_paths().cafile is None, reason="no file of issuers here")
def test_issuers_that_could_not_be_read_once_are_read_later() -> None:
    tls._default.cache_clear()
    try:
        with no_more_files(), pytest.raises(OSError, match="Too many open files"):
            tls.build_context(None, None, None)
        assert tls.build_context(None, None, None).cert_store_stats()["x509_ca"]
    finally:
        tls._default.cache_clear()


def test_a_machine_without_issuers_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> str:
        error = ssl.SSLCertVerificationError("no")
        error.verify_code, error.verify_message = 20, "unable to get local issuer certificate"
        return tls.words_of(error)

    def paths(cafile: Any, capath: Any = None) -> ssl.DefaultVerifyPaths:
        return ssl.DefaultVerifyPaths(cafile, capath, "", "", "", "")

    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths("/etc/issuers.pem"))
    assert "`request.ca` names an issuer of your own" in unknown()
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths(None))
    assert "install `ca-certificates`" in unknown()


def test_a_timeout_tells_what_was_awaited(name: str, receiver: Receiver) -> None:
    asked = threading.Event()

    def silent(host: str, port: int) -> list[AddrInfo]:
        asked.wait(5)
        raise OSError("late")

    async def act(sending: Sending) -> None:
        attempt = await sending.send("http://hooks.example/", timeout_secs=0.05)
        assert attempt.detail == "too slow: its name has not been looked up yet (DNS)"
        asked.set()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
            shaking = await sending.send(url, timeout_secs=0.1)
        told = ("too slow: the TLS handshake has not ended", "too slow: there is no connection yet")
        assert shaking.detail in told
        assert (await sending.send(receiver.url())).detail == ""

    with_a_client(act, name, lookup=silent)
