"""New Webhook and Edit in a real browser, over a real job and receiver."""

from __future__ import annotations

import json
import re
from pathlib import Path

from pipeline.operate.check import check
from tests.kit.programs.run import until
from tests.kit.web.console import Desk, Tab, yaml_of

LOCKED = """\
id: locked
extends: _base   # shared
trigger:
  events: [Refund]
  where:
    - any:
        - event.properties.a: 1
        - not: {event.properties.b: 2}
request:
  url: RECEIVER/locked
  body:
    rows:
      - $for: "{{ event.properties.items }}"
        sku: "{{ item.sku }}"
"""


def expect(locator):
    from playwright.sync_api import expect

    return expect(locator)


def _file(desk: Desk, name: str) -> Path:
    return desk.config / "webhooks" / f"{name}.yaml"


def _put_locked(desk: Desk, name: str, address: str) -> str:
    """Write a webhook of this name, with what it extends, and return its text."""
    _file(desk, "_base").write_text("description: shared\n")
    text = LOCKED.replace("RECEIVER", address).replace("locked", name)
    _file(desk, name).write_text(text)
    return text


def _delivered(desk: Desk, path: str):
    return [one for one in desk.receiver.requests if one.path.endswith(path)]


def test_navigate_click_new_webhook_enter_url_headers_json_body_and_the_event(desk: Desk, tab: Tab):
    """The spec's six steps, with the keyboard and the mouse a person has."""
    page = tab.open("/")
    page.get_by_role("link", name="Webhooks", exact=True).click()
    page.get_by_role("link", name="New Webhook", exact=True).click()
    field, button = page.get_by_label, lambda name: page.get_by_role("button", name=name, exact=True)
    field("Endpoint URL").fill(desk.receiver.url("/six-steps"))
    button("Add header").click()
    field("Header name").fill("X-Team")
    field("Header value", exact=True).fill("growth")
    button("Add key").click()
    field("Key", exact=True).fill("who")
    field("Kind", exact=True).select_option("User property")
    field("Value", exact=True).fill("name")
    button("Add key").click()
    expect(field("Key", exact=True)).to_have_count(2)
    field("Key", exact=True).nth(1).fill("fixed")
    field("Value", exact=True).nth(1).fill("1")
    button("Add key").click()
    expect(field("Key", exact=True)).to_have_count(3)
    field("Key", exact=True).nth(2).fill("nested")
    field("Kind", exact=True).nth(2).select_option("Object")
    page.get_by_role("button", name="Add key in nested").click()
    expect(field("Key", exact=True)).to_have_count(4)
    field("Key", exact=True).nth(3).fill("amount")
    field("Kind", exact=True).nth(3).select_option("Event property")
    field("Value", exact=True).nth(2).fill("amount")
    field("Events").fill("Six Steps")
    field("Enable now").check()
    field("Webhook id").fill("six-steps")
    expect(page.locator("#yaml")).to_have_value(re.compile("id: six-steps"))
    button("Save").click()
    page.wait_for_url("**/webhooks/six-steps/saved")
    expect(page.get_by_role("status").filter(has_text="Running since")).to_be_visible()
    assert not any(not one.warning for one in check(desk.config, offline=True).findings)
    desk.bench.update("u1", name="Ann")
    desk.bench.append({"type": "event", "name": "Six Steps", "user_id": "u1", "properties": {"amount": 12.5}})
    (one,) = until(lambda: _delivered(desk, "/six-steps"))
    assert json.loads(one.body) == {"who": "Ann", "fixed": 1, "nested": {"amount": 12.5}}
    assert one.headers["x-team"] == "growth"


def test_form_and_yaml_follow_one_another(desk: Desk, tab: Tab):
    page = tab.open("/webhooks/big-purchase/edit")
    before = yaml_of(page)
    url = page.get_by_label("Endpoint URL").input_value()
    page.get_by_label("Endpoint URL").fill("https://other.example/x")
    expect(page.locator("#yaml")).to_have_value(re.compile("other.example"))
    page.get_by_label("Description").fill("d")
    expect(page.locator("#yaml")).to_have_value(re.compile("description: d\\n"))
    assert "other.example" in yaml_of(page)
    page.get_by_label("YAML").fill(before)
    expect(page.get_by_label("Endpoint URL")).to_have_value(url)
    assert yaml_of(page) == before
    page.get_by_label("YAML").fill(before.replace("events: [Purchase]", "events: [Refund]"))
    expect(page.get_by_label("Events")).to_have_value("Refund")


def test_locked_parts_are_seen_and_stay(desk: Desk, tab: Tab):
    before = _put_locked(desk, "locked", desk.receiver.url("").rstrip("/"))
    file = _file(desk, "locked")
    page = tab.open("/webhooks/locked/edit")
    for words in ("event.properties.b", "event.properties.items", "_base"):
        expect(page.locator("code.locked, details.card code").filter(has_text=words).first).to_be_attached()
    page.get_by_label("Endpoint URL").fill("https://other.example/x")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/webhooks/locked/saved")
    old, new = before.split("\n"), file.read_text().split("\n")
    assert [pair for pair in zip(old, new, strict=True) if pair[0] != pair[1]] == [
        (f"  url: {desk.receiver.url('/locked')}", "  url: https://other.example/x")
    ]


def test_a_refused_save_leads_to_the_field_and_to_the_place_in_the_text(desk: Desk, tab: Tab):
    _put_locked(desk, "refused", "https://a.example")
    page = tab.open("/webhooks/refused/edit")
    url = page.get_by_label("Endpoint URL")
    url.fill("no-scheme.example")
    expect(page.locator("#url-told")).to_be_visible()
    page.get_by_role("button", name="Save", exact=True).click()
    told = page.get_by_role("alert")
    expect(told).to_be_focused()
    page.keyboard.press("Tab")
    expect(told.get_by_text("line ")).to_be_focused()
    told.get_by_text("a URL begins with").click()
    expect(url).to_be_focused()
    told.get_by_text("line ").click()
    expect(page.get_by_label("YAML")).to_be_focused()
    expect(page.locator(".cm-activeLine")).to_contain_text("no-scheme.example")


def test_back_and_reload_after_a_refused_save_send_nothing_and_keep_what_was_typed(desk: Desk, tab: Tab):
    _put_locked(desk, "back", "https://a.example")
    page = tab.open("/webhooks/back/edit")
    page.get_by_label("Endpoint URL").fill("no-scheme.example")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Not saved")
    posted = []
    page.on("request", lambda one: posted.append(one.url) if one.method == "POST" else None)
    page.on("dialog", lambda one: one.accept())  # leave, although something is not saved
    for again in (page.reload, lambda: (page.goto(desk.url("/audit")), page.go_back())):
        again()
        expect(page.get_by_label("Endpoint URL")).to_have_value("no-scheme.example")
    assert posted == []
    page.get_by_label("Endpoint URL").fill("https://b.example")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("back")
    page.go_back()
    expect(page.get_by_label("Endpoint URL")).to_have_value("https://b.example")
    _file(desk, "back").unlink()


def test_what_is_wrong_with_a_file_leads_from_its_page_to_the_place_in_the_text(desk: Desk, tab: Tab):
    _put_locked(desk, "wrong", "https://a.example")
    file = _file(desk, "wrong")
    headers = "headers: {X-Key: '${MISSING}'}\n  body:"
    file.write_text(file.read_text().replace("body:", headers) + "enabled: false\n")
    tab.open("/webhooks/wrong").get_by_role("link", name="webhooks/wrong.yaml:11:").click()
    expect(tab.page.get_by_label("YAML")).to_be_focused()
    expect(tab.page.locator(".cm-activeLine")).to_contain_text("MISSING")
    expect(tab.page.locator(".cm-lintRange-warning")).to_have_text("${MISSING}")
    file.unlink()


def test_a_webhook_is_made_with_the_keyboard_alone(desk: Desk, tab: Tab):
    page = tab.open("/new-webhook")
    press, write = page.keyboard.press, page.keyboard.type

    def tab_to(name: str, role: str = "") -> None:
        wanted = (
            page.get_by_role("button", name=name, exact=True) if role else page.get_by_label(name, exact=True)
        )
        for _ in range(60):
            if wanted.count() and wanted.last.evaluate("one => one === document.activeElement"):
                return
            press("Tab")
        raise AssertionError(f"{name} is not reached by Tab")

    tab_to("Endpoint URL")
    write(desk.receiver.url("/keys"))
    press("Enter")  # looks again, and leaves who types where they are
    expect(page.locator("#yaml")).to_have_value(re.compile("/keys"))
    expect(page.get_by_label("Endpoint URL")).to_be_focused()
    tab_to("Add key", "button")
    press("Enter")
    expect(page.get_by_label("Key", exact=True)).to_be_focused()
    write("who")
    tab_to("Kind")
    press("u")
    tab_to("Value")
    write("name")
    tab_to("Events")
    write("By Keys")
    expect(page.locator("#yaml")).to_have_value(re.compile("By Keys"))
    tab_to("Save", "button")
    press("Enter")
    page.wait_for_url("**/webhooks/*/saved")
    (file,) = (desk.config / "webhooks").glob("*-by-keys.yaml")
    assert 'who: "{{ user.properties.name }}"' in file.read_text()
    assert "enabled: false" in file.read_text()


def test_a_key_that_is_typed_while_an_answer_is_under_way_is_not_lost(tab: Tab):
    page = tab.open("/new-webhook")
    page.get_by_label("Endpoint URL").press_sequentially("https://slow.example/a-rather-long-path", delay=15)
    page.get_by_label("Events").press_sequentially("Purchase", delay=15)
    page.get_by_role("button", name="Add header").click()
    expect(page.get_by_label("Header name")).to_be_focused()
    page.keyboard.type("X-One")
    page.keyboard.press("Tab")
    page.keyboard.type("1")
    expect(page.locator("#yaml")).to_have_value(re.compile("X-One"))
    expect(page.get_by_label("Endpoint URL")).to_have_value("https://slow.example/a-rather-long-path")
    expect(page.get_by_label("Events")).to_have_value("Purchase")
    expect(page.get_by_label("Webhook id")).to_have_value("slow-purchase")
    tab.accessible()


def test_an_error_while_somebody_types_takes_nothing_away(tab: Tab):
    page = tab.open("/new-webhook")
    tab.allowed += ["Failed to load resource", "Failed to fetch"]
    trouble, later = page.locator("#trouble"), {"content_type": "text/plain", "body": "Later <b>"}
    page.route("**/new-webhook", lambda route: route.fulfill(status=503, **later))
    page.get_by_label("Endpoint URL").fill("https://typed.example/")
    expect(trouble).to_have_text("Later <b>")
    page.unroute("**/new-webhook")
    page.route("**/new-webhook", lambda route: route.abort())
    page.get_by_label("Events").fill("Purchase")
    expect(trouble).to_contain_text("does not answer")
    tab.accessible()
    page.unroute("**/new-webhook")
    page.get_by_label("Description").fill("all of it")
    expect(page.locator("#yaml")).to_have_value(re.compile("all of it"))
    expect(page.locator("#yaml")).to_have_value(re.compile("typed.example"))
    expect(trouble).to_have_count(0)
