"""Challenges of CRAM-MD5 and APOP."""

import re
import time

from gatepost.protocol.challenge import challenge_source


def test_form() -> None:
    before = int(time.time())
    match = re.fullmatch(rb"<([0-9]+)\.([0-9]+)@mail\.example>", challenge_source("mail.example")())
    after = int(time.time())
    assert match
    assert int(match[1]) < 2**31
    assert before <= int(match[2]) <= after


def test_each_is_new() -> None:
    source = challenge_source("mail.example")
    assert len({source() for _ in range(50)}) == 50


def test_a_name_keeps_its_bytes() -> None:
    assert challenge_source("p\udcf6st")().endswith(b"@p\xf6st>")
