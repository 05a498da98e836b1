"""The leaves of a condition tree: statements about one path, compiled to nodes.

Every mistake becomes a problem with its place and its remedy.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import tzinfo
from typing import Final

import orjson

from pipeline.config.documents import UNREAD
from pipeline.config.yaml.diagnostics import Problems
from pipeline.language.path_syntax import ANY, EVENT_ROOTS, OPEN_FIELDS, Path, parse_path
from pipeline.language.paths import compile_path
from pipeline.language.vars import var_at
from pipeline.match.conditions import meant
from pipeline.match.conditions.clauses import compile_clause
from pipeline.match.conditions.compiling import ELEMENT, Context, checked_path, describe, path_key
from pipeline.match.conditions.fixed_fields import lint_day, lint_fixed_field
from pipeline.match.conditions.nodes import Node, all_nodes
from pipeline.match.operators.conversions import CONVERSIONS
from pipeline.match.operators.dates import zone
from pipeline.match.operators.operands import Dynamic, Operand, Options, Zone, check_operand
from pipeline.match.operators.synonyms import OTHER_CONVERSIONS, as_word
from pipeline.match.operators.table import MODIFIERS, OPERATORS, Operator
from pipeline.match.operators.values import OperandError, is_number
from pipeline.model.json import Value
from pipeline.model.words import did_you_mean, meant_or, zone_meant


def compile_on_path(path: Path, value: Value, problems: Problems) -> Node | None:
    """Return the node for one path: a value, a list, or a map of operators."""
    return operators_on(path, value, Context(problems, None, {}, {}, EVENT_ROOTS))


def is_operators(value: Value) -> bool:
    """True for a map of operators, or a list of such maps: conditions on the element itself."""
    maps = value if type(value) is list else [value]
    return bool(maps) and all(
        type(one) is dict and one and all(key in OPERATORS or key in MODIFIERS for key in one) for one in maps
    )


def on_path(key: str, value: Value, context: Context) -> Node | None:
    """Return the node of one entry of a condition map: a path and what it must be."""
    path = checked_path(key, context)
    if path is None:
        return None
    return operators_on(path, value, context.at(key))


def operators_on(path: Path, value: Value, context: Context) -> Node | None:
    """Return the node of all operators on one path."""
    if type(value) is dict:
        if not value:
            context.wrong((), "an empty map of operators", "write {exists: true}", code="empty-condition")
            return None
        if len(value) == 1 and not value.keys().isdisjoint(("path", "file")):
            shorthand = OPERATORS["eq" if "path" in value else "in"]
            return _clause(path, shorthand, value, Options(), {}, context)
        return _operator_map(path, value, context)
    if type(value) is list:
        if path.root == ELEMENT and is_operators(value):
            return all_nodes([_operator_map(path, one, context.at(index)) for index, one in enumerate(value)])
        if (hint := meant.of_list(value)) is not None:
            message = f"`{value[0]}` is one of the values here, and no operator"
            context.problems.warn((), "looks-like-operator", message, hint=hint)
        return _clause(path, OPERATORS["in"], value, Options(), {}, context)
    return _clause(path, OPERATORS["eq"], value, Options(), {}, context)


def _operator_map(path: Path, value: dict[str, Value], context: Context) -> Node | None:
    options = _options(value, context)
    names = [name for name in value if name not in MODIFIERS]
    if not names:
        context.wrong((), "an operator is missing", meant.an_operator(value), code="empty-condition")
        return None
    nodes: list[Node | None] = []
    for name in names:
        operator = OPERATORS.get(name) if type(name) is str else None
        if operator is None:
            hint = meant.instead_of(str(name), value[name], path)
            context.wrong((name,), f"`{name}` is no operator", hint, code="unknown-operator")
            continue
        fitting = _fitting_options(operator, options, context) if options is not None else None
        if fitting is not None:
            beside = {key: value[key] for key in MODIFIERS if key in value}
            nodes.append(_clause(path, operator, value[name], fitting, beside, context.at(name)))
    _lint_negation(path, value, context)
    lows, highs = ([value[name] for name in names if is_number(value.get(name))] for names in _BOUNDS)
    # Of several elements two may hold one each.
    if lows and highs and max(lows) > min(highs) and ANY not in path.parts:
        message = f"no number is above {max(lows)} and below {min(highs)}"
        hint = "several operators on one path mean all of them; for one of them write `any`"
        context.problems.warn((), "empty-range", message, hint=hint)
    return all_nodes(nodes)


_BOUNDS: Final = (("gt", "gte"), ("lt", "lte"))


def _options(value: dict[str, Value], context: Context) -> Options | None:
    """Return the modifiers of a map; None where one is wrong."""
    before = context.problems.errors
    conversion = None
    if "as" in value:
        word = value["as"]
        conversion = CONVERSIONS.get(word) if type(word) is str else None
        if conversion is None:
            close = OTHER_CONVERSIONS.get(as_word(str(word))) or did_you_mean(str(word), CONVERSIONS)
            hint = f"did you mean `{close}`?" if close else f"it is one of {', '.join(CONVERSIONS)}"
            context.problems.error(("as",), "unknown-conversion", f"`as: {word}` is not known", hint=hint)
    fold = value.get("ignore_case", False)
    if type(fold) is not bool:
        context.problems.error(("ignore_case",), "wrong-operand", "`ignore_case` takes true or false")
    tz = _tz(value["tz"], context.at("tz")) if "tz" in value else None
    if context.problems.errors > before:
        return None
    if tz is not None and not (
        (conversion is not None and conversion.zoned) or "before" in value or "after" in value
    ):
        context.wrong(("tz",), "`tz` has no meaning here", "it goes with as: date, weekday or hour")
        return None
    return Options(conversion, bool(fold), tz)


def _tz(name: Value, context: Context) -> Zone:
    found = zone(name) if type(name) is str else None
    if found is not None:
        return found
    if type(name) is str and name.split(".")[0] in context.roots and "." in name:
        path = checked_path(name, context, on_key=False)
        return None if path is None else compile_path(path, context.vars)
    hint = zone_meant(name) or "such as Europe/Berlin"
    if type(name) is dict and list(name) == ["path"]:
        hint = f"write tz: {name['path']}"
    context.wrong((), f"{describe(name)} is neither an IANA time zone nor a path", hint)
    return None


def _fitting_options(operator: Operator, options: Options, context: Context) -> Options | None:
    """Return the modifiers that apply to this operator; None (with a problem) where one does not."""
    conversion = options.conversion
    if operator.wants == "flag":
        return replace(options, ignore_case=False)
    if operator.wants == "date":
        if conversion is not None and conversion.name != "date":
            message = f"`{operator.name}` compares dates, not what `as: {conversion.name}` gives"
            context.wrong((operator.name,), message)
            return None
        conversion = CONVERSIONS["date"]
    elif conversion is not None and operator.name not in conversion.operators:
        fitting = ", ".join(name for name in OPERATORS if name in conversion.operators)
        message = f"`{operator.name}` has no meaning after `as: {conversion.name}`"
        context.wrong((operator.name,), message, f"after it stand {fitting}, exists and present")
        return None
    if options.ignore_case and (
        not operator.cased or (conversion is not None and conversion.name not in ("text", "domain"))
    ):
        message = f"`ignore_case` has no meaning for `{operator.name}` here"
        context.wrong(("ignore_case",), message, "it goes with eq, in and the text operators")
        return None
    zoned = conversion is not None and conversion.zoned
    return Options(conversion, options.ignore_case, options.tz if zoned else None)


def _lint_negation(path: Path, value: dict[str, Value], context: Context) -> None:
    """Warn that `ne` also holds for missing values, which some authors do not intend."""
    may_be_missing = bool(path.parts) and path.parts[0] in OPEN_FIELDS
    if "ne" in value and may_be_missing and not value.keys() & {"exists", "present"}:
        message = f"`ne` also holds where {path.text} is missing"
        hint = "add `exists: true` beside it if that is not meant, or `exists: false` in an `any` if it is"
        context.problems.warn(("ne",), "ne-holds-for-missing", message, hint=hint, on_key=True)


def _clause(
    path: Path, operator: Operator, raw: Value, options: Options, beside: dict[str, Value], context: Context
) -> Node | None:
    before = context.problems.errors
    reads: list[Path] = []
    try:
        operand = _operand(raw, operator, context, reads)
    except _UnreadList:
        return None
    if context.problems.errors > before:
        return None
    tz = beside.get("tz")
    if type(tz) is str and not isinstance(options.tz, tzinfo) and options.tz is not None:
        reads.append(parse_path(tz, context.roots))
    try:
        checked, warning = check_operand(operator, operand, options)
        read = compile_path(path, context.vars)
        test = compile_clause(path, read, operator, checked, options)
    except OperandError as error:
        context.wrong((), error.message, error.hint)
        return None
    if warning is not None:
        context.problems.warn((), "typed-comparison", warning)
    if "event" not in context.roots:
        _refuse_relative(checked, context)
    lint_fixed_field(path, operator, raw, options, context)
    lint_day(path, operator, raw, options, context)
    return Node(
        test=test,
        key=_clause_key(path, operator, raw, beside, reads, context),
        reads_user=path.reads_user or any(other.reads_user for other in reads),
        text=f"{path.text}: {_shown({**beside, operator.name: raw})}",
        path=path.text,
        read=read,
        operand=raw,
        values=_needed_values(path, operator, checked, options),
    )


def _refuse_relative(operand: Operand, context: Context) -> None:
    parts = operand if type(operand) is list else [operand]
    if any(isinstance(part, Dynamic) and part.shift_ms is not None for part in parts):
        message = "there is no event here that a date could be relative to"
        context.problems.refuse((), "wrong-operand", message, hint="write a date, or {path: ...}")


def _operand(raw: Value, operator: Operator, context: Context, reads: list[Path]) -> Operand:
    """Return the operand with ``{path: ...}`` and ``{file: ...}`` resolved; adds problems."""
    if type(raw) is not list:
        return _operand_part(raw, operator, context, reads)
    operands: list[Operand] = []
    for index, part in enumerate(raw):
        one = _operand_part(part, operator, context.at(index), reads)
        # The entries of a list file join the others; they are not a list among them.
        operands += one if type(one) is list and type(part) is dict else [one]
    return operands


def _operand_part(raw: Value, operator: Operator, context: Context, reads: list[Path]) -> Operand:
    if type(raw) is not dict:
        return raw
    if "path" in raw and len(raw) == 1:
        inside = replace(context.at("path"), in_element=False)
        path = checked_path(raw["path"], inside, on_key=False)
        if path is None:
            return None
        reads.append(path)
        fixed = _of_var(path, context)
        if operator.name in ("glob", "regex") and type(fixed) in (str, list):
            return fixed  # a pattern that can be checked at load, like a literal one
        return Dynamic(compile_path(path, context.vars), path.has_any, of_event=path.of_event, fixed=fixed)
    if "file" in raw and len(raw) == 1:
        return _list_file(raw["file"], operator, context.at("file"))
    close = did_you_mean(str(next(iter(raw))), ("path", "file")) if len(raw) == 1 else None
    if close is not None or operator.name not in ("eq", "ne", "in", "not_in", "contains", "not_contains"):
        hint = f"did you mean {{{close}: ...}}?" if close else "for another path write {path: ...}"
        if operator.wants == "range" and close is None and len(raw) == 2:
            hint = f"write between: [{', '.join(map(str, raw.values()))}]"
        context.wrong((), f"a map is no operand of `{operator.name}`", hint)
    return raw


def _of_var(path: Path, context: Context) -> Value:
    """Return the value of a path to a var; None for other paths, and where it depends on the event."""
    if path.root != "vars" or not all(type(part) in (str, int) for part in path.parts):
        return None
    return var_at(path, context.vars)


class _UnreadList(Exception):
    """A list file cannot be read, which is told elsewhere."""


def _list_file(name: Value, operator: Operator, context: Context) -> Operand:
    if operator.wants != "list":
        context.wrong((), "a list file goes with `in` and `not_in`")
        return None
    lines = context.lists.get(name) if type(name) is str else None
    if lines is None:
        hint = meant_or(str(name), context.lists, "its name is relative to the config folder")
        context.wrong((), f"there is no list file `{name}`", hint, code="unknown-file")
        return None
    if lines is UNREAD:
        raise _UnreadList
    if not lines:
        context.wrong((), f"the list file `{name}` is empty", code="empty-condition")
        return None
    if all(_LIKE_A_LIST.match(line) for line in lines):
        message = f"the entries of `{name}` are compared with their dashes, quotes, brackets and commas"
        hint = "a list file has one value in each line, as it is"
        context.problems.warn((), "looks-like-list", message, hint=hint)
    return sorted(lines)


_LIKE_A_LIST: Final = re.compile(r"- \S|[\[\"'].*[\]\"'],?$|[^,]+,$")
"""A line as YAML, JSON or a program would write the entry of a list."""


def _clause_key(
    path: Path,
    operator: Operator,
    raw: Value,
    beside: dict[str, Value],
    reads: list[Path],
    context: Context,
) -> str:
    vars = context.vars if any(read.reads_vars for read in (path, *reads)) else None
    dumped = orjson.dumps(
        [path_key(path), operator.name, beside, vars],
        option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS,
        default=str,
    )
    # repr, not JSON: sharing a closure between 5 and 5.0 does not matter, but 2**70 must not fail here.
    return f"{dumped.decode()}{raw!r}{_lists_key(raw, context)}"


def _lists_key(raw: Value, context: Context) -> str:
    """Return what distinguishes list files of one name: each may lie beside the file that names it."""
    parts = [part for part in (raw if type(raw) is list else [raw]) if type(part) is dict and "file" in part]
    return "".join(f",{hash(tuple(context.lists.get(part['file'], ())))}" for part in parts)


def _needed_values(path: Path, operator: Operator, operand: Operand, options: Options) -> tuple[Value, ...]:
    """Return texts and numbers one of which the path's value (or an element of it) must be."""
    if options.conversion is not None or options.ignore_case or path.has_any or path.root != "event":
        return ()
    if path.reads_vars:
        return ()  # its text has another meaning in each webhook
    values = [operand] if operator.name == "eq" else operand if operator.name == "in" else []
    if type(values) is not list or not all(type(value) in (str, int) for value in values):
        return ()
    return tuple(values)


def _shown(value: Value) -> str:
    """Return a value as one line of JSON-like text, truncated."""
    try:
        text = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS, default=str).decode()
    except TypeError:
        text = repr(value)
    return text if len(text) <= 200 else text[:199] + "…"
