from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from proxy.tasks import Tasks
from tests.proxy.stage import eventually


async def test_a_task_is_held_until_it_ends() -> None:
    tasks, go = Tasks(), asyncio.Event()
    tasks.start(go.wait())
    assert len(tasks) == 1
    go.set()
    await eventually(lambda: len(tasks) == 0)


async def test_a_task_that_fails_is_reported() -> None:
    async def fails() -> None:
        raise RuntimeError("a bug")

    tasks = Tasks()
    with capture_logs() as logs:
        tasks.start(fails())
        await eventually(lambda: len(tasks) == 0)
    [record] = logs
    assert (record["event"], record["log_level"]) == ("a background task failed", "error")
    assert record["task"].endswith("fails")
    assert repr(record["exc_info"]) == "RuntimeError('a bug')"


async def test_closing_cancels_what_still_runs_and_waits_for_it() -> None:
    ended = []

    async def cleans_up() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cleaned up")

    tasks = Tasks()
    task = tasks.start(cleans_up())
    await asyncio.sleep(0)
    await tasks.close()
    assert (ended, len(tasks), task.cancelled()) == (["cleaned up"], 0, True)
    with pytest.raises(asyncio.CancelledError):
        await task
