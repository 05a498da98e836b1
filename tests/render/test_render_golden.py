"""Whole requests, byte for byte: a diff in tests/render/golden is reviewed like code."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config.yaml.loader import parse_yaml
from pipeline.language.secrets import Secrets
from tests.render.rendering import a_user, an_event, rendered, shown

FOLDER = Path(__file__).resolve().parent / "golden"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_golden_request_has_not_changed(path: Path) -> None:
    root = parse_yaml(path.read_text(), path.name).root
    assert root is not None
    case = root.value
    request = shown(
        rendered(
            case["request"],
            an_event(case["event"]),
            a_user(case["user"]),
            vars=case.get("vars", {}),
            settings=case.get("settings", {}),
            secrets=Secrets({"HOOK": "T1/B2", "TOKEN": "t"}),
        )
    )
    assert {
        "method": request.method,
        "url": request.url,
        "headers": dict(request.headers),
        "body": request.body.decode(),
    } == case["expect"]


def test_there_are_golden_requests() -> None:
    assert len(list(FOLDER.glob("*.yaml"))) >= 5
