"""The sample webhooks give exactly the requests that are expected of them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from pipeline.config.models.validate import check
from pipeline.config.models.webhooks.webhook import WebhookFile
from pipeline.config.yaml.diagnostics import Problems
from pipeline.config.yaml.loader import parse_yaml
from pipeline.language.path_syntax import EVENT_ROOTS, parse_path
from pipeline.language.paths import compile_path
from pipeline.model.errors import RenderError
from pipeline.model.records import MISSING
from pipeline.model.times import parse_time
from pipeline.render.request import compile_request
from pipeline.render.wrap import compile_wrap
from tests.kit.streams.samples import webhook_cases
from tests.render.rendering import a_user, an_event, path_equals, shown

SETTINGS = {"SLACK_PATH": "T1/B2/x", "PIXEL": "999"}


def condition(tree: Any, problems: Problems) -> Any:
    """Compile the conditions that the samples use inside bodies."""
    ((path, wanted),) = tree.items()
    if not isinstance(wanted, dict):
        return path_equals(tree, problems)
    get = compile_path(parse_path(path, (*EVENT_ROOTS, "item", "index")))
    assert wanted in ({"exists": True}, {"present": True})
    return lambda event, user, scope: get(event, user, scope) not in (MISSING, None, "")


def cases() -> list[Any]:
    return [
        pytest.param(one, id=f"{one['webhook']}-{one['case'].replace(' ', '-')}") for one in webhook_cases()
    ]


def matches(wanted: Any, got: Any) -> bool:
    """Compare; where `{{ event }}` or `{{ user }}` is the value, only the keys given count."""
    if isinstance(wanted, dict) and isinstance(got, dict) and {"id", "properties"} <= got.keys():
        return all(matches(value, got.get(key)) for key, value in wanted.items())
    if isinstance(wanted, dict) and isinstance(got, dict):
        return wanted.keys() == got.keys() and all(matches(value, got[key]) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(got, list):
        return len(wanted) == len(got) and all(map(matches, wanted, got))
    return type(wanted) is type(got) and bool(wanted == got)


@pytest.mark.parametrize("case", cases())
def test_a_sample_webhook_gives_the_expected_request(case: dict[str, Any]) -> None:
    file = f"webhooks/{case['webhook']}.yaml"
    document = parse_yaml(case["file"].read_text(), file)
    assert document.root is not None
    webhook = document.root.value
    if "no_match" in case["expect"]:
        return  # the trigger's business
    problems = Problems()
    model = check(WebhookFile, webhook, problems, what="a webhook")
    assert model is not None
    template = compile_request(
        model.request,
        vars=model.vars,
        condition=condition,
        settings=SETTINGS,
        secrets=None,
        problems=problems.at("request"),
        file=file,
    )
    assert not problems.found
    seen = case["event"]
    event = an_event(
        seen["properties"],
        **{name: seen[name] for name in ("id", "name", "kind", "source", "user_id", "context")},
        time=parse_time(seen["time"]),
    )
    user = a_user(
        case["user"]["properties"],
        id=case["user"]["id"],
        identified=case["user"]["identified"],
        before=case.get("before"),
    )
    expect = case["expect"]
    if "dead_letter" in expect:
        with pytest.raises(RenderError, match=expect["dead_letter"]):
            template.render(event, user)
        return
    request = template.render(event, user)
    batch = model.delivery.batch
    if batch is not None and batch.wrap is not None:
        wrap = compile_wrap(batch, vars={}, problems=problems, file=file)
        assert not problems.found
        request = type(request)(request.method, request.url, request.headers, wrap([request.body]))
    request = shown(request)
    assert (request.method, request.url) == (expect["method"], expect["url"])
    if isinstance(expect["body"], str):
        assert request.body.decode() == expect["body"]
    else:
        got = orjson.loads(request.body)
        assert matches(expect["body"], got), got
