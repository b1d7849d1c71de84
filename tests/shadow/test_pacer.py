from __future__ import annotations

import asyncio
from contextlib import suppress

from structlog.testing import capture_logs

from shadow.pacer import LOOKS, Pacer
from shadow.yielding import Cause, Pace

LEGACY, LOOP, BUSY = (frozenset({cause}) for cause in (Cause.LEGACY_SLOW, Cause.EVENT_LOOP, Cause.CANDIDATE_BUSY))


class Paced:
    """A pacer, and what it has told. `late`: what is seen of legacy, second by second, the last of them for ever."""

    def __init__(self, *late: float | None) -> None:
        left = list(late) or [None]
        self.told: list[Pace] = []
        self.pacer = Pacer(lambda: left.pop(0) if len(left) > 1 else left[0], self.told.append)

    def second(self, *lags: float) -> Pace:
        for lag in lags or [0.0] * LOOKS:
            self.pacer.looked(lag)
        return self.pacer.pace


def test_it_yields_to_a_legacy_that_is_slower_than_it_was() -> None:
    paced = Paced(None, 0.05, 0.9, 0.9, 0.05)
    paces = [paced.second() for _ in range(5)]
    assert paces == paced.told == [Pace(), Pace(), Pace(0.5, LEGACY), Pace(0.25, LEGACY), Pace(0.3)]
    assert paced.pacer.factor == 0.3


def test_it_yields_to_a_side_that_says_it_is_busy() -> None:
    paced = Paced()
    for busy in (True, False, False):
        paced.pacer.heard(busy)
    assert paced.second() == Pace(0.5, BUSY)
    assert paced.second() == Pace(0.55)  # what was heard before is over
    for busy in (True, *[False] * 5):
        paced.pacer.heard(busy)
    assert not paced.second().causes  # one in six is not many


def test_it_yields_to_an_event_loop_that_comes_late() -> None:
    assert Paced().second(*[0.03] * LOOKS) == Pace(0.5, LOOP)


def test_a_few_long_rounds_are_no_strain() -> None:
    assert Paced().second(*[5.0] * (LOOKS // 2 - 1), *[0.0] * (LOOKS - LOOKS // 2 + 1)) == Pace()


def test_a_second_has_ended_with_its_last_look() -> None:
    paced = Paced()
    paced.second(*[0.0] * (LOOKS - 1))
    assert paced.told == []
    paced.second(0.0)
    assert paced.told == [Pace()]


def test_the_log_says_when_it_begins_and_when_it_is_over() -> None:
    paced = Paced(0.9, 0.9, 0.05)
    with capture_logs() as lines:
        paced.second()
        while paced.second() != Pace():
            continue
        paced.second()
    assert [line["event"] for line in lines] == ["shadow work yields", "shadow work is all there again"]
    assert (lines[0]["factor"], lines[0]["causes"]) == (0.5, ["legacy_slow"])


async def test_it_looks_at_the_event_loop_that_it_runs_in() -> None:
    paced = Paced()
    loop = asyncio.get_running_loop()
    task = loop.create_task(paced.pacer.run())
    async with asyncio.timeout(20):
        while not paced.told:
            until = loop.time() + 0.04  # by which whoever is to be woken comes late
            while loop.time() < until:
                pass
            await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert paced.told == [Pace(0.5, LOOP)]
