"""`extends: _base`: a webhook merged over a base file; maps merge, lists and scalars are replaced."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.config.yaml.document import UNSET, Document, Node
from pipeline.model.findings import Finding
from pipeline.model.json import Value
from pipeline.model.words import meant_or


def merge(base: Node, over: Node) -> Node:
    """Return the merged tree; every node keeps the file and the place it was written at."""
    if base.items is None or over.items is None:
        return over
    merged = Node(over.document, {}, over.span)
    items = merged.items = dict(base.items)
    for key, (span, node) in over.items.items():
        below = base.items.get(key)
        items[key] = (span, merge(below[1], node) if below is not None else node)
    merged.value = {key: node.value for key, (_, node) in items.items() if node.value is not UNSET}
    return merged


def merge_data(base: Value, over: Value) -> Value:
    """Return plain data merged by the same rule."""
    if not isinstance(base, Mapping) or not isinstance(over, Mapping):
        return over
    return {**base, **{key: merge_data(base.get(key), value) for key, value in over.items()}}


def resolve_base(
    document: Document, documents: Mapping[str, Document], findings: list[Finding]
) -> tuple[Node, Document | None]:
    """Return the webhook's tree merged over the base that it names, and the base's document."""
    root = document.root
    assert root is not None  # the caller skips what could not be read
    entry = root.items.get("extends") if root.items is not None else None
    if entry is None or not isinstance(entry[1].value, str):
        return root, None
    node = entry[1]
    named = node.value.removesuffix(".yaml").removesuffix(".yml")
    bases = {
        name.removeprefix("webhooks/").rsplit(".", 1)[0]: name
        for name in documents
        if name.startswith("webhooks/_")
    }
    if named not in bases:
        hint = meant_or(named, bases, "a base is a file beside it whose name begins with `_`")
        message = f"there is no base file `webhooks/{named}.yaml`"
        findings.append(document.finding(node.span, "unknown-base", message, hint=hint))
        return root, None
    base = documents[bases[named]]
    if base.root is None or base.root.items is None:
        return root, base  # its own file reports the problem
    if "extends" in base.root.items:
        span, _ = base.root.items["extends"]
        message = f"`{named}` is a base and cannot extend another one"
        findings.append(base.finding(span, "nested-extends", message, hint="a base is one level deep"))
    return merge(base.root, root), base
