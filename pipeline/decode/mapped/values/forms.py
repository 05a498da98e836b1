"""What may stand in place of a path: lists, constants, joined or matched texts, embedded JSON, pairs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from pipeline.config.yaml.diagnostics import Problems
from pipeline.decode.mapped.frame import Frame, Source
from pipeline.decode.mapped.values.paths import compile_record_path
from pipeline.decode.mapped.values.prices import (
    PAIR,
    spend_joined,
    spend_parsed,
)
from pipeline.decode.mapped.values.texts import as_text, found_in, lowered
from pipeline.decode.raw import strict
from pipeline.decode.raw.fields import is_id
from pipeline.decode.work import spend_work
from pipeline.language.path_syntax import Path, PathError
from pipeline.language.record_paths import RECORD, first_name, parse_record_path
from pipeline.model.errors import InvalidRecord
from pipeline.model.json import Json, Value, kind_of
from pipeline.model.records import MISSING, Missing
from pipeline.model.words import did_you_mean

MAINS: Final = ("text", "join", "json", "pairs", "path")
"""The keys that identify a form."""
_BESIDE: Final = {
    "text": (),
    "join": ("with", "find", "lower"),
    "path": ("find", "lower"),
    "json": ("path", "find", "lower"),
    "pairs": ("key", "value"),
}
TIMES: Final = ("unit", "format", "zone")
WORDS: Final = frozenset({*MAINS, *(word for words in _BESIDE.values() for word in words), *TIMES})
"""All words of forms and of times."""


@dataclass(slots=True, frozen=True)
class Context:
    """Where a source stands: the depth of `each`; collects what it reads."""

    problems: Problems
    levels: int = 0
    reads: list[Path] = field(default_factory=list)
    """Paths of the entry or, with `each`, of the member."""
    is_conditional: bool = False
    """True where a `when` has already decided."""

    def at(self, *parts: str | int) -> Context:
        """Return the context of a part of the tree."""
        return replace(self, problems=self.problems.at(*parts))

    def wrong(self, message: str, hint: str | None = None, *, key: str | None = None) -> None:
        """Report an error here, or at a key of this map."""
        place = () if key is None else (key,)
        self.problems.error(place, "wrong-source", message, hint=hint, on_key=key is not None)


def missing(here: Json, frame: Frame) -> Missing:
    """Read nothing: the result of compiling a faulty source."""
    return MISSING


def is_form(value: Value) -> bool:
    """Return whether a map is a form: all its keys are words of forms, and one of them identifies it."""
    return type(value) is dict and value.keys() <= WORDS and any(word in value for word in MAINS)


def slipped_form(value: dict[str, Value]) -> tuple[str, str] | None:
    """Return the word that keeps a map from being a form, and the one probably meant.

    None for a map that nobody would mean as a form: `path` and `text` are common field names.
    """
    main = next((word for word in ("pairs", "join", "json") if word in value), None)
    odd = [key for key in value if key not in WORDS]
    if main is None or len(odd) != 1 or len(value) > 1 + len(_BESIDE[main]):
        return None
    close = did_you_mean(str(odd[0]), _BESIDE[main])
    return None if close is None or close in value else (str(odd[0]), close)


def compile_source(value: Value, context: Context) -> Source:
    """Return the reader of a path or of a form; mistakes become problems."""
    if type(value) is str:
        return compile_record_path(path) if (path := checked(value, context)) is not None else missing
    if type(value) is list:
        return _first(value, context)
    if type(value) is dict:
        if is_form(value):
            return _form(value, context)
        hint = _nearest_form(value)
        context.wrong("expected a path, a list of paths or a form such as {text: X}, not a map", hint)
        return missing
    remedy = f"a constant is written {{text: {_shown(value)}}}" if value is not None else None
    context.wrong(f"expected a path, not {_shown(value)}", remedy)
    return missing


def _nearest_form(value: dict[str, Value]) -> str:
    odd = [str(key) for key in value if key not in WORDS]
    close = next((near for key in odd if (near := did_you_mean(key, sorted(WORDS)))), None)
    if close is not None:
        return f"did you mean `{close}`?"
    main = next((word for word in MAINS if word in value), None)
    if main is None or not odd:
        return f"forms have one of {', '.join(MAINS)}"
    return f"`{odd[0]}` is nothing here: beside `{main}` there may be {', '.join(_BESIDE[main]) or 'nothing'}"


def checked(text: str, context: Context) -> Path | None:
    """Return the path that a text says; None, with a problem, where it is invalid."""
    try:
        path = parse_record_path(text, context.levels)
    except PathError as error:
        context.problems.error((), "wrong-path", error.message, hint=error.hint, offset=error.offset or None)
        return None
    context.reads.append(path)
    return path


def _first(value: list[Value], context: Context) -> Source:
    if not value:
        context.wrong("an empty list of paths", "name a path")
        return missing
    sources = tuple(compile_source(one, context.at(index)) for index, one in enumerate(value))
    if len(sources) == 1:
        return sources[0]
    first, *others = sources

    def first_set(here: Json, frame: Frame) -> Json | Missing:
        found = first(here, frame)
        if _is_set(found):
            return found
        for source in others:
            other = source(here, frame)
            if _is_set(other):
                return other
        return MISSING

    return first_set


def _is_set(found: Json | Missing) -> bool:
    if type(found) is str:
        return is_id(found)
    return found is not MISSING and found is not None


def _form(value: dict[str, Value], context: Context) -> Source:
    main = next(word for word in MAINS if word in value)
    for key in value:
        if key != main and key not in _BESIDE[main]:
            if key in TIMES:
                context.wrong(f"`{key}` belongs to a time", "it stands below `time`", key=key)
            else:
                hint: str | None = f"beside `{main}` there may be {', '.join(_BESIDE[main]) or 'nothing'}"
                context.wrong(f"`{main}` and `{key}` do not go together", hint, key=key)
            return missing
    if main == "text":
        return _constant(value["text"], context.at("text"))
    if main == "pairs":
        return _pairs(value, context)
    if main == "join":
        source = _joined(value, context)
    elif main == "json":
        source = _parsed(value, context)
    else:
        source = compile_source(value["path"], context.at("path"))
    if "find" in value:
        source = found_in(source, value["find"], context.at("find").wrong)
    if "lower" in value:
        if type(value["lower"]) is not bool:
            context.wrong("`lower` is true or false", key="lower")
        elif value["lower"]:
            source = lowered(source)
    return source


def _constant(value: Value, context: Context) -> Source:
    if type(value) not in (str, int, float, bool):
        context.wrong(f"`text` is a text, not {_shown(value)}")
    return lambda here, frame: value


def _joined(value: dict[str, Value], context: Context) -> Source:
    parts, between = value["join"], value.get("with", "")
    if type(parts) is not list or not parts:
        context.wrong(
            "`join` takes a list of paths", 'for example {join: [tenant, uid], with: ":"}', key="join"
        )
        return missing
    if type(between) is not str:
        context.wrong("`with` is a text", key="with")
        return missing
    sources = tuple(compile_source(one, context.at("join", index)) for index, one in enumerate(parts))

    def joined(here: Json, frame: Frame) -> Json | Missing:
        texts: list[str] = []
        for source in sources:
            text = as_text(source(here, frame))
            if not text:
                return MISSING
            texts.append(text)
        spend_joined(sum(map(len, texts)))
        return between.join(texts)

    return joined


def _parsed(value: dict[str, Value], context: Context) -> Source:
    read = compile_source(value["json"], context.at("json"))
    inside: Source | None = None
    if "path" in value:
        text = value["path"]
        if type(text) is not str:
            context.at("path").wrong("the path inside of a JSON text is a path", "for example path: a.b")
            return missing
        try:
            path = parse_record_path(text, 0)
        except PathError as error:
            context.problems.error(
                ("path",), "wrong-path", error.message, hint=error.hint, offset=error.offset or None
            )
            return missing
        if path.root != RECORD:
            context.at("path").wrong("a path inside of a JSON text starts in it")
        inside = compile_record_path(path)

    def parsed(here: Json, frame: Frame) -> Json | Missing:
        found = read(here, frame)
        if type(found) is str:
            spend_parsed(found)
            try:
                found = strict.loads(found.encode())
            except (InvalidRecord, UnicodeEncodeError):
                return MISSING
        elif type(found) is not dict and type(found) is not list:
            return MISSING  # some producers occasionally send the object itself
        return found if inside is None else inside(found, frame)

    return parsed


def _pairs(value: dict[str, Value], context: Context) -> Source:
    listed = compile_source(value["pairs"], context.at("pairs"))
    inner = replace(context, reads=[])  # paths relative to an element of the pairs
    key = compile_source(value.get("key", "key"), inner.at("key"))
    read = compile_source(value.get("value", "value"), inner.at("value"))

    def pairs(here: Json, frame: Frame) -> Json | Missing:
        found = listed(here, frame)
        if type(found) is not list:
            return MISSING
        spend_work(PAIR * len(found))
        made: dict[str, Json] = {}
        for one in found:
            name, inside = as_text(key(one, frame)), read(one, frame)
            if name and inside is not MISSING:
                made[name] = inside  # type: ignore[assignment]  # not MISSING
        return made

    return pairs


def field_names(paths: list[Path]) -> frozenset[str]:
    """Return the top-level fields of the record with which these paths begin."""
    return frozenset(name for path in paths if (name := first_name(path)) is not None)


def _shown(value: Value) -> str:
    if type(value) in (dict, list):
        return kind_of(value)
    return "nothing" if value is None else str(value).lower() if type(value) is bool else repr(value)
