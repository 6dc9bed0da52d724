"""The request byte for byte, and every row of what an answer can mean."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.address import Address, unix
from gatepost.auth.message import (
    MAX_WAIT_SECONDS,
    Accepted,
    Layout,
    Postponed,
    Refused,
    Request,
    Verdict,
    escape,
    layout,
    request_bytes,
    verdict,
)
from gatepost.auth.response import Answer, Reader
from gatepost.errors import AuthError
from gatepost.net.proxy_protocol import Proxied
from gatepost.protocol.events import Account
from gatepost.sasl.mechanism import Credentials
from gatepost.tls.facts import Facts

PLAIN = Credentials("plain", b"user", b"pass", cleartext=True)
CRAM = Credentials("cram-md5", b"user", b"d" * 32, cleartext=False, salt=b"<1.2@mail.example.com>")
EXTERNAL = Credentials("external", b"user", b"", cleartext=False)
FRAME = layout(b"127.0.0.1", b"/auth", ())


def lines(request: Request, frame: Layout = FRAME) -> list[str]:
    text = request_bytes(request, frame).decode("latin-1")
    assert text.endswith("\r\n\r\n")
    assert text.count("\n") == text.count("\r\n") == text.count("\r")
    return text.removesuffix("\r\n\r\n").split("\r\n")


def test_imap_login() -> None:
    assert request_bytes(Request(PLAIN, "imap", 1, "127.0.0.1"), FRAME) == (
        b"GET /auth HTTP/1.1\r\n"
        b"Host: 127.0.0.1\r\n"
        b"Auth-Method: plain\r\n"
        b"Auth-User: user\r\n"
        b"Auth-Pass: pass\r\n"
        b"Auth-Protocol: imap\r\n"
        b"Auth-Login-Attempt: 1\r\n"
        b"Client-IP: 127.0.0.1\r\n"
        b"\r\n"
    )


def test_smtp_without_authentication_over_tls_with_a_header_of_the_operator() -> None:
    request = Request(
        Credentials("none", b"", b"", cleartext=False),
        "smtp",
        1,
        "192.0.2.42",
        Facts(b"TLSv1.3", b"TLS_AES_256_GCM_SHA384"),
        b"client.example.org",
        (
            (b"Auth-SMTP-Helo", b"client.example.org"),
            (b"Auth-SMTP-From", b"MAIL FROM:<>"),
            (b"Auth-SMTP-To", b"RCPT TO:<postmaster@example.com>"),
        ),
    )
    assert request_bytes(request, layout(b"auth.example.com", b"/auth", [(b"X-Auth-Key", b"secret")])) == (
        b"GET /auth HTTP/1.1\r\n"
        b"Host: auth.example.com\r\n"
        b"Auth-Method: none\r\n"
        b"Auth-User: \r\n"
        b"Auth-Pass: \r\n"
        b"Auth-Protocol: smtp\r\n"
        b"Auth-Login-Attempt: 1\r\n"
        b"Client-IP: 192.0.2.42\r\n"
        b"Client-Host: client.example.org\r\n"
        b"Auth-SMTP-Helo: client.example.org\r\n"
        b"Auth-SMTP-From: MAIL FROM:<>\r\n"
        b"Auth-SMTP-To: RCPT TO:<postmaster@example.com>\r\n"
        b"Auth-SSL: on\r\n"
        b"Auth-SSL-Protocol: TLSv1.3\r\n"
        b"Auth-SSL-Cipher: TLS_AES_256_GCM_SHA384\r\n"
        b"X-Auth-Key: secret\r\n"
        b"\r\n"
    )


def test_what_a_proxy_recorded() -> None:
    request = Request(
        PLAIN,
        "smtp",
        1,
        "192.0.2.1",
        Facts(b"TLSv1.3", b"X"),
        b"[UNAVAILABLE]",
        ((b"Auth-SMTP-Helo", b"me"),),
        Proxied(b"999.1.1.1", b"1234", b"2001:db8::1", b"465"),
    )
    assert lines(request)[7:15] == [
        "Client-IP: 192.0.2.1",
        "Client-Host: [UNAVAILABLE]",
        "Proxy-Protocol-Addr: 999.1.1.1",
        "Proxy-Protocol-Port: 1234",
        "Proxy-Protocol-Server-Addr: 2001:db8::1",
        "Proxy-Protocol-Server-Port: 465",
        "Auth-SMTP-Helo: me",
        "Auth-SSL: on",
    ]


def test_the_salt_follows_the_digest() -> None:
    assert lines(Request(CRAM, "imap", 3, "unix:"))[2:] == [
        "Auth-Method: cram-md5",
        "Auth-User: user",
        "Auth-Pass: " + "d" * 32,
        "Auth-Salt: <1.2@mail.example.com>",
        "Auth-Protocol: imap",
        "Auth-Login-Attempt: 3",
        "Client-IP: unix:",
    ]


def test_external_sends_an_empty_password() -> None:
    assert lines(Request(EXTERNAL, "imap", 1, "::1"))[2:] == [
        "Auth-Method: external",
        "Auth-User: user",
        "Auth-Pass: ",
        "Auth-Protocol: imap",
        "Auth-Login-Attempt: 1",
        "Client-IP: ::1",
    ]


PEM = b"-----BEGIN CERTIFICATE-----\nMIID+/=%\n-----END CERTIFICATE-----\n"
TLS = (b"TLSv1.2", b"ECDHE-RSA-AES128-GCM-SHA256")
TLS_LINES = ["Auth-SSL: on", "Auth-SSL-Protocol: TLSv1.2", "Auth-SSL-Cipher: ECDHE-RSA-AES128-GCM-SHA256"]


@pytest.mark.parametrize("pass_certificate", [False, True])
def test_a_client_certificate(pass_certificate: bool) -> None:
    facts = Facts(
        *TLS,
        verify=b"SUCCESS",
        subject=b"CN=cl1,O=Test\\, Org",
        issuer=b"CN=ca",
        serial=b"0ABC",
        fingerprint=b"0f" * 20,
        certificate=lambda: PEM,
    )
    frame = layout(b"h", b"/", [(b"X-Own", b"1")], pass_certificate=pass_certificate)
    sent = lines(Request(EXTERNAL, "imap", 1, "::1", facts), frame)
    assert sent[8:] == [
        *TLS_LINES,
        "Auth-SSL-Verify: SUCCESS",
        "Auth-SSL-Subject: CN=cl1,O=Test\\, Org",
        "Auth-SSL-Issuer: CN=ca",
        "Auth-SSL-Serial: 0ABC",
        "Auth-SSL-Fingerprint: " + "0f" * 20,
        *(
            ["Auth-SSL-Cert: -----BEGIN%20CERTIFICATE-----%0AMIID+/=%25%0A-----END%20CERTIFICATE-----%0A"]
            if pass_certificate
            else []
        ),
        "X-Own: 1",
    ]


def test_no_client_certificate() -> None:
    frame = layout(b"h", b"/", (), pass_certificate=True)
    assert lines(Request(PLAIN, "imap", 1, "::1", Facts(*TLS, verify=b"NONE")), frame)[8:] == [
        *TLS_LINES,
        "Auth-SSL-Verify: NONE",
    ]


def test_names_that_are_empty_have_no_line() -> None:
    facts = Facts(*TLS, verify=b"FAILED:self-signed certificate", serial=b"01", fingerprint=b"00" * 20)
    assert lines(Request(PLAIN, "imap", 1, "::1", facts))[8:] == [
        *TLS_LINES,
        "Auth-SSL-Verify: FAILED:self-signed certificate",
        "Auth-SSL-Serial: 01",
        "Auth-SSL-Fingerprint: " + "00" * 20,
    ]


def test_headers_of_the_operator_come_last_in_their_order() -> None:
    frame = layout(b"h", b"?a=b", [(b"B", b"1"), (b"A", b""), (b"B", b"2")])
    found = lines(Request(PLAIN, "imap", 1, "::1"), frame)
    assert found[:2] == ["GET ?a=b HTTP/1.1", "Host: h"]
    assert found[-3:] == ["B: 1", "A: ", "B: 2"]
    assert "B: 1" not in repr(frame)


@pytest.mark.parametrize(
    ("data", "escaped"),
    [
        (b"", b""),
        (b"user@example.com", b"user@example.com"),
        (b"pa ss%", b"pa%20ss%25"),
        (b"\0\r\n\t\x1f\x7f\x80\xff+=", b"%00%0D%0A%09%1F\x7f\x80\xff+="),
    ],
)
def test_escaping(data: bytes, escaped: bytes) -> None:
    assert escape(data) == escaped


@given(st.binary(), st.binary())
def test_credentials_never_add_a_line(user: bytes, secret: bytes) -> None:
    found = lines(Request(Credentials("plain", user, secret, cleartext=True), "imap", 1, "::1"))
    assert len(found) == 8


def test_secrets_do_not_show() -> None:
    assert "pass" not in repr(Request(PLAIN, "imap", 1, "::1"))


# Verdicts

WHERE = "Auth-Server: 10.0.0.5\nAuth-Port: 143\n"
GOOD = "Auth-Status: OK\n" + WHERE
ACCOUNT = Account(b"user", b"pass", proven=True)
BACKEND = Accepted(Address(socket.AF_INET, "10.0.0.5", 143), ACCOUNT, "10.0.0.5:143")


def answer(text: str | bytes) -> Answer:
    reader = Reader("A")
    reader.receive((text if isinstance(text, bytes) else text.encode("latin-1")) + b"\n")
    assert reader.answer is not None
    return reader.answer


def decide(text: str | bytes, credentials: Credentials = PLAIN, *, needs_password: bool = True) -> Verdict:
    return verdict(answer(text), credentials, "A", needs_password=needs_password)


def unusable(text: str | bytes, credentials: Credentials = PLAIN) -> str:
    with pytest.raises(AuthError) as caught:
        decide(text, credentials)
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        WHERE,
        "HTTP/1.1 500 Oops\n" + GOOD,
        "HTTP/1.1 404 Not Found\n" + WHERE,
        GOOD + "Auth-Wait: 5\n",
        "Auth-Status: OK\n" + GOOD,
        GOOD.replace("143", "000143"),
    ],
)
def test_accepted(text: str) -> None:
    found = decide(text)
    assert isinstance(found, Accepted)
    assert (found.address, found.account) == (BACKEND.address, BACKEND.account)


def test_the_service_may_give_another_name_and_password() -> None:
    found = decide(GOOD + "Auth-User: box%20 1\nAuth-Pass: p w%41\n")
    assert isinstance(found, Accepted)
    assert found.account == Account(b"box%20 1", b"p w%41", proven=True)


@pytest.mark.parametrize("credentials", [CRAM, EXTERNAL])
def test_a_proof_that_is_no_password_is_never_used_as_one(credentials: Credentials) -> None:
    assert unusable(GOOD, credentials) == "auth http server A did not send password"
    for password in (b"box", b""):
        found = decide(GOOD.encode() + b"Auth-Pass: " + password + b"\n", credentials)
        assert isinstance(found, Accepted)
        assert found.account == Account(b"user", password, proven=True)


def test_smtp_can_do_without_a_password() -> None:
    found = decide(GOOD, EXTERNAL, needs_password=False)
    assert isinstance(found, Accepted)
    assert found.account == Account(b"user", None, proven=True)


def test_an_empty_password_is_a_password() -> None:
    found = decide(GOOD, Credentials("plain", b"user", b"", cleartext=True))
    assert isinstance(found, Accepted)
    assert found.account.password == b""


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("Auth-Status: Bad password\n", Refused(b"Bad password")),
        ("Auth-Status: ok\n" + WHERE, Refused(b"ok")),
        ("Auth-Status: wait\n" + WHERE, Refused(b"wait")),
        ("Auth-Status: no\nAuth-Wait: 3\n", Refused(b"no", 3)),
        ("Auth-Status: no\nAuth-Wait: 0\n", Refused(b"no")),
        ("Auth-Status: no\nAuth-Wait: 3s\n", Refused(b"no")),
        ("Auth-Status: no\nAuth-Wait: -3\n", Refused(b"no")),
        ("Auth-Status: no\nAuth-Wait:\n", Refused(b"no")),
        ("Auth-Status: no\nAuth-Wait: " + "9" * 5000 + "\n", Refused(b"no")),
        ("Auth-Status: no\nAuth-Wait: 99999999\n", Refused(b"no", MAX_WAIT_SECONDS)),
        ("Auth-Status: no\nAuth-Error-Code: 454 4.7.0\n", Refused(b"no", 0, b"454 4.7.0")),
        ("Auth-Status: no\nAuth-User: box\n", Refused(b"no", 0, b"", b"box")),
        ("Auth-Status: no\n" + GOOD, Refused(b"no")),
        ("Auth-Status: no\nAuth-Status: never\n", Refused(b"never")),
        ("Auth-Status: WAIT\nAuth-Status: no\n", Refused(b"no")),
        ("Auth-Status: no\nAuth-Status: WAIT\n", Refused(b"no")),
        ("Auth-Status:\n", Refused(b"")),
    ],
)
def test_refused(text: str, refused: Refused) -> None:
    assert decide(text) == refused


def test_an_empty_refusal_is_none_for_smtp() -> None:
    assert decide("Auth-Status:\n" + WHERE, needs_password=False) == BACKEND
    assert decide("Auth-Status: no\n" + WHERE, needs_password=False) == Refused(b"no")


@pytest.mark.parametrize(
    ("text", "postponed"),
    [
        ("Auth-Status: WAIT\n", Postponed(0)),
        ("Auth-Status: WAIT\nAuth-Wait: 2\n", Postponed(2)),
        ("Auth-Status: WAIT\nAuth-Status: OK\n" + WHERE, Postponed(0)),
        ("Auth-Status: WAIT\nAuth-User: box\n", Postponed(0, b"box")),
    ],
)
def test_postponed(text: str, postponed: Postponed) -> None:
    assert decide(text) == postponed


def test_no_server_or_port() -> None:
    expected = "auth http server A did not send server or port"
    for text in ("", "Auth-Status: OK\n", "Auth-Server: 10.0.0.5\n", "Auth-Port: 143\n"):
        assert unusable(text) == expected
        assert unusable("HTTP/1.1 204 No Content\n" + text) == expected
    assert unusable("Auth-Server:\nAuth-Port: 143\n") == expected
    assert unusable("Auth-Server: 10.0.0.5\nAuth-Port:\n") == expected
    assert unusable("HTTP/1.1 404 Not Found\n") == expected + " (HTTP status 404)"


def test_errors_are_found_in_nginx_order() -> None:
    assert "did not send server or port" in unusable("Auth-Server: x\n", EXTERNAL)
    assert "did not send password" in unusable("Auth-Server: x\nAuth-Port: y\n", EXTERNAL)
    assert "invalid server address" in unusable("Auth-Server: x\nAuth-Port: y\n")


@pytest.mark.parametrize(
    ("host", "family", "address", "shown"),
    [
        ("10.0.0.5", socket.AF_INET, "10.0.0.5", "10.0.0.5:143"),
        ("10.0.0.6", socket.AF_INET, "10.0.0.6", "10.0.0.6:143"),
        ("127..1.", socket.AF_INET, "127.0.1.0", "127..1.:143"),
        ("127.000.0.01", socket.AF_INET, "127.0.0.1", "127.000.0.01:143"),
        ("::1", socket.AF_INET6, "::1", "::1:143"),
        ("[2001:db8::1]", socket.AF_INET6, "2001:db8::1", "[2001:db8::1]:143"),
        ("::ffff:10.0.0.5", socket.AF_INET6, "::ffff:10.0.0.5", "::ffff:10.0.0.5:143"),
    ],
)
def test_numeric_servers(host: str, family: socket.AddressFamily, address: str, shown: str) -> None:
    found = decide(f"Auth-Server: {host}\nAuth-Port: 143\n")
    assert found == Accepted(Address(family, address, 143), ACCOUNT, shown)


@pytest.mark.parametrize(
    "host",
    [
        *("mail.example.com", "10.0.0", "10.0.0.256", "10.0.0.1.2", "10.0.0.1a", "10.0.0.-1", "10.0.0. 1", "...x"),
        *("[10.0.0.5]", "[::1", "::1]", "fe80::1%lo", ":::", "1:2", "unix", "10.0.0.5\0", "\xb2.1.1.1", "::1\xff"),
        *("unix:", "unix:relative", "unix:/a\0b", "unix:/" + "x" * 107),
    ],
)
def test_invalid_servers(host: str) -> None:
    shown = host.replace("\0", "\\x00").replace("\xb2", "\\xB2").replace("\xff", "\\xFF")
    expected = f'auth http server A sent invalid server address:"{shown}"'
    assert unusable(f"Auth-Server: {host}\nAuth-Port: 143\n") == expected


def test_a_unix_socket_needs_no_port() -> None:
    expected = Accepted(unix("/run/imap"), ACCOUNT, "unix:/run/imap")
    assert decide("Auth-Server: unix:/run/imap\n") == expected
    assert decide("Auth-Server: unix:/run/imap\nAuth-Port: none\n") == expected


@pytest.mark.parametrize("port", ["0", "00", "65536", "143x", "-1", "+1", "1 4", "9" * 5000, "\xb2"])
def test_invalid_ports(port: str) -> None:
    found = unusable(f"Auth-Server: 10.0.0.5\nAuth-Port: {port}\n")
    assert found.startswith('auth http server A sent invalid server port:"')
    assert len(found) < 1200


@pytest.mark.parametrize(("name", "word"), [("Auth-User", "user name"), ("Auth-Pass", "password")])
def test_nul_is_refused(name: str, word: str) -> None:
    found = unusable(GOOD + f"{name}: hu\0sh\n")
    assert found == f"auth http server A sent invalid {word}"


@given(st.binary(max_size=300))
def test_an_arbitrary_answer_is_decided_or_refused(data: bytes) -> None:
    reader = Reader("A")
    said = ""
    try:
        reader.receive(data + b"\n\n")
        if reader.answer is not None:
            verdict(reader.answer, PLAIN, "A", needs_password=True)
    except AuthError as error:
        said = str(error)
    assert (
        not said or (said.isprintable() and said.startswith("auth http server A sent ")) or "did not send" in said
    )
