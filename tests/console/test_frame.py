"""What every page has: files by hashed names, its policy, no faults, access for everybody."""

from __future__ import annotations

import re

from tests.kit.console import Desk, Tab


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


def test_the_frame_is_accessible(tab: Tab):
    tab.open("/")
    tab.accessible()
