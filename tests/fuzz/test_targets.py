"""Every target, bounded: its corpus, mutations of its corpus, and anything put together from its words."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.target import CORPUS, CURTAIN, Target
from fuzz.targets import configuration, targets

EXAMPLES = 60  # of each kind for each target; `make fuzz` is for more
MAX_CORPUS_BYTES = 1 << 20

BOUNDED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
EACH = pytest.mark.parametrize("target", targets().values(), ids=targets())


@EACH
def test_the_corpus_holds(target: Target) -> None:
    found = target.corpus()
    assert found
    for path in found:
        data = path.read_bytes()
        assert len(data) <= target.max_bytes, path
        target.run(data)


def test_the_corpus_is_small_and_belongs_to_somebody() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(targets())
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < MAX_CORPUS_BYTES


@EACH
def test_the_beginnings_hold(target: Target) -> None:
    for data in target.seeds():
        target.run(data)


@EACH
@BOUNDED
@given(data=st.data())
def test_anything_made_of_its_words(target: Target, data: st.DataObject) -> None:
    head = data.draw(st.binary(max_size=10))
    words = st.sampled_from(target.words) | st.binary(max_size=4)
    target.run((head + b"".join(data.draw(st.lists(words, max_size=30))))[: target.max_bytes])


@EACH
@BOUNDED
@given(data=st.data())
def test_anything_made_of_its_corpus(target: Target, data: st.DataObject) -> None:
    corpus = [path.read_bytes() for path in target.corpus()]
    found = bytearray(data.draw(st.sampled_from(corpus)))
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(found)))
        what = data.draw(st.sampled_from(["insert", "remove", "repeat", "join", "flip"]))
        if what == "insert":
            found[at:at] = data.draw(st.sampled_from(target.words) | st.binary(min_size=1, max_size=4))
        elif what == "remove":
            del found[at : at + data.draw(st.integers(1, 20))]
        elif what == "repeat":
            found[at:at] = found[at : at + data.draw(st.integers(1, 40))]
        elif what == "join":
            found[at:] = data.draw(st.sampled_from(corpus))
        elif at < len(found):
            found[at] ^= 1 << data.draw(st.integers(0, 7))
    target.run(bytes(found[: target.max_bytes]))


def test_what_the_corpus_of_configurations_begins_with_is_one() -> None:
    # Else nothing behind the parser would ever be reached.
    files = dict(
        zip(
            (configuration.MAIN, configuration.INCLUDED, configuration.PASSWORDS),
            next(configuration.seeds()).split(CURTAIN),
            strict=True,
        )
    )
    assert len(configuration.read(files).servers) == 3
