"""What an SMTP client and we say to each other after the greeting, by the settings it is said under.

``GROUPS`` maps a name to settings and transcripts. The settings are those of ``test_client.machine``, where the
client's name in DNS is ``h``.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Settings:
    """``auth`` is ``smtp_auth``; ``buffer`` is ``smtp_client_buffer`` in bytes; ``tls``: from the first byte."""

    starttls: str = "off"
    tls: bool = False
    auth: tuple[str, ...] = ("plain", "login")
    capabilities: tuple[bytes, ...] = ()
    buffer: int = 4096
    max_errors: int = 5
    delay: float = 0


@dataclass(frozen=True)
class Group:
    settings: Settings
    transcripts: dict[str, str] = field(default_factory=dict)


COMMANDS = {
    "nothing": "",
    "HELO": """
        C: HELO me
        S: 250 mail.example
    """,
    "EHLO": """
        C: EHLO me
        S: 250-mail.example
        S: 250 AUTH PLAIN LOGIN
    """,
    "HELO and EHLO take exactly one argument": """
        C: HELO
        S: 501 5.5.4 Invalid argument
        C: EHLO
        S: 501 5.5.4 Invalid argument
        C: HELO a b
        S: 501 5.5.4 Invalid argument
        C: EHLO a b
        S: 501 5.5.4 Invalid argument
    """,
    "a name may have 8-bit bytes but no control characters": r"""
        C: EHLO m\xfcller
        S: 250-mail.example
        S: 250 AUTH PLAIN LOGIN
        C: HELO a\x00b
        S: 501 5.5.4 Invalid argument
        C: HELO a\tb
        S: 501 5.5.4 Invalid argument
        C: HELO a\x7fb
        S: 501 5.5.4 Invalid argument
        C: HELO a\x0bb
        S: 501 5.5.4 Invalid argument
    """,
    "letter case does not matter": """
        C: ehLo me
        S: 250-mail.example
        S: 250 AUTH PLAIN LOGIN
        C: nooP
        S: 250 2.0.0 OK
        C: quit
        S: 221 2.0.0 Bye
        >> Close()
    """,
    "NOOP, RSET": """
        C: NOOP
        S: 250 2.0.0 OK
        C: RSET
        S: 250 2.0.0 OK
    """,
    "QUIT": """
        C: QUIT
        S: 221 2.0.0 Bye
        >> Close()
        C: NOOP
    """,
    "arguments that are ignored, eleven at most": """
        C: NOOP 1 2 3 4 5 6 7 8 9 10 11
        S: 250 2.0.0 OK
        C: RSET 1
        S: 250 2.0.0 OK
        C: NOOP 1 2 3 4 5 6 7 8 9 10 11 12
        S: 500 5.5.1 Invalid command
        C: STARTTLS 1 2 3 4 5 6 7 8 9 10 11 12
        S: 500 5.5.1 Invalid command
        C: QUIT 1
        S: 221 2.0.0 Bye
        >> Close()
    """,
    "spaces": """
        C: NOOP   1    2
        S: 250 2.0.0 OK
        C: HELO    me
        S: 250 mail.example
        C: NOOP {4* }
        S: 250 2.0.0 OK
        C:  NOOP
        S: 500 5.5.1 Invalid command
    """,
    "line ends": r"""
        C: NOOP\n\
        S: 250 2.0.0 OK
        C: HELO me\n\
        S: 250 mail.example
        C: NOOP a\rb
        S: 500 5.5.1 Invalid command
        C: NOOP\rQUIT\n\
        S: 500 5.5.1 Invalid command
        C: NOOP\r
        S: 500 5.5.1 Invalid command
        C: \
        C: NOOP
        S: 250 2.0.0 OK
        C:
        S: 500 5.5.1 Invalid command
    """,
    "a TAB is no space": r"""
        C: NOOP\t
        S: 500 5.5.1 Invalid command
        C: NOOP a\tb
        S: 250 2.0.0 OK
    """,
    "what is known and refused is not counted": """
        C: VRFY root
        S: 500 5.5.1 Invalid command
        C: EXPN staff
        S: 500 5.5.1 Invalid command
        C: HELP
        S: 500 5.5.1 Invalid command
        C: STARTTLS
        S: 500 5.5.1 Invalid command
        C: AUTH NTLM
        S: 500 5.5.1 Invalid command
        C: AUTH
        S: 501 5.5.4 Invalid argument
        C: RCPT TO:<c@d>
        S: 503 5.5.1 Bad sequence of commands
        C: HELO
        S: 501 5.5.4 Invalid argument
        C: NOOP
        S: 250 2.0.0 OK
    """,
    "what a refused chunk holds is no command": r"""
        C: BDAT 45
        S: 500 5.5.1 Invalid command
        C: Subject: x
        C: AUTH PLAIN AHVzZXIAcGFzcw==
        C: abcdNOOP
        S: 250 2.0.0 OK
        C: bdat 5 LAST
        S: 500 5.5.1 Invalid command
        C: QUIT\nQUIT
        S: 221 2.0.0 Bye
        >> Close()
    """,
    "a chunk of nothing, and chunks that are none": """
        C: BDAT 0 LAST
        S: 500 5.5.1 Invalid command
        C: NOOP
        S: 250 2.0.0 OK
        C: BDAT
        S: 500 5.5.1 Invalid command
        C: BDAT 1x
        S: 500 5.5.1 Invalid command
        C: BDAT -1
        S: 500 5.5.1 Invalid command
        C: NOOP
        S: 250 2.0.0 OK
    """,
    "a chunk without end": r"""
        C: BDAT 99999999999999999999
        S: 500 5.5.1 Invalid command
        C: {5000*x}
        C: QUIT
    """,
    "what is unknown is counted and never obeyed": """
        C: DATA
        S: 500 5.5.1 Invalid command
        C: BURL imap://x LAST
        S: 500 5.5.1 Invalid command
        C: abcQUIT
        S: 500 5.5.1 Invalid command
        C: XCLIENT ADDR=127.0.0.1
        S: 500 5.5.1 Invalid command
        C: ETRN x
        >> Note(INFO, "client sent too many invalid commands")
        S: 500 5.5.1 Invalid command
        >> Close()
        C: NOOP
    """,
    "a web browser": """
        C: GET / HTTP/1.1
        S: 500 5.5.1 Invalid command
        C: Host: mail.example
        S: 500 5.5.1 Invalid command
        C: Accept: */*
        S: 500 5.5.1 Invalid command
        C:
        S: 500 5.5.1 Invalid command
        C: x
        >> Note(INFO, "client sent too many invalid commands")
        S: 500 5.5.1 Invalid command
        >> Close()
    """,
    "what begins like a word is not that word": """
        C: NOO
        S: 500 5.5.1 Invalid command
        C: NOOPS
        S: 500 5.5.1 Invalid command
        C: MAIL-FROM
        S: 500 5.5.1 Invalid command
    """,
    "STARTTLS while it is off": """
        C: STARTTLS
        S: 500 5.5.1 Invalid command
    """,
    "MAIL without a login": r"""
        C: MAIL FROM:<a@b>
        >> Note(INFO, 'client was rejected: "MAIL FROM:<a@b>__"')
        S: 530 5.7.1 Authentication required
        C: mail\n\
        >> Note(INFO, 'client was rejected: "mail_"')
        S: 530 5.7.1 Authentication required
        C: MAIL FROM:<"a\x01\\b">
        >> Note(INFO, r'client was rejected: "MAIL FROM:<\x22a\x01\x5Cb\x22>__"')
        S: 530 5.7.1 Authentication required
        C: RCPT TO:<c@d>
        S: 503 5.5.1 Bad sequence of commands
    """,
    "commands behind a refused MAIL are answered": r"""
        C: MAIL FROM:<a@b>
        >> Note(INFO, 'client was rejected: "MAIL FROM:<a@b>__"')
        S: 530 5.7.1 Authentication required
        C: RCPT TO:<c@d>
        C: NOOP
        S: 503 5.5.1 Bad sequence of commands
        S: 250 2.0.0 OK
    """,
}

LOGINS = {
    "AUTH PLAIN": r"""
        C: AUTH PLAIN
        S: 334\x20
        C: AHVzZXIAcGFzcw==
        >> Authenticate(plain(b"user", b"pass"), b"h")
    """,
    "AUTH PLAIN with its response": """
        C: auth plain AHVzZXIAcGFzcw==
        >> Authenticate(plain(b"user", b"pass"), b"h")
    """,
    "AUTH PLAIN with a response that is no good": """
        C: AUTH PLAIN =
        >> Note(INFO, "client sent invalid login in AUTH PLAIN command")
        S: 500 5.5.1 Invalid command
        C: AUTH PLAIN ?
        >> Note(INFO, "client sent invalid base64 encoding in AUTH PLAIN command")
        S: 500 5.5.1 Invalid command
        C: AUTH PLAIN bm8tbnVs
        >> Note(INFO, "client sent invalid login in AUTH PLAIN command")
        S: 500 5.5.1 Invalid command
        C: AUTH PLAIN YQBi
        >> Note(INFO, "client sent invalid password in AUTH PLAIN command")
        S: 500 5.5.1 Invalid command
        C: AUTH PLAIN AA==
        >> Note(INFO, "client sent invalid login in AUTH PLAIN command")
        S: 500 5.5.1 Invalid command
        C: NOOP
        S: 250 2.0.0 OK
    """,
    "AUTH LOGIN": """
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: dXNlcg==
        S: 334 UGFzc3dvcmQ6
        C: cGFzcw==
        >> Authenticate(plain(b"user", b"pass"), b"h")
    """,
    "AUTH LOGIN with the name": """
        C: AUTH LOGIN dXNlcg==
        S: 334 UGFzc3dvcmQ6
        C: cGFzcw==
        >> Authenticate(plain(b"user", b"pass"), b"h")
    """,
    "AUTH LOGIN with nothing": """
        C: AUTH LOGIN =
        S: 334 UGFzc3dvcmQ6
        C:
        >> Authenticate(plain(b"", b""), b"h")
    """,
    "wrong numbers of arguments": """
        C: AUTH
        S: 501 5.5.4 Invalid argument
        C: AUTH PLAIN AHVzZXIAcGFzcw== more
        S: 500 5.5.1 Invalid command
        C: AUTH LOGIN dXNlcg== cGFzcw==
        S: 500 5.5.1 Invalid command
    """,
    "mechanisms that are not enabled": """
        C: AUTH CRAM-MD5
        S: 500 5.5.1 Invalid command
        C: AUTH CRAM-MD5 =
        S: 500 5.5.1 Invalid command
        C: AUTH EXTERNAL
        S: 500 5.5.1 Invalid command
        C: AUTH EXTERNAL dXNlcg==
        S: 500 5.5.1 Invalid command
        C: AUTH EXTERNAL =
        S: 500 5.5.1 Invalid command
        C: AUTH none
        S: 500 5.5.1 Invalid command
        C: AUTH SCRAM-SHA-256
        S: 500 5.5.1 Invalid command
    """,
    "an exchange that is given up, and another command": r"""
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: *
        >> Note(INFO, "client sent invalid base64 encoding in AUTH LOGIN command")
        S: 500 5.5.1 Invalid command
        C: NOOP
        S: 250 2.0.0 OK
        C: AUTH PLAIN
        S: 334\x20
        C: *
        >> Note(INFO, "client sent invalid base64 encoding in AUTH PLAIN command")
        S: 500 5.5.1 Invalid command
        C: cGFzcw==
        S: 500 5.5.1 Invalid command
        C: AUTH LOGIN dXNlcg==
        S: 334 UGFzc3dvcmQ6
        C: QUIT*
        >> Note(INFO, "client sent invalid base64 encoding in AUTH LOGIN command")
        S: 500 5.5.1 Invalid command
        C: QUIT
        S: 221 2.0.0 Bye
        >> Close()
    """,
    "of a response only the first piece counts": r"""
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: dXNlcg== x y
        S: 334 UGFzc3dvcmQ6
        C:  cGFzcw==
        >> Authenticate(plain(b"user", b""), b"h")
    """,
    "a response is a line like others": r"""
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: dXNlcg== 2 3 4 5 6 7 8 9 10 11
        S: 334 UGFzc3dvcmQ6
        C: cGFzcw== 2 3 4 5 6 7 8 9 10 11 12
        S: 500 5.5.1 Invalid command
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: dXNl\rcg==
        S: 500 5.5.1 Invalid command
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: dXNlcg==\n\
        S: 334 UGFzc3dvcmQ6
        C: cGFzcw==\n\
        >> Authenticate(plain(b"user", b"pass"), b"h")
    """,
    "bad lines in an exchange are counted, bad base64 is not": r"""
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: a\rb
        S: 500 5.5.1 Invalid command
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: a\rb
        S: 500 5.5.1 Invalid command
        C: AUTH LOGIN ?
        >> Note(INFO, "client sent invalid base64 encoding in AUTH LOGIN command")
        S: 500 5.5.1 Invalid command
        C: AUTH LOGIN ?
        >> Note(INFO, "client sent invalid base64 encoding in AUTH LOGIN command")
        S: 500 5.5.1 Invalid command
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: a\rb
        S: 500 5.5.1 Invalid command
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: a\rb
        S: 500 5.5.1 Invalid command
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: a\rb
        >> Note(INFO, "client sent too many invalid commands")
        S: 500 5.5.1 Invalid command
        >> Close()
    """,
    "CR, LF and NUL in credentials": """
        C: AUTH PLAIN AHVzDWVyAHBhc3M=
        >> Note(INFO, "client sent CR, LF or NUL in credentials in AUTH PLAIN command")
        S: 500 5.5.1 Invalid command
        C: AUTH PLAIN AHVzZXIAcGEAc3M=
        >> Note(INFO, "client sent CR, LF or NUL in credentials in AUTH PLAIN command")
        S: 500 5.5.1 Invalid command
        C: AUTH LOGIN dXMKZXI=
        S: 334 UGFzc3dvcmQ6
        C: cGFzcw==
        >> Note(INFO, "client sent CR, LF or NUL in credentials in AUTH LOGIN command")
        S: 500 5.5.1 Invalid command
    """,
    "a login that is refused for good": """
        C: AUTH PLAIN AHVzZXIAcGFzcw==
        >> Authenticate(plain(b"user", b"pass"), b"h")
        << AuthRefused(b"Invalid login or password", True)
        S: 535 5.7.0 Invalid login or password
        >> Close()
        C: NOOP
    """,
    "the service chooses the code": """
        C: AUTH PLAIN AHVzZXIAcGFzcw==
        >> Authenticate(plain(b"user", b"pass"), b"h")
        << AuthRefused(b"Temporary server problem, try again later", True, b"451 4.3.0")
        S: 451 4.3.0 Temporary server problem, try again later
        >> Close()
    """,
    "neither text nor code leaves its line": """
        C: AUTH PLAIN AHVzZXIAcGFzcw==
        >> Authenticate(plain(b"user", b"pass"), b"h")
        << AuthRefused(b"no\\r\\n250 \\0yes", False, b"55\\r\\n0")
        S: 550 no250 yes
    """,
    "after a delayed refusal the client may go on, its pipelined commands first": """
        C: EHLO me
        S: 250-mail.example
        S: 250 AUTH PLAIN LOGIN
        C: AUTH PLAIN AHVzZXIAcGFzcw==
        C: NOOP
        C: AUTH PLAIN AHVzZXIAcGFzcw==
        C: RSET
        >> Authenticate(plain(b"user", b"pass"), b"h")
        << AuthRefused(b"try again", False)
        S: 535 5.7.0 try again
        S: 250 2.0.0 OK
        >> Authenticate(plain(b"user", b"pass"), b"h")
        << AuthRefused(b"and again", False)
        S: 535 5.7.0 and again
        S: 250 2.0.0 OK
    """,
    "a backend that decides refuses in its own words, and not without end": """
        C: AUTH PLAIN AHVzZXIAcGFzcw==
        C: NOOP
        >> Authenticate(plain(b"user", b"pass"), b"h")
        << BackendRefused(b"535-5.7.8 Error: sorry\\r\\n535 5.7.8 ask somebody\\r\\n")
        S: 535-5.7.8 Error: sorry
        S: 535 5.7.8 ask somebody
        S: 250 2.0.0 OK
        C: AUTH PLAIN AHVzZXIAcGFzcw==
        >> Authenticate(plain(b"user", b"pass"), b"h")
        << BackendRefused(b"535 no\\r\\n")
        S: 535 no
        C: AUTH PLAIN AHVzZXIAcGFzcw==
        >> Authenticate(plain(b"user", b"pass"), b"h")
        << BackendRefused(b"535 no\\r\\n")
        S: 535 no
        C: AUTH PLAIN AHVzZXIAcGFzcw==
        >> Authenticate(plain(b"user", b"pass"), b"h")
        << BackendRefused(b"535 no\\r\\n")
        S: 535 no
        C: AUTH PLAIN AHVzZXIAcGFzcw==
        C: NOOP
        >> Authenticate(plain(b"user", b"pass"), b"h")
        << BackendRefused(b"535 no\\r\\n")
        >> Note(INFO, "client was refused too many logins")
        S: 535 no
        >> Close()
    """,
    "the worked example": """
        C: EHLO client.example.org
        S: 250-mail.example
        S: 250 AUTH PLAIN LOGIN
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: dXNlcg==
        S: 334 UGFzc3dvcmQ6
        C: cGFzcw==
        C: MAIL FROM:<a@b>
        >> Authenticate(plain(b"user", b"pass"), b"h")
    """,
}

ALL_MECHANISMS = {
    "all are offered": """
        C: EHLO me
        S: 250-mail.example
        S: 250 AUTH PLAIN LOGIN CRAM-MD5 EXTERNAL
    """,
    "CRAM-MD5, with a new challenge each time": """
        C: AUTH CRAM-MD5
        S: 334 PDEuMkBob3N0Pg==
        C: dXNlciBzaG9ydA==
        >> Note(INFO, "client sent invalid CRAM-MD5 hash in AUTH CRAM-MD5 command")
        S: 500 5.5.1 Invalid command
        C: AUTH CRAM-MD5
        S: 334 PDIuMkBob3N0Pg==
        C: dXNlciAwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg==
        >> Authenticate(Credentials("cram-md5", b"user", b"0123456789abcdef" * 2, False, b"<2.2@host>"), b"h")
    """,
    "CRAM-MD5 has no initial response": """
        C: AUTH CRAM-MD5 dXNlciAwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg==
        S: 500 5.5.1 Invalid command
        C: AUTH CRAM-MD5 =
        S: 500 5.5.1 Invalid command
    """,
    "EXTERNAL": """
        C: AUTH EXTERNAL
        S: 334 VXNlcm5hbWU6
        C: dXNlcg==
        >> Authenticate(Credentials("external", b"user", b"", False), b"h")
        << AuthRefused(b"no", False)
        S: 535 5.7.0 no
        C: AUTH EXTERNAL dXNlcg==
        >> Authenticate(Credentials("external", b"user", b"", False), b"h")
        << AuthRefused(b"no", False)
        S: 535 5.7.0 no
        C: AUTH EXTERNAL =
        >> Authenticate(Credentials("external", b"", b"", False), b"h")
    """,
}

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

SMALL_BUFFER = {
    "a command that just fits": """
        C: NOOP {13*x}
        S: 250 2.0.0 OK
    """,
    "many short commands": """
        C: NOOP
        C: NOOP
        C: NOOP
        C: NOOP
        C: NOOP
        S: 250 2.0.0 OK
        S: 250 2.0.0 OK
        S: 250 2.0.0 OK
        S: 250 2.0.0 OK
        S: 250 2.0.0 OK
    """,
    "a command that is too long": """
        C: NOOP {14*x}
        >> Note(INFO, 'client sent too long command "NOOP..."')
        S: 500 5.5.1 Invalid command
        >> Close()
    """,
    "what is not even a command": r"""
        C: {20*x}\
        >> Note(INFO, 'client sent too long command "..."')
        S: 500 5.5.1 Invalid command
        >> Close()
        C: \nNOOP
    """,
    "a response that is too long": """
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: {19*A}
        >> Note(INFO, 'client sent too long command "AUTH LOGIN..."')
        S: 500 5.5.1 Invalid command
        >> Close()
    """,
}

STERN = {
    "one mistake is too many": """
        C: WHAT
        >> Note(INFO, "client sent too many invalid commands")
        S: 500 5.5.1 Invalid command
        >> Close()
    """,
}

ALL = ("plain", "login", "cram-md5", "external")

GROUPS = {
    "commands": Group(Settings(), COMMANDS),
    "logins": Group(Settings(), LOGINS),
    "all mechanisms": Group(Settings(auth=ALL), ALL_MECHANISMS),
    "without a login": Group(Settings(auth=("none",)), UNAUTHENTICATED),
    "starttls on": Group(Settings(starttls="on", capabilities=(b"SIZE 10485760",)), STARTTLS),
    "starttls on, without a login": Group(Settings(starttls="on", auth=("none",)), STARTTLS_AND_MAIL),
    "starttls only": Group(Settings(starttls="only", auth=("plain", "login", "none")), TLS_ONLY),
    "implicit TLS": Group(Settings(starttls="only", tls=True), IMPLICIT_TLS),
    "a small buffer": Group(Settings(buffer=20), SMALL_BUFFER),
    "max_errors 1": Group(Settings(max_errors=1), STERN),
    "max_errors 0": Group(Settings(max_errors=0), STERN),
}
