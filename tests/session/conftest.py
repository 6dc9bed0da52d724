"""Loops for tests of what runs on one."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.wire import LOOPS, a_loop


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    yield from a_loop(request.param)
