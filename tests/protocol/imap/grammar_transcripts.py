"""How an IMAP client may write its commands, and what is taken for none."""

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
