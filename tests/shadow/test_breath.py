"""Whether requests get their turn while long work goes on."""

from __future__ import annotations

import asyncio

import pytest

from shadow.breath import in_breaths


@pytest.mark.parametrize(("spell", "others"), [(0.0, 5), (60.0, 0)])
async def test_others_go_on_whenever_the_loop_was_held_long_enough(spell: float, others: int) -> None:
    turns: list[int] = []
    done = []
    async for number in in_breaths(range(5), spell):
        asyncio.get_running_loop().call_soon(turns.append, number)
        done.append(number)
    assert (done, len(turns)) == (list(range(5)), others)
