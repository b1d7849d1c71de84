"""Fixtures of the flags' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.redis_process import RedisProcess, redis_process


@pytest.fixture
def own_redis() -> Iterator[RedisProcess]:
    """A Redis that one test may pause, kill and bring back; it starts empty each time."""
    with redis_process() as server:
        yield server
