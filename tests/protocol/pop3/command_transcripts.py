"""Commands of a POP3 client before its login: USER and PASS among them, no SASL."""

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
