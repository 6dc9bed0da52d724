"""Commands of an SMTP client before its login, and where the patience with it ends."""

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
