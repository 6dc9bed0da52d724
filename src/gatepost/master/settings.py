"""Directives about the whole program: pid file, daemon, the main log."""

from dataclasses import dataclass

from gatepost.config.directive import MAIN, Repeat, directive
from gatepost.config.error_log import ERROR_LOG, ErrorLog
from gatepost.config.kinds import FLAG, PATH_PREFIX


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterSettings:
    """What the master process is told."""

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
    error_log: tuple[ErrorLog, ...] = directive(
        ERROR_LOG,
        MAIN,
        default="",
        repeat=Repeat.ADDS,
        doc="""File, or ``stderr``, and level (``error`` unless given) of the log of everything that no server logs
        elsewhere. Each of several gets what its level lets through. Default: the option ``-e``.""",
    )


SETTINGS: tuple[type, ...] = (MasterSettings,)
