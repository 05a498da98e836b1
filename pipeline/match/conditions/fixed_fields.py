"""Fields whose type is known without an event: a comparison with another type never holds."""

from __future__ import annotations

import json
from typing import Final

from pipeline.language.path_syntax import FIELDS, OPEN_FIELDS, Path
from pipeline.match.conditions.compiling import Context
from pipeline.match.operators.operands import Options
from pipeline.match.operators.table import Operator
from pipeline.model.json import Value

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


def _inside(path: Path) -> str:
    return path.text if path.parts else f"{path.text}.properties"
