"""The master: from a configuration to running workers, and back to nothing.

Theory of operation. Everything that can fail is done before the first fork, in the foreground, so that the operator
sees it: certificates, logs, sockets. Then the master only waits for signals, with all of them blocked and taken one
by one from the kernel: no handler interrupts anything, and no client's byte is ever here.
"""

import os
import signal
import time

from gatepost import __version__
from gatepost.config.build import Configuration
from gatepost.config.error_log import open_log
from gatepost.errors import ConfigError
from gatepost.log import Level, Log, Outputs
from gatepost.store.runtime import RuntimeDirectory
from gatepost.worker.heritage import Heritage, make
from gatepost.worker.process import serve
from gatepost.worker.scoreboard import Row
from gatepost.worker.settings import WorkerSettings

from . import pidfile
from .herald import Herald
from .notify import Notifier, forget
from .reload import Load, renewed, retire
from .settings import MasterSettings
from .spawn import reap, spawn
from .supervisor import Decision, Finish, Mode, Spawn, Supervisor, Tell

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
_UNSERVED = (signal.SIGUSR2, signal.SIGWINCH)


def run(configuration: Configuration, load: Load) -> int:
    """Serve ``configuration`` until told to stop; the exit status. Raises ConfigError when it cannot start.

    ``load`` reads the configuration anew, for a reload.
    """
    settings = configuration[MasterSettings]
    outputs = Outputs()
    log = open_log(outputs, settings.error_log)
    for warning in configuration.warnings:
        log.write(Level.WARN, warning)
    runtime = RuntimeDirectory()
    try:
        status = _run(configuration, load, outputs, log, runtime)
    finally:
        runtime.remove()
    log.write(Level.NOTICE, "exit")
    return status


def _run(configuration: Configuration, load: Load, outputs: Outputs, log: Log, runtime: RuntimeDirectory) -> int:
    """The exit status. Raises ConfigError."""
    settings = configuration[MasterSettings]
    heritage = make(configuration, outputs, log, lambda text: log.write(Level.NOTICE, text), runtime)
    notifier = Notifier.from_environment(os.environ, log)
    if settings.daemon:
        _daemonize(notifier)
        outputs.redirect_stderr()
    pidfile.write(settings.pid)
    log.write(Level.NOTICE, f"gatepost/{__version__}")
    master = Master(heritage, load, runtime, Herald(notifier))
    try:
        if settings.master_process:
            return master.run()
        notifier.ready("one process serves")  # and nobody looks after it
        forget(os.environ)
        return serve(heritage, heritage.scoreboard.claim())
    finally:
        master.close_listeners()
        pidfile.remove(settings.pid)


def _daemonize(notifier: Notifier) -> None:
    """Leave the terminal: a new session, no standard input and output."""
    pid = os.fork()
    if pid:
        notifier.main_pid(pid)  # only the process that was started is believed, and it ends here
        os._exit(0)  # the listeners are open: whoever started us may connect now
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1):
        os.dup2(null, fd)
    if null > 2:
        os.close(null)


class Master:
    """The waiting loop: signals in, the supervisor's decisions out."""

    def __init__(self, heritage: Heritage, load: Load, runtime: RuntimeDirectory, herald: Herald) -> None:
        self._heritage = heritage
        self._load = load
        self._runtime = runtime
        self._herald = herald
        self._log: Log = heritage.log
        self._supervisor = Supervisor(heritage.configuration[WorkerSettings].worker_processes)
        self._places: dict[int, int] = {}  # process id of a worker -> its row in the scoreboard

    def run(self) -> int:
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        self._log.write(Level.NOTICE, "start worker processes")
        while True:
            for decision in self._supervisor.decide(time.monotonic()):
                status = self._perform(decision)
                if status is not None:
                    return status
            self._look_after_workers()
            self._await_signal()

    def _perform(self, decision: Decision) -> int | None:
        """The exit status when the decision was to finish."""
        if isinstance(decision, Finish):
            return decision.status
        if isinstance(decision, Tell):
            try:
                os.kill(decision.pid, decision.signal)
            except ProcessLookupError:
                return None  # it has just ended by itself; SIGCHLD will tell
        elif isinstance(decision, Spawn):
            place = self._heritage.scoreboard.claim()
            pid = spawn(lambda: self._work(place), self._log)
            self._places[pid] = place
            self._supervisor.spawned(decision.slot, pid, time.monotonic())
            self._log.write(Level.NOTICE, f"start worker process {pid}")
        return None

    def _work(self, place: int) -> int:
        forget(os.environ)
        self._heritage.lifeline.keep_worker_end()
        return serve(self._heritage, place)

    def _rows(self) -> dict[int, Row]:
        """What the living workers say, by the process ids that we know them by."""
        board = self._heritage.scoreboard
        return {pid: board.row(place) for pid, place in self._places.items() if board.shows(place)}

    def _look_after_workers(self) -> None:
        """Where there is a service manager: tell it how they are, and end those that hang."""
        for pid in self._herald.look(time.monotonic(), self._rows(), self._supervisor.complete):
            self._log.write(Level.ALERT, f"worker process {pid} has not moved for too long, killed")
            os.kill(pid, signal.SIGKILL)  # it is not reaped yet, so this is it, whatever has become of it

    def _await_signal(self) -> None:
        now = time.monotonic()
        wait = min(
            (seconds for seconds in (self._supervisor.wait(now), self._herald.wait(now)) if seconds is not None),
            default=None,
        )
        if wait is None:
            number = signal.sigwait(SIGNALS)
        else:
            found = signal.sigtimedwait(SIGNALS, wait)
            if found is None:
                return
            number = signal.Signals(found.si_signo)
        if number == signal.SIGCHLD:
            self._reap()
        elif number in _STOPPING:
            self._log.write(Level.NOTICE, f"signal {number} ({signal.Signals(number).name}) received, exiting")
            self._supervisor.told(signal.Signals(number), time.monotonic())
            self._herald.stopping(self._rows().values())
            # While ours were open the kernel would go on queueing connections that nobody will ever accept.
            self.close_listeners()
        elif number == signal.SIGHUP:
            self._reload()
        elif number == signal.SIGUSR1:
            self._reopen()
        elif number in _UNSERVED:
            name = signal.Signals(number).name
            self._log.write(
                Level.WARN, f"signal {number} ({name}) received, but this version cannot serve it: restart"
            )

    def _reap(self) -> None:
        now = time.monotonic()
        for death in reap():
            if not self._supervisor.ended(death.pid, death.status, now):
                continue
            self._heritage.scoreboard.clear(self._places.pop(death.pid))
            if death.status < 0:
                self._log.write(Level.ALERT, f"worker process {death.pid} exited on signal {-death.status}")
            else:
                level = Level.NOTICE if death.status == 0 else Level.ALERT
                self._log.write(level, f"worker process {death.pid} exited with code {death.status}")

    def close_listeners(self) -> None:
        for listener in self._heritage.listeners:
            listener.remove()

    def _reload(self) -> None:
        """Everything new is made first; on any error the old goes on untouched."""
        if self._supervisor.mode is not Mode.SERVE:
            return
        self._log.write(Level.NOTICE, "signal 1 (SIGHUP) received, reconfiguring")
        self._herald.reloading()
        previous = self._heritage
        try:
            heritage = renewed(previous, self._load, self._runtime)
        except ConfigError as error:
            self._log.write(Level.EMERG, f"{error}; the old configuration stays in force")
            self._herald.reload_failed(str(error))
            return
        except OSError as error:
            problem = f"{error.errno}: {error.strerror}"
            self._log.write(Level.EMERG, f"reload failed ({problem}); the old configuration stays in force")
            self._herald.reload_failed(problem)
            return
        self._heritage = heritage
        self._log = heritage.log
        self._herald.reloaded()
        self._supervisor.renew(heritage.configuration[WorkerSettings].worker_processes)
        retire(previous, heritage, self._runtime)

    def _reopen(self) -> None:
        self._log.write(Level.NOTICE, "reopening logs")
        user = self._heritage.configuration[WorkerSettings].user
        # Workers open them by name, and they are not root: as with nginx, the files become theirs.
        for error in self._heritage.outputs.reopen(user.uid if user is not None else None):
            self._log.write(Level.EMERG, f'open() "{error.filename}" failed ({error.errno}: {error.strerror})')
        self._supervisor.told(signal.SIGUSR1, time.monotonic())
