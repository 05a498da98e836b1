"""TLS settings: one SSLContext per combination of CA file and client certificate."""

from __future__ import annotations

import errno
import os
import re
import ssl
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Final, Literal

from pipeline.config.models.webhooks.receiver import ReceiverSettings
from pipeline.model.files.plain_file import Sign, sign_of

_NO_CERTIFICATE: Final = "holds no certificate that can be read: it must be PEM (-----BEGIN CERTIFICATE-----)"


@lru_cache(maxsize=1)
def _default() -> ssl.SSLContext:
    """Return the shared context: loading the system's CAs costs tens of milliseconds."""
    return _system()


def _system() -> ssl.SSLContext:
    """Return a context that trusts the system's CAs; raises OSError where they cannot be read."""
    context = _configured(ssl.create_default_context())
    path = ssl.get_default_verify_paths().cafile
    if path is not None and not context.cert_store_stats()["x509_ca"]:
        # OpenSSL silently ignores a file that it cannot open, as when no descriptor is left: the context
        # would trust nobody for as long as the job runs.
        context.load_verify_locations(cafile=path)
    return context


def _configured(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # As in curl and Go, an intermediate, or the receiver's own certificate, can be what is trusted.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.set_alpn_protocols(["http/1.1"])
    return context


class CertificateError(OSError):
    """A certificate file cannot be used: ``str()`` says which and why, ``field`` names its setting."""

    def __init__(self, field: Literal["ca", "cert", "key"], message: str) -> None:
        super().__init__(message)
        self.field = field


def build_context(ca: str | None, cert: str | None, key: str | None) -> ssl.SSLContext:
    """Return a context that verifies the peer and its host name; raises OSError (CertificateError is one).

    ca: a PEM file that replaces the system's CAs. cert, key: PEM files of a client certificate.
    """
    if ca is None and cert is None:
        return _default()
    context = _system() if ca is None else _trusting(ca)
    if cert is not None:
        try:
            # Without a password callback OpenSSL would ask for one on the terminal.
            context.load_cert_chain(cert, key, password=lambda: b"")
        except ssl.SSLError as error:
            raise _fault_of(error, cert, key or cert) from None
    return context


@contextmanager
def _reading(ca: str) -> Iterator[None]:
    """Explain what a file that holds no CA certificate really is."""
    try:
        yield
    except ssl.SSLError:
        raise CertificateError("ca", f"{ca} {_NO_CERTIFICATE}") from None


def _trusting(ca: str) -> ssl.SSLContext:
    with _reading(ca):
        return _configured(ssl.create_default_context(cafile=ca))


def _fault_of(error: ssl.SSLError, cert: str, key: str) -> CertificateError:
    """Return which of the two files is at fault, which OpenSSL does not say."""
    if error.reason == "KEY_VALUES_MISMATCH":
        return CertificateError("key", f"{key} is not the key of the certificate in {cert}")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=cert)
    except ssl.SSLError:
        return CertificateError("cert", f"{cert} {_NO_CERTIFICATE}")
    return CertificateError(
        "key", f"{key} holds no private key that can be read: it must be PEM, and without a password"
    )


KEPT = 2
"""Contexts kept per set of files: requests in flight may still need the previous one."""


class Contexts:
    """The contexts in use, by name; a name is part of a connection's origin."""

    def __init__(self, place: Callable[[str], str] = str) -> None:
        """place: resolves a path in a webhook's file."""
        self._place = place
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._names: dict[tuple[str, ...], list[str]] = {}
        """Context names per set of files, the latest last."""
        self._files: dict[str, Sign] = {}
        """The files in use."""

    def name(self, receiver: ReceiverSettings, resolve: Callable[[str], str]) -> str:
        """Return the name of a receiver's context, creating it on first use; raises OSError.

        ``resolve`` puts secrets into a setting's text.
        """
        files = self._paths(receiver, resolve)
        # With their signs, so that a certificate renewed in place is a new one.
        name = "|".join(f"{path}@{tuple(self._sign(path))}" for path in files)
        if name and name not in self._contexts:
            ca = files[0] if receiver.ca else None
            cert, key = files[-2:] if receiver.mtls else (None, None)
            self._keep((*files,), name, build_context(ca, cert, key))
        return name

    def _paths(self, receiver: ReceiverSettings, resolve: Callable[[str], str]) -> list[str]:
        """Return the files of a receiver that are set: CA, client certificate, key."""
        named = [receiver.ca] if receiver.ca else []
        named += [receiver.mtls.cert, receiver.mtls.key] if receiver.mtls else []
        return [self._place(resolve(each)) for each in named]

    def name_for_tokens(self, receiver: ReceiverSettings, resolve: Callable[[str], str]) -> str:
        """Return the name of the context for a receiver's token endpoint; raises OSError.

        It trusts the receiver's own CA as well as the system's: the endpoint may be a neighbour of the
        receiver, or a public service. The client certificate is shown to it, too, if it asks (RFC 8705).
        """
        name = self.name(receiver, resolve)
        if receiver.ca and f"+{name}" not in self._contexts:
            ca, *client = self._paths(receiver, resolve)
            context = build_context(None, *client) if client else _system()
            with _reading(ca):
                context.load_verify_locations(cafile=ca)
            self._keep(("+", ca, *client), f"+{name}", context)
        return f"+{name}" if receiver.ca else name

    def _keep(self, files: tuple[str, ...], name: str, context: ssl.SSLContext) -> None:
        """Keep a context in place of the last but one: a megabyte per renewal would add up."""
        self._contexts[name] = context
        names = self._names.setdefault(files, [])
        names.append(name)
        if len(names) > KEPT:
            self._contexts.pop(names.pop(0), None)

    def _sign(self, path: str) -> Sign:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            # OpenSSL would block on a pipe, and read a device without end.
            raise OSError(errno.EINVAL, "is no plain file", path)
        sign = self._files[path] = sign_of(found)
        return sign

    def changed(self) -> bool:
        """Return whether a file in use has changed since the last call; callable from any thread."""
        changed = False
        for path, known in list(self._files.items()):
            try:
                changed |= self._sign(path) != known
            except OSError:
                pass  # it may be about to be replaced
        return changed

    def get(self, name: str) -> ssl.SSLContext:
        """Return the context of a name; raises OSError where its files have been renewed twice since."""
        if not name:
            return _default()
        context = self._contexts.get(name)
        if context is None:
            raise OSError("its certificates have been renewed meanwhile")
        return context


_WORDS: Final = {
    "WRONG_VERSION_NUMBER": "what answers there speaks no TLS: is it a port for `http://`?",
    "HTTP_REQUEST": "what answers there speaks no TLS: is it a port for `http://`?",
    "TLSV1_ALERT_PROTOCOL_VERSION": "the receiver speaks none of TLS 1.2 and 1.3",
    "UNSUPPORTED_PROTOCOL": "the receiver speaks none of TLS 1.2 and 1.3",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the receiver wants a client certificate (`auth.mtls`)",
    "TLSV1_ALERT_UNKNOWN_CA": "the receiver does not trust the client certificate (`auth.mtls`)",
    "SSLV3_ALERT_BAD_CERTIFICATE": "the receiver does not accept the client certificate (`auth.mtls`)",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "the receiver does not accept the client certificate (`auth.mtls`)",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "the client certificate (`auth.mtls`) has expired, says the receiver",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "the client certificate (`auth.mtls`) is revoked, says the receiver",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "the receiver refuses the handshake: no cipher in common, "
    "or it wants a client certificate (`auth.mtls`)",
    "TLSV1_UNRECOGNIZED_NAME": "the receiver does not know the host of the URL",
    "TLSV1_ALERT_NO_APPLICATION_PROTOCOL": "the receiver does not speak HTTP/1.1 (ALPN)",
}
"""OpenSSL's reasons in the words of a webhook's author."""
_UNKNOWN_ISSUERS: Final = frozenset((18, 19, 20, 21))
"""X509_V_ERR_*: self-signed, or issued by an unknown CA."""


def _has_authorities() -> bool:
    """Return whether the system has a CA list, as a file or a folder."""
    paths = ssl.get_default_verify_paths()
    return paths.cafile is not None or (paths.capath is not None and bool(os.listdir(paths.capath)))


def _reason_of(error: ssl.SSLError) -> str:
    """Return OpenSSL's reason; Python does not name the newer ones."""
    said = re.fullmatch(r"\[SSL\] (.+) \(_ssl\.c:\d+\)", str(error))
    return error.reason or (said[1].upper().replace(" ", "_") if said is not None else "")


def words_of(error: BaseException) -> str:
    """Return what went wrong with TLS, in the same words for each client."""
    if isinstance(error, ssl.SSLCertVerificationError):
        remedy = ""
        if error.verify_code in _UNKNOWN_ISSUERS:
            remedy = " (`request.ca` names an issuer of your own)"
            if not _has_authorities():
                remedy = (
                    " (this machine knows no issuers at all: install `ca-certificates`, or set `request.ca`)"
                )
        return f"the receiver's certificate is not valid: {error.verify_message.rstrip('.')}{remedy}"
    if isinstance(error, ssl.SSLError) and (reason := _reason_of(error)):
        return _WORDS.get(reason, reason.replace("_", " ").lower())
    if isinstance(error, ConnectionError):
        return "the connection was closed in the handshake"
    return str(error) or type(error).__name__
