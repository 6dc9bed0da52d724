"""Shared look-ups: kept, joined, bounded, and not ended by those who go away."""

import asyncio
from collections import Counter

import pytest

from gatepost.net.lookups import Lookups
from tests.wire import story, until


class Source:
    """Counts questions; answers when told to."""

    def __init__(self, seconds: float = 60, *, held: bool = False) -> None:
        self.asked: Counter[str] = Counter()
        self.seconds = seconds
        self.gate = asyncio.Event()
        if not held:
            self.gate.set()

    async def __call__(self, key: str) -> tuple[str, float]:
        self.asked[key] += 1
        await self.gate.wait()
        if key == "bug":
            raise ZeroDivisionError
        return key.upper(), self.seconds


class Clock:
    """A loop whose time the test moves."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.now = 0.0
        self.create_task = loop.create_task

    def time(self) -> float:
        return self.now


@story
async def test_an_answer_is_kept_for_its_time(loop: asyncio.AbstractEventLoop) -> None:
    clock, source = Clock(loop), Source(60)
    lookups: Lookups[str, str] = Lookups(clock, source)  # type: ignore[arg-type]
    for now, asked in ((0, 1), (59.9, 1), (60, 2), (100, 2)):
        clock.now = now
        assert await lookups.find("a") == "A"
        assert source.asked["a"] == asked


@story
async def test_an_answer_without_time_is_not_kept(loop: asyncio.AbstractEventLoop) -> None:
    source = Source(0)
    lookups = Lookups(loop, source)
    await lookups.find("a")
    await lookups.find("a")
    assert source.asked["a"] == 2


@story
async def test_the_oldest_goes_first(loop: asyncio.AbstractEventLoop) -> None:
    source = Source()
    lookups = Lookups(loop, source, max_entries=2)
    for key in "abc":
        await lookups.find(key)
    for key in "cb":
        await lookups.find(key)
    assert source.asked == {"a": 1, "b": 1, "c": 1}
    await lookups.find("a")
    assert source.asked["a"] == 2


@story
async def test_those_who_ask_at_once_share_one_question(loop: asyncio.AbstractEventLoop) -> None:
    source = Source(0, held=True)
    lookups = Lookups(loop, source)
    waiting = [loop.create_task(lookups.find("a")) for _ in range(100)]
    await until(lambda: source.asked)
    source.gate.set()
    assert await asyncio.gather(*waiting) == ["A"] * 100
    assert source.asked["a"] == 1


@story
async def test_who_goes_away_ends_nobodys_question(loop: asyncio.AbstractEventLoop) -> None:
    source = Source(held=True)
    lookups = Lookups(loop, source)
    first, second = loop.create_task(lookups.find("a")), loop.create_task(lookups.find("a"))
    await until(lambda: source.asked)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    source.gate.set()
    assert await second == "A"
    assert source.asked["a"] == 1


@story
async def test_an_answer_nobody_waits_for_is_kept(loop: asyncio.AbstractEventLoop) -> None:
    source = Source(held=True)
    lookups = Lookups(loop, source)
    gone = loop.create_task(lookups.find("a"))
    await until(lambda: source.asked)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    source.gate.set()
    assert await lookups.find("a") == "A"
    assert source.asked["a"] == 1


@story
async def test_a_bug_reaches_who_asked_and_is_not_kept(loop: asyncio.AbstractEventLoop) -> None:
    source = Source()
    lookups = Lookups(loop, source)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await lookups.find("bug")
    assert source.asked["bug"] == 2
