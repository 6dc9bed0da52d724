"""Where the patience with an IMAP client ends: lines that are too long, and errors."""

TOO_LONG = 'client sent too long command "%s..."'

# The buffer holds 64 bytes.
SMALL_BUFFER = {
    "a command that fills the buffer": r"""
        C: a LOGIN u {52*x}
        >> Authenticate(plain(b"u", 52 * b"x"))
    """,
    "a command that does not fit": rf"""
        C: a LOGIN u {{53*x}}
        >> Note(INFO, '{TOO_LONG % "a LOGIN"}')
        S: a BAD invalid command
        >> Close()
        C: b NOOP
    """,
    "a command without an end": rf"""
        C: a LOGIN u {{54*x}}\
        >> Note(INFO, '{TOO_LONG % "a LOGIN"}')
        S: a BAD invalid command
        >> Close()
    """,
    "short commands add up to nothing": "\n".join(["C: abcd NOOP\nS: abcd OK completed"] * 30),
    "short commands and a command that fills the buffer": r"""
        C: a NOOP
        S: a OK completed
        C: b NOOP
        S: b OK completed
        C: a LOGIN u {52*x}
        >> Authenticate(plain(b"u", 52 * b"x"))
    """,
    "without a tag": rf"""
        C: {{100*x}}
        >> Note(INFO, '{TOO_LONG % ""}')
        S: * BAD invalid command
        >> Close()
    """,
    "without a command": rf"""
        C: joe hunter {{100*x}}
        >> Note(INFO, '{TOO_LONG % ""}')
        S: joe BAD invalid command
        >> Close()
    """,
    "in the command word": rf"""
        C: a {{100*x}}
        >> Note(INFO, '{TOO_LONG % ""}')
        S: a BAD invalid command
        >> Close()
    """,
    "an invalid line": rf"""
        C: @ {{100*x}}
        >> Note(INFO, '{TOO_LONG % ""}')
        S: * BAD invalid command
        >> Close()
    """,
    "literals count": rf"""
        C: a LOGIN {{30}}
        S: + OK
        C: {{30*u}} {{30}}
        S: + OK
        C: {{30*p}}
        >> Note(INFO, '{TOO_LONG % "a LOGIN"}')
        S: a BAD invalid command
        >> Close()
    """,
    "a literal larger than the buffer is asked for": rf"""
        C: a LOGIN {{5000}}
        S: + OK
        C: {{5000*u}}
        >> Note(INFO, '{TOO_LONG % "a LOGIN"}')
        S: a BAD invalid command
        >> Close()
    """,
    "a literal that leaves no room for a line end": rf"""
        C: a LOGIN {{50}}
        S: + OK
        C: {{50*u}}\
        >> Note(INFO, '{TOO_LONG % "a LOGIN"}')
        S: a BAD invalid command
        >> Close()
    """,
    "a literal that leaves room for a line end": r"""
        C: a NOOP {50}
        S: + OK
        C: {50*u}\n\
        S: a OK completed
    """,
    "a response": rf"""
        C: a AUTHENTICATE PLAIN
        S: +\x20
        C: {{100*x}}
        >> Note(INFO, '{TOO_LONG % "a AUTHENTICATE PLAIN"}')
        S: a BAD invalid command
        >> Close()
    """,
    "the lines of an exchange do not add up": r"""
        C: a AUTHENTICATE LOGIN
        S: + VXNlcm5hbWU6
        C: {56*Y}
        S: + UGFzc3dvcmQ6
        C: {56*Y}
        >> Authenticate(plain(14 * b"a\x86\x18", 14 * b"a\x86\x18"))
    """,
    "an initial response": rf"""
        C: a AUTHENTICATE PLAIN {{100*x}}
        >> Note(INFO, '{TOO_LONG % "a AUTHENTICATE"}')
        S: a BAD invalid command
        >> Close()
    """,
    "too long is not counted as an error but ends the session": rf"""
        C: a WHAT
        S: a BAD invalid command
        C: b NOOP {{100*x}}
        >> Note(INFO, '{TOO_LONG % "b NOOP"}')
        S: b BAD invalid command
        >> Close()
    """,
}

NO_BUFFER = {
    "nothing fits": rf"""
        C: a NOOP
        >> Note(INFO, '{TOO_LONG % ""}')
        S: * BAD invalid command
        >> Close()
    """,
}

ONE_ERROR = {
    "the first error ends the session": """
        C: a WHAT
        >> Note(INFO, "client sent too many invalid commands")
        S: a BAD invalid command
        >> Close()
    """,
    "the first refusal of a backend too": """
        C: a LOGIN user pass
        >> Authenticate(plain(b"user", b"pass"))
        << BackendRefused(b"* x\\r\\na NO no\\r\\n")
        >> Note(INFO, "client was refused too many logins")
        S: * x
        S: a NO no
        >> Close()
    """,
}
