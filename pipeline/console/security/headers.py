"""The security headers of every answer: what its page may load and do."""

from __future__ import annotations

from aiohttp import web


def policy(nonce: str) -> str:
    """Return the content security policy of a page; nonce: for the editor's styles."""
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; connect-src 'self'; "
        "img-src 'self' data:; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def harden(response: web.StreamResponse, nonce: str) -> None:
    """Add the headers to an answer; its cache headers stay."""
    headers = response.headers
    headers.pop("server", None)
    headers["content-security-policy"] = policy(nonce)
    headers["x-content-type-options"] = "nosniff"
    # With `no-referrer` a browser says `Origin: null` of our own forms, and nothing else over plain HTTP.
    headers["referrer-policy"] = "same-origin"
    headers["cross-origin-opener-policy"] = "same-origin"
    headers["cross-origin-resource-policy"] = "same-origin"
    headers.setdefault("cache-control", "no-store")
