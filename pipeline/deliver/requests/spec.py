"""What the engine must know about one webhook."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pipeline.config.models.webhooks.delivery import DeliverySettings
from pipeline.config.models.webhooks.receiver import ReceiverSettings
from pipeline.language.slots import Encoding

Wrap: TypeAlias = Callable[[list[bytes]], bytes]
"""Joins the rendered bodies of a batch into one body (render/batch)."""

FailWhen: TypeAlias = Callable[[Any, Any, Mapping[str, Any]], bool]
"""A compiled condition (event, user, scope) over ``{"response": {...}}``; event and user are None."""


@dataclass(slots=True, frozen=True)
class Reads:
    """What `fail_when` and `retry_when` read of an answer, besides its status."""

    fields: bool = True
    """Fields of the body, which must be JSON."""
    body: bool = True
    """The body as a whole, which may be a text."""
    headers: tuple[str, ...] = ()
    """Names of headers, as written in the condition."""


@dataclass(slots=True, frozen=True)
class LaneSpec:
    """How one webhook's deliveries are sent; made by the snapshot, immutable."""

    webhook_id: str
    definition: str = ""
    """Hash of the webhook's own text: a change lifts a 410's halt."""
    place: str = ""
    """Its URL without parameters; scheme, host and port alone where the path is a template; "": not known."""
    enabled: bool = True
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    receiver: ReceiverSettings = field(default_factory=ReceiverSettings)
    encoding: Encoding = "json"
    wrap: Wrap | None = None
    fail_when: FailWhen | None = None
    retry_when: FailWhen | None = None
    reads: Reads = Reads()

    @property
    def judges(self) -> bool:
        """True where a condition decides over a success."""
        return self.fail_when is not None or self.retry_when is not None

    @property
    def reads_headers(self) -> bool:
        """True where more than the status of a success is read."""
        return self.judges or self.delivery.batch is not None

    @property
    def reads_body(self) -> bool:
        """True where the body of a success matters."""
        judged = self.judges and (self.reads.fields or self.reads.body)
        return judged or self.delivery.batch is not None
