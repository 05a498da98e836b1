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
    "a timeout of nothing": ("wrong-value", HEAD + URL + "delivery: {timeout: 0s}\n"),
    "more matches than are kept": ("wrong-value", HEAD + URL + "limit: {count: 10001, every: 1d}\n"),
    "repeats without end": (
        "wrong-value",
        "id: a\ntrigger: {events: [Purchase], repeat: {count: 1000000, within: 1d}}\n" + URL,
    ),
    "a pause of nothing": ("wrong-value", HEAD + URL + "delivery: {max_pause: 0s}\n"),
    "a timeout of days": ("wrong-value", HEAD + URL + "delivery: {timeout: 2d}\n"),
    "retries of nothing": ("wrong-value", HEAD + URL + "delivery: {retry: {max_age: 0s}}\n"),
    "delays the wrong way round": ("wrong-value", HEAD + URL + "delivery: {retry: {min_delay: 2h}}\n"),
    "retries of what succeeded": ("wrong-value", HEAD + URL + "delivery: {retry: {statuses: [200]}}\n"),
    "a batch that waits for nothing": ("wrong-value", HEAD + URL + "delivery: {batch: {max_wait: 0s}}\n"),
    "an id of signs": ("wrong-value", HEAD.replace("id: a", "id: '..'") + URL),
    "attempts without end": ("wrong-value", HEAD + URL + "delivery: {retry: {max_attempts: 100001}}\n"),
    "too many statuses": ("wrong-value", HEAD + URL + f"delivery: {{retry: {{statuses: {[500] * 301}}}}}\n"),
    "a batch of gigabytes": ("wrong-value", HEAD + URL + "delivery: {batch: {max_bytes: 65MiB}}\n"),
    "a rate of nobody": ("wrong-value", HEAD + URL + "delivery: {rate: 1000001/s}\n"),
    "a rate beyond all numbers": ("wrong-value", HEAD + URL + f"delivery: {{rate: {'9' * 400}/s}}\n"),
    "a rate of once in years": ("wrong-value", HEAD + URL + "delivery: {rate: 0.01/d}\n"),
    "more pending than a disk holds": ("wrong-value", HEAD + URL + "delivery: {max_pending: 100000001}\n"),
    "keys of many paths": ("wrong-value", HEAD + URL + f"dedupe: {{by: {['event.id'] * 33}}}\n"),
    "ids of many paths": ("wrong-value", HEAD + URL + f"idempotency: {{by: {['event.id'] * 33}}}\n"),
    "hundreds of headers": (
        "wrong-value",
        HEAD + URL + "  headers:\n" + "".join(f"    H{number}: x\n" for number in range(201)),
    ),
    "signatures without end": (
        "wrong-value",
        HEAD + URL + f"  signature: {{standard_webhooks: {{secrets: {['whsec_' + 'A' * 32] * 11}}}}}\n",
    ),
    "values without end": (
        "file-too-large",
        HEAD.replace("{e", "{where: [{event.properties.n: {in: [" + "1," * 20_000 + "]}}], e") + URL,
    ),
    "a line end beside a secret in a header": (
        "header-value",
        HEAD + URL + '  headers: {X: "a\\n${KEY:-k}"}\n',
    ),
    "a letter that no header holds beside a template": (
        "header-value",
        HEAD + URL + "  headers: {X: 'ü {{ event.id }}'}\n",
    ),
    "a secret in a key": ("template-in-key", HEAD + URL + "  body: {'${KEY}': 1}\n"),
    "a template as a credential": (
        "no-template",
        HEAD + URL + "  auth: {bearer: {token: '{{ user.properties.token }}'}}\n",
    ),
    "a placeholder in the default of a setting": (
        "placeholder",
        HEAD + 'vars: {x: {setting: "${X:-${Y}}"}}\n' + URL,
    ),
    "a placeholder in the default of a secret": (
        "placeholder",
        HEAD + URL + "  headers: {X: '${X:-${Y}}'}\n",
    ),
    "a branch that is never a form": (
        "body",
        HEAD + URL + "  encoding: form\n  body: {$if: {event.id: x}, $then: [1], $else: {a: 1}}\n",
    ),
    "an empty list of labels": ("empty-condition", HEAD.replace("]}", "], where: [{label: []}]}") + URL),
    "a batch of forms": ("batch", HEAD + URL + "  encoding: form\n  body: {a: 1}\ndelivery: {batch: {}}\n"),
}


@pytest.mark.parametrize(("code", "text"), NEWLY_REFUSED.values(), ids=NEWLY_REFUSED)
def test_a_newly_refused_form_is_an_error_in_files_and_none_in_a_stored_version(code: str, text: str) -> None:
    config = ConfigText({"webhooks/a.yaml": text}, {"X": "x"})
    as_files = compile_config(config, secrets=Secrets({}))
    assert [found.code for found in as_files.findings if not found.warning] == [code]
    assert as_files.snapshot is None
    stored = compile_config(ConfigText.from_bytes(config.to_bytes()), secrets=None, stored=True)
    assert stored.findings == []
    assert stored.require().hash == config.hash
