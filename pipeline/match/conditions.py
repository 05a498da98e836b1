"""Compiles a condition tree (LANGUAGE 3) into functions; every mistake becomes a problem with its place."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import Final, Protocol

import orjson

from pipeline.config.diagnostics import Problems
from pipeline.config.paths import (
    EVENT_ROOTS,
    OPEN_FIELDS,
    Path,
    PathError,
    Scope,
    compile_path,
    did_you_mean,
    parse_path,
    unknown_var,
)
from pipeline.match.clauses import Dynamic, Operand, Options, Zone, check_operand, compile_clause
from pipeline.match.convert import CONVERSIONS, OperandError, zone
from pipeline.match.nodes import Condition, Node, Predicate, all_of, any_of, conjunction, none_of
from pipeline.match.operators import MODIFIERS, OPERATORS, REMEDIES, SYNONYMS, Operator
from pipeline.model.records import Event, Json, User

__all__ = ["Condition", "LabelSource", "Node", "Predicate", "compile_condition", "compile_on_path"]

_GROUPS: Final = ("all", "any", "not", "any_element", "label")
_OTHER_GROUPS: Final = {
    "and": "all",
    "&&": "all",
    "every": "all",
    "or": "any",
    "||": "any",
    "some": "any",
    "none": "not",
    "nor": "not",
    "nand": "not",
    "labels": "label",
    "element": "any_element",
    "elem_match": "any_element",
    "elemMatch": "any_element",
    "where": "all",
}
_ELEMENT: Final = "element"
_MAX_DEPTH: Final = 150


class LabelSource(Protocol):
    """What conditions need of the labels: the node of each, and their names for hints."""

    def node(self, name: str) -> Node | None:
        """Return the label's condition, or None where there is no such label."""

    def names(self) -> Collection[str]:
        """Return all names."""


@dataclass(slots=True, frozen=True)
class _Context:
    problems: Problems
    labels: LabelSource | None
    lists: Mapping[str, Collection[str]]
    vars: Mapping[str, Json]
    roots: Collection[str]
    in_element: bool = False
    depth: int = 0

    def at(self, *parts: str | int) -> _Context:
        return replace(self, problems=self.problems.at(*parts), depth=self.depth + 1)


def compile_condition(
    tree: Json,
    problems: Problems,
    *,
    labels: LabelSource | None = None,
    lists: Mapping[str, Collection[str]] | None = None,
    vars: Mapping[str, Json] | None = None,
    roots: Collection[str] = EVENT_ROOTS,
) -> Condition:
    """Return the compiled condition; what is wrong is added to the problems.

    lists: the lines of each list file, by the name that ``{file: ...}`` uses.
    roots: the roots that paths may start with (`event`, `user`, `vars`; in bodies also `item`, ...).
    A tree with errors gives a condition that never holds for the faulty clauses: it must not be run.
    """
    context = _Context(problems, labels, lists or {}, vars or {}, roots)
    node = _tree(tree, context)
    return conjunction([node] if node is not None else [])


def compile_on_path(path: Path, value: Json, problems: Problems) -> Node | None:
    """Return the node of what is said about one path: a value, a list, or a map of operators."""
    return _operators_on(path, value, _Context(problems, None, {}, {}, EVENT_ROOTS))


def _tree(tree: Json, context: _Context) -> Node | None:
    """Return the node of a list or map of conditions: all of them."""
    if context.depth > _MAX_DEPTH:
        context.problems.error((), "too-deep", "conditions are nested too deeply")
        return None
    if type(tree) is list:
        if not tree:
            context.problems.error((), "empty-condition", "an empty list of conditions", hint="leave it out")
            return None
        return _all([_tree(part, context.at(index)) for index, part in enumerate(tree)])
    if type(tree) is not dict:
        context.problems.error(
            (),
            "wrong-condition",
            f"a condition is a map such as {{event.properties.plan: pro}}, not {_kind(tree)}",
        )
        return None
    if not tree:
        context.problems.error((), "empty-condition", "an empty condition", hint="leave it out")
        return None
    return _all([_entry(key, value, context) for key, value in tree.items()])


def _all(nodes: list[Node | None]) -> Node | None:
    found = [node for node in nodes if node is not None]
    if len(found) <= 1:
        return found[0] if found else None
    return _group("all", found, all_of([node.test for node in found]))


def _group(kind: str, nodes: list[Node], test: Predicate) -> Node:
    assert kind in ("all", "any", "not")
    return Node(
        test=test,
        key=f"{kind}({','.join(node.key for node in nodes)})",
        reads_user=any(node.reads_user for node in nodes),
        text=kind,
        kind="all" if kind == "all" else "any" if kind == "any" else "not",
        children=tuple(nodes),
    )


def _entry(key: Json, value: Json, context: _Context) -> Node | None:
    if type(key) is not str:
        context.problems.error((key,), "wrong-path", f"{key!r} is no path", on_key=True)
        return None
    if key in ("all", "any"):
        return _all_or_any(key, value, context.at(key))
    if key == "not":
        return _not(value, context.at(key))
    if key == "any_element":
        return _any_elements(value, context.at(key))
    if key == "label":
        return _label(value, context.at(key))
    return _on_path(key, value, context)


def _all_or_any(kind: str, value: Json, context: _Context) -> Node | None:
    if type(value) is dict and kind == "any" and len(value) > 1:
        parts = [({name: one}, context.at()) for name, one in value.items()]
    elif type(value) is list:
        parts = [(part, context.at(index)) for index, part in enumerate(value)]
    else:
        parts = [(value, context)]
    if not parts:
        never = "never" if kind == "any" else "always"
        context.problems.error(
            (), "empty-condition", f"`{kind}` of an empty list {never} holds", hint="leave it out"
        )
        return None
    nodes = [node for part, place in parts if (node := _tree(part, place)) is not None]
    if not nodes:
        return None
    if kind == "all":
        return _all(list(nodes))
    return _group("any", nodes, any_of([node.test for node in nodes]))


def _not(value: Json, context: _Context) -> Node | None:
    if type(value) is list and len(value) != 1:
        context.problems.error(
            (),
            "wrong-condition",
            f"`not` takes one condition, not a list of {len(value)}",
            hint="write not: {any: [...]} for none of them, not: {all: [...]} for not all of them",
        )
        return None
    node = _tree(value, context)
    return None if node is None else _group("not", [node], none_of(node.test))


def _label(value: Json, context: _Context) -> Node | None:
    names = value if type(value) is list else [value]
    nodes: list[Node] = []
    for index, name in enumerate(names):
        place: tuple[str | int, ...] = (index,) if type(value) is list else ()
        if type(name) is not str:
            context.problems.error(place, "wrong-label", f"`label` takes a name, not {_kind(name)}")
            continue
        node = context.labels.node(name) if context.labels is not None else None
        if node is None:
            close = did_you_mean(name, context.labels.names() if context.labels is not None else ())
            context.problems.error(
                place,
                "unknown-label",
                f"there is no label `{name}`",
                hint=f"did you mean `{close}`?" if close else "labels are files in config/labels/",
            )
            continue
        nodes.append(
            Node(node.test, node.key, node.reads_user, f"label: {name}", kind="label", children=(node,))
        )
    if len(nodes) <= 1:
        return nodes[0] if nodes else None
    return _group("any", nodes, any_of([node.test for node in nodes]))


def _any_elements(value: Json, context: _Context) -> Node | None:
    if type(value) is not dict or not value:
        context.problems.error(
            (),
            "wrong-condition",
            "`any_element` takes a path and the conditions on one element",
            hint="any_element: {event.properties.products: [{category: Shoes}, {qty: {gte: 2}}]}",
        )
        return None
    return _all([_any_element(key, inner, context) for key, inner in value.items()])


def _any_element(key: Json, value: Json, context: _Context) -> Node | None:
    path = _path(key, context)
    if _is_operators(value):
        inner = _operators_on(Path(_ELEMENT, (), "element"), value, context.at(key))
    else:
        inner = _tree(value, replace(context.at(key), in_element=True))
    if path is None or inner is None:
        return None
    read, test, many = compile_path(path, context.vars), inner.test, path.has_any

    def holds(event: Event, user: User, scope: Scope) -> bool:
        found = read(event, user, scope)
        if type(found) is not list:
            return False
        for one in found:
            for element in one if many and type(one) is list else (one,):
                if test(event, user, {**(scope or {}), _ELEMENT: element}):
                    return True
        return False

    return Node(
        test=holds,
        key=f"any_element({_path_key(path, context)},{inner.key})",
        reads_user=path.reads_user or inner.reads_user,
        text=f"any_element: {path.text}",
        kind="any_element",
        children=(inner,),
        path=path.text,
        read=read,
    )


def _is_operators(value: Json) -> bool:
    """True for a map of operators, or a list of such maps: conditions on the element itself."""
    maps = value if type(value) is list else [value]
    return bool(maps) and all(
        type(one) is dict and one and all(key in OPERATORS or key in MODIFIERS for key in one) for one in maps
    )


def _path(key: Json, context: _Context, *, on_key: bool = True) -> Path | None:
    place = (key,) if on_key else ()
    if type(key) is not str:
        context.problems.error(place, "wrong-path", f"{_kind(key)} is no path", on_key=on_key)
        return None
    shift = 0
    try:
        if context.in_element and on_key:
            prefix = _ELEMENT + ("" if key.startswith("[") else ".")
            shift = len(prefix)
            path = parse_path(prefix + key, (_ELEMENT,))
            return Path(path.root, path.parts, key)
        path = parse_path(key, context.roots)
    except PathError as error:
        hint = _group_hint(key, context) if on_key else None
        offset = max(error.offset - shift, 0)
        context.problems.error(
            place, "wrong-path", error.message, hint=hint or error.hint, on_key=on_key, offset=offset
        )
        return None
    wrong = unknown_var(path, context.vars)
    if wrong is not None:
        context.problems.error(
            place, "unknown-var", wrong.message, hint=wrong.hint, on_key=on_key, offset=wrong.offset
        )
        return None
    return path


def _group_hint(key: str, context: _Context) -> str | None:
    bare = key.lstrip("$").lower()
    group = bare if bare in _GROUPS else _OTHER_GROUPS.get(bare)
    if group is None and "." not in key:
        group = did_you_mean(key, _GROUPS)
    if group is not None:
        return f"did you mean `{group}`?"
    if bare in OPERATORS:
        return f"an operator stands below a path: event.properties.x: {{{bare}: ...}}"
    return None


def _on_path(key: str, value: Json, context: _Context) -> Node | None:
    path = _path(key, context)
    if path is None:
        return None
    return _operators_on(path, value, context.at(key))


def _operators_on(path: Path, value: Json, context: _Context) -> Node | None:
    """Return the node of everything that is said about one path."""
    if type(value) is dict:
        if not value:
            context.problems.error(
                (), "empty-condition", "an empty map of operators", hint="write {exists: true}"
            )
            return None
        if set(value) & {"path", "file"} and len(value) == 1:
            word = "eq" if "path" in value else "in"
            context.problems.error(
                (),
                "unknown-operator",
                f"`{next(iter(value))}` is an operand",
                hint=f"write {{{word}: {{...}}}}",
            )
            return None
        return _operator_map(path, value, context)
    if type(value) is list:
        if path.root == _ELEMENT and _is_operators(value):
            return _all([_operator_map(path, one, context.at(index)) for index, one in enumerate(value)])
        return _clause(path, OPERATORS["in"], value, Options(), {}, context)
    return _clause(path, OPERATORS["eq"], value, Options(), {}, context)


def _operator_map(path: Path, value: dict[str, Json], context: _Context) -> Node | None:
    options = _options(value, context)
    names = [name for name in value if name not in MODIFIERS]
    if not names:
        context.problems.error(
            (), "empty-condition", "an operator is missing", hint="for example {as: version, gte: ...}"
        )
        return None
    nodes: list[Node | None] = []
    for name in names:
        operator = OPERATORS.get(name) if type(name) is str else None
        if operator is None:
            _unknown_operator(name, value, context)
            continue
        fitting = _fitting_options(operator, options, context) if options is not None else None
        if fitting is not None:
            beside = {key: value[key] for key in MODIFIERS if key in value}
            nodes.append(_clause(path, operator, value[name], fitting, beside, context.at(name)))
    _lint_negation(path, value, context)
    return _all(nodes)


def _unknown_operator(name: Json, value: dict[str, Json], context: _Context) -> None:
    bare = str(name).lstrip("$")
    key = bare.lower()
    meant = key if key in OPERATORS else SYNONYMS.get(key)
    remedy = REMEDIES.get(key)
    if meant is None and remedy is None:
        meant = did_you_mean(bare, [*OPERATORS, *MODIFIERS])
    hint = remedy if meant is None else f"did you mean `{meant}`?"
    if hint is None:
        hint = f"operators are {', '.join(OPERATORS)}"
        if bare in _GROUPS:
            hint = f"`{bare}` stands above paths, not below one"
    context.problems.error((name,), "unknown-operator", f"`{name}` is no operator", hint=hint, on_key=True)


def _options(value: dict[str, Json], context: _Context) -> Options | None:
    """Return the modifiers of a map; None where one is wrong."""
    before = context.problems.errors
    conversion = None
    if "as" in value:
        word = value["as"]
        conversion = CONVERSIONS.get(word) if type(word) is str else None
        if conversion is None:
            close = did_you_mean(str(word), CONVERSIONS)
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
        context.problems.error(
            ("tz",),
            "wrong-operand",
            "`tz` has no meaning here",
            hint="it goes with as: date, weekday or hour",
            on_key=True,
        )
        return None
    return Options(conversion, bool(fold), tz)


def _tz(name: Json, context: _Context) -> Zone:
    found = zone(name) if type(name) is str else None
    if found is not None:
        return found
    if type(name) is str and name.split(".")[0] in context.roots and "." in name:
        path = _path(name, context, on_key=False)
        return None if path is None else compile_path(path, context.vars)
    context.problems.error(
        (), "wrong-operand", f"{name!r} is neither an IANA time zone nor a path", hint="such as Europe/Berlin"
    )
    return None


def _fitting_options(operator: Operator, options: Options, context: _Context) -> Options | None:
    """Return what of the modifiers applies to this operator; None (with a problem) where they do not fit."""
    conversion = options.conversion
    if operator.wants == "flag":
        return replace(options, ignore_case=False)
    if operator.wants == "date":
        if conversion is not None and conversion.name != "date":
            context.problems.error(
                (operator.name,),
                "wrong-operand",
                f"`{operator.name}` compares dates, not what `as: {conversion.name}` gives",
                on_key=True,
            )
            return None
        conversion = CONVERSIONS["date"]
    elif conversion is not None and operator.name not in conversion.operators:
        fitting = ", ".join(name for name in OPERATORS if name in conversion.operators)
        context.problems.error(
            (operator.name,),
            "wrong-operand",
            f"`{operator.name}` has no meaning after `as: {conversion.name}`",
            hint=f"after it stand {fitting}, exists and present",
            on_key=True,
        )
        return None
    if options.ignore_case and (
        not operator.cased or (conversion is not None and conversion.name not in ("text", "domain"))
    ):
        context.problems.error(
            ("ignore_case",),
            "wrong-operand",
            f"`ignore_case` has no meaning for `{operator.name}` here",
            hint="it goes with eq, in and the text operators",
            on_key=True,
        )
        return None
    zoned = conversion is not None and conversion.zoned
    return Options(conversion, options.ignore_case, options.tz if zoned else None)


def _lint_negation(path: Path, value: dict[str, Json], context: _Context) -> None:
    """`ne` also holds for what is missing: those who do not mean that get to know it."""
    may_be_missing = bool(path.parts) and path.parts[0] in OPEN_FIELDS
    if "ne" in value and may_be_missing and not value.keys() & {"exists", "present"}:
        context.problems.warn(
            ("ne",),
            "ne-holds-for-missing",
            f"`ne` also holds where {path.text} is missing",
            hint="add `exists: true` beside it if that is not meant, or `exists: false` in an `any` if it is",
            on_key=True,
        )


def _clause(
    path: Path, operator: Operator, raw: Json, options: Options, beside: dict[str, Json], context: _Context
) -> Node | None:
    before = context.problems.errors
    reads: list[Path] = []
    operand = _operand(raw, operator, context, reads)
    if context.problems.errors > before:
        return None
    tz = beside.get("tz")
    if type(tz) is str and not isinstance(options.tz, tzinfo) and options.tz is not None:
        reads.append(parse_path(tz, context.roots))
    try:
        checked, warning = check_operand(operator, operand, options)
        get = compile_path(path, context.vars)
        test = compile_clause(get, path.has_any, operator, checked, options)
    except OperandError as error:
        context.problems.error((), "wrong-operand", error.message, hint=error.hint)
        return None
    if warning is not None:
        context.problems.warn((), "typed-comparison", warning)
    return Node(
        test=test,
        key=_clause_key(path, operator, raw, beside, reads, context),
        reads_user=path.reads_user or any(read.reads_user for read in reads),
        text=f"{path.text}: {_shown({**beside, operator.name: raw})}",
        path=path.text,
        read=get,
        operand=raw,
        values=_needed_values(path, operator, checked, options),
    )


def _operand(raw: Json, operator: Operator, context: _Context, reads: list[Path]) -> Operand:
    """Return the operand with ``{path: ...}`` and ``{file: ...}`` replaced; problems where it is wrong."""
    if type(raw) is list:
        return [_operand_part(part, operator, context.at(index), reads) for index, part in enumerate(raw)]
    return _operand_part(raw, operator, context, reads)


def _operand_part(raw: Json, operator: Operator, context: _Context, reads: list[Path]) -> Operand:
    if type(raw) is not dict:
        return raw
    if "path" in raw and len(raw) == 1:
        inside = replace(context.at("path"), in_element=False)
        path = _path(raw["path"], inside, on_key=False)
        if path is None:
            return None
        reads.append(path)
        return Dynamic(compile_path(path, context.vars), path.has_any)
    if "file" in raw and len(raw) == 1:
        return _list_file(raw["file"], operator, context.at("file"))
    close = did_you_mean(str(next(iter(raw))), ("path", "file")) if len(raw) == 1 else None
    if close is not None or operator.name not in ("eq", "ne", "in", "not_in", "contains", "not_contains"):
        context.problems.error(
            (),
            "wrong-operand",
            f"a map is no operand of `{operator.name}`",
            hint=f"did you mean {{{close}: ...}}?" if close else "for another path write {path: ...}",
        )
    return raw


def _list_file(name: Json, operator: Operator, context: _Context) -> Operand:
    if operator.wants != "list":
        context.problems.error((), "wrong-operand", "a list file goes with `in` and `not_in`")
        return None
    lines = context.lists.get(name) if type(name) is str else None
    if lines is None:
        close = did_you_mean(str(name), context.lists)
        context.problems.error(
            (),
            "unknown-file",
            f"there is no list file `{name}`",
            hint=f"did you mean `{close}`?" if close else "its name is relative to the config folder",
        )
        return None
    if not lines:
        context.problems.error((), "empty-condition", f"the list file `{name}` is empty")
        return None
    return sorted(lines)


def _clause_key(
    path: Path,
    operator: Operator,
    raw: Json,
    beside: dict[str, Json],
    reads: list[Path],
    context: _Context,
) -> str:
    vars = context.vars if any(read.reads_vars for read in (path, *reads)) else None
    dumped = orjson.dumps(
        [_path_key(path, context), operator.name, beside, vars],
        option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS,
        default=str,
    )
    # repr, not JSON: 5 and 5.0 may share a closure or not, but 2**70 must not fail here.
    return f"{dumped.decode()}{raw!r}"


def _path_key(path: Path, context: _Context) -> str:
    return f"{path.root}{path.parts!r}"


def _needed_values(path: Path, operator: Operator, operand: Operand, options: Options) -> tuple[Json, ...]:
    """Return the texts and numbers of which the path's value (or an element of it) must be one."""
    if options.conversion is not None or options.ignore_case or path.has_any or path.root != "event":
        return ()
    values = [operand] if operator.name == "eq" else operand if operator.name == "in" else []
    if type(values) is not list or not all(type(value) in (str, int) for value in values):
        return ()
    return tuple(values)


def _kind(value: Json) -> str:
    if value is None:
        return "nothing"
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is list:
        return "a list"
    return "a map" if type(value) is dict else repr(value)


def _shown(value: Json) -> str:
    """Return a value as one line of JSON-like text, cut where it is long."""
    try:
        text = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS, default=str).decode()
    except TypeError:
        text = repr(value)
    return text if len(text) <= 200 else text[:199] + "…"
