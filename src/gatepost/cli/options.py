"""The arguments of the command, parsed as nginx parses them (pure).

Options may be bundled (``-tq``); the value of an option is the rest of its word or, if that is empty, the next one.
Everything is read before anything is done, so a wrong option is an error even behind ``-h``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SIGNALS = ("stop", "quit", "reopen", "reload")


@dataclass(frozen=True, slots=True)
class Option:
    """One option as it is parsed and explained. ``field`` is that of Options; a flag has no ``value``."""

    letter: str
    field: str
    help: str
    value: str = ""  # its name in the help
    kind: str = ""  # its name in an error


OPTIONS = (
    Option("h", "help", "this help"),
    Option("v", "version", "show version and exit"),
    Option("V", "build", "show version and what it runs on, then exit"),
    Option("t", "test", "test configuration and exit"),
    Option("T", "dump", "test configuration, dump it and exit"),
    Option("q", "quiet", "suppress non-error messages during configuration testing"),
    Option("s", "signal", f"send signal to a master process: {', '.join(SIGNALS)}", "signal", "parameter"),
    Option("p", "prefix", "set prefix path (default: {prefix})", "prefix", "directory name"),
    Option("e", "error_log", "set error log file (default: {error_log})", "filename", "file name"),
    Option("c", "file", "set configuration file (default: {file})", "filename", "file name"),
    Option("g", "directives", "set global directives out of configuration file", "directives", "parameter"),
)
_ALIASES = {"?": "h"}
_BY_LETTER = {option.letter: option for option in OPTIONS}

USAGE = """\
Usage: gatepost [-?hvVtTq] [-s signal] [-p prefix]
                [-e filename] [-c filename] [-g directives]
"""


def help_text(prefix: str, error_log: str, file: str) -> str:
    """What ``-h`` says; the arguments are the defaults here."""
    lines = []
    for option in OPTIONS:
        names = ",".join(f"-{letter}" for letter in (*_aliases(option), option.letter))
        text = option.help.format(prefix=prefix, error_log=error_log, file=file)
        lines.append(f"  {f'{names} {option.value}'.rstrip():<14}: {text}\n")
    return f"{USAGE}\nOptions:\n{''.join(lines)}"


def _aliases(option: Option) -> list[str]:
    return [alias for alias, letter in _ALIASES.items() if letter == option.letter]


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
        option = _BY_LETTER.get(_ALIASES.get(letter, letter))
        if option is None:
            raise OptionError(f'invalid option: "{letter}"')
        if not option.value:
            setattr(options, option.field, True)
            continue
        value = letters[position + 1 :] or next(words, None)
        if value is None:
            raise OptionError(f'option "-{letter}" requires {option.kind}')
        setattr(options, option.field, value)
        return
