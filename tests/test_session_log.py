"""The log of a session: what its lines end with."""

from gatepost.log import Level
from gatepost.session_log import SessionLog
from tests.wire import Lines


def session(lines: Lines, level: Level = Level.DEBUG) -> SessionLog:
    return SessionLog(lines.log(level), 7, "192.0.2.1", "0.0.0.0:143")


def test_the_suffix_of_a_session_grows_in_its_order() -> None:
    lines = Lines()
    log = session(lines)
    log.write(Level.INFO, "client timed out")
    log.action = "in auth state"
    log.write(Level.INFO, "client timed out")
    log.starttls = True
    log.login = b"joe"
    log.upstream = "10.0.0.5:143"
    log.write(Level.INFO, "upstream timed out")
    log.action = ""
    log.write(Level.INFO, "client logged in")
    end = 'client: 192.0.2.1 using starttls, server: 0.0.0.0:143, login: "joe", upstream: 10.0.0.5:143'
    assert lines.texts == [
        "[info] *7 client timed out, client: 192.0.2.1, server: 0.0.0.0:143",
        "[info] *7 client timed out while in auth state, client: 192.0.2.1, server: 0.0.0.0:143",
        f"[info] *7 upstream timed out while in auth state, {end}",
        f"[info] *7 client logged in, {end}",
    ]


def test_a_login_name_cannot_forge_a_line() -> None:
    lines = Lines()
    log = session(lines)
    log.login = b'joe", upstream: evil\r\n2026/01/01'
    log.write(Level.INFO, "client logged in")
    (text,) = lines.texts
    assert text.endswith(r'login: "joe\x22, upstream: evil\x0D\x0A2026/01/01"')


def test_what_nobody_wants_is_not_even_put_together() -> None:
    lines = Lines()
    log = session(lines, Level.ERROR)
    log.login = None  # type: ignore[assignment]
    log.client = None  # type: ignore[assignment]
    log.write(Level.INFO, "client logged in")
    assert lines.texts == []
