"""When the service manager is told what, on a clock that the test turns."""

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from gatepost.errors import ConfigError
from gatepost.log import Outputs
from gatepost.master.herald import (
    LOAD_SECONDS,
    LOOKS,
    MIN_WATCH_SECONDS,
    REPEAT_SECONDS,
    START_POLL_SECONDS,
    STATUS_SECONDS,
    Herald,
    Watch,
    describe,
)
from gatepost.master.notify import Notifier
from gatepost.worker.scoreboard import Row, State
from tests.functional.service_manager import ServiceManager


def row(pid: int = 1, *, state: State = State.SERVING, updated: int = 1, sessions: int = 0, relays: int = 0) -> Row:
    return Row(pid, 0, state, updated, sessions, relays, 0, 0)


UNBORN = Row(*[0] * 8)


class Scene:
    """A herald and who listens to it."""

    def __init__(self, manager: ServiceManager, watchdog_seconds: float | None = None) -> None:
        self.manager = manager
        self.notifier = Notifier(manager.address, Outputs().log([]), watchdog_seconds)
        self.herald = Herald(self.notifier)
        self._seen = 0
        self._marks = itertools.count()

    def said(self) -> list[dict[str, str]]:
        """What was said since the last call, without process ids and moments."""
        mark = f"mark {next(self._marks)}"
        self.notifier.status(mark)
        start, self._seen = self._seen, self.manager.wait_for(lambda message: message.says(STATUS=mark), self._seen)
        found = [dict(message.values) for message in self.manager.messages[start : self._seen - 1]]
        for values in found:
            values.pop("MAINPID", None)
            values.pop("MONOTONIC_USEC", None)
        return found

    def look(self, now: float, rows: Mapping[int, Row], *, complete: bool = True) -> list[int]:
        return self.herald.look(now, rows, complete)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ServiceManager]:
    with ServiceManager(f"{tmp_path}/notify") as listening:
        yield listening


ONE = {7: row(7)}
ONE_SAID = "1 worker, 0 sessions (0 logging in)"


def test_the_status_line() -> None:
    assert describe([]) == "0 workers, 0 sessions (0 logging in)"
    assert describe([row(relays=1)]) == "1 worker, 1 session (0 logging in)"
    busy = [row(sessions=37, relays=600), *(row(relays=25) for _ in range(3))]
    leaving = [row(state=State.DRAINING, relays=50) for _ in range(2)]
    assert describe([*busy, *leaving, UNBORN]) == "4 workers, 812 sessions (37 logging in), 2 draining"
    assert describe([row()], "no such file").endswith("(0 logging in); the last reload failed: no such file")


def test_ready_when_all_workers_have_begun(manager: ServiceManager) -> None:
    scene = Scene(manager)
    assert scene.herald.wait(100.0) is None  # whatever happens next announces itself
    scene.look(100.0, {}, complete=False)
    assert scene.herald.wait(100.0) is None
    scene.look(100.0, {7: row(7), 8: UNBORN})
    assert scene.herald.wait(100.0) == pytest.approx(START_POLL_SECONDS)
    scene.look(100.1, {7: row(7), 8: UNBORN})
    scene.look(100.1, {7: row(7)}, complete=False)
    assert scene.said() == []
    scene.look(100.2, {7: row(7), 8: row(8)})
    assert scene.said() == [{"READY": "1", "STATUS": "2 workers, 0 sessions (0 logging in)"}]
    assert scene.herald.wait(100.2) == pytest.approx(STATUS_SECONDS)
    scene.look(100.3, {7: row(7), 8: row(8)})
    assert scene.said() == []


def test_a_status_now_and_then_and_only_if_it_is_news(manager: ServiceManager) -> None:
    scene = Scene(manager)
    scene.look(100.0, ONE)
    busy = {7: row(7, relays=3)}
    scene.look(100.0 + STATUS_SECONDS / 2, busy)
    scene.look(100.0 + STATUS_SECONDS, ONE)
    assert scene.said() == [{"READY": "1", "STATUS": ONE_SAID}]
    assert scene.herald.wait(100.0 + STATUS_SECONDS) == pytest.approx(STATUS_SECONDS)
    scene.look(100.0 + 2 * STATUS_SECONDS, busy)
    assert scene.said() == [{"STATUS": "1 worker, 3 sessions (0 logging in)"}]


def test_a_status_without_news_is_repeated_now_and_then(manager: ServiceManager) -> None:
    """For a new master, who is not believed as long as the old one is the main process."""
    scene = Scene(manager)
    scene.look(100.0, ONE)
    scene.said()
    for seconds in range(1, 601):
        scene.look(100.0 + seconds, ONE)
    assert scene.said() == [{"STATUS": ONE_SAID}] * int(600 / REPEAT_SECONDS)


def test_a_reload_is_over_when_the_new_workers_have_begun(manager: ServiceManager) -> None:
    scene = Scene(manager)
    scene.look(100.0, ONE)
    scene.said()
    scene.herald.reloading()
    scene.herald.reloaded()
    scene.look(101.0, {7: row(7), 8: UNBORN})
    assert scene.said() == [{"RELOADING": "1", "STATUS": "reloading"}]
    scene.look(101.1, {7: row(7, state=State.DRAINING), 8: row(8)})
    assert scene.said() == [{"READY": "1", "STATUS": f"{ONE_SAID}, 1 draining"}]


def test_a_reload_that_failed_is_over_at_once_and_remembered(manager: ServiceManager) -> None:
    scene = Scene(manager)
    scene.look(100.0, ONE)
    scene.said()
    scene.herald.reloading()
    scene.herald.reload_failed("unknown directive")
    scene.look(100.0, ONE)
    failed = f"{ONE_SAID}; the last reload failed: unknown directive"
    assert scene.said() == [{"RELOADING": "1", "STATUS": "reloading"}, {"READY": "1", "STATUS": failed}]
    scene.look(200.0, {7: row(7, relays=1)})
    assert scene.said() == [
        {"STATUS": "1 worker, 1 session (0 logging in); the last reload failed: unknown directive"}
    ]
    scene.herald.reloading()
    scene.herald.reloaded()
    scene.look(300.0, ONE)
    assert scene.said()[-1] == {"READY": "1", "STATUS": ONE_SAID}


def test_two_reloads_at_once_are_over_together(manager: ServiceManager) -> None:
    scene = Scene(manager)
    scene.look(100.0, ONE)
    scene.said()
    for _ in range(2):
        scene.herald.reloading()
        scene.herald.reloaded()
        scene.look(101.0, {7: row(7), 8: UNBORN}, complete=False)
    scene.look(102.0, ONE)
    assert ["".join(values)[:5] for values in scene.said()] == ["RELOA", "RELOA", "READY"]


def test_the_end_and_the_count_of_those_who_are_left(manager: ServiceManager) -> None:
    scene = Scene(manager)
    scene.look(100.0, ONE)
    scene.said()
    left = {7: row(7, state=State.DRAINING, relays=2)}
    scene.herald.stopping({7: row(7, relays=2)}.values())
    scene.look(101.0, left, complete=False)
    assert scene.said() == [{"STOPPING": "1", "STATUS": "1 worker, 2 sessions (0 logging in)"}]
    scene.look(111.0, left, complete=False)
    assert scene.said() == [{"STATUS": "0 workers, 2 sessions (0 logging in), 1 draining"}]


def test_an_end_while_workers_start_is_not_followed_by_ready(manager: ServiceManager) -> None:
    scene = Scene(manager)
    scene.herald.stopping([])
    scene.look(100.0, ONE)
    assert [list(values) for values in scene.said()] == [["STOPPING", "STATUS"]]
    assert scene.herald.wait(100.0) is None


def test_the_end_of_a_master_is_not_the_end_of_the_service_when_another_goes_on(manager: ServiceManager) -> None:
    scene = Scene(manager, watchdog_seconds=60.0)
    scene.look(100.0, ONE)
    scene.said()
    left = {7: row(7, state=State.DRAINING, relays=2)}
    scene.herald.stopping(ONE.values(), 77)
    scene.look(140.0, left, complete=False)
    status = "0 workers, 2 sessions (0 logging in), 1 draining; process 77 has taken over"
    assert scene.said() == [{"STATUS": status}, {"WATCHDOG": "1"}]


def test_a_new_master_is_silent_until_the_old_one_has_ended(manager: ServiceManager) -> None:
    scene = Scene(manager, watchdog_seconds=4.0)
    old_lives = [True]
    scene.herald = Herald(scene.notifier, lambda: old_lives[0])
    for seconds in range(100, 200):
        assert scene.look(float(seconds), {7: row(7, relays=5)}) == []
    scene.herald.reloading()
    scene.herald.reloaded()
    assert scene.herald.wait(200.0) == pytest.approx(2.0)  # as often as it will have to give signs of life
    assert scene.said() == []
    old_lives.clear()
    old_lives.append(False)
    scene.look(200.0, ONE)
    assert scene.said() == [{"READY": "1", "STATUS": ONE_SAID}, {"WATCHDOG": "1"}]


def test_a_new_master_that_goes_again_is_not_the_end_of_the_service(manager: ServiceManager) -> None:
    scene = Scene(manager)
    scene.herald = Herald(scene.notifier, lambda: True)
    scene.herald.stopping(ONE.values())
    scene.look(100.0, ONE)
    assert scene.said() == []
    assert scene.herald.wait(100.0) == pytest.approx(STATUS_SECONDS)


def test_signs_of_life_at_half_the_time(manager: ServiceManager) -> None:
    scene = Scene(manager, watchdog_seconds=4.0)
    assert scene.herald.wait(100.0) == 0.0
    scene.look(100.0, {}, complete=False)  # also while workers start
    assert scene.herald.wait(100.0) == pytest.approx(2.0)
    scene.look(101.0, {}, complete=False)
    assert scene.said() == [{"WATCHDOG": "1"}]
    scene.look(102.0, {}, complete=False)
    scene.look(104.5, {}, complete=False)
    assert scene.said() == [{"WATCHDOG": "1"}] * 2
    assert scene.herald.wait(104.5) == pytest.approx(2.0)


def test_a_hung_worker_is_named_and_the_sign_of_life_goes_on(manager: ServiceManager) -> None:
    scene = Scene(manager, watchdog_seconds=30.0)
    found = []
    for number in range(LOOKS):
        rows = {7: row(7, relays=5, updated=1), 8: row(8, relays=5, updated=number)}
        found.append(scene.look(100.0 + 15.0 * number, rows))
    assert found == [[]] * (LOOKS - 1) + [[7]]
    assert scene.said().count({"WATCHDOG": "1"}) == LOOKS


def test_without_a_watchdog_no_worker_is_judged(manager: ServiceManager) -> None:
    scene = Scene(manager)
    for number in range(5 * LOOKS):
        assert scene.look(100.0 * number, {7: row(7, relays=5)}) == []


def test_nobody_to_tell_nothing_to_do(tmp_path: Path) -> None:
    herald = Herald(Notifier(None, Outputs().log([]), 4.0))
    herald.reloading()
    herald.stopping([])
    assert herald.wait(100.0) is None
    assert herald.look(100.0, ONE, True) == []
    assert list(tmp_path.iterdir()) == []


# Watch -------------------------------------------------------------------------------------------


def looks(watch: Watch, rows: Mapping[int, Row], times: int, step: float = 100.0) -> list[list[int]]:
    start = watch._next
    return [watch.look(start + step * number, rows) for number in range(times)]


@pytest.mark.parametrize(
    "stuck", [row(7, relays=1), row(7, sessions=1), UNBORN], ids=["relay", "session", "unborn"]
)
def test_one_that_does_not_move_or_never_begins_is_hung(stuck: Row) -> None:
    assert looks(Watch(30.0), {7: stuck}, LOOKS) == [[]] * (LOOKS - 1) + [[7]]


def test_one_without_clients_rests() -> None:
    assert looks(Watch(30.0), {7: row(7)}, 20) == [[]] * 20


def test_it_is_named_again_only_much_later() -> None:
    found = looks(Watch(30.0), {7: row(7, relays=1)}, 2 * LOOKS)
    assert [bool(hung) for hung in found] == ([False] * (LOOKS - 1) + [True]) * 2


def test_the_process_is_that_of_the_master_not_what_the_row_says() -> None:
    """A worker that was taken over may write any number there, and the master may be root."""
    assert looks(Watch(30.0), {7: row(1, relays=1)}, LOOKS)[-1] == [7]


def test_movement_at_the_last_moment_counts() -> None:
    watch = Watch(30.0)
    for updated in range(20):
        for _ in range(LOOKS - 1):
            assert looks(watch, {7: row(7, relays=1, updated=updated)}, 1) == [[]]


def test_a_machine_that_was_suspended_is_no_reason() -> None:
    watch = Watch(30.0)
    assert watch.look(100.0, {7: row(7, relays=1)}) == []
    assert watch.look(100_000.0, {7: row(7, relays=1)}) == []
    assert watch.look(100_015.0, {7: row(7, relays=1, updated=2)}) == []


def test_looks_that_follow_each_other_closely_are_one() -> None:
    watch = Watch(1.0)
    for tenth in range(int(MIN_WATCH_SECONDS * 10) * (LOOKS - 1)):
        assert watch.look(100.0 + tenth / 10, {7: row(7, relays=1)}) == []


def test_a_rest_in_between_begins_anew() -> None:
    watch = Watch(30.0)
    for relays in (1, 1, 0, 1, 1, 0):
        assert looks(watch, {7: row(7, relays=relays)}, 1) == [[]]


def test_the_watchdog_waits_while_a_configuration_is_read(manager: ServiceManager) -> None:
    scene = Scene(manager, watchdog_seconds=30.0)
    with pytest.raises(ConfigError), scene.herald.busy():
        raise ConfigError("a mistake")
    assert scene.said() == [{"WATCHDOG_USEC": f"{int(LOAD_SECONDS)}000000"}, {"WATCHDOG_USEC": "30000000"}]
