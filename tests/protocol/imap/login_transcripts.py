"""Logins of an IMAP client with SASL, by each mechanism."""

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
