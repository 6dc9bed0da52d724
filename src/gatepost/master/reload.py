"""A new configuration in a running master: everything new is made first, or nothing changes.

Listeners that stay keep their sockets, and with them the connections that wait in their queues; zones of the same
name and size keep what they hold. Old workers accept until the new ones do, then finish their sessions.
"""

from collections.abc import Callable
from typing import TypeAlias

from gatepost.config.build import Configuration
from gatepost.config.error_log import open_log
from gatepost.log import Level
from gatepost.store.runtime import RuntimeDirectory
from gatepost.worker.heritage import Heritage, make

from .settings import MasterSettings

Load: TypeAlias = Callable[[], Configuration]  # reads the configuration anew; raises ConfigError


def renewed(previous: Heritage, load: Load, runtime: RuntimeDirectory, *, is_alone: bool) -> Heritage:
    """The heritage of the configuration as it is now. Raises ConfigError; ``previous`` then still holds.

    ``is_alone``: no other master uses the same sockets and files.
    """
    configuration = load()
    try:
        log = open_log(previous.outputs, configuration[MasterSettings].error_log)
        for warning in configuration.warnings:
            log.write(Level.WARN, warning)
        return make(
            configuration,
            previous.outputs,
            log,
            lambda text: log.write(Level.NOTICE, text),
            runtime,
            previous,
            is_alone=is_alone,
        )
    except BaseException:
        previous.outputs.prune((previous.log, *previous.logs))
        raise


def retire(previous: Heritage, current: Heritage, runtime: RuntimeDirectory, *, is_alone: bool) -> None:
    """Close what ``current`` does not use any more. Workers that still drain hold what they need themselves.

    ``is_alone`` as in ``renewed``.
    """
    kept = {id(listener.socket) for listener in current.listeners}
    for listener in previous.listeners:
        if id(listener.socket) not in kept:
            if is_alone:
                listener.remove()
            else:
                listener.close()
    current.outputs.prune((current.log, *current.logs))
    if is_alone:
        runtime.prune(current.zones.files())
