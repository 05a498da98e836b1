"""What the engine must know about one webhook."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pipeline.config.models.webhooks.delivery import DeliverySettings
from pipeline.config.models.webhooks.receiver import ReceiverSettings
from pipeline.language.slots import Encoding

Wrap: TypeAlias = Callable[[list[bytes]], bytes]
"""Joins the rendered bodies of a batch to one body (render/batch)."""

FailWhen: TypeAlias = Callable[[Any, Any, Mapping[str, Any]], bool]
"""A compiled condition (event, user, scope) over ``{"response": {...}}``; event and user are None."""


@dataclass(slots=True, frozen=True)
class Reads:
    """What `fail_when` looks at in an answer, beside its status."""

    fields: bool = True
    """Fields of the body: it must be JSON."""
    body: bool = True
    """The body as a whole, which may be a text."""
    headers: tuple[str, ...] = ()
    """Names of headers, as they are written in the condition."""


@dataclass(slots=True, frozen=True)
class LaneSpec:
    """How one webhook's deliveries are sent; made by the snapshot, never changed."""

    webhook_id: str
    definition: str = ""
    """Hash of the webhook's own text: another one lifts a 410's ban."""
    enabled: bool = True
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    receiver: ReceiverSettings = field(default_factory=ReceiverSettings)
    encoding: Encoding = "json"
    wrap: Wrap | None = None
    fail_when: FailWhen | None = None
    reads: Reads = Reads()

    @property
    def reads_headers(self) -> bool:
        """True where a success is looked at beyond its status."""
        return self.fail_when is not None or self.delivery.batch is not None

    @property
    def reads_body(self) -> bool:
        """True where what a success says in its body matters."""
        judged = self.fail_when is not None and (self.reads.fields or self.reads.body)
        return judged or self.delivery.batch is not None
