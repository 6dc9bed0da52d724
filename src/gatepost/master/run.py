"""The master: from a configuration to running workers, and back to nothing.

Theory of operation. Everything that can fail is done before the first fork, in the foreground, so that the operator
sees it: certificates, logs, sockets. Then the master only waits for signals, with all of them blocked and taken one
by one from the kernel: no handler interrupts anything, and no client's byte is ever here.
"""

import contextlib
import os
import signal
import time

from gatepost import __version__
from gatepost.config.build import Configuration
from gatepost.config.error_log import open_log
from gatepost.errors import ConfigError
from gatepost.log import Level, Log, Outputs
from gatepost.net.inherited import close_unused
from gatepost.store.runtime import RuntimeDirectory
from gatepost.worker.heritage import Heritage, make
from gatepost.worker.process import serve
from gatepost.worker.scoreboard import Row
from gatepost.worker.settings import WorkerSettings

from .command import own_command
from .herald import Herald
from .notify import Notifier, forget
from .pidfile import PidFile
from .reload import Load, renewed, retire
from .settings import MasterSettings
from .spawn import reap, spawn
from .supervisor import Decision, Finish, Mode, Spawn, Supervisor, Tell
from .upgrade import Inheritance, Upgrade, receive

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


def run(configuration: Configuration, load: Load) -> int:
    """Serve ``configuration`` until told to stop; the exit status. Raises ConfigError when it cannot start.

    ``load`` reads the configuration anew, for a reload.
    """
    command = own_command()
    settings = configuration[MasterSettings]
    outputs = Outputs()
    log = open_log(outputs, settings.error_log)
    for warning in configuration.warnings:
        log.write(Level.WARN, warning)
    inheritance = receive(os.environ, lambda text: log.write(Level.WARN, text))
    runtime = RuntimeDirectory(heirloom=inheritance.runtime)
    try:
        heritage = _heritage(configuration, outputs, log, runtime, inheritance)
        pid_file = PidFile(settings.pid)
        pid_file.check()
        notifier = Notifier.from_environment(os.environ, log)
        if settings.daemon:
            _daemonize(notifier, is_in_background=inheritance.succeeds)
            outputs.redirect_stderr()
        upgrade = Upgrade(command, pid_file, inheritance.predecessor)
        status = _serve(
            Master(heritage, load, runtime, pid_file, upgrade, Herald(notifier, upgrade.is_heir)),
            notifier,
            heritage,
        )
    finally:
        runtime.remove()
    log.write(Level.NOTICE, "exit")
    return status


def _heritage(
    configuration: Configuration, outputs: Outputs, log: Log, runtime: RuntimeDirectory, inheritance: Inheritance
) -> Heritage:
    """Raises ConfigError."""

    def notice(text: str) -> None:
        log.write(Level.NOTICE, text)

    inherited = inheritance.sockets
    if inherited:
        notice(f"using inherited sockets: {' '.join(str(bound.address) for bound in inherited)}")
    workers = None if configuration[MasterSettings].master_process else 1
    heritage = make(configuration, outputs, log, notice, runtime, inherited=inherited, workers=workers)
    used = [listener.socket for listener in heritage.listeners]
    close_unused(inherited, used, lambda text: log.write(Level.WARN, text))
    return heritage


def _daemonize(notifier: Notifier, *, is_in_background: bool) -> None:
    """Leave the terminal: a new session, no standard input and output.

    A successor is in the background, and stays the child of the master that started it, which watches it.
    """
    if not is_in_background:
        pid = os.fork()
        if pid:
            notifier.main_pid(pid)  # only the process that was started is believed, and it ends here
            os._exit(0)  # the listeners are open: whoever started us may connect now
    with contextlib.suppress(PermissionError):  # a successor that some wrapper has given a group of its own
        os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1):
        os.dup2(null, fd)
    if null > 2:
        os.close(null)


def _serve(master: "Master", notifier: Notifier, heritage: Heritage) -> int:
    """The exit status. Raises ConfigError when there can be no pid file."""
    try:
        master.pid_file.write()
        heritage.log.write(Level.NOTICE, f"gatepost/{__version__}")
        if heritage.configuration[MasterSettings].master_process:
            return master.run()
        notifier.ready("one process serves")  # and nobody looks after it
        forget(os.environ)
        return serve(heritage, 0, heritage.scoreboard.claim())
    finally:
        master.close_listeners()
        master.pid_file.remove()


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
            pid = spawn(lambda: self._work(decision.slot, place), self._log)
            self._places[pid] = place
            self._supervisor.spawned(decision.slot, pid, time.monotonic())
            self._log.write(Level.NOTICE, f"start worker process {pid}")
        return None

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
            os.kill(pid, signal.SIGKILL)  # it is not reaped yet, so this is it, whatever has become of it

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
            self._reopen()
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
            self._reload()
        self._supervisor.resume()

    def _reload(self) -> None:
        """Everything new is made first; on any error the old goes on untouched."""
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
        retire(previous, heritage, self._runtime, is_alone=self._upgrade.is_alone)

    def _reopen(self) -> None:
        user = self._heritage.configuration[WorkerSettings].user
        # Workers open them by name, and they are not root: as with nginx, the files become theirs.
        for error in self._heritage.outputs.reopen(user.uid if user is not None else None):
            self._log.write(Level.EMERG, f'open() "{error.filename}" failed ({error.errno}: {error.strerror})')
        self._supervisor.told(signal.SIGUSR1, time.monotonic())
