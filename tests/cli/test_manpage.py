"""gatepost(8): whatever the program knows of is in it."""

import signal

from gatepost.cli.manpage import SIGNALS, command_page
from gatepost.cli.options import OPTIONS
from gatepost.master import loop

PAGE = command_page("gatepost 1")


def test_every_option() -> None:
    for option in OPTIONS:
        assert f"\n\\fB\\-{option.letter}\\fR" in PAGE
    assert ".RB [ \\-hvVtTq ]\n" in PAGE
    assert ".RB [ \\-s\n.IR signal ]\n" in PAGE


def test_every_signal_that_the_master_takes() -> None:
    taken = {number.name.removeprefix("SIG") for number in loop.SIGNALS} - {"CHLD"}
    assert taken - {signal.SIGINT.name.removeprefix("SIG")} == set(SIGNALS)
    assert ".B HUP (reload)\n" in PAGE
    assert ".B USR1 (reopen)\n" in PAGE


def test_where_things_are() -> None:
    for word in ("/etc/gatepost/gatepost.conf", "/var/log/gatepost/error.log", "/run/gatepost.pid"):
        assert f"\n.B {word}\n" in PAGE
    for word in ("GATEPOST_OPENSSL", "GATEPOST_TLS", "NOTIFY_SOCKET", "WATCHDOG_USEC"):
        assert f"\n.B {word}\n" in PAGE


def test_it_is_ascii() -> None:
    assert PAGE.isascii()
