"""The scripts alone, on a page of their own under the console's policy: YAML pane, questions, copies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.console.security.headers import policy
from tests.kit.web import console as kit
from tests.kit.web.bundle import built

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Page, Route

TEXT = "id: crm\ntrigger:\n  evnts: [Purchase] # ä 😀 evnts\n"
PAGE = f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Scripts</title>
<meta name="csp-nonce" content="n0"><link rel="stylesheet" href="/editor.css">
<script type="module" src="/console.js"></script><script type="module" src="/editor.js"></script></head><body>
<form data-unsaved method="post" action="/saved"><div class="field pane"><label for="yaml">YAML</label>
<textarea id="yaml" name="yaml" data-editor="place" data-file="webhooks/crm.yaml"
  data-check="/check" data-complete="/complete">
{TEXT}</textarea><div id="place" hx-morph-skip></div></div>
<button data-confirm="Send this to crm.example?">Send</button></form>
<button type="button" data-copy="#yaml" hidden>Copy</button>
<button hx-post="/part" hx-target="#part" hx-on:click="alert(1)">Part</button><div id="part"></div>
</body></html>"""
COMPLETIONS = [
    {"label": "events", "kind": "field", "detail": "names"},
    {"label": "event.name", "kind": "path"},
]


class Served:
    """A page, and what it asked for."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.asked: list[tuple[str, Any]] = []
        self.wrong: list[str] = []
        self._assets = built()
        self._files = json.loads((self._assets / "manifest.json").read_text())["files"]
        page.on("console", lambda said: self.wrong.append(said.text))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.route("**/*", self._answer)
        page.goto("http://scripts.test/")
        self.pane = page.get_by_label("YAML")
        self.pane.wait_for()

    @property
    def text(self) -> str:
        """What the form would send."""
        return kit.yaml_of(self.page)

    def _answer(self, route: Route) -> None:
        path = route.request.url.partition("scripts.test")[2]
        name = path.removeprefix("/")
        if name in self._files:
            kind = "text/css" if name.endswith("css") else "text/javascript"
            route.fulfill(path=Path(self._assets / self._files[name]), content_type=kind)
        elif path in ("/check", "/complete"):
            asked = json.loads(route.request.post_data or "null")
            self.asked.append((name, asked))
            route.fulfill(json={"findings": _findings(asked["text"]), "completions": COMPLETIONS})
        else:
            body = {"/": PAGE, "/part": "<p>a part</p>"}.get(path, "<title>elsewhere</title>")
            headers = {"content-security-policy": policy("n0"), "content-type": "text/html; charset=utf-8"}
            route.fulfill(body=body, headers=headers)


def _findings(text: str) -> list[dict[str, Any]]:
    """Return a finding at the last `evnts` of each line, its column in characters."""
    fault = {"file": "webhooks/crm.yaml", "severity": "error", "code": "unknown-field", "message": "no field"}
    return [
        {**fault, "line": number, "column": line.rindex("evnts") + 1}
        for number, line in enumerate(text.split("\n"), 1)
        if "evnts" in line
    ]


@pytest.fixture
def served(browser: Browser) -> Iterator[Served]:
    context = browser.new_context(reduced_motion="reduce")
    context.set_default_timeout(kit.WAIT_MS)
    yield Served(context.new_page())
    context.close()


def test_the_pane_is_the_field_and_marks_what_is_found(served: Served):
    page, pane = served.page, served.pane
    assert page.get_by_role("textbox", name="YAML").count() == 1
    mark = page.locator(".cm-lintRange-error")
    mark.wait_for()
    assert mark.inner_text() == "evnts"
    before = page.evaluate("document.querySelector('.cm-lintRange-error').previousSibling?.textContent ?? ''")
    assert before.endswith("😀 "), "columns are characters: those of two units count once"
    pane.fill("id: a\ntrigger: {events: [X]}\n")
    assert served.text == "id: a\ntrigger: {events: [X]}\n"
    mark.wait_for(state="detached")
    page.keyboard.press("Control+z")
    assert served.text == TEXT
    page.keyboard.press("Control+End")
    page.keyboard.type("ev")
    page.get_by_role("option", name="events").click()
    assert served.text.endswith("\nevents")
    asked = [one for name, one in served.asked if name == "complete"][-1]
    assert (asked["file"], asked["line"]) == ("webhooks/crm.yaml", 4)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Send", "Tab leads out again"
    assert served.wrong == []


def test_what_the_server_writes_comes_into_the_pane(served: Served):
    page = served.page
    served.pane.click()
    page.keyboard.press("Control+End")
    page.evaluate(
        """() => {
            const area = document.querySelector("textarea");
            area.value = "# new\\r\\n" + area.value;
            document.getElementById("place").replaceChildren();
            document.dispatchEvent(new CustomEvent("htmx:after:swap"));
        }"""
    )
    assert served.pane.inner_text().startswith("# new\nid: crm")
    served.pane.focus()
    page.keyboard.type("# end")
    assert served.text.startswith("# new\nid: crm\n")
    assert served.text.endswith("# end")
    assert served.wrong == []


def test_it_asks_before_something_happens_and_before_something_is_lost(served: Served):
    page = served.page
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    page.get_by_role("button", name="Send").click()
    dialog = page.get_by_role("dialog", name="Send this to crm.example?")
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert page.evaluate("document.activeElement.textContent") == "Send"
    served.pane.click()
    page.keyboard.type("# typed")
    with pytest.raises(Exception, match="ERR_ABORTED"):
        page.goto("http://scripts.test/other")
    assert asked == ["beforeunload"]
    page.get_by_role("button", name="Send").click()
    dialog.get_by_role("button", name="Send").click()
    page.wait_for_url("**/saved")
    assert asked == ["beforeunload"], "what is sent is not lost"
    assert served.wrong == []


def test_no_text_is_run_as_a_script(served: Served):
    page = served.page
    page.get_by_role("button", name="Part").click()
    page.get_by_text("a part").wait_for()
    assert len(served.wrong) == 1
    assert "this page runs no text as a script" in served.wrong[0]
    assert page.get_by_role("button", name="Copy").count() == 0, "no clipboard without HTTPS: no button"
