"""Everything that crosses fork, and nothing else.

The master makes one ``Heritage`` from a configuration and workers are forked with it. It is frozen: what a worker
changes stays in that worker. Nothing in it holds an event loop.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gatepost.config.build import Configuration, Server
from gatepost.errors import ConfigError
from gatepost.log import Log, Outputs, Sink
from gatepost.net.bind_plan import plan
from gatepost.net.listener import Listener, open_all
from gatepost.protocol import protocol_of
from gatepost.session.settings import SessionSettings
from gatepost.tls.context import Context, server_context
from gatepost.tls.settings import TlsSettings


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
    """What a worker is born with. ``contexts`` and ``logs`` are by the index of their server."""

    configuration: Configuration
    listeners: tuple[Listener, ...]
    contexts: tuple[Context | None, ...]
    outputs: Outputs
    log: Log
    logs: tuple[Log, ...]
    lifeline: Lifeline


def tls_contexts(configuration: Configuration, warn: Callable[[str], None]) -> tuple[Context | None, ...]:
    """A TLS context for each server that may speak TLS, None for the others. Raises ConfigError."""
    return tuple(
        server_context(server[TlsSettings], alpn=protocol_of(server).alpn, warn=warn)
        if speaks_tls(server)
        else None
        for server in configuration.servers
    )


def speaks_tls(server: Server) -> bool:
    """Whether any client of this server can come to a handshake."""
    return server[TlsSettings].demanded_by(server) is not None


def make(configuration: Configuration, outputs: Outputs, log: Log, notice: Callable[[str], None]) -> Heritage:
    """Load certificates, open logs, bind listeners. Raises ConfigError; no socket is left open then.

    ``log`` is the main log; servers with an ``error_log`` of their own get their own.
    """
    contexts = tls_contexts(configuration, notice)
    logs = tuple(
        open_log(outputs, sinks) if (sinks := server[SessionSettings].error_log) else log
        for server in configuration.servers
    )
    listeners = open_all(plan(configuration.servers), notice)
    return Heritage(configuration, listeners, contexts, outputs, log, logs, Lifeline.make())


def open_log(outputs: Outputs, sinks: Sequence[Sink]) -> Log:
    """The log that writes to ``sinks``. Raises ConfigError for a file that cannot be opened."""
    try:
        return outputs.log(sinks)
    except OSError as error:
        raise ConfigError(f'open() "{error.filename}" failed ({error.errno}: {error.strerror})') from error
