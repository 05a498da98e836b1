"""What PostHog's browser SDK requests when it starts, and what it sends besides events.

Nothing of it needs a key, and nothing of it is kept: it starts without an error, and finds no feature flag,
no survey and no recording to make.
"""

from __future__ import annotations

import re

import orjson

from pipeline.collect.protocols import answers
from pipeline.collect.protocols.posthog.capture import DONE, PostHog
from pipeline.collect.protocols.protocol import Cut, Malformed
from pipeline.collect.request import Answer, Request

_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Anything else has no place in a script."""
_SCRIPT = (
    "(function(){var c=window._POSTHOG_REMOTE_CONFIG=window._POSTHOG_REMOTE_CONFIG||{};"
    "c[%s]={config:%s,siteApps:[]}})();"
)
_COMPRESSION = ["gzip", "gzip-js"]

CONFIG = answers.as_json(
    200,
    {
        "supportedCompression": _COMPRESSION,
        "hasFeatureFlags": False,
        "autocapture_opt_out": False,
        "sessionRecording": False,
        "surveys": False,
        "heatmaps": False,
        "capturePerformance": False,
        "captureDeadClicks": False,
        "defaultIdentifiedOnly": True,
        "analytics": {"endpoint": "/e/"},
        "siteApps": [],
    },
)
FLAGS = answers.as_json(
    200,
    {
        "flags": {},
        "featureFlags": {},
        "featureFlagPayloads": {},
        "errorsWhileComputingFlags": False,
        "requestId": "0",
        "supportedCompression": _COMPRESSION,
        "sessionRecording": False,
        "siteApps": [],
    },
)
NOTHING = answers.as_json(200, {})
SURVEYS = answers.as_json(200, {"surveys": []})


class Plumbing(PostHog):
    """Answers that are always the same."""

    def config(self, request: Request, key: str) -> Cut:
        """Answer what the SDK may do."""
        return self._always(CONFIG)

    def script(self, request: Request, key: str) -> Cut:
        """Answer the same as the script that the page's snippet loads. Raises Malformed."""
        if not _KEY.fullmatch(key):
            return self.unserved(request, key)
        text = _SCRIPT % (orjson.dumps(key).decode(), CONFIG.body.decode())
        return self._always(Answer(200, text.encode(), "application/javascript"))

    def flags(self, request: Request, says: str) -> Cut:
        """Answer that there is no feature flag."""
        return self._always(FLAGS)

    def surveys(self, request: Request, says: str) -> Cut:
        """Answer that there is no survey."""
        return self._always(SURVEYS)

    def thrown_away(self, request: Request, says: str) -> Cut:
        """Answer to replays, which are not kept."""
        return self._always(DONE)

    def telemetry(self, request: Request, says: str) -> Cut:
        """Answer to logs, metrics and traces, which are not kept."""
        return self._always(NOTHING)

    def unserved(self, request: Request, says: str) -> Cut:
        """Refuse scripts: the page has its own. Raises Malformed."""
        raise Malformed("no script is served here: bundle posthog-js with the page", 404)

    def _always(self, answer: Answer) -> Cut:
        return Cut(self, None, answer=answer)
