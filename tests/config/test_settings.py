"""A server needs somewhere to listen."""

from pathlib import Path

from gatepost.config.build import defaults
from gatepost.config.settings import SETTINGS, ListenSettings
from tests.reading import mistake, read


def test_a_server_without_listen_is_refused_when_it_closes(tmp_path: Path) -> None:
    text = "mail {\n\n  server\n  {\n  }\n foo; }"
    assert mistake(tmp_path, text, *SETTINGS) == 'no "listen" is defined for server in :4'


def test_mail_may_be_empty(tmp_path: Path) -> None:
    assert read(tmp_path, "mail { }", *SETTINGS).servers == ()


def test_listens_are_kept_in_order(tmp_path: Path) -> None:
    (server,) = read(tmp_path, "mail { server { listen 2; listen 1; } }", *SETTINGS).servers
    assert [listen.first_port for listen in server[ListenSettings].listen] == [2, 1]


def test_listen_needs_an_address_and_stands_in_a_server(tmp_path: Path) -> None:
    assert mistake(tmp_path, "mail { server { listen; } }", *SETTINGS).startswith("invalid number of arguments")
    assert mistake(tmp_path, "mail { listen 1; }", *SETTINGS).startswith('"listen" directive is not allowed here')


def test_no_listener_by_default() -> None:
    assert defaults(ListenSettings).listen == ()
