"""Paths that several protocols share: /track, /engage, /batch, and Heap's /api/v1/identify.

PostHog is meant, unless the key's `protocols` name another one; where they name both, the body tells. Jitsu's
SDK posts to /batch as well, with its own header.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from pipeline.collect.protocols.amplitude import Amplitude
from pipeline.collect.protocols.amplitude import is_one as looks_like_amplitude
from pipeline.collect.protocols.heap import Heap
from pipeline.collect.protocols.mixpanel import Mixpanel
from pipeline.collect.protocols.mixpanel import is_one as looks_like_mixpanel
from pipeline.collect.protocols.packed import forms
from pipeline.collect.protocols.posthog.capture import PostHog
from pipeline.collect.protocols.protocol import Cut, Protocol, Settings
from pipeline.collect.protocols.segment import Jitsu, Segment
from pipeline.collect.request import Request

Speaks = Callable[[str | None], Collection[str] | None]
"""A credential -> the protocols that its key names; None where the key is unknown or names none."""


class SharedPaths(PostHog):
    """PostHog's paths, some of whose requests are another protocol's."""

    def __init__(
        self, settings: Settings, mixpanel: Mixpanel, amplitude: Amplitude, jitsu: Jitsu, speaks: Speaks
    ) -> None:
        super().__init__(settings)
        self._heap = Heap(settings)
        self._segment = Segment(settings)
        self._mixpanel = mixpanel
        self._amplitude = amplitude
        self._jitsu = jitsu
        self._speaks = speaks

    def track(self, request: Request, says: str) -> Cut:
        """Return PostHog's events, or Mixpanel's events and people. Raises Malformed."""
        text, beside = forms.read(request, self.settings.limits)
        found = self.cut_text(request, text, beside, "$identify" if says == "engage" else "")
        if self._is_others(found, self._mixpanel, lambda: looks_like_mixpanel(text)):
            return self._mixpanel.cut(request, says)
        return found

    def batch(self, request: Request, says: str) -> Cut:
        """Return PostHog's events, Amplitude's, or Jitsu's calls. Raises Malformed."""
        if "x-write-key" in request.headers:
            return self._jitsu.cut(request, "")
        text, beside = forms.read(request, self.settings.limits)
        found = self.cut_text(request, text, beside, "")
        if self._is_others(found, self._amplitude, lambda: looks_like_amplitude(text)):
            return self._amplitude.cut_text(request, text, beside, "")
        return found

    def identify(self, request: Request, says: str) -> Cut:
        """Return Heap's call; Segment's where an `/api` stands before its path. Raises Malformed."""
        found = self._heap.cut(request, says)
        return self._segment.cut(request, says) if found.credential is None else found

    def _is_others(self, found: Cut, other: Protocol, looks_so: Callable[[], bool]) -> bool:
        named = self._speaks(found.credential) or ()
        return other.name in named and (self.name not in named or looks_so())
