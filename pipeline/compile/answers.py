"""What conditions over an answer read of it: how much of its body, and clauses that can never hold."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.config.yaml.diagnostics import KeyPath, Problems
from pipeline.deliver.requests.spec import Reads
from pipeline.language.path_syntax import ANY, Path, PathError, parse_path
from pipeline.model.json import Value

NEVER_HOLDS = "never-holds"
"""A condition that no answer can fulfil: an error in `check`, a warning in a job, which always
ran with it."""
_ROOTS = ("response", "vars")


def reads_of(tree: Value) -> Reads:
    """Return what the condition reads of an answer besides its status."""
    fields = body = False
    headers: list[str] = []
    for _, path, _ in _paths(tree):
        first, *rest = path.parts or ("body",)
        if first == "headers":
            headers += [rest[0]] if rest and isinstance(rest[0], str) else []
        elif first == "body" and not rest:
            body = True
        elif first != "status":
            fields = True
    return Reads(fields=fields, body=body, headers=tuple(dict.fromkeys(headers)))


def check_answer_paths(tree: Value, problems: Problems) -> None:
    """Report paths that probably mean a field of the answer's body, and unknown names."""
    for place, path, said in _paths(tree):
        first, *rest = path.parts or ("",)
        if first == "headers" and not (rest and isinstance(rest[0], str)):
            message = f"`{path.text}` names no header"
            hint = "write response.headers.NAME; a field of the answer is response.body.headers"
            problems.error(place, "wrong-path", message, hint=hint, on_key=True)
        if first != "status":
            continue
        meant = f"response.body.status{path.text.partition('status')[2]}"
        text = next(_texts(said), None)
        if rest:
            message = f"`{path.text}`: the HTTP status is a number, it has no fields"
            problems.error(place, "wrong-path", message, hint=f"did you mean `{meant}`?", on_key=True)
        elif text is not None:
            shown = "true or false" if isinstance(text, bool) else f'the text "{text}"'
            message = f"`response.status` is the HTTP status, a number: it is never {shown}"
            hint = f"did you mean `{meant}`, the field of the answer?"
            if isinstance(text, str) and text.isdecimal():
                hint = f"write {text} without quotes"
            problems.warn(place, NEVER_HOLDS, message, hint=hint, on_key=True)


def _paths(tree: Value, place: KeyPath = ()) -> Iterator[tuple[KeyPath, Path, Value]]:
    """Yield the paths into the answer with their places and operators."""
    if isinstance(tree, list):
        for index, part in enumerate(tree):
            yield from _paths(part, (*place, index))
    if not isinstance(tree, dict):
        return
    for key, value in tree.items():
        here = (*place, key)
        found = _parsed(key)
        if found is not None:
            yield here, found, value
        elif key == "path" and (operand := _parsed(value)) is not None:
            yield here, operand, None
        yield from _paths(value, here)


def _parsed(text: Value) -> Path | None:
    try:
        path = parse_path(text, _ROOTS) if isinstance(text, str) else None
    except PathError:
        return None  # the condition's compiler reports why
    return path if path is not None and path.root == "response" and path.parts[:1] != (ANY,) else None


def _texts(said: Value) -> Iterator[str | bool]:
    """Yield the operands that no number can equal."""
    if isinstance(said, dict):
        if "as" not in said:
            for operator, operand in said.items():
                if operator not in ("exists", "present", "path", "file", "ignore_case", "tz"):
                    yield from _texts(operand)
    elif isinstance(said, list):
        for one in said:
            yield from _texts(one)
    elif isinstance(said, str | bool):
        yield said
