"""``hookline webhook set|add|unset``, as somebody uses them who has never seen them."""

from __future__ import annotations

import pytest

BIG = """\
# of sales
id: big   # stays
trigger:
  events: [Purchase]
  where:
    - event.properties.amount: {gte: 100}  # euros
request:
  url: "https://example.com/x"
  body: {who: "{{ user.id }}"}
"""


@pytest.fixture
def config(tmp_path):
    (tmp_path / "webhooks").mkdir()
    (tmp_path / "webhooks" / "sales.yaml").write_text(BIG)
    return tmp_path


def test_one_value_changes_and_the_rest_stays(hookline, config):
    def done(*words):
        said = hookline("webhook", *words, "-c", config, "--offline")
        assert said.code == 0, said
        return said

    file = config / "webhooks" / "sales.yaml"
    shown = done("set", "big", "request.url", "https://example.com/y", "--dry-run")
    assert '-  url: "https://example.com/x"\n+  url: "https://example.com/y"\n' in shown.out
    assert file.read_text() == BIG
    done("set", "big", "request.url", "https://example.com/y")
    done("set", "big", "trigger.where[0].event.properties.amount.gte", "99.5")
    done("add", "big", "trigger.events", "Refund")
    done("set", "big", "request.body.count", "5")
    done("set", "big", "request.body.code", "5", "--text")
    done("set", "big", "delivery.retry.max_age", "1h")
    assert file.read_text() == (
        BIG.replace("/x", "/y").replace("100", "99.5").replace("[Purchase]", "[Purchase, Refund]")
        .replace('user.id }}"', 'user.id }}", count: 5, code: "5"')
        + "delivery:\n  retry: {max_age: 1h}\n"
    )  # fmt: skip
    done("unset", "big", "delivery")
    assert "delivery" not in file.read_text()
    assert "says so already" in done("set", "big", "id", "big").err
    assert "stay under that id" in done("set", "big", "id", "bigger").err


def test_what_check_would_warn_of_is_told_and_saved(hookline, config):
    path = "trigger.where[0].event.properties.amount.gte"
    said = hookline("webhook", "set", "big", path, "abc", "-c", config, "--offline")
    assert said.code == 0
    assert '"abc" is a text' in said.err
    assert "{gte: abc}" in (config / "webhooks" / "sales.yaml").read_text()
    assert '"abc" is a text' in hookline("check", "-c", config, "--offline").out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("set", "big", "requst.url", "x"), "did you mean `request`?"),
        (("set", "big", "request.ulr", "x"), "did you mean `url`?"),
        (("set", "big", "request.url.host", "x"), "`request.url` is a single value"),
        (("set", "big", "delivery.concurrency", "many"), "must be a whole number"),
        (("set", "big", "request.headers.X", "5"), 'quote it: "5"'),
        (("set", "big", "delivery.timeout", "-5"), "a duration needs a unit"),
        (("set", "big", "trigger.events", "[Purchase"), "VALUE:1"),
        (("add", "big", "request.url", "x"), "`request.url` is no list"),
        (("unset", "big", "trigger.evnts"), "did you mean `events`?"),
        (("unset", "big", "trigger.where[3]"), "there is no element 3"),
        (("unset", "big", "request.url"), "needs the field `url`"),
        (("unset", "bgi", "request.url"), "did you mean `big`?"),
        (("set", "big", "a..b", "1"), "is no path"),
    ],
)
def test_a_slip_is_told_with_its_remedy_and_writes_nothing(hookline, config, words, told):
    said = hookline("webhook", *words, "-c", config, "--offline")
    assert said.code in (1, 2)
    assert told in said.out + said.err
    assert (config / "webhooks" / "sales.yaml").read_text() == BIG


def test_json_says_what_changed(hookline, config):
    said = hookline("webhook", "set", "big", "enabled", "false", "-c", config, "--offline", "--json").json
    assert (said["file"], said["written"]) == ("webhooks/sales.yaml", True)
    assert "+enabled: false\n" in said["diff"]
