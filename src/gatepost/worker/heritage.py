"""Everything that crosses fork, and nothing else.

The master makes one ``Heritage`` from a configuration and workers are forked with it. It is frozen: what a worker
changes stays in that worker. Nothing in it holds an event loop.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gatepost.config.build import Configuration
from gatepost.config.error_log import open_log
from gatepost.log import Log, Outputs
from gatepost.net.bind_plan import plan
from gatepost.net.listener import Bound, Listener, open_all
from gatepost.session.settings import SessionSettings
from gatepost.store.runtime import RuntimeDirectory
from gatepost.store.zones import Zones
from gatepost.tls.context import Context

from .contexts import tls_contexts
from .scoreboard import Scoreboard
from .settings import WorkerSettings

FATAL_STATUS = (
    2  # the exit status of a worker that can never serve (it cannot become its user): it is not tried again
)


@dataclass(frozen=True, slots=True, eq=False)
class Lifeline:
    """A pipe that nobody writes to. Its reading end tells a worker that the master is gone."""

    read_fd: int
    write_fd: int

    @classmethod
    def make(cls) -> "Lifeline":
        return cls(*os.pipe())

    def keep_worker_end(self) -> None:
        """In a worker: the master's death must close the last writing end."""
        os.close(self.write_fd)


@dataclass(frozen=True, slots=True, eq=False)
class Heritage:
    """What a worker is born with. ``contexts`` and ``logs`` are by the index of their server.

    ``zones`` are attached by each worker for itself. ``generation`` counts the reloads; the scoreboard outlives
    them.
    """

    configuration: Configuration
    workers: int
    listeners: tuple[Listener, ...]
    contexts: tuple[Context | None, ...]
    outputs: Outputs
    log: Log
    logs: tuple[Log, ...]
    lifeline: Lifeline
    zones: Zones
    scoreboard: Scoreboard
    generation: int


def make(
    configuration: Configuration,
    outputs: Outputs,
    log: Log,
    notice: Callable[[str], None],
    runtime: RuntimeDirectory | None = None,
    previous: Heritage | None = None,
    inherited: Sequence[Bound] = (),
    workers: int | None = None,
    is_alone: bool = True,
) -> Heritage:
    """Load certificates, open logs, bind listeners. Raises ConfigError; no socket is left open then.

    ``log`` is the main log; servers with an ``error_log`` of their own get their own. ``runtime`` is the caller's,
    made if there are zones; zones that were in it before keep what they hold. Without one, the next master removes
    what is made here. Sockets of ``previous``, and those that were ``inherited`` at start, are taken over where
    their addresses are wanted. ``workers``: how many there will be, if not as many as configured.
    ``is_alone``: no other master has the same sockets.
    """
    zones = Zones()
    contexts = tls_contexts(configuration, notice, zones)
    logs = tuple(
        open_log(outputs, sinks) if (sinks := server[SessionSettings].error_log) else log
        for server in configuration.servers
    )
    user = configuration[WorkerSettings].user
    zones.prepare(runtime or RuntimeDirectory(), user.uid if user is not None else None)
    kept = [listener.bound for listener in previous.listeners] if previous else inherited
    workers = configuration[WorkerSettings].worker_processes if workers is None else workers
    # One that other masters do not know would take its queue along if we end and they go on.
    listeners = open_all(plan(configuration.servers), notice, kept, workers if is_alone else 1)
    lifeline = previous.lifeline if previous else Lifeline.make()
    scoreboard = previous.scoreboard if previous else Scoreboard()
    generation = previous.generation + 1 if previous else 0
    return Heritage(
        configuration, workers, listeners, contexts, outputs, log, logs, lifeline, zones, scoreboard, generation
    )
