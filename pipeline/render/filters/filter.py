"""The parts of a row in the table of filters."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.model.json import Value


@dataclass(slots=True, frozen=True)
class Example:
    """One use of a filter: the input value, the call, the result."""

    value: Value
    call: str
    """The filter with its arguments: ``slice: 0, 3``."""
    result: Value

    @property
    def shown(self) -> str:
        """The example as printed in the reference."""
        return f"{json.dumps(self.value, ensure_ascii=False)} | {self.call}"

    @property
    def shown_result(self) -> str:
        """The result as printed in the reference."""
        return json.dumps(self.result, ensure_ascii=False)


class Filter:
    """One filter, named after its function (without a trailing underscore).

    Missing and null do not reach the function unless ``takes_missing``.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        meaning: str,
        *examples: Example,
        takes_missing: bool = False,
        takes_event_time: bool = False,
        grows: bool = False,
        per_text: int = 2,
        per_element: int = 2,
        shallow: bool = False,
        options: frozenset[str] = frozenset(),
    ) -> None:
        """function: takes the value, then the positional arguments; missing arguments arrive as None.
        takes_event_time: the function gets ``event_ms``, which is `now`. grows: the result may contain the
        same value many times: it is weighed, not only counted. options: names of arguments passed by name.

        per_text: units of work per 16 characters of a long text; per_element: per element of a list or
        object, nested ones included, or with `shallow` of the list alone. `make bombs` measures both.
        """
        self.name = function.__name__.rstrip("_")
        self.function = function
        self.meaning = meaning
        self.examples = examples
        self.takes_missing = takes_missing
        self.takes_event_time = takes_event_time
        self.grows = grows
        self.options = options
        self.per_text = per_text
        self.per_element = per_element
        self.shallow = shallow
        code = function.__code__
        self.most = 99 if code.co_flags & inspect.CO_VARARGS else code.co_argcount - 1
        """The maximum number of positional arguments; 99 for any number."""
        self.least = code.co_argcount - 1 - len(function.__defaults__ or ())
