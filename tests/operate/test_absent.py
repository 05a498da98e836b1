"""What a request asks for under a wrong name is told with the right one."""

from __future__ import annotations

import pytest

from pipeline.operate.trials.absent import absent
from tests.kit.streams.records import event, user

SEEN = event(properties={"amount": 5, "items": [{"sku": "a"}], "address.city": "Rome"})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{{ event.properties.Amount | plus: 1 }}", "there is `event.properties.amount`"),
        ("{% if event.properties.plan == 'pro' %}a{% endif %}", "there is `user.properties.plan`"),
        ("a {{ event.properties.address.city }}", 'there is `event.properties["address.city"]`'),
        ("{{ event.properties.items.sku }}", "`event.properties.items | map: 'sku'`"),
        ("{{ event.properties.plan | default: user.properties.plan }}", None),
        ("{{ event.properties.color }}", None),
        ("event.properties.Amount", None),
        ("{{ 'event.properties.Amount' }}", None),
        ("{{ event.properties[ }}", None),
    ],
)
def test_a_path_that_leads_to_nothing_is_told_with_what_is_near(text: str, told: str | None) -> None:
    found = absent({"body": {"a": [text]}, "query": {"b": text}}, SEEN, user({"plan": "pro"}))
    assert [str(told) in one for one in found] == [True] * (told is not None)
