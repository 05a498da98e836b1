"""What librdkafka reports about its connections: whether brokers answer, reject us or are away, and why.

Its clients are made with ``{"error_cb": reachability.failed, "logger": reachability.messages}``.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Protocol

from pipeline.telemetry import log as logging
from pipeline.telemetry.happenings import BROKERS_BACK, BROKERS_REFUSE, BROKERS_UNREACHABLE

log = logging.get(__name__)

REMEDIES = {
    "_AUTHENTICATION": "check `security.protocol` and `sasl.*` in `settings`",
    "_SSL": "check `security.protocol` and `ssl.*` in `settings`",
}
"""What to check where a broker, or its certificate's verification, refuses us. Waiting does not help."""
_ADVERTISED = re.compile(r"(?:\w+://)?([^\s/]+:\d+)/\d+: ")
"""How librdkafka names a broker at an advertised address, as opposed to a bootstrap address."""
_ALERT = "SSL alert number"
"""OpenSSL's text for a broker's rejection of our certificate; librdkafka reports a lost connection."""


class BrokerError(Protocol):
    """The used part of confluent_kafka.KafkaError."""

    def name(self) -> str:
        """Return the name of its code."""

    def str(self) -> str:
        """Return what happened, in words."""


class Known(NamedTuple):
    """How often the brokers had answered, and disappeared, at some moment."""

    answers: int
    outages: int


class Messages:
    """librdkafka's own log lines, which would otherwise go to stderr: for developers only."""

    def __init__(self, reachability: Reachability) -> None:
        self._reachability = reachability

    def log(self, level: int, text: str, *arguments: object) -> None:
        """Take a line, as ``logging.Logger.log`` would."""
        log.debug("librdkafka", line=text % arguments if arguments else text)
        if arguments and arguments[0] == "FAIL":
            self._reachability.disconnected(str(arguments[-1]))


class Reachability:
    """Tracks whether brokers answer: one log line when they disappear, one when they are back.

    Brokers that refuse us before any has answered are not logged: whoever asks raises the refusal.
    """

    def __init__(self, brokers: str) -> None:
        self.brokers = brokers
        self.down = False
        self.messages = Messages(self)
        self.refusal = ""
        """Why the brokers refuse us, with what to check; "" while they do not."""
        self.answers = self.outages = 0
        """How often they have answered, and disappeared."""
        self._refuse = False
        self._answered = False
        self._reason = ""
        self._disconnected = ""

    def failed(self, error: BrokerError) -> None:
        """librdkafka's ``error_cb``; called from any thread."""
        name, text = error.name(), error.str()
        if name != "_ALL_BROKERS_DOWN":
            self._reason = text
            remedy = REMEDIES["_SSL"] if _ALERT in text else REMEDIES.get(name)
            if remedy is not None:
                self.refusal = f"{text}; {remedy}"
        if name == "_ALL_BROKERS_DOWN" or self.refusal:
            self._gone()

    def unanswered(self, asked: Known, secs: float) -> None:
        """A request was not answered for a long time. Dead connections stay open: librdkafka needs a minute
        to give them up.

        asked: `known` at the request; if others were answered since, the brokers are there.
        """
        if asked.answers == self.answers:
            self._reason = f"no answer within {secs:g} s"
            self._gone()

    def _gone(self) -> None:
        if self.refusal and not self._answered:
            return
        # Those that were away may be back and refuse us: that needs another remedy.
        if self.down and (self._refuse or not self.refusal):
            return
        self.outages += not self.down
        self.down, self._refuse = True, bool(self.refusal)
        happening = BROKERS_REFUSE if self.refusal else BROKERS_UNREACHABLE
        happening.happened(log, brokers=self.brokers, reason=self.reason)

    def disconnected(self, line: str) -> None:
        """librdkafka logged that a connection was lost; not every such line becomes an error."""
        self._disconnected = line.partition("]: ")[2] or line

    @property
    def known(self) -> Known:
        """A snapshot to take with a request whose answer is examined later."""
        return Known(self.answers, self.outages)

    def answered(self, asked: Known | None = None) -> None:
        """A broker answered.

        asked: `known` at the request: an answer from before they disappeared tells nothing about now.
        """
        if asked is not None and asked.outages != self.outages:
            return
        self.answers += 1
        self._answered, self._refuse = True, False
        self.refusal = ""
        if self.down:
            self.down = False
            BROKERS_BACK.happened(log, brokers=self.brokers)

    @property
    def reason(self) -> str:
        """Why the brokers cannot be reached, as far as is known."""
        if self.refusal:
            return self.refusal
        reason = self._reason or self._disconnected or "no answer"
        found = _ADVERTISED.match(reason)
        if found is not None and not self._answered and found[1] not in self.brokers.split(","):
            return (
                f"{reason}; a broker was reached, and calls itself {found[1]} (its `advertised.listeners`): "
                "that must be an address that is reachable from here"
            )
        if self._reason or self._answered or not self._disconnected:
            return reason
        # A broker does this to clients that speak another protocol than its listener.
        return f"{self._disconnected}; the listener may want another `security.protocol` in `settings`"
