"""Compiles a condition tree (LANGUAGE 3) to functions; every mistake becomes a problem with its place."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Final

from pipeline.config.yaml.diagnostics import Problems
from pipeline.language.path_syntax import EVENT_ROOTS, Path
from pipeline.language.paths import Scope, compile_path
from pipeline.language.work import once, spend
from pipeline.match.conditions import meant
from pipeline.match.conditions.compiling import (
    ELEMENT,
    Context,
    LabelSource,
    checked_path,
    describe,
    path_key,
)
from pipeline.match.conditions.leaves import is_operators, on_path, operators_on
from pipeline.match.conditions.nodes import Condition, Node, Predicate, all_nodes, conjunction, group
from pipeline.model.json import Value
from pipeline.model.records import Event, User
from pipeline.model.words import meant_or

_MAX_DEPTH: Final = 150
_MAX_LEVELS: Final = 200
"""Maximum depth, labels included: each level takes one or two of the interpreter's thousand frames."""
_PER_ELEMENT: Final = 20
"""Work of testing one element, relative to touching it."""


def compile_condition(
    tree: Value,
    problems: Problems,
    *,
    labels: LabelSource | None = None,
    lists: Mapping[str, Collection[str]] | None = None,
    vars: Mapping[str, Value] | None = None,
    roots: Collection[str] = EVENT_ROOTS,
    in_label: bool = False,
    parse: Callable[[str], Path] | None = None,
) -> Condition:
    """Return the compiled condition; mistakes are added to the problems.

    lists: the lines of each list file, by the name in ``{file: ...}``. roots: the roots of paths (`event`,
    `user`, `vars`; in bodies also `item`, ...). in_label: labels named here may be reached many times through
    other labels. parse: returns the path of a text, for custom shapes; raises PathError.

    In a condition with errors the faulty clauses never hold: it must not be run.
    """
    context = Context(problems, labels, lists or {}, vars or {}, roots, in_label=in_label, parse=parse)
    node = None
    too_deep = "conditions are nested too deeply, with the labels in them"
    try:
        node = _tree(tree, context)
    except RecursionError:
        problems.error((), "too-deep", too_deep)
    if node is not None and node.depth > _MAX_LEVELS:
        problems.refuse((), "too-deep", too_deep)
    return conjunction([node] if node is not None else [])


def _tree(tree: Value, context: Context) -> Node | None:
    """Return the node of a list or map of conditions: all of them."""
    if context.depth > _MAX_DEPTH:
        context.problems.error((), "too-deep", "conditions are nested too deeply")
        return None
    if type(tree) is list:
        if not tree:
            context.wrong((), "an empty list of conditions", "leave it out", code="empty-condition")
            return None
        return all_nodes([_tree(part, context.at(index)) for index, part in enumerate(tree)])
    if type(tree) is not dict:
        path = "event.properties.plan" if "event" in context.roots else "plan"
        message = f"a condition is a map such as {{{path}: pro}}, not {describe(tree)}"
        hint = meant.of_text(tree, context.roots) if type(tree) is str else None
        context.wrong((), message, hint, code="wrong-condition")
        return None
    if not tree:
        context.wrong((), "an empty condition", "leave it out", code="empty-condition")
        return None
    if context.parse is None and not context.in_element and (hint := meant.of_parts(tree, context.roots)):
        context.wrong((), "a condition has its path as the key", hint, code="wrong-condition")
        return None
    return all_nodes([_entry(key, value, context) for key, value in tree.items()])


def _entry(key: Value, value: Value, context: Context) -> Node | None:
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
    return on_path(key, value, context)


def _all_or_any(kind: str, value: Value, context: Context) -> Node | None:
    if type(value) is dict and kind == "any" and len(value) > 1:
        parts = [({name: one}, context.at()) for name, one in value.items()]
    elif type(value) is list:
        parts = [(part, context.at(index)) for index, part in enumerate(value)]
    else:
        parts = [(value, context)]
    if not parts:
        message = f"`{kind}` of an empty list {'never' if kind == 'any' else 'always'} holds"
        context.wrong((), message, "leave it out", code="empty-condition")
        return None
    nodes = [node for part, place in parts if (node := _tree(part, place)) is not None]
    if not nodes:
        return None
    if kind == "all":
        return all_nodes(list(nodes))
    return group("any", nodes)


def _not(value: Value, context: Context) -> Node | None:
    if type(value) is list and len(value) != 1:
        hint = "write not: {any: [...]} for none of them, not: {all: [...]} for not all of them"
        message = f"`not` takes one condition, not a list of {len(value)}"
        context.wrong((), message, hint, code="wrong-condition")
        return None
    node = _tree(value, context)
    return None if node is None else group("not", [node])


def once_per_event(test: Predicate) -> Predicate:
    """Return a label's test, evaluated once per event however often the label is named."""
    key = object()

    def ask(event: Event, user: User) -> bool:
        return test(event, user, None)

    return lambda event, user, scope: once(event, user, key, ask)


def _label(value: Value, context: Context) -> Node | None:
    names = value if type(value) is list else [value]
    if "event" not in context.roots and context.labels is not None:
        context.problems.refuse((), "wrong-label", "a label is about events, and there is none here")
    if not names:
        hint = "name a label, or leave it out"
        context.problems.refuse((), "empty-condition", "`label` of an empty list never holds", hint=hint)
    nodes: list[Node] = []
    for index, name in enumerate(names):
        place: tuple[str | int, ...] = (index,) if type(value) is list else ()
        if type(name) is not str:
            context.problems.error(place, "wrong-label", f"`label` takes a name, not {describe(name)}")
            continue
        node = context.labels.node(name) if context.labels is not None else None
        if node is None:
            known = context.labels.names() if context.labels is not None else ()
            hint = meant_or(name, known, "labels are files in config/labels/")
            context.problems.error(place, "unknown-label", f"there is no label `{name}`", hint=hint)
            continue
        test = once_per_event(node.test) if context.in_element or context.in_label else node.test
        nodes.append(Node(test, node.key, node.reads_user, f"label: {name}", kind="label", children=(node,)))
    if len(nodes) <= 1:
        return nodes[0] if nodes else None
    return group("any", nodes)


def _any_elements(value: Value, context: Context) -> Node | None:
    if type(value) is not dict or not value:
        hint = "any_element: {event.properties.products: [{category: Shoes}, {qty: {gte: 2}}]}"
        message = "`any_element` takes a path and the conditions on one element"
        context.wrong((), message, hint, code="wrong-condition")
        return None
    return all_nodes([_any_element(key, inner, context) for key, inner in value.items()])


def _any_element(key: Value, value: Value, context: Context) -> Node | None:
    path = checked_path(key, context)
    if is_operators(value):
        inner = operators_on(Path(ELEMENT, (), "element"), value, context.at(key))
    else:
        inner = _tree(value, replace(context.at(key), in_element=True))
    if path is None or inner is None:
        return None
    read, test, many = compile_path(path, context.vars), inner.test, path.has_any
    vars_key = repr(context.vars) if path.reads_vars else ""

    def holds(event: Event, user: User, scope: Scope) -> bool:
        found = read(event, user, scope)
        if type(found) is not list:
            return False
        inside: dict[str, Value] = {} if scope is None else {**scope}
        spend(event, user, _PER_ELEMENT * len(found))
        for one in found:
            if many and type(one) is list:
                elements = one
                spend(event, user, _PER_ELEMENT * len(one))
            else:
                elements = [one]
            for element in elements:
                inside[ELEMENT] = element
                if test(event, user, inside):
                    return True
        return False

    return Node(
        test=holds,
        key=f"any_element({path_key(path)},{vars_key},{inner.key})",
        reads_user=path.reads_user or inner.reads_user,
        text=f"any_element: {path.text}",
        kind="any_element",
        children=(inner,),
        path=path.text,
        read=read,
    )
