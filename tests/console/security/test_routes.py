"""Every route as every role: what the table in docs/console.md says is what the console does."""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.console.security.roles import CHANGING, RIGHTS, ROLES, rights_of
from pipeline.console.serving.routes import ROUTES, Route
from tests.kit.web.pages import OURS, Caller, served

PAGE = Path("docs/console.md")


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Caller]]:
    with (
        served(tmp_path_factory.mktemp("open")) as plain,
        served(tmp_path_factory.mktemp("locked"), read_only=True) as locked,
        served(tmp_path_factory.mktemp("hidden"), hide_payloads=True) as hidden,
    ):
        yield {"": plain, "read_only": locked, "hide_payloads": hidden}


def _path(route: Route) -> str:
    path = re.sub(r"\{\w+:(\w+)[^}]*\}", r"\1", route.path)  # of several words the first
    return re.sub(r"\{[^}]*\}", "nothing", path)


def _source(route: Route) -> str:
    """Return the source of a handler's module, and of what it uses of the console's other ones."""
    module = inspect.getmodule(route.handler)
    assert module is not None
    used = [one for one in vars(module).values() if inspect.isfunction(one)]
    others = [one for one in used if one.__module__ != module.__name__ and "console" in one.__module__]
    return "\n".join([inspect.getsource(module), *(inspect.getsource(one) for one in others)])


def _turned_away(status: int) -> bool:
    return status in (401, 403)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("started", ["", "read_only", "hide_payloads"])
def test_a_role_may_do_what_its_row_says_and_nothing_else(
    callers: dict[str, Caller], started: str, role: str
):
    caller = callers[started]
    rights = rights_of(role, **({started: True} if started else {}))  # type: ignore[arg-type]  # by name
    wrong = []
    for route in ROUTES:
        if route.right is None:
            continue
        said = caller.ask(route.method, _path(route), {"accept": "text/event-stream"}, token=role)
        if _turned_away(said.status) != (route.right not in rights) or said.status == 500:
            wrong.append(f"{role} {route.method} {route.path}: {said.status}")
    assert wrong == []


def test_nobody_does_anything_without_a_log_in(callers: dict[str, Caller]):
    for route in ROUTES:
        if route.right is None:
            continue
        said = callers[""].ask(route.method, _path(route), OURS)
        if route.method == "GET" and not route.path.startswith("/api/"):
            assert said.status == 303, route
            assert said.headers["location"].partition("?")[0] == "/login", route
        else:
            assert said.status == 401, route


def test_what_is_not_in_the_table_is_not_there(callers: dict[str, Caller]):
    caller = callers[""]
    for path in (
        "/nowhere",
        "/api/v1/nowhere",
        "/webhooks/a/b/c/d",
        "/.git/config",
        "/admin",
        "/api/v2/status",
    ):
        assert caller.ask("GET", path, token="editor").status == 404, path
    for method in ("TRACE", "OPTIONS", "CONNECT", "PROPFIND"):
        assert caller.ask(method, "/", OURS, token="editor").status in (400, 404, 405), method


def test_only_the_log_in_and_files_are_for_strangers():
    assert {route.path for route in ROUTES if route.right is None} == {
        "/login", "/static/{name}", "/assets/{name}",
    }  # fmt: skip


def test_what_changes_something_is_no_get_and_wants_a_right_for_it():
    wrong = [
        route
        for route in ROUTES
        if (route.method == "GET" and route.right in CHANGING and "webhook" not in route.path)
        or (route.method in ("PUT", "PATCH", "DELETE") and route.right not in CHANGING)
    ]
    assert wrong == []


def test_what_changes_something_is_in_the_audit_or_says_that_it_only_looked(callers: dict[str, Caller]):
    """The gate writes `other` for a handler that says neither: then its line is worth nothing."""
    caller = callers[""]
    seen = len(caller.audit)
    for route in ROUTES:
        if route.changes and route.right is not None:
            caller.ask(route.method, _path(route), OURS, token="editor")
    unsaid = [
        line["request"]
        for line in caller.audit[seen:]
        if line["action"] == "other" and line["result"] == "done"
    ]
    assert unsaid == []
    silent = [
        route.path
        for route in ROUTES
        if route.changes and not re.search(r"\.(audit|unchanged|acts\.append)\(", _source(route))
    ]
    assert silent == []


def test_roles_hold_one_another():
    rights = [RIGHTS[role] for role in ROLES]
    assert all(less < more for less, more in itertools.pairwise(rights))


def _of_page() -> dict[str, list[str]]:
    """Return the rows of the page's table by request: what stands under each role and flag."""
    rows = re.findall(r"^\| `([A-Z]+ /[^`]*)` \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    return {request: [cell.strip() for cell in cells.split("|")] for request, cells in rows}


def test_the_page_says_what_is_obeyed():
    """With the test of every role above: the page is true of the console."""
    said = _of_page()
    assert list(said) == [f"{route.method} {route.path}" for route in ROUTES], "run `make docs`"
    for route in ROUTES:
        cells = said[f"{route.method} {route.path}"]
        if route.right is None:
            assert cells[0] == "without a log-in"
            continue
        assert [cell == "yes" for cell in cells[:4]] == [route.right in RIGHTS[role] for role in ROLES]
        assert (cells[4] == "nobody") == (route.right not in rights_of("editor", read_only=True))
        assert (cells[5] == "nobody") == (route.right not in rights_of("editor", hide_payloads=True))
