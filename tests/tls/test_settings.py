import os
import threading
from pathlib import Path

import pytest

from gatepost.config.build import defaults
from gatepost.config.settings import ListenSettings
from gatepost.tls.settings import BUILTIN_SESSIONS, Keeping, LibrarySettings, SessionCache, TlsSettings, Zone, shown
from tests.reading import mistake, read


def settings(directory: Path, server: str, mail: str = "") -> TlsSettings:
    text = f"mail {{ {mail} server {{ listen 143; {server} }} }}"
    return read(directory, text, ListenSettings, TlsSettings).servers[0][TlsSettings]


def server_mistake(directory: Path, server: str, mail: str = "", listen: str = "listen 143;") -> str:
    text = f"mail {{\n{mail}\nserver {{\n{listen}\n{server}\n}} }}"
    return mistake(directory, text, ListenSettings, TlsSettings)


def warnings(directory: Path, server: str) -> list[str]:
    heard: list[str] = []
    read(
        directory,
        f"mail {{ server {{ listen 143; {server} }} }}",
        ListenSettings,
        TlsSettings,
        warn=heard.append,
    )
    return [line.rpartition(" in ")[0] for line in heard]


def test_the_defaults() -> None:
    found = defaults(TlsSettings)
    assert (found.ssl_verify_client, found.ssl_verify_depth) == ("off", 1)
    assert (found.ssl_client_certificate, found.ssl_trusted_certificate, found.ssl_crl) == (None, None, None)
    assert found.ssl_protocols == ("TLSv1.2", "TLSv1.3")
    assert found.ssl_ciphers == "HIGH:!aNULL:!MD5"
    assert found.ssl_session_cache == SessionCache(Keeping.NONE)
    assert found.ssl_session_timeout == 300
    assert found.ssl_session_tickets
    assert found.ssl_ecdh_curve == "auto"
    assert found.starttls == "off"
    assert not found.ssl
    assert found.ssl_password_file is None
    assert (found.ssl_certificate, found.ssl_certificate_key, found.ssl_conf_command) == ((), (), ())


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("starttls maybe;", 'invalid value "maybe"'),
        ("ssl_verify_client maybe;", 'invalid value "maybe"'),
        ("ssl_verify_client on off;", 'invalid number of arguments in "ssl_verify_client" directive'),
        ("ssl_verify_depth x;", '"ssl_verify_depth" directive invalid number'),
        ("ssl_verify_depth -1;", '"ssl_verify_depth" directive invalid number'),
        ("ssl_verify_client on; ssl_verify_client on;", '"ssl_verify_client" directive is duplicate'),
        ("ssl_verify_depth 1; ssl_verify_depth 1;", '"ssl_verify_depth" directive is duplicate'),
        ("ssl_client_certificate a; ssl_client_certificate a;", '"ssl_client_certificate" directive is duplicate'),
        (
            "ssl_trusted_certificate a; ssl_trusted_certificate a;",
            '"ssl_trusted_certificate" directive is duplicate',
        ),
        ("ssl_crl a; ssl_crl a;", '"ssl_crl" directive is duplicate'),
        ("ssl_protocols TLSv1.2 TLSv9;", 'invalid value "TLSv9"'),
        (
            "ssl_session_tickets maybe;",
            'invalid value "maybe" in "ssl_session_tickets" directive, it must be "on" or "off"',
        ),
        ("ssl_session_timeout x;", '"ssl_session_timeout" directive invalid value'),
        ("ssl_conf_command Options;", 'invalid number of arguments in "ssl_conf_command" directive'),
        ("ssl_ciphers A; ssl_ciphers B;", '"ssl_ciphers" directive is duplicate'),
        ("starttls on; starttls on;", '"starttls" directive is duplicate'),
        ("ssl_dhparam a; ssl_dhparam b;", '"ssl_dhparam" directive is duplicate'),
        ("ssl_session_cache offf;", 'invalid session cache "offf"'),
        ("ssl_session_cache OFF;", 'invalid session cache "OFF"'),
        ("ssl_session_cache builtin:;", 'invalid session cache "builtin:"'),
        ("ssl_session_cache builtin:-1;", 'invalid session cache "builtin:-1"'),
        ("ssl_session_cache builtin:9999999999;", 'invalid session cache "builtin:9999999999"'),
        ("ssl_session_cache shared:;", 'invalid session cache "shared:"'),
        ("ssl_session_cache shared::1m;", 'invalid session cache "shared::1m"'),
        ("ssl_session_cache shared:a;", 'invalid session cache "shared:a"'),
        ("ssl_session_cache shared:a:b:1m;", 'invalid session cache "shared:a:b:1m"'),
        ("ssl_session_cache shared:a:1k;", 'session cache "shared:a:1k" is too small'),
        (
            "ssl_session_cache shared:SSL:2m; ssl_session_cache shared:SSL:1m;",
            'the size 1048576 of shared memory zone "SSL" conflicts with already declared size 2097152',
        ),
    ],
)
def test_mistakes_in_values(tmp_path: Path, line: str, text: str) -> None:
    assert server_mistake(tmp_path, line) == f"{text} in :5"


def test_a_missing_password_file_is_noticed_without_tls(tmp_path: Path) -> None:
    text = server_mistake(tmp_path, "ssl_password_file none;")
    assert text == f'open() "{tmp_path}/none" failed (2: No such file or directory) in :5'


def test_files_are_relative_to_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "passwords").write_bytes(b"one\n")
    found = settings(
        tmp_path,
        "ssl_certificate a.pem; ssl_certificate /b.pem; ssl_certificate_key data:x; ssl_dhparam dh.pem;"
        "ssl_password_file passwords; ssl_conf_command ChainCAFile ca.pem;",
    )
    assert found.ssl_certificate == (f"{tmp_path}/a.pem", "/b.pem")
    assert found.ssl_certificate_key == ("data:x",)
    assert found.ssl_dhparam == f"{tmp_path}/dh.pem"
    assert found.ssl_password_file is not None
    assert [bytes(secret) for secret in found.ssl_password_file] == [b"one\0"]
    assert found.ssl_conf_command[0].directory == str(tmp_path)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("off", SessionCache(Keeping.OFF)),
        ("off none", SessionCache(Keeping.NONE)),
        ("builtin", SessionCache(Keeping.BUILTIN, BUILTIN_SESSIONS)),
        ("builtin:0", SessionCache(Keeping.BUILTIN, 0)),
        ("builtin:100 shared:SSL:32k", SessionCache(Keeping.BUILTIN, 100, Zone("SSL", 32768))),
        ("shared:SSL:1m", SessionCache(Keeping.ZONE_ONLY, BUILTIN_SESSIONS, Zone("SSL", 1048576))),
    ],
)
def test_a_session_cache(tmp_path: Path, line: str, expected: SessionCache) -> None:
    assert settings(tmp_path, f"ssl_session_cache {line};").ssl_session_cache == expected


def test_of_two_session_caches_the_later_wins_for_each_half(tmp_path: Path) -> None:
    zone = Zone("SSL", 1048576)
    found = settings(tmp_path, "ssl_session_cache builtin:5; ssl_session_cache shared:SSL:1m;")
    assert found.ssl_session_cache == SessionCache(Keeping.BUILTIN, 5, zone)
    found = settings(tmp_path, "ssl_session_cache shared:SSL:1m; ssl_session_cache off;")
    assert found.ssl_session_cache == SessionCache(Keeping.OFF, BUILTIN_SESSIONS, zone)


def test_the_halves_of_a_session_cache_are_inherited_separately(tmp_path: Path) -> None:
    zone = Zone("SSL", 1048576)
    found = settings(tmp_path, "ssl_session_cache builtin:100;", "ssl_session_cache shared:SSL:1m;")
    assert found.ssl_session_cache == SessionCache(Keeping.BUILTIN, 100, zone)
    found = settings(tmp_path, "ssl_session_cache shared:SSL:1m;", "ssl_session_cache builtin:100;")
    assert found.ssl_session_cache == SessionCache(Keeping.ZONE_ONLY, BUILTIN_SESSIONS, zone)


def test_lists_of_certificates_and_keys_are_inherited_as_wholes(tmp_path: Path) -> None:
    found = settings(
        tmp_path, "ssl_certificate /own.pem;", "ssl_certificate /a; ssl_certificate /b; ssl_certificate_key /k;"
    )
    assert found.ssl_certificate == ("/own.pem",)
    assert found.ssl_certificate_key == ("/k",)


def test_protocols_are_a_set_in_any_letter_case(tmp_path: Path) -> None:
    found = settings(tmp_path, "ssl_protocols tlsv1.3 TLSv1; ssl_protocols SSLv3;")
    assert found.ssl_protocols == ("SSLv3", "TLSv1", "TLSv1.3")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ssl_protocols TLSv1.2 TLSv1.2;", ['duplicate value "TLSv1.2"']),
        ("ssl off;", ['the "ssl" directive is deprecated, use the "listen ... ssl" directive instead']),
        ("ssl_session_cache shared:a:1m; ssl_session_cache shared:a:1m;", []),
        ("ssl_session_cache builtin;", []),
    ],
)
def test_warnings(tmp_path: Path, line: str, expected: list[str]) -> None:
    assert warnings(tmp_path, line) == expected


@pytest.mark.parametrize(
    ("server", "mail", "listen", "mode", "line"),
    [
        ("", "", "listen 993 ssl;", "listen ... ssl", 4),
        ("starttls on;", "", "listen 143; listen 993 ssl;", "listen ... ssl", 4),
        ("starttls on;", "", "listen 143;", "starttls", 5),
        ("", "starttls only;", "listen 143;", "starttls", 2),
        ("ssl on;", "", "listen 143;", "ssl", 5),
    ],
)
def test_a_server_with_tls_needs_certificates(
    tmp_path: Path, server: str, mail: str, listen: str, mode: str, line: int
) -> None:
    needs = f'is defined for the "{mode}" directive in :{line}'
    assert server_mistake(tmp_path, server, mail, listen) == f'no "ssl_certificate" {needs}'
    with_certificate = f"{server} ssl_certificate /a; ssl_certificate /b;"
    assert server_mistake(tmp_path, with_certificate, mail, listen) == f'no "ssl_certificate_key" {needs}'
    with_one_key = f"{with_certificate} ssl_certificate_key /k;"
    assert server_mistake(tmp_path, with_one_key, mail, listen) == (
        f'no "ssl_certificate_key" is defined for certificate "/b" and the "{mode}" directive in :{line}'
    )


def test_more_keys_than_certificates_are_accepted(tmp_path: Path) -> None:
    found = settings(tmp_path, "starttls on; ssl_certificate /a; ssl_certificate_key /a; ssl_certificate_key /b;")
    assert len(found.ssl_certificate_key) == 2


def test_a_server_without_tls_needs_nothing(tmp_path: Path) -> None:
    assert settings(tmp_path, "starttls off;", "starttls on;").ssl_certificate == ()


def test_what_stands_in_data_is_not_shown() -> None:
    assert shown("data:-----BEGIN PRIVATE KEY-----") == "data:..."
    assert shown("/etc/key.pem") == "/etc/key.pem"


def test_ticket_keys_are_files_with_the_place_of_their_line(tmp_path: Path) -> None:
    assert defaults(TlsSettings).ssl_session_ticket_key == ()
    found = settings(tmp_path, "ssl_session_ticket_key new.key; ssl_session_ticket_key /old.key;")
    assert [path for path, _ in found.ssl_session_ticket_key] == [f"{tmp_path}/new.key", "/old.key"]
    assert all(where is not None for _, where in found.ssl_session_ticket_key)
    outer = "ssl_session_ticket_key /a; ssl_session_ticket_key /b;"
    found = settings(tmp_path, "ssl_session_ticket_key /own;", outer)
    assert [path for path, _ in found.ssl_session_ticket_key] == ["/own"]


def test_client_certificates(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        "ssl_verify_client Optional_No_CA; ssl_verify_depth 3; ssl_client_certificate a.pem; ssl_crl /b.pem;",
        "ssl_verify_client on; ssl_trusted_certificate c.pem;",
    )
    assert (found.ssl_verify_client, found.ssl_verify_depth) == ("optional_no_ca", 3)
    assert found.ssl_client_certificate == str(tmp_path / "a.pem")
    assert found.ssl_trusted_certificate == str(tmp_path / "c.pem")
    assert found.ssl_crl == "/b.pem"


@pytest.mark.parametrize("name", ["ssl_client_certificate", "ssl_trusted_certificate", "ssl_crl"])
def test_an_empty_name_undoes_the_outer_one(tmp_path: Path, name: str) -> None:
    assert getattr(settings(tmp_path, f'{name} "";', f"{name} a.pem;"), name) is None


@pytest.mark.parametrize(
    ("line", "heard"),
    [
        ("ssl_protocols TLSv1.2 TLSv1.3;", []),
        ("ssl_protocols TLSv1 TLSv1.2;", ['"ssl_protocols" allows protocols below TLSv1.2: TLSv1']),
        (
            "ssl_protocols SSLv3 TLSv1; ssl_protocols TLSv1.1;",
            [
                '"ssl_protocols" allows protocols below TLSv1.2: SSLv3 TLSv1',
                '"ssl_protocols" allows protocols below TLSv1.2: TLSv1.1',
            ],
        ),
    ],
)
def test_old_protocols_are_a_warning(tmp_path: Path, line: str, heard: list[str]) -> None:
    assert warnings(tmp_path, line) == heard


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("/etc/key.pem", "/etc/key.pem"),
        ("data:-----BEGIN", "data:..."),
        ("store:pkcs11:object=a?pin-value=1234", "store:pkcs11:object=a?pin-value=..."),
        ("engine:pkcs11:pkcs11:pin-value=12;object=a", "engine:pkcs11:pkcs11:pin-value=...;object=a"),
    ],
)
def test_names_for_messages(name: str, expected: str) -> None:
    assert shown(name) == expected


def test_settings_of_the_library(tmp_path: Path) -> None:
    found = read(tmp_path, "", LibrarySettings)[LibrarySettings]
    assert (found.ssl_engine, found.ssl_object_cache_inheritable) == (None, True)
    found = read(tmp_path, "ssl_engine pkcs11; ssl_object_cache_inheritable off;", LibrarySettings)[LibrarySettings]
    assert (found.ssl_engine, found.ssl_object_cache_inheritable) == ("pkcs11", False)
    assert mistake(tmp_path, "ssl_engine a;\nssl_engine b;", LibrarySettings) == (
        '"ssl_engine" directive is duplicate in :2'
    )
    assert mistake(tmp_path, "mail { ssl_engine a; }", LibrarySettings, TlsSettings) == (
        '"ssl_engine" directive is not allowed here in :1'
    )


def test_a_named_pipe_gives_its_passwords_once_to_all_servers(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(b"first\nsecond\n",), daemon=True)
    writer.start()
    text = f"mail {{ ssl_password_file {path}; server {{ listen 1; }} server {{ listen 2; }} }}"
    first, second = read(tmp_path, text, ListenSettings, TlsSettings).servers
    writer.join(30)
    found = first[TlsSettings].ssl_password_file
    assert found is not None
    assert list(found) == [b"first\0", b"second\0"]
    assert second[TlsSettings].ssl_password_file is found
