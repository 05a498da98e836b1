"""The names of input shapes, as `format` says them; decode/shapes.py has what each of them is."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

Format: TypeAlias = Literal[
    "auto", "native", "heap", "segment", "posthog", "cloudevents", "debezium", "kafka-connect"
]

FORMATS: tuple[str, ...] = get_args(Format)
"""``auto`` first: it recognises each record by its fields. Own shapes (config/shapes) have other names."""
