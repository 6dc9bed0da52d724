"""The transcripts of the tests as inputs: what arrives in them, with a curtain where something else happens."""

from collections.abc import Iterator, Mapping

from tests.transcript import scenes

from .target import CURTAIN


def streams(transcript: str) -> bytes:
    found = b""
    for number, scene in enumerate(scenes(transcript)):
        if scene.event is not None and number:
            found += CURTAIN
        found += b"".join(scene.arriving)
    return found


def inputs(transcripts: Mapping[str, str], prefix: bytes) -> Iterator[bytes]:
    """``prefix`` chooses the settings."""
    for transcript in transcripts.values():
        stream = streams(transcript)
        if stream:
            yield prefix + stream
