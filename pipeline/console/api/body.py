"""The body of an API request: a JSON object with known fields of the expected types."""

from __future__ import annotations

from typing import Final

import orjson

from pipeline.console.context import RequestContext
from pipeline.model.errors import UsageError
from pipeline.model.json import Value, kind_of
from pipeline.model.words import one_of

_NAMES: Final = {
    str: "a text",
    int: "a whole number",
    bool: "true or false",
    dict: "an object",
    list: "a list",
}
TEXT: Final = (str,)
NUMBER: Final = (int,)
FLAG: Final = (bool,)
LIST: Final = (list,)
OBJECT: Final = (dict,)
JSON: Final = (dict, list, str)
"""A value, or the text of one as a person typed it."""


async def json_of(context: RequestContext) -> Value:
    """Return the body of a request. Raises UsageError where it is not JSON."""
    try:
        return orjson.loads(await context.request.read())
    except orjson.JSONDecodeError as error:
        raise UsageError(f"the body is not valid JSON: {error}") from None


async def body(context: RequestContext, *required: str, **kinds: tuple[type, ...]) -> dict[str, Value]:
    """Return the fields of a JSON body; those that are not given are None.

    required: names of fields that must be there. kinds: what each field may be; null stands for not given.
    Raises UsageError that names the field.
    """
    given = await json_of(context)
    if not isinstance(given, dict):
        raise UsageError(f"the body is {kind_of(given)}: expected an object with {', '.join(kinds)}")
    for name, value in given.items():
        one_of(name, kinds, "field")
        if value is not None and type(value) not in kinds[name]:
            words = " or ".join(_NAMES[one] for one in kinds[name])
            raise UsageError(f"`{name}` is {kind_of(value)}: expected {words}")
    missing = next((name for name in required if given.get(name) is None), None)
    if missing is not None:
        raise UsageError(f"the field `{missing}` is missing")
    return {name: given.get(name) for name in kinds}
