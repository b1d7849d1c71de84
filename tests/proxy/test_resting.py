from __future__ import annotations

from collections.abc import Callable

import pytest

from proxy.resting import Resting
from tests.proxy.stage import eventually

Step = Callable[[Resting], None]
SENDS: Step = lambda resting: resting.sends(True)  # noqa: E731  # a table of steps
WAITS: Step = lambda resting: resting.sends(False)  # noqa: E731  # as above
GETS: Step = lambda resting: resting.gets(full=False)  # noqa: E731  # as above
FULL: Step = lambda resting: resting.gets(full=True)  # noqa: E731  # as above
GOES_ON, OVER = Resting.goes_on, Resting.over
LONG, AT_ONCE = 60.0, 0.0


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ((WAITS, OVER), []),
        ((SENDS, SENDS, WAITS, SENDS, WAITS, OVER), [True, False, True, False]),
        ((GETS, GETS, GETS, OVER), []),
        ((GETS, FULL, FULL, GOES_ON, GETS, FULL, GETS, OVER), [True, False, True, False]),
        ((SENDS, GETS, WAITS, SENDS, FULL, WAITS, GOES_ON, OVER), [True, False, True, False]),
        ((SENDS, FULL, OVER, SENDS, WAITS, FULL, GOES_ON), [True, False]),
    ],
    ids=["never", "an upload in pieces", "an answer that has just begun", "a slow reader", "both", "heard of too late"],
)
async def test_what_changes_is_told_once_and_ends_as_it_began(steps: tuple[Step, ...], told: list[bool]) -> None:
    heard: list[bool] = []
    resting = Resting(heard.append, LONG)
    for step in steps:
        step(resting)
    assert heard == told


async def test_an_answer_that_goes_on_flows_until_it_pauses() -> None:
    heard: list[bool] = []
    resting = Resting(heard.append, AT_ONCE)
    GETS(resting)
    assert heard == []
    for told in ([True], [True, False, True]):
        GETS(resting)
        GETS(resting)
        assert heard == told
        await eventually(lambda: not heard[-1])
    assert heard == [True, False, True, False]


async def test_an_answer_that_flows_rests_no_more_once_it_is_over() -> None:
    heard: list[bool] = []
    resting = Resting(heard.append, AT_ONCE)
    for step in (GETS, GETS, OVER, GETS):
        step(resting)
    assert heard == [True, False]
