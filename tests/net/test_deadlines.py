"""Deadlines on a loop whose clock the test turns by hand."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from gatepost.net.deadlines import HORIZON_SECONDS, TICK_SECONDS, Deadline, Deadlines


class Clock:
    """As much of an event loop as deadlines use."""

    def __init__(self) -> None:
        self.now = 1000.25
        self.timers: list[tuple[float, Callable[..., None], tuple[Any, ...]]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[..., None], *args: Any) -> None:
        self.timers.append((self.now + delay, callback, args))

    def turn(self, seconds: float) -> None:
        """Let time pass; timers run in order, each at its moment."""
        end = self.now + seconds
        while due := [timer for timer in self.timers if timer[0] <= end]:
            timer = min(due, key=lambda item: item[0])
            self.timers.remove(timer)
            self.now = max(self.now, timer[0])
            timer[1](*timer[2])
        self.now = end


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wheel(clock: Clock) -> Deadlines:
    return Deadlines(cast("asyncio.AbstractEventLoop", clock))


def test_expires_once_and_not_early(clock: Clock, wheel: Deadlines) -> None:
    expired: list[float] = []
    deadline = Deadline(wheel, lambda: expired.append(clock.now))
    deadline.set(10.0)
    clock.turn(10.0)
    assert expired == []
    clock.turn(2 * TICK_SECONDS)
    assert len(expired) == 1
    assert 1010.25 <= expired[0] <= 1010.25 + 2 * TICK_SECONDS
    clock.turn(100.0)
    assert len(expired) == 1


def test_a_short_one_is_exact(clock: Clock, wheel: Deadlines) -> None:
    expired: list[float] = []
    Deadline(wheel, lambda: expired.append(clock.now)).set(0.25)
    clock.turn(5.0)
    assert expired == [1000.5]


def test_zero_expires_in_the_next_turn(clock: Clock, wheel: Deadlines) -> None:
    expired: list[float] = []
    Deadline(wheel, lambda: expired.append(clock.now)).set(0.0)
    clock.turn(0.0)
    assert expired == [1000.25]


def test_cleared_never_expires(clock: Clock, wheel: Deadlines) -> None:
    expired: list[float] = []
    long, short = (Deadline(wheel, lambda: expired.append(clock.now)) for _ in range(2))
    long.set(5.0)
    short.set(0.5)
    long.clear()
    short.clear()
    clock.turn(20.0)
    assert expired == []


def test_extended_again_and_again_it_does_not_expire(clock: Clock, wheel: Deadlines) -> None:
    expired: list[float] = []
    deadline = Deadline(wheel, lambda: expired.append(clock.now))
    deadline.set(5.0)
    for _ in range(20):
        clock.turn(2.0)
        deadline.extend(5.0)
    assert expired == []
    clock.turn(8.0)
    assert len(expired) == 1


def test_moved_closer_it_expires_at_the_closer_moment_only(clock: Clock, wheel: Deadlines) -> None:
    expired: list[float] = []
    deadline = Deadline(wheel, lambda: expired.append(clock.now))
    deadline.set(1000.0)
    deadline.set(3.0)
    clock.turn(6.0)
    assert len(expired) == 1
    clock.turn(2000.0)
    assert len(expired) == 1


def test_a_stale_listing_does_not_end_a_later_deadline(clock: Clock, wheel: Deadlines) -> None:
    expired: list[float] = []
    deadline = Deadline(wheel, lambda: expired.append(clock.now))
    deadline.set(10.0)
    deadline.set(3.0)
    deadline.set(100.0)
    clock.turn(50.0)
    assert expired == []
    clock.turn(60.0)
    assert len(expired) == 1


def test_dropped_it_lets_go_of_its_owner(clock: Clock, wheel: Deadlines) -> None:
    expired: list[float] = []
    deadline = Deadline(wheel, lambda: expired.append(clock.now))
    deadline.set(3.0)
    deadline.drop()
    assert deadline.on_expiry is None
    clock.turn(10.0)
    assert expired == []


def test_an_empty_wheel_stands_still(clock: Clock, wheel: Deadlines) -> None:
    deadline = Deadline(wheel, lambda: None)
    deadline.set(2.0)
    clock.turn(10.0)
    assert clock.timers == []
    deadline.set(2.0)
    assert len(clock.timers) == 1


def test_others_share_its_tick_from_its_start_to_its_rest(clock: Clock, wheel: Deadlines) -> None:
    turns: list[tuple[float, bool]] = []
    wheel.on_turn = lambda: turns.append((clock.now, wheel.turning))
    Deadline(wheel, lambda: None).set(0.5)
    clock.turn(10.0)
    assert turns == []  # it has a timer of its own: the wheel is not needed
    deadline = Deadline(wheel, lambda: None)
    deadline.set(2.0)
    assert turns == [(1010.25, True)]
    clock.turn(60.0)
    assert [at - 1010.25 for at, _ in turns] == [number * TICK_SECONDS for number in range(len(turns))]
    assert [turning for _, turning in turns] == [True] * (len(turns) - 1) + [False]
    assert clock.timers == []
    assert 3 <= len(turns) <= 5


def test_many_expire_in_their_order(clock: Clock, wheel: Deadlines) -> None:
    expired: list[int] = []
    for seconds in (7, 3, 5):
        Deadline(wheel, lambda seconds=seconds: expired.append(seconds)).set(seconds)  # type: ignore[misc]
    clock.turn(20.0)
    assert expired == [3, 5, 7]


def test_moving_costs_no_new_listing(wheel: Deadlines) -> None:
    deadline = Deadline(wheel, lambda: None)
    deadline.set(60.0)
    for _ in range(100):
        deadline.set(60.0)
        deadline.clear()
        deadline.set(60.0)
    assert sum(len(bucket) for bucket in wheel._buckets.values()) == 1


def test_a_short_one_that_was_extended_expires_all_the_same(clock: Clock, wheel: Deadlines) -> None:
    expired: list[float] = []
    deadline = Deadline(wheel, lambda: expired.append(clock.now))
    deadline.set(0.5)
    clock.turn(0.25)
    deadline.extend(0.5)
    clock.turn(0.49)
    assert expired == []
    clock.turn(3 * TICK_SECONDS)
    assert len(expired) == 1


def test_a_short_one_after_a_long_one_can_be_extended_too(clock: Clock, wheel: Deadlines) -> None:
    expired: list[float] = []
    deadline = Deadline(wheel, lambda: expired.append(clock.now))
    deadline.set(50.0)
    deadline.set(0.5)
    deadline.extend(0.5)
    clock.turn(4 * TICK_SECONDS)
    assert len(expired) == 1


def test_extended_it_is_not_early_either(clock: Clock, wheel: Deadlines) -> None:
    expired: list[float] = []
    deadline = Deadline(wheel, lambda: expired.append(clock.now))
    deadline.set(1.5)
    clock.turn(0.7)  # the wheel still has the time of its start
    deadline.extend(1.5)
    clock.turn(1.4)
    assert expired == []
    clock.turn(3 * TICK_SECONDS)
    assert len(expired) == 1


def test_the_dropped_are_forgotten_long_before_they_were_due(clock: Clock, wheel: Deadlines) -> None:
    for _ in range(100):
        deadline = Deadline(wheel, lambda: None)
        deadline.set(86400.0)
        deadline.drop()
    clock.turn(HORIZON_SECONDS + 2 * TICK_SECONDS)
    assert wheel._buckets == {}
    assert clock.timers == []


def test_a_distant_one_is_looked_at_now_and_then_and_expires_in_time(clock: Clock, wheel: Deadlines) -> None:
    expired: list[float] = []
    deadline = Deadline(wheel, lambda: expired.append(clock.now))
    deadline.set(1000.0)
    clock.turn(1000.0)
    assert expired == []
    clock.turn(2 * TICK_SECONDS)
    assert len(expired) == 1


def test_a_bug_in_one_owner_does_not_stop_the_time_of_others(clock: Clock, wheel: Deadlines) -> None:
    expired: list[str] = []

    def fail() -> None:
        raise ZeroDivisionError

    owners = [lambda: expired.append("before"), fail, lambda: expired.append("after"), fail]
    deadlines = [Deadline(wheel, owner) for owner in owners]
    for deadline in deadlines:
        deadline.set(5.0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            clock.turn(10.0)
    clock.turn(10.0)
    assert sorted(expired) == ["after", "before"]
    later = Deadline(wheel, lambda: expired.append("later"))
    later.set(5.0)
    clock.turn(10.0)
    assert expired[-1] == "later"
