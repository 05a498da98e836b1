"""Substitutes plain settings (``${NAME}`` outside secrets) in parsed data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from pipeline.config.yaml import scalars
from pipeline.config.yaml.diagnostics import KeyPath, Problem, Problems
from pipeline.config.yaml.document import UNSET, Document, Node
from pipeline.config.yaml.locating import place
from pipeline.language.secrets import (
    PlaceholderError,
    SecretRef,
    Secrets,
    SecretText,
    parse_placeholders,
    refs_in,
)
from pipeline.model.json import Value

Lookup: TypeAlias = Callable[[SecretRef], str | None]
"""Source of the values: the environment, or the settings in a config text."""


def among(settings: Mapping[str, str]) -> Lookup:
    """Return a lookup in a config text's settings; defaults replace missing ones."""
    return lambda ref: settings.get(ref.key, ref.default)


def everywhere(_: KeyPath) -> bool:
    """Matches every place of a file."""
    return True


def nowhere(_: KeyPath) -> bool:
    """Matches no place of a file."""
    return False


@dataclass(slots=True, frozen=True)
class Places:
    """The meaning of placeholders at the places of one file."""

    settings: Callable[[KeyPath], bool] = everywhere
    """Plain settings: resolved."""
    secrets: Callable[[KeyPath], bool] = nowhere
    """Among those: texts that stay as they are, marked as secret."""
    refused: Callable[[KeyPath], bool] = nowhere
    """Among those: places where only ``{setting: ..}`` is allowed."""
    named: Callable[[Value], str | None] = lambda value: None
    """Returns the text of a ``{setting: ..}``."""
    stored: bool = False
    """Whether the file is of a stored version (see `Problems.refuse`)."""


def substitute(document: Document, lookup: Lookup, places: Places) -> None:
    """Replace the placeholders of a document in place, once; missing values are added to its findings.

    An unquoted value is parsed again, so that ``concurrency: ${N}`` is a number. Inside ``{...}`` it must be
    quoted: its parsed value then counts where a field does not take text (`Document.quoted`).
    """
    if document.root is not None and not document.settled:
        document.settled = True
        # Most files have none; an escape may write one.
        text = "".join(document.lines)
        if "${" in text or "\\" in text:
            _walk(document.root, (), document, lookup, places)


def _walk(node: Node, path: KeyPath, document: Document, lookup: Lookup, places: Places) -> None:
    if node.items is not None:
        if places.settings(path) and places.named(node.value) is not None:
            ((key, (_, inner)),) = node.items.items()
            _put_in(inner, (*path, key), document, lookup, places)
            node.value, node.items = inner.value, None
            return
        for key, (_, inner) in node.items.items():
            _walk(inner, (*path, key), document, lookup, places)
            if inner.value is UNSET:
                del node.value[key]
            else:
                node.value[key] = inner.value
    elif node.elements is not None:
        for index, inner in enumerate(node.elements):
            _walk(inner, (*path, index), document, lookup, places)
            if inner.value is not UNSET:
                node.value[index] = inner.value
    elif isinstance(node.value, str) and "${" in node.value and places.settings(path):
        if places.secrets(path) and _keep(node):
            return
        text = node.value
        if places.refused(path) and refs_in(text):
            document.findings.append(place(document, _refused(path, text)))
            node.value = UNSET if path and isinstance(path[-1], str) else text
            return
        _put_in(node, path, document, lookup, places)


def _put_in(node: Node, path: KeyPath, document: Document, lookup: Lookup, places: Places) -> None:
    text = node.value
    problem = _resolve(node, path, lookup, places)
    if problem is not None:
        value, node.value = node.value, text  # the place is found in the text as written
        document.findings.append(place(document, problem))
        node.value = value
        if value is UNSET:
            document.unset.append(path)


def reread(data: Value, quoted: Mapping[KeyPath, tuple[str, Value]], problems: Problems, since: int) -> bool:
    """Apply quoted settings' parsed values where a field does not take text; return whether there were any.

    Then the data must be checked again: its problems (``since``: from this one on) are dropped.
    """
    found = False
    for path in [
        one.path for one in problems.found[since:] if one.code == "wrong-type" and one.path in quoted
    ]:
        holder: Any = data
        for part in path[:-1]:
            holder = holder[part]
        text, said = quoted[path]
        if holder[path[-1]] == text:
            holder[path[-1]], found = said, True
    if found:
        del problems.found[since:]
    return found


def _keep(node: Node) -> bool:
    """Mark a text that contains secrets; False where it contains none."""
    if refs_in(node.value):
        node.value = SecretText(node.value)
        return True
    return False


def _refused(path: KeyPath, text: str) -> Problem:
    ref = refs_in(text)[0]
    return Problem(
        path,
        "secret-in-condition",
        f"`{ref}` may be a secret, and conditions are stored and shown with what they compare",
        f'where it is a plain setting, say so: `{{setting: "{text}"}}`',
        offset=max(0, text.find("${" + ref.key)),
        length=len(ref.key) + 3,
    )


def _resolve(node: Node, path: KeyPath, lookup: Lookup, places: Places) -> Problem | None:
    try:
        parts = parse_placeholders(node.value)
    except PlaceholderError as error:
        return Problem(path, "placeholder", error.message, error.hint, offset=error.offset)
    if not places.stored and (problem := nested(path, node.value)) is not None:
        return problem
    texts = []
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
        elif (value := lookup(part)) is not None:
            texts.append(value)
        else:
            problem = missing_setting(path, part, node.value)
            node.value = UNSET
            return problem
    text = "".join(texts)
    said = _reread(text) if len(parts) == 1 else text
    node.value = text if node.style else said
    if node.style and type(said) is not str:
        node.document.quoted[path] = text, said
    return None


def sound_refs(path: KeyPath, text: str, problems: Problems) -> list[SecretRef] | None:
    """Return the references of a text that is resolved where it is used; None, and a problem, where it is
    wrong. Stored versions keep ``${A:-${B}}``.
    """
    try:
        refs = [part for part in parse_placeholders(text) if isinstance(part, SecretRef)]
    except PlaceholderError as error:
        problems.error(path, "placeholder", error.message, hint=error.hint, offset=error.offset)
        return None
    if not problems.stored and (problem := nested(path, text)) is not None:
        problems.found.append(problem)
        return None
    return refs


def expanded(path: KeyPath, text: str, secrets: Secrets, problems: Problems) -> str | None:
    """Return a text with its secrets in place; None, and a problem, where it is wrong or one has no value."""
    refs = sound_refs(path, text, problems)
    if refs is None:
        return None
    missing = next((ref for ref in refs if not secrets.known(ref)), None)
    if missing is not None:
        problems.found.append(missing_setting(path, missing, text))
        return None
    return secrets.expand(text)


def nested(path: KeyPath, text: str) -> Problem | None:
    """Return the problem of ``${A:-${B}}`` and ``${A:-{}}``: the first `}` ends the default, and what follows
    it is a text that is sent, too.
    """
    default = next((ref.default for ref in refs_in(text) if "{" in (ref.default or "")), None)
    if default is None:
        return None
    hint = "name one variable, and set it where the job is started"
    message = "a default is a text and holds no placeholder"
    if "${" not in default:
        message = "a default ends at the first `}`, and holds no `{`"
    return Problem(path, "placeholder", message, hint, offset=text.index(":-") + 2)


def missing_setting(path: KeyPath, ref: SecretRef, text: str) -> Problem:
    """Return the problem of a placeholder without a value."""
    what = f"the file `{ref.file}` cannot be read" if ref.file else f"the variable `{ref.key}` is not set"
    what += ", or is empty"
    remedy = f"set it in the environment, or give a default: `${{{ref.key}:-...}}`"
    if ref.file:
        remedy = "write it, or mend the path: a relative one starts at the config directory"
    offset = max(0, text.find("${" + ref.key))
    return Problem(path, "missing-setting", what, remedy, offset=offset, length=len(ref.key) + 3)


def _reread(text: str) -> Value:
    try:
        return scalars.resolve(text)
    except ValueError:
        return text  # a number beyond 64 bits stays a text; the field's own check reports it
