"""The player of transcripts notices what it is there to notice."""

import pytest

from gatepost.log import Level
from gatepost.protocol.events import Close, Effect, Event, Note, Send, StartTls, TlsReady

from .transcript import Mode, joined, play, scenes, wire


class Echo:
    """Sends each line back once it is complete; ``quit`` closes, an event is answered ``told``."""

    def __init__(self) -> None:
        self.data = b""

    def receive(self, data: bytes) -> list[Effect]:
        self.data += data
        effects: list[Effect] = []
        while b"\n" in self.data:
            line, _, self.data = self.data.partition(b"\n")
            effects.append(Send(line + b"\n"))
            if line.startswith(b"quit"):
                effects.append(Close())
        return effects

    def tell(self, _event: Event) -> list[Effect]:
        return [Send(b"told\r\n")]


GOOD = """
    S: hello
    C: one
    C: two
    S: one
    S: two
    # a remark
    << TlsReady()
    S: told
    C: quit
    S: quit
    >> Close()
"""


@pytest.mark.parametrize("mode", Mode)
class TestPlay:
    def test_passes_what_is_right(self, mode: Mode) -> None:
        play(GOOD, Echo(), mode, [Send(b"hello\r\n")])

    @pytest.mark.parametrize(
        "wrong",
        [
            GOOD.replace("S: two", "S: three"),
            GOOD.replace(">> Close()", ""),
            GOOD.replace("S: told", ""),
            GOOD.replace("S: hello", ""),
            GOOD + "S: more",
            GOOD + ">> StartTls()",
            GOOD.replace("S: one", ">> Close()"),
        ],
    )
    def test_notices_what_is_wrong(self, mode: Mode, wrong: str) -> None:
        with pytest.raises(AssertionError):
            play(wrong, Echo(), mode, [Send(b"hello\r\n")])


def test_line_by_line_notices_a_late_answer() -> None:
    late = """
        C: one
        C: two
        S: one
        C: three
        S: two
        S: three
    """
    play(late, Echo(), Mode.PIPELINED)
    with pytest.raises(AssertionError):
        play(late, Echo(), Mode.LINES)
    with pytest.raises(AssertionError):
        play(late, Echo(), Mode.BYTES)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", b"\r\n"),
        ("a b ", b"a b \r\n"),
        (r"a\x00\xff\r\n\t\\", b"a\x00\xff\r\n\t\\\r\n"),
        ("no end\\", b"no end"),
        ("bare\\n\\", b"bare\n"),
        ("{3*x}{4}{4+}", b"xxx{4}{4+}\r\n"),
    ],
)
def test_wire(text: str, data: bytes) -> None:
    assert wire(text) == data


def test_scenes_refuses_an_unknown_step() -> None:
    with pytest.raises(ValueError, match="not a step of a transcript: 'X: what'"):
        scenes("X: what")


def test_scenes_of_an_upstream() -> None:
    (scene,) = scenes("B: hi\nP: ho\n>> StartTls()\n>> Note(INFO, 'x')")
    assert scene.arriving == [b"hi\r\n"]
    assert scene.expected == [Send(b"ho\r\n"), StartTls(), Note(Level.INFO, "x")]


def test_scenes_of_an_event() -> None:
    empty, scene = scenes("<< TlsReady()")
    assert not empty.expected
    assert scene.event == TlsReady()


def test_joined_keeps_the_order() -> None:
    effects: list[Effect] = [Send(b"a"), Send(b"b", "doing"), Close(), Send(b"c")]
    assert joined(effects) == [Send(b"ab"), Close(), Send(b"c")]
