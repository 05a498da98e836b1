"""How much is under way in all, and who waits."""

from __future__ import annotations

from pipeline.collect.http.gate import Gate


class Guest:
    def __init__(self, gate: Gate, size: int, need: int | None = None, wire: int | None = None) -> None:
        self.gate, self.size = gate, size
        self.need = need or size
        self.wire = wire or self.need
        self.inside = False
        self.told: int | None = None

    def arrive(self) -> Guest:
        self.gate.inside += self.size
        self.inside = True
        if self.gate.is_shut_to(self, begins=True):
            self.inside = False
            self.gate.wait(self, self.size)
        return self

    def enter(self, room: int) -> None:
        assert room == self.need
        self.inside = True

    def turned_away(self, retry_secs: int) -> None:
        self.told = retry_secs
        self.inside = False
        self.gate.give_up(self)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_does_not_fit_waits_and_enters_in_its_order():
    gate = Gate(100, Clock())
    first, second, third = Guest(gate, 60).arrive(), Guest(gate, 60).arrive(), Guest(gate, 20).arrive()
    assert (first.inside, second.inside, third.inside) == (True, False, False)
    assert (gate.inside, gate.held) == (60, 80)
    gate.leave(60)
    assert second.inside
    assert third.inside
    assert (gate.inside, gate.held, gate.waiting) == (80, 0, 0)


def test_small_requests_have_room_of_their_own_and_do_not_wait_behind_large_ones():
    gate = Gate(1_024_000, Clock())
    large = [Guest(gate, 400_000).arrive() for _ in range(4)]
    assert [one.inside for one in large] == [True, True, False, False]
    assert not gate.full
    bomb, packed = (Guest(gate, 900, need, wire=900).arrive() for need in (900_000, 30_000))
    assert (bomb.inside, packed.inside) == (False, True)
    gate.leave(900)
    small = [Guest(gate, 1_000).arrive() for _ in range(230)]
    assert [one.inside for one in small] == [True] * 224 + [False] * 6
    assert gate.full
    gate.leave(1_000)
    assert small[224].inside
    assert not large[2].inside


def test_no_more_may_wait_than_be_inside():
    gate = Gate(64 << 20, Clock())
    Guest(gate, 64 << 20).arrive()
    large = [Guest(gate, 65_536, need=20 << 20).arrive() for _ in range(300)]
    assert gate.waiting == 256, "up to 256 KiB may be read of each"
    assert {one.told for one in large[256:]} == {5}


def test_the_room_of_a_slow_small_one_is_no_help_to_a_large_one():
    gate = Gate(1_024_000, Clock())
    Guest(gate, 896_000).arrive()
    assert not gate.is_short_of(500_000)
    Guest(gate, 100_000).arrive()
    assert (gate.is_short_of(1_000), gate.is_short_of(500_000)) == (False, True)
    for _ in range(129):
        Guest(gate, 1_000).arrive()
    assert gate.is_short_of(1_000)


def test_what_waits_is_counted_as_it_is_sent():
    gate = Gate(64 << 20, Clock())
    Guest(gate, 64 << 20).arrive()
    assert all(Guest(gate, 1_000, need=1_000_000, wire=1_000).arrive().told is None for _ in range(300))


def test_small_ones_one_after_another_keep_out_no_large_one_whatever_its_size():
    gate = Gate(1_024_000, Clock())
    Guest(gate, 1_000).arrive()
    large = Guest(gate, 950_000, need=1_900_000).arrive()
    assert not large.inside
    Guest(gate, 1_000).arrive()
    gate.leave(1_000)
    assert large.inside


def test_who_waits_enters_when_there_is_room_for_all_that_it_may_come_to():
    gate = Gate(100, Clock())
    Guest(gate, 60).arrive()
    other = Guest(gate, 20).arrive()
    half_read = Guest(gate, 20, need=80).arrive()
    assert other.inside
    gate.leave(20)
    assert not half_read.inside
    gate.leave(60)
    assert half_read.inside
    assert gate.inside == 80


def test_the_first_one_enters_whatever_its_size():
    gate = Gate(100, Clock())
    large = Guest(gate, 500).arrive()
    assert large.inside
    assert gate.inside == 500
    gate.leave(500)
    assert gate.inside == 0


def test_who_has_waited_for_long_enough_is_told_when_to_come_again():
    clock = Clock()
    gate = Gate(100, clock)
    Guest(gate, 100).arrive()
    early = Guest(gate, 50).arrive()
    clock.now += 3
    late = Guest(gate, 50).arrive()
    clock.now += 2.5
    gate.turn_away(5.0)
    assert early.told == 60, "nothing has left so far"
    assert late.told is None
    assert gate.waiting == 1


def test_when_to_come_again_is_what_waits_by_what_leaves():
    clock = Clock()
    gate = Gate(1000, clock)
    Guest(gate, 1000).arrive()
    for _ in range(20):
        gate.leave(100)
        clock.now += 1
        gate.inside += 100
        gate.retry_secs()
    assert gate.retry_secs() == 10
    gate.inside = 1
    assert gate.retry_secs() == 1
    gate.inside = 1_000_000
    assert gate.retry_secs() == 60
