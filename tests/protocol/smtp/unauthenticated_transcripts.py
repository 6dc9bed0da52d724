"""An SMTP client that may send mail without a login, in the clear and behind STARTTLS."""

TAB = r"\t"


def asks(helo: str, mail: str, recipient: str) -> str:
    """The effect of a RCPT."""
    told = f'(b"Auth-SMTP-Helo", b"{helo}"), (b"Auth-SMTP-From", b"{mail}"), (b"Auth-SMTP-To", b"{recipient}")'
    return f'>> Authenticate(Credentials("none", b"", b"", False), b"h", ({told}))'


UNAUTHENTICATED = {
    "no login is offered": """
        C: EHLO me
        S: 250 mail.example
    """,
    "but one is possible": """
        C: AUTH PLAIN AHVzZXIAcGFzcw==
        >> Authenticate(plain(b"user", b"pass"), b"h")
    """,
    "the worked example": f"""
        C: EHLO client.example.org
        S: 250 mail.example
        C: MAIL FROM:<a@b> SIZE=1
        S: 250 2.0.0 OK
        C: RCPT TO:<c@d>
        {asks("client.example.org", "MAIL FROM:<a@b> SIZE=1", "RCPT TO:<c@d>")}
    """,
    "MAIL and RCPT are kept as they came; a greeting is not needed": f"""
        C: mail from:<a@b>   SIZE=1{{3* }}
        S: 250 2.0.0 OK
        C: rCPT   TO:<c@d>\\tx \\n\\
        {asks("", "mail from:<a@b>   SIZE=1", f"rCPT   TO:<c@d>{TAB}x")}
    """,
    "no syntax is asked for but an argument without NUL": f"""
        C: MAIL
        S: 501 5.5.4 Invalid argument
        C: MAIL FROM:<a\\x00@b>
        S: 501 5.5.4 Invalid argument
        C: MAIL x
        S: 250 2.0.0 OK
        C: RCPT
        S: 501 5.5.4 Invalid argument
        C: RCPT TO:<c@d\\x00>
        S: 501 5.5.4 Invalid argument
        C: RCPT y 2 3 4 5 6 7 8 9 10 11
        {asks("", "MAIL x", "RCPT y 2 3 4 5 6 7 8 9 10 11")}
    """,
    "a bare CR is no part of an address": """
        C: MAIL FROM:<a@b>\\rx
        S: 500 5.5.1 Invalid command
        C: MAIL FROM:<a@b>
        S: 250 2.0.0 OK
        C: RCPT TO:<c@d>\\rRCPT TO:<e@f>
        S: 500 5.5.1 Invalid command
    """,
    "one MAIL at a time; RCPT needs one": """
        C: RCPT TO:<c@d>
        S: 503 5.5.1 Bad sequence of commands
        C: MAIL FROM:<a@b>
        S: 250 2.0.0 OK
        C: MAIL FROM:<e@f>
        S: 503 5.5.1 Bad sequence of commands
        C: MAIL
        S: 503 5.5.1 Bad sequence of commands
    """,
    "RSET, HELO and EHLO forget MAIL": f"""
        C: MAIL FROM:<1@b>
        S: 250 2.0.0 OK
        C: RSET
        S: 250 2.0.0 OK
        C: RCPT TO:<c@d>
        S: 503 5.5.1 Bad sequence of commands
        C: MAIL FROM:<2@b>
        S: 250 2.0.0 OK
        C: EHLO me
        S: 250 mail.example
        C: RCPT TO:<c@d>
        S: 503 5.5.1 Bad sequence of commands
        C: MAIL FROM:<3@b>
        S: 250 2.0.0 OK
        C: HELO you
        S: 250 mail.example
        C: RCPT TO:<c@d>
        S: 503 5.5.1 Bad sequence of commands
        C: MAIL FROM:<4@b>
        S: 250 2.0.0 OK
        C: NOOP
        S: 250 2.0.0 OK
        C: RCPT TO:<c@d>
        {asks("you", "MAIL FROM:<4@b>", "RCPT TO:<c@d>")}
    """,
    "a HELO that is refused forgets nothing": f"""
        C: HELO me
        S: 250 mail.example
        C: MAIL FROM:<a@b>
        S: 250 2.0.0 OK
        C: HELO
        S: 501 5.5.4 Invalid argument
        C: EHLO a b
        S: 501 5.5.4 Invalid argument
        C: WHAT
        S: 500 5.5.1 Invalid command
        C: AUTH NTLM
        S: 500 5.5.1 Invalid command
        C: RCPT TO:<c@d>
        {asks("me", "MAIL FROM:<a@b>", "RCPT TO:<c@d>")}
    """,
    "a recipient that is refused at once": f"""
        C: MAIL FROM:<a@b>
        S: 250 2.0.0 OK
        C: RCPT TO:<c@d>
        C: RCPT TO:<e@f>
        {asks("", "MAIL FROM:<a@b>", "RCPT TO:<c@d>")}
        << AuthRefused(b"no such user", True, b"550 5.1.1")
        S: 550 5.1.1 no such user
        >> Close()
    """,
    "a recipient that is refused after a while, and another": f"""
        C: MAIL FROM:<a@b>
        S: 250 2.0.0 OK
        C: RCPT TO:<c@d>
        {asks("", "MAIL FROM:<a@b>", "RCPT TO:<c@d>")}
        << AuthRefused(b"no", False)
        S: 535 5.7.0 no
        C: MAIL FROM:<x@y>
        S: 503 5.5.1 Bad sequence of commands
        C: RCPT TO:<e@f>
        {asks("", "MAIL FROM:<a@b>", "RCPT TO:<e@f>")}
        << AuthRefused(b"no", False)
        S: 535 5.7.0 no
        C: RSET
        S: 250 2.0.0 OK
        C: MAIL FROM:<x@y>
        S: 250 2.0.0 OK
    """,
    "a login forgets MAIL": """
        C: MAIL FROM:<a@b>
        S: 250 2.0.0 OK
        C: AUTH PLAIN AHVzZXIAcGFzcw==
        >> Authenticate(plain(b"user", b"pass"), b"h")
        << AuthRefused(b"no", False)
        S: 535 5.7.0 no
        C: RCPT TO:<c@d>
        S: 503 5.5.1 Bad sequence of commands
    """,
    "DATA comes too early": """
        C: MAIL FROM:<a@b>
        S: 250 2.0.0 OK
        C: DATA
        S: 500 5.5.1 Invalid command
    """,
}

STARTTLS_AND_MAIL = {
    "the handshake forgets HELO and MAIL": f"""
        C: HELO me
        S: 250 mail.example
        C: MAIL FROM:<a@b>
        S: 250 2.0.0 OK
        C: STARTTLS
        S: 220 2.0.0 Start TLS
        >> StartTls()
        << TlsReady()
        C: RCPT TO:<c@d>
        S: 503 5.5.1 Bad sequence of commands
        C: MAIL FROM:<a@b>
        S: 250 2.0.0 OK
        C: RCPT TO:<c@d>
        {asks("", "MAIL FROM:<a@b>", "RCPT TO:<c@d>")}
    """,
    "one that is refused forgets nothing": f"""
        C: STARTTLS
        S: 220 2.0.0 Start TLS
        >> StartTls()
        << TlsReady()
        C: HELO me
        S: 250 mail.example
        C: MAIL FROM:<a@b>
        S: 250 2.0.0 OK
        C: STARTTLS
        S: 500 5.5.1 Invalid command
        C: RCPT TO:<c@d>
        {asks("me", "MAIL FROM:<a@b>", "RCPT TO:<c@d>")}
    """,
}
