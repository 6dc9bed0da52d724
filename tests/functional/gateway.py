"""The daemon under test: one configuration in a directory of its own, its log, its processes.

``GATEPOST_STORIES_AGAINST=/usr/sbin/nginx`` runs the stories against an nginx instead. That is how to learn whether
a story asks for what nginx does; stories about ``proxy_pass`` and about what gatepost does better fail there.
"""

import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from .ports import claim_port
from .process import Process, children
from .waiting import LIMIT_SECONDS, wait_until

_OTHER = os.environ.get("GATEPOST_STORIES_AGAINST")
COMMAND: tuple[str, ...] = (_OTHER,) if _OTHER else (sys.executable, "-m", "gatepost")

_MAIN = """
{load}
{user}
daemon off;
worker_processes {workers};
pid {directory}/gatepost.pid;
error_log {directory}/error.log info;
{main}
events {{
    worker_connections {connections};
}}
mail {{
{mail}
}}
"""


def write_configuration(
    directory: Path, mail: str, *, main: str = "", workers: int = 1, connections: int = 2048
) -> Path:
    """A whole configuration file round the ``mail`` block's content. ``main`` goes to the top level."""
    module = "/usr/lib/nginx/modules/ngx_mail_module.so"
    text = _MAIN.format(
        load=f"load_module {module};" if _OTHER and os.path.exists(module) else "",
        # Other users than root could not look at the descriptors of a daemon that may not be dumped.
        user="user nobody nogroup;"
        if os.geteuid() == 0
        else ""
        if "worker_rlimit_core" in main
        else "worker_rlimit_core 1;",
        directory=directory,
        main=main,
        # Debian 12's nginx is older than TLS 1.3 as a default.
        mail="ssl_protocols TLSv1.2 TLSv1.3;\n" + mail if _OTHER else mail,
        workers=workers,
        connections=connections,
    )
    path = directory / "gatepost.conf"
    path.write_text(text)
    return path


def command(directory: Path, *arguments: str) -> tuple[str, ...]:
    """The command line for the configuration in ``directory``, with further ``arguments``."""
    return (
        *COMMAND,
        "-c",
        str(directory / "gatepost.conf"),
        "-p",
        str(directory),
        "-e",
        f"{directory}/error.log",
        *arguments,
    )


class Gateway:
    """A running daemon. Started when made; ended by ``stop`` or at the end of a ``with`` block.

    ``before`` is what starts it, in front of its own command line.
    ``ports`` are claimed ports: write ``{0}``, ``{1}``... in ``mail`` for them and double every other brace.
    """

    def __init__(
        self,
        directory: Path,
        mail: str,
        *,
        ports: int = 1,
        main: str = "",
        workers: int = 1,
        connections: int = 2048,
        before: Sequence[str] = (),
    ) -> None:
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self.ports: Sequence[int] = [claim_port() for _ in range(ports)]
        self.port = self.ports[0]
        self.count = workers
        self.successors: set[int] = set()  # masters that ours has started in an upgrade (upgrading.py)
        write_configuration(
            directory, mail.format(*self.ports), main=main, workers=workers, connections=connections
        )
        self.process = Process((*before, *command(directory)), directory / "output")
        try:
            wait_until(self._started, "the daemon to write its pid file")
            expected = 0 if "master_process off;" in main else workers
            wait_until(lambda: len(self.workers) == expected, "its workers")
        except BaseException:
            if self.process.status is None:
                self.process.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _started(self) -> bool:
        if self.process.status is not None:
            raise RuntimeError(f"the daemon ended with {self.process.status}: {self.process.text()}{self.log()}")
        pid_file = self.directory / "gatepost.pid"
        return pid_file.exists() and pid_file.read_text().strip() == str(self.process.pid)

    @property
    def workers(self) -> tuple[int, ...]:
        """Process ids of the workers."""
        return tuple(pid for pid in children(self.process.pid) if pid not in self.successors)

    def wait_until_serving(self) -> None:
        """Wait until every worker is what it is going to be: only then it catches the signals that end it."""

        def catches_term(pid: int) -> bool:
            with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
                (mask,) = (line.split()[1] for line in file if line.startswith("SigCgt:"))
            return bool(int(mask, 16) & (1 << (signal.SIGTERM - 1)))

        wait_until(lambda: all(map(catches_term, self.workers)), "all workers to serve")

    def log(self) -> str:
        path = self.directory / "error.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_for_log(self, pattern: str) -> re.Match[str]:
        """The first match of a regular expression in the log, as soon as there is one."""
        try:
            wait_until(lambda: re.search(pattern, self.log()), f"a log line with {pattern}")
        except TimeoutError as error:
            raise AssertionError(f"{error}; the log is\n{self.log()}") from None
        match = re.search(pattern, self.log())
        assert match
        return match

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End the daemon and return its exit status; all its processes are gone then."""
        workers = self.workers
        if self.process.status is None:
            self.process.signal(number)
            try:
                self.process.wait()
            except TimeoutError:
                self.process.stop(LIMIT_SECONDS)
                raise
        status = self.process.wait()
        wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers), "the workers to be gone")
        return status
