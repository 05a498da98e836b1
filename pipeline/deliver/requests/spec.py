"""What the engine must know of one webhook."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pipeline.config.models.delivery import DeliverySettings
from pipeline.config.models.receiver import ReceiverSettings
from pipeline.language.slots import Encoding

Wrap: TypeAlias = Callable[[list[bytes]], bytes]
"""Joins the rendered bodies of a batch to one body (render/batch)."""

FailWhen: TypeAlias = Callable[[Any, Any, Mapping[str, Any]], bool]
"""A compiled condition (event, user, scope) over ``{"response": {...}}``; event and user are None."""


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
    has_secrets: bool = False
    """True where URL, headers or body hold secrets as slots."""
    wrap: Wrap | None = None
    fail_when: FailWhen | None = None
