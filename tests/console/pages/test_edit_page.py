"""New Webhook and Edit, as a browser without scripts sends them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.kit.samples import ROOT
from tests.kit.visit import Visitor, console_at


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("edit") / "config"
    shutil.copytree(ROOT / "config", folder)
    return folder


@pytest.fixture(scope="module")
def ann(config: Path) -> Visitor:
    with console_at(config, config.parent / "state") as visitor:
        yield visitor


def test_every_webhook_is_opened(ann: Visitor, config: Path):
    page = ann.get("/webhooks/new")
    assert page.status == 200, page.text
    for name in ("big-purchase", "welcome", "plan-changed", "lake", "pricing-interest"):
        page = ann.get(f"/webhooks/{name}/edit")
        assert page.status == 200, (name, page.text)
