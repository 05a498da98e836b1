"""The body tree: YAML with templates and directives becomes one function that builds a JSON value.

A body is built as a tree and serialised once; keys are never templates, and nothing is pasted as text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote_plus

import orjson

from pipeline.language.paths import Getter, Scope
from pipeline.model.errors import RenderError
from pipeline.model.json import Value
from pipeline.model.records import MISSING, Event, Missing, User
from pipeline.render.keys import DIRECTIVES, check_key, literal_key, warn_bare
from pipeline.render.loops import OMIT, Splice, compile_loop, compile_spread
from pipeline.render.templates.foreign import warn_of_json
from pipeline.render.templates.spot import Spot
from pipeline.render.templates.template import Template, compile_text, mentions_secrets

_ITEM: Final = re.compile(r"(item|index)([.\[]|$)")


class FormText(str):
    """A text already encoded for a form (it holds slots)."""

    __slots__ = ()


@dataclass(slots=True, frozen=True)
class Part:
    """A compiled node. ``get`` returns its value, MISSING (the rule for missing values decides), or OMIT."""

    get: Getter
    constant: bool = False
    value: Value = None
    lookup: tuple[str, str] | None = None
    """As in Template, where no rule lies between the property and the body."""


def compile_body(tree: Value, spot: Spot) -> Part:
    """Return the compiled tree. Mistakes are reported at their spots."""
    match tree:
        case str():
            return _text(tree, spot)
        case dict():
            return _object(tree, spot)
        case list():
            return _array([compile_body(one, spot.at(index)) for index, one in enumerate(tree)], spot)
        case float() if not math.isfinite(tree):
            spot.error("body", "JSON has no infinity and no NaN")
            return _constant(None)
    return _constant(tree)


_WHOLE: Final = ("body",)
"""The place of a body that is one text: where it looks like JSON it is refused."""


def _constant(value: Value) -> Part:
    return Part(lambda event, user, scope: value, True, value)


def _json_escape(text: str) -> str:
    """Return the text as it stands inside a JSON string."""
    return orjson.dumps(text).decode()[1:-1]


def _text(text: str, spot: Spot) -> Part:
    if spot.path != _WHOLE:
        warn_of_json(text, spot)
    if mentions_secrets(text):
        return _secret_text(text, spot)
    template = compile_text(text, spot)
    if template.constant:
        return _constant(template.value)
    get = _ruled(template, spot, text)
    return Part(get, lookup=template.lookup if get is template.get else None)


def _secret_text(text: str, spot: Spot) -> Part:
    """A text with secrets is escaped here: its slots stay as they are, and data cannot imitate one."""
    escape = quote_plus if spot.form else _json_escape
    template = compile_text(text, spot, encode=escape, literal=escape)
    wrap: Any = FormText if spot.form else _quoted
    if template.constant:
        return _constant(wrap(template.value))
    get = template.get
    return Part(lambda event, user, scope: wrap(get(event, user, scope)))


def _quoted(text: str) -> orjson.Fragment:
    return orjson.Fragment(f'"{text}"')


def _ruled(template: Template, spot: Spot, text: str) -> Getter:
    """Return the lookup with the rules that concern more than MISSING."""
    get = template.get
    if spot.missing == "omit_empty":

        def unless_empty(event: Event, user: User, scope: Scope) -> Value | Missing:
            value = get(event, user, scope)
            return OMIT if is_empty(value) else value

        return unless_empty
    if spot.missing == "dead_letter" and template.typed:
        place = spot.place(text)

        def demanded(event: Event, user: User, scope: Scope) -> Value | Missing:
            value = get(event, user, scope)
            if value is MISSING:
                raise RenderError(f"required value is missing ({place})")
            return value

        return demanded
    return get


def is_empty(value: Value | Missing) -> bool:
    """Return whether `omit_empty` drops a value: missing, null, "", [] and {}."""
    return value is None or value is MISSING or (type(value) in (str, list, dict) and not value)


def _array(parts: list[Part], spot: Spot) -> Part:
    if all(part.constant for part in parts):
        return _constant([part.value for part in parts])
    gets = [_frozen(part, spot).get for part in parts]
    keep_missing = spot.missing == "null"

    def array(event: Event, user: User, scope: Scope) -> list[Value]:
        built: list[Value] = []
        for get in gets:
            value = get(event, user, scope)
            if value is MISSING:
                if keep_missing:
                    built.append(None)
            elif type(value) is Splice:
                built.extend(value)
            elif value is not OMIT:
                built.append(value)
        return built

    return Part(array)


def _frozen(part: Part, spot: Spot) -> Part:
    """Return a constant array or object as bytes that are copied when the body is serialised."""
    if not part.constant or spot.form or not isinstance(part.value, dict | list):
        return part
    return _constant(orjson.Fragment(orjson.dumps(part.value)))


def _object(tree: Mapping[Any, Value], spot: Spot) -> Part:
    for key in tree:
        check_key(key, spot)
    if "$for" in tree:
        return _for(tree, spot)
    if "$if" in tree:
        return _if(tree, spot)
    if "if" in tree and "then" in tree:
        warn_bare([key for key in tree if key in ("if", "then", "else")], ("if", "then", "else"), spot)
    for stray, partner in (("$then", "$if"), ("$else", "$if"), ("$do", "$for")):
        if stray in tree:
            spot.at(stray).error("directive", f"`{stray}` needs `{partner}` beside it", on_key=True)
    fields = {
        literal_key(key): compile_body(value, spot.at(key))
        for key, value in tree.items()
        if key not in DIRECTIVES and isinstance(key, str)
    }
    if "$spread" not in tree:
        return _fields(fields, spot)
    spread = compile_spread(tree["$spread"], spot.at("$spread"), lambda one, at: compile_body(one, at).get)
    own = _fields(fields, spot).get

    def merged(event: Event, user: User, scope: Scope) -> dict[str, Value]:
        built = spread(event, user, scope)
        mine: Any = own(event, user, scope)
        for key in fields:
            if key not in mine:  # a written key wins also where it is left out
                built.pop(key, None)
        built.update(mine)
        return built

    return Part(merged)


def _fields(fields: Mapping[str, Part], spot: Spot) -> Part:
    if all(part.constant for part in fields.values()):
        return _constant({key: part.value for key, part in fields.items()})
    frozen = {key: _frozen(part, spot) for key, part in fields.items()}
    base = {key: part.value if part.constant else None for key, part in frozen.items()}
    dynamic = [(key, part.get) for key, part in frozen.items() if not part.constant and part.lookup is None]
    of_event, of_user = _lookups(frozen, "event"), _lookups(frozen, "user")
    keep_missing = spot.missing == "null"

    def fixed(event: Event, user: User, scope: Scope) -> dict[str, Value]:
        built = base.copy()
        if keep_missing:
            # Written out: for few fields a call per side costs as much as the work itself.
            if of_event:
                read = event.properties.get
                for key, name in of_event:
                    built[key] = read(name)
            if of_user:
                read = user.properties.get
                for key, name in of_user:
                    built[key] = read(name)
        else:
            _read(event.properties, of_event, built)
            _read(user.properties, of_user, built)
        for key, get in dynamic:
            value = get(event, user, scope)
            if value is MISSING:
                if not keep_missing:
                    del built[key]
            elif value is OMIT:
                del built[key]
            else:
                built[key] = value
        return built

    return Part(fixed)


def _lookups(parts: Mapping[str, Part], root: str) -> list[tuple[str, str]]:
    """Return (key, property) of the fields that are plain properties of the event, or of the user."""
    return [
        (key, part.lookup[1])
        for key, part in parts.items()
        if part.lookup is not None and part.lookup[0] == root
    ]


def _read(properties: Mapping[str, Value], lookups: list[tuple[str, str]], built: dict[str, Value]) -> None:
    """Copy properties into the body, except missing ones."""
    get = properties.get
    for key, name in lookups:
        value = get(name, MISSING)
        if value is MISSING:
            del built[key]
        else:
            built[key] = value


def _rest(tree: Mapping[str, Value], spot: Spot, inner: str, *used: str) -> tuple[Value, Spot]:
    """Return what a directive applies to: the value of `inner`, or the map without its directives."""
    rest = {key: value for key, value in tree.items() if key != inner and key not in used}
    if inner not in tree:
        return rest, spot
    if rest:
        hint = "move them into it, or leave it out"
        spot.at(inner).error("directive", f"`{inner}` beside other keys", hint=hint, on_key=True)
    return tree[inner], spot.at(inner)


def _for(tree: Mapping[str, Value], spot: Spot) -> Part:
    element, where = _rest(tree, spot, "$do", "$for")
    if isinstance(element, dict) and "$do" not in tree:
        warn_bare(element, ("do",), spot)
    inner = compile_body(element, where.at(roots=("item", "index")))
    if element == {}:
        spot.at("$for").error(
            "directive", "`$for` has nothing to repeat", hint="add keys or `$do`", on_key=True
        )
    return Part(compile_loop(tree["$for"], inner.get, spot, spot.at("$for"), element))


def _if(tree: Mapping[str, Value], spot: Spot) -> Part:
    chosen, where = _rest(tree, spot, "$then", "$if", "$else")
    if isinstance(chosen, dict) and "$then" not in tree:
        warn_bare(chosen, ("then", "else"), spot)
    if chosen == {} and "$then" not in tree and "$else" not in tree:
        spot.at("$if").error(
            "directive", "`$if` has nothing to include", hint="add keys or `$then`", on_key=True
        )
    elif chosen == {} and "$then" not in tree:
        where = spot.at("$else")
    then = _frozen(compile_body(chosen, where), spot).get if chosen != {} or "$then" in tree else None
    other = _frozen(compile_body(tree["$else"], spot.at("$else")), spot).get if "$else" in tree else None
    if spot.condition is None:
        spot.at("$if").error("directive", "conditions cannot be used here", on_key=True)
        return _constant(None)
    if "item" not in spot.roots:
        _refuse_item(tree["$if"], spot.at("$if"))
    holds = spot.condition(tree["$if"], spot.problems.at(*spot.path, "$if"))

    def either(event: Event, user: User, scope: Scope) -> Value | Missing:
        branch = then if holds(event, user, scope) else other
        return OMIT if branch is None else branch(event, user, scope)

    return Part(either)


def _refuse_item(tree: Value, spot: Spot) -> None:
    """Report conditions on a loop's item outside any loop: they could never hold."""
    if isinstance(tree, list):
        for index, one in enumerate(tree):
            _refuse_item(one, spot.at(index))
    elif isinstance(tree, dict):
        for key, one in tree.items():
            if _ITEM.match(str(key)):
                spot.at(key).error("unknown-root", f"`{key}` is known inside a `$for` only", on_key=True)
            _refuse_item(one, spot.at(key))
