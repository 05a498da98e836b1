"""How much is under way in all, and who waits."""

from __future__ import annotations

from pipeline.collect.http.gate import Gate


class Guest:
    def __init__(self, gate: Gate, size: int) -> None:
        self.gate, self.size = gate, size
        self.inside = False
        self.told: int | None = None

    def arrive(self) -> Guest:
        self.gate.inside += self.size
        self.inside = True
        if self.gate.inside > self.gate.limit:
            self.inside = False
            self.gate.wait(self, self.size)
        return self

    def enter(self) -> None:
        self.inside = True

    def turned_away(self, retry_secs: int) -> None:
        self.told = retry_secs
        self.gate.give_up(self)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_does_not_fit_waits_and_enters_in_its_order():
    gate = Gate(100, Clock())
    first, second, third = Guest(gate, 60).arrive(), Guest(gate, 60).arrive(), Guest(gate, 30).arrive()
    assert (first.inside, second.inside, third.inside) == (True, False, True)
    fourth = Guest(gate, 20).arrive()
    gate.leave(30)
    assert not second.inside
    gate.leave(60)
    assert second.inside
    assert fourth.inside
    assert gate.inside == 80
    assert gate.waiting == 0


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
