"""The manual page gatepost(8): options, signals, files, environment, exit status. Pure."""

from gatepost.config.build import defaults
from gatepost.config.manpage import definitions, escape, example, paragraphs, title
from gatepost.master.notify import SOCKET, WATCHDOG
from gatepost.master.pidfile import OLD_SUFFIX
from gatepost.master.settings import MasterSettings
from gatepost.master.upgrade import VARIABLE
from gatepost.store.runtime import PARENTS, PREFIX
from gatepost.tls._load import LIBRARY_VARIABLE, MODE_VARIABLE

from .main import DEFAULT_FILE, DEFAULT_LOG, DEFAULT_PREFIX
from .options import OPTIONS, Option
from .signalling import NUMBERS

_ABOUT = """
gatepost is the TLS edge of a mail system: it takes the connections of mail clients (IMAP, POP3, SMTP), finds out
who they are and where their mailbox is, logs in there on their behalf, and then moves bytes. Its configuration is
that of nginx's mail proxy, and is described in gatepost.conf(5).

A master process reads the configuration and the keys, opens the listening sockets, and starts workers, which
serve clients without the rights of root. A worker that dies is replaced, and takes only its own sessions with it.

Without ``-s``, ``-t`` and ``-T`` the program starts the daemon. What is wrong with the configuration is said on
standard error, with file and line, before anything is served.
"""

_OPTIONS = f"""
Options may be bundled (``-tq``). Relative names of the configuration file and of logs start at the prefix, not at
the current directory. ``-t`` also loads certificates and keys, opens the logs and tries the addresses, so run it
as the user who starts the daemon. With ``-t`` or ``-T``, ``-s`` has no effect. ``-s`` reads the configuration to
find the pid file, so give it the same ``-p``, ``-c`` and ``-g`` as the daemon. Without ``-e``, the log is
{DEFAULT_LOG} where that can be written, else standard error.
"""

# Number of the signal -> what the master does; -s knows some of them by a word.
SIGNALS = {
    "TERM": "End at once; sessions are cut. INT does the same.",
    "QUIT": """End when the sessions have ended, or when ``worker_shutdown_timeout`` has passed. Nothing is accepted
    any more.""",
    "HUP": """Read the configuration, certificates and keys anew. Everything new is made first; on any error the old
    configuration stays in force, and the log says why. New workers serve new clients, and old ones end with their
    last session, or when ``worker_shutdown_timeout`` has passed.""",
    "USR1": "Reopen the log files, for their rotation.",
    "USR2": f"""Start the program anew, beside this one, from the same file and with the same arguments. The new
    master inherits the listening sockets, and both serve. This one's pid file gets the suffix ``{OLD_SUFFIX}``.
    Then tell either of the two QUIT; the other keeps the pid file. What cannot start changes nothing.""",
    "WINCH": """Workers accept nothing any more and end with their sessions; the master stays, and HUP lets workers
    serve again.""",
}

_EXAMPLES = (
    ("Test a configuration, then start the daemon with it:", "gatepost -t\ngatepost"),
    ("The same with a configuration of nginx, as it is:", "gatepost -t -c /etc/nginx/nginx.conf"),
    ("Put a changed configuration, or new certificates, into force:", "gatepost -t && gatepost -s reload"),
    ("Rotate a log:", "mv error.log error.log.1 && gatepost -s reopen"),
)


def command_page(program: str) -> str:
    """gatepost(8). ``program`` is name and version."""
    parts = [
        title("GATEPOST", 8, program, "TLS edge and login proxy for IMAP, POP3 and SMTP"),
        ".SH SYNOPSIS\n",
        _synopsis(),
        ".SH DESCRIPTION\n",
        paragraphs(_ABOUT).removeprefix(".PP\n"),
        ".SH OPTIONS\n",
        *map(_option, OPTIONS),
        paragraphs(_OPTIONS),
        ".SH SIGNALS\n",
        "The master process acts on these; what is in brackets is the word for \\fB\\-s\\fR.\n",
        definitions((_signal(name), " ".join(text.split())) for name, text in SIGNALS.items()),
        ".SH FILES\n",
        definitions(_files()),
        ".SH ENVIRONMENT\n",
        definitions(_environment()),
        paragraphs("Workers keep ``TZ`` and what ``env`` names, and nothing else."),
        ".SH EXIT STATUS\n",
        definitions(
            [
                ("0", "What was asked for has been done; a daemon that was told to end has ended."),
                ("1", "It has not, and standard error says why; a daemon has ended because no worker could serve."),
            ]
        ),
        ".SH EXAMPLES\n",
        "".join(paragraphs(text) + example(lines) for text, lines in _EXAMPLES).removeprefix(".PP\n"),
        ".SH SEE ALSO\n.BR gatepost.conf (5),\n.BR nginx (8)\n",
    ]
    return "".join(parts)


def _synopsis() -> str:
    flags = "".join(option.letter for option in OPTIONS if not option.value)
    lines = [".B gatepost\n", f".RB [ \\-{flags} ]\n"]
    lines += [f".RB [ \\-{option.letter}\n.IR {option.value} ]\n" for option in OPTIONS if option.value]
    return "".join(lines)


def _option(option: Option) -> str:
    file = f"{DEFAULT_PREFIX}{DEFAULT_FILE}"
    text = option.help.format(prefix=DEFAULT_PREFIX, error_log="see below", file=file)
    value = f"\\fR \\fI{escape(option.value)}\\fR" if option.value else "\\fR"
    return f".TP\n\\fB\\-{option.letter}{value}\n{escape(text[0].upper() + text[1:])}.\n"


def _signal(name: str) -> str:
    words = [word for word, number in NUMBERS.items() if number.name == f"SIG{name}"]
    return f"{name} ({words[0]})" if words else name


def _files() -> list[tuple[str, str]]:
    return [
        (f"{DEFAULT_PREFIX}{DEFAULT_FILE}", "The configuration, unless ``-c`` names another."),
        (DEFAULT_LOG, "The log, where the directory is there and neither ``-e`` nor ``error_log`` names another."),
        (
            defaults(MasterSettings).pid,
            "The process id of the master, unless ``pid`` names another file. The master holds a lock on it; "
            "``-s`` does not signal a process that does not.",
        ),
        (
            f"{defaults(MasterSettings).pid}{OLD_SUFFIX}",
            "The same of a master that has started its successor, until one of the two ends.",
        ),
        (
            f"{PARENTS[0]}/{PREFIX}*",
            "What workers share, such as TLS sessions; gone when the daemon ends. Where there is no room, "
            f"it is in {PARENTS[1]} or {PARENTS[2]}.",
        ),
    ]


def _environment() -> list[tuple[str, str]]:
    return [
        (SOCKET, "Where a service manager is told that the daemon is ready, reloads or ends (sd_notify(3))."),
        (WATCHDOG, "Within which time it has to hear that the daemon is alive; for whom, ``WATCHDOG_PID`` says."),
        (
            "LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES",
            "Listening sockets that a service manager has opened (sd_listen_fds(3)). A ``listen`` that has the "
            "address of one uses it; one that no ``listen`` wants is closed, with a warning.",
        ),
        (
            f"{VARIABLE}, NGINX",
            "Listening sockets of the gatepost, or the nginx, that was told USR2 and started this one; not to be "
            "set by hand.",
        ),
        (LIBRARY_VARIABLE, "A directory with libssl and libcrypto, to be used instead of those of the system."),
        (
            MODE_VARIABLE,
            "``abi`` or ``api`` insists on one form of the binding to OpenSSL; ``-V`` shows which is used.",
        ),
    ]
