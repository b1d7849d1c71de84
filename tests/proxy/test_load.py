"""What the fleet carries, minute by minute: counted here, told, and heard of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from flags.capacity import Load
from flags.errors import StoreUnavailable
from flags.store.memory import MemoryStore
from proxy.load import EVERY, Loads
from proxy.metrics import Metrics

READ, WRITE = "things.list", "things.create"
MINUTE = 29_000_000


class Fleet:
    """A worker under a clock that stands still, and the store that it shares."""

    def __init__(self, store: MemoryStore | None = None, name: str = "one") -> None:
        self.now = MINUTE * 60.0
        self.store, self.metrics = store or MemoryStore(), Metrics([READ, WRITE])
        self.loads = Loads(self.store, name, self.metrics, [READ, WRITE], lambda: self.now)

    def serve(self, side: str, number: int, route: str = READ, outcome: str = "ok") -> None:
        self.metrics.requests.labels(route, side, outcome).value += number

    async def look(self) -> None:
        self.now += EVERY
        await self.loads.look()

    async def minute(self, legacy: int = 0, native: int = 0) -> None:
        """Six looks, with so many requests in each."""
        for _ in range(6):
            self.serve("legacy", legacy)
            self.serve("native", native)
            await self.look()


async def test_a_minute_holds_what_came_in_it_on_every_route_and_of_legacy_only_what_it_answered() -> None:
    fleet = Fleet()
    fleet.serve("legacy", 10)
    fleet.serve("legacy", 5, WRITE, "failed")
    fleet.serve("legacy", 1, "unmatched", "excluded")
    fleet.serve("native", 20)
    for _ in range(6):
        await fleet.look()
    fleet.serve("legacy", 7)
    await fleet.look()
    assert await fleet.store.carried(MINUTE, MINUTE + 1) == {MINUTE: Load(10, 36), MINUTE + 1: Load(7, 7)}


async def test_what_legacy_does_to_be_compared_it_has_carried_unless_it_may_have_failed_at_that() -> None:
    fleet = Fleet()
    fleet.serve("native", 20)
    for number, outcome in enumerate(("matched", "ignored", "unconfirmed", "mismatched"), 1):
        fleet.metrics.compared.labels(READ, "legacy", outcome).value += number
    fleet.metrics.compared.labels(READ, "native", "matched").value += 100
    await fleet.look()
    assert await fleet.store.carried(MINUTE, MINUTE) == {MINUTE: Load(6, 20)}


@pytest.mark.parametrize("outcome", ["failed", "excluded"])
async def test_a_legacy_that_fails_everything_has_carried_nothing_however_much_it_was_asked(outcome: str) -> None:
    fleet = Fleet()
    for _ in range(7):
        fleet.serve("legacy", 400, outcome=outcome)
        fleet.metrics.fallbacks.labels(READ).value += 400
        fleet.metrics.compared.labels(READ, "legacy", "mismatched").value += 400
        await fleet.look()
    assert fleet.loads.capacity.carried == 0.0
    assert fleet.loads.capacity.due == pytest.approx(40.0)
    assert fleet.loads.capacity.unproved


async def test_a_rollback_is_proved_while_legacy_carries_its_share_and_not_when_it_has_carried_none_for_a_day() -> None:
    fleet = Fleet()
    await fleet.minute(legacy=400)
    await fleet.minute(native=400)
    assert fleet.loads.capacity.due == pytest.approx(40.0)
    assert fleet.loads.capacity.carried == pytest.approx(40.0, rel=0.01)
    assert not fleet.loads.capacity.unproved
    fleet.now += 86_400.0
    await fleet.minute(native=400)
    await fleet.look()
    assert fleet.loads.capacity.unproved


async def test_all_workers_are_one_fleet_and_a_later_one_hears_of_the_whole_day() -> None:
    store = MemoryStore()
    one, two = Fleet(store), Fleet(store, "two")
    await one.minute(legacy=100)
    await two.minute(legacy=300)
    await one.look()
    assert one.loads.capacity.carried == pytest.approx(40.0)
    later = Fleet(store, "later")
    later.now = one.now + 3_600.0
    await later.look()
    assert later.loads.capacity.carried == pytest.approx(40.0, rel=0.05)


async def test_a_route_s_rate_is_the_fleet_s_as_this_worker_s_part_tells() -> None:
    store = MemoryStore()
    one, two = Fleet(store), Fleet(store, "two")
    assert one.loads.rate(READ) is None
    await two.minute(legacy=300)
    for _ in range(6):
        one.serve("legacy", 60)
        one.serve("native", 40, WRITE)
        await one.look()
    assert one.loads.rate(READ) == pytest.approx(24.0)  # 6 a second here, and here is a quarter of all
    assert one.loads.rate(WRITE) == pytest.approx(16.0)


async def test_what_could_not_be_told_is_told_when_the_store_is_back() -> None:
    class Away(MemoryStore):
        away = True

        async def carry(self, worker: str, loads: Mapping[int, Load]) -> None:
            if self.away:
                raise StoreUnavailable("it is away")
            await super().carry(worker, loads)

    store = Away()
    fleet = Fleet(store)
    fleet.serve("legacy", 60)
    with pytest.raises(StoreUnavailable):
        await fleet.look()
    store.away = False
    await fleet.look()
    assert await store.carried(MINUTE, MINUTE) == {MINUTE: Load(60, 60)}


async def test_looks_go_on_after_a_fault_and_a_store_that_is_away() -> None:
    class Faulty(MemoryStore):
        def __init__(self) -> None:
            super().__init__()
            self.faults = [StoreUnavailable("it is away"), RuntimeError("a fault of ours")]
            self.reached = asyncio.Event()

        async def carried(self, first: int, last: int) -> dict[int, Load]:
            if self.faults:
                raise self.faults.pop()
            self.reached.set()
            return {}

    store = Faulty()
    loads = Loads(store, "one", Metrics([READ]), [READ], lambda: MINUTE * 60.0 + 9.999)
    task = asyncio.get_running_loop().create_task(loads.run())
    async with asyncio.timeout(10):
        await store.reached.wait()
    task.cancel()
    await asyncio.wait([task])
