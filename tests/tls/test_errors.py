import errno

import pytest

from gatepost.errors import TlsError
from gatepost.log import Level
from gatepost.tls import errors
from gatepost.tls._fused import EOF, FAILED, SSL_ERROR_SSL, SSL_ERROR_SYSCALL
from gatepost.tls._load import Library
from gatepost.tls.errors import PEER_REASONS, Entry, config_error, drain, failure, handshake_failure

SSL_LIBRARY = 20 << 23
X509_LIBRARY = 11 << 23
SYSTEM = 0x80000000

SSL_FAILED = FAILED - SSL_ERROR_SSL
SYSTEM_FAILED = FAILED - SSL_ERROR_SYSCALL


def queue(library: Library, *calls: str) -> None:
    """Leave the entries of failing calls in the queue."""
    library.lib.ERR_clear_error()
    context = library.ffi.gc(library.lib.SSL_CTX_new(library.lib.TLS_method()), library.lib.SSL_CTX_free)
    for call in calls:
        if call == "no cipher match":
            library.lib.SSL_CTX_set_cipher_list(context, b"NOPE")
        elif call == "no certificate":
            library.lib.SSL_do_handshake(library.ffi.gc(library.lib.SSL_new(context), library.lib.SSL_free))
        else:
            library.lib.BIO_new_file(call.encode(), b"r")


def test_the_queue_is_listed_oldest_first_and_emptied(library: Library) -> None:
    queue(library, "/nonexistent/file", "no cipher match")
    texts = [entry.text for entry in drain(library)]
    assert (
        texts[0] == b"error:80000002:system library::No such file or directory:calling fopen(/nonexistent/file, r)"
    )
    assert texts[1].startswith(b"error:10000080:BIO routines::no such file")
    assert texts[2].startswith(b"error:0A0000B9:SSL routines::no cipher match")
    assert drain(library) == []


def test_a_mistake_in_the_configuration(library: Library) -> None:
    queue(library, "no cipher match")
    error = config_error(library, 'SSL_CTX_set_cipher_list("NOPE") failed', " for a reason")
    assert str(error) == (
        'SSL_CTX_set_cipher_list("NOPE") failed (SSL: error:0A0000B9:SSL routines::no cipher match) for a reason'
    )
    assert str(config_error(library, "text")) == "text"


def test_reasons_have_the_librarys_words(library: Library) -> None:
    for number, words in PEER_REASONS.items():
        found = library.lib.ERR_reason_error_string(SSL_LIBRARY | number)
        # A version may not have a reason yet, or no longer; but a number never changes its meaning.
        if found:
            assert library.ffi.string(found).decode() == words


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (SSL_LIBRARY | 156, "http request", True),
        (SSL_LIBRARY | 1000, "", True),
        (SSL_LIBRARY | 1255, "", True),
        (SSL_LIBRARY | 1048, "tlsv1 alert unknown ca", True),
        (SSL_LIBRARY | 1256, "", False),
        (SSL_LIBRARY | 9999, "no shared group", True),
        (SSL_LIBRARY | 185, "no cipher match", False),
        (X509_LIBRARY | 156, "", False),
        (SYSTEM | 103, "", False),
    ],
)
def test_whose_fault(code: int, reason: str, expected: bool) -> None:
    assert Entry(code, reason, b"").is_peers_fault is expected


def test_the_last_entry_decides_the_level(library: Library) -> None:
    queue(library, "/nonexistent/file", "no cipher match")
    error = failure(library, "SSL_read", SSL_FAILED, 0)
    assert error.level == Level.CRIT
    assert error.reason == "no cipher match"
    assert str(error).startswith("SSL_read() failed (SSL: error:80000002:")


@pytest.mark.parametrize(
    ("code", "level"), [(errno.ECONNRESET, Level.INFO), (errno.EPIPE, Level.INFO), (errno.ENOMEM, Level.CRIT)]
)
def test_a_failed_system_call(library: Library, code: int, level: Level) -> None:
    error = failure(library, "SSL_write", SYSTEM_FAILED, code)
    assert error.level == level
    assert str(error).startswith(f"SSL_write() failed ({code}: ")


def test_a_connection_that_ends_during_the_handshake(library: Library) -> None:
    error = handshake_failure(library, EOF, errno.EAGAIN)
    assert (str(error), error.level) == ("peer closed connection in SSL handshake", Level.INFO)
    error = handshake_failure(library, SYSTEM_FAILED, errno.ECONNRESET)
    assert (str(error), error.level) == (
        "peer closed connection in SSL handshake (104: Connection reset by peer)",
        Level.INFO,
    )
    error = handshake_failure(library, SYSTEM_FAILED, errno.EIO)
    assert error.level == Level.CRIT


def test_a_handshake_with_a_reason(library: Library) -> None:
    queue(library, "no cipher match")
    error = handshake_failure(library, SSL_FAILED, 0)
    assert str(error) == "SSL_do_handshake() failed (SSL: error:0A0000B9:SSL routines::no cipher match)"


def test_what_others_chose_is_escaped_and_cut(library: Library) -> None:
    queue(library, '/nonexistent/"\n\x1b[31m')
    assert "/nonexistent/\\x22\\x0A\\x1B[31m" in str(failure(library, "SSL_read", SSL_FAILED, 0))
    queue(library, *[f"/nonexistent/{'x' * 200}"] * 7)
    error = failure(library, "SSL_read", SSL_FAILED, 0)
    assert len(str(error)) == 1024
    assert drain(library) == []


def test_stale_errors_are_reported_and_gone(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "_stale_listener", errors._stale_listener)
    queue(library, "no cipher match")
    errors.discard_stale(library)  # nobody listens yet
    heard: list[str] = []
    errors.report_stale_to(heard.append)
    queue(library, "no cipher match")
    errors.discard_stale(library)
    assert heard == ["ignoring stale global SSL error (SSL: error:0A0000B9:SSL routines::no cipher match)"]
    assert library.lib.ERR_peek_error() == 0


def test_the_error_of_a_session(library: Library) -> None:
    queue(library, "no certificate")
    error = failure(library, "SSL_do_handshake", SSL_FAILED, 0)
    assert isinstance(error, TlsError)
    assert error.level == Level.CRIT  # ours: the context was never finished
