"""Directives about the whole program: pid file, daemon, the main log."""

from dataclasses import dataclass
from typing import ClassVar

from gatepost.config.directive import MAIN, Repeat, directive
from gatepost.config.error_log import ERROR_LOG, LEVELS, ErrorLog
from gatepost.config.kinds import FLAG, PATH_PREFIX
from gatepost.syslog import FACILITIES, MAX_TAG_BYTES, PORT

_FACILITIES = ", ".join(f"``{name}``" for name in FACILITIES)
_LEVELS = ", ".join(f"``{name}``" for name in reversed(LEVELS))


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterSettings:
    """What the master process is told."""

    TITLE: ClassVar[str] = "The program"

    pid: str = directive(
        PATH_PREFIX,
        MAIN,
        default="/run/gatepost.pid",
        doc="""File that holds the process id of the master, written at start and removed at the end; ``gatepost
        -s`` finds the daemon through it. Relative names start at the prefix. nginx has another default: the two
        never share one unless this directive makes them.""",
    )
    daemon: bool = directive(
        FLAG,
        MAIN,
        default="on",
        doc="""Whether to leave the terminal and run in the background, as soon as all that can fail has
        succeeded. A service manager wants ``off``: it watches the process that it has started.""",
    )
    master_process: bool = directive(
        FLAG,
        MAIN,
        default="on",
        doc="""Whether to start workers. ``off`` serves in one process, which cannot reload; it is for
        development.""",
    )
    error_log: tuple[ErrorLog, ...] = directive(
        ERROR_LOG,
        MAIN,
        default="",
        repeat=Repeat.ADDS,
        absent="the log of the option -e, at level error",
        doc=f"""Where lines about what happens go, and how severe they must be. At the top level: the log of
        everything that no server logs elsewhere. In ``mail`` and ``server``: the log of the sessions there,
        instead of that of the outer level. Where several are given on one level, each takes what its own level
        lets through.

        * ``file`` is appended to and reopened on USR1 (``gatepost -s reopen``); a relative name starts at the
          prefix. A full disk loses lines and ends no session.
        * ``stderr`` is standard error.
        * ``syslog:server=address`` sends to a syslog daemon: ``unix:path``, or a name or address with a UDP
          port, {PORT} unless given. A name is looked up once, at start. Further parameters follow, separated by
          commas: ``facility=local7`` or another of {_FACILITIES}; ``tag=gatepost``, of at most {MAX_TAG_BYTES}
          letters, digits and underscores; ``nohostname`` leaves the name of the machine out. ``severity=`` is
          accepted and does nothing: each line has its own. A line is sent at once or lost, and how many were
          lost is said as soon as that is possible.

        The level is one of {_LEVELS}, from the least severe on, and lets through what is as severe or more so;
        ``error`` unless given. What happens in sessions, such as logins and their failures, is of level
        ``info``. ``debug_mail`` and the like are taken for ``debug``.""",
    )


SETTINGS: tuple[type, ...] = (MasterSettings,)
