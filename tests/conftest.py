"""Shared by all tests."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator
from pathlib import Path

import lmdb
import pytest
from hypothesis import settings
from xdist.remote import Producer

from pipeline.decode.framed.schemas import SCHEMAS
from pipeline.receiver.server import Receiver
from tests.kit.examples import examples
from tests.kit.machine.powercut import unfsynced as unfsynced
from tests.kit.programs.run import Bench
from tests.kit.schedule import Units, import_share, in_order

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that starts the tests in the background lets them ignore Ctrl-C; what they start must not.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Examples are compared, not timed: a busy machine must not fail them.
settings.register_profile("hookline", deadline=None, max_examples=examples(100))
settings.load_profile("hookline")


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Collect fast: without looks for garbage, then or later, in what stays until the end."""
    gc.disable()
    worker = getattr(session.config, "workerinput", None)
    if worker and session.config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        import_share(int(worker["workerid"][2:]), worker["workercount"])
    result = yield
    gc.freeze()
    gc.enable()
    return result


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what takes long come first."""
    items[:] = in_order(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Units:
    """Keep the tests of a file together."""
    config.option.loadscopereorder = False
    return Units(config, log)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name cases by what is the same in every process: packed bytes hold a time, objects an address."""
    changes = isinstance(val, bytes) and not val.isascii()
    return argname if changes or (isinstance(val, str) and " at 0x" in val) else None


@pytest.fixture(autouse=True)
def _no_schemas() -> Iterator[None]:
    """Forget the schemas of registries: a test's registry may have the address of another one's."""
    yield
    SCHEMAS.forget()


@pytest.fixture(scope="module")
def unsynced() -> Iterator[None]:
    """Let commits skip the disk's sync: nothing here cuts the power, and a busy disk makes minutes of it."""
    opened = lmdb.open
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lmdb, "open", lambda *args, **more: opened(*args, **{"sync": False} | more))
        yield


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A real receiver on a port of its own; it answers 200 until a test says otherwise."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def bench(tmp_path: Path, receiver: Receiver) -> Bench:
    """A bench with one webhook, `w`, for every event."""
    bench = Bench(tmp_path)
    bench.webhook("w", receiver.url("/w"))
    return bench
