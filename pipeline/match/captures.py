"""`capture:` of a label: criteria over autocaptured events, each compiled like a clause of a condition."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from pipeline.config.models.webhooks.label import Capture
from pipeline.config.yaml.diagnostics import Problems
from pipeline.language.path_syntax import ANY, Part, Path
from pipeline.language.paths import Scope
from pipeline.language.work import extent, once, spend
from pipeline.match.conditions.leaves import compile_on_path
from pipeline.match.conditions.nodes import Node
from pipeline.model.json import Value
from pipeline.model.records import MISSING, Event, Missing, User


def compile_capture(capture: Capture, problems: Problems) -> tuple[frozenset[str] | None, list[Node]]:
    """Return the kinds of events that can match (None: any) and the clauses that must hold."""
    kinds, trees = capture.kind, (capture.text, capture.href, capture.path, capture.url)
    if kinds in ([], [""]):
        problems.refuse(("kind",), "empty-list", "`kind` names none", hint="name one, or leave it out")
    clauses = [] if capture.selector is None else [_selector(capture.selector, problems.at("selector"))]
    clauses += [
        _on_field(name, tree, problems.at(name))
        for name, tree in zip(READERS, trees, strict=True)
        if tree is not None
    ]
    nodes = [node for node in clauses if node is not None]
    if not nodes and kinds is None and not problems.errors:
        problems.error(
            (), "empty-condition", "`capture` without criteria", hint="add kind, selector, text, ..."
        )
    return (None if kinds is None else frozenset(kinds)), nodes


def _selector(selector: str, problems: Problems) -> Node | None:
    # Imported here: most configs have no selector, and `check` starts faster without the library.
    from pipeline.match.selectors import SelectorError, compile_selector

    try:
        matches = compile_selector(selector)
    except SelectorError as error:
        problems.error((), "wrong-selector", f"invalid selector: {error}")
        return None

    # Each simple selector in it may be tested on each element, and read its classes and attributes.
    cost = 1 + len(selector) // 2

    def test(event: Event, user: User, scope: Scope) -> bool:
        if event.elements is None:
            return False
        spend(event, user, cost * once(event, user, _EXTENT, _extent))
        return matches(event.elements)

    return Node(
        test,
        f"selector({selector})",
        reads_user=False,
        text=f"capture.selector: {selector}",
        path="event elements",
        read=lambda event, user, scope: _outline(event),
    )


_EXTENT: Final = object()


def _extent(event: Event, user: User) -> int:
    return extent(event.elements)


def _on_field(name: str, value: Value, problems: Problems) -> Node | None:
    # The text or href of any element may match, so `contains` searches each of them.
    parts: tuple[Part, ...] = (name, ANY) if name in ("text", "href") else (name,)
    node = compile_on_path(Path("capture", parts, f"capture.{name}"), value, problems)
    if node is None:
        return None
    read, inner = READERS[name], node.test

    def test(event: Event, user: User, scope: Scope) -> bool:
        return inner(event, user, {"capture": {name: read(event)}})

    return Node(
        test,
        node.key,
        reads_user=False,
        text=node.text,
        path=f"capture.{name}",
        read=lambda event, user, scope: read(event),
    )


def _outline(event: Event) -> Value | Missing:
    """Return the chain as a short text, innermost first, for explain."""
    if event.elements is None:
        return MISSING
    shown = []
    for element in event.elements:
        classes = "".join(f".{name}" for name in element.get("classes") or ())
        ident = f"#{element['id']}" if element.get("id") else ""
        shown.append(f"{element.get('tag') or '*'}{ident}{classes}")
    return " < ".join(shown)


def _texts(event: Event) -> Value | Missing:
    """Return the texts of the chain's elements, stripped; any of them may match."""
    found = [
        element["text"].strip()
        for element in event.elements or ()
        if type(element.get("text")) is str and element["text"].strip()
    ]
    if not found:
        found = _first_text(event, ("$el_text", "target_text"))
    return found or MISSING


def _hrefs(event: Event) -> Value | Missing:
    found = [
        href
        for element in event.elements or ()
        if type(attributes := element.get("attributes")) is dict
        and type(href := attributes.get("href")) is str
    ]
    if not found:
        found = _first_text(event, ("href", "$external_click_url"))
    return found or MISSING


def _first_text(event: Event, names: tuple[str, ...]) -> list[str]:
    values = (event.properties.get(name) for name in names)
    return [value.strip() for value in values if type(value) is str][:1]


def _of_page(event: Event, name: str, properties: tuple[str, ...]) -> str | Missing:
    page = event.context.get("page")
    in_context = page.get(name) if type(page) is dict else None
    for value in (in_context, *(event.properties.get(one) for one in properties)):
        if type(value) is str:
            return value
    return MISSING


def _url(event: Event) -> Value | Missing:
    return _of_page(event, "url", ("$current_url", "url", "href"))


def _path(event: Event) -> Value | Missing:
    path = _of_page(event, "path", ("$pathname", "path"))
    url = _url(event) if path is MISSING else MISSING
    if type(url) is not str:
        return path
    try:
        return urlsplit(url).path or "/"
    except ValueError:
        return MISSING


READERS: Final = {"text": _texts, "href": _hrefs, "path": _path, "url": _url}
"""What each criterion reads: the elements where there are any, else what the SDKs put in properties."""
