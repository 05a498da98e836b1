"""The `vars` of a webhook as paths read them: what is known of their values at load."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.language.path_syntax import Path, PathError
from pipeline.language.secrets import holds_secret
from pipeline.model.json import Value
from pipeline.model.words import did_you_mean


def no_var(name: str) -> str:
    """Return the message that a webhook has no var of this name."""
    return f"there is no var `{name}`"


def unknown_var(path: Path, vars: Mapping[str, Value]) -> PathError | None:
    """Return the error for a path into a var that the webhook does not have or that is a secret, or None."""
    if path.root == "vars" and path.parts and isinstance(path.parts[0], str) and path.parts[0] not in vars:
        close = did_you_mean(path.parts[0], vars)
        hint = f"did you mean `vars.{close}`?" if close else "add it under `vars:`"
        return PathError(no_var(path.parts[0]), len("vars."), hint)
    if path.root == "vars" and (secret := _secret_var(path, vars)) is not None:
        return secret
    for part in path.parts:
        if isinstance(part, Path) and (found := unknown_var(part, vars)) is not None:
            return PathError(found.message, path.text.find(part.text) + found.offset, found.hint)
    return None


def var_at(path: Path, vars: Mapping[str, Value]) -> Value:
    """Return the value that a path below `vars` names, as far as it is known at load; else None."""
    value: Value = dict(vars)
    for part in path.parts:
        if isinstance(part, Path):
            break  # any element of it
        if isinstance(value, dict):
            value = value.get(str(part))
        elif isinstance(value, list) and isinstance(part, int) and -len(value) <= part < len(value):
            value = value[part]
        elif not isinstance(value, list) or isinstance(part, str | int):
            return None
    return value


def _secret_var(path: Path, vars: Mapping[str, Value]) -> PathError | None:
    if not holds_secret(var_at(path, vars)):
        return None
    hint = (
        f"write `{{{{ {path.text} }}}}` alone, without filters, in a body, header, query or path; where "
        'it is no secret, say so: `vars: {x: {setting: "${X}"}}`'
    )
    return PathError(f"`{path.text}` is a secret, which is put in when the request is sent", 0, hint)
