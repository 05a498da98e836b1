"""What exceptions of aiohttp, and of ours that it passes on, mean for an attempt."""

from __future__ import annotations

import ssl
from collections.abc import Sequence

import aiohttp

from pipeline.deliver.http.attempt import AddrInfo, Attempt, Fault, own_limit, unreached
from pipeline.deliver.http.by_aiohttp.wire import BadAnswer, HungUp, ProxyError
from pipeline.deliver.http.guard import GuardRefusal
from pipeline.deliver.http.reader import BROKEN_OFF
from pipeline.deliver.http.target import Proxy
from pipeline.deliver.http.tls import words_of


def told(
    error: Exception, attempt: Attempt, proxy: Proxy | None, addresses: Sequence[AddrInfo]
) -> tuple[Fault, str]:
    """Return an exception's fault and detail; the attempt gets what the answer had said before.

    addresses: those that were dialled.
    """
    origin = attempt.target.origin
    match error:
        case GuardRefusal():
            return "guard-refused", str(error)
        case BadAnswer():
            attempt.begun = error.begun
            return error.fault, str(error)
        case HungUp():
            attempt.stale = error.was_used
            return error.fault, str(error)
        case ProxyError():
            return "proxy", str(error)
        case aiohttp.ClientConnectorCertificateError():
            return "tls", words_of(error.certificate_error)
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return "tls", words_of(getattr(error, "os_error", error))
        case aiohttp.ClientConnectorError() if (lacking := own_limit(error.os_error, addresses)) is not None:
            return "machine", lacking
        case aiohttp.ClientProxyConnectionError():
            return "proxy", f"no connection to the proxy: {unreached(error.os_error)}"
        case aiohttp.ClientHttpProxyError():
            asked = f"{origin.host}:{origin.port}"
            return "proxy", proxy.refusal(error.status, asked) if proxy is not None else str(error)
        case aiohttp.ClientConnectorDNSError():
            return "dns", unreached(error.os_error)
        case aiohttp.ClientConnectorError():
            cause = error.os_error
            # A port without a listener refuses; a peer that hangs up later has taken part in the handshake.
            if origin.scheme == "https" and isinstance(cause, ConnectionResetError):
                return "tls", words_of(cause)
            return "connect", unreached(cause)
        case aiohttp.ServerDisconnectedError():
            return "closed", str(error)
        case aiohttp.ClientPayloadError():
            return "closed", BROKEN_OFF
        case aiohttp.ClientResponseError():
            return "protocol", error.message
        case aiohttp.ClientOSError() | ConnectionError():
            return "reset", str(error)
        case OSError() if (lacking := own_limit(error)) is not None:
            return "machine", lacking
        case _:
            return "connect", f"{type(error).__name__}: {error}"
