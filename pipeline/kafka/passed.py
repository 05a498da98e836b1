"""Checks the settings passed through to librdkafka, and reports everything wrong with them at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import suppress
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from confluent_kafka import Consumer, KafkaException, Producer

from pipeline.kafka.brokers import Reachability
from pipeline.model.errors import ConfigError
from pipeline.model.words import meant_or

C = TypeVar("C")

Kind: TypeAlias = Callable[[dict[str, Any]], C]
"""What makes a client of its settings: AdminClient, Consumer, Producer."""
CONSUMER: Final[Kind[Any]] = Consumer
PRODUCER: Final[Kind[Any]] = Producer
"""For callers that only want to know what is wrong."""

CALLBACKS: Final = frozenset(
    {"error_cb", "stats_cb", "throttle_cb", "oauth_cb", "on_delivery", "on_commit", "logger"}
)
"""Names under which the client takes functions: a file cannot hold one."""
_CODE: Final = frozenset({"plugin.library.paths", "ssl.engine.location"})
"""Names under which it loads libraries, as soon as `check` tries them."""
_DEVELOPERS: Final = frozenset({"internal.termination.signal"})
"""A signal that the process gets from each client that ends; `test.mock.*`: brokers that are made up."""
_FILES: Final = tuple(f"ssl.{what}.location" for what in ("ca", "certificate", "key", "keystore", "crl"))
_USUAL: Final = (
    "client.id", "client.rack", "compression.type", "connections.max.idle.ms",
    "enable.ssl.certificate.verification", "fetch.max.bytes", "fetch.min.bytes", "fetch.wait.max.ms",
    "linger.ms", "max.partition.fetch.bytes", "message.max.bytes", "queued.max.messages.kbytes",
    "receive.message.max.bytes", "reconnect.backoff.max.ms", "reconnect.backoff.ms", "sasl.mechanism",
    "sasl.oauthbearer.client.id", "sasl.oauthbearer.client.secret", "sasl.oauthbearer.method",
    "sasl.oauthbearer.scope", "sasl.oauthbearer.token.endpoint.url", "sasl.password", "sasl.username",
    "security.protocol", "session.timeout.ms", "socket.keepalive.enable", "socket.timeout.ms",
    "ssl.ca.location", "ssl.ca.pem", "ssl.certificate.location", "ssl.certificate.pem",
    "ssl.endpoint.identification.algorithm", "ssl.key.location", "ssl.key.password", "ssl.key.pem",
    "ssl.keystore.location", "ssl.keystore.password",
)  # fmt: skip
"""Settings that people use: librdkafka does not list those it knows."""
_UNKNOWN: Final = "No such configuration property"
_TOGETHER: Final = "Failed to create "
"""Prefix of the message about settings that are valid one by one."""


class Wrong(NamedTuple):
    """One fault."""

    name: str
    """The setting; "" for a fault of the combination."""
    told: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.told} ({self.hint})" if self.hint else self.told


def made(
    kind: Kind[C], settings: Mapping[str, Any], given: Mapping[str, Any], closed: Set[str], where: str
) -> C:
    """Return a client.

    given: the settings that come from a user; closed: names that users may not set; where: their place in
    pipeline.yaml. Raises ConfigError with everything that is wrong with them.
    """
    wrong = list(_seen(given, closed))
    if not wrong:
        try:
            return kind(dict(settings))
        except (KafkaException, TypeError) as refused:
            wrong = [Wrong("", _without_prefix(_reason(refused)))]
    told = "; ".join(map(str, all_wrong(kind, given, closed) or wrong))
    raise ConfigError(f"{where}: {told}")


def all_wrong(kind: Kind[Any], given: Mapping[str, Any], closed: Set[str]) -> list[Wrong]:
    """Return what is wrong with a user's settings. Contacts nobody.

    If each is valid by itself, it is what is wrong with the combination.
    """
    found = list(_seen(given, closed))
    known = {one.name for one in found}
    for name, value in given.items():
        refused = "" if name in known else _refused(kind, {name: value})
        if refused and not refused.startswith(_TOGETHER):
            found.append(_told(name, refused))
    if not found and (refused := _refused(kind, given)):
        found.append(Wrong("", _without_prefix(refused)))
    return found


def _seen(given: Mapping[str, Any], closed: Set[str]) -> Iterator[Wrong]:
    """Yield faults that librdkafka would not report, or not in these words."""
    for name, value in given.items():
        if name in closed or name in CALLBACKS:
            yield Wrong(name, f"`{name}` is set by Hookline and cannot be changed", "remove it")
        elif name in _CODE:
            yield Wrong(name, f"`{name}` would load code, which no config may", "remove it")
        elif name in _DEVELOPERS or name.startswith("test.mock."):
            yield Wrong(name, f"`{name}` is for librdkafka's own tests", "remove it")
        elif name in _FILES and isinstance(value, str) and (name, value) != ("ssl.ca.location", "probe"):
            if not os.path.exists(value):
                looked = "" if os.path.isabs(value) else f"; looked for it in {os.getcwd()}"
                yield Wrong(name, f"`{name}`: there is no file `{value}`{looked}")
            elif not os.access(value, os.R_OK):
                yield Wrong(name, f"`{name}`: `{value}` cannot be read by this user")


def _refused(kind: Kind[Any], given: Mapping[str, Any]) -> str:
    """Return why no client can be made with these settings, "" where one can."""
    own = {"bootstrap.servers": "", "group.id": "check", "logger": Reachability("").messages}
    try:
        client = kind({**own, **given})
    except (KafkaException, TypeError) as refused:
        return _reason(refused)
    with suppress(AttributeError):
        client.close()
    return ""


def _reason(refused: KafkaException | TypeError) -> str:
    first = refused.args[0]
    return (first if isinstance(first, str) else str(first.str())).strip()


def _without_prefix(refused: str) -> str:
    return refused.partition(": ")[2] if refused.startswith(_TOGETHER) else refused


def _told(name: str, refused: str) -> Wrong:
    if refused.startswith(_UNKNOWN):
        hint = meant_or(name, _USUAL, "", likeness=0.75)
        return Wrong(name, f"`{name}` is no setting of librdkafka", hint)
    # It reports some under other names.
    return Wrong(name, refused if f'"{name}"' in refused else f"`{name}`: {refused}")
