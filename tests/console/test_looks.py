"""How pages look in narrow and low windows, with forced colours, on paper; what a keyboard sees of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit.programs.jobs import Job, ready
from tests.kit.programs.run import until
from tests.kit.web import console as kit
from tests.kit.web.console import Desk, Tab

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WEBHOOKS = {
    "crm": 'trigger: {events: [Purchase]}\nrequest: {url: "RECEIVER/crm"}\n',
    "later": 'trigger: {events: ["*"]}\nrequest: {url: "RECEIVER/later"}\n',
    "spoof": 'description: "\\u202eb"\ntrigger: {events: ["\\u202egnp.exe"]}\nrequest: {url: "RECEIVER/s"}\n',
}
FEW = 7
EITHER = ("[aria-current]", ":not([aria-current])")
HIDDEN = """() => {
    const found = document.activeElement, box = found.getBoundingClientRect();
    const at = (x, y) => { const top = document.elementFromPoint(x, y); return found.contains(top); };
    return found !== document.body && !at(box.left + box.width / 2, box.top + box.height / 2)
        && !at(box.left + 3, box.top + 3) ? found.outerHTML.slice(0, 120) : "";
}"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A job that has read a few events in one go; one receiver is down."""
    with kit.desk(tmp_path_factory.mktemp("looks"), config=None, webhooks=WEBHOOKS) as desk:
        desk.receiver.answer({"/later": 503})
        desk.bench.append(*({"name": "Purchase", "properties": {"n": n}} for n in range(1, FEW + 1)))
        until(lambda: desk.bench.counts("crm")["delivered"] == FEW and desk.bench.counts("later")["pending"])
        yield desk


@pytest.mark.parametrize("size", [(1280, 700), (640, 400), (320, 256)])
def test_what_has_the_focus_is_never_behind_the_bar_with_save(tab: Tab, size: tuple[int, int]):
    page = tab.open("/webhooks/crm/edit")
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.locator(".cm-content").wait_for()
    hidden = []
    for _ in range(40):
        page.keyboard.press("Tab")
        hidden.append(page.evaluate(HIDDEN))
    assert [one for one in hidden if one] == []


@pytest.mark.parametrize("width", [961, 1024, 1025, 1100, 1184, 1280])
def test_no_table_hides_its_last_columns(tab: Tab, width: int):
    tab.page.set_viewport_size({"width": width, "height": 800})
    for path in ("/", "/webhooks", "/pending", "/webhooks/later/deliveries"):
        page = tab.open(path)
        over = "[...document.querySelectorAll('.scroll')].map(each => each.scrollWidth - each.clientWidth)"
        assert max(page.evaluate(over)) <= 1, path


def test_a_list_is_sorted_on_a_phone_too(tab: Tab):
    tab.page.set_viewport_size({"width": 320, "height": 700})
    page = tab.open("/webhooks")
    page.get_by_role("link", name="Pending", exact=True).nth(1).click()
    page.wait_for_url("**sort=pending**")
    assert page.locator("tbody th").first.inner_text() == "later"
    assert kit.fits(page)


def test_who_has_forced_colours_sees_which_one_is_chosen(tab: Tab):
    tab.page.emulate_media(forced_colors="active")
    page = tab.open("/webhooks")
    for links in (".chips", ".side nav"):
        chosen, other = (_style(page, f"{links} a{which}", "backgroundColor") for which in EITHER)
        assert chosen != other, links
    page = tab.open("/webhooks/crm")
    borders = [_style(page, f".tabs a{which}", "borderBottomStyle") for which in EITHER]
    assert borders == ["solid", "none"]


def _style(page: Page, found: str, name: str) -> str:
    return str(page.locator(found).first.evaluate("(each, name) => getComputedStyle(each)[name]", name))


def test_paper_has_what_the_page_says_and_nothing_to_click(tab: Tab):
    page = tab.open("/webhooks/crm")
    page.emulate_media(media="print")
    for gone in (".side", ".skip", "main button", "main .button", ".tabs"):
        assert not page.locator(gone).first.is_visible(), gone
    assert page.locator("pre.code").first.evaluate("each => getComputedStyle(each).maxHeight") == "none"
    assert page.get_by_role("heading", level=1).is_visible()


def test_what_a_file_holds_turns_no_text_around(tab: Tab):
    (tab.desk.config / "webhooks" / "_base.yaml").write_text("description: '\u202edesrever'\n")
    for path in (
        "/webhooks",
        "/webhooks/spoof",
        "/config/file?name=webhooks/_base.yaml",
        "/webhooks/spoof/edit",
    ):
        page = tab.open(path)
        shown = page.evaluate(
            "[...document.querySelectorAll('main *:not(textarea):not(input):not(.cm-editor *)')]"
            ".flatMap(each => [...each.childNodes]).filter(each => each.nodeType === 3)"
            ".map(each => each.textContent).join(' ')"
        )
        assert "\u202e" not in shown, path
        assert "\\u202e" in shown or path.endswith("edit"), path


def test_a_few_that_come_together_are_all_in_the_samples_and_some_in_each_webhooks_deliveries(tab: Tab):
    page = tab.open("/webhooks/crm/deliveries")
    assert page.locator("tbody tr").count() >= 1
    page = tab.open("/webhooks/crm/deliveries?status=599")
    assert "No attempt has this answer" in page.inner_text("main")
    page = tab.open("/events")
    assert page.get_by_role("row", name="Purchase").locator("[data-label=Sampled]").inner_text() == str(FEW)


def test_what_was_due_is_due_now(tab: Tab):
    page = tab.open("/pending")
    page.locator("td[data-label='Due (UTC)']").first.wait_for()
    until(lambda: "now" in tab.open("/pending").locator("td[data-label='Due (UTC)']").all_inner_texts())
    due = page.locator("td[data-label='Due (UTC)']").all_inner_texts()
    now = page.evaluate("new Date().toISOString().slice(0, 19).replace('T', ' ')")
    assert [one for one in due if one != "now" and one < now] == []


def test_a_file_that_cannot_be_read_says_so_above_its_empty_form_and_each_error_once(tab: Tab):
    (tab.desk.config / "webhooks" / "anchor.yaml").write_text("id: anchor\nvars: &v {a: 1}\n")
    page = tab.open("/webhooks/anchor/edit")
    told = page.get_by_text("The form is empty because the file cannot be read")
    assert "anchors" in told.inner_text()
    page.get_by_role("button", name="Save", exact=True).click()
    alert = page.get_by_role("alert")
    alert.get_by_text("Not saved: the YAML cannot be read.").wait_for()
    errors = alert.locator("li").all_inner_texts()
    assert len(errors) == len(set(errors)) > 0
    (tab.desk.config / "webhooks" / "anchor.yaml").unlink()


def test_the_frame_says_how_the_job_is_while_a_page_stays_open(browser: Browser, tmp_path: Path):
    with kit.desk(tmp_path, config=None, webhooks={"crm": WEBHOOKS["crm"]}, job=False) as desk:
        context = desk.log_in(browser)
        live, overview = (Tab(desk, context) for _ in range(2))
        states = [tab.open(path).locator("#job-state") for tab, path in ((live, "/live"), (overview, "/"))]
        for state in states:
            assert state.inner_text() == "No job is running"
        with Job(desk.bench) as job:
            ready(desk.bench, job)
            for state in states:
                state.filter(has_text="Job running").wait_for()
        for state in states:
            state.filter(has_text="No job is running").wait_for()
        live.close()
        overview.close()
        context.close()
