"""Commands of an IMAP client before its login, in the clear and without SASL."""

COMMANDS = {
    "greeting": "",
    "CAPABILITY": """
        C: a CAPABILITY
        S: * CAPABILITY IMAP4 IMAP4rev1 UIDPLUS AUTH=PLAIN
        S: a OK completed
    """,
    "arguments of CAPABILITY, NOOP are ignored": r"""
        C: a CAPABILITY x "y" {1}
        S: + OK
        C: z
        S: * CAPABILITY IMAP4 IMAP4rev1 UIDPLUS AUTH=PLAIN
        S: a OK completed
        C: b NOOP 1 2 3
        S: b OK completed
    """,
    "a fourth argument is one too many": """
        C: a NOOP 1 2 3 4
        S: a BAD invalid command
        C: b NOOP 1 2 3 "4"
        S: b BAD invalid command
        C: c NOOP 1 2 3 {4}
        S: c BAD invalid command
        C: d NOOP 1 2 3
        S: d OK completed
    """,
    "NOOP": """
        C: a NOOP
        S: a OK completed
    """,
    "letter case of commands does not matter, that of tags is kept": """
        C: aB nOoP
        S: aB OK completed
        C: Ab capability
        S: * CAPABILITY IMAP4 IMAP4rev1 UIDPLUS AUTH=PLAIN
        S: Ab OK completed
    """,
    "LOGOUT": """
        C: x LOGOUT
        S: * BYE
        S: x OK completed
        >> Close()
        C: y NOOP
    """,
    "LOGOUT with arguments": """
        C: x LOGOUT a b c
        S: * BYE
        S: x OK completed
        >> Close()
    """,
    "STARTTLS while it is off": """
        C: a STARTTLS
        S: a BAD invalid command
    """,
    "LOGIN": """
        C: a LOGIN user pass
        >> Authenticate(plain(b"user", b"pass"))
    """,
    "LOGIN with a wrong number of arguments, or without a name": r"""
        C: a LOGIN
        S: a BAD invalid command
        C: b LOGIN user
        S: b BAD invalid command
        C: c LOGIN user pass more
        S: c BAD invalid command
        C: d LOGIN "" pass
        S: d BAD invalid command
        C: e LOGIN {0}
        S: + OK
        C:  pass
        S: e BAD invalid command
        C: f LOGIN user ""
        >> Authenticate(plain(b"user", b""))
    """,
    "refused commands are not counted": """
        C: a LOGIN
        S: a BAD invalid command
        C: a AUTHENTICATE
        S: a BAD invalid command
        C: a STARTTLS
        S: a BAD invalid command
        C: a AUTHENTICATE NTLM
        S: a BAD invalid command
        C: a LOGIN user
        S: a BAD invalid command
        C: a LOGIN user
        S: a BAD invalid command
        C: a NOOP
        S: a OK completed
    """,
    "commands for the time after login are invalid and counted": """
        C: a SELECT INBOX
        S: a BAD invalid command
        C: b ID NIL
        S: b BAD invalid command
        C: c ENABLE X
        S: c BAD invalid command
        C: d UID FETCH
        S: d BAD invalid command
        C: e FOO
        >> Note(INFO, "client sent too many invalid commands")
        S: e BAD invalid command
        >> Close()
        C: f NOOP
    """,
    "what is told when the login is refused for good": """
        C: a LOGIN user pass
        >> Authenticate(plain(b"user", b"pass"))
        << AuthRefused(b"Invalid login or password", True)
        S: a NO Invalid login or password
        >> Close()
        C: b NOOP
    """,
    "after a delayed refusal the client may go on, its pipelined commands first": """
        C: a LOGIN user pass
        C: b NOOP
        C: c LOGIN joe secret
        C: d NOOP
        >> Authenticate(plain(b"user", b"pass"))
        << AuthRefused(b"try again", False)
        S: a NO try again
        S: b OK completed
        >> Authenticate(plain(b"joe", b"secret"))
        << AuthRefused(b"and again", False)
        S: c NO and again
        S: d OK completed
    """,
    "a refusal without a text": r"""
        C: a LOGIN user pass
        >> Authenticate(plain(b"user", b"pass"))
        << AuthRefused(b"", False)
        S: a NO\x20
    """,
    "a text of the authentication service stays in its line": """
        C: a LOGIN user pass
        >> Authenticate(plain(b"user", b"pass"))
        << AuthRefused(b"no\\r\\n* BYE\\0", False)
        S: a NO no* BYE
    """,
    "the tag of a refused login is forgotten": """
        C: aaa LOGIN user pass
        >> Authenticate(plain(b"user", b"pass"))
        << AuthRefused(b"no", False)
        S: aaa NO no
        C: @bcdef
        S: * BAD invalid command
    """,
    "a backend that decides refuses in its own words, and not without end": """
        C: a LOGIN user one
        C: b LOGIN user two
        >> Authenticate(plain(b"user", b"one"))
        << BackendRefused(b"a NO [AUTHENTICATIONFAILED] sorry\\r\\n")
        S: a NO [AUTHENTICATIONFAILED] sorry
        >> Authenticate(plain(b"user", b"two"))
        << BackendRefused(b"b NO sorry\\r\\n")
        S: b NO sorry
        C: c LOGIN user three
        >> Authenticate(plain(b"user", b"three"))
        << BackendRefused(b"c NO sorry\\r\\n")
        S: c NO sorry
        C: d LOGIN user four
        >> Authenticate(plain(b"user", b"four"))
        << BackendRefused(b"d NO sorry\\r\\n")
        S: d NO sorry
        C: d2 WHAT
        S: d2 BAD invalid command
        C: e LOGIN user five
        C: f NOOP
        >> Authenticate(plain(b"user", b"five"))
        << BackendRefused(b"e NO sorry\\r\\n")
        >> Note(INFO, "client was refused too many logins")
        S: e NO sorry
        >> Close()
    """,
    "the first worked example": r"""
        C: a CAPABILITY
        S: * CAPABILITY IMAP4 IMAP4rev1 UIDPLUS AUTH=PLAIN
        S: a OK completed
        C: b LOGIN {4}
        S: + OK
        C: user {6}
        S: + OK
        C: pa ss"
        >> Authenticate(plain(b"user", b'pa ss"'))
        << AuthRefused(b"Invalid login or password", True)
        S: b NO Invalid login or password
        >> Close()
    """,
    "the second worked example": """
        C: a AUTHENTICATE PLAIN
        S: +\\x20
        C: AHVzZXIAcGFzcw==
        >> Authenticate(plain(b"user", b"pass"))
    """,
}
