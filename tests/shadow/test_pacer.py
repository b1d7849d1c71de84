from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from structlog.testing import capture_logs

from shadow.newest import OLDEST
from shadow.pacer import LEARNS, LOOKS, Pacer
from shadow.yielding import FLOOR, STEP, Cause, Pace

LEGACY, LOOP, BUSY, VAIN = (
    frozenset({cause}) for cause in (Cause.LEGACY_SLOW, Cause.EVENT_LOOP, Cause.CANDIDATE_BUSY, Cause.IN_VAIN)
)


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


@asynccontextmanager
async def running(pacer: Pacer) -> AsyncIterator[None]:
    task = asyncio.get_running_loop().create_task(pacer.run())
    await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


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


def test_it_yields_where_most_of_what_is_asked_comes_to_nothing() -> None:
    paced = Paced()
    for vain in [True] * 51 + [False] * 49:
        paced.pacer.asked(vain)
    assert paced.second() == Pace(0.5, VAIN)
    for _ in range(20):
        paced.pacer.asked(False)
    assert paced.second() == Pace(0.5, VAIN)  # it takes a hundred to tell, old ones among them
    for _ in range(80):
        paced.pacer.asked(False)
    assert paced.second() == Pace(0.55)


def test_who_asks_because_there_may_be_no_answer_yields_to_all_else() -> None:
    paced = Paced()
    for _ in range(100):
        paced.pacer.asked(True)
    paced.second()
    assert (paced.pacer.factor, paced.pacer.bearable) == (0.5, 1.0)
    paced.second(*[0.03] * LOOKS)
    assert (paced.pacer.factor, paced.pacer.bearable) == (0.25, 0.5)


def test_a_few_questions_in_vain_are_no_strain() -> None:
    paced = Paced()
    for _ in range(99):
        paced.pacer.asked(True)
    assert paced.second() == Pace()


def test_what_was_in_vain_lasts_until_the_newest_were_answered_however_few_are_asked() -> None:
    paced = Paced()
    for _ in range(100):
        paced.pacer.asked(True)
    for _ in range(2 * OLDEST):  # so few then that a hundred are never seen
        paced.pacer.asked(True)
        pace = paced.second()
    assert pace == Pace(FLOOR, VAIN)
    for _ in range(7):
        paced.pacer.asked(False)
    assert [paced.second() for _ in range(2 * OLDEST)][-1] == Pace(FLOOR, VAIN)  # three in ten: neither
    paced.pacer.asked(False)
    assert paced.second() == Pace(FLOOR + STEP)


def test_it_yields_to_an_event_loop_that_comes_late() -> None:
    assert Paced().second(*[0.03] * LOOKS) == Pace(0.5, LOOP)


def test_a_few_long_rounds_are_no_strain() -> None:
    assert Paced().second(0.2, 0.2, *[0.0] * (LOOKS - 5)) == Pace()


def test_who_comes_late_looks_seldom_and_yields_no_later() -> None:
    paced = Paced()
    assert paced.second(0.4, 0.5) == Pace(0.5, LOOP)
    assert paced.second(5.0) == Pace(0.25, LOOP)


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
    async with running(paced.pacer), asyncio.timeout(20):
        while not paced.told:
            until = loop.time() + 0.04  # by which whoever is to be woken comes late
            while loop.time() < until:
                pass
            await asyncio.sleep(0)
    assert paced.told == [Pace(0.5, LOOP)]


async def test_one_at_a_time_until_it_is_known_what_legacy_is_like() -> None:
    paced = Paced(None, 0.9, 0.05)
    assert paced.pacer.at_once == 1.0  # nobody paces
    async with running(paced.pacer):
        assert (paced.pacer.factor, paced.pacer.at_once) == (1.0, 0.0)
        for _ in range(100):
            paced.pacer.asked(vain=True)  # for want of room, of which there is little meanwhile
        paced.second()
        assert (paced.pacer.factor, paced.pacer.at_once) == (1.0, 0.0)
        paced.second()
        assert paced.pacer.at_once == paced.pacer.factor == 0.5
        paced.second()
        assert paced.pacer.at_once == paced.pacer.factor == 0.55


async def test_whoever_is_asked_too_seldom_to_tell_is_not_waited_for() -> None:
    paced = Paced(None)
    async with running(paced.pacer):
        for _ in range(LEARNS - 1):
            paced.second()
        assert paced.pacer.at_once == 0.0
        paced.second()
        assert paced.pacer.at_once == 1.0
