"""A browser without scripts in front of a console of this process: it sends back the fields of a form."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from tests.kit.web.pages import OURS, Caller, Reply


@dataclass(slots=True)
class Visitor:
    """Who is logged in."""

    caller: Caller
    cookie: str

    @classmethod
    def of(cls, caller: Caller) -> Visitor:
        """Log in with the link that the terminal has shown."""
        return cls(caller, caller.log_in().cookie)

    def get(self, path: str) -> Reply:
        """Return a page."""
        return self.caller.ask("GET", path, OURS, cookie=self.cookie)

    def post(self, path: str, fields: Sequence[tuple[str, str]]) -> Reply:
        """Send a form; a redirection is not followed."""
        headers = {**OURS, "content-type": "application/x-www-form-urlencoded"}
        return self.caller.ask("POST", path, headers, urlencode(fields).encode(), cookie=self.cookie)

    def send(self, page: Reply, path: str, do: str = "", **typed: str) -> Reply:
        """Send the form of a page with some fields typed (`header_0_name`), and a button."""
        new = {name.replace("_", "-"): value for name, value in typed.items()}
        fields = []
        for name, value in fields_of(page):
            if name == "enabled":
                continue
            fields.append((name, new.pop(name, value)))
        enabled = new.pop("enabled", dict(fields_of(page)).get("enabled", ""))
        fields += [("enabled", enabled), *new.items()]
        return self.post(path, [*fields, *([("do", do)] if do else [])])


def fields_of(page: Reply) -> list[tuple[str, str]]:
    """Return what a browser sends of the form `edit`, or of the last one, without a button."""
    forms = re.findall(r"<form\b.*?</form>", page.text, re.S)
    own = next((form for form in forms if 'id="edit"' in form), forms[-1])
    return list(_fields(own))


def problems_of(page: Reply) -> dict[str, str]:
    """Return what the page says to be wrong with a field."""
    found = re.findall(r'<p class="problem" id="([\w-]+)-told">(.*?)</p>', page.text, re.S)
    return {name: html.unescape(words) for name, words in found}


def _fields(form: str) -> Iterator[tuple[str, str]]:
    pattern = r"<(input)\b([^>]*)>()|<(select|textarea)\b([^>]*)>(.*?)</\4>"
    for tag, attributes, _, other, more, inner in re.findall(pattern, form, re.S):
        told = re.findall(r'([\w-]+)="([^"]*)"', attributes or more)
        given = {name: html.unescape(value) for name, value in told}
        if "name" not in given:
            continue
        if other == "select":
            chosen = re.search(r'<option value="([^"]*)" selected', inner)
            first = chosen or re.search(r'<option value="([^"]*)"', inner)
            yield given["name"], html.unescape(first[1]) if first is not None else ""
        elif other == "textarea":
            yield given["name"], html.unescape(inner).removeprefix("\n").replace("\n", "\r\n")
        elif tag and (given.get("type") != "checkbox" or " checked" in attributes):
            yield given["name"], given.get("value", "")
