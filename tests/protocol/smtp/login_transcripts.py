"""Logins of an SMTP client, by each mechanism."""

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
