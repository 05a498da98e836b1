"""Write keys: whose a request is, what its key may be used for, and from which pages.

Of the accepted keys only digests are kept; recent look-ups are cached under the raw credential, to be
answered at once. No key appears in an answer, a line, a log or a metric: there it has its name in
`collect.keys`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Literal

from pipeline.config.models.installation.collect import ANY_ORIGIN, CollectKey
from pipeline.language.secrets import PlaceholderError, Secrets
from pipeline.model.errors import ConfigError
from pipeline.telemetry.log import hide

ANY: Final = "any"
"""The name of any key where `keys: any` is set."""


@dataclass(slots=True, frozen=True)
class Denied:
    """Why a request is refused. ``status`` 401: the key is missing or unknown; 403: it is not
    valid for this.
    """

    status: Literal[401, 403]
    reason: str
    about: Literal["key", "origin"]


@dataclass(slots=True, frozen=True)
class _Key:
    name: str
    origins: frozenset[str]
    protocols: frozenset[str]


_MOST_FOUND: Final = 256
_SHORT: Final = 256
_NOBODY: Final = _Key("", frozenset(), frozenset())
_MISSING: Final = Denied(401, "the request has no write key", "key")
_UNKNOWN: Final = Denied(401, "the write key is not known here", "key")
_OTHER_PROTOCOL: Final = Denied(403, "the write key is not for this path's protocol", "key")
_NO_PAGE: Final = Denied(403, "the write key is a server's: pages may not use it", "origin")
_OTHER_PAGE: Final = Denied(403, "the write key is not for this page's origin", "origin")


class Keys:
    """The keys of `collect.keys`. Raises ConfigError where one is missing, empty, or a duplicate."""

    def __init__(self, keys: Mapping[str, CollectKey] | Literal["any"] | None, secrets: Secrets) -> None:
        self._config = {} if keys is None or keys == "any" else keys
        self._any = keys == "any"
        self._secrets = secrets
        self._by_digest: dict[bytes, _Key] = {}
        self._found: dict[tuple[str | None, str | None, str], str | Denied] = {}
        self.read()
        found = [origin for key in self._config.values() for origin in key.origins]
        self._origins = frozenset(found)
        self._every_page = self._any or ANY_ORIGIN in self._origins

    def find(self, credential: str | None, origin: str | None, protocol: str) -> str | Denied:
        """Return the key's name, or why it is not valid.

        An unknown key takes the same steps as a known one: its digest is computed and looked up. Recent
        results of both kinds are cached.
        """
        if self._any:
            return ANY
        asked = credential, origin, protocol
        found = self._found.get(asked)
        if found is None:
            found = self._look_up(credential, origin, protocol)
            if len(credential or "") + len(origin or "") <= _SHORT:
                if len(self._found) >= _MOST_FOUND:
                    self._found.clear()
                self._found[asked] = found
        return found

    def _look_up(self, credential: str | None, origin: str | None, protocol: str) -> str | Denied:
        key = self._by_digest.get(_digest(credential or ""), _NOBODY)
        may_speak = protocol in key.protocols
        may_send = origin is None or origin in key.origins or ANY_ORIGIN in key.origins
        if key is _NOBODY:
            return _UNKNOWN if credential else _MISSING
        if not may_speak:
            return _OTHER_PROTOCOL
        if not may_send:
            return _OTHER_PAGE if key.origins else _NO_PAGE
        return key.name

    def protocols_of(self, credential: str | None) -> Collection[str] | None:
        """Return the protocols of a key; None where it is unknown."""
        if self._any or credential is None:
            return None
        key = self._by_digest.get(_digest(credential))
        return key.protocols if key is not None else None

    def allows(self, origin: str) -> bool:
        """Return whether some key may be used from this page. ``null`` (a file, a sandbox) is only covered by
        `*`.
        """
        return self._every_page or origin in self._origins

    def read(self) -> None:
        """Read the secrets again. Raises ConfigError; the old ones stay then."""
        found: dict[bytes, _Key] = {}
        for name, said in self._config.items():
            key = _Key(name, frozenset(said.origins), frozenset(said.protocols))
            for at, text in enumerate(said.key):
                place = f"collect.keys.{name}.key" + (f"[{at}]" if len(said.key) > 1 else "")
                known = found.setdefault(_digest(secret_of(text, self._secrets, place)), key)
                if known is not key:
                    raise ConfigError(f"{place}: `{known.name}` has the same key: give each its own")
        self._by_digest = found
        self._found.clear()


def secret_of(text: str, secrets: Secrets, place: str) -> str:
    """Return a key or secret of the config, masked in the log from now on.

    Raises ConfigError, which names its place, where it is missing or empty.
    """
    try:
        value = secrets.expand(text).strip()
    except (ConfigError, PlaceholderError) as error:
        raise ConfigError(f"{place}: {error}") from None
    if not value:
        raise ConfigError(f"{place}: `{text}` is empty: nobody would need one")
    hide(value)
    return value


def _digest(credential: str) -> bytes:
    return blake2b(credential.encode("utf-8", "surrogatepass"), digest_size=32).digest()
