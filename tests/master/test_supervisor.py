"""What the master does with its workers, as a function of what happened and when."""

import signal

import pytest

from gatepost.master.supervisor import (
    BACKOFF_SECONDS,
    KILL_SECONDS,
    LOOK_SECONDS,
    MAX_BACKOFF_SECONDS,
    STEADY_SECONDS,
    Finish,
    Mode,
    Spawn,
    Supervisor,
    Tell,
)
from gatepost.worker.heritage import FATAL_STATUS


def serving(count: int = 2, now: float = 100.0) -> Supervisor:
    """A supervisor with workers 11, 12, ... started at ``now``."""
    supervisor = Supervisor(count)
    for decision in supervisor.decide(now):
        assert isinstance(decision, Spawn)
        supervisor.spawned(decision.slot, 11 + decision.slot, now)
    return supervisor


def test_starts_one_worker_for_each_slot() -> None:
    supervisor = Supervisor(3)
    assert supervisor.decide(0.0) == [Spawn(0), Spawn(1), Spawn(2)]


def test_waits_for_news_while_all_workers_live() -> None:
    supervisor = serving()
    assert supervisor.decide(101.0) == []
    assert supervisor.wait(101.0) is None
    assert supervisor.pids == (11, 12)


def test_replaces_a_dead_worker_at_once() -> None:
    supervisor = serving()
    assert supervisor.ended(12, -9, 100.5)
    assert supervisor.decide(100.5) == [Spawn(1)]


def test_does_not_know_strangers() -> None:
    assert not serving().ended(4711, 0, 101.0)


def test_quick_deaths_in_a_row_are_tried_again_ever_later() -> None:
    supervisor = Supervisor(1)
    now = 100.0
    waits = []
    for pid in range(11, 25):
        assert supervisor.decide(now) == [Spawn(0)]
        supervisor.spawned(0, pid, now)
        supervisor.ended(pid, 1, now)
        wait = supervisor.wait(now)
        assert wait is not None
        if wait:
            assert supervisor.decide(now) == []
        waits.append(wait)
        now += wait
    assert waits[:4] == [0.0, BACKOFF_SECONDS, 2 * BACKOFF_SECONDS, 4 * BACKOFF_SECONDS]
    assert waits[-1] == MAX_BACKOFF_SECONDS


def test_a_worker_that_lived_starts_the_count_anew() -> None:
    supervisor = serving(1)
    supervisor.ended(11, 1, 100.0)
    supervisor.spawned(0, 12, 100.0)
    supervisor.ended(12, 1, 100.0 + STEADY_SECONDS)
    assert supervisor.wait(100.0 + STEADY_SECONDS) == 0.0
    assert supervisor.decide(100.0 + STEADY_SECONDS) == [Spawn(0)]


def test_a_worker_that_can_never_serve_is_not_tried_again() -> None:
    supervisor = serving(2)
    supervisor.ended(11, FATAL_STATUS, 100.0)
    assert supervisor.decide(200.0) == []
    assert supervisor.wait(200.0) is None


def test_gives_up_when_no_worker_can_ever_serve() -> None:
    supervisor = serving(2)
    supervisor.ended(11, FATAL_STATUS, 100.0)
    supervisor.ended(12, FATAL_STATUS, 100.0)
    assert supervisor.decide(100.0) == [Finish(1)]


def test_quit_lets_workers_finish_and_starts_no_new_ones() -> None:
    supervisor = serving()
    supervisor.told(signal.SIGQUIT, 101.0)
    assert supervisor.decide(101.0) == [Tell(11, signal.SIGQUIT), Tell(12, signal.SIGQUIT)]
    supervisor.ended(11, 0, 102.0)
    assert supervisor.decide(102.0) == []
    assert supervisor.wait(102.0) is None
    supervisor.ended(12, 0, 103.0)
    assert supervisor.decide(103.0) == [Finish(0)]


def test_term_ends_workers_and_kills_those_that_stay() -> None:
    supervisor = serving()
    supervisor.told(signal.SIGTERM, 101.0)
    assert supervisor.decide(101.0) == [Tell(11, signal.SIGTERM), Tell(12, signal.SIGTERM)]
    supervisor.ended(11, 0, 101.1)
    assert supervisor.wait(101.0) == KILL_SECONDS
    assert supervisor.decide(101.0 + KILL_SECONDS) == [Tell(12, signal.SIGKILL)]
    assert supervisor.decide(103.0) == []
    supervisor.ended(12, -9, 103.0)
    assert supervisor.decide(103.0) == [Finish(0)]


def test_a_second_term_changes_nothing() -> None:
    supervisor = serving(1)
    supervisor.told(signal.SIGTERM, 101.0)
    supervisor.told(signal.SIGINT, 101.5)
    assert supervisor.decide(101.5) == [Tell(11, signal.SIGTERM)]
    assert supervisor.wait(101.5) == KILL_SECONDS - 0.5


def test_term_may_follow_quit_but_not_the_other_way_round() -> None:
    supervisor = serving(1)
    supervisor.told(signal.SIGQUIT, 101.0)
    supervisor.told(signal.SIGTERM, 102.0)
    supervisor.told(signal.SIGQUIT, 102.1)
    assert supervisor.mode is Mode.STOP
    assert supervisor.decide(102.1) == [Tell(11, signal.SIGQUIT), Tell(11, signal.SIGTERM)]


def test_other_signals_are_passed_on() -> None:
    supervisor = serving()
    supervisor.told(signal.SIGUSR1, 101.0)
    assert supervisor.decide(101.0) == [Tell(11, signal.SIGUSR1), Tell(12, signal.SIGUSR1)]
    assert supervisor.decide(101.0) == []


def test_stopping_before_the_first_worker_ends_at_once() -> None:
    supervisor = Supervisor(1)
    supervisor.told(signal.SIGTERM, 1.0)
    assert supervisor.decide(1.0) == [Finish(0)]


def test_renewed_it_dismisses_the_old_when_the_new_serve() -> None:
    supervisor = serving(2)
    supervisor.renew(2)
    assert supervisor.decide(101.0) == [Spawn(0), Spawn(1)]
    supervisor.spawned(0, 21, 101.0)
    supervisor.spawned(1, 22, 101.0)
    assert supervisor.pids == (21, 22, 11, 12)
    assert supervisor.wait(101.0) == pytest.approx(LOOK_SECONDS)
    supervisor.serves(21)
    assert supervisor.decide(101.0) == []
    supervisor.serves(22)
    assert supervisor.wait(101.1) == 0.0
    assert supervisor.decide(101.1) == [Tell(11, signal.SIGQUIT), Tell(12, signal.SIGQUIT)]
    assert supervisor.decide(101.1) == []
    assert supervisor.wait(101.1) is None


def test_one_that_fails_may_lack_what_an_old_one_holds() -> None:
    supervisor = serving(2)
    supervisor.renew(2)
    supervisor.decide(101.0)
    supervisor.not_spawned(1, 101.0)
    supervisor.spawned(0, 21, 101.0)
    assert supervisor.decide(101.0) == [Spawn(1)]
    supervisor.not_spawned(1, 101.0)
    assert supervisor.decide(101.0) == []
    supervisor.serves(21)
    assert supervisor.decide(101.1) == [Tell(11, signal.SIGQUIT), Tell(12, signal.SIGQUIT)]
    assert supervisor.decide(101.0 + BACKOFF_SECONDS) == [Spawn(1)]


def test_while_no_new_one_serves_the_old_ones_do() -> None:
    supervisor = serving(1)
    supervisor.renew(1)
    assert not supervisor.holds_on
    now = 101.0
    for pid in range(21, 31):
        assert supervisor.decide(now) == [Spawn(0)]
        supervisor.spawned(0, pid, now)
        supervisor.ended(pid, 1, now)
        now += supervisor.wait(now) or 0.0
    supervisor.decide(now)
    supervisor.spawned(0, 31, now)
    supervisor.ended(31, FATAL_STATUS, now)
    assert supervisor.holds_on
    assert supervisor.decide(now) == []
    supervisor.renew(1)
    assert supervisor.decide(now) == [Spawn(0)]
    supervisor.spawned(0, 41, now)
    supervisor.serves(41)
    assert supervisor.decide(now) == [Tell(11, signal.SIGQUIT)]


def test_a_dismissed_worker_is_not_replaced_and_a_new_one_is() -> None:
    supervisor = serving(1)
    supervisor.renew(1)
    supervisor.decide(101.0)
    supervisor.spawned(0, 21, 101.0)
    assert supervisor.ended(11, 0, 150.0)
    assert supervisor.decide(150.0) == []
    assert supervisor.ended(21, -9, 150.0)
    assert supervisor.decide(150.0) == [Spawn(0)]


def test_renewed_twice_all_earlier_workers_leave_and_are_told_once() -> None:
    supervisor = serving(1)
    supervisor.renew(1)
    supervisor.decide(101.0)
    supervisor.spawned(0, 21, 101.0)
    supervisor.renew(1)
    assert supervisor.decide(102.0) == [Spawn(0)]
    supervisor.spawned(0, 31, 102.0)
    assert supervisor.pids == (31, 11, 21)
    supervisor.serves(31)
    assert supervisor.decide(102.1) == [Tell(11, signal.SIGQUIT), Tell(21, signal.SIGQUIT)]
    assert supervisor.decide(102.1) == []


def test_stopping_reaches_those_that_leave_and_waits_for_them() -> None:
    supervisor = serving(1)
    supervisor.renew(1)
    supervisor.decide(101.0)
    supervisor.spawned(0, 21, 101.0)
    supervisor.told(signal.SIGTERM, 102.0)
    assert supervisor.decide(102.0) == [Tell(21, signal.SIGTERM), Tell(11, signal.SIGTERM)]
    supervisor.ended(21, 0, 102.1)
    assert supervisor.decide(102.1) == []
    supervisor.ended(11, 0, 102.2)
    assert supervisor.decide(102.2) == [Finish(0)]


def test_it_does_not_give_up_while_earlier_workers_still_serve() -> None:
    supervisor = serving(1)
    supervisor.renew(1)
    supervisor.decide(101.0)
    supervisor.spawned(0, 21, 101.0)
    supervisor.ended(21, FATAL_STATUS, 101.1)
    assert supervisor.decide(101.1) == []
    supervisor.ended(11, 0, 150.0)
    assert supervisor.decide(150.0) == [Finish(1)]


def test_winch_lets_workers_rest_and_they_can_be_brought_back() -> None:
    supervisor = serving(2)
    supervisor.told(signal.SIGWINCH, 101.0)
    assert supervisor.mode is Mode.REST
    assert supervisor.decide(101.0) == [Tell(11, signal.SIGQUIT), Tell(12, signal.SIGQUIT)]
    supervisor.told(signal.SIGWINCH, 101.5)
    assert supervisor.decide(101.5) == []
    supervisor.ended(11, 0, 102.0)
    assert supervisor.decide(102.0) == []
    assert supervisor.wait(102.0) is None
    supervisor.resume()
    assert supervisor.decide(103.0) == [Spawn(0), Spawn(1)]
    supervisor.resume()
    assert supervisor.pids == (12,)
    for slot, pid in enumerate((21, 22)):
        supervisor.spawned(slot, pid, 103.0)
        supervisor.serves(pid)
    # The one that drains hears it once more; that changes nothing for it.
    assert supervisor.decide(103.0) == [Tell(12, signal.SIGQUIT)]


def test_at_rest_without_workers_it_does_not_finish_before_it_is_told() -> None:
    supervisor = serving(1)
    supervisor.told(signal.SIGWINCH, 101.0)
    supervisor.decide(101.0)
    supervisor.ended(11, 0, 102.0)
    assert supervisor.decide(102.0) == []
    supervisor.told(signal.SIGQUIT, 103.0)
    assert supervisor.mode is Mode.DRAIN
    assert supervisor.decide(103.0) == [Finish(0)]


def test_a_new_configuration_ends_the_rest() -> None:
    supervisor = serving(1)
    supervisor.told(signal.SIGWINCH, 101.0)
    supervisor.decide(101.0)
    supervisor.renew(2)
    assert supervisor.decide(102.0) == [Spawn(0), Spawn(1)]


def test_who_is_told_to_end_does_not_rest_or_resume() -> None:
    supervisor = serving(1)
    supervisor.told(signal.SIGQUIT, 101.0)
    supervisor.told(signal.SIGWINCH, 101.0)
    supervisor.resume()
    assert supervisor.mode is Mode.DRAIN
