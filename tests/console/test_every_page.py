"""Every page of the route table: accessible, narrow enough, without a fault, and there without scripts.

Its files have hashed names, and are kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pipeline.console.serving.routes import ROUTES
from tests.kit.programs.run import until
from tests.kit.web import console as kit
from tests.kit.web.console import Desk, Tab

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

LONG = "W" * 64
WEBHOOKS = {
    "crm": 'trigger: {events: [Purchase]}\nrequest: {url: "RECEIVER/crm"}\n',
    LONG: 'trigger: {events: "*"}\nrequest: {url: "RECEIVER/gone"}\ndelivery: {retry: {max_attempts: 1}}\n',
    "later": 'trigger: {events: [Purchase]}\nrequest: {url: "RECEIVER/later"}\n',
    "off": 'enabled: false\ntrigger: {events: [Purchase]}\nrequest: {url: "RECEIVER/off"}\n',
}
NO_PAGES = ("/static/", "/assets/", "/api/", "/login", "/logout", "/live/rows", "/work/")
"""Files, data and streams; what a page leads to for a moment."""
PARTS = ("/dead-letters/selection", "/dead-letters/export", "/webhooks/{id}/saved")
"""Shown only for what was asked before; their own tests open them."""
NAMES = {"id": "crm"}


def pages() -> list[str]:
    """Return the paths of all pages, with names of this desk in the place of ``{names}``."""
    all_of_them = dict.fromkeys(one.path for one in ROUTES if one.method == "GET")
    paths = [path for path in all_of_them if not path.startswith(NO_PAGES) and path not in PARTS]
    paths = [f"{path}?name=webhooks/crm.yaml" if path == "/config/file" else path for path in paths]
    named = [re.sub(r"\{(\w+)[^}]*\}", lambda name: NAMES.get(name[1], "{}"), path) for path in paths]
    return [path for path in named if "{" not in path]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk on which everything has happened: deliveries, a dead letter, one that waits, an invalid line."""
    folder = tmp_path_factory.mktemp("pages")
    with kit.desk(folder, config=None, webhooks=WEBHOOKS) as desk:
        desk.receiver.answer({"/gone": 404, "/later": 503})
        desk.bench.update("u1", plan="pro", name="Ada <b>Löve</b>")
        desk.bench.append({"name": "Purchase", "properties": {"amount": 250, "note": "x" * 400}})
        with desk.bench.stream.open("a") as stream:
            stream.write("no JSON\n")
        until(lambda: desk.bench.counts("crm")["delivered"] and desk.bench.counts(LONG)["dead"])
        yield desk


@pytest.fixture(scope="module")
def one_tab(desk: Desk, logged_in: BrowserContext) -> Iterator[Tab]:
    """A page that goes from one to the next: a new one each time would cost more than what is looked at."""
    tab = Tab(desk, logged_in)
    yield tab
    tab.close()


@pytest.mark.parametrize("path", pages())
def test_a_page_is_accessible_and_fits_and_shows_where_the_keyboard_is(path: str, one_tab: Tab):
    page = one_tab.open(path)
    assert page.locator("h1").count() == 1
    one_tab.accessible()
    page.emulate_media(color_scheme="light")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    for _ in range(12):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            """() => {
                const found = document.activeElement, style = getComputedStyle(found);
                const box = found.getBoundingClientRect();
                const shown = style.outlineStyle !== "none" || found.closest(".cm-focused") !== null;
                return [found.tagName, shown, box.width > 0 && box.height > 0];
            }"""
        )
        assert seen[0] == "BODY" or seen[1:] == [True, True], (path, seen)
    one_tab.check()


def test_pages_load_their_files_by_hashed_names_and_keep_them(tab: Tab):
    answers = {}
    tab.page.on("response", lambda answer: answers.update({answer.url: answer.headers}))
    tab.open("/")
    kept = {url: headers["cache-control"] for url, headers in answers.items() if url != tab.page.url}
    assert len(kept) >= 2
    for url, told in kept.items():
        assert re.search(r"/static/[\w.]+\?v=[0-9a-f]{12}$|/assets/\w+-[0-9a-f]{12}\.\w+$", url), url
        assert told == "public, max-age=31536000, immutable", url
    assert answers[tab.page.url]["cache-control"] == "no-store"


def test_what_was_not_made_is_not_found(desk: Desk, tab: Tab):
    for path in ("/assets/manifest.json", "/static/..%2fapp.py", "/assets/editor.js", "/static/"):
        assert tab.page.request.get(desk.url(path)).status == 404, path


def test_no_page_needs_scripts(desk: Desk, browser: Browser, logged_in: BrowserContext):
    session = logged_in.storage_state()
    context = browser.new_context(storage_state=session, java_script_enabled=False, reduced_motion="reduce")
    tab = Tab(desk, context)
    for path in pages():
        page = tab.open(path)
        assert page.locator("h1").inner_text(), path
        assert page.get_by_role("link", name="Webhooks", exact=True).count() >= 1, path
    # The browser's end closes it: Chromium now and then never says that a page without scripts is closed.
    tab.check()


def test_a_log_in_page_is_accessible(desk: Desk, browser: Browser):
    context = browser.new_context(reduced_motion="reduce")
    tab = Tab(desk, context)
    tab.open("/login")
    tab.accessible()
    tab.open("/nothing", status=404)
    tab.accessible()
    tab.close()
    context.close()
