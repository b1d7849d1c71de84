"""What the operators' port tells of a route's judge, from the traffic that was counted."""

from __future__ import annotations

import pytest

from flags.flag import Side
from flags.loop import Loop
from flags.rollback import Judge, Rule
from flags.store.memory import MemoryStore
from proxy.load import Loads
from proxy.metrics import Metrics
from proxy.ramping import Ramping
from proxy.ramps import Ramps

ROUTE = "things.list"
RULE = Rule(30.0, 50, 0.02, 0.02, judge=Judge.EVIDENCE)


class Site:
    """A worker that has counted ten requests a second for two minutes."""

    def __init__(self) -> None:
        store, self.metrics, self.now = MemoryStore(), Metrics([ROUTE]), 1_000_000.0
        self.loop = Loop(store, [ROUTE], RULE, "worker")
        self.loads = Loads(store, "worker", self.metrics, [ROUTE], now=lambda: self.now)
        self.ramping = Ramping(self.loop, Ramps(store, self.loop), self.loads, {ROUTE: RULE})

    async def serve(self) -> None:
        for _ in range(12):
            await self.loads.look()
            self.metrics.requests.labels(ROUTE, Side.LEGACY.value, "ok").value += 100
            self.now += 10
        await self.loads.look()


@pytest.fixture
async def site() -> Site:
    site = Site()
    await site.loop.refresh()
    return site


async def test_the_outlook_is_that_of_the_share_in_force_at_the_traffic_there_is(site: Site) -> None:
    await site.loop.set(ROUTE, share=2_500)
    await site.serve()
    told = await site.ramping.outlook(ROUTE)
    assert told is not None
    assert told["rate"] == pytest.approx(10, rel=0.01)
    assert (told["share"], told["inForce"], told["judge"], told["falseAlarm"]) == (2_500, 2_500, "evidence", 0.01)
    assert [each["defect"] for each in told["noticed"]] == [0.01, 0.05, 0.5]
    assert told["noticed"][2]["seconds"] <= 8
    assert told["words"][0].startswith("at 10 requests/s, 25 % of them native's, a defect would be noticed: ")
    assert not told["scarce"]


async def test_there_is_none_while_the_traffic_is_not_known(site: Site) -> None:
    await site.loop.set(ROUTE, share=2_500)
    await site.loads.look()
    assert await site.ramping.outlook(ROUTE) is None


async def test_there_is_none_of_a_route_that_legacy_answers(site: Site) -> None:
    await site.serve()
    assert await site.ramping.outlook(ROUTE) is None
    await site.loop.set(ROUTE, share=2_500)
    await site.loop.rollback(ROUTE, "a test")
    assert await site.ramping.outlook(ROUTE) is None
