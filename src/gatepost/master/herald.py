"""What the service manager is told, and when; and which workers have stopped moving.

Theory of operation. The master waits for signals and for nothing else, unless there is somebody to tell. Then
it also looks at the scoreboard: every few milliseconds while workers are starting, since READY is said when
they accept; every ``STATUS_SECONDS`` for a new status; and at half the watchdog's time for its sign of life.
``wait`` says when the next look is due, ``look`` does what is due and returns the workers that have to be
killed.

**The watchdog and workers.** The sign of life is the master's own: it says that signals are taken and that the
dead are replaced. A worker whose loop stands still must not silence it, because the service manager would then
end all workers, and with them every session, for the sake of one. Instead the master itself kills that worker,
after the time that the service manager was told to have patience, and starts another. Who configures no
watchdog gets none, for workers neither.

A worker with clients updates its row each second. If a row with clients has not changed between three looks,
its loop has not turned for two intervals. Looks are counted, not seconds, so that neither a machine that was
suspended nor a late master takes sound workers for dead ones. A worker without clients rests, and nothing is
expected of it.

**An upgrade.** The service manager believes the main process alone. That is the old master until it has ended,
also while its workers finish their sessions; the new one is silent so long, and then found by its pid file. The
old one could name it earlier, but systemd would go on taking it for the child of another, which it cannot
watch.
"""

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping

from gatepost.worker.scoreboard import Row, State

from .notify import Notifier

STATUS_SECONDS = 10.0  # between two looks for the status line: an operator who reads it twice sees it move
REPEAT_SECONDS = 60.0  # a status without news is said again: a new master may not have been believed yet
START_POLL_SECONDS = 0.05  # while workers start, which takes about that long
LOAD_SECONDS = 600.0  # for a new configuration: each of its names may cost the resolver's 20 s
MIN_WATCH_SECONDS = 5.0  # between two looks at a worker: far above the second in which it has to move
LOOKS = 3  # without any movement in between; then a worker counts as hung


def describe(rows: Collection[Row], problem: str = "", successor: int | None = None) -> str:
    """The status line: ``4 workers, 812 sessions (37 logging in), 2 draining``, and what went wrong."""
    serving = sum(row.state == State.SERVING for row in rows)
    draining = sum(row.state == State.DRAINING for row in rows)
    sessions = sum(row.clients for row in rows)
    text = f"{_count(serving, 'worker')}, {_count(sessions, 'session')}"
    text += f" ({sum(row.sessions for row in rows)} logging in)"
    if draining:
        text += f", {draining} draining"
    if successor is not None:
        text += f"; process {successor} has taken over"
    if problem:
        text += f"; the last reload failed: {problem}"
    return text


def _count(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"


class Watch:
    """Which workers have stopped moving."""

    def __init__(self, patience_seconds: float) -> None:
        self._step = max(patience_seconds / (LOOKS - 1), MIN_WATCH_SECONDS)
        self._next = 0.0
        self._seen: dict[int, tuple[int, int]] = {}  # process id -> time of its last update, looks that found it

    def look(self, now: float, rows: Mapping[int, Row]) -> list[int]:
        """The process ids of those that are hung. Each is named once in ``LOOKS`` looks."""
        if now < self._next:
            return []
        self._next = now + self._step
        before, self._seen = self._seen, {}
        hung = []
        for pid, row in rows.items():
            if row.pid and not row.clients:
                continue
            updated, looks = before.get(pid, (row.updated, 0))
            looks = looks + 1 if updated == row.updated else 1
            if looks == LOOKS:
                hung.append(pid)
                looks = 0
            self._seen[pid] = row.updated, looks
        return hung


class Herald:
    """The service as its manager sees it. Times are seconds of one monotonic clock."""

    def __init__(self, notifier: Notifier, is_heir: Callable[[], bool] = lambda: False) -> None:
        """``is_heir``: whether an older master still is the service, so that nobody would believe us."""
        self._notifier = notifier
        self._is_heir = is_heir
        patience = notifier.watchdog_seconds
        self._sign_seconds = patience / 2 if patience is not None else None
        self._watch = Watch(patience) if patience is not None else None
        self._starting = True  # READY is due when the workers have begun
        self._complete = False  # no worker was missing when we looked
        self._problem = ""  # of the last reload
        self._successor: int | None = None  # who goes on when we have ended
        self._said = ""
        self._said_at = 0.0
        self._status_at: float | None = None  # when the next is due; None until READY was said once
        self._sign_at = 0.0

    # What happened

    def reloading(self) -> None:
        self._starting = True
        if not self._is_heir():
            self._notifier.reloading()

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """While a configuration is read, which takes as long as its name servers like, no sign of life can come."""
        patience = self._notifier.watchdog_seconds
        if patience is None or self._is_heir():
            yield
            return
        self._notifier.patience(max(patience, LOAD_SECONDS))
        try:
            yield
        finally:
            self._notifier.patience(patience)

    def reload_failed(self, problem: str) -> None:
        """READY is due: the workers that there were have begun long since."""
        self._problem = problem

    def reloaded(self) -> None:
        self._problem = ""

    def stopping(self, rows: Collection[Row], successor: int | None = None) -> None:
        """We end. ``successor`` is the process id of a master that goes on, if there is one: then the service does
        not stop.
        """
        self._starting = False
        self._successor = successor
        if successor is None and not self._is_heir():
            self._said = describe(rows)
            self._notifier.stopping(self._said)

    # What to do

    def wait(self, now: float) -> float | None:
        """Seconds until the next look; None: never."""
        if not self._notifier.speaks:
            return None
        if self._is_heir():
            return min(STATUS_SECONDS, self._sign_seconds or STATUS_SECONDS)  # nothing tells us that it is gone
        due = [] if self._status_at is None else [self._status_at]
        if self._starting and self._complete:
            due.append(
                now + START_POLL_SECONDS
            )  # a worker that is missing is announced by what the master waits for
        if self._sign_seconds is not None:
            due.append(self._sign_at)
        return max(0.0, min(due) - now) if due else None

    def look(self, now: float, rows: Mapping[int, Row], complete: bool) -> list[int]:
        """Say what is due; the process ids of workers to be killed.

        ``rows`` are those of the living workers, by the process ids that the master knows. ``complete``: none is
        missing.
        """
        if not self._notifier.speaks or self._is_heir():
            return []
        self._complete = complete
        if self._starting and complete and all(row.pid for row in rows.values()):
            self._starting = False
            self._say(now, rows, ready=True)
        elif self._status_at is not None and now >= self._status_at:
            self._say(now, rows)
        hung = []
        if self._sign_seconds is not None and now >= self._sign_at:
            self._sign_at = now + self._sign_seconds
            self._notifier.alive()
            if self._watch is not None:
                hung = self._watch.look(now, rows)
        return hung

    def _say(self, now: float, rows: Mapping[int, Row], *, ready: bool = False) -> None:
        self._status_at = now + STATUS_SECONDS
        text = describe(rows.values(), self._problem, self._successor)
        if ready:
            self._notifier.ready(text)
        elif text != self._said or now - self._said_at >= REPEAT_SECONDS:
            self._notifier.status(text)
        else:
            return
        self._said, self._said_at = text, now
