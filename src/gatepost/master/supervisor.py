"""State and time -> which workers to spawn, which to signal, when to finish. Pure: no process, clock or signal.

The caller reports what happened (``spawned``, ``serves``, ``ended``, ``told``) and asks ``decide`` what to do now
and ``wait`` how long nothing needs to be done. Times are seconds of any monotonic clock.
"""

import signal
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from gatepost.worker.heritage import FATAL_STATUS

STEADY_SECONDS = 5.0  # a worker that lived this long had started well: its death is no sign of a broken set-up
BACKOFF_SECONDS = 0.25  # before the second try in a row, then doubled
MAX_BACKOFF_SECONDS = 30.0
LOOK_SECONDS = 0.05  # while new workers start, which takes about that long, and old ones wait for them
KILL_SECONDS = 1.0  # for workers to go after TERM; then they are killed, as by nginx


class Mode(Enum):
    """What the workers are to do."""

    SERVE = "serve"
    REST = "rest"  # WINCH: as for QUIT, but the master stays, and may let them serve again
    DRAIN = "drain"  # QUIT: finish what is established
    STOP = "stop"  # TERM, INT: go now


@dataclass(frozen=True, slots=True)
class Spawn:
    """Start a worker in this slot, 0 to N-1."""

    slot: int


@dataclass(frozen=True, slots=True)
class Tell:
    """Send a signal to a worker."""

    pid: int
    signal: signal.Signals


@dataclass(frozen=True, slots=True)
class Finish:
    """All is done; the master ends with this exit status."""

    status: int


Decision: TypeAlias = Spawn | Tell | Finish


@dataclass(slots=True)
class _Slot:
    """One worker, living or to be: ``pid`` is 0 when there is none."""

    pid: int = 0
    since: float = 0.0
    failures: int = 0  # quick deaths in a row
    not_before: float = 0.0
    given_up: bool = False
    serves: bool = False


@dataclass(slots=True)
class Supervisor:
    """The workers of one master."""

    count: int
    mode: Mode = Mode.SERVE
    _slots: list[_Slot] = field(default_factory=list)
    _unsaid: list[Tell] = field(default_factory=list)
    _leaving: set[int] = field(
        default_factory=set
    )  # workers of an earlier configuration: they finish their sessions
    _dismissed: list[int] = field(default_factory=list)  # those of them that serve until others do
    _kill_at: float | None = None

    def __post_init__(self) -> None:
        self._slots = [_Slot() for _ in range(self.count)]

    @property
    def pids(self) -> tuple[int, ...]:
        """The living workers, also those of earlier configurations."""
        return (*(slot.pid for slot in self._slots if slot.pid), *sorted(self._leaving))

    @property
    def complete(self) -> bool:
        """Whether no worker is missing: each lives, or never will."""
        return all(slot.pid or slot.given_up for slot in self._slots)

    # What happened

    def spawned(self, slot: int, pid: int, now: float) -> None:
        self._slots[slot].pid = pid
        self._slots[slot].since = now

    def not_spawned(self, slot: int, now: float) -> None:
        """There was no process to be had."""
        self._failed(self._slots[slot], now)

    def serves(self, pid: int) -> None:
        """A worker accepts clients. May be said again and again."""
        for slot in self._slots:
            if slot.pid == pid:
                slot.serves = True

    def ended(self, pid: int, status: int, now: float) -> bool:
        """A child was reaped; ``status`` is its exit status, negative for a signal. False: it was no worker."""
        if pid in self._leaving:
            self._leaving.discard(pid)
            return True
        for slot in self._slots:
            if slot.pid == pid:
                break
        else:
            return False
        slot.pid = 0
        slot.serves = False
        slot.given_up = status == FATAL_STATUS
        if now - slot.since >= STEADY_SECONDS:
            slot.failures = 0
            slot.not_before = now
        else:
            self._failed(slot, now)
        return True

    def _failed(self, slot: _Slot, now: float) -> None:
        delay = BACKOFF_SECONDS * 2 ** min(slot.failures - 1, 16) if slot.failures else 0.0
        slot.not_before = now + min(delay, MAX_BACKOFF_SECONDS)
        slot.failures += 1

    def told(self, number: signal.Signals, now: float) -> None:
        """The master got a signal. A fast stop may follow a graceful one, never the other way round."""
        if number in (signal.SIGTERM, signal.SIGINT):
            if self.mode is not Mode.STOP:
                self._kill_at = now + KILL_SECONDS
                self._tell_all(signal.SIGTERM)
            self.mode = Mode.STOP
        elif number == signal.SIGQUIT:
            if self.mode in (Mode.SERVE, Mode.REST):
                self.mode = Mode.DRAIN
                self._tell_all(signal.SIGQUIT)
        elif number == signal.SIGWINCH:
            if self.mode is Mode.SERVE:
                self.mode = Mode.REST
                self._tell_all(signal.SIGQUIT)
        else:
            self._tell_all(number)

    def renew(self, count: int) -> None:
        """A new configuration is in force: ``count`` new workers. As soon as they serve, those that live now
        are told to finish their sessions.
        """
        self.mode = Mode.SERVE
        self._dismissed += [slot.pid for slot in self._slots if slot.pid]
        self._leaving.update(self._dismissed)
        self.count = count
        self._slots = [_Slot() for _ in range(count)]

    def resume(self) -> None:
        """Workers serve again after WINCH; those that live finish their sessions."""
        if self.mode is Mode.REST:
            self.renew(self.count)

    def _tell_all(self, number: signal.Signals) -> None:
        self._unsaid += [Tell(pid, number) for pid in self.pids]

    # What to do

    def decide(self, now: float) -> list[Decision]:
        """What is to be done now, in order. ``Finish`` comes alone and last."""
        decisions: list[Decision] = list(self._unsaid)
        self._unsaid.clear()
        if self.mode is Mode.SERVE:
            decisions += [
                Spawn(number)
                for number, slot in enumerate(self._slots)
                if not slot.pid and not slot.given_up and slot.not_before <= now
            ]
            if self._is_replaced:
                decisions += [Tell(pid, signal.SIGQUIT) for pid in self._dismissed if pid in self._leaving]
                self._dismissed.clear()
            if all(slot.given_up for slot in self._slots) and not self._leaving:
                return [Finish(1)]
            return decisions
        if self.mode is Mode.REST:
            return decisions
        if not self.pids:
            return [Finish(0)]
        if self._kill_at is not None and now >= self._kill_at:
            self._kill_at = None
            decisions += [Tell(pid, signal.SIGKILL) for pid in self.pids]
        return decisions

    @property
    def holds_on(self) -> bool:
        """Whether old workers go on serving because no new one ever will."""
        return bool(self._dismissed) and all(slot.given_up for slot in self._slots)

    @property
    def _is_replaced(self) -> bool:
        """Whether new workers serve, as many as can: one that fails may only lack what an old one holds. A
        configuration under which none can serve changes nothing for clients.
        """
        slots = self._slots
        return any(slot.serves for slot in slots) and all(
            slot.serves or slot.failures or slot.given_up for slot in slots
        )

    def wait(self, now: float) -> float | None:
        """Seconds until ``decide`` has something new by itself; None: only when something happens."""
        if self.mode is Mode.SERVE:
            moments = [slot.not_before for slot in self._slots if not slot.pid and not slot.given_up]
            if self._dismissed and self._is_replaced:
                moments.append(now)
            elif self._dismissed and any(slot.pid and not slot.serves for slot in self._slots):
                moments.append(now + LOOK_SECONDS)
        else:
            moments = [] if self._kill_at is None else [self._kill_at]
        return max(0.0, min(moments) - now) if moments else None
