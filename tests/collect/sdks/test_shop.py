"""The shop of the examples as it stands there: its page in a real browser, `hookline up`, the webhook."""

from __future__ import annotations

import json
import shutil
import urllib.request
from pathlib import Path

from playwright.sync_api import Route

from pipeline.receiver.server import Receiver
from tests.collect.sdks import parts
from tests.collect.sdks.clients import had
from tests.collect.sdks.site import NO_ROBOT, PERSON, site
from tests.kit.programs.ports import free_port
from tests.kit.programs.run import HOOKLINE, started, until
from tests.kit.streams.samples import ROOT
from tests.kit.web.console import browser

SHOP = ROOT / "examples" / "shop"
SITE, COLLECTOR, RECEIVER = "http://127.0.0.1:8000/", "http://127.0.0.1:8080/", "http://127.0.0.1:8787"
"""As the example writes them; here the ports are others."""
CDN = "https://cdn.jsdelivr.net/npm/posthog-js@1/"


def identified(port: int) -> bool:
    """Return whether the collector took what server.py tells of the user; False while nobody listens."""
    body = {"userId": "u1", "messageId": "m1", "traits": {"plan": "pro"}}
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/identify",
        json.dumps(body).encode(),
        {"authorization": "Basic d2tfc2VydmVyOg=="},
    )
    try:
        with urllib.request.urlopen(asked, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def test_a_click_in_the_shop_becomes_the_webhook_that_its_page_of_docs_shows(tmp_path: Path):
    modules, port = had(parts.node_modules), free_port()
    shutil.copytree(SHOP, tmp_path / "shop", ignore=shutil.ignore_patterns("collected", "state"))
    webhook = tmp_path / "shop" / "webhooks" / "purchase.yaml"
    said: list[str] = []

    def serve(route: Route) -> None:
        url = route.request.url
        if url.startswith(COLLECTOR):
            route.continue_(url=url.replace(COLLECTOR, f"http://127.0.0.1:{port}/"))
        elif url == SITE:
            route.continue_(url=f"{origin}/")
        elif url.startswith(CDN):
            route.fulfill(path=modules / "posthog-js" / url.removeprefix(CDN))
        elif url.endswith("/favicon.ico"):
            route.fulfill(status=204)
        else:
            said.append(f"it asks {url}")
            route.abort()

    with site(modules, SHOP / "page" / "index.html") as origin, Receiver() as receiver:
        webhook.write_text(webhook.read_text().replace(RECEIVER, receiver.url("").rstrip("/")))
        command = (HOOKLINE, "up", "-c", tmp_path / "shop", "--listen", f"127.0.0.1:{port}")
        with started(*command), browser() as chromium:
            until(lambda: identified(port))
            page = chromium.new_context(user_agent=PERSON).new_page()
            page.add_init_script(NO_ROBOT)
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("console", lambda line: said.append(line.text) if line.type == "error" else None)
            page.route("**/*", serve)
            page.goto(SITE)
            page.get_by_role("button", name="Buy").click()
            page.get_by_text("Bought.").wait_for()
            while not receiver.requests and not said:
                page.wait_for_timeout(20)  # what the page asks is answered meanwhile
        assert said == []
        (sent,) = receiver.requests
        assert sent.path == "/sales"
        assert json.loads(sent.body) == {"text": "Ada (pro) bought Lamp", "amount": 49}
        assert json.dumps(json.loads(sent.body)) in (ROOT / "docs" / "collect.md").read_text()
