"""Directives about the whole program: identity, pid file, the main log."""

import grp
import os
import pwd
from collections.abc import Sequence
from dataclasses import dataclass

from gatepost.config.directive import MAIN, Kind, Repeat, Scene, directive
from gatepost.config.kinds import ERROR_LOG, FLAG, PATH_PREFIX
from gatepost.errors import ConfigError
from gatepost.log import Sink

UNPRIVILEGED = "nobody"  # whom workers run as where a master run by root is told no user


@dataclass(frozen=True, slots=True)
class User:
    """Whom workers run as."""

    name: str
    uid: int
    gid: int


def _user(words: Sequence[str], scene: Scene) -> User | None:
    """None where the process is not run by root and so cannot change."""
    if os.geteuid() != 0:
        if words:
            scene.warn(
                'the "user" directive makes sense only if the master process runs '
                "with super-user privileges, ignored"
            )
        return None
    name = words[0] if words else UNPRIVILEGED
    try:
        account = pwd.getpwnam(name)
    except (KeyError, UnicodeError) as error:
        raise ConfigError(f'getpwnam("{name}") failed') from error
    if not words:
        return User(name, account.pw_uid, account.pw_gid)
    group = words[1] if len(words) > 1 else name
    try:
        return User(name, account.pw_uid, grp.getgrnam(group).gr_gid)
    except (KeyError, UnicodeError) as error:
        raise ConfigError(f'getgrnam("{group}") failed') from error


USER = Kind("user [group]", (1, 2), _user)


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterSettings:
    """What the master process is told."""

    user: User | None = directive(  # noqa: RUF009
        USER,
        MAIN,
        default="",
        doc="""Whom workers run as when the master is run by root; the group is called like the user unless it is
        given. Default: ``nobody`` and its group. Without root the directive is ignored with a warning.""",
    )
    pid: str = directive(
        PATH_PREFIX,
        MAIN,
        default="/run/gatepost.pid",
        doc="""File that holds the process id of the master; relative names start at the prefix.""",
    )
    daemon: bool = directive(
        FLAG, MAIN, default="on", doc="""Whether to leave the terminal and run in the background."""
    )
    master_process: bool = directive(
        FLAG,
        MAIN,
        default="on",
        doc="""Whether to start workers; ``off`` serves in one process, for development.""",
    )
    error_log: tuple[Sink, ...] = directive(
        ERROR_LOG,
        MAIN,
        default="",
        repeat=Repeat.ADDS,
        doc="""File, or ``stderr``, and level (``error`` unless given) of the log of everything that no server logs
        elsewhere. Each of several gets what its level lets through. Default: the option ``-e``.""",
    )


SETTINGS: tuple[type, ...] = (MasterSettings,)
