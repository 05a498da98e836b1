"""One attempt: what a client is asked to send, and its outcome."""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias

import msgspec

from pipeline.deliver.http.target import Target

AddrInfo: TypeAlias = "tuple[int, int, int, str, tuple[Any, ...]]"
"""As returned by `socket.getaddrinfo`."""
Fault: TypeAlias = Literal[
    "timeout", "connect", "dns", "tls", "reset", "closed", "protocol", "head-limit", "guard-refused",
    "proxy", "auth", "request", "unreadable", "retry-when", "machine",
]  # fmt: skip
"""Why there is no status. ``guard-refused`` and ``request`` (the rendered request cannot be sent) are final;
``unreadable``: the whole answer was needed and cannot be read. ``retry-when``: it is a success by which the
webhook is told to try again. ``machine``: nothing was sent, as this machine
is at a limit of its own, which is not the receiver's fault."""

LIFE_SECS = 60.0
"""Maximum age of a connection, so that changes of a name's address take effect; randomly up to a quarter
less. A request in flight is never cut."""
MAX_HEAD = 64 * 1024
"""Bytes of a response before its body, 1xx responses included."""
MAX_HEADERS = 256
MAX_BODY = 16 * 1024
"""Bytes of a response body that are read; a longer one is cut and its connection closed."""
MAX_WHOLE = 1 << 20
"""The same where the whole answer is needed, on the wire and decompressed."""
TOKEN_TIMEOUT_SECS = 10.0
"""How long a token endpoint may take. Defined here, because importing its user's module costs 0.1 s."""


NO_NAME: Final = "its name has not been looked up yet (DNS)"
NO_CONNECTION: Final = "there is no connection yet"
NO_HANDSHAKE: Final = "the TLS handshake has not ended"
"""What a client waits for before it has sent the request."""

_FILES: Final = "this process may not open more files (%s): raise `ulimit -n`"
_MEMORY: Final = "this machine has no memory left for a connection (%s)"
_LIMITS: Final = {
    errno.EMFILE: _FILES,
    errno.ENFILE: _FILES.replace("process", "machine").replace("ulimit -n", "sysctl fs.file-max"),
    errno.EAGAIN: (
        "this process may not have more threads to look names up in (%s): "
        "raise `ulimit -u`, or the container's limit"
    ),
    errno.ENOMEM: _MEMORY,
    errno.ENOBUFS: _MEMORY,
    errno.EADDRNOTAVAIL: (
        "this machine has no port left, or no address, to connect from (%s): widen "
        "`sysctl net.ipv4.ip_local_port_range`; a receiver that keeps connections alive needs few"
    ),
}


ALL_IN_USE: Final = (
    "this process has as many connections as the files that it may open allow: raise `ulimit -n`"
)

_CALL: Final = re.compile(r"\[Errno (\d+)\] Connect call failed \('([^']+)', (\d+)[^)]*\)")
"""How asyncio says which address was dialled, in the place of what the system said."""


class OwnLimit(OSError):
    """The message of `own_limit`, raised."""


def own_limit(error: BaseException | None, addresses: Sequence[AddrInfo] = ()) -> str | None:
    """Return the message where a connection failed for lack of something on this machine; else None.

    addresses: those that were dialled.
    """
    if isinstance(error, OwnLimit):
        return str(error)
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRNOTAVAIL and addresses and not any(map(_has_way, addresses)):
        return None  # it has no such addresses, like a machine without IPv6, and will not get any soon
    words = _LIMITS.get(number) if number is not None else None
    return words % error if words is not None else None


def unreached(error: BaseException) -> str:
    """Return why there is no connection in the system's words: ``Connection refused (127.0.0.1:8787)``."""

    def told(call: re.Match[str]) -> str:
        number, host, port = call.groups()
        return f"{os.strerror(int(number))} ({f'[{host}]' if ':' in host else host}:{port})"

    text = _CALL.sub(told, str(error)).removeprefix("Multiple exceptions: ")
    return re.sub(r"^\[Errno -?\d+\] ", "", text) or type(error).__name__


def _has_way(address: AddrInfo) -> bool:
    """Return whether this machine has an address from which that one can be reached. Sends nothing.

    UDP has its own ports: it does not matter here if TCP has none left.
    """
    try:
        with socket.socket(address[0], socket.SOCK_DGRAM) as probe:
            probe.connect(address[4])
    except OSError:
        return False
    return True


class Attempt(msgspec.Struct, eq=False, gc=False):
    """A request in flight. The client fills in the part under "answer" and then reports it finished."""

    target: Target
    extra: bytes
    """This request's own header lines, each with its line end."""
    body: bytes
    owner: Any = None
    """The lane; opaque to clients."""
    items: tuple[Any, ...] = ()
    """The entries it carries."""
    started: float = 0.0
    deadline: float = 0.0
    ended_at: float = 0.0
    """When the answer was complete, if it is settled later."""
    is_retry: bool = False
    is_probe: bool = False
    generation: int = 0
    """The generation of its OAuth2 token."""
    headers_matter: bool = False
    """True: a success's headers are read (a batch may need some later)."""
    whole: bool = False
    """True: a success's body matters. Only where headers matter too."""
    proxy: str | None = None
    """Only for the aiohttp client."""
    proxy_tls: str = ""
    """The name of the TLS context for a proxy that is spoken to over TLS, where the receiver is not."""
    # --- for the client
    cancel: Callable[[], object] | None = None
    """Cancels the client's work on it; None before and after."""
    stale: bool = False
    """For the aiohttp client: a kept-alive connection took it, and closed without a byte of an answer."""
    renewed: bool = False
    """True once a kept-alive connection turned out to be closed and a new one was used."""
    ended: bool = False
    # --- answer
    status: int = 0
    fault: Fault | None = None
    detail: str = ""
    """Details of the fault; before an answer, what the client is waiting for."""
    begun: int = 0
    """The status of an answer that then broke off or went wrong; 0 where there was none."""
    retry_after: str | None = None
    date: str | None = None
    """The answer's `Date`, at least where it asks to wait."""
    location: bytes = b""
    """Where a 3xx answer redirects to."""
    answer: bytes = b""
    cut: bool = False
    """True: the body is longer than `answer`."""
    headers: dict[str, str] | None = None
    """By lower-case name, if they matter."""

    @property
    def most(self) -> int:
        """How many bytes of the body are read."""
        return MAX_WHOLE if self.whole else MAX_BODY

    def abort(self, fault: Fault | None, detail: str) -> bool:
        """Cancel the client's work on it; True where its end is to be reported, with this fault."""
        if self.ended:
            return False
        self.ended = True
        cancel, self.cancel = self.cancel, None
        if cancel is not None:
            cancel()
        if fault is None:
            return False
        at = f"it began with {self.begun}, and has no end" if self.begun else self.detail
        self.fault, self.detail = fault, f"{detail}: {at}" if at else detail
        return True

    def __repr__(self) -> str:
        return f"<Attempt status={self.status} fault={self.fault} detail={self.detail!r}>"


class Posted(NamedTuple):
    """The whole answer to a request outside any lane."""

    status: int
    headers: dict[str, str]
    """By lower-case name."""
    answer: bytes
    cut: bool
    """True: it is longer than what was read."""


class Client(Protocol):
    """Sends attempts. Every `send` leads to one call of the ``finished`` callback given to the
    constructor.
    """

    def send(self, attempt: Attempt) -> None:
        """Start the attempt; never blocks, never raises."""

    def abort(self, attempt: Attempt, fault: Fault | None, detail: str = "") -> None:
        """End it now with this fault; None: drop it without a report."""

    async def close(self) -> None:
        """Close every connection; running attempts are dropped."""
