"""The pictures of the console, made by ``make pictures``: real pages of the demo in Debian's Chromium.

``python docs/pictures.py`` writes those of README and docs/ into docs/pictures/. ``--look FOLDER`` takes
every page at three widths, light and dark, to be looked at; ``--webhooks 0`` (or 3, or 1000) over a config of
so many.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from pipeline.cli.jobs.demo_console import running
from pipeline.cli.output import say

if TYPE_CHECKING:
    from playwright.sync_api import Page

HERE = Path(__file__).resolve().parent / "pictures"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
SHOWN = {
    "new-webhook": "/new-webhook?from=slack",
    "overview": "/",
    "live": "/live?stage=matched&stage=sent&stage=unmatched",
    "dead-letters": "/dead-letters",
}
"""What README and docs/ show."""
PAGES = {
    **SHOWN,
    "webhooks": "/webhooks", "new-blank": "/new-webhook", "webhook": "/webhooks/{id}",
    "edit": "/webhooks/{id}/edit", "trial": "/webhooks/{id}/test",
    "deliveries": "/webhooks/{id}/deliveries", "pending": "/pending",
    "events": "/events", "users": "/events/users", "config": "/config", "audit": "/audit",
    "no-page": "/nothing",
}  # fmt: skip
SIZES = ((1280, 800), (768, 900), (320, 700))
LONG = "-whose-name-goes-on-and-on-until-nobody-reads-it"
"""Behind `hook-0002`: as long as a webhook id may be, nearly."""
SETTLE_MS = 1_500
"""How long a page may take to be as it stays: previews come, rows run in."""


def main(words: list[str]) -> int:
    """Take the pictures; return 1 where a page is too wide or says something in the browser's console."""
    parser = argparse.ArgumentParser(description="Take pictures of the console.")
    parser.add_argument("--look", type=Path, metavar="FOLDER", help="every page, size and scheme into it")
    parser.add_argument("--webhooks", type=int, metavar="N", help="over a config of so many webhooks")
    parser.add_argument("--only", metavar="NAME,..", help=f"of {', '.join(PAGES)}")
    given = parser.parse_args(words)
    pages = PAGES if given.look else SHOWN
    if given.only:
        pages = {name: PAGES[name] for name in given.only.split(",")}
    os.environ.setdefault("SLACK_BOT_TOKEN", "shown-nowhere")  # the example that is shown names it
    with tempfile.TemporaryDirectory() as folder:
        config = None if given.webhooks is None else config_of(Path(folder) / "given", given.webhooks)
        with running(Path(folder) / "demo", ["--listen", "127.0.0.1:0"], config=config) as link:
            return take(link, pages, given.look, "big-purchase" if config is None else "hook-0001")


def config_of(folder: Path, number: int) -> Path:
    """Write a config of so many webhooks; the second has a long name, each seventh is for all events."""
    (folder / "webhooks").mkdir(parents=True)
    (folder / "pipeline.yaml").write_text("network: {allow: [127.0.0.0/8]}\n")
    for at in range(1, number + 1):
        name = f"hook-{at:04}" + (LONG if at == 2 else "")
        trigger = '"*"' if at % 7 == 0 else "[Purchase]"
        text = f"id: {name}\ntrigger: {{events: {trigger}}}\nrequest:\n  url: ${{RECEIVER}}/hooks/{at % 5}\n"
        (folder / "webhooks" / f"{name}.yaml").write_text(text)
    return folder


def take(link: str, pages: dict[str, str], look: Path | None, webhook: str) -> int:
    """Take pictures of these pages; look: into this folder, all sizes."""
    from playwright.sync_api import sync_playwright

    faults: list[str] = []
    base = link.partition("/login")[0]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_context(reduced_motion="reduce").new_page()
        page.on("console", lambda said: faults.append(f"{page.url}: {said.type}: {said.text}"))
        page.on("pageerror", lambda error: faults.append(f"{page.url}: {error}"))
        page.goto(link)
        page.wait_for_url(f"{base}/")
        for name, path in pages.items():
            page.set_viewport_size({"width": 1280, "height": 800})
            page.goto(base + path.format(id=webhook))
            page.wait_for_timeout(SETTLE_MS)
            if name == "new-webhook":
                choose_what_fires(page)
            if look is None:
                save(page, HERE / f"{name}.png")
            else:
                look_at(page, look, name, faults)
        browser.close()
    for fault in dict.fromkeys(faults):
        say(fault)
    return 1 if faults else 0


def choose_what_fires(page: Page) -> None:
    """Go on to the first sample event that makes the webhook of this form fire, where there is one."""
    samples = page.get_by_label("Sample event", exact=True).locator("option")
    form = page.url
    for choice in samples.evaluate_all("all => all.map(one => one.value)"):
        page.goto(f"{form}&{urlencode({'event': choice})}")
        page.wait_for_timeout(SETTLE_MS)
        if page.get_by_text("fires", exact=True).count():
            return


def save(page: Page, file: Path) -> None:
    """Take one picture, as large as the window."""
    file.parent.mkdir(exist_ok=True)
    page.screenshot(path=file, animations="disabled")
    say(f"{file}: {file.stat().st_size // 1024} KB")


def look_at(page: Page, folder: Path, name: str, faults: list[str]) -> None:
    """Take a page at every size, light and dark, and note where it is too wide."""
    folder.mkdir(parents=True, exist_ok=True)
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            page.screenshot(
                path=folder / f"{name}-{width}-{scheme}.png", full_page=True, animations="disabled"
            )
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            faults.append(f"{page.url} is wider than {width} px")
    page.emulate_media(color_scheme="light")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
