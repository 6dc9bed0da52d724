"""What an IMAP client and we say to each other, by the settings it is said under.

``GROUPS`` maps a name to settings and transcripts. The settings are those of ``test_client.machine``.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Settings:
    """``auth`` is ``imap_auth``; ``buffer`` is ``imap_client_buffer`` in bytes; ``tls``: from the first byte."""

    starttls: str = "off"
    tls: bool = False
    auth: tuple[str, ...] = ("plain",)
    buffer: int = 4096
    max_errors: int = 5


@dataclass(frozen=True)
class Group:
    settings: Settings
    transcripts: dict[str, str] = field(default_factory=dict)


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

SASL = {
    "AUTHENTICATE PLAIN": r"""
        C: a AUTHENTICATE PLAIN
        S: +\x20
        C: AGpvZQBzZWNyZXQ=
        >> Authenticate(plain(b"joe", b"secret"))
    """,
    "AUTHENTICATE PLAIN with an initial response": """
        C: a AUTHENTICATE PLAIN AGpvZQBzZWNyZXQ=
        >> Authenticate(plain(b"joe", b"secret"))
    """,
    "an authorization identity is dropped": """
        C: a AUTHENTICATE PLAIN YWRtaW4Aam9lAHNlY3JldA==
        >> Authenticate(plain(b"joe", b"secret"))
    """,
    "mechanism and response as strings and literals, mechanism in any letter case": r"""
        C: a AUTHENTICATE "pLaIn" {16}
        S: + OK
        C: AGpvZQBzZWNyZXQ=
        >> Authenticate(plain(b"joe", b"secret"))
        << AuthRefused(b"no", False)
        S: a NO no
        C: b AUTHENTICATE {5}
        S: + OK
        C: LOGIN "am9l"
        S: + UGFzc3dvcmQ6
        C: c2VjcmV0
        >> Authenticate(plain(b"joe", b"secret"))
    """,
    "AUTHENTICATE LOGIN, listed or not": """
        C: a AUTHENTICATE LOGIN
        S: + VXNlcm5hbWU6
        C: am9l
        S: + UGFzc3dvcmQ6
        C: c2VjcmV0
        >> Authenticate(plain(b"joe", b"secret"))
    """,
    "AUTHENTICATE LOGIN with the name in the command": """
        C: a AUTHENTICATE LOGIN am9l
        S: + UGFzc3dvcmQ6
        C: c2VjcmV0
        >> Authenticate(plain(b"joe", b"secret"))
    """,
    "AUTHENTICATE LOGIN with an empty name and password": """
        C: a AUTHENTICATE LOGIN
        S: + VXNlcm5hbWU6
        C:
        S: + UGFzc3dvcmQ6
        C:
        >> Authenticate(plain(b"", b""))
        << AuthRefused(b"no", False)
        S: a NO no
        C: b AUTHENTICATE LOGIN =
        S: + UGFzc3dvcmQ6
        C: =
        >> Authenticate(plain(b"", b""))
    """,
    "no argument, unknown names, too many arguments": """
        C: a AUTHENTICATE
        S: a BAD invalid command
        C: b AUTHENTICATE SCRAM-SHA-256
        S: b BAD invalid command
        C: c AUTHENTICATE PLAIN AGpvZQBzZWNyZXQ= more
        S: c BAD invalid command
        C: d AUTHENTICATE PLAI
        S: d BAD invalid command
        C: e AUTHENTICATE ""
        S: e BAD invalid command
        C: f NOOP
        S: f OK completed
    """,
    "mechanisms that are not enabled": """
        C: a AUTHENTICATE CRAM-MD5
        S: a BAD invalid command
        C: b AUTHENTICATE EXTERNAL
        S: b BAD invalid command
        C: c AUTHENTICATE EXTERNAL am9l
        S: c BAD invalid command
        C: d AUTHENTICATE CRAM-MD5 am9l
        S: d BAD invalid command
    """,
    "a response is never a command": """
        C: a AUTHENTICATE LOGIN
        S: + VXNlcm5hbWU6
        C: NOOP
        S: + UGFzc3dvcmQ6
        C: c NOOP
        >> Note(INFO, "client sent invalid base64 encoding in AUTH LOGIN command")
        S: a BAD invalid command
        C: d NOOP
        S: d OK completed
    """,
    "cancelling": r"""
        C: a AUTHENTICATE PLAIN
        S: +\x20
        C: *
        >> Note(INFO, "client sent invalid base64 encoding in AUTH PLAIN command")
        S: a BAD invalid command
        C: b AUTHENTICATE LOGIN
        S: + VXNlcm5hbWU6
        C: *
        >> Note(INFO, "client sent invalid base64 encoding in AUTH LOGIN command")
        S: b BAD invalid command
        C: c AUTHENTICATE LOGIN am9l
        S: + UGFzc3dvcmQ6
        C: *
        >> Note(INFO, "client sent invalid base64 encoding in AUTH LOGIN command")
        S: c BAD invalid command
        C: d NOOP
        S: d OK completed
    """,
    "bad base64 in the command itself": """
        C: a AUTHENTICATE LOGIN *
        >> Note(INFO, "client sent invalid base64 encoding in AUTH LOGIN command")
        S: a BAD invalid command
        C: b AUTHENTICATE PLAIN A
        >> Note(INFO, "client sent invalid base64 encoding in AUTH PLAIN command")
        S: b BAD invalid command
    """,
    "errors of SASL are not counted": """
        C: a AUTHENTICATE LOGIN *
        >> Note(INFO, "client sent invalid base64 encoding in AUTH LOGIN command")
        S: a BAD invalid command
        C: a AUTHENTICATE LOGIN *
        >> Note(INFO, "client sent invalid base64 encoding in AUTH LOGIN command")
        S: a BAD invalid command
        C: a AUTHENTICATE LOGIN *
        >> Note(INFO, "client sent invalid base64 encoding in AUTH LOGIN command")
        S: a BAD invalid command
        C: a AUTHENTICATE LOGIN *
        >> Note(INFO, "client sent invalid base64 encoding in AUTH LOGIN command")
        S: a BAD invalid command
        C: a AUTHENTICATE LOGIN *
        >> Note(INFO, "client sent invalid base64 encoding in AUTH LOGIN command")
        S: a BAD invalid command
        C: a AUTHENTICATE LOGIN *
        >> Note(INFO, "client sent invalid base64 encoding in AUTH LOGIN command")
        S: a BAD invalid command
    """,
    "messages of PLAIN that are none": r"""
        C: a AUTHENTICATE PLAIN
        S: +\x20
        C:
        >> Note(INFO, "client sent invalid login in AUTH PLAIN command")
        S: a BAD invalid command
        C: b AUTHENTICATE PLAIN =
        >> Note(INFO, "client sent invalid login in AUTH PLAIN command")
        S: b BAD invalid command
        C: c AUTHENTICATE PLAIN AGpvZQ==
        >> Note(INFO, "client sent invalid password in AUTH PLAIN command")
        S: c BAD invalid command
    """,
    "CR, LF and NUL in credentials reach nobody": r"""
        # NUL j NUL p NUL
        C: a AUTHENTICATE PLAIN AGoAcAA=
        >> Note(INFO, "client sent CR, LF or NUL in credentials in AUTH PLAIN command")
        S: a BAD invalid command
        # j CR LF x
        C: b AUTHENTICATE LOGIN ag0KeA==
        S: + UGFzc3dvcmQ6
        C: cA==
        >> Note(INFO, "client sent CR, LF or NUL in credentials in AUTH LOGIN command")
        S: b BAD invalid command
        C: c LOGIN joe "a\x00b"
        >> Note(INFO, "client sent CR, LF or NUL in credentials in LOGIN command")
        S: c BAD invalid command
        C: d LOGIN j\x00e pw
        >> Note(INFO, "client sent CR, LF or NUL in credentials in LOGIN command")
        S: d BAD invalid command
        C: e LOGIN joe {4}
        S: + OK
        C: a\r\nb
        >> Note(INFO, "client sent CR, LF or NUL in credentials in LOGIN command")
        S: e BAD invalid command
        C: f LOGIN {3+}
        C: a\nb pw
        >> Note(INFO, "client sent CR, LF or NUL in credentials in LOGIN command")
        S: f BAD invalid command
    """,
    "only the first piece of a response counts": r"""
        C: a AUTHENTICATE LOGIN
        S: + VXNlcm5hbWU6
        C: am9l and more
        S: + UGFzc3dvcmQ6
        C: c2VjcmV0 "quo ted" {3+}
        C: x y
        >> Authenticate(plain(b"joe", b"secret"))
        << AuthRefused(b"no", False)
        S: a NO no
        C: b AUTHENTICATE LOGIN am9l
        S: + UGFzc3dvcmQ6
        C: c2VjcmV0 {3}
        S: + OK
        C: x y
        >> Authenticate(plain(b"joe", b"secret"))
    """,
    "a leading space makes the response empty": """
        C: a AUTHENTICATE LOGIN
        S: + VXNlcm5hbWU6
        C:  am9l
        S: + UGFzc3dvcmQ6
        C:  c2VjcmV0
        >> Authenticate(plain(b"", b""))
    """,
    "a quote or brace at its start is no base64": """
        C: a AUTHENTICATE LOGIN
        S: + VXNlcm5hbWU6
        C: "am9l"
        >> Note(INFO, "client sent invalid base64 encoding in AUTH LOGIN command")
        S: a BAD invalid command
        C: b AUTHENTICATE LOGIN
        S: + VXNlcm5hbWU6
        C: {4}
        >> Note(INFO, "client sent invalid base64 encoding in AUTH LOGIN command")
        S: b BAD invalid command
    """,
    "a response of four pieces, or a broken one, is invalid and counted": r"""
        C: a AUTHENTICATE LOGIN
        S: + VXNlcm5hbWU6
        C: am9l b c d
        S: a BAD invalid command
        C: b AUTHENTICATE LOGIN
        S: + VXNlcm5hbWU6
        C: am9l\rx
        S: b BAD invalid command
        C: c AUTHENTICATE LOGIN
        S: + VXNlcm5hbWU6
        C: am9l "x
        S: c BAD invalid command
        C: d AUTHENTICATE LOGIN
        S: + VXNlcm5hbWU6
        C: am9l {2}
        S: + OK
        C: xyz
        S: d BAD invalid command
        C: e AUTHENTICATE LOGIN
        S: + VXNlcm5hbWU6
        C: am9l b c d
        >> Note(INFO, "client sent too many invalid commands")
        S: e BAD invalid command
        >> Close()
    """,
}

ALL_MECHANISMS = {
    "CAPABILITY lists them in the fixed order": """
        C: a CAPABILITY
        S: * CAPABILITY IMAP4 IMAP4rev1 UIDPLUS AUTH=PLAIN AUTH=LOGIN AUTH=CRAM-MD5 AUTH=EXTERNAL
        S: a OK completed
    """,
    "CRAM-MD5": """
        C: a AUTHENTICATE CRAM-MD5
        S: + PDEuMkBob3N0Pg==
        C: dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw
        >> Authenticate(Credentials("cram-md5", b"tim", b"b913a602c7eda7a495b4e6e7334d3890", False, b"<1.2@host>"))
    """,
    "CRAM-MD5 has a new challenge for each attempt": """
        C: a AUTHENTICATE CRAM-MD5
        S: + PDEuMkBob3N0Pg==
        C: dGlt
        >> Note(INFO, "client sent invalid CRAM-MD5 hash in AUTH CRAM-MD5 command")
        S: a BAD invalid command
        C: b AUTHENTICATE cram-md5
        S: + PDIuMkBob3N0Pg==
        C: dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw
        >> Authenticate(Credentials("cram-md5", b"tim", b"b913a602c7eda7a495b4e6e7334d3890", False, b"<2.2@host>"))
    """,
    "CRAM-MD5 with nothing, with bad base64, with an initial response": """
        C: a AUTHENTICATE CRAM-MD5
        S: + PDEuMkBob3N0Pg==
        C:
        >> Note(INFO, "client sent invalid CRAM-MD5 hash in AUTH CRAM-MD5 command")
        S: a BAD invalid command
        C: b AUTHENTICATE CRAM-MD5
        S: + PDIuMkBob3N0Pg==
        C: *
        >> Note(INFO, "client sent invalid base64 encoding in AUTH CRAM-MD5 command")
        S: b BAD invalid command
        C: c AUTHENTICATE CRAM-MD5 dGlt
        S: c BAD invalid command
    """,
    "EXTERNAL": """
        C: a AUTHENTICATE EXTERNAL
        S: + VXNlcm5hbWU6
        C: am9l
        >> Authenticate(Credentials("external", b"joe", b"", False))
        << AuthRefused(b"no", False)
        S: a NO no
        C: b AUTHENTICATE EXTERNAL am9l
        >> Authenticate(Credentials("external", b"joe", b"", False))
    """,
    "EXTERNAL with no name, with bad base64": """
        C: a AUTHENTICATE EXTERNAL
        S: + VXNlcm5hbWU6
        C:
        >> Authenticate(Credentials("external", b"", b"", False))
        << AuthRefused(b"no", False)
        S: a NO no
        C: b AUTHENTICATE EXTERNAL =
        >> Authenticate(Credentials("external", b"", b"", False))
        << AuthRefused(b"no", False)
        S: b NO no
        C: c AUTHENTICATE EXTERNAL
        S: + VXNlcm5hbWU6
        C: *
        >> Note(INFO, "client sent invalid base64 encoding in AUTH EXTERNAL command")
        S: c BAD invalid command
    """,
    "nothing of a failed attempt is in the next": """
        C: a LOGIN joe 0123456789abcdef0123456789abcdef
        >> Authenticate(plain(b"joe", b"0123456789abcdef0123456789abcdef"))
        << AuthRefused(b"no", False)
        S: a NO no
        C: b AUTHENTICATE CRAM-MD5
        S: + PDEuMkBob3N0Pg==
        C: dGlt
        >> Note(INFO, "client sent invalid CRAM-MD5 hash in AUTH CRAM-MD5 command")
        S: b BAD invalid command
        C: c AUTHENTICATE EXTERNAL am9l
        >> Authenticate(Credentials("external", b"joe", b"", False))
    """,
}

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

GRAMMAR = {
    "tags of 1 to 32 characters": """
        C: 0123456789.-_ABCDEFGHIJKLMNopqrs NOOP
        S: 0123456789.-_ABCDEFGHIJKLMNopqrs OK completed
        C: 0123456789.-_ABCDEFGHIJKLMNopqrst NOOP
        S: * BAD invalid command
        C: tuvwxyzOPQRSTUVWXYZ NOOP
        S: tuvwxyzOPQRSTUVWXYZ OK completed
    """,
    "other characters in a tag, or no space behind it": r"""
        C: a+ NOOP
        S: * BAD invalid command
        C: a
        S: * BAD invalid command
        C: a\n\
        S: * BAD invalid command
        C: a\tNOOP
        S: * BAD invalid command
    """,
    "an empty line": r"""
        C:
        S: * BAD invalid command
        C: \n\
        S: * BAD invalid command
    """,
    "an empty tag": """
        C:  NOOP
        S: * BAD invalid command
    """,
    "any number of spaces": """
        C: a     NOOP
        S: a OK completed
        C: b   LOGIN   user    pass\\x20\\x20
        >> Authenticate(plain(b"user", b"pass"))
        << AuthRefused(b"no", False)
        S: b NO no
        C: c NOOP\\x20\\x20\\x20
        S: c OK completed
    """,
    "a tag alone": r"""
        C: a\x20
        S: a BAD invalid command
        C: b\x20\x20\x20
        S: b BAD invalid command
        C: c \n\
        S: c BAD invalid command
    """,
    "what is no command word": r"""
        C: a NO0P
        S: a BAD invalid command
        C: b NOOP-
        S: b BAD invalid command
        C: c NOOP\tx
        S: c BAD invalid command
        C: d "NOOP"
        S: d BAD invalid command
    """,
    "a word that only begins like a command": """
        C: a NOOPS
        S: a BAD invalid command
        C: b NOO
        S: b BAD invalid command
    """,
    "bare line feeds": r"""
        C: a NOOP\n\
        S: a OK completed
        C: b LOGIN user pass\n\
        >> Authenticate(plain(b"user", b"pass"))
    """,
    "a CR that no LF follows": r"""
        C: a NOOP\rx
        S: a BAD invalid command
        C: b NOOP \r\r\n\
        S: b BAD invalid command
        C: c LOGIN us\rer pass
        S: c BAD invalid command
        C: d NO\rOP
        S: d BAD invalid command
    """,
    "unquoted arguments take every byte": r"""
        C: a LOGIN u"s{4}\\e\xe9 p"{\\
        >> Authenticate(plain(b'u"s{4}\\e\xe9', b'p"{\\'))
    """,
    "quoted strings": r"""
        C: a LOGIN "us er" "p\\"\\\\\\r\\ {4}"
        >> Authenticate(plain(b"us er", b'p"\\r {4}'))
        << AuthRefused(b"no", False)
        S: a NO no
        C: b LOGIN "u""p"
        >> Authenticate(plain(b"u", b"p"))
        << AuthRefused(b"no", False)
        S: b NO no
        C: c LOGIN "u"p
        >> Authenticate(plain(b"u", b"p"))
        << AuthRefused(b"no", False)
        S: c NO no
        C: d LOGIN "u"{1}
        S: + OK
        C: p
        >> Authenticate(plain(b"u", b"p"))
    """,
    "an unterminated quoted string": r"""
        C: a LOGIN u "p w
        S: a BAD invalid command
        C: b LOGIN u "p w\\
        S: b BAD invalid command
        C: c LOGIN u "p\\"
        S: c BAD invalid command
        C: d LOGIN u p
        >> Authenticate(plain(b"u", b"p"))
    """,
    "literals": r"""
        C: a LOGIN {4}
        S: + OK
        C: us"\\ {4}
        S: + OK
        C: p{4}
        >> Authenticate(plain(b'us"\\', b"p{4}"))
    """,
    "literals that do not wait": r"""
        C: a LOGIN {4+}
        C: user {4+}
        C: pa s
        >> Authenticate(plain(b"user", b"pa s"))
    """,
    "literals of nothing": r"""
        C: a LOGIN u {0}
        S: + OK
        C:
        >> Authenticate(plain(b"u", b""))
        << AuthRefused(b"no", False)
        S: a NO no
        C: b LOGIN u {0+}
        C:
        >> Authenticate(plain(b"u", b""))
        << AuthRefused(b"no", False)
        S: b NO no
        C: c LOGIN u {}
        S: + OK
        C: \n\
        >> Authenticate(plain(b"u", b""))
        << AuthRefused(b"no", False)
        S: c NO no
        C: d NOOP {+}
        C:  x
        S: d OK completed
        C: e LOGIN {0+}
        C:  p
        S: e BAD invalid command
    """,
    "literals in place of any argument of any command": r"""
        C: a NOOP {2}
        S: + OK
        C: xy {2+}
        C: zz "3"
        S: a OK completed
        C: b CAPABILITY {1+}
        C: x
        S: * CAPABILITY IMAP4 IMAP4rev1 UIDPLUS AUTH=PLAIN
        S: b OK completed
        C: c STARTTLS {1+}
        C: x
        S: c BAD invalid command
        C: d LOGOUT {3}
        S: + OK
        C: \r\n\x00
        S: * BYE
        S: d OK completed
        >> Close()
    """,
    "line ends behind a literal's announcement and data": r"""
        C: a LOGIN {1}\r\r\r\n\
        S: + OK
        C: u {1}\n\
        S: + OK
        C: p\n\
        >> Authenticate(plain(b"u", b"p"))
    """,
    "what is no announcement": r"""
        C: a LOGIN {x}
        S: a BAD invalid command
        C: b LOGIN {4} pass
        S: b BAD invalid command
        C: c LOGIN {4
        S: c BAD invalid command
        C: d LOGIN {-1}
        S: d BAD invalid command
    """,
    "lengths up to 63 bits": """
        C: a LOGIN {9223372036854775808}
        S: a BAD invalid command
        C: b LOGIN {99999999999999999999999999}
        S: b BAD invalid command
        C: c LOGIN {000000000000000000000000001}
        S: + OK
        C: u {9223372036854775807}
        S: + OK
    """,
    "a length of more digits than Python converts": """
        C: a LOGIN {{4000*9}}
        S: a BAD invalid command
        C: b NOOP
        S: b OK completed
    """,
    "a byte too many behind a literal's data": r"""
        C: a LOGIN {4}
        S: + OK
        C: userx pass
        S: a BAD invalid command
        C: b LOGIN {4}
        S: + OK
        C: user"pass"
        S: b BAD invalid command
        C: c LOGIN {4}
        S: + OK
        C: user\rpass
        S: c BAD invalid command
        C: d NOOP
        S: d OK completed
    """,
    "a fourth argument behind a literal": r"""
        C: a NOOP 1 2 {1}
        S: + OK
        C: 3 4
        S: a BAD invalid command
    """,
    "the tag in BAD": """
        C: tag WHAT
        S: tag BAD invalid command
        C: tag
        S: * BAD invalid command
        C: tag@ WHAT
        S: * BAD invalid command
    """,
    "a bad line with a literal that waits is just bad": """
        C: a WHAT {4}
        S: a BAD invalid command
        C: @ LOGIN {4}
        S: * BAD invalid command
        C: b NOOP
        S: b OK completed
    """,
    "a bad line with a literal that does not wait ends the session": """
        C: a WHAT {4+}
        C: data
        S: a BAD invalid command
        >> Close()
    """,
    "the same with a bare line feed": r"""
        C: a NOOP 1 2 3 {4+}\n\
        S: a BAD invalid command
        >> Close()
    """,
    "the same without a tag": """
        C: @ WHAT {4+}
        S: * BAD invalid command
        >> Close()
    """,
    "the same behind a literal": """
        C: a LOGIN {4}
        S: + OK
        C: userx {4+}
        S: a BAD invalid command
        >> Close()
    """,
    "the same in a response": """
        C: a AUTHENTICATE LOGIN
        S: + VXNlcm5hbWU6
        C: am9l b c {1+}
        S: a BAD invalid command
        >> Close()
    """,
    "a refused command takes its literals with it": """
        C: a LOGIN {4+}
        C: user
        S: a BAD invalid command
        C: b NOOP
        S: b OK completed
    """,
    "NUL in arguments of commands that ignore them": r"""
        C: a NOOP \x00 "\x00" {1+}
        C: \x00
        S: a OK completed
    """,
    "the length of an argument is the buffer's concern": r"""
        C: a LOGIN user {4000*x}
        >> Authenticate(plain(b"user", 4000 * b"x"))
    """,
}

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

ALL = ("plain", "login", "cram-md5", "external")

GROUPS = {
    "commands": Group(Settings(), COMMANDS),
    "SASL": Group(Settings(), SASL),
    "SASL, nothing that always works listed": Group(
        Settings(auth=("external",)),
        {name: SASL[name] for name in ("AUTHENTICATE PLAIN", "AUTHENTICATE LOGIN, listed or not")},
    ),
    "all mechanisms": Group(Settings(auth=ALL), ALL_MECHANISMS),
    "starttls on": Group(Settings(starttls="on"), STARTTLS_ON),
    "starttls only": Group(Settings(starttls="only"), STARTTLS_ONLY),
    "implicit TLS": Group(Settings(tls=True), IMPLICIT_TLS),
    "implicit TLS, starttls on": Group(Settings(tls=True, starttls="on"), IMPLICIT_TLS),
    "implicit TLS, starttls only": Group(Settings(tls=True, starttls="only"), IMPLICIT_TLS),
    "grammar": Group(Settings(max_errors=100), GRAMMAR),
    "a small buffer": Group(Settings(buffer=64), SMALL_BUFFER),
    "no buffer": Group(Settings(buffer=0), NO_BUFFER),
    "max_errors 1": Group(Settings(max_errors=1), ONE_ERROR),
    "max_errors 0": Group(Settings(max_errors=0), ONE_ERROR),
}
