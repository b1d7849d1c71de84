"""A worker's end of the line, with the supervisor's end in the test's hands."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from demo.service import LOOPBACK, free_port
from flags.flag import Trip
from flags.loop import Loop
from flags.rollback import Rule
from flags.store.redis import RedisStore
from proxy.line import Line, Word
from proxy.metrics import Metrics
from proxy.pulse import Pulse, felt, pair
from proxy.siblings import NoSiblings, Silent, Supervised
from proxy.tasks import Tasks
from proxy.watchdog import Stall
from tests.proxy.process import without_process

ROUTES = ["things.list", "things.show"]
TRIP = ["things.list", 5.5, "by hand: it looks odd", "somebody"]


class Worker:
    def __init__(self, supervisor: Line, line: Line) -> None:
        self.supervisor, self.tasks, self.gone = supervisor, Tasks(), asyncio.Event()
        self.store = RedisStore(f"redis://{LOOPBACK}:{free_port()}/1", limit=0.5)
        self.loop = Loop(self.store, ROUTES, Rule(30, 50, 0.05, 0.02), "worker", now=lambda: 5.5)
        self.metrics = Metrics(ROUTES)
        self.wrist, self.pulse = pair()
        self.siblings = Supervised(line, Pulse(self.pulse), self.loop, self.metrics)
        self.said = supervisor.messages()

    def tell(self, *trips: list[Any], everywhere: bool = True) -> None:
        self.supervisor.post(Word.TRIPS, json.dumps({"trips": trips, "everywhere": everywhere}).encode())

    async def next(self, word: Word) -> bytes:
        """What it says next of this kind."""
        async with asyncio.timeout(30):
            while True:
                said, body = await anext(self.said)
                if said is word:
                    return body

    async def join(self) -> None:
        await self.siblings.join(self.tasks, self.gone.set)


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    supervisor, line = [await Line.over(end) for end in socket.socketpair()]
    worker = Worker(supervisor, line)
    yield worker
    await worker.said.aclose()
    await worker.tasks.close()
    await worker.store.close()
    worker.wrist.close()
    worker.pulse.close()
    await asyncio.gather(supervisor.close(), line.close())


async def test_it_takes_no_requests_before_it_knows_what_the_others_go_by(worker: Worker) -> None:
    joining = worker.tasks.start(worker.join())
    await asyncio.sleep(0)
    assert not joining.done()
    worker.tell(TRIP)
    await joining
    assert worker.loop.latches == {"things.list": Trip(5.5, "by hand: it looks odd", "somebody")}
    assert worker.loop.get("things.list").tripped
    told = json.loads(await worker.next(Word.TRIPS))
    assert told == {"latched": [TRIP], "heard": [TRIP]}


async def test_what_a_later_version_tells_more_is_passed_over(worker: Worker) -> None:
    joining = worker.tasks.start(worker.join())
    worker.tell([*TRIP, {"of": "tomorrow"}])
    await joining
    assert worker.loop.latches == {"things.list": Trip(5.5, "by hand: it looks odd", "somebody")}
    assert json.loads(await worker.next(Word.TRIPS)) == {"latched": [TRIP], "heard": [TRIP]}
    assert await worker.siblings.spread()


async def test_a_trip_is_taken_over_once(worker: Worker) -> None:
    worker.tell(TRIP)
    await worker.join()
    worker.loop._held.lift(worker.loop.latches)  # as when the store has heard of it
    worker.tell(TRIP, ["things.show", 5.5, "also", "Anna"])
    while json.loads(await worker.next(Word.TRIPS))["latched"] != [["things.show", 5.5, "also", "Anna"]]:
        continue
    assert not worker.loop.get("things.list").tripped


async def test_it_tells_what_shadow_work_it_leaves_undone_and_hears_what_the_others_do(worker: Worker) -> None:
    worker.tell()
    await worker.join()
    assert json.loads(await worker.next(Word.SHADOWS)) == {"factor": 1.0, "causes": [], "lost": []}
    worker.metrics.undone.dropped("things.list", "queue_full")
    told = json.loads(await worker.next(Word.SHADOWS))
    assert told == {"factor": 1.0, "causes": [], "lost": [["things.list", "queue_full", 1]]}
    other = {"factor": 0.5, "causes": ["in_vain"], "lost": []}
    worker.supervisor.post(Word.SHADOWS, json.dumps([other]).encode())
    async with asyncio.timeout(30):
        while len(worker.siblings.shortfalls()) == 1:  # noqa: ASYNC110  # what it watches tells nobody when it changes
            await asyncio.sleep(0)
    assert [each.told for each in worker.siblings.shortfalls()] == [told, other]


async def test_a_rollback_has_spread_once_all_others_go_by_it(worker: Worker) -> None:
    worker.tell()
    await worker.join()
    await worker.loop.rollback("things.list", "it looks odd")
    spreading = worker.tasks.start(worker.siblings.spread())
    while json.loads(await worker.next(Word.TRIPS))["latched"] != [TRIP]:
        continue
    worker.tell(TRIP, everywhere=False)
    worker.tell(TRIP)
    assert await spreading


async def test_a_rollback_that_somebody_does_not_take_over_in_time_has_not_spread(worker: Worker) -> None:
    worker.tell()
    await worker.join()
    await worker.loop.rollback("things.list", "it looks odd")
    worker.tell(TRIP, everywhere=False)
    assert not await worker.siblings.spread()


async def test_a_scrape_shows_what_all_have_counted_and_the_supervisor_has_heard_of_it(worker: Worker) -> None:
    worker.tell()
    await worker.join()
    worker.metrics.fallbacks.labels("things.list").inc()
    scraping = worker.tasks.start(worker.siblings.exposition())
    await worker.next(Word.EVERYONE)
    await worker.supervisor.send(Word.COUNTS, worker.metrics.exposition())
    assert b'strangler_fallbacks_total{route="things.list"} 2.0\n' in await scraping


async def test_without_an_answer_of_the_supervisor_nothing_is_shown(worker: Worker) -> None:
    worker.tell()
    await worker.join()
    with pytest.raises(Silent, match="did not answer within"):
        await worker.siblings.exposition()
    late = worker.tasks.start(worker.siblings.exposition())  # whose answer must not be the one that came too late
    await worker.next(Word.EVERYONE)
    await worker.next(Word.EVERYONE)
    await worker.supervisor.send(Word.COUNTS, b"")
    await worker.supervisor.send(Word.COUNTS, kept_of(3))
    assert b'strangler_fallbacks_total{route="things.list"} 3.0\n' in await late


def kept_of(fallbacks: int) -> bytes:
    metrics = Metrics(ROUTES)
    for _ in range(fallbacks):
        metrics.fallbacks.labels("things.list").inc()
    return metrics.exposition()


async def test_it_hears_when_its_supervisor_is_gone_even_before_it_has_joined(worker: Worker) -> None:
    await worker.supervisor.close()
    await worker.join()
    assert worker.gone.is_set()


async def test_its_last_words_are_what_it_has_counted(worker: Worker) -> None:
    worker.tell()
    await worker.join()
    await worker.tasks.close()
    worker.metrics.fallbacks.labels("things.list").inc()
    worker.siblings.ready(5.0, 2.0)
    assert json.loads(await worker.next(Word.READY)) == {"drain": 5.0, "watchdog": 2.0}
    await worker.siblings.leave()
    *_, (word, body) = [message async for message in worker.said]
    assert word is Word.COUNTS
    assert b'strangler_fallbacks_total{route="things.list"} 1.0\n' in body


async def test_its_supervisor_feels_its_pulse_and_what_blocks_it_though_the_line_is_busy(worker: Worker) -> None:
    worker.siblings._line.post(Word.COUNTS, b"x" * (1 << 22))
    worker.siblings.beat()
    for routes in ((), ("things.list", "things.show")):
        await asyncio.to_thread(worker.siblings.stalled, Stall(routes, "a stack"))
    assert list(felt(worker.wrist)) == [None, {}, {"things.list": 0.001, "things.show": 0.001}]
    assert list(felt(worker.wrist)) == []


async def test_what_blocks_it_is_no_older_than_the_flag_though_the_clock_was_set_back(worker: Worker) -> None:
    worker.loop.adopt({"things.list": Trip(9.0, "by hand")})
    flag = worker.loop.get("things.list")
    await asyncio.to_thread(worker.siblings.stalled, Stall(("things.list", "gone"), "a stack"))
    (told,) = felt(worker.wrist)
    assert told == {"things.list": flag.trip_time(0.0)}


async def test_a_worker_of_an_earlier_version_names_the_routes_that_block_it_alone(worker: Worker) -> None:
    worker.pulse.send(b'["things.list"]')
    assert list(felt(worker.wrist)) == [{"things.list": 0.0}]


async def test_a_pulse_that_nobody_feels_keeps_nobody(worker: Worker) -> None:
    for _ in range(10_000):
        worker.siblings.beat()
    assert set(felt(worker.wrist)) == {None}
    worker.wrist.close()
    worker.siblings.beat()


async def test_the_end_of_a_worker_is_the_end_of_its_pulse() -> None:
    ours, theirs = pair()
    with ours:
        Pulse(theirs).beat()
        theirs.close()
        heard = felt(ours)
        assert next(heard) is None
        with pytest.raises(EOFError):
            next(heard)


async def test_one_worker_alone_is_all_there_is(worker: Worker) -> None:
    metrics, tasks = worker.metrics, Tasks()
    alone = NoSiblings(metrics)
    await alone.join(tasks, asyncio.Event().set)
    alone.ready(5.0, 2.0)
    alone.beat()
    alone.stalled(Stall(("things.list",), "a stack"))
    assert without_process(await alone.exposition()) == without_process(metrics.exposition())
    assert not await alone.spread()
    await alone.leave()
    assert len(tasks) == 0
