"""The waiting loop of the master: signals in, the supervisor's decisions out.

Theory of operation. All signals are blocked and taken one by one from the kernel: no handler interrupts anything.
Two of a kind that wait are one, and what comes while one is served is served after it. Nothing else wakes the
master but the moments that the supervisor and the herald name.
"""

import os
import signal
import time
import traceback

from gatepost.errors import ConfigError
from gatepost.log import Level, Log
from gatepost.store.runtime import RuntimeDirectory
from gatepost.worker.heritage import FATAL_STATUS, Heritage
from gatepost.worker.privileges import shield
from gatepost.worker.process import serve
from gatepost.worker.scoreboard import Row
from gatepost.worker.settings import WorkerSettings

from .herald import Herald
from .notify import forget
from .pidfile import PidFile
from .reload import Load, renewed, retire
from .settings import MasterSettings
from .spawn import reap, share_memory, spawn
from .supervisor import Decision, Finish, Mode, Spawn, Supervisor, Tell
from .upgrade import Upgrade

SIGNALS = (
    signal.SIGCHLD,
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
)
_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


class Master:
    """The waiting loop: signals in, the supervisor's decisions out."""

    def __init__(
        self,
        heritage: Heritage,
        load: Load,
        runtime: RuntimeDirectory,
        pid_file: PidFile,
        upgrade: Upgrade,
        herald: Herald,
    ) -> None:
        self.pid_file = pid_file
        self._heritage = heritage
        self._load = load
        self._runtime = runtime
        self._upgrade = upgrade
        self._herald = herald
        self._log: Log = heritage.log
        self._supervisor = Supervisor(heritage.configuration[WorkerSettings].worker_processes)
        self._places: dict[int, int] = {}  # process id of a worker -> its row in the scoreboard

    def run(self) -> int:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # who ignores it, which is inherited, never hears of a death
        self._log.write(Level.NOTICE, "start worker processes")
        share_memory()
        while True:
            for decision in self._supervisor.decide(time.monotonic()):
                status = self._perform(decision)
                if status is not None:
                    return status
            self._look_after_workers()
            self._await_signal()
            for pid, row in self._rows().items():
                if row.pid:
                    self._supervisor.serves(pid)

    def _perform(self, decision: Decision) -> int | None:
        """The exit status when the decision was to finish."""
        if isinstance(decision, Finish):
            return decision.status
        if isinstance(decision, Tell):
            if not self._kill(decision.pid, decision.signal) and self._supervisor.mode in (Mode.STOP, Mode.DRAIN):
                return 1  # its lifeline ends with us, and it finishes its sessions
        elif isinstance(decision, Spawn):
            self._spawn(decision.slot)
        return None

    def _kill(self, pid: int, number: signal.Signals) -> bool:
        """Send a signal to a worker; False when we may not."""
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass  # it has just ended by itself; SIGCHLD will tell
        except OSError as error:  # root in a container without CAP_KILL
            self._log.write(Level.ALERT, f"kill({pid}, {number}) failed ({error.errno}: {error.strerror})")
            return False
        return True

    def _spawn(self, slot: int) -> None:
        place = self._heritage.scoreboard.claim()
        try:
            pid = spawn(lambda: self._work(slot, place), self._log)
        except OSError as error:  # as many processes, or as much memory, as there may be
            self._heritage.scoreboard.clear(place)
            self._supervisor.not_spawned(slot, time.monotonic())
            self._log.write(Level.ALERT, f"fork() failed ({error.errno}: {error.strerror})")
            return
        self._places[pid] = place
        self._supervisor.spawned(slot, pid, time.monotonic())
        if not self._heritage.scoreboard.shows(place):
            self._supervisor.serves(pid)  # it has no row to say so itself
        self._log.write(Level.NOTICE, f"start worker process {pid}")

    def _work(self, slot: int, place: int) -> int:
        forget(os.environ)
        self._heritage.lifeline.keep_worker_end()
        self.pid_file.let_go()
        return serve(self._heritage, slot, place)

    def _rows(self) -> dict[int, Row]:
        """What the living workers say, by the process ids that we know them by."""
        board = self._heritage.scoreboard
        return {pid: board.row(place) for pid, place in self._places.items() if board.shows(place)}

    def _look_after_workers(self) -> None:
        """Where there is a service manager: tell it how they are, and end those that hang."""
        for pid in self._herald.look(time.monotonic(), self._rows(), self._supervisor.complete):
            self._log.write(Level.ALERT, f"worker process {pid} has not moved for too long, killed")
            self._kill(pid, signal.SIGKILL)  # it is not reaped yet, so this is it, whatever has become of it

    # Signals

    def _await_signal(self) -> None:
        now = time.monotonic()
        wait = min(
            (seconds for seconds in (self._supervisor.wait(now), self._herald.wait(now)) if seconds is not None),
            default=None,
        )
        found = signal.sigwaitinfo(SIGNALS) if wait is None else signal.sigtimedwait(SIGNALS, wait)
        if found is None:
            return
        number, is_sent = signal.Signals(found.si_signo), found.si_code <= 0
        said = f"signal {number} ({number.name}) received"
        if is_sent:
            said += f" from {found.si_pid}"
        if number == signal.SIGCHLD:
            self._reap()
        elif number in _STOPPING:
            self._log.write(Level.NOTICE, f"{said}, exiting")
            self._reap()  # whether a successor that has just ended is still there decides what is left to it
            self._supervisor.told(number, time.monotonic())
            self._herald.stopping(self._rows().values(), self._upgrade.successor)
            # While ours were open the kernel would go on queueing connections that nobody will ever accept.
            self.close_listeners()
        elif number == signal.SIGHUP:
            self._hang_up(said)
        elif number == signal.SIGUSR1:
            self._log.write(Level.NOTICE, f"{said}, reopening logs")
            user = self._heritage.configuration[WorkerSettings].user
            # Workers open them by name, and they are not root: as with nginx, the files become theirs.
            self._reopen(user.uid if user is not None else None)
            self._supervisor.told(number, time.monotonic())
        elif self._supervisor.mode in (Mode.DRAIN, Mode.STOP):
            self._log.write(Level.NOTICE, f"{said}, ignored: exiting")
        elif number == signal.SIGUSR2:
            self._log.write(Level.NOTICE, said)
            self._upgrade.begin(self._heritage.listeners, self._runtime, self._log)
        elif number == signal.SIGWINCH and is_sent:  # the kernel sends it, too, when a terminal changes its size
            self._log.write(Level.NOTICE, f"{said}, stop accepting connections")
            self._supervisor.told(number, time.monotonic())

    def _reap(self) -> None:
        now = time.monotonic()
        for death in reap():
            if self._upgrade.ended(death, self._log):
                # Whoever told our workers to rest did so for a program that is gone.
                self._supervisor.resume()
                continue
            if not self._supervisor.ended(death.pid, death.status, now):
                continue
            self._heritage.scoreboard.clear(self._places.pop(death.pid))
            if death.status < 0:
                self._log.write(Level.ALERT, f"worker process {death.pid} exited on signal {-death.status}")
            else:
                level = Level.NOTICE if death.status == 0 else Level.ALERT
                self._log.write(level, f"worker process {death.pid} exited with code {death.status}")
                if death.status == FATAL_STATUS and self._supervisor.holds_on:
                    problem = "no worker can serve the new configuration"
                    self._log.write(Level.EMERG, f"{problem}; those of the old one go on")
                    self._herald.reload_failed(problem)

    def close_listeners(self) -> None:
        """Unix sockets go with us, unless another master serves them."""
        for listener in self._heritage.listeners:
            if self._upgrade.is_alone:
                listener.remove()
            else:
                listener.close()

    def _hang_up(self, said: str) -> None:
        """Reload; after WINCH this also lets workers serve again."""
        mode = self._supervisor.mode
        if mode is Mode.REST and self._upgrade.successor is not None:
            # The way back from an upgrade: what the files say now is for the new program.
            self._log.write(Level.NOTICE, f"{said}, starting workers with the configuration as it was")
            self._herald.reloading()
        elif mode in (Mode.SERVE, Mode.REST):
            self._log.write(Level.NOTICE, f"{said}, reconfiguring")
            self._herald.reloading()
            if self._reload():
                share_memory()  # now that nothing holds the old configuration any more
        self._supervisor.resume()

    def _reload(self) -> bool:
        """Everything new is made first; on any error the old goes on untouched, and this is False."""
        previous, is_alone = self._heritage, self._upgrade.is_alone
        try:
            with self._herald.busy():
                heritage = renewed(previous, self._load, self._runtime, is_alone=is_alone)
        except ConfigError as error:
            self._log.write(Level.EMERG, f"{error}; the old configuration stays in force")
            self._herald.reload_failed(str(error))
            return False
        except OSError as error:
            problem = f"{error.errno}: {error.strerror}"
            self._log.write(Level.EMERG, f"reload failed ({problem}); the old configuration stays in force")
            self._herald.reload_failed(problem)
            return False
        except Exception as error:  # noqa: BLE001 - ours, or a package that is being replaced while we read it
            # Its text is not for the log: who knows what is in it.
            last = traceback.extract_tb(error.__traceback__)[-1]
            problem = f"{type(error).__name__} at {last.filename}:{last.lineno}"
            self._log.write(Level.EMERG, f"reload failed ({problem}); the old configuration stays in force")
            self._herald.reload_failed(problem)
            return False
        self._heritage = heritage
        self._log = heritage.log
        shield(heritage.configuration)
        self._herald.reloaded()
        self._supervisor.renew(heritage.configuration[WorkerSettings].worker_processes)
        retire(previous, heritage, self._runtime, is_alone=is_alone)
        self._reopen()  # before there are new workers: who moves a log away may send HUP instead of USR1
        self._move_pid_file(heritage.configuration[MasterSettings].pid)
        return True

    def _move_pid_file(self, path: str) -> None:
        if path == self.pid_file.path or self._upgrade.successor is not None:
            return  # after an upgrade that is given up, the next reload moves it
        try:
            self.pid_file.move(path)
        except ConfigError as error:
            self._log.write(Level.EMERG, f'{error}; the pid file stays "{self.pid_file.path}"')

    def _reopen(self, owner: int | None = None) -> None:
        """``owner``: the user id that the files are given to."""
        for error in self._heritage.outputs.reopen(owner):
            self._log.write(Level.EMERG, f'open() "{error.filename}" failed ({error.errno}: {error.strerror})')
