"""Secrets in `vars`: a request that names one by itself behaves as if it were written there."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pipeline.config.models.webhooks.webhook import Request
from pipeline.language.path_syntax import PathError, parse_path
from pipeline.language.secrets import SecretText, holds_secret, origin_end
from pipeline.language.vars import var_at
from pipeline.model.json import Value

_NAMED = re.compile(r"\{\{-?[ \t\n]*(vars[.\[][^{}|]*?)[ \t\n]*-?\}\}")


def inline_request(request: Request, vars: Mapping[str, Value]) -> Request:
    """Return the request with the secrets of `vars` put in their places."""
    if not holds_secret(dict(vars)):
        return request
    url, end = request.url, origin_end(request.url)
    return request.model_copy(
        update={
            "url": url[:end] + str(inline(url[end:], vars)),
            "query": inline(request.query, vars),
            "headers": inline(request.headers, vars),
            "body": inline(request.body, vars),
        }
    )


def inline(tree: Value, vars: Mapping[str, Value]) -> Value:
    """Return the tree with each text that names only a secret var replaced by the secret's own text.

    Other uses (filters, conditions) are left, and found where they are compiled.
    """
    if isinstance(tree, dict):
        return {key: inner if key == "$if" else inline(inner, vars) for key, inner in tree.items()}
    if isinstance(tree, list):
        return [inline(inner, vars) for inner in tree]
    if not isinstance(tree, str) or "vars" not in tree:
        return tree

    def written(found: re.Match[str]) -> str:
        value = _value(found.group(1), vars)
        return str(value) if isinstance(value, SecretText) else found.group()

    return _NAMED.sub(written, tree)


def _value(text: str, vars: Mapping[str, Value]) -> Value:
    try:
        return var_at(parse_path(text, ("vars",)), vars)
    except PathError:
        return None
