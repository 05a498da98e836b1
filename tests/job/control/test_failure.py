"""The first failure of a step is kept; Bytewax may lose it."""

from __future__ import annotations

import pytest

from pipeline.job.control.failure import Failure
from pipeline.model.errors import Fatal


def test_the_first_failure_is_the_cause_and_every_one_goes_on() -> None:
    failure = Failure()
    for error in (Fatal("the cause"), KeyError("what came of it")):
        with pytest.raises(type(error)), failure:
            raise error
    assert str(failure.first) == "the cause"


def test_an_error_of_ours_is_a_planned_end_and_another_is_not() -> None:
    for error, planned in ((Fatal("x"), 1), (KeyError("x"), 0)):
        failure = Failure()
        ends: list[int] = []
        failure.on_planned_end = lambda ends=ends: ends.append(1)  # type: ignore[misc]  # bound now
        failure.note(error)
        assert len(ends) == planned


def test_a_stray_stop_iteration_does_not_end_the_input() -> None:
    failure = Failure()
    with pytest.raises(RuntimeError, match="StopIteration"), failure:
        next(iter(()))
    assert isinstance(failure.first, StopIteration)


def test_nothing_is_noted_where_nothing_is_raised() -> None:
    failure = Failure()
    with failure:
        pass
    assert failure.first is None


def test_what_lies_beneath_an_error_is_kept_in_its_place() -> None:
    failure = Failure()
    failure.beneath = lambda error: Fatal("the folder is gone") if isinstance(error, OSError) else None
    failure.note(FileNotFoundError(2, "No such file", "x"))
    assert str(failure.first) == "the folder is gone"
