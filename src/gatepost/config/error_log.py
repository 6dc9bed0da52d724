"""The value of ``error_log``: where lines go, and how severe they must be; and the log that it describes."""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from gatepost.address import Address, unix
from gatepost.errors import ConfigError, Where
from gatepost.log import Level, Log, Outputs, Sink
from gatepost.syslog import FACILITIES, MAX_TAG_BYTES, PORT, SyslogServer

from .directive import Kind, Scene
from .hosts import HostError, addresses_of, host_and_port
from .listen import MAX_PATH_BYTES

LEVELS = {level.word: level for level in Level}
# nginx picks subsystems to debug; here each of the words means the level "debug".
_DEBUG_WORDS = frozenset(f"debug_{part}" for part in ("core", "alloc", "mutex", "event", "http", "mail", "stream"))
_TAG = re.compile(r"[0-9A-Za-z_]*")


@dataclass(frozen=True, slots=True)
class ErrorLog(Sink):
    """What one ``error_log`` says, and where it says so; None for the log of the installation."""

    where: Where | None = field(default=None, compare=False)


def _level(given: Sequence[str]) -> Level:
    """The one level, or any number of ``debug_*`` words; nothing means ``error``."""
    level: Level | None = None
    for position, word in enumerate(given):
        if word in LEVELS:
            if level is not None:
                raise ConfigError(f'duplicate log level "{word}"')
            level = LEVELS[word]
        elif word in _DEBUG_WORDS and (position == 0 or given[0] in _DEBUG_WORDS):
            level = Level.DEBUG
        else:
            raise ConfigError(f'invalid log level "{word}"')
    return Level.ERROR if level is None else level


def _error_log(given: Sequence[str], scene: Scene) -> tuple[ErrorLog, ...]:
    """No words at all stand for the log of the installation."""
    given = given or (scene.error_log,)
    name, level = given[0], _level(given[1:])
    if name in ("stderr", ""):
        return (ErrorLog(None, level, scene.where),)
    scheme, colon, rest = name.partition(":")
    if colon and scheme == "memory":
        # In nginx, too, only a build for debugging has it: it is read with a debugger.
        raise ConfigError(f'"memory:" is for debugging nginx: name a file, "stderr" or "syslog:" in "{scene.name}"')
    if colon and scheme == "syslog":
        return (ErrorLog(_syslog_server(rest), level, scene.where),)
    return (ErrorLog(os.path.join(scene.prefix, name), level, scene.where),)


def _syslog_server(text: str) -> SyslogServer:
    """The server that ``server=HOST,facility=WORD,...`` describes. Raises ConfigError."""
    seen: set[str] = set()
    server = SyslogServer(unix(""))
    for parameter in text.split(","):
        name, equals, value = parameter.partition("=")
        if parameter == "nohostname":
            server = replace(server, hostname=False)
            continue
        if not equals or name not in _PARAMETERS:
            raise ConfigError(f'unknown syslog parameter "{parameter}"')
        if name in seen:
            raise ConfigError(f'duplicate syslog "{name}"')
        seen.add(name)
        server = _PARAMETERS[name](server, value)
    if "server" not in seen:
        raise ConfigError("no syslog server specified")
    return server


def _server(server: SyslogServer, value: str) -> SyslogServer:
    try:
        return replace(server, address=_address(value))
    except HostError as error:
        raise ConfigError(f'{error.message} in syslog server "{value}"') from error


def _address(text: str) -> Address:
    """Raises HostError. A relative path starts at the directory from which the program is started, as in nginx."""
    if not text.startswith("unix:"):
        if "/" in text:
            raise HostError("invalid host")
        return addresses_of(*host_and_port(text, PORT))[0]
    path = text[5:]
    if not path:
        raise HostError("no path in the unix domain socket")
    path = os.path.abspath(path)  # reconnecting must lead there from any directory
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise HostError("too long path in the unix domain socket")
    return unix(path)


def _facility(server: SyslogServer, value: str) -> SyslogServer:
    if value not in FACILITIES:
        raise ConfigError(f'unknown syslog facility "{value}"')
    return replace(server, facility=value)


def _severity(server: SyslogServer, value: str) -> SyslogServer:
    """Checked, and of no effect, as in nginx: each line of an error log has a severity of its own."""
    if value not in LEVELS:
        raise ConfigError(f'unknown syslog severity "{value}"')
    return server


def _tag(server: SyslogServer, value: str) -> SyslogServer:
    if len(value) > MAX_TAG_BYTES:
        raise ConfigError(f"syslog tag length exceeds {MAX_TAG_BYTES}")
    if _TAG.fullmatch(value) is None:
        raise ConfigError('syslog "tag" only allows alphanumeric characters and underscore')
    return replace(server, tag=value)


_PARAMETERS: dict[str, Callable[[SyslogServer, str], SyslogServer]] = {
    "server": _server,
    "facility": _facility,
    "severity": _severity,
    "tag": _tag,
}

ERROR_LOG = Kind("file | stderr | syslog:server=address[,parameter=value] [level]", (1, None), _error_log)


def open_log(outputs: Outputs, lines: Sequence[ErrorLog]) -> Log:
    """The log that these ``error_log`` lines describe. Raises ConfigError for a file that cannot be opened."""
    for line in lines:
        try:
            outputs.open(line.target)
        except OSError as error:
            text = f'open() "{error.filename}" failed ({error.errno}: {error.strerror})'
            raise ConfigError(text, line.where) from error
    return outputs.log(lines)
