"""The command ``gatepost``: what is asked for, and where things are.

The prefix is ``/etc/gatepost/`` unless ``-p`` names another. The configuration is ``gatepost.conf`` in the prefix
unless ``-c`` names another; relative names of the configuration, of logs and of the pid file start at the prefix,
as in nginx. The first log is that of ``-e``; without it ``/var/log/gatepost/error.log`` where that can be written,
else standard error. It hears what happens before the configuration is read, and stays in use where that names no
other. The pid file is ``/run/gatepost.pid`` unless the configuration names another.

Start-up time is part of the interface: what only a running daemon needs is imported when it is about to run.
"""

import os
import sys
from collections.abc import Sequence

from gatepost import __version__

from .options import OptionError, Options, help_text, parse
from .report import PROGRAM, say

DEFAULT_PREFIX = "/etc/gatepost/"
DEFAULT_FILE = "gatepost.conf"  # in the prefix
DEFAULT_LOG = "/var/log/gatepost/error.log"

_EXPLANATION = """\
gatepost: there is no configuration: {path} does not exist

gatepost reads the configuration of nginx's mail proxy. If you have one, name it:

    gatepost -t -c /etc/nginx/nginx.conf    (only tests it)
    gatepost -c /etc/nginx/nginx.conf

If not, this is a whole configuration for {path}:

    mail {{
        ssl_certificate     /etc/ssl/mail.example.com.pem;
        ssl_certificate_key /etc/ssl/mail.example.com.key;
        proxy_pass          127.0.0.1:143;     # your IMAP server

        server {{
            listen 993 ssl;
        }}
    }}

To see it work without configuring anything, run "make demo" in a copy of the sources.
Options: gatepost -h
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments ask for; the exit status."""
    _fill_standard_descriptors()
    try:
        options = parse(sys.argv[1:] if arguments is None else arguments)
    except OptionError as error:
        say(f"{PROGRAM}: {error}")
        return 1
    if options.informs:
        _inform(options)
        if not options.tests:
            return 0
    try:
        return _run(options)
    except BrokenPipeError:
        # Whoever read the dump has seen enough. Python would complain at exit about what is not written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1


def _fill_standard_descriptors() -> None:
    """Who started us may have closed some. A log that got their numbers would be taken for them."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest number that is free


def _inform(options: Options) -> None:
    say(f"{PROGRAM} version: {PROGRAM}/{__version__}")
    if options.help:
        say(help_text(DEFAULT_PREFIX, _default_log(), DEFAULT_PREFIX + DEFAULT_FILE))
    if options.build:
        from .about import lines

        for line in lines():
            say(line)


def _default_log() -> str:
    """The log of an installation that may write one, else standard error."""
    target = DEFAULT_LOG if os.path.exists(DEFAULT_LOG) else os.path.dirname(DEFAULT_LOG)
    return DEFAULT_LOG if os.access(target, os.W_OK, effective_ids=True) else "stderr"


def _run(options: Options) -> int:
    prefix = os.path.join(options.prefix or DEFAULT_PREFIX, "")
    if not os.path.isabs(prefix):  # else the current directory does not matter, and may even be gone
        prefix = os.path.join(os.getcwd(), prefix)
    path = os.path.join(prefix, DEFAULT_FILE if options.file is None else options.file)
    if options.starts and options.file is None and not os.path.exists(path):
        say(_EXPLANATION.format(path=path).rstrip("\n"))
        return 1
    if options.file and not os.path.exists(path) and os.path.exists(options.file):
        say(f'{PROGRAM}: "{options.file}" is looked for in the prefix {prefix}, not in the current directory')
    named = _default_log() if options.error_log is None else options.error_log
    log = named if named in ("stderr", "") else os.path.join(prefix, named)

    from gatepost.config.build import Installation

    from .use import use

    return use(options, Installation(path, prefix, log))
