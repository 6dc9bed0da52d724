"""Waiting: by tasks, and by coroutines that are driven without one."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from gatepost.net.waiting import Run, Waitable
from tests.wire import story

Loop = asyncio.AbstractEventLoop


class PassedError(Exception):
    """What somebody raises in a wait."""


@story
async def test_a_coroutine_goes_on_in_the_call_that_wakes_it(loop: Loop) -> None:
    waited = Waitable(loop)
    seen: list[int] = []

    async def twice() -> None:
        await waited
        seen.append(1)
        await waited
        seen.append(2)

    Run(loop, twice()).step()
    assert seen == []
    waited.wake()
    assert seen == [1]
    waited.wake()
    assert seen == [1, 2]
    waited.wake()
    assert seen == [1, 2]


@story
async def test_a_failure_is_raised_in_the_wait(loop: Loop) -> None:
    waited = Waitable(loop)
    seen: list[str] = []

    async def caught() -> None:
        try:
            await waited
        except PassedError:
            seen.append("passed")

    Run(loop, caught()).step()
    waited.fail(PassedError())
    assert seen == ["passed"]


@story
async def test_a_failure_that_nobody_waits_for_is_for_the_next_wait_unless_it_is_forgiven(loop: Loop) -> None:
    waited = Waitable(loop)
    waited.fail(PassedError())
    with pytest.raises(PassedError):
        await waited
    waited.fail(PassedError())
    waited.forgive()
    waiting = asyncio.ensure_future(_wait(waited))
    await asyncio.sleep(0)
    waited.wake()
    await waiting


async def _wait(waited: Waitable) -> None:
    await waited


@story
async def test_a_task_can_wait_and_be_cancelled(loop: Loop) -> None:
    waited = Waitable(loop)
    first = asyncio.ensure_future(_wait(waited))
    await asyncio.sleep(0)
    assert not first.done()
    waited.wake()
    await first
    second = asyncio.ensure_future(_wait(waited))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    assert not waited.cancel()


@story
async def test_futures_and_sleeping_work_without_a_task(loop: Loop) -> None:
    future: asyncio.Future[str] = loop.create_future()
    seen: list[str] = []
    done = asyncio.Event()

    async def story_of_futures() -> None:
        seen.append(await future)
        await asyncio.sleep(0.001)
        try:
            await failing
        except PassedError:
            seen.append("failed")
        done.set()

    failing: asyncio.Future[None] = loop.create_future()
    Run(loop, story_of_futures()).step()
    future.set_result("result")
    failing.set_exception(PassedError())
    await done.wait()
    assert seen == ["result", "failed"]


@story
async def test_cancelled_where_it_waits_it_may_still_say_something(loop: Loop) -> None:
    waited, last = Waitable(loop), Waitable(loop)
    future: asyncio.Future[None] = loop.create_future()
    seen: list[str] = []

    async def careful(what: Any) -> None:
        try:
            await what
        except asyncio.CancelledError:
            seen.append("cancelled")
            await last
            seen.append("said")

    for what in (waited, future):
        running = Run(loop, _typed(careful(what)))
        running.step()
        running.cancel()
        assert seen == ["cancelled"]
        waited.wake()  # what it waited for before has no say any more
        await asyncio.sleep(0)
        assert seen == ["cancelled"]
        last.wake()
        assert seen == ["cancelled", "said"]
        seen.clear()
    assert future.cancelled()


def _typed(coroutine: Coroutine[Any, Any, None]) -> Coroutine[Any, None, None]:
    return coroutine


@story
async def test_cancelling_ends_what_does_not_mind(loop: Loop) -> None:
    waited = Waitable(loop)
    ended: list[bool] = []

    async def plain() -> None:
        try:
            await waited
        finally:
            ended.append(True)

    running = Run(loop, plain())
    running.step()
    running.cancel()
    assert ended == [True]
    waited.wake()


@story
async def test_a_future_that_was_done_before_the_cancelling_has_no_say_any_more(loop: Loop) -> None:
    last = Waitable(loop)
    seen: list[str] = []
    problems: list[Any] = []
    loop.set_exception_handler(lambda _loop, context: problems.append(context))

    async def careful(future: "asyncio.Future[None]", *, says_something: bool) -> None:
        try:
            await future
        except asyncio.CancelledError:
            seen.append("cancelled")
            if says_something:
                await last
                seen.append("said")

    for says_something in (True, False):
        future: asyncio.Future[None] = loop.create_future()
        running = Run(loop, careful(future, says_something=says_something))
        running.step()
        future.set_result(None)  # whoever waits is told in the next turn of the loop
        running.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert seen == ["cancelled"]
        last.wake()
        seen.clear()
    assert problems == []


@story
async def test_cancelling_what_has_ended_does_nothing(loop: Loop) -> None:
    waited = Waitable(loop)
    for is_cancelled in (False, True):
        running = Run(loop, _wait(waited))
        running.step()
        if is_cancelled:
            running.cancel()
        else:
            waited.wake()
        running.cancel()
