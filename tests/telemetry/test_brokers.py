"""What is said about brokers that go, come back, or refuse us."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from pipeline.kafka.brokers import Reachability
from pipeline.telemetry import metrics


@dataclass
class Said:
    """An error of librdkafka."""

    code: str
    text: str

    def name(self) -> str:
        return self.code

    def str(self) -> str:
        return self.text


DOWN = Said("_ALL_BROKERS_DOWN", "1/1 brokers are down")
CLOSED = Said("_TRANSPORT", "k:9092/bootstrap: Connect to ipv4#10.0.0.1:9092 failed: Connection refused")
WRONG = Said("_AUTHENTICATION", "k:9092: SASL authentication error: Invalid username or password")
ALERT = Said("_TRANSPORT", "k:9092: Receive failed: tls alert bad certificate: SSL alert number 42")


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelname != "DEBUG"]


def test_an_outage_is_told_once_with_its_reason_and_once_when_it_is_over(caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    brokers = Reachability("k:9092")
    for _ in range(3):
        brokers.failed(CLOSED)
        brokers.failed(DOWN)
    assert said(caplog) == ["Kafka is unreachable, trying again"]
    assert "refused" in brokers.reason
    assert brokers.refusal == "", "a port that is closed may open"
    brokers.answered()
    assert said(caplog)[1:] == ["Kafka is reachable again"]
    assert metrics.read("source_unreachable") == 0


@pytest.mark.parametrize(("error", "look_at"), [(WRONG, "`sasl.*`"), (ALERT, "`ssl.*`")])
def test_a_refusal_at_the_start_is_left_to_whoever_asked(
    caplog: pytest.LogCaptureFixture, error: Said, look_at: str
):
    brokers = Reachability("k:9092")
    brokers.failed(error)
    brokers.failed(DOWN)
    assert said(caplog) == []
    assert brokers.refusal.startswith(error.text)
    assert look_at in brokers.refusal


def test_a_refusal_of_a_running_job_is_told_and_waited_out(caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    brokers = Reachability("k:9092")
    brokers.answered()
    brokers.failed(WRONG)
    brokers.failed(DOWN)
    assert said(caplog) == ["Kafka refuses us, trying again"]
    brokers.answered()
    assert (said(caplog)[1:], brokers.refusal) == (["Kafka is reachable again"], "")


def test_brokers_that_come_back_and_refuse_us_are_told_as_that(caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    brokers = Reachability("k:9092")
    brokers.answered()
    brokers.failed(CLOSED)
    brokers.failed(DOWN)
    for _ in range(3):
        brokers.failed(WRONG)
        brokers.failed(DOWN)
    assert said(caplog) == ["Kafka is unreachable, trying again", "Kafka refuses us, trying again"]
    brokers.answered()
    brokers.failed(DOWN)
    brokers.failed(WRONG)
    assert said(caplog)[2:] == ["Kafka is reachable again", *said(caplog)[:2]]


def test_an_answer_of_before_an_outage_does_not_end_it(caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    brokers = Reachability("k:9092")
    asked = brokers.known
    brokers.failed(DOWN)
    brokers.answered(asked)
    assert brokers.down
    brokers.answered(brokers.known)
    assert not brokers.down
    assert said(caplog) == ["Kafka is unreachable, trying again", "Kafka is reachable again"]


def test_brokers_that_are_silent_are_told_unless_another_question_was_answered(
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level("INFO")
    brokers = Reachability("k:9092")
    asked = brokers.known
    brokers.answered()
    brokers.unanswered(asked, 5)
    assert not brokers.down
    for _ in range(2):
        brokers.unanswered(brokers.known, 5)
    assert (said(caplog), brokers.reason) == (["Kafka is unreachable, trying again"], "no answer within 5 s")
    brokers.answered()
    assert said(caplog)[1:] == ["Kafka is reachable again"]


@pytest.mark.parametrize("protocol", ["", "sasl_ssl://"])
def test_an_address_that_only_the_brokers_know_is_told_as_theirs(protocol: str):
    brokers = Reachability("k:9092,localhost:9092")
    brokers.failed(Said("_RESOLVE", f"{protocol}kafka:9092/1: Failed to resolve 'kafka:9092'"))
    assert "calls itself kafka:9092 (its `advertised.listeners`)" in brokers.reason
    brokers.failed(Said("_TRANSPORT", f"{protocol}k:9092/1: Connection refused"))
    assert brokers.reason.endswith("k:9092/1: Connection refused"), "we were given that one"
    brokers.failed(Said("_RESOLVE", f"{protocol}kafka:9092/bootstrap: Failed to resolve 'kafka:9092'"))
    assert "calls itself" not in brokers.reason
    brokers.answered()
    brokers.failed(Said("_TRANSPORT", f"{protocol}kafka:9092/1: Connection refused"))
    assert brokers.reason.endswith("kafka:9092/1: Connection refused"), "it was reachable"


def test_a_listener_that_hangs_up_is_told_from_the_log_of_librdkafka():
    brokers = Reachability("k:9092")
    brokers.messages.log(20, "librdkafka says hello")
    assert brokers.reason == "no answer"
    line = "[thrd:x]: k:9092/bootstrap: Disconnected: connection closed by peer (after 0ms in state UP)"
    brokers.messages.log(20, "%s [%s] %s", "FAIL", "rdkafka#producer-1", line)
    assert brokers.reason.startswith("k:9092/bootstrap: Disconnected")
    assert brokers.reason.endswith("the listener may want another `security.protocol` in `settings`")
