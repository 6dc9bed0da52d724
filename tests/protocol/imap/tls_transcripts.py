"""What an IMAP client may say before and behind STARTTLS, and under TLS from the first byte."""

STARTTLS_ON = {
    "CAPABILITY before and after": """
        C: a CAPABILITY
        S: * CAPABILITY IMAP4 IMAP4rev1 UIDPLUS AUTH=PLAIN STARTTLS
        S: a OK completed
        C: b STARTTLS
        S: b OK completed
        >> StartTls()
        << TlsReady()
        C: c CAPABILITY
        S: * CAPABILITY IMAP4 IMAP4rev1 UIDPLUS AUTH=PLAIN
        S: c OK completed
        C: d STARTTLS
        S: d BAD invalid command
        C: e LOGIN user pass
        >> Authenticate(plain(b"user", b"pass"))
    """,
    "what came in the clear behind STARTTLS is forgotten": """
        C: a STARTTLS ignored "ignored" 3
        C: b LOGIN injected pass
        C: c NOO\\
        S: a OK completed
        >> StartTls()
        << TlsReady()
        C: d NOOP
        S: d OK completed
    """,
    "LOGIN works without TLS": """
        C: a LOGIN user pass
        >> Authenticate(plain(b"user", b"pass"))
    """,
    "errors are remembered across STARTTLS": """
        C: a X
        C: b X
        C: c X
        C: d X
        S: a BAD invalid command
        S: b BAD invalid command
        S: c BAD invalid command
        S: d BAD invalid command
        C: e STARTTLS
        S: e OK completed
        >> StartTls()
        << TlsReady()
        C: f X
        >> Note(INFO, "client sent too many invalid commands")
        S: f BAD invalid command
        >> Close()
    """,
}

STARTTLS_ONLY = {
    "no login before TLS": """
        C: a CAPABILITY
        S: * CAPABILITY IMAP4 IMAP4rev1 UIDPLUS STARTTLS LOGINDISABLED
        S: a OK completed
        C: b LOGIN user pass
        S: b BAD invalid command
        C: c AUTHENTICATE PLAIN
        S: c BAD invalid command
        C: d AUTHENTICATE PLAIN AHVzZXIAcGFzcw==
        S: d BAD invalid command
        C: e AUTHENTICATE LOGIN
        S: e BAD invalid command
        C: f NOOP
        S: f OK completed
        C: g STARTTLS
        S: g OK completed
        >> StartTls()
        << TlsReady()
        C: h CAPABILITY
        S: * CAPABILITY IMAP4 IMAP4rev1 UIDPLUS AUTH=PLAIN
        S: h OK completed
        C: i LOGIN user pass
        >> Authenticate(plain(b"user", b"pass"))
    """,
}

IMPLICIT_TLS = {
    "no STARTTLS inside TLS, and only is satisfied": """
        C: a CAPABILITY
        S: * CAPABILITY IMAP4 IMAP4rev1 UIDPLUS AUTH=PLAIN
        S: a OK completed
        C: b STARTTLS
        S: b BAD invalid command
        C: c LOGIN user pass
        >> Authenticate(plain(b"user", b"pass"))
    """,
}
