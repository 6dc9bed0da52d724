"""The TLS contexts of all servers of a configuration, for workers and for ``-t``.

Apart from what else a worker inherits, so that testing a configuration loads no event loop.
"""

from collections.abc import Callable

from gatepost.config.build import Configuration, Server
from gatepost.errors import ConfigError
from gatepost.protocol import protocol_of
from gatepost.store.zones import Zones
from gatepost.tls.context import Context, server_context
from gatepost.tls.engines import use_engine
from gatepost.tls.settings import LibrarySettings, TlsSettings


def tls_contexts(
    configuration: Configuration, warn: Callable[[str], None], zones: Zones | None = None
) -> tuple[Context | None, ...]:
    """A TLS context for each server that may speak TLS, None for the others. Raises ConfigError.

    The zones that they use are added to ``zones``.
    """
    zones = Zones() if zones is None else zones
    try:
        return _contexts(configuration, warn, zones)
    finally:
        # The keys are open, or never will be: nobody who reads our memory should find what opened them.
        for server in configuration.servers:
            passwords = server[TlsSettings].ssl_password_file
            if passwords is not None:
                passwords.wipe()


def _contexts(
    configuration: Configuration, warn: Callable[[str], None], zones: Zones
) -> tuple[Context | None, ...]:
    engine = configuration[LibrarySettings].ssl_engine
    if engine is not None:
        use_engine(engine)
    heard: set[str] = set()

    def warn_once(message: str) -> None:
        # Servers that inherit one certificate have one thing to say about it.
        if message not in heard:
            heard.add(message)
            warn(message)

    def context(server: Server) -> Context | None:
        if not speaks_tls(server):
            return None
        try:
            return server_context(server[TlsSettings], alpn=protocol_of(server).alpn, warn=warn_once, zones=zones)
        except ConfigError as error:
            # What a file is found to be is known only now, and of its directive no more than whose it is.
            raise ConfigError(error.message, error.where or server.where) from error

    return tuple(map(context, configuration.servers))


def speaks_tls(server: Server) -> bool:
    """Whether any client of this server can come to a handshake."""
    return server[TlsSettings].demanded_by(server) is not None
