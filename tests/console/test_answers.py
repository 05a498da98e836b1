"""A page that answers a form is asked for again by its URL, by no other person, while it says what is so."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.console.security.sessions import Session
from pipeline.console.serving.answers import Answer, make_room
from tests.kit.web.pages import OURS, WEBHOOK, served

PAGE = "/webhooks/crm/delete"


def test_an_answer_is_shown_to_who_got_it_and_until_the_form_was_taken(tmp_path: Path):
    with served(tmp_path) as caller:
        ann, bob, eve = (caller.log_in(role).cookie for role in ("editor", "editor", "viewer"))
        found = re.search(r'name="etag" value="([^"]*)"', caller.ask("GET", PAGE, cookie=ann).text)
        assert found

        def send(id: str, at: str = PAGE) -> str:
            form = {"id": id, "etag": found[1]}
            answer = caller.ask("POST", at, OURS, form, cookie=ann, follows=False)
            assert answer.status == 303
            return answer.headers["location"]

        def form_of(answer: str) -> str:
            said = re.search(
                r'method="post" action="([^"]*delete[^"]*)"', caller.ask("GET", answer, cookie=ann).text
            )
            assert said
            return said[1]

        other_tab = send("other")
        where = send("another")
        assert where.startswith(PAGE + "?answer=")
        again = [caller.ask("GET", where, OURS, cookie=ann) for _ in range(2)]
        assert [(one.status, "Type its id" in one.text) for one in again] == [(422, True)] * 2
        assert caller.ask("GET", where, OURS, cookie=bob).headers["location"] == PAGE
        assert caller.ask("GET", where, OURS, cookie=eve).status == 403
        later = send("more", form_of(where))
        assert "?answer=" not in send("crm", form_of(later))
        (caller.config / "webhooks/crm.yaml").write_text(WEBHOOK)
        for one in (where, later):
            assert caller.ask("GET", one, OURS, cookie=ann).headers["location"] == PAGE
        assert caller.ask("GET", other_tab, OURS, cookie=ann).status == 422


def test_what_is_kept_for_all_sessions_together_is_bounded():
    greedy, modest = (Session(name, "editor", 0.0) for name in ("greedy", "modest"))
    for session, number in ((modest, 1), (greedy, 5)):
        session.answers = {f"{n}": Answer(frozenset(), 422, b"x" * 10, "", "") for n in range(number)}
    make_room([greedy, modest], 40)
    assert (list(greedy.answers), list(modest.answers)) == (["2", "3", "4"], ["0"])
