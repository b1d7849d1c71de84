"""Whether requests get their turn while long work goes on."""

from __future__ import annotations

import asyncio

import pytest

from flags.breath import Breath


@pytest.mark.parametrize(("spell", "others"), [(0.0, 5), (60.0, 0)])
async def test_others_go_on_whenever_the_loop_was_held_long_enough(spell: float, others: int) -> None:
    turns: list[int] = []
    breath = Breath(spell)
    for number in range(5):
        asyncio.get_running_loop().call_soon(turns.append, number)
        await breath.taken()
    assert len(turns) == others
