"""What a worker settles before it meets a client: limits, directory, environment, and giving up root."""

import os
import resource
import sys
from collections.abc import Callable

from gatepost.config.build import Configuration
from gatepost.errors import ConfigError
from gatepost.libc import allow_dumps

from .settings import WorkerSettings


def settle(configuration: Configuration, alert: Callable[[str], None]) -> None:
    """Put ``worker_rlimit_*``, ``working_directory``, ``env`` and ``user`` into force, in that order.

    Raises ConfigError if one of them cannot be: the worker must not serve then, least of all as root. A limit that
    the system does not grant is no such thing, as in nginx: ``alert`` hears of it, and what there is has to do.
    """
    settings = configuration[WorkerSettings]
    _limit("NOFILE", settings.worker_rlimit_nofile, alert)
    _limit("CORE", settings.worker_rlimit_core, alert)
    try:
        if settings.working_directory is not None:
            os.chdir(settings.working_directory)
    except OSError as error:
        text = f'chdir("{settings.working_directory}") failed ({error.errno}: {error.strerror})'
        raise ConfigError(text, configuration.where_of("working_directory")) from error
    _environment(settings)
    _user(settings, configuration)
    shield(configuration)  # again: who becomes somebody else is shielded by the kernel, asked or not


def shield(configuration: Configuration) -> None:
    """Keep what is in this process, keys above all, out of core files and from its own user, unless asked for."""
    allow_dumps(bool(configuration[WorkerSettings].worker_rlimit_core))


def _limit(name: str, value: int | None, alert: Callable[[str], None]) -> None:
    if value is None:
        return
    kind: int = getattr(resource, f"RLIMIT_{name}")
    try:
        resource.setrlimit(kind, (value, value))
    except (OSError, ValueError) as error:
        reason = f"{error.errno}: {error.strerror}" if isinstance(error, OSError) else str(error)
        alert(f"setrlimit(RLIMIT_{name}, {value}) failed ({reason})")
        _, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (hard, hard))


def _environment(settings: WorkerSettings) -> None:
    """Keep ``TZ`` and what ``env`` names; the rest of the master's environment is nobody's business here."""
    kept = {"TZ": None, **dict(settings.env)}
    for name in tuple(os.environ):
        if name not in kept:
            del os.environ[name]
    for name, value in kept.items():
        if value is not None:
            os.environ[name] = value


def _user(settings: WorkerSettings, configuration: Configuration) -> None:
    user = settings.user
    if user is None or os.geteuid() != 0:
        return
    try:
        os.initgroups(user.name, user.gid)
        os.setresgid(user.gid, user.gid, user.gid)
        os.setresuid(user.uid, user.uid, user.uid)
    except OSError as error:
        text = f'cannot become user "{user.name}" ({error.errno}: {error.strerror})'
        raise ConfigError(text, configuration.where_of("user")) from error
    if user.uid != 0 and os.geteuid() == 0:
        sys.exit("still root after setresuid")  # cannot happen; if it does, serving would be worse
