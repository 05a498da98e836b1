"""The names of input shapes, as `format` says them; decode/shapes.py has what each of them is."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

Format: TypeAlias = Literal[
    "auto",
    "native",
    "heap",
    "segment",
    "posthog",
    "cloudevents",
    "amplitude",
    "mixpanel",
    "snowplow",
    "ga4",
    "jitsu",
    "debezium",
    "kafka-connect",
    "collected",
]

FORMATS: tuple[str, ...] = get_args(Format)
"""``auto`` first: it recognises each record of the next five. Custom shapes (config/shapes) have other names.
"""

RECORDING = "recording"
"""The `format` of files that hold recorded messages, whatever their names."""
