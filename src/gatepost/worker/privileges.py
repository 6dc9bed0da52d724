"""What a worker settles before it meets a client: limits, directory, environment, and giving up root."""

import os
import resource
import sys

from gatepost.config.build import Configuration
from gatepost.errors import ConfigError

from .settings import WorkerSettings


def settle(configuration: Configuration) -> None:
    """Put ``worker_rlimit_nofile``, ``working_directory``, ``env`` and ``user`` into force, in that order.

    Raises ConfigError if one of them cannot be: the worker must not serve then, least of all as root.
    """
    settings = configuration[WorkerSettings]
    where = configuration.where_of
    try:
        if settings.worker_rlimit_nofile is not None:
            limit = settings.worker_rlimit_nofile
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    except (OSError, ValueError) as error:
        raise ConfigError(f"setrlimit(RLIMIT_NOFILE, {limit}) failed", where("worker_rlimit_nofile")) from error
    try:
        if settings.working_directory is not None:
            os.chdir(settings.working_directory)
    except OSError as error:
        text = f'chdir("{settings.working_directory}") failed ({error.errno}: {error.strerror})'
        raise ConfigError(text, where("working_directory")) from error
    _environment(settings)
    _user(settings, configuration)


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
