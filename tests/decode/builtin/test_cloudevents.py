from __future__ import annotations

from typing import Any, ClassVar

import orjson
import pytest

from pipeline.decode.decode import OUR_FAULT, decode
from tests.decode.reading import HERE, one, reason


class TestCloudEvents:
    STRUCTURED: ClassVar[dict[str, Any]] = {
        "specversion": "1.0",
        "type": "com.example.someevent",
        "time": "2026-11-23T12:00:00Z",
        "id": "1234",
        "source": "/mycontext",
        "datacontenttype": "application/json",
        "comexample": "x",
        "data": {"message": "Hello"},
    }

    def test_structured_and_binary_are_the_same_event(self) -> None:
        headers = [
            (f"ce_{key}", str(value).encode()) for key, value in self.STRUCTURED.items() if key != "data"
        ]
        headers = [item for item in headers if item[0] != "ce_datacontenttype"]
        headers.append(("content-type", b"application/json"))
        binary = decode(b'{"message": "Hello"}', origin=HERE, headers=headers)
        assert [one(self.STRUCTURED)] == binary
        assert one(self.STRUCTURED).context == {"datacontenttype": "application/json", "comexample": "x"}

    def test_the_content_type_of_an_event_means_structured_whatever_else_the_headers_say(self) -> None:
        headers = [("ce_specversion", b"1.0"), ("ce_type", b"routed"), ("ce_source", b"/x"), ("ce_id", b"9")]
        structured = [*headers, ("content-type", b"application/cloudevents+json; charset=UTF-8")]
        raw = orjson.dumps(self.STRUCTURED)
        assert decode(raw, origin=HERE, headers=structured) == [one(self.STRUCTURED)]

    def test_the_subject_is_the_user_unless_the_data_names_one(self) -> None:
        assert one({**self.STRUCTURED, "subject": "s"}).user_id == "s"
        assert one({**self.STRUCTURED, "subject": "s", "data": {"userId": 4}}).user_id == "4"
        assert one(self.STRUCTURED).anonymous_id == "/mycontext"
        known = one({**self.STRUCTURED, "subject": "s", "anonymousid": "a"})
        assert (known.user_id, known.anonymous_id) == ("s", "a")
        assert "names no user" in reason({**self.STRUCTURED, "source": None})

    def test_without_a_time_it_is_of_when_it_was_received(self) -> None:
        assert one({**self.STRUCTURED, "time": None}, received_at=5).time == 5
        assert one(self.STRUCTURED, received_at=5).time != 5

    def test_data_of_any_kind_is_kept(self) -> None:
        assert one({**self.STRUCTURED, "data": [1]}).properties == {"data": [1]}
        packed = {**self.STRUCTURED, "data": None, "data_base64": "eyJhIjoxfQ=="}
        assert one(packed).properties == {"a": 1}
        assert one({**packed, "datacontenttype": "text/plain"}).properties == {"data": '{"a":1}'}

    def test_what_has_no_version_is_told_what_it_looks_like(self) -> None:
        assert reason({"type": "x"}, format="cloudevents") == "this is no CloudEvent, it has no `specversion`"
        native = {"type": "event", "name": "A", "user_id": "u1"}
        assert "`format: native`" in reason(native, format="cloudevents")

    @pytest.mark.parametrize(
        "change",
        [
            {"specversion": "2.0"},
            {"type": None},
            {"data_base64": "%"},
            {"data_base64": "é"},
            {"data_base64": 5},
        ],
    )
    def test_a_broken_one_is_invalid(self, change: dict[str, Any]) -> None:
        assert not reason({**self.STRUCTURED, **change}).startswith(OUR_FAULT)
