"""Element chains of autocaptured events, in one form: innermost element first.

It reads PostHog's ``$elements`` list and ``$elements_chain`` text
(``a.btn:href="/x"nth-child="1"text="Go";div#main...``), and Heap's ``hierarchy`` text, which starts at the
root (``@html;|@body;|@div;#main;|@a;.btn;[href=/x];``).
"""

from __future__ import annotations

import re
from itertools import pairwise

from pipeline.model.errors import InvalidRecord
from pipeline.model.json import Json, Value, kind_of

Element = dict[str, Value]

MAX_ELEMENTS = 256
"""Deeper chains are cut at the root's end; PostHog's and Heap's own libraries send far fewer."""

MAX_CHAIN = 1 << 16
"""Characters of a chain; longer ones are cut at the root's end, too. A click's text has 400 at most."""

# Classes may hold colons (`hover:bg-red`): only a colon before `name="` starts the attributes.
_CHAIN_HEAD = re.compile(r"((?:[^:;\"]|:(?![\w-]*=\"))*)(:?)")
# PostHog escapes quotes only, so a backslash before anything else is literal.
_CHAIN_ATTRIBUTE = re.compile(r"([^=\";]+)=\"((?:\\\"|[^\"])*)\"")


_DOTTED = re.compile(r"[\[(]|\d\.\d")


def read_elements(chain: Json) -> list[Element]:
    """Return the elements of a list or of a PostHog chain text. Raises InvalidRecord for anything else."""
    if type(chain) is str:
        return parse_elements_chain(chain)
    if type(chain) is list:
        return [_element(item) for item in _within(chain[:MAX_ELEMENTS])]
    raise InvalidRecord(f"the element chain is {kind_of(chain)}, expected an array or a text")


def _within(chain: list[Json]) -> list[Json]:
    """Return the elements within the first `MAX_CHAIN` characters."""
    left = MAX_CHAIN
    for number, item in enumerate(chain):
        left -= _length(item)
        if left < 0:
            return chain[:number]
    return chain


def _length(value: Json) -> int:
    """Return the number of characters in an element, as far as it is read: two levels deep."""
    if type(value) is str:
        return len(value)
    if type(value) is list:
        return sum(len(one) + 1 if type(one) is str else 1 for one in value)
    if type(value) is dict:
        return sum(len(name) + _length(one) for name, one in value.items())
    return 1


def _element(item: Json) -> Element:
    if type(item) is not dict:
        raise InvalidRecord(f"an element of the chain is {kind_of(item)}, expected an object")
    attributes: dict[str, str] = {}
    given = item.get("attributes")
    if type(given) is dict:
        for name, value in given.items():
            _put_attribute(attributes, name.removeprefix("attr__"), value)
    for name, value in item.items():
        if name.startswith("attr__"):
            _put_attribute(attributes, name[6:], value)
    for plain, name in (("href", "href"), ("attr_id", "id"), ("id", "id")):
        if item.get(plain) is not None:
            attributes.setdefault(name, str(item[plain]))
    classes: Value = item.get("classes", item.get("attr_class"))
    if type(classes) is str:
        classes = classes.split()
    if type(classes) is not list:
        classes = attributes.get("class", "").split()
    return _shape(
        item.get("tag_name", item.get("tag")),
        [name for name in classes if type(name) is str and name],
        attributes,
        item.get("$el_text", item.get("text")),
        item.get("nth_child"),
        item.get("nth_of_type"),
    )


def _put_attribute(attributes: dict[str, str], name: str, value: Json) -> None:
    if type(value) is str:
        attributes[name] = value
    elif value is not None and type(value) not in (dict, list):
        attributes[name] = str(value).lower() if type(value) is bool else str(value)


def _shape(
    tag: Json, classes: list[str], attributes: dict[str, str], text: Json, nth_child: Json, nth_of_type: Json
) -> Element:
    if classes:
        attributes.setdefault("class", " ".join(classes))
    return {
        "tag": tag.lower() if type(tag) is str else "",
        "id": attributes.get("id"),
        "classes": classes,
        "attributes": attributes,
        "text": text if type(text) is str else None,
        "nth_child": nth_child if type(nth_child) is int else None,
        "nth_of_type": nth_of_type if type(nth_of_type) is int else None,
    }


def parse_elements_chain(chain: str) -> list[Element]:
    """Return the elements of PostHog's chain text: ``tag.class.class:name="value"...;tag...``."""
    elements: list[Element] = []
    if len(chain) > MAX_CHAIN:
        chain = chain[: max(0, chain.rfind(";", 0, MAX_CHAIN))]
    at = 0
    for _ in range(MAX_ELEMENTS):
        if at >= len(chain):
            break
        head = _CHAIN_HEAD.match(chain, at)
        assert head is not None  # the pattern matches the empty text
        at = head.end()
        tag, *classes = _names(head[1])
        values: dict[str, str] = {}
        while head[2] and (found := _CHAIN_ATTRIBUTE.match(chain, at)):
            values[found[1].strip()] = found[2].replace('\\"', '"')
            at = found.end()
        end = chain.find(";", at)
        at = len(chain) if end < 0 else end + 1
        if tag or classes or values:
            elements.append(_chain_element(tag, classes, values))
    return elements


def _chain_element(tag: str, classes: list[str], values: dict[str, str]) -> Element:
    text = values.pop("text", None)
    nth_child = _whole(values.pop("nth-child", None))
    nth_of_type = _whole(values.pop("nth-of-type", None))
    attributes = {name.removeprefix("attr__"): value for name, value in values.items()}
    if "attr_id" in attributes:
        attributes.setdefault("id", attributes.pop("attr_id"))
    whole = attributes.get("class")
    if whole is not None:
        # PostHog's list no longer shows what a dot meant: `w-1.5` comes as two classes.
        classes = whole.split()
    return _shape(tag, [name for name in classes if name], attributes, text, nth_child, nth_of_type)


def _names(head: str) -> list[str]:
    """Return tag and classes: split at dots, except inside brackets and numbers (``py-2.5``).

    PostHog sorts the classes, so one that begins with a digit would not follow one that ends with a digit.
    """
    names = head.split(".")
    if len(names) < 2 or not _DOTTED.search(head):
        return names
    kept: list[list[str]] = [names[:1]]
    brackets, parentheses = _balance(names[0])
    for before, name in pairwise(names):
        is_number = len(kept) > 1 and before[-1:].isdigit() and name[:1].isdigit()
        if brackets > 0 or parentheses > 0 or is_number:
            kept[-1].append(name)
        else:
            kept.append([name])
            brackets = parentheses = 0
        opened = _balance(name)
        brackets, parentheses = brackets + opened[0], parentheses + opened[1]
    return [".".join(pieces) for pieces in kept]


def _balance(name: str) -> tuple[int, int]:
    """Return how many more brackets and parentheses a piece opens than it closes."""
    return name.count("[") - name.count("]"), name.count("(") - name.count(")")


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else None


def parse_hierarchy(hierarchy: str) -> list[Element]:
    """Return the elements of Heap's hierarchy text, innermost first.

    The text starts at the root, unless its last element is the body or the document itself.
    """
    if len(hierarchy) > MAX_CHAIN:
        hierarchy = hierarchy[-MAX_CHAIN:].partition("|")[2]
    parsed = [element for part in hierarchy.split("|") if (element := _hierarchy_element(part)) is not None]
    if not parsed or parsed[-1]["tag"] not in ("html", "body"):
        parsed.reverse()
    return parsed[:MAX_ELEMENTS]


def _hierarchy_element(part: str) -> Element | None:
    tag = ""
    classes: list[str] = []
    attributes: dict[str, str] = {}
    for token in part.strip().split(";"):
        if token.startswith("@"):
            tag = token[1:]
        elif token.startswith("#"):
            attributes["id"] = token[1:]
        elif token.startswith("."):
            classes.append(token[1:])
        elif token.startswith("[") and token.endswith("]"):
            name, _, value = token[1:-1].partition("=")
            attributes[name] = value.strip("\"'")
    if not (tag or classes or attributes):
        return None
    return _shape(tag, classes, attributes, None, None, None)
