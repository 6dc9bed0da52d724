"""``-t`` and ``-T``: whether a configuration would start, without starting it.

Reading the files and loading certificates comes first; ``syntax is ok`` is said after that. Then the logs are
opened, and it is tried whether the pid file could be written and the sockets be bound. An address in use is no
mistake: usually it is the running daemon that uses it.
"""

import contextlib
import errno
import os
import resource
import socket
import sys
from collections.abc import Callable

from gatepost.address import Address
from gatepost.config.build import Configuration
from gatepost.config.error_log import open_log
from gatepost.errors import ConfigError
from gatepost.log import Outputs
from gatepost.master.pidfile import look
from gatepost.master.settings import MasterSettings
from gatepost.net.bind_plan import plan
from gatepost.session.settings import SessionSettings
from gatepost.tls.settings import TlsSettings
from gatepost.worker.settings import WorkerSettings


def load_certificates(configuration: Configuration, warn: Callable[[str], None]) -> None:
    """Build every TLS context that is needed, and let go of it. Raises ConfigError."""
    if any(server[TlsSettings].demanded_by(server) for server in configuration.servers):
        # Imported here, so that a configuration without TLS never loads the library.
        from gatepost.worker.contexts import tls_contexts

        tls_contexts(configuration, warn)


def is_whole(configuration: Configuration) -> None:
    """Raises ConfigError for a file without ``events`` and ``mail``, such as one that a full disk has emptied.

    nginx wants ``events`` in any case. At a reload, serving nothing is not what anybody means.
    """
    if not configuration.blocks & {"events", "mail"}:
        raise ConfigError('no "events" section in configuration')


def enough_connections(configuration: Configuration) -> list[str]:
    """Raises ConfigError unless a worker can hold its listening sockets and one connection.

    A warning if there cannot be as many connections as configured, in nginx's words.
    """
    settings = configuration[WorkerSettings]
    limit, sockets = settings.worker_connections, len(plan(configuration.servers))
    if limit < sockets + 1:
        raise ConfigError(f"{limit} worker_connections are not enough for {sockets} listening sockets")
    files = settings.worker_rlimit_nofile
    if files is None:
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY or limit <= files:
        return []
    return [f"{limit} worker_connections exceed open file resource limit: {files}"]


def has_directory(configuration: Configuration) -> None:
    """Raises ConfigError for a ``working_directory`` that is none: no worker could start there."""
    path = configuration[WorkerSettings].working_directory
    if path is not None and not os.path.isdir(path):
        code = errno.ENOTDIR if os.path.exists(path) else errno.ENOENT
        raise ConfigError(
            f'chdir("{path}") failed ({code}: {os.strerror(code)})', configuration.where_of("working_directory")
        )


def try_resources(configuration: Configuration) -> None:
    """Open the logs, look at the pid file, try the sockets. Raises ConfigError."""
    _try_logs(configuration)
    look(configuration[MasterSettings].pid)
    for bind in plan(configuration.servers):
        try:
            _try_bind(bind.address, v6only=bind.listen.ipv6only)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise ConfigError(
                    f"bind() to {bind.address} failed ({error.errno}: {error.strerror})", bind.listen.where
                ) from error


def _try_logs(configuration: Configuration) -> None:
    outputs = Outputs()
    try:
        open_log(outputs, configuration[MasterSettings].error_log)
        for server in configuration.servers:
            open_log(outputs, server[SessionSettings].error_log or ())
    finally:
        outputs.prune(())


def _try_bind(address: Address, *, v6only: bool) -> None:
    """Bind and let go; never listens, so that no client comes here. Raises OSError."""
    with socket.socket(address.family, socket.SOCK_STREAM) as sock:
        if address.family is socket.AF_UNIX:
            sock.bind(address.host)
            with contextlib.suppress(OSError):
                os.unlink(address.host)
            return
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address.family is socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(v6only))
        sock.bind(address.sockaddr)


def dump(configuration: Configuration) -> None:
    """All files that were read, on standard output, as nginx shows them."""
    for path, text in configuration.files:
        shown = f"# configuration file {path}:\n{text}\n"
        sys.stdout.buffer.write(shown.encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()
