"""A version compiled from the one before is the version that its text alone gives."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.compile.snapshot import Snapshot, compile_config
from pipeline.config.files import ConfigText, JobDefaults
from pipeline.language.secrets import Secrets
from tests.kit.streams.records import event

HOOK = """\
id: {id}
extends: _base
trigger: {{events: [Big], where: [{{event.id: {{in: {{file: ids.txt}}}}}}]}}
request: {{url: 'https://${{HOST:-x}}.example/{id}', body: {{{body}}}}}
"""
FILES = {
    "labels/big.yaml": "name: Big\nevents: [Purchase]\nwhere: [{event.properties.n: {gte: 5}}]\n",
    "webhooks/_base.yaml": "delivery: {timeout: 5s}\n",
    "webhooks/ids.txt": "e1\n",
    **{f"webhooks/{id}.yaml": HOOK.format(id=id, body="n: 1") for id in "abc"},
}
TEXT = ConfigText(FILES, {"HOST": "h"})


def compiled(text: ConfigText, before: Snapshot | None = None) -> Snapshot:
    return compile_config(text, secrets=Secrets({}), before=before).require()


@pytest.fixture(scope="module")
def before() -> Snapshot:
    return compiled(TEXT)


def edited(**files: str | None) -> ConfigText:
    named = {name.replace("__", "/"): text for name, text in files.items()}
    files_now = {**FILES, **named}
    return replace(TEXT, files={name: text for name, text in files_now.items() if text is not None})


def test_an_edit_of_one_webhook_compiles_and_parses_that_one(before: Snapshot) -> None:
    text = edited(**{"webhooks/b.yaml": HOOK.format(id="b", body="n: 2")})
    now = compiled(text, before)
    assert [one is other for one, other in zip(before.webhooks, now.webhooks, strict=True)] == [
        True,
        False,
        True,
    ]
    assert now.hash == compiled(text).hash
    assert now.by_id["b"].data["request"]["body"] == {"n": 2}
    selected = now.triggers.select(event("Purchase", properties={"n": 7}, id="e1"))
    assert [now.webhooks[at].id for at in selected] == ["a", "b", "c"]


EDITS = {
    "a label": edited(**{"labels/big.yaml": FILES["labels/big.yaml"].replace("5", "6")}),
    "a base": edited(**{"webhooks/_base.yaml": "delivery: {timeout: 6s}\n"}),
    "a list": edited(**{"webhooks/ids.txt": "e2\n"}),
    "a setting": replace(TEXT, settings={"HOST": "other"}),
    "a default": replace(TEXT, defaults=JobDefaults(delivery={"concurrency": 3})),
    "an excluded label": replace(TEXT, defaults=JobDefaults(exclude=("Big",))),
    "the language": replace(TEXT, language=1),
}


@pytest.mark.parametrize("text", EDITS.values(), ids=EDITS)
def test_what_all_may_refer_to_leaves_nothing_as_it_was(before: Snapshot, text: ConfigText) -> None:
    now = compiled(text, before)
    assert not set(now.webhooks) & set(before.webhooks)


def test_problems_across_files_are_found_and_warnings_are_told_again(before: Snapshot) -> None:
    twice = edited(**{"webhooks/d.yaml": HOOK.format(id="a", body="n: 1")})
    found = compile_config(twice, secrets=Secrets({}), before=before).findings
    assert [one.code for one in found if not one.warning] == ["duplicate-id"]
    warned = edited(**{"webhooks/w.yaml": HOOK.format(id="w", body="n: True").replace("Big", "'a, b'")})
    first = compile_config(warned, secrets=Secrets({}))
    again = compile_config(warned, secrets=Secrets({}), before=first.require())
    assert again.findings == first.findings != []


def test_a_removed_webhook_is_gone(before: Snapshot) -> None:
    now = compiled(edited(**{"webhooks/a.yaml": None}), before)
    assert [webhook.id for webhook in now.webhooks] == ["b", "c"]


def test_a_stored_version_is_none_to_take_over_from(before: Snapshot) -> None:
    stored = compile_config(TEXT, secrets=None, stored=True, before=before).require()
    assert not set(stored.webhooks) & set(before.webhooks)
