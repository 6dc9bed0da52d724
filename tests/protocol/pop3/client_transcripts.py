"""What a POP3 client and we say to each other, by the settings it is said under.

``GROUPS`` maps a name to settings and transcripts. The settings are those of ``test_client.machine``.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Settings:
    """``auth`` is ``pop3_auth``; ``tls``: from the first byte."""

    starttls: str = "off"
    tls: bool = False
    auth: tuple[str, ...] = ("plain",)
    capabilities: tuple[bytes, ...] = (b"TOP", b"USER", b"UIDL")
    max_errors: int = 5


@dataclass(frozen=True)
class Group:
    settings: Settings
    transcripts: dict[str, str] = field(default_factory=dict)


COMMANDS = {
    "greeting": "",
    "USER and PASS": """
        C: USER joe
        S: +OK
        C: PASS secret
        >> Authenticate(plain(b"joe", b"secret"))
    """,
    "letter case of commands does not matter": """
        C: uSeR joe
        S: +OK
        C: noop
        S: +OK
        C: pAsS secret
        >> Authenticate(plain(b"joe", b"secret"))
    """,
    "PASS without USER": """
        C: PASS secret
        S: -ERR invalid command
    """,
    "USER and PASS without an argument": r"""
        C: USER
        S: -ERR invalid command
        C: USER\x20\x20
        S: -ERR invalid command
        C: USER joe
        S: +OK
        C: PASS
        S: -ERR invalid command
        C: PASS secret
        S: -ERR invalid command
        C: USER joe
        S: +OK
        C: PASS\x20
        S: -ERR invalid command
    """,
    "names and passwords are all that stands on the line": r"""
        C: USER   joe  doe\x20\x20
        S: +OK
        C: PASS   a  "b" c d e f\x20
        >> Authenticate(plain(b"joe  doe  ", b'a  "b" c d e f '))
    """,
    "bytes of any kind": r"""
        C: USER j\xf6\xc3\xb6e\t
        S: +OK
        C: PASS \xff\x01\t
        >> Authenticate(plain(b"j\xf6\xc3\xb6e\t", b"\xff\x01\t"))
    """,
    "some commands work between USER and PASS": """
        C: USER joe
        S: +OK
        C: NOOP
        S: +OK
        C: CAPA
        S: +OK Capability list follows
        S: TOP
        S: USER
        S: UIDL
        S: SASL PLAIN LOGIN
        S: .
        C: PASS secret
        >> Authenticate(plain(b"joe", b"secret"))
    """,
    "QUIT between USER and PASS": """
        C: USER joe
        S: +OK
        C: QUIT
        S: +OK
        >> Close()
        C: PASS secret
    """,
    "whatever is refused between USER and PASS leads back to the start": """
        C: USER joe
        S: +OK
        C: USER ann
        S: -ERR invalid command
        C: PASS secret
        S: -ERR invalid command
        C: USER joe
        S: +OK
        C: STLS
        S: -ERR invalid command
        C: PASS secret
        S: -ERR invalid command
        C: USER joe
        S: +OK
        C: AUTH PLAIN AGpvZQBzZWNyZXQ=
        S: -ERR invalid command
        C: PASS secret
        S: -ERR invalid command
        C: USER joe
        S: +OK
        C: AUTH
        S: -ERR invalid command
        C: PASS secret
        S: -ERR invalid command
        C: USER joe
        S: +OK
        C: APOP joe c4c9334bac560ecc979e58001b3e22fb
        S: -ERR invalid command
        C: PASS secret
        S: -ERR invalid command
        C: NOOP
        S: +OK
    """,
    "what is invalid between USER and PASS does, too": """
        C: USER joe
        S: +OK
        C: WHAT
        S: -ERR invalid command
        C: PASS secret
        S: -ERR invalid command
    """,
    "APOP where it is not enabled": """
        C: APOP joe c4c9334bac560ecc979e58001b3e22fb
        S: -ERR invalid command
    """,
    "CAPA": """
        C: CAPA
        S: +OK Capability list follows
        S: TOP
        S: USER
        S: UIDL
        S: SASL PLAIN LOGIN
        S: .
    """,
    "a bare AUTH": """
        C: AUTH
        S: +OK methods supported:
        S: PLAIN
        S: LOGIN
        S: .
    """,
    "QUIT": """
        C: QUIT
        S: +OK
        >> Close()
        C: NOOP
    """,
    "STLS while it is off": """
        C: STLS
        S: -ERR invalid command
    """,
    "arguments that are ignored, up to three": """
        C: NOOP 1 2 3
        S: +OK
        C: STLS 1 2 3
        S: -ERR invalid command
        C: CAPA 1 2 3
        S: +OK Capability list follows
        S: TOP
        S: USER
        S: UIDL
        S: SASL PLAIN LOGIN
        S: .
        C: QUIT 1 2 3
        S: +OK
        >> Close()
    """,
    "commands for the time after login are invalid and counted": """
        C: STAT
        S: -ERR invalid command
        C: LIST 1
        S: -ERR invalid command
        C: RETR 1
        S: -ERR invalid command
        C: DELE 1
        S: -ERR invalid command
        C: RSET
        >> Note(INFO, "client sent too many invalid commands")
        S: -ERR invalid command
        >> Close()
        C: NOOP
    """,
    "so are those of three letters": """
        C: TOP 1 2
        S: -ERR invalid command
        C: UIDL
        S: -ERR invalid command
        C: LAST
        S: -ERR invalid command
        C: XTND XMIT
        S: -ERR invalid command
        C: TOP
        >> Note(INFO, "client sent too many invalid commands")
        S: -ERR invalid command
        >> Close()
    """,
    "a request of HTTP": """
        C: POST /mail HTTP/1.1
        C: Host: mail.example.com
        C: Content-Length: 12
        C:
        C: USER joe
        S: -ERR invalid command
        S: -ERR invalid command
        S: -ERR invalid command
        S: -ERR invalid command
        S: +OK
    """,
    "refused commands are not counted": """
        C: PASS x
        C: USER
        C: STLS
        C: APOP
        C: APOP joe c4c9334bac560ecc979e58001b3e22fb
        C: AUTH NTLM
        C: AUTH CRAM-MD5
        S: -ERR invalid command
        S: -ERR invalid command
        S: -ERR invalid command
        S: -ERR invalid command
        S: -ERR invalid command
        S: -ERR invalid command
        S: -ERR invalid command
        C: NOOP
        S: +OK
    """,
    "what is told when the login is refused for good": """
        C: USER joe
        S: +OK
        C: PASS secret
        >> Authenticate(plain(b"joe", b"secret"))
        << AuthRefused(b"Invalid login or password", True)
        S: -ERR Invalid login or password
        >> Close()
        C: NOOP
    """,
    "after a delayed refusal the client starts anew, its pipelined commands first": """
        C: USER joe
        S: +OK
        C: PASS one
        C: PASS two
        C: USER joe
        C: PASS three
        C: NOOP
        >> Authenticate(plain(b"joe", b"one"))
        << AuthRefused(b"try again", False)
        S: -ERR try again
        S: -ERR invalid command
        S: +OK
        >> Authenticate(plain(b"joe", b"three"))
        << AuthRefused(b"and again", False)
        S: -ERR and again
        S: +OK
    """,
    "a refusal without a text": r"""
        C: AUTH PLAIN AGpvZQBzZWNyZXQ=
        >> Authenticate(plain(b"joe", b"secret"))
        << AuthRefused(b"", False)
        S: -ERR\x20
    """,
    "a text of the authentication service stays in its line": """
        C: AUTH PLAIN AGpvZQBzZWNyZXQ=
        >> Authenticate(plain(b"joe", b"secret"))
        << AuthRefused(b"no\\r\\n+OK\\0", False)
        S: -ERR no+OK
    """,
    "a backend that decides refuses in its own words, and not without end": """
        C: USER joe
        S: +OK
        C: PASS one
        C: PASS two
        C: AUTH PLAIN AGpvZQBzZWNyZXQ=
        >> Authenticate(plain(b"joe", b"one"))
        << BackendRefused(b"-ERR [AUTH] sorry\\r\\n")
        S: -ERR [AUTH] sorry
        S: -ERR invalid command
        >> Authenticate(plain(b"joe", b"secret"))
        << BackendRefused(b"-ERR sorry\\r\\n")
        S: -ERR sorry
        C: AUTH PLAIN AGpvZQBzZWNyZXQ=
        >> Authenticate(plain(b"joe", b"secret"))
        << BackendRefused(b"-ERR sorry\\r\\n")
        S: -ERR sorry
        C: AUTH PLAIN AGpvZQBzZWNyZXQ=
        >> Authenticate(plain(b"joe", b"secret"))
        << BackendRefused(b"-ERR sorry\\r\\n")
        S: -ERR sorry
        C: AUTH PLAIN AGpvZQBzZWNyZXQ=
        C: NOOP
        >> Authenticate(plain(b"joe", b"secret"))
        << BackendRefused(b"-ERR sorry\\r\\n")
        >> Note(INFO, "client was refused too many logins")
        S: -ERR sorry
        >> Close()
    """,
    "more short commands at once than nginx has room for": "\n".join(["C: NOOP\nS: +OK"] * 200),
}

SASL = {
    "AUTH PLAIN": r"""
        C: AUTH PLAIN
        S: +\x20
        C: AGpvZQBzZWNyZXQ=
        >> Authenticate(plain(b"joe", b"secret"))
    """,
    "AUTH PLAIN with an initial response, in any letter case": """
        C: auth pLaIn   AGpvZQBzZWNyZXQ=
        >> Authenticate(plain(b"joe", b"secret"))
    """,
    "an authorization identity is dropped": """
        C: AUTH PLAIN YWRtaW4Aam9lAHNlY3JldA==
        >> Authenticate(plain(b"joe", b"secret"))
    """,
    "AUTH LOGIN": """
        C: AUTH LOGIN
        S: + VXNlcm5hbWU6
        C: am9l
        S: + UGFzc3dvcmQ6
        C: c2VjcmV0
        >> Authenticate(plain(b"joe", b"secret"))
    """,
    "AUTH LOGIN with the name in the command": """
        C: AUTH LOGIN am9l
        S: + UGFzc3dvcmQ6
        C: c2VjcmV0
        >> Authenticate(plain(b"joe", b"secret"))
    """,
    "AUTH LOGIN with an empty name and password": """
        C: AUTH LOGIN
        S: + VXNlcm5hbWU6
        C:
        S: + UGFzc3dvcmQ6
        C: =
        >> Authenticate(plain(b"", b""))
    """,
    "other names, too many arguments, mechanisms that are not enabled": """
        C: AUTH SCRAM-SHA-256
        S: -ERR invalid command
        C: AUTH PLAIN AGpvZQBzZWNyZXQ= more
        S: -ERR invalid command
        C: AUTH PLAI
        S: -ERR invalid command
        C: AUTH CRAM-MD5
        S: -ERR invalid command
        C: AUTH CRAM-MD5 am9l
        S: -ERR invalid command
        C: AUTH EXTERNAL
        S: -ERR invalid command
        C: AUTH EXTERNAL am9l
        S: -ERR invalid command
        C: NOOP
        S: +OK
    """,
    "a response is never a command": """
        C: AUTH LOGIN
        S: + VXNlcm5hbWU6
        C: NOOP
        S: + UGFzc3dvcmQ6
        C: QUIT now
        >> Authenticate(plain(b"4\\xe3\\x8f", b"A\\x42\\x13"))
    """,
    "cancelling, and a command behind it": r"""
        C: AUTH PLAIN
        S: +\x20
        C: *
        >> Note(INFO, "client sent invalid base64 encoding in AUTH PLAIN command")
        S: -ERR invalid command
        C: AUTH LOGIN
        S: + VXNlcm5hbWU6
        C: *
        >> Note(INFO, "client sent invalid base64 encoding in AUTH LOGIN command")
        S: -ERR invalid command
        C: AUTH LOGIN am9l
        S: + UGFzc3dvcmQ6
        C: *
        >> Note(INFO, "client sent invalid base64 encoding in AUTH LOGIN command")
        S: -ERR invalid command
        C: PASS secret
        S: -ERR invalid command
        C: USER joe
        S: +OK
    """,
    "bad base64 in the command itself, which is not counted": "\n".join(
        [
            """
        C: AUTH PLAIN A
        >> Note(INFO, "client sent invalid base64 encoding in AUTH PLAIN command")
        S: -ERR invalid command
        """
        ]
        * 7
    ),
    "messages of PLAIN that are none": r"""
        C: AUTH PLAIN
        S: +\x20
        C:
        >> Note(INFO, "client sent invalid login in AUTH PLAIN command")
        S: -ERR invalid command
        C: AUTH PLAIN =
        >> Note(INFO, "client sent invalid login in AUTH PLAIN command")
        S: -ERR invalid command
        C: AUTH PLAIN AGpvZQ==
        >> Note(INFO, "client sent invalid password in AUTH PLAIN command")
        S: -ERR invalid command
    """,
    "CR, LF and NUL in credentials reach nobody": r"""
        # NUL j NUL p NUL
        C: AUTH PLAIN AGoAcAA=
        >> Note(INFO, "client sent CR, LF or NUL in credentials in AUTH PLAIN command")
        S: -ERR invalid command
        # NUL joe CR LF DELE 1 NUL pw
        C: AUTH PLAIN AGpvZQ0KREVMRSAxAHB3
        >> Note(INFO, "client sent CR, LF or NUL in credentials in AUTH PLAIN command")
        S: -ERR invalid command
        # joe, then pw CR LF x
        C: AUTH LOGIN am9l
        S: + UGFzc3dvcmQ6
        C: cHcNCng=
        >> Note(INFO, "client sent CR, LF or NUL in credentials in AUTH LOGIN command")
        S: -ERR invalid command
        C: USER j\x00e
        S: +OK
        C: PASS pw
        >> Note(INFO, "client sent CR, LF or NUL in credentials in PASS command")
        S: -ERR invalid command
        C: USER joe
        S: +OK
        C: PASS p\x00w
        >> Note(INFO, "client sent CR, LF or NUL in credentials in PASS command")
        S: -ERR invalid command
        C: NOOP
        S: +OK
    """,
    "only the first piece of a response counts": r"""
        C: AUTH LOGIN
        S: + VXNlcm5hbWU6
        C: am9l and  more\x20
        S: + UGFzc3dvcmQ6
        C: c2VjcmV0\x20\x20
        >> Authenticate(plain(b"joe", b"secret"))
    """,
    "a leading space makes the response empty": """
        C: AUTH LOGIN
        S: + VXNlcm5hbWU6
        C:  am9l
        S: + UGFzc3dvcmQ6
        C:  c2VjcmV0
        >> Authenticate(plain(b"", b""))
    """,
    "a response of four pieces, or a broken one, is invalid and counted": r"""
        C: AUTH LOGIN
        S: + VXNlcm5hbWU6
        C: am9l b c d
        S: -ERR invalid command
        C: AUTH LOGIN
        S: + VXNlcm5hbWU6
        C: am9l\rx
        S: -ERR invalid command
        C: AUTH LOGIN
        S: + VXNlcm5hbWU6
        C:  b c d
        S: -ERR invalid command
        C: AUTH LOGIN
        S: + VXNlcm5hbWU6
        C: am9l\r\r\n\
        S: -ERR invalid command
        C: AUTH LOGIN
        S: + VXNlcm5hbWU6
        C: am9l b c d
        >> Note(INFO, "client sent too many invalid commands")
        S: -ERR invalid command
        >> Close()
    """,
}

ALL_WAYS = {
    "APOP": """
        C: APOP joe c4c9334bac560ecc979e58001b3e22fb
        >> Authenticate(Credentials("apop", b"joe", b"c4c9334bac560ecc979e58001b3e22fb", False, b"<1.2@host>"))
    """,
    "APOP in any letter case, with spaces": r"""
        C: apop   joe   C4C9334BAC560ECC979E58001B3E22FB\x20
        >> Authenticate(Credentials("apop", b"joe", b"C4C9334BAC560ECC979E58001B3E22FB", False, b"<1.2@host>"))
    """,
    "APOP with a wrong number of arguments": """
        C: APOP
        S: -ERR invalid command
        C: APOP joe
        S: -ERR invalid command
        C: APOP joe doe c4c9334bac560ecc979e58001b3e22fb
        S: -ERR invalid command
    """,
    "APOP with what is no digest, which is not counted": "\n".join(
        f"""
        C: APOP joe {digest}
        >> Note(INFO, "client sent invalid digest in APOP command")
        S: -ERR invalid command
        """
        for digest in (
            "c4c9334bac560ecc979e58001b3e22f",
            "c4c9334bac560ecc979e58001b3e22fb0",
            "c4c9334bac560ecc979e58001b3e22fg",
            "secret",
            r"c4c9334bac560ecc979e58001b3e22f\x00",
            r"\xffc9334bac560ecc979e58001b3e22fb",
        )
    ),
    "APOP with NUL in the name": r"""
        C: APOP j\x00e c4c9334bac560ecc979e58001b3e22fb
        >> Note(INFO, "client sent CR, LF or NUL in credentials in APOP command")
        S: -ERR invalid command
    """,
    "APOP again, with the same challenge; CRAM-MD5 with new ones": """
        C: APOP joe c4c9334bac560ecc979e58001b3e22fb
        >> Authenticate(Credentials("apop", b"joe", b"c4c9334bac560ecc979e58001b3e22fb", False, b"<1.2@host>"))
        << AuthRefused(b"no", False)
        S: -ERR no
        C: AUTH CRAM-MD5
        S: + PDIuMkBob3N0Pg==
        C: dGlt
        >> Note(INFO, "client sent invalid CRAM-MD5 hash in AUTH CRAM-MD5 command")
        S: -ERR invalid command
        C: AUTH cram-md5
        S: + PDMuMkBob3N0Pg==
        C: dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw
        >> Authenticate(Credentials("cram-md5", b"tim", b"b913a602c7eda7a495b4e6e7334d3890", False, b"<3.2@host>"))
        << AuthRefused(b"no", False)
        S: -ERR no
        C: APOP joe c4c9334bac560ecc979e58001b3e22fb
        >> Authenticate(Credentials("apop", b"joe", b"c4c9334bac560ecc979e58001b3e22fb", False, b"<1.2@host>"))
    """,
    "CRAM-MD5 with nothing, with bad base64, with an initial response": """
        C: AUTH CRAM-MD5
        S: + PDIuMkBob3N0Pg==
        C:
        >> Note(INFO, "client sent invalid CRAM-MD5 hash in AUTH CRAM-MD5 command")
        S: -ERR invalid command
        C: AUTH CRAM-MD5
        S: + PDMuMkBob3N0Pg==
        C: *
        >> Note(INFO, "client sent invalid base64 encoding in AUTH CRAM-MD5 command")
        S: -ERR invalid command
        C: AUTH CRAM-MD5 dGlt
        S: -ERR invalid command
    """,
    "EXTERNAL": """
        C: AUTH EXTERNAL
        S: + VXNlcm5hbWU6
        C: am9l
        >> Authenticate(Credentials("external", b"joe", b"", False))
        << AuthRefused(b"no", False)
        S: -ERR no
        C: AUTH EXTERNAL am9l
        >> Authenticate(Credentials("external", b"joe", b"", False))
        << AuthRefused(b"no", False)
        S: -ERR no
        C: AUTH EXTERNAL =
        >> Authenticate(Credentials("external", b"", b"", False))
        << AuthRefused(b"no", False)
        S: -ERR no
        C: AUTH EXTERNAL
        S: + VXNlcm5hbWU6
        C: *
        >> Note(INFO, "client sent invalid base64 encoding in AUTH EXTERNAL command")
        S: -ERR invalid command
    """,
    "nothing of a failed attempt is in the next": """
        C: USER joe
        S: +OK
        C: PASS 0123456789abcdef0123456789abcdef
        >> Authenticate(plain(b"joe", b"0123456789abcdef0123456789abcdef"))
        << AuthRefused(b"no", False)
        S: -ERR no
        C: PASS 0123456789abcdef0123456789abcdef
        S: -ERR invalid command
        C: AUTH CRAM-MD5
        S: + PDIuMkBob3N0Pg==
        C: dGlt
        >> Note(INFO, "client sent invalid CRAM-MD5 hash in AUTH CRAM-MD5 command")
        S: -ERR invalid command
        C: AUTH EXTERNAL am9l
        >> Authenticate(Credentials("external", b"joe", b"", False))
    """,
    "lists": """
        C: CAPA
        S: +OK Capability list follows
        S: TOP
        S: USER
        S: UIDL
        S: SASL PLAIN LOGIN CRAM-MD5 EXTERNAL
        S: .
        C: AUTH
        S: +OK methods supported:
        S: PLAIN
        S: LOGIN
        S: CRAM-MD5
        S: EXTERNAL
        S: .
    """,
}

ONLY_APOP = {
    "lists": """
        C: CAPA
        S: +OK Capability list follows
        S: TOP
        S: USER
        S: UIDL
        S: SASL
        S: .
        C: AUTH
        S: +OK methods supported:
        S: .
    """,
    "what is not listed and always works": r"""
        C: USER joe
        S: +OK
        C: PASS secret
        >> Authenticate(plain(b"joe", b"secret"))
        << AuthRefused(b"no", False)
        S: -ERR no
        C: AUTH PLAIN
        S: +\x20
        C: AGpvZQBzZWNyZXQ=
        >> Authenticate(plain(b"joe", b"secret"))
        << AuthRefused(b"no", False)
        S: -ERR no
        C: AUTH LOGIN am9l
        S: + UGFzc3dvcmQ6
        C: c2VjcmV0
        >> Authenticate(plain(b"joe", b"secret"))
    """,
    "what is not listed and does not work": """
        C: AUTH CRAM-MD5
        S: -ERR invalid command
        C: AUTH EXTERNAL
        S: -ERR invalid command
        C: AUTH EXTERNAL am9l
        S: -ERR invalid command
        C: AUTH APOP
        S: -ERR invalid command
    """,
}

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

CAPABILITIES = {
    "words are copied, and stay within the list": """
        C: CAPA
        S: +OK Capability list follows
        S: LOGIN-DELAY 900
        S: user
        S: ..
        S: ..x
        S: user
        S: SASL PLAIN LOGIN
        S: .
    """,
}

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

ALL = ("plain", "apop", "cram-md5", "external")

GROUPS = {
    "commands": Group(Settings(), COMMANDS),
    "SASL": Group(Settings(), SASL),
    "all ways to log in": Group(Settings(auth=ALL), ALL_WAYS),
    "only APOP listed": Group(Settings(auth=("apop",)), ONLY_APOP),
    "starttls on": Group(Settings(starttls="on"), STARTTLS_ON),
    "starttls on, APOP": Group(Settings(starttls="on", auth=ALL), APOP_AFTER_STLS),
    "starttls only, APOP": Group(Settings(starttls="only", auth=ALL), APOP_AFTER_STLS),
    "starttls only": Group(Settings(starttls="only", auth=ALL), STARTTLS_ONLY),
    "implicit TLS": Group(Settings(tls=True), IMPLICIT_TLS),
    "implicit TLS, starttls on": Group(Settings(tls=True, starttls="on"), IMPLICIT_TLS),
    "implicit TLS, starttls only": Group(Settings(tls=True, starttls="only"), IMPLICIT_TLS),
    "capabilities": Group(Settings(capabilities=(b"LOGIN-DELAY 900", b"user", b".", b".x", b"user")), CAPABILITIES),
    "grammar": Group(Settings(max_errors=100), GRAMMAR),
    "long lines": Group(Settings(), LONG_LINES),
    "max_errors 1": Group(Settings(max_errors=1), ONE_ERROR),
    "max_errors 0": Group(Settings(max_errors=0), ONE_ERROR),
}
