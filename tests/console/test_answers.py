"""A page that answers a form is asked for again by its URL, by no other person, while it says what is so."""

from __future__ import annotations

import re
from pathlib import Path

from tests.kit.web.pages import OURS, WEBHOOK, served

PAGE = "/webhooks/crm/delete"


def test_an_answer_is_shown_to_who_got_it_and_until_the_form_was_taken(tmp_path: Path):
    with served(tmp_path) as caller:
        ann, bob, eve = (caller.log_in(role).cookie for role in ("editor", "editor", "viewer"))
        found = re.search(r'name="etag" value="([^"]*)"', caller.ask("GET", PAGE, cookie=ann).text)
        assert found

        def send(id: str) -> str:
            form = {"id": id, "etag": found[1]}
            answer = caller.ask("POST", PAGE, OURS, form, cookie=ann, follows=False)
            assert answer.status == 303
            return answer.headers["location"]

        where = send("another")
        assert where.startswith(PAGE + "?answer=")
        again = [caller.ask("GET", where, OURS, cookie=ann) for _ in range(2)]
        assert [(one.status, "Type its id" in one.text) for one in again] == [(422, True)] * 2
        assert caller.ask("GET", where, OURS, cookie=bob).headers["location"] == PAGE
        assert caller.ask("GET", where, OURS, cookie=eve).status == 403
        assert "?answer=" not in send("crm")
        (caller.config / "webhooks/crm.yaml").write_text(WEBHOOK)
        assert caller.ask("GET", where, OURS, cookie=ann).headers["location"] == PAGE
