"""The master: from a configuration to running workers, and back to nothing.

Theory of operation. Everything that can fail is done before the first fork, in the foreground, so that the operator
sees it: certificates, logs, sockets. Then the master only waits (``loop.py``), and no client's byte is ever here.
"""

import contextlib
import os
import signal

from gatepost import __version__
from gatepost.config.build import Configuration
from gatepost.config.error_log import open_log
from gatepost.log import Level, Log, Outputs
from gatepost.net.inherited import close_unused
from gatepost.store.runtime import RuntimeDirectory
from gatepost.worker.heritage import Heritage, make
from gatepost.worker.privileges import shield
from gatepost.worker.process import serve

from .command import own_command
from .herald import Herald
from .loop import SIGNALS, Master
from .notify import Notifier, forget
from .pidfile import PidFile
from .reload import Load
from .settings import MasterSettings
from .upgrade import Inheritance, Upgrade, receive


def run(configuration: Configuration, load: Load) -> int:
    """Serve ``configuration`` until told to stop; the exit status. Raises ConfigError when it cannot start.

    ``load`` reads the configuration anew, for a reload.
    """
    command = own_command()
    settings = configuration[MasterSettings]
    shield(configuration)  # before there are keys
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
        addresses = dict.fromkeys(str(bound.address) for bound in inherited)
        notice(f"using inherited sockets: {' '.join(addresses)}")
    workers = None if configuration[MasterSettings].master_process else 1
    heritage = make(
        configuration,
        outputs,
        log,
        notice,
        runtime,
        inherited=inherited,
        workers=workers,
        is_alone=inheritance.predecessor is None,
    )
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


def _serve(master: Master, notifier: Notifier, heritage: Heritage) -> int:
    """The exit status. Raises ConfigError when there can be no pid file."""
    # Whoever has read the pid file may send signals; one that comes before we wait for them waits for us.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
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
