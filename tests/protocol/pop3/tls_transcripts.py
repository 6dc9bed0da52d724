"""What a POP3 client may say before and behind STLS, and under TLS from the first byte."""

STARTTLS_ON = {
    "CAPA before and after": """
        C: CAPA
        S: +OK Capability list follows
        S: TOP
        S: USER
        S: UIDL
        S: SASL PLAIN LOGIN
        S: STLS
        S: .
        C: STLS
        S: +OK
        >> StartTls()
        << TlsReady()
        C: CAPA
        S: +OK Capability list follows
        S: TOP
        S: USER
        S: UIDL
        S: SASL PLAIN LOGIN
        S: .
        C: STLS
        S: -ERR invalid command
    """,
    "behind USER there is no STLS": """
        C: USER joe
        S: +OK
        C: CAPA
        S: +OK Capability list follows
        S: TOP
        S: USER
        S: UIDL
        S: SASL PLAIN LOGIN
        S: .
        C: STLS
        S: -ERR invalid command
        C: STLS
        S: +OK
        >> StartTls()
    """,
    "what came in the clear behind STLS is forgotten": r"""
        C: STLS 1 2 3
        C: USER injected
        C: PASS pw
        C: NOO\
        S: +OK
        >> StartTls()
        << TlsReady()
        C: PASS pw
        S: -ERR invalid command
        C: NOOP
        S: +OK
    """,
    "logging in without TLS": """
        C: USER joe
        S: +OK
        C: PASS secret
        >> Authenticate(plain(b"joe", b"secret"))
    """,
    "errors are remembered across STLS": """
        C: WHAT
        C: WHAT
        C: WHAT
        C: WHAT
        S: -ERR invalid command
        S: -ERR invalid command
        S: -ERR invalid command
        S: -ERR invalid command
        C: STLS
        S: +OK
        >> StartTls()
        << TlsReady()
        C: WHAT
        >> Note(INFO, "client sent too many invalid commands")
        S: -ERR invalid command
        >> Close()
    """,
}

APOP_AFTER_STLS = {
    "the greeting's challenge outlives STLS": """
        C: STLS
        S: +OK
        >> StartTls()
        << TlsReady()
        C: APOP joe c4c9334bac560ecc979e58001b3e22fb
        >> Authenticate(Credentials("apop", b"joe", b"c4c9334bac560ecc979e58001b3e22fb", False, b"<1.2@host>"))
    """,
}

STARTTLS_ONLY = {
    "no login before TLS": """
        C: CAPA
        S: +OK Capability list follows
        S: TOP
        S: UIDL
        S: STLS
        S: .
        C: USER joe
        S: -ERR invalid command
        C: PASS secret
        S: -ERR invalid command
        C: APOP joe c4c9334bac560ecc979e58001b3e22fb
        S: -ERR invalid command
        C: AUTH
        S: -ERR invalid command
        C: AUTH PLAIN
        S: -ERR invalid command
        C: AUTH PLAIN AGpvZQBzZWNyZXQ=
        S: -ERR invalid command
        C: AUTH CRAM-MD5
        S: -ERR invalid command
        C: AUTH EXTERNAL am9l
        S: -ERR invalid command
        C: NOOP
        S: +OK
        C: STLS
        S: +OK
        >> StartTls()
        << TlsReady()
        C: CAPA
        S: +OK Capability list follows
        S: TOP
        S: USER
        S: UIDL
        S: SASL PLAIN LOGIN CRAM-MD5 EXTERNAL
        S: .
        C: USER joe
        S: +OK
        C: PASS secret
        >> Authenticate(plain(b"joe", b"secret"))
    """,
}

IMPLICIT_TLS = {
    "no STLS inside TLS, and only is satisfied": """
        C: CAPA
        S: +OK Capability list follows
        S: TOP
        S: USER
        S: UIDL
        S: SASL PLAIN LOGIN
        S: .
        C: STLS
        S: -ERR invalid command
        C: USER joe
        S: +OK
        C: PASS secret
        >> Authenticate(plain(b"joe", b"secret"))
    """,
}
