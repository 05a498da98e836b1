"""What is refused from now on is refused where files are read; a stored version keeps the meaning it had.

A refusal that an older version did not know goes through `Problems.refuse`, `Spot.refuse` or, in a model,
`newly`, and has a row here.
"""

from __future__ import annotations

import pytest

from pipeline.compile.snapshot import compile_config
from pipeline.config.files import ConfigText
from pipeline.language.secrets import Secrets

HEAD = "id: a\ntrigger: {events: [Purchase]}\n"
URL = "request:\n  url: https://hooks.example/in\n"

NEWLY_REFUSED = {
    "JSON written as one text": ("json-text", HEAD + URL + """  body: '{"text": "{{ event.name }}"}'\n"""),
    "a list written as one text": ("json-text", HEAD + URL + """  body: '[{"a": {{ event.id }}}]'\n"""),
    "a batch of forms": ("batch", HEAD + URL + "  encoding: form\n  body: {a: 1}\ndelivery: {batch: {}}\n"),
}


@pytest.mark.parametrize(("code", "text"), NEWLY_REFUSED.values(), ids=NEWLY_REFUSED)
def test_a_newly_refused_form_is_an_error_in_files_and_none_in_a_stored_version(code: str, text: str) -> None:
    config = ConfigText({"webhooks/a.yaml": text})
    as_files = compile_config(config, secrets=Secrets({}))
    assert [found.code for found in as_files.findings if not found.warning] == [code]
    assert as_files.snapshot is None
    stored = compile_config(ConfigText.from_bytes(config.to_bytes()), secrets=None, stored=True)
    assert stored.findings == []
    assert stored.require().hash == config.hash
