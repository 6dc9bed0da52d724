"""What the command does with a configuration: test it, tell its daemon something, or serve it."""

from collections.abc import Sequence

from gatepost.assembly import load
from gatepost.config.build import Configuration, Installation
from gatepost.errors import ConfigError
from gatepost.log import Level, Sink
from gatepost.master.settings import MasterSettings

from . import check
from .options import Options
from .report import PROGRAM, Reporter, say
from .signalling import send


def use(options: Options, installation: Installation) -> int:
    """Read the configuration and do what ``options`` ask for; the exit status."""
    report = Reporter()
    if installation.error_log not in ("stderr", ""):
        for failure in report.log_to([Sink(installation.error_log, Level.NOTICE)]):
            report(Level.ALERT, f"could not open error log file: {failure}")
    warnings: list[str] = []
    try:
        configuration = load(installation, directives=options.directives, warn=warnings.append)
    except ConfigError as error:
        _warn(warnings, report)
        return _fail(error, options, installation, report)
    try:
        if options.tests:
            # Before the signal, as in nginx: who tests a file does not want the daemon to be told anything.
            _warn(warnings, report)
            return _test(configuration, options, installation, report)
        if options.signal is not None:
            _warn(warnings, report)
            return send(options.signal, configuration[MasterSettings].pid, report)
        return _serve(configuration, options, installation, warnings)
    except ConfigError as error:
        if options.starts:
            # Now it is known where the operator looks. A log that cannot be opened is the error itself.
            report.log_to(configuration[MasterSettings].error_log)
        return _fail(error, options, installation, report)


def _warn(warnings: Sequence[str], report: Reporter) -> None:
    for warning in warnings:
        report(Level.WARN, warning)


def _fail(error: ConfigError, options: Options, installation: Installation, report: Reporter) -> int:
    report(Level.EMERG, str(error))
    if options.tests:
        say(f"{PROGRAM}: configuration file {installation.path} test failed")
    return 1


def _test(configuration: Configuration, options: Options, installation: Installation, report: Reporter) -> int:
    """Raises ConfigError."""
    check.is_whole(configuration)
    check.load_certificates(configuration, lambda text: report(Level.WARN, text))
    if not options.quiet:
        say(f"{PROGRAM}: the configuration file {installation.path} syntax is ok")
    check.try_resources(configuration)
    check.has_directory(configuration)
    _warn(check.enough_connections(configuration), report)
    if not options.quiet:
        say(f"{PROGRAM}: configuration file {installation.path} test is successful")
    if options.dump:
        check.dump(configuration)
    return 0


def _serve(
    configuration: Configuration, options: Options, installation: Installation, warnings: Sequence[str]
) -> int:
    """Raises ConfigError if it cannot start."""
    from gatepost.master.run import run

    def reloaded() -> Configuration:
        fresh = load(installation, directives=options.directives)
        check.is_whole(fresh)
        check.has_directory(fresh)
        fresh.warnings += tuple(check.enough_connections(fresh))
        return fresh

    check.is_whole(configuration)
    check.has_directory(configuration)
    shortages = check.enough_connections(configuration)
    configuration.warnings += tuple(shortages)
    if all(sink.target is not None for sink in configuration[MasterSettings].error_log):
        # The daemon puts them in its log; the operator at the terminal hears them too, but not twice.
        for warning in (*warnings, *shortages):
            say(f"{PROGRAM}: [{Level.WARN.word}] {warning}")
    return run(configuration, reloaded)
