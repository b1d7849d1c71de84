from __future__ import annotations

import asyncio
import sys

import pytest
from structlog.testing import capture_logs

from proxy.processes import run_whole


async def exits(word: str) -> None:
    sys.exit(word)


def test_whoever_ends_in_a_task_of_its_own_ends_nobody_else() -> None:
    told: list[str] = []

    async def work() -> None:
        for _ in range(2):
            ending = [asyncio.get_running_loop().create_task(exits("bad option")) for _ in range(2)]
            await asyncio.wait(ending)
            told.extend(repr(task.exception()) for task in ending)
        await asyncio.sleep(0)
        told.append("whole")

    with capture_logs() as lines:
        run_whole(work())
    assert told == ["SystemExit('bad option')"] * 4 + ["whole"]
    assert {line["event"] for line in lines} == {"a task called for the end of this process, which goes on"}


@pytest.mark.parametrize("fault", [SystemExit("it ends"), RuntimeError("it fails")])
def test_what_ends_the_work_ends_the_process(fault: BaseException) -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        raise fault

    with pytest.raises(type(fault)) as found:
        run_whole(work())
    assert found.value is fault
