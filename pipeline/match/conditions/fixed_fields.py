"""Fields whose type is known without an event: a comparison with another type never holds."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from typing import Final

from pipeline.language.path_syntax import FIELDS, OPEN_FIELDS, Path
from pipeline.match.conditions.compiling import Context
from pipeline.match.operators.operands import Options
from pipeline.match.operators.suspects import looks_like_list
from pipeline.match.operators.table import Operator
from pipeline.model.json import Value

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UP_TO: Final = frozenset({"eq", "in", "lte", "between"})
_TIMES: Final = frozenset({"time", "received_at"})


def lint_fixed_field(path: Path, operator: Operator, raw: Value, options: Options, context: Context) -> None:
    """Warn where a fixed field is compared with something it can never be, such as ``event.id: 5``."""
    if path.root not in FIELDS or len(path.parts) > 1 or options.conversion is not None:
        return
    if operator.wants in ("flag", "date"):
        return
    several = type(raw) is list and operator.wants in ("list", "range")
    values = [one for one in (raw if several else [raw]) if type(one) in (str, int, float, bool)]
    field = path.parts[0] if path.parts else path.root
    wrong: Value = None
    if not path.parts or field in OPEN_FIELDS:
        what, hint = "an object", f"name one of its fields, such as `{_inside(path)}.plan`"
        wrong = next(iter(values), None)
    elif field == "identified":
        what, hint = "true or false", "write true or false without quotes"
        wrong = next((one for one in values if type(one) is not bool), None)
    else:
        wrong = next((one for one in values if type(one) is not str), None)
        what, hint = "a text", f'write it in quotes: "{json.dumps(wrong)}"'
        if field in _TIMES:
            hint = "compare it by before and after, or add `as: date`"
    if wrong is not None:
        message = f"`{path.text}` is {what}, and {json.dumps(wrong, ensure_ascii=False)} is not"
        context.problems.warn((), "typed-comparison", message, hint=hint)
    elif field in ("name", "kind") and operator.name in ("eq", "ne", "in", "not_in"):
        for name in values:
            if (told := looks_like_list(str(name))) is not None:
                context.problems.warn((), "looks-like-list", told[0], hint=told[1])


def lint_day(path: Path, operator: Operator, raw: Value, options: Options, context: Context) -> None:
    """Warn where the event's time is compared up to a day, or with one: its first moment counts."""
    if path.root != "event" or path.parts[:1] not in (("time",), ("received_at",)):
        return
    if options.conversion is None or options.conversion.name != "date" or operator.name not in _UP_TO:
        return
    last = raw[-1:] if operator.wants == "range" and type(raw) is list else raw
    for day in last if type(last) is list else [last]:
        if type(day) is str and _DAY.fullmatch(day) and day < "9999":
            message = f"{day} is the first moment of that day: what comes later on it is not included"
            after = date.fromisoformat(day) + timedelta(days=1)
            hint = f"write {{as: date, gte: .., lt: {after}}}"
            context.problems.warn((), "typed-comparison", message, hint=hint)
            return


def _inside(path: Path) -> str:
    return path.text if path.parts else f"{path.text}.properties"
