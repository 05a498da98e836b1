"""What the table from pipeline.model.json import Value
of filters is made of."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pipeline.model.json import Value


@dataclass(slots=True, frozen=True)
class Example:
    """One use of a filter: the value that goes in, the call, what comes out."""

    value: Value
    call: str
    """The filter with its arguments: ``slice: 0, 3``."""
    result: Value

    @property
    def shown(self) -> str:
        """The example as it stands in the reference."""
        return f"{json.dumps(self.value, ensure_ascii=False)} | {self.call}"

    @property
    def shown_result(self) -> str:
        """The result as it stands in the reference."""
        return json.dumps(self.result, ensure_ascii=False)


@dataclass(slots=True, frozen=True)
class Filter:
    """One filter. Missing and null do not reach ``function`` unless ``takes_missing``."""

    name: str
    function: Callable[..., Any]
    """Takes the value, then the positional arguments; missing arguments arrive as None."""
    meaning: str
    examples: tuple[Example, ...]
    takes_missing: bool = False
    takes_event_time: bool = False
    """The function gets ``event_ms``: what `now` means."""
    grows: bool = False
    """The result may hold the same value many times over: it is weighed, not only counted."""
    options: frozenset[str] = frozenset()
    """Names of arguments that are given by name."""
    least: int = field(init=False)
    most: int = field(init=False)
    """How many positional arguments it takes; ``most`` is 99 for any number."""

    def __post_init__(self) -> None:
        least = most = 0
        for parameter in list(inspect.signature(self.function).parameters.values())[1:]:
            if parameter.kind is parameter.VAR_POSITIONAL:
                most = 99
            elif parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
                most += 1
                least += parameter.default is parameter.empty
        object.__setattr__(self, "least", least)
        object.__setattr__(self, "most", most)
