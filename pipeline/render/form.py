"""Bodies as forms: inner keys become ``a[b]``, arrays repeat ``a[]``, arrays of objects are ``a[0][b]``."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote_plus

from pipeline.model.json import Value, kind_of
from pipeline.render.body import FormText
from pipeline.render.values.printing import HALF_A_PAIR, Failure, to_text


def encode_form(value: Value) -> bytes:
    """Return an object as ``application/x-www-form-urlencoded`` bytes.

    Null is an empty value; empty arrays and objects yield nothing. Raises Failure where the value is not an
    object or contains invalid Unicode.
    """
    if not isinstance(value, dict):
        raise Failure(f"a form wants an object, not {kind_of(value)}", value)
    # Lists repeat one name thousands of times.
    quoted: dict[str, str] = {}
    try:
        made = []
        for name, one in _pairs(value):
            said = quoted.get(name)
            if said is None:
                said = quoted[name] = quote_plus(name)
            made.append(f"{said}={one if type(one) is int else _encoded(one)}")
        return "&".join(made).encode()
    except UnicodeEncodeError:
        raise Failure(HALF_A_PAIR) from None


def _pairs(value: dict[str, Value]) -> Iterator[tuple[str, Value]]:
    todo: list[tuple[str, Value]] = list(value.items())[::-1]
    while todo:
        name, one = todo.pop()
        if isinstance(one, dict):
            todo.extend((f"{name}[{key}]", inner) for key, inner in reversed(one.items()))
        elif isinstance(one, list):
            if any(isinstance(element, dict | list) for element in one):
                # Repeated keys would not show which parts belong to one element.
                todo.extend((f"{name}[{at}]", element) for at, element in reversed(list(enumerate(one))))
            else:
                repeated = name if name.endswith("[]") else f"{name}[]"
                todo.extend((repeated, element) for element in reversed(one))
        else:
            yield name, one


def _encoded(value: Value) -> str:
    return value if isinstance(value, FormText) else quote_plus(to_text(value))
