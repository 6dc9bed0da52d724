"""Directives about workers, at the top level and in ``events {}``; and those of nginx that mean nothing here."""

import grp
import os
import pwd
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from gatepost.config.directive import EVENTS, MAIN, Context, Kind, Repeat, Scene, directive, nginx
from gatepost.config.kinds import NUMBER, SIZE, STRING, TIME, ignored, number
from gatepost.errors import ConfigError

UNPRIVILEGED = "nobody"  # whom workers run as where a master run by root is told no user
MAX_WORKERS = 1024  # processes; far beyond any machine's processors, far below its process table


def _worker_processes(words: Sequence[str], scene: Scene) -> int:
    if words[0] == "auto":
        return min(len(os.sched_getaffinity(0)), MAX_WORKERS)
    count = number(words[0])
    if count is None or not 1 <= count <= MAX_WORKERS:
        raise ConfigError(f'"{scene.name}" directive invalid value')
    return count


def _worker_connections(words: Sequence[str], _scene: Scene) -> int:
    count = number(words[0])
    if not count:
        raise ConfigError(f'invalid number "{words[0]}"')
    return count


def _env(words: Sequence[str], _scene: Scene) -> tuple[tuple[str, str | None], ...]:
    if not words:
        return ()
    name, equals, value = words[0].partition("=")
    if not name:
        raise ConfigError(f'invalid variable name "{words[0]}"')
    return ((name, value if equals else None),)


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
WORKER_PROCESSES = Kind("number | auto", (1, 1), _worker_processes)
WORKER_CONNECTIONS = Kind("number", (1, 1), _worker_connections)
ENV = Kind("variable[=value]", (1, 1), _env)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """How many workers there are, whom they run as, what each may use, and how long it may take to end."""

    TITLE: ClassVar[str] = "Workers"

    user: User | None = directive(
        USER,
        MAIN,
        default="",
        absent=f"{UNPRIVILEGED} and its group",
        doc="""Whom workers run as when the master is run by root; the group is called like the user unless it
        is given. The master keeps root to read keys and to bind ports below 1024. Without root the directive is
        ignored with a warning. Log files that are reopened are given to this user.""",
    )
    worker_processes: int = directive(
        WORKER_PROCESSES,
        MAIN,
        default="1",
        doc="""Number of workers, at most 1024; each uses one processor at most. ``auto``: one for each
        processor that this process may run on.""",
    )
    worker_connections: int = directive(
        WORKER_CONNECTIONS,
        EVENTS,
        default="512",
        doc="""Connections that one worker holds at once, to clients, backends and the authentication service
        together: a session takes two. A client beyond that is accepted and closed at once, which the log tells
        at level ``alert``.""",
    )
    worker_rlimit_nofile: int | None = directive(
        NUMBER,
        MAIN,
        default=None,
        absent="as inherited",
        doc="""Limit of open files of a worker. ``worker_connections`` of them are connections; some more are
        logs and listeners. Without a free one a worker stops accepting for a moment, and clients wait in the
        queue.""",
    )
    worker_rlimit_core: int | None = directive(
        SIZE,
        MAIN,
        default=None,
        absent="no core files",
        doc="""Largest core file of a worker. Such a file holds private keys and passwords, and so does the memory
        of a running process: without this directive, or with 0, neither the master nor a worker leaves one, and
        nobody but root can look into them. Where they are written is the kernel's ``core_pattern``, by default
        ``working_directory``.""",
    )
    worker_shutdown_timeout: float | None = directive(
        TIME,
        MAIN,
        default=None,
        origin=nginx("1.11.11"),
        absent="until the sessions end",
        doc="""How long sessions may go on in a worker that was told to finish, by a reload or by QUIT. Those
        that are left then are ended with the last words of their protocol, such as ``* BYE``: a hundred each
        second, or more where that would take longer than a minute.""",
    )
    env: tuple[tuple[str, str | None], ...] = directive(
        ENV,
        MAIN,
        default="",
        repeat=Repeat.ADDS,
        absent="env TZ;",
        doc="""A variable that workers keep from the environment of the master, or get with a value. All others
        but ``TZ`` are removed.""",
    )
    working_directory: str | None = directive(
        STRING,
        MAIN,
        default=None,
        absent="that of the master",
        doc="""Current directory of workers, where core files go.""",
    )


def _ignored(contexts: Context, syntax: str, reason: str, *, many: bool = False) -> Any:
    """A field for a directive that is accepted but not obeyed. ``many``: it takes any number of words."""
    kind = ignored(syntax, (1, None if many else 1), reason)
    return directive(kind, contexts, default=None, repeat=Repeat.LAST_WINS, doc="")


_LOOP = "the event loop decides that itself"
_SCHEDULING = "the service manager places processes and sets their priority"


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoredSettings:
    """Directives that an nginx.conf may carry and that mean nothing here: each use is a warning."""

    TITLE: ClassVar[str] = "Accepted and ignored"

    load_module: None = _ignored(MAIN, "file", "gatepost has no loadable modules")
    pcre_jit: None = _ignored(MAIN, "on | off", "no regular expressions are matched")
    quic_bpf: None = _ignored(MAIN, "on | off", "gatepost does not speak QUIC")
    thread_pool: None = _ignored(MAIN, "name threads=number", "workers have no threads", many=True)
    worker_aio_requests: None = _ignored(EVENTS, "number", "workers do no asynchronous file access")
    worker_priority: None = _ignored(MAIN, "number", _SCHEDULING)
    worker_cpu_affinity: None = _ignored(MAIN, "mask ... | auto", _SCHEDULING, many=True)
    timer_resolution: None = _ignored(MAIN, "time", _LOOP)
    lock_file: None = _ignored(MAIN, "file", "workers share no lock file")
    debug_points: None = _ignored(MAIN, "abort | stop", "that is for debugging nginx")
    google_perftools_profiles: None = _ignored(MAIN, "file", "that is for profiling nginx")
    use: None = _ignored(EVENTS, "method", _LOOP)
    multi_accept: None = _ignored(EVENTS, "on | off", _LOOP)
    accept_mutex: None = _ignored(EVENTS, "on | off", _LOOP)
    accept_mutex_delay: None = _ignored(EVENTS, "time", _LOOP)
    epoll_events: None = _ignored(EVENTS, "number", _LOOP)
    debug_connection: None = _ignored(EVENTS, "address", "the level of error_log holds for all connections")


SETTINGS: tuple[type, ...] = (WorkerSettings, IgnoredSettings)
