"""The arguments of the command, parsed as nginx parses them (pure).

Options may be bundled (``-tq``); the value of an option is the rest of its word or, if that is empty, the next one.
Everything is read before anything is done, so a wrong option is an error even behind ``-h``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SIGNALS = ("stop", "quit", "reopen", "reload")

_FLAGS = {"?": "help", "h": "help", "v": "version", "V": "build", "t": "test", "T": "dump", "q": "quiet"}
_VALUES = {
    "s": ("signal", "parameter"),
    "p": ("prefix", "directory name"),
    "e": ("error_log", "file name"),
    "c": ("file", "file name"),
    "g": ("directives", "parameter"),
}

HELP = """\
Usage: gatepost [-?hvVtTq] [-s signal] [-p prefix]
                [-e filename] [-c filename] [-g directives]

Options:
  -?,-h         : this help
  -v            : show version and exit
  -V            : show version and what it runs on, then exit
  -t            : test configuration and exit
  -T            : test configuration, dump it and exit
  -q            : suppress non-error messages during configuration testing
  -s signal     : send signal to a master process: stop, quit, reopen, reload
  -p prefix     : set prefix path (default: {prefix})
  -e filename   : set error log file (default: {error_log})
  -c filename   : set configuration file (default: {file})
  -g directives : set global directives out of configuration file
"""


class OptionError(Exception):
    """The arguments cannot be understood; ``str`` is the message."""


@dataclass(slots=True)
class Options:
    """What was asked for. None: the option was not given. Of several values the last counts, as in nginx."""

    help: bool = False
    version: bool = False
    build: bool = False
    test: bool = False
    dump: bool = False
    quiet: bool = False
    signal: str | None = None
    prefix: str | None = None
    error_log: str | None = None
    file: str | None = None
    directives: str = ""

    @property
    def informs(self) -> bool:
        """Whether anything about the program itself is to be shown."""
        return self.help or self.version or self.build

    @property
    def tests(self) -> bool:
        return self.test or self.dump

    @property
    def starts(self) -> bool:
        """Whether a daemon is to be started."""
        return self.signal is None and not self.tests


def parse(arguments: Sequence[str]) -> Options:
    """Raises OptionError."""
    options = Options()
    words = iter(arguments)
    for word in words:
        if not word.startswith("-"):
            raise OptionError(f'invalid option: "{word}"')
        _word(word[1:], words, options)
    if options.signal is not None and options.signal not in SIGNALS:
        raise OptionError(f'invalid option: "-s {options.signal}"')
    return options


def _word(letters: str, words: Iterator[str], options: Options) -> None:
    for position, letter in enumerate(letters):
        if letter in _FLAGS:
            setattr(options, _FLAGS[letter], True)
        elif letter in _VALUES:
            name, what = _VALUES[letter]
            value = letters[position + 1 :] or next(words, None)
            if value is None:
                raise OptionError(f'option "-{letter}" requires {what}')
            setattr(options, name, value)
            return
        else:
            raise OptionError(f'invalid option: "{letter}"')
