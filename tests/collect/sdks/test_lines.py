"""The lines that docs/collect.md gives to paste, run as they stand there: the event of each is recorded."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

from tests.collect.sdks import parts
from tests.collect.sdks.clients import environment, had
from tests.collect.sdks.site import NO_ROBOT, PERSON, site
from tests.kit.collector import Collector
from tests.kit.streams.samples import ROOT
from tests.kit.web.console import browser

DOCS = (ROOT / "docs" / "collect.md").read_text()
LINES = dict(re.findall(r"^\| ([^|`]+) \| `([^`]+)`", DOCS, re.MULTILINE))
"""What is in the first column of a table -> the first code in its second one."""

PYTHON = {
    "Segment, Python": (
        "import segment.analytics as analytics",
        "analytics.track('u1', NAME); analytics.shutdown()",
    ),
    "RudderStack, Python": (
        "import rudderstack.analytics as rudder_analytics",
        "rudder_analytics.track('u1', NAME); rudder_analytics.shutdown()",
    ),
    "PostHog, Python": ("from posthog import Posthog", "it.capture(NAME, distinct_id='u1'); it.shutdown()"),
    "Mixpanel, Python": ("from mixpanel import Consumer, Mixpanel", "it.track('u1', NAME)"),
    "Amplitude, Python": (
        "from amplitude import Amplitude, BaseEvent",
        "a.track(BaseEvent(NAME, user_id='user-1')); [one.result(20) for one in a.flush()]; a.shutdown()",
    ),
}
"""What a program says before and after a line; `it` is what the line yields."""
NODE = {
    "Segment, Node": (
        "const { Analytics } = require('@segment/analytics-node')",
        "it.track({ userId: 'u1', event: NAME }); await it.closeAndFlush()",
    ),
    "RudderStack, Node": (
        "const given = require('@rudderstack/rudder-sdk-node'), RudderAnalytics = given.default ?? given",
        "it.track({ userId: 'u1', event: NAME }); await it.flush()",
    ),
    "PostHog, Node": (
        "const { PostHog } = require('posthog-node')",
        "it.capture({ distinctId: 'u1', event: NAME }); await it.shutdown()",
    ),
    "Jitsu": (
        "const { jitsuAnalytics } = require('@jitsu/js')",
        "await it.identify('u1'); await it.track(NAME)",
    ),
    "CloudEvents, Node": (
        "const { CloudEvent, emitterFor, httpTransport } = require('cloudevents')",
        "await it(new CloudEvent({ type: 'A', source: '/shop', subject: 'u1', data: { name: NAME } }), "
        "{ headers: { authorization: 'Bearer wk' } })",
    ),
}
PAGE = {
    "Segment, browser (analytics-next)": (
        "@segment/analytics-next/dist/umd/index.js",
        "const { AnalyticsBrowser } = AnalyticsNext",
        "it.track(NAME)",
    ),
    "PostHog, browser": ("posthog-js/dist/array.full.js", "", "posthog.capture(NAME)"),
    "Mixpanel, browser": ("mixpanel-browser/dist/mixpanel.umd.js", "", "mixpanel.track(NAME)"),
    "Amplitude, browser": (
        "@amplitude/analytics-browser/lib/scripts/amplitude-min.umd.js",
        "",
        "amplitude.track(NAME)",
    ),
}
"""The same, after the file that a page loads."""
OWN_KEYS = ("Mixpanel", "Amplitude")
"""Their protocols are those of keys that name them."""


def line_of(name: str, key: str = "wk") -> str:
    """Return a line, with its key in place of `wk`."""
    party = name.partition(",")[0]
    own = f"{key}_{party.lower()}" if party in OWN_KEYS else key
    return LINES[name].replace('"wk"', f'"{own}"')


def python_program(url: str) -> str:
    """Return a program that runs the lines of Python."""
    told = [f"U = {url!r}"]
    for name, (before, after) in PYTHON.items():
        line = line_of(name)
        told += [
            before,
            line if re.match(r"[\w.]+ = ", line) else f"it = {line}",
            after.replace("NAME", repr(name)),
        ]
    return "\n".join(told)


def node_program(url: str) -> str:
    """Return a program that runs the lines of Node."""
    told = [f"const U = {url!r}"]
    for name, (before, after) in NODE.items():
        told.append(f"{{ {before}\nconst it = {line_of(name)}\n{after.replace('NAME', repr(name))} }}")
    return "(async () => {" + "\n".join(told) + "})().catch((e) => { console.error(e); process.exit(1) })"


def page(url: str) -> str:
    """Return a page with all lines of pages; what stands for an address is exchanged in Segment's."""
    loaded = "".join(f'<script src="/node_modules/{file}"></script>' for file, _, _ in PAGE.values())
    told = [f"const U = {url!r}"]
    for name, (_, before, after) in PAGE.items():
        line = line_of(name, "wk_page").replace("events.shop.example", url.removeprefix("http://"))
        line = line.replace('"https"', '"http"')
        told.append(f"{{ {before}\nconst it = {line}\n{after.replace('NAME', repr(name))} }}")
    return f'<!doctype html><link rel="icon" href="data:,">{loaded}<script>{";".join(told)}</script>'


def ran(*command: object, language: str = "py") -> None:
    """Run a program that ends well."""
    done = subprocess.run(
        [*map(str, command)], env=environment(language), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr[-3000:]


def texts(value: Any) -> set[str]:
    """Return all texts of recorded JSON."""
    if isinstance(value, dict):
        return set().union(*map(texts, value.values()))
    return {value} if isinstance(value, str) else set()


def test_each_line_to_paste_works_as_it_stands_in_the_docs(tmp_path: Path):
    shown = re.findall(
        r"^\| ([^|`]+) \|", DOCS.partition("| SDK | line |")[2].partition("\n\n")[0], re.MULTILINE
    )
    wanted = {*PYTHON, *NODE, *PAGE}
    assert {*shown} == {*wanted, "anything"}, (
        "a line of the docs that nothing runs here, or none that is there"
    )
    keys = {
        "server": "{key: wk}",
        "page": '{key: wk_page, origins: ["*"]}',
        "jitsu": "{key: 'wk:secret'}",
    }
    for party in map(str.lower, OWN_KEYS):
        keys[f"server_{party}"] = f"{{key: wk_{party}, protocols: [{party}]}}"
        keys[f"page_{party}"] = f'{{key: wk_page_{party}, origins: ["*"], protocols: [{party}]}}'
    file = tmp_path / "page.html"
    with Collector(tmp_path, keys=keys) as collector, site(had(parts.node_modules), file) as origin:

        def missing() -> set[str]:
            return wanted - {text for line in collector.lines() for text in texts(line["value"])}

        ran(had(parts.python), "-c", python_program(collector.url))
        ran("node", "-e", node_program(collector.url), language="node")
        ran("sh", "-c", LINES["anything"].replace("curl U", f"curl -sf {collector.url}"))
        assert missing() == {*PAGE}
        file.write_text(page(collector.url))
        with browser() as chromium:
            visit = chromium.new_context(user_agent=PERSON).new_page()
            visit.add_init_script(NO_ROBOT)
            errors: list[str] = []
            visit.on("pageerror", lambda error: errors.append(str(error)))
            visit.goto(origin)
            # What is queued is sent after up to ten seconds, or when the page is left.
            while missing() and not errors:
                visit.wait_for_timeout(50)
        assert errors == []
