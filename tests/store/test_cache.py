"""What a cache keeps of what is read from a store."""

from __future__ import annotations

from pipeline.store.cache import Generations


class Reads:
    """Counts what is read."""

    def __init__(self) -> None:
        self.of: list[int] = []

    def __call__(self, key: int) -> str:
        self.of.append(key)
        return f"value {key}"


def a_cache(capacity: int = 50, most: int = 1_000_000) -> Generations[int, str]:
    return Generations(capacity, most, lambda key, value: len(value))


def overflowed(read: Reads) -> Generations[int, str]:
    """Return a cache whose young became the old, and what it read is forgotten."""
    cache = a_cache()
    for key in range(1000, 1051):
        cache.again(key, read)
    read.of.clear()
    return cache


def test_all_is_kept_while_there_is_room():
    cache, read = a_cache(), Reads()
    for key in (1, 2, 3, 4):
        assert cache.again(key, read) == f"value {key}"
    assert list(cache.young) == [1, 2, 3, 4]


def test_what_is_read_once_pushes_nothing_out_of_a_full_cache():
    read = Reads()
    cache = overflowed(read)
    for key in range(100):
        assert cache.again(key, read) == f"value {key}"
    assert list(cache.young) == [1050]
    assert cache.again(1000, read) == "value 1000"  # an old one is still there
    assert read.of == [*range(100)]


def test_what_is_read_again_is_kept():
    read = Reads()
    cache = overflowed(read)
    for key in (7, 8, 7):
        cache.again(key, read)
    assert 7 in cache.young
    assert 8 not in cache.young


def test_what_was_read_long_ago_is_read_as_if_for_the_first_time():
    read = Reads()
    cache = overflowed(read)
    for key in (7, *range(100, 201), 7):
        cache.again(key, read)
    assert 7 not in cache.young


def test_an_old_one_that_is_asked_for_is_young_again():
    read = Reads()
    cache = overflowed(read)
    cache.again(1001, read)
    assert 1001 in cache.young
    assert read.of == []


def test_what_is_heavy_makes_the_young_old():
    cache, read = a_cache(capacity=100, most=20), Reads()
    for key in (1, 2, 3):
        cache.again(key, read)
    assert list(cache.young) == [3]
    assert cache.weight == len("value 3")
