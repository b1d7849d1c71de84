"""A trip is told to the application: its own Redis, which need not be there at the moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from redis import Redis
from structlog.testing import capture_logs

from demo.stack import start_redis
from proxy.app import Strangler
from proxy.local import roll_back
from tests.proxy.test_app import EMBEDDED, configured

KEY = "cache:epoch:native"


async def eventually(condition: Callable[[], bool], within: float = 30.0) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0)


async def test_a_trip_by_hand_raises_the_application_s_epoch_of_native(tmp_path: Path) -> None:
    server = start_redis(tmp_path)
    with server.service, Redis.from_url(server.url(), decode_responses=True) as redis:
        strangler = Strangler(configured(tmp_path, EMBEDDED, f"trips: {{redis: '{server.url()}', key: '{KEY}'}}"))
        async with strangler.running():
            assert redis.get(KEY) is None
            await strangler.loop.rollback("things.list", "strange orders")
            await eventually(lambda: redis.get(KEY) == "1")


async def test_a_redis_that_is_away_is_told_of_the_trip_when_it_is_back(tmp_path: Path) -> None:
    server = start_redis(tmp_path)
    with server.service, Redis.from_url(server.url(), decode_responses=True) as redis:
        strangler = Strangler(configured(tmp_path, EMBEDDED, f"trips: {{redis: '{server.url()}', key: '{KEY}'}}"))
        async with strangler.running():
            server.service.pause()
            with capture_logs() as logs:
                await strangler.loop.rollback("things.list", "strange orders")
                await eventually(lambda: any("could not be told" in record["event"] for record in logs))
            server.service.resume()
            await eventually(lambda: int(redis.get(KEY) or 0) >= 1)


async def test_a_rollback_that_this_machine_s_disk_holds_is_told_at_the_start_too(tmp_path: Path) -> None:
    server = start_redis(tmp_path)
    trips = f"trips: {{redis: '{server.url()}', key: '{KEY}'}}\nadmin: {{listen: 127.0.0.1:0, state: {tmp_path}/state}}"
    with server.service, Redis.from_url(server.url(), decode_responses=True) as redis:
        roll_back(tmp_path / "state", None, "a test")
        async with Strangler(configured(tmp_path, EMBEDDED, trips)).running():
            await eventually(lambda: redis.get(KEY) == "1")


async def test_a_rollback_by_a_signal_is_told(tmp_path: Path) -> None:
    server = start_redis(tmp_path)
    trips = f"trips: {{redis: '{server.url()}', key: '{KEY}'}}\nadmin: {{listen: 127.0.0.1:0, state: {tmp_path}/state}}"
    with server.service, Redis.from_url(server.url(), decode_responses=True) as redis:
        async with Strangler(configured(tmp_path, EMBEDDED, trips)).running():
            await asyncio.to_thread(roll_back, tmp_path / "state", "things.list", "a test")
            await eventually(lambda: redis.get(KEY) == "1")
