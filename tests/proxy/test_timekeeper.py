from __future__ import annotations

import asyncio
from collections.abc import Callable

from proxy.errors import ClientStalled, NoAnswer, StranglerError
from proxy.limits import Limits
from proxy.timekeeper import Timekeeper
from tests.fidelity.wire import PATIENCE

LONG = 60.0


async def failure(ask: Callable[[Timekeeper], None]) -> StranglerError:
    """What it says after being asked so."""
    said: asyncio.Future[StranglerError] = asyncio.get_running_loop().create_future()
    keeper = Timekeeper(said.set_result)

    ask(keeper)
    async with asyncio.timeout(PATIENCE):
        return await said


async def test_a_side_that_does_not_begin_in_time_has_given_no_answer() -> None:
    def asks(keeper: Timekeeper) -> None:
        keeper.begin(Limits(first_byte=0.01))
        keeper.await_answer()

    assert str(await failure(asks)) == "nothing came within 0.01 s"


async def test_a_pause_between_two_bytes_has_a_limit_of_its_own() -> None:
    def asks(keeper: Timekeeper) -> None:
        keeper.begin(Limits(between_bytes=0.01, total=LONG))
        keeper.await_answer()
        keeper.await_more()

    assert str(await failure(asks)) == "nothing more came within 0.01 s"


async def test_the_whole_answer_has_a_limit_however_often_more_of_it_comes() -> None:
    def asks(keeper: Timekeeper) -> None:
        keeper.begin(Limits(total=0.02))
        keeper.await_answer()
        keeper.await_more()
        keeper.await_more()

    late = await failure(asks)
    assert isinstance(late, NoAnswer)
    assert "whole answer" in str(late)


async def test_a_user_who_is_waited_for_longer_than_the_whole_may_take_is_no_failure_of_the_side() -> None:
    def asks(keeper: Timekeeper) -> None:
        keeper.begin(Limits(total=0.01, stall=0.03))
        keeper.await_answer()  # while the side took no more of the upload
        keeper.await_upload()

    assert isinstance(await failure(asks), ClientStalled)


async def test_what_is_off_or_closed_says_nothing() -> None:
    said: list[StranglerError] = []
    keeper = Timekeeper(said.append)
    keeper.begin(Limits(first_byte=0.01))
    for end in (keeper.off, keeper.close):
        keeper.await_answer()
        end()
        over = asyncio.Event()
        asyncio.get_running_loop().call_later(0.03, over.set)
        await over.wait()
    assert said == []
