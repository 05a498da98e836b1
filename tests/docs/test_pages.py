"""The pages: they are all there, they lead to one another, and what they name exists."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from generate import PAGES as GENERATED
from links import OUTSIDE

from hatch_build import front_page
from pipeline.receiver.server import Receiver
from tests.kit.programs.run import until
from tests.kit.tour import PAGES, ROOT, blocks, run

DOCS = {
    "index", "tour", "concepts", "input", "kafka", "databases", "webhooks", "console", "collect", "cookbook",
    "testing", "operations", "runbook", "commands", "shapes", "guarantees", "performance", "security",
    "compare", "troubleshooting", "internals",
}  # fmt: skip
"""The pages that docs/ has."""

LINK = re.compile(r"\]\(([^)\s]+)\)")
NAMED = re.compile(r"`((?:tests|docker|docs|config|requirements|recordings|pipeline|dataflows)/[\w./-]*)`")


def in_the_site() -> list[str]:
    nav = yaml.safe_load((ROOT / "properdocs.yml").read_text())["nav"]
    return [page for group in nav for pages in group.values() for one in pages for page in one.values()]


def headings(path: Path) -> set[str]:
    """Return the anchors of a page as a forge makes them."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_every_page_of_the_list_exists_and_is_in_the_site():
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} == DOCS
    assert sorted(in_the_site()) == sorted([*(f"{name}.md" for name in DOCS), *OUTSIDE.values()])
    assert set(GENERATED) <= set(PAGES)


def test_a_page_is_called_in_the_site_as_at_its_top():
    nav = yaml.safe_load((ROOT / "properdocs.yml").read_text())["nav"]
    for group in nav:
        for name, page in (
            (name, page) for pages in group.values() for one in pages for name, page in one.items()
        ):
            if page.removesuffix(".md") in DOCS - {"index"}:
                title = (ROOT / "docs" / page).read_text().splitlines()[0].removeprefix("# ")
                assert name.split()[0] == re.split(r"[\s:]", title)[0], page


def test_the_index_leads_to_every_page():
    linked = set(LINK.findall((ROOT / "docs" / "index.md").read_text()))
    assert {f"{name}.md" for name in DOCS - {"index"}} <= linked


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path):
    for link in LINK.findall(path.read_text()):
        target, _, anchor = link.partition("#")
        found = (path.parent / target).resolve() if target else path
        assert found.is_file(), link
        assert found.is_relative_to(ROOT), link
        assert not anchor or anchor in headings(found), link


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_files_and_folders_that_are_named_exist(path: Path):
    assert [name for name in NAMED.findall(path.read_text()) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_targets_of_make_that_are_named_exist(path: Path):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = path.read_text()
    assert set(re.findall(r"(?:`|^)make ([a-z][a-z-]+)", text, re.MULTILINE)) <= targets


def test_every_slow_test_belongs_to_a_target():
    recipes = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    run = re.findall(r"tests/[\w./]+", " ".join(re.findall(r"pytest .*-m slow .*", recipes)))
    slow = [
        path.relative_to(ROOT)
        for path in ROOT.glob("tests/**/*.py")
        if re.search(r"pytest\.mark\.slow\b", path.read_text())
    ]
    assert [str(path) for path in slow if not any(path.is_relative_to(folder) for folder in run)] == []


def test_every_promise_names_tests_that_there_are():
    text = (ROOT / "docs" / "guarantees.md").read_text()
    named: dict[str, int] = {}
    for promise in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title = promise.splitlines()[0]
        for file, names in re.findall(r"^- \[tests/.*?\]\(\.\./(.*?)\): (.*)$", promise, re.MULTILINE):
            there = set(re.findall(r"def (test_\w+)", (ROOT / file).read_text()))
            wanted = re.findall(r"`(test_\w+)`", names)
            assert wanted, f"{title}: {file} without a test"
            assert set(wanted) <= there, f"{title}: {file}"
            named[title] = named.get(title, 0) + len(wanted)
    assert {title.partition(" ")[0] for title in named} >= {f"P{number}" for number in range(1, 9)}
    assert sum(title.startswith(("Events over HTTP", "The console")) for title in named) == 2


def test_the_readme_is_a_front_page():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) < 150


def test_the_package_has_the_front_page_with_links_that_hold_anywhere():
    readme = (ROOT / "README.md").read_text()
    assert LINK.findall(readme)
    assert LINK.findall(front_page(readme)) == []
    there = front_page(readme, "https://example.com/hookline/")
    assert all(link.startswith("https://example.com/hookline/") for link in LINK.findall(there))
    assert "<!--" not in there
    assert "![" in there


@pytest.mark.parametrize(("page", "lines"), [("README.md", 12), ("docs/index.md", 9)])
def test_the_webhook_of_a_front_page_sends_the_request_beside_it(page: str, lines: int, tmp_path: Path):
    shown = blocks(ROOT / page)
    webhook = next(block.text for block in shown if block.language == "yaml")
    stream = next(block.text for block in shown if block.language == "json")
    head, _, body = next(block.text for block in shown if block.language == "http").partition("\n\n")
    first, *headers = head.splitlines()
    assert webhook.count("\n") == lines
    with Receiver({"*": [200]}) as receiver:
        (tmp_path / "webhooks").mkdir()
        webhook = webhook.replace("https://crm.example", receiver.url(""))
        (tmp_path / "webhooks" / "w.yaml").write_text(webhook)
        (tmp_path / "stream.jsonl").write_text(stream)
        done = run("hookline run -c . --source stream.jsonl --state state --allow 127.0.0.0/8", tmp_path, {})
        assert done.returncode == 0, done.stderr
        request = until(lambda: next(iter(receiver.requests), None))
    assert first == f"{request.method} {request.path} HTTP/1.1"
    sent = {name.lower(): value for name, value in request.headers.items()}
    for header in headers:
        name, value = header.split(": ", 1)
        name = name.lower()
        # A value that ends in dots stands for one that is another one each time.
        assert name == "host" or sent[name].startswith(value.removesuffix("...")), header
    assert json.loads(request.body) == json.loads(body)
