"""What tests with a browser share: one desk, one browser, one log-in per module; a watched tab per test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pipeline.operate.unsaved.workbench import CHILD
from tests.kit.programs.forge import forge
from tests.kit.web import console as kit

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext


@pytest.fixture(scope="module", autouse=True)
def _forked_trials() -> Iterator[None]:
    """Every console has a process for what is not saved yet, which would import for a second."""
    with forge().stands_in(CHILD):
        yield


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kit.Desk]:
    """The shipped config with a job, a receiver and a console; a module may have a `desk` of its own."""
    with kit.desk(tmp_path_factory.mktemp("desk")) as desk:
        yield desk


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium."""
    with kit.browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def logged_in(desk: kit.Desk, browser: Browser) -> BrowserContext:
    """The browser, logged in as the person who has the terminal."""
    return desk.log_in(browser)


@pytest.fixture
def tab(desk: kit.Desk, logged_in: BrowserContext) -> Iterator[kit.Tab]:
    """A page of its own; at the end of the test it fails for whatever went wrong in it."""
    tab = kit.Tab(desk, logged_in)
    yield tab
    tab.close()
