"""Random schedules of readers and writers on both sides, with pauses and deaths between the steps of the cache's
protocol: nobody who begins to read after a COMMIT is answered with what was there before it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from redis import Redis

from demo.service import free_port
from demo.stack import Application, Postgres, rails_environment, start_redis
from handlers.cache import Cache
from handlers.resources import Resources, Settings
from tests.handlers.copying import copied
from tests.parity.actors import Actor, Legacy, Native, restart, start_stepping
from tests.parity.sides import LEGACY, NATIVE

CONVERSATION = 900_100
ENTRY = f"conversation:{CONVERSATION}:messages"
SIDES, ROLES = (LEGACY, NATIVE), ("reader", "writer")
CUT_OFF = "cut off"  # a writer of a process that cannot reach Redis
LOOK = 0.05  # seconds for which a look counts: such a writer waits so long
GO, DIE = "go", "die"
EXPIRE, EMPTY, TRIP = "expire", "empty", "trip"  # a minute passes; Redis is restarted; native's entries become misses


@dataclass(frozen=True, slots=True)
class Schedule:
    """Who takes part, and what happens in turn: somebody's next steps or death, or something to all. In the end whoever
    is left goes on to his end."""

    cast: tuple[tuple[str, str], ...]
    moves: tuple[tuple[str, int, int], ...]


casts = st.lists(st.tuples(st.sampled_from(SIDES), st.sampled_from(ROLES)), min_size=2, max_size=4).map(tuple)
others = st.lists(st.tuples(st.sampled_from(SIDES), st.sampled_from((*ROLES, CUT_OFF))), min_size=1, max_size=3)
casts_apart = st.builds(lambda side, rest: ((side, CUT_OFF), *rest), st.sampled_from(SIDES), others)
words = st.sampled_from([GO] * 12 + [DIE, EXPIRE, EMPTY, TRIP])
moves = st.lists(st.tuples(words, st.integers(0, 3), st.integers(1, 4)), min_size=3, max_size=12).map(tuple)
schedules = st.builds(Schedule, casts, moves)
schedules_apart = st.builds(Schedule, casts_apart, moves)


@dataclass(slots=True)
class Part:
    """How far one of the cast has come, and what it must see at least if it reads."""

    role: str
    actor: Actor
    at: str = "outside"
    owed: frozenset[int] = frozenset()
    exposed: bool = False  # Redis was emptied between its mark and its end: until that, it can promise nothing

    @property
    def over(self) -> bool:
        return self.at == "dead" or self.at.startswith("done")

    @property
    def marked(self) -> bool:
        return self.role != CUT_OFF and (self.at == "marked" or self.at.startswith("committed"))


@dataclass(slots=True)
class Play:
    """One schedule as it is played."""

    redis: Redis
    parts: list[Part]
    promised: set[int] = field(default_factory=set)  # messages that every reader who begins now must see

    async def move(self, word: str, number: int) -> None:
        if word == EXPIRE:
            # Not while a transaction is marked and may still commit: PostgreSQL would have ended it.
            if not any(part.at == "marked" for part in self.parts):
                self.redis.delete(f"cache:mark:{ENTRY}", f"cache:lease:{ENTRY}")
        elif word == EMPTY:
            self.redis.flushdb()
            for part in self.parts:
                part.exposed = part.exposed or part.marked
        elif word == TRIP:
            self.redis.incr("cache:epoch:native")
        else:
            await self.step(self.parts[number % len(self.parts)], word)

    async def step(self, part: Part, word: str) -> None:
        if part.over:
            return
        before = part.at
        if before == "outside":
            part.owed = frozenset(self.promised)
            part.at = await part.actor.begin("reader" if part.role == "reader" else "writer")
        else:
            # Losing Redis and the process at once loses the promise as well: docs/api.md.
            part.at = await part.actor.tell(GO if part.exposed else word)
        if part.at.startswith("committed") and not part.exposed:
            self.promised.add(int(part.at.partition(":")[2]))
        elif before.startswith("committed") and part.at.startswith("done"):
            self.promised.add(int(before.partition(":")[2]))
        elif part.role == "reader" and part.at.startswith("done"):
            seen = set(json.loads(part.at.partition(" ")[2]))
            assert seen >= part.owed, f"read {sorted(seen)}, and {sorted(part.owed)} was committed before"


@dataclass(frozen=True, slots=True)
class Place:
    """Both sides, and the Redis that they reach or do not reach."""

    held: Resources
    stepping: subprocess.Popen[str]


class Theatre:
    """Where schedules are played: real rows, a real Redis, Rails in its process and native in this one, and both again
    where they cannot reach Redis."""

    def __init__(self, application: Application, there: Place, cut_off: Place) -> None:
        self._there, self._cut_off = there, cut_off
        self._redis: Redis = Redis.from_url(application.redis_url, decode_responses=True)
        self._database = psycopg.connect(application.database_url, autocommit=True)
        self._database.execute(
            """insert into conversations
                      (id, account_id, inbox_id, contact_id, last_activity_at, created_at, updated_at)
               values (%s, 1, 1, 1, now(), now(), now())""",
            [CONVERSATION],
        )

    async def play(self, schedule: Schedule) -> None:
        self._redis.flushdb()
        self._database.execute("delete from messages where conversation_id = %s", [CONVERSATION])
        if self._database.execute("delete from keys_to_forget").rowcount:
            restart(self._cut_off.stepping)  # it relies on what it has written down
        # Those that are cut off are of one process: what one has written down is known to the others.
        apart = Cache(self._cut_off.held)
        play = Play(self._redis, [self._part(side, role, n, apart) for n, (side, role) in enumerate(schedule.cast)])
        for word, number, times in schedule.moves:
            for _ in range(times):
                await play.move(word, number)
        while not all(part.over for part in play.parts):
            for part in play.parts:
                await play.step(part, GO)
        await play.move(EXPIRE, 0)
        # Once to fill the entry, and once to be answered with it.
        for side in (*SIDES, *SIDES):
            await self._read_to_the_end(side, play)

    async def _read_to_the_end(self, side: str, play: Play) -> None:
        part = self._part(side, "reader", 9)
        while not part.over:
            await play.step(part, GO)
        rows = self._database.execute(
            "select id from messages where conversation_id = %s order by id", [CONVERSATION]
        ).fetchall()
        assert json.loads(part.at.partition(" ")[2]) == [id for (id,) in rows]

    def _part(self, side: str, role: str, number: int, apart: Cache | None = None) -> Part:
        place = self._cut_off if role == CUT_OFF else self._there
        if side == LEGACY:
            return Part(role, Legacy(place.stepping, number, CONVERSATION))
        return Part(role, Native(place.held, CONVERSATION, apart if role == CUT_OFF else None))

    def close(self) -> None:
        self._database.close()
        self._redis.close()


@pytest.fixture(scope="module")
def play(
    application: Application, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Schedule], None]]:
    directory = tmp_path_factory.mktemp("schedules")
    server = start_redis(directory)
    with server.service, asyncio.Runner() as runner, contextlib.ExitStack() as places:
        own = copied(application, postgres, "schedules", server.url())
        nowhere = replace(own, redis_url=f"redis://127.0.0.1:{free_port()}/0")
        # All processes first: while one of them starts our event loop stands still, and would connect to nothing.
        of = {"there": own, "cut off": nowhere}
        stepping = [places.enter_context(started(directory / name, application)) for name, application in of.items()]
        held = [places.enter_context(opened(runner, application)) for application in of.values()]
        there, cut_off = map(Place, held, stepping)
        theatre = Theatre(own, there, cut_off)
        yield lambda schedule: runner.run(theatre.play(schedule))
        theatre.close()


@contextlib.contextmanager
def started(directory: Path, application: Application) -> Iterator[subprocess.Popen[str]]:
    directory.mkdir()
    extra = {"CACHE_WAIT": "5", "CACHE_LOOK": str(LOOK)}
    stepping = start_stepping(rails_environment(directory, application) | extra, directory)
    yield stepping
    stepping.communicate(timeout=30)


@contextlib.contextmanager
def opened(runner: asyncio.Runner, application: Application) -> Iterator[Resources]:
    urls = application.database_url, application.redis_url, application.jwt_secret
    opening = Resources.open(Settings(*urls, cache_wait=5, redis_wait=5, cache_look=LOOK))
    yield runner.run(opening.__aenter__())
    runner.run(opening.__aexit__(None, None, None))


SLOW_READER = Schedule(((NATIVE, "reader"), (LEGACY, "writer")), ((GO, 0, 2), (GO, 1, 4), (GO, 0, 1)))
DEATH_AFTER_COMMIT = Schedule(((LEGACY, "reader"), (NATIVE, "writer")), ((GO, 0, 3), (GO, 1, 3), (DIE, 1, 1)))
FILL_BEFORE_COMMIT = Schedule(
    ((LEGACY, "writer"), (NATIVE, "reader")), ((GO, 0, 2), (GO, 1, 3), (GO, 0, 1), (DIE, 0, 1))
)
NOT_TOLD = Schedule(((NATIVE, "reader"), (LEGACY, CUT_OFF), (NATIVE, CUT_OFF)), ((GO, 0, 3), (GO, 1, 4), (GO, 2, 4)))
NOT_TOLD_IN_TIME = Schedule(((LEGACY, "reader"), (NATIVE, CUT_OFF)), ((GO, 0, 2), (GO, 1, 3), (GO, 0, 1), (DIE, 1, 1)))
# The first is gone before its COMMIT: the second may not take its wait for its own.
NOT_TOLD_TWICE = Schedule(
    ((LEGACY, "reader"), (NATIVE, CUT_OFF), (NATIVE, CUT_OFF), (LEGACY, "reader")),
    ((GO, 1, 2), (DIE, 1, 1), (GO, 0, 3), (GO, 2, 4), (GO, 3, 3)),
)
every_schedule = given(schedule=schedules)


@pytest.mark.timeout(600)
@every_schedule
@example(schedule=SLOW_READER)
@example(schedule=DEATH_AFTER_COMMIT)
@example(schedule=FILL_BEFORE_COMMIT)
@settings(max_examples=2_000, deadline=None, database=None)
def test_nobody_reads_what_was_before_a_commit(play: Callable[[Schedule], None], schedule: Schedule) -> None:
    play(schedule)


@given(schedule=schedules_apart)
@example(schedule=NOT_TOLD)
@example(schedule=NOT_TOLD_IN_TIME)
@example(schedule=NOT_TOLD_TWICE)
@settings(max_examples=40, deadline=None, database=None)
def test_nobody_reads_what_was_before_a_commit_of_which_redis_was_not_told(
    play: Callable[[Schedule], None], schedule: Schedule
) -> None:
    play(schedule)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
@given(schedule=schedules_apart)
@settings(max_examples=5_000, deadline=None, database=None)
def test_nobody_ever_reads_what_was_before_a_commit_of_which_redis_was_not_told(
    play: Callable[[Schedule], None], schedule: Schedule
) -> None:
    play(schedule)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
@every_schedule
@settings(max_examples=50_000, deadline=None, database=None)
def test_nobody_ever_reads_what_was_before_a_commit(play: Callable[[Schedule], None], schedule: Schedule) -> None:
    play(schedule)
