from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shadow.apart import Apart, Undone
from shadow.compare import readable
from tests.shadow.answers import answer


@pytest.fixture
async def apart() -> AsyncIterator[Apart]:
    there = Apart(patience=20.0)
    yield there
    await there.close()


async def gone(pid: int) -> None:
    """Wait until a process has ended, be it anybody's child."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_reader(process, ended.set)
    await ended.wait()
    loop.remove_reader(process)
    os.close(process)


async def test_a_function_runs_in_another_process_that_stays(apart: Apart) -> None:
    first = await apart.run(os.getpid)
    assert first != os.getpid()
    assert await apart.run(os.getpid) == first


async def test_answers_come_whole_whatever_their_size(apart: Apart) -> None:
    large = answer(os.urandom(3_000_000))
    assert await apart.run(type(large).values, large, b"x") == []
    same = await apart.run(tuple, [large])
    assert same == (large,)


async def test_questions_asked_at_once_are_answered_in_turn(apart: Apart) -> None:
    told = await asyncio.gather(*(apart.run(divmod, number, 7) for number in range(20)))
    assert told == [divmod(number, 7) for number in range(20)]


async def test_an_error_is_told_and_ends_nothing(apart: Apart) -> None:
    pid = await apart.run(os.getpid)
    with pytest.raises(Undone, match="divmod: ZeroDivisionError"):
        await apart.run(divmod, 1, 0)
    assert await apart.run(os.getpid) == pid


async def test_a_process_that_dies_is_replaced(apart: Apart) -> None:
    pid = await apart.run(os.getpid)
    with pytest.raises(Undone, match="_exit"):
        await apart.run(os._exit, 1)
    await gone(pid)
    assert await apart.run(os.getpid) != pid


async def test_a_process_that_was_killed_while_it_waited_is_replaced(apart: Apart) -> None:
    pid = await apart.run(os.getpid)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(Undone):
        await apart.run(os.getpid)
    assert await apart.run(os.getpid) != pid


async def test_work_that_takes_too_long_is_given_up() -> None:
    apart = Apart(patience=0.2)
    try:
        with pytest.raises(Undone, match="TimeoutError"):
            await apart.run(time.sleep, 60)
    finally:
        await apart.close()


async def test_whoever_stops_waiting_leaves_no_answer_for_the_next(apart: Apart) -> None:
    pid = await apart.run(os.getpid)
    task = asyncio.get_running_loop().create_task(apart.run(time.sleep, 60))
    waiting = asyncio.get_running_loop().create_task(apart.run(os.getpid))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await waiting != pid


async def test_a_process_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    apart = Apart(20.0, home=tmp_path / "nowhere")
    with pytest.raises(Undone, match="No such file"):
        await apart.run(os.getpid)


async def test_closing_ends_the_process_and_it_can_be_closed_again() -> None:
    apart = Apart(patience=20.0)
    pid = await apart.run(os.getpid)
    await apart.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    await apart.close()


async def test_the_process_ends_with_whoever_asked_it() -> None:
    """Its parent was killed: nobody closes it, but its questions end."""
    code = (
        "import asyncio, os\n"
        "from shadow.apart import Apart\n"
        "async def main():\n"
        "    print(await Apart(20.0).run(os.getpid), flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    told, _ = await parent.communicate()
    await gone(int(told))


async def test_bodies_can_be_looked_at_there(apart: Apart) -> None:
    assert await apart.run(readable, answer(b"x"))
    assert not await apart.run(readable, answer(b"x", (b"content-encoding", b"gzip")))
