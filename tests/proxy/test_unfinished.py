from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial

import pytest

from proxy.errors import Saturated
from proxy.limits import Limits
from proxy.unfinished import Unfinished
from tests.proxy.stage import settled


def full(*, wait: float = 10.0, room: int = 100) -> Unfinished:
    """One whose places are taken."""
    unfinished = Unfinished("legacy", Limits(connections=3, wait=wait), room)
    assert (unfinished.begin(), unfinished.begin(), unfinished.begin()) == (True, True, False)
    return unfinished


def offered(unfinished: Unfinished, *names: str) -> list[str]:
    """Who has taken a place, of these to whom one is offered."""
    took: list[str] = []
    for name in names:
        unfinished.offer_to(partial(took.append, name))
    return took


async def in_line(unfinished: Unfinished) -> asyncio.Task[None]:
    task = asyncio.get_running_loop().create_task(unfinished.begin_in_turn())
    await settled(lambda: 0, rounds=3)
    assert not task.done()
    return task


async def given_up(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_who_is_in_line_comes_in_turn() -> None:
    unfinished = full()
    first, second = await in_line(unfinished), await in_line(unfinished)
    unfinished.end()
    await first
    assert not second.done()
    unfinished.end()
    await second
    assert unfinished.passed_on == 2
    unfinished.end()
    assert unfinished.passed_on == 1
    await unfinished.begin_in_turn()
    assert unfinished.passed_on == 2


async def test_nobody_waits_longer_than_for_a_connection() -> None:
    unfinished = full(wait=0.01)
    with pytest.raises(Saturated, match=r"^no other upload to legacy ended within 0\.01 s$"):
        await unfinished.begin_in_turn()
    unfinished.end()
    assert unfinished.passed_on == 1


async def test_nobody_waits_where_there_is_no_room() -> None:
    unfinished = full(room=100)
    unfinished.kept = 100
    waiting = await in_line(unfinished)
    unfinished.kept = 101
    with pytest.raises(Saturated, match=r"^uploads to legacy that are not whole have 101 bytes waiting$"):
        await unfinished.begin_in_turn()
    unfinished.end()
    await waiting


async def test_who_leaves_the_line_takes_no_place() -> None:
    unfinished = full()
    leaving, staying = await in_line(unfinished), await in_line(unfinished)
    await given_up(leaving)
    unfinished.end()
    await staying
    assert unfinished.passed_on == 2


async def test_who_leaves_with_a_place_just_handed_over_passes_it_on() -> None:
    unfinished = full()
    leaving, staying = await in_line(unfinished), await in_line(unfinished)
    unfinished.end()
    await given_up(leaving)
    await staying
    assert unfinished.passed_on == 2


async def test_who_is_just_leaving_is_passed_over() -> None:
    unfinished = full()
    leaving, staying = await in_line(unfinished), await in_line(unfinished)
    leaving.cancel()
    unfinished.end()
    await staying
    await given_up(leaving)
    assert unfinished.passed_on == 2


def test_a_place_that_comes_free_is_taken_by_the_first_of_those_who_wait_for_their_end() -> None:
    unfinished = full()
    took = offered(unfinished, "first", "second")
    unfinished.end()
    assert (took, unfinished.passed_on) == (["first"], 2)
    unfinished.end()
    assert (took, unfinished.passed_on) == (["first", "second"], 2)
    unfinished.end()
    assert (took, unfinished.passed_on) == (["first", "second"], 1)


async def test_those_in_line_come_before_those_who_wait_for_their_end() -> None:
    unfinished = full()
    took = offered(unfinished, "growing")
    waiting = await in_line(unfinished)
    unfinished.end()
    await waiting
    assert took == []
    unfinished.end()
    assert (took, unfinished.passed_on) == (["growing"], 2)


def test_who_has_come_whole_or_left_is_offered_no_place() -> None:
    unfinished = full()
    took: list[str] = []
    leaving = partial(took.append, "leaving")
    unfinished.offer_to(leaving)
    unfinished.offer_no_more(leaving)
    unfinished.offer_no_more(leaving)
    unfinished.end()
    assert (took, unfinished.passed_on) == ([], 1)


def test_who_takes_a_place_and_leaves_it_at_once_leaves_it_to_the_next() -> None:
    unfinished = full()
    unfinished.offer_to(unfinished.end)
    took = offered(unfinished, "next")
    unfinished.end()
    assert (took, unfinished.passed_on) == (["next"], 2)
