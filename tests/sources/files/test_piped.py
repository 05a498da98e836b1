"""Standard input, read as it comes and known again."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipeline.model.errors import StateError
from pipeline.sources.files.recording import Recording
from tests.sources.files.reads import read_all


@pytest.fixture
def stdin() -> Iterator[Callable[[], int]]:
    """Return a function that makes a fresh pipe standard input, and returns its writing end."""
    saved = os.dup(0)
    writers: list[int] = []

    def renew() -> int:
        reading, writing = os.pipe()
        os.dup2(reading, 0)
        os.close(reading)
        writers.append(writing)
        return writing

    yield renew
    os.dup2(saved, 0)
    os.close(saved)
    for writing in writers:
        try:
            os.close(writing)
        except OSError:
            pass  # the test closed it: that is how a stream ends


def piped(stdin: Callable[[], int], text: bytes, **given: Any) -> Recording:
    writing = stdin()
    os.write(writing, text)
    os.close(writing)
    return Recording(["-"], **given)


def test_standard_input_is_read_as_it_comes_and_never_waited_for(stdin: Callable[[], int]) -> None:
    writing = stdin()
    recording = Recording(["-"])
    assert recording.read(10) is None
    os.write(writing, b"one\ntw")
    chunk = recording.read(10)
    assert chunk is not None
    assert chunk.lines == [b"one"]
    assert recording.read(10) is None
    assert not recording.done
    os.write(writing, b"o")
    os.close(writing)
    chunk = recording.read(10)
    assert chunk is not None
    assert chunk.lines == [b"two"]
    assert chunk.offsets == [4]
    assert recording.read(10) is None
    assert recording.done
    recording.close()


def test_the_same_stream_piped_again_goes_on_where_it_stopped(stdin: Callable[[], int]) -> None:
    text = b"one\ntwo\nthree\nfour"
    run = piped(stdin, text)
    assert len(read_all(run)) == 4
    again = piped(stdin, text, resume=run.position)
    assert read_all(again) == []
    assert again.done
    run = piped(stdin, text)
    chunk = run.read(2)
    assert chunk is not None
    run.close()
    rest = read_all(piped(stdin, text, resume=chunk.position))
    assert [(at, line) for _, at, line in rest] == [(8, b"three"), (14, b"four")]


def test_another_stream_is_another_source_and_starts_at_its_beginning(stdin: Callable[[], int]) -> None:
    run = piped(stdin, b"one\ntwo\n")
    first = read_all(run)
    second = read_all(piped(stdin, b"uno\ntwo\n", resume=run.position))
    assert [(at, line) for _, at, line in second] == [(0, b"uno"), (4, b"two")]
    assert {name for name, _, _ in first}.isdisjoint({name for name, _, _ in second})


def test_a_stream_that_only_begins_alike_is_refused(stdin: Callable[[], int]) -> None:
    run = piped(stdin, b"one\ntwo\n")
    read_all(run)
    for other in (b"one\nowt\nthree\n", b"one\n"):
        with pytest.raises(StateError, match="but is another one: save it to a file"):
            read_all(piped(stdin, other, resume=run.position))


def test_a_compressed_stream_is_read_too(stdin: Callable[[], int]) -> None:
    assert [line for _, _, line in read_all(piped(stdin, gzip.compress(b"one\ntwo\n")))] == [b"one", b"two"]
