"""How a POP3 client may write its commands, and where the patience with it ends."""

GRAMMAR = {
    "what is no word of four letters": r"""
        C: NOO
        S: -ERR invalid command
        C: NOOPS
        S: -ERR invalid command
        C: NO0P
        S: -ERR invalid command
        C: NOOP-
        S: -ERR invalid command
        C: NOOP\tx
        S: -ERR invalid command
        C: NOOP\x00
        S: -ERR invalid command
        C: \xceOOP
        S: -ERR invalid command
    """,
    "what does not begin in the first column": r"""
        C:  NOOP
        S: -ERR invalid command
        C: \tNOOP
        S: -ERR invalid command
    """,
    "an empty line": r"""
        C:
        S: -ERR invalid command
        C: \n\
        S: -ERR invalid command
        C: \x20
        S: -ERR invalid command
    """,
    "bare line feeds": r"""
        C: NOOP\n\
        S: +OK
        C: USER joe\n\
        S: +OK
        C: PASS secret\n\
        >> Authenticate(plain(b"joe", b"secret"))
    """,
    "a CR that no LF follows": r"""
        C: NOOP\rx
        S: -ERR invalid command
        C: NOOP\r\r\n\
        S: -ERR invalid command
        C: NOOP \r x
        S: -ERR invalid command
        C: NO\rOP
        S: -ERR invalid command
        C: USER j\re
        S: -ERR invalid command
        C: PASS x
        S: -ERR invalid command
        C: USER joe
        S: +OK
        C: PASS se\rcret
        S: -ERR invalid command
        C: PASS secret
        S: -ERR invalid command
    """,
    "spaces": r"""
        C: NOOP\x20\x20
        S: +OK
        C: NOOP   1  2   3\x20\x20
        S: +OK
        C: NOOP   1  2   3  4
        S: -ERR invalid command
    """,
    "a fourth argument is one too many": """
        C: CAPA 1 2 3 4
        S: -ERR invalid command
        C: STLS 1 2 3 4
        S: -ERR invalid command
        C: QUIT 1 2 3 4
        S: -ERR invalid command
        C: AUTH 1 2 3 4
        S: -ERR invalid command
        C: APOP 1 2 3 4
        S: -ERR invalid command
    """,
    "NUL and 8-bit bytes in arguments that are ignored": r"""
        C: NOOP \x00 \xff \x7f
        S: +OK
    """,
    "there is no quoting": r"""
        C: USER "joe"
        S: +OK
        C: PASS {3+}
        >> Authenticate(plain(b'"joe"', b"{3+}"))
    """,
}

TOO_LONG = 'client sent too long command "%s..."'

# A line may have 4096 bytes, line end included.
LONG_LINES = {
    "a command that fills the buffer": r"""
        C: USER {4089*x}
        S: +OK
        C: PASS {4089*y}
        >> Authenticate(plain(4089 * b"x", 4089 * b"y"))
    """,
    "a command that does not fit": rf"""
        C: USER {{4090*x}}
        >> Note(INFO, '{TOO_LONG % "USER"}')
        S: -ERR invalid command
        >> Close()
        C: NOOP
    """,
    "a command without an end": rf"""
        C: PASS {{4091*x}}\
        >> Note(INFO, '{TOO_LONG % "PASS"}')
        S: -ERR invalid command
        >> Close()
    """,
    "what is no command": rf"""
        C: WORD {{5000*x}}
        >> Note(INFO, '{TOO_LONG % ""}')
        S: -ERR invalid command
        >> Close()
    """,
    "a long token in the command": r"""
        C: AUTH PLAIN {4083*Y}
        >> Note(INFO, "client sent invalid login in AUTH PLAIN command")
        S: -ERR invalid command
    """,
    "a token that is too long": rf"""
        C: AUTH PLAIN {{4084*Y}}
        >> Note(INFO, '{TOO_LONG % "AUTH"}')
        S: -ERR invalid command
        >> Close()
    """,
    "a response that is too long": rf"""
        C: AUTH LOGIN am9l
        S: + UGFzc3dvcmQ6
        C: {{4095*Y}}
        >> Note(INFO, '{TOO_LONG % "AUTH LOGIN"}')
        S: -ERR invalid command
        >> Close()
    """,
    "the lines of an exchange do not add up": r"""
        C: AUTH LOGIN
        S: + VXNlcm5hbWU6
        C: {4092*Y}
        S: + UGFzc3dvcmQ6
        C: {4092*Y}
        >> Authenticate(plain(1023 * b"a\x86\x18", 1023 * b"a\x86\x18"))
    """,
}

ONE_ERROR = {
    "the first error ends the session": """
        C: WHAT
        >> Note(INFO, "client sent too many invalid commands")
        S: -ERR invalid command
        >> Close()
    """,
    "the first refusal of a backend too": """
        C: AUTH PLAIN AGpvZQBzZWNyZXQ=
        >> Authenticate(plain(b"joe", b"secret"))
        << BackendRefused(b"-ERR no\\r\\n")
        >> Note(INFO, "client was refused too many logins")
        S: -ERR no
        >> Close()
    """,
}
