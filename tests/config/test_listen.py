"""The value of ``listen``: every form of address, every parameter, every mistake."""

import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.address import Address
from gatepost.config.directive import Scene
from gatepost.config.listen import DEFAULT_BACKLOG, LISTEN, KeepAlive, Listen, addresses
from gatepost.config.settings import ListenSettings
from gatepost.errors import ConfigError, Where
from tests.reading import mistake, read

HERE = Where("f", 1)


def _listen(*words: str) -> Listen:
    (found,) = LISTEN.parse(words, Scene("listen", HERE, "/", "/", print))
    return found


def _mistake(*words: str) -> str:
    with pytest.raises(ConfigError) as caught:
        _listen(*words)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("143", "0.0.0.0:143"),
        ("0143", "0.0.0.0:143"),
        ("*:143", "0.0.0.0:143"),
        ("127.0.0.1:65535", "127.0.0.1:65535"),
        ("[::1]:1", "[::1]:1"),
        ("[::]:143", "[::]:143"),
        ("[0:0::0]:143", "[::]:143"),
        ("[::ffff:1.2.3.4]:143", "[::ffff:1.2.3.4]:143"),
        ("143-145", "0.0.0.0:143 0.0.0.0:144 0.0.0.0:145"),
        ("143-143", "0.0.0.0:143"),
        ("*:1-2", "0.0.0.0:1 0.0.0.0:2"),
        ("127.0.0.1:1-2", "127.0.0.1:1 127.0.0.1:2"),
        ("[::1]:1-2", "[::1]:1 [::1]:2"),
        ("unix:/a/b", "unix:/a/b"),
        ("UNIX:rel", "unix:rel"),
        ("unix:/a:1", "unix:/a:1"),
    ],
)
def test_forms_of_addresses(text: str, shown: str) -> None:
    assert " ".join(map(str, addresses(text))) == shown


def test_a_host_name_stands_for_its_addresses() -> None:
    found = addresses("localhost:143-144")
    assert {Address(socket.AF_INET, "127.0.0.1", 143), Address(socket.AF_INET, "127.0.0.1", 144)} <= set(found)
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        *((text, "invalid port") for text in ("0", "65536", "0-5", "143-70000", "9" * 30, ":", "*:", "localhost:")),
        *(
            (text, "invalid port")
            for text in ("127.0.0.1:x", "*:143-", "*:-1", "[::1]:", "[::1]:x", "a:b:143", "::1:143")
        ),
        *((text, "invalid port") for text in ("127.0.0.1:1 ", "*:+1", "*:1-2-3", "no.host.invalid:0")),
        *((text, "invalid port range") for text in ("150-143", "127.0.0.1:144-143", "[::1]:2-1")),
        *(
            (text, "host not found")
            for text in ("a b:143", "143-", "-5", "143a", "1-2-3", " ", "ü:143", "\udcff", "a" * 300)
        ),
        *((text, "no host") for text in (":143", "")),
        *(
            (text, "invalid host")
            for text in ("[::1", "[::1]x", "[::1]x:1", "a/b:1", "/x", "[::1/64]:1", "10.0.0.0/8")
        ),
        *(
            (text, "invalid IPv6 address")
            for text in ("[zz]:1", "[]:1", "[1.2.3.4]:1", "[fe80::1%lo]:1", "[\udcff]:1")
        ),
        *((text, "no port") for text in ("*", "127.0.0.1", "[::1]", "localhost")),
        ("unix:", "no path in the unix domain socket"),
        ("unix:" + "a" * 108, "too long path in the unix domain socket"),
        ("unix:" + "é" * 54, "too long path in the unix domain socket"),
    ],
)
def test_bad_addresses(text: str, reason: str) -> None:
    assert _mistake(text) == f'{reason} in "{text}" of the "listen" directive'


def test_the_longest_path_of_a_socket() -> None:
    (found,) = addresses("unix:" + "a" * 107)
    assert found == Address(socket.AF_UNIX, "a" * 107)


def test_without_parameters() -> None:
    found = _listen("143")
    assert found == Listen((Address(socket.AF_INET, "0.0.0.0", 143),), HERE)
    assert (found.backlog, found.bind, found.ssl, found.ipv6only) == (DEFAULT_BACKLOG, False, False, True)
    assert found.first_port == 143


def test_only_what_belongs_to_a_socket_asks_for_one() -> None:
    for word in ("ssl", "proxy_protocol"):
        assert not _listen("143", word).bind
    for word in ("bind", "backlog=5", "rcvbuf=1", "sndbuf=1", "ipv6only=on", "so_keepalive=off", "multipath"):
        assert _listen("143", word).bind


def test_parameters_in_any_order() -> None:
    words = ("multipath", "backlog=12", "ipv6only=off", "ssl", "rcvbuf=4k", "proxy_protocol", "sndbuf=1m")
    found = _listen("[::1]:993", *words)
    assert found.ssl
    assert found.proxy_protocol
    assert found.multipath
    assert not found.ipv6only
    assert (found.backlog, found.rcvbuf, found.sndbuf) == (12, 4096, 1048576)


def test_multipath_where_the_kernel_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: list[str] = []
    scene = Scene("listen", HERE, "/", "/", warnings.append)
    # The kernel knows no protocol of this number either.
    monkeypatch.setattr("gatepost.config.listen.IPPROTO_MPTCP", 255 + 5)
    assert LISTEN.parse(["143", "bind"], scene)[0].multipath is False
    assert warnings == []
    assert LISTEN.parse(["144", "multipath"], scene)[0].multipath is True
    assert warnings == ["multipath is not supported on this platform, ignored"]


@pytest.mark.parametrize(
    ("value", "keepalive"),
    [
        ("on", True),
        ("off", False),
        ("1:2:3", (1, 2, 3)),
        ("30m::10", (1800, 0, 10)),
        (":1m:", (0, 60, 0)),
        ("::5", (0, 0, 5)),
        ("5", (5, 0, 0)),
        ("32767:32767:127", (32767, 32767, 127)),
    ],
)
def test_keepalive(value: str, keepalive: KeepAlive) -> None:
    assert _listen("143", f"so_keepalive={value}").keepalive == keepalive
    assert _listen("143").keepalive is None


@pytest.mark.parametrize(
    ("word", "message"),
    [
        *((f"backlog={value}", f'invalid backlog "backlog={value}"') for value in ("", "0", "-1", "x", "9" * 30)),
        *((f"rcvbuf={value}", f'invalid rcvbuf "rcvbuf={value}"') for value in ("", "x", "-1", "4g", str(2**31))),
        *((f"sndbuf={value}", f'invalid sndbuf "sndbuf={value}"') for value in ("", "x")),
        ("ipv6only=oX", 'invalid ipv6only flags "oX"'),
        ("ipv6only=ON", 'invalid parameter "ipv6only=ON"'),
        ("ipv6only=", 'invalid parameter "ipv6only="'),
        *(
            (f"so_keepalive={value}", f'invalid so_keepalive value: "{value}"')
            for value in (
                "",
                "x",
                "ON",
                ":",
                "::",
                "0:0:0",
                "1:2:3:4",
                "1m:x:3",
                "1:1:x",
                "1ms",
                "32768",
                "1:1:128",
            )
        ),
        *(
            (word, f'invalid parameter "{word}"')
            for word in ("default_server", "reuseport", "http2", "SSL", "", "backlog")
        ),
        *((word, f'invalid parameter "{word}"') for word in ("ssl=on", "bind=1", "=", "foo=bar", "Backlog=1")),
    ],
)
def test_bad_parameters(word: str, message: str) -> None:
    assert _mistake("143", word) == message


def test_a_parameter_holds_for_every_address() -> None:
    found = _listen("143-150", "ssl", "backlog=3")
    assert len(found.addresses) == 8
    assert found.ssl


@pytest.mark.parametrize(
    ("listens", "shown"),
    [
        ("listen 143; listen *:143;", "0.0.0.0:143"),
        ("listen 143; } server { listen 143;", "0.0.0.0:143"),
        ("listen 140-143; listen 143 ssl;", "0.0.0.0:143"),
        ("listen [::]:143; listen [::0]:143;", "[::]:143"),
        ("listen unix:/a; listen unix:/a;", "unix:/a"),
        ("listen localhost:143; listen 127.0.0.1:143;", "127.0.0.1:143"),
    ],
)
def test_an_address_belongs_to_one_listen(tmp_path: Path, listens: str, shown: str) -> None:
    text = f"mail {{ server {{ {listens} }} }}"
    assert mistake(tmp_path, text, ListenSettings) == f'duplicate "{shown}" address and port pair in :1'


def test_families_and_ports_are_told_apart(tmp_path: Path) -> None:
    text = "mail { server { listen 143; listen [::]:143;\nlisten 993 ssl; listen unix:/a; } }"
    (server,) = read(tmp_path, text, ListenSettings).servers
    listens = server[ListenSettings].listen
    assert [listen.first_port for listen in listens] == [143, 143, 993, 0]
    assert [listen.where.line for listen in listens] == [1, 1, 2, 2]


@given(st.text(st.characters(exclude_characters=":", codec="ascii"), max_size=12), st.booleans())
def test_any_bracketed_text_is_an_address_or_a_mistake(text: str, port: bool) -> None:
    try:
        found = addresses(f"[{text}]" + ":1" * port)
    except ConfigError:
        return
    assert found[0].port == 1
