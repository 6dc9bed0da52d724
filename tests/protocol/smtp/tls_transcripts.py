"""What an SMTP client may say before and behind STARTTLS, and under TLS from the first byte."""

STARTTLS = {
    "it is offered": """
        C: EHLO me
        S: 250-mail.example
        S: 250-SIZE 10485760
        S: 250-AUTH PLAIN LOGIN
        S: 250 STARTTLS
    """,
    "what came in the clear is forgotten": """
        C: EHLO me
        S: 250-mail.example
        S: 250-SIZE 10485760
        S: 250-AUTH PLAIN LOGIN
        S: 250 STARTTLS
        C: STARTTLS
        C: AUTH PLAIN AHVzZXIAcGFzcw==
        C: NOOP
        S: 220 2.0.0 Start TLS
        >> StartTls()
        << TlsReady()
        C: EHLO me
        S: 250-mail.example
        S: 250-SIZE 10485760
        S: 250 AUTH PLAIN LOGIN
        C: STARTTLS
        S: 500 5.5.1 Invalid command
    """,
    "half a command in front of the handshake": r"""
        C: STARTTLS
        C: RS\
        S: 220 2.0.0 Start TLS
        >> StartTls()
        << TlsReady()
        C: ET
        S: 500 5.5.1 Invalid command
    """,
    "arguments are ignored; errors still count": """
        C: WHAT
        S: 500 5.5.1 Invalid command
        C: WHAT
        S: 500 5.5.1 Invalid command
        C: STARTTLS please
        S: 220 2.0.0 Start TLS
        >> StartTls()
        << TlsReady()
        C: WHAT
        S: 500 5.5.1 Invalid command
        C: WHAT
        S: 500 5.5.1 Invalid command
        C: WHAT
        >> Note(INFO, "client sent too many invalid commands")
        S: 500 5.5.1 Invalid command
        >> Close()
    """,
    "a login in the clear": """
        C: AUTH PLAIN AHVzZXIAcGFzcw==
        >> Authenticate(plain(b"user", b"pass"), b"h")
    """,
}

TLS_ONLY = {
    "nothing that needs TLS goes without": """
        C: EHLO me
        S: 250-mail.example
        S: 250 STARTTLS
        C: AUTH
        S: 500 5.5.1 Invalid command
        C: AUTH PLAIN
        S: 500 5.5.1 Invalid command
        C: AUTH PLAIN AHVzZXIAcGFzcw==
        S: 500 5.5.1 Invalid command
        C: AUTH LOGIN
        S: 500 5.5.1 Invalid command
        C: MAIL FROM:<a@b>
        >> Note(INFO, 'client was rejected: "MAIL FROM:<a@b>__"')
        S: 530 5.7.0 Must issue a STARTTLS command first
        C: RCPT TO:<c@d>
        >> Note(INFO, 'client was rejected: "RCPT TO:<c@d>__"')
        S: 530 5.7.0 Must issue a STARTTLS command first
        C: NOOP
        S: 250 2.0.0 OK
    """,
    "with it, all goes": """
        C: STARTTLS
        S: 220 2.0.0 Start TLS
        >> StartTls()
        << TlsReady()
        C: EHLO me
        S: 250-mail.example
        S: 250 AUTH PLAIN LOGIN
        C: MAIL FROM:<a@b>
        S: 250 2.0.0 OK
        C: AUTH PLAIN AHVzZXIAcGFzcw==
        >> Authenticate(plain(b"user", b"pass"), b"h")
    """,
}

IMPLICIT_TLS = {
    "no handshake in a handshake": """
        C: EHLO me
        S: 250-mail.example
        S: 250 AUTH PLAIN LOGIN
        C: STARTTLS
        S: 500 5.5.1 Invalid command
        C: AUTH PLAIN AHVzZXIAcGFzcw==
        >> Authenticate(plain(b"user", b"pass"), b"h")
    """,
}
