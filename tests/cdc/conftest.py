"""The long form, by ``make cdc``: a chain of real parts takes half a minute to start."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name == "cdc":
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.timeout(600))
