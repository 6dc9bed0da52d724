"""Logins of a POP3 client with SASL, by each mechanism, and with APOP."""

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
