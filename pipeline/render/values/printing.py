"""Values in templates: how they print, how they count as numbers, how large they may grow."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any, Final, NoReturn

import orjson

from pipeline.language.work import measured
from pipeline.model.json import Value, kind_of
from pipeline.model.records import MISSING, Missing
from pipeline.model.words import without_addresses

MAX_RESULT: Final = 1 << 20
"""Characters of a filter's result, and of a template's output."""
MAX_ITEMS: Final = 100_000
"""Elements of a list that a filter makes."""
MAX_INT: Final = 1 << 64
HALF_A_PAIR: Final = "a text holds half of a surrogate pair, which is no valid Unicode"
_SHOWN: Final = 200
_INTEGER: Final = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?(\d{1,400}(\.\d{0,400})?|\.\d{1,400})([eE][+-]?\d{1,3})?", re.ASCII)


class UrlPath(str):
    """A part of a URL's path already encoded and checked by `url_path`: it may contain `/`."""

    __slots__ = ()


class Failure(Exception):
    """Something cannot be rendered for this event: the reason, and the value concerned."""

    def __init__(self, reason: str, value: object = MISSING) -> None:
        super().__init__(reason)
        self.reason = reason
        self.value = value


def show(value: object) -> str:
    """Return a value as one short line for a message: JSON, at most 200 characters."""
    try:
        text = orjson.dumps(value).decode()
    except (TypeError, ValueError):
        text = without_addresses(repr(value))
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def to_text(value: Value | Missing) -> str:
    """Return a value as printed inside a text: compact JSON, but strings bare, and missing and null as ""."""
    if type(value) is str:
        return value
    if value is None or value is MISSING:
        return ""
    if value is True:
        return "true"
    if value is False:
        return "false"
    if type(value) is int:
        return str(value)
    if type(value) is float:
        return repr(finite(value))
    return value if isinstance(value, UrlPath) else to_json(value)


def to_json(value: Value) -> str:
    """Return compact JSON. Raises Failure for values that JSON cannot represent."""
    try:
        return orjson.dumps(value).decode()
    except TypeError as error:
        raise Failure(reason_of(error), value) from None


def utf8(text: str) -> bytes:
    """Return the text's bytes. Raises Failure where it is no valid Unicode."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise Failure(HALF_A_PAIR, ascii(text)) from None


def reason_of(error: TypeError) -> str:
    """Return in plain words why orjson rejected a value."""
    text = str(error)
    if "surrogate" in text:
        return HALF_A_PAIR
    if "64-bit" in text:
        return "an integer has more than 64 bits"
    return text


def finite(number: float) -> float:
    """Return the number; raises Failure for infinity and NaN."""
    if math.isfinite(number):
        return number
    raise Failure("the number is too large for JSON", str(number))


def bounded(number: int) -> int:
    """Return the number; raises Failure beyond 64 bits."""
    if -MAX_INT < number < MAX_INT:
        return number
    raise Failure("the integer has more than 64 bits")


def to_number(value: Value | Missing, whose: str) -> int | float:
    """Return the number that a number or text denotes; raises Failure for anything else."""
    if type(value) is int or type(value) is float:
        return value
    if type(value) is str:
        text = value.strip()
        if _INTEGER.fullmatch(text):
            return int(text)
        if _NUMBER.fullmatch(text):
            return finite(float(text)) if not text.lstrip("+-").isdigit() else bounded(_big(text))
    raise Failure(f"{whose} wants a number, not {kind_of(value)}", value)


def _big(text: str) -> int:
    return int(text) if len(text) < 25 else MAX_INT


def to_count(value: Value | Missing, whose: str) -> int:
    """Return an integer for an argument such as a length; raises Failure for anything else."""
    number = to_number(value, whose)
    if isinstance(number, float) and not number.is_integer():
        raise Failure(f"{whose} wants a whole number", value)
    return int(number)


def exact(number: int | float) -> Decimal:
    """Return the Decimal with the number's printed digits, so that 0.1 + 0.2 is 0.3."""
    return Decimal(repr(number))


def check_size(result: Any) -> Any:
    """Return a filter's result; raises Failure where it is larger than allowed."""
    if type(result) is str:
        size = len(result)
        if size > MAX_RESULT // 4:
            size = len(result.encode("utf-8", "surrogatepass"))
        if size > MAX_RESULT:
            raise Failure("a filter's result is larger than 1 MiB", result[:_SHOWN])
    elif type(result) is list and len(result) > MAX_ITEMS:
        raise Failure(f"a filter's result has more than {MAX_ITEMS:,} elements")
    return result


def weigh(value: Value) -> int:
    """Return roughly the printed length of a value; stops counting at twice the allowed size."""
    if type(value) is str:
        return len(value) + 2
    if type(value) is not list and type(value) is not dict:
        return 2
    return measured(value, 1, _weigh)


def _weigh(value: Value, price: int) -> int:
    total = 2
    todo = [value] if type(value) in (list, dict) else []
    while todo and total <= 2 * MAX_RESULT:
        one = todo.pop()
        if type(one) is dict:
            total += sum(map(len, one)) + 4 * len(one)
            one = one.values()
        for inner in one:
            kind = type(inner)
            if kind is str:
                total += len(inner) + 3
            elif kind is list or kind is dict:
                total += 3
                if inner:
                    todo.append(inner)
            else:
                total += 5
    return total


def check_weight(result: Value) -> Value:
    """Return a joined result; raises Failure where its printed length exceeds 1 MiB."""
    if weigh(result) > MAX_RESULT:
        raise Failure("a filter's result is larger than 1 MiB")
    return result


def refuse(whose: str, wish: str, value: object) -> NoReturn:
    """Raise the Failure that says who expected what, and what it got."""
    raise Failure(f"{whose} wants {wish}, not {kind_of(value)}", value)
