"""What only the Redis store can get wrong; the rest is in tests/contract/test_store.py."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from demo.service import free_port
from flags.capacity import Load
from flags.errors import StoreUnavailable
from flags.flag import Flag, Side, encode
from flags.ramp import Ramp, State
from flags.store import Store, ramps
from flags.store.redis import BEAT, LIMIT, RedisStore
from flags.window import Counts
from tests.contract.redis_process import PATIENCE, RedisProcess
from tests.flags.workers import NOTE

ROUTE = "messages.create"
KEY, AUDIT = "{strangler}:flags", "{strangler}:audit"
CELL = (100, ROUTE, Side.NATIVE)
RAMP = Ramp((100, 500), 600.0, 2_000, "anna", found=7, at=1.0, generation=4)

CALLS: dict[str, Callable[[Store], Awaitable[object]]] = {
    "flags": lambda store: store.flags(),
    "change": lambda store: store.change(ROUTE, 0, Flag(generation=1), NOTE),
    "seed": lambda store: store.seed({ROUTE: Flag()}, NOTE),
    "report": lambda store: store.report("one", {CELL: Counts(1)}, 100),
    "window": lambda store: store.window(90, 100),
    "audit": lambda store: store.audit(5),
    "audited": lambda store: store.audited("0-0", 5),
    "ramps": lambda store: store.ramps(),
    "ramp": lambda store: store.ramp(ROUTE, 0, RAMP),
    "carry": lambda store: store.carry("one", {29_000_000: Load(1, 1)}),
    "carried": lambda store: store.carried(29_000_000, 29_000_500),
}
each_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())


@asynccontextmanager
async def connected(url: str, limit: float = PATIENCE, beat: float = BEAT) -> AsyncIterator[tuple[RedisStore, Redis]]:
    store = RedisStore(url, limit, beat)
    async with Redis.from_url(url, decode_responses=True) as client:
        try:
            yield store, client
        finally:
            await store.close()


async def in_the_end(call: Callable[[], Awaitable[object]]) -> object:
    """What it comes to once the store is there; as often as its limit is too short for a machine that is busy."""
    while True:
        with suppress(StoreUnavailable):
            return await call()


@each_call
async def test_an_absent_redis_is_unavailable_and_its_password_is_not_told(
    call: Callable[[Store], Awaitable[object]],
) -> None:
    async with connected(f"redis://:a-secret@127.0.0.1:{free_port()}/3") as (store, _):
        with pytest.raises(StoreUnavailable, match=r"^Redis at 127\.0\.0\.1:\d+/3: ") as error:
            await call(store)
    assert "a-secret" not in str(error.value)


@each_call
async def test_a_redis_that_hangs_is_unavailable_in_bounded_time_and_serves_again_when_it_goes_on(
    own_redis: RedisProcess, call: Callable[[Store], Awaitable[object]]
) -> None:
    async with connected(own_redis.url(), LIMIT) as (store, _), asyncio.timeout(2 * PATIENCE):
        await store.flags()
        own_redis.pause()
        with pytest.raises(StoreUnavailable):
            await call(store)
        own_redis.resume()
        await in_the_end(lambda: call(store))


@each_call
async def test_a_restart_of_redis_between_two_calls_is_not_noticed(
    own_redis: RedisProcess, call: Callable[[Store], Awaitable[object]]
) -> None:
    async with connected(own_redis.url()) as (store, _):
        await store.flags()
        own_redis.kill()
        own_redis.start()
        await call(store)


@each_call
async def test_keys_of_another_type_make_the_store_unavailable_and_nothing_else(
    own_redis: RedisProcess, call: Callable[[Store], Awaitable[object]]
) -> None:
    async with connected(own_redis.url()) as (store, client):
        for key in (KEY, AUDIT, "{strangler}:window:100", "{strangler}:ramps", "{strangler}:load:29000000"):
            await client.set(key, "no hash")
        with pytest.raises(StoreUnavailable):
            await call(store)


async def test_counts_that_are_not_ours_make_the_window_unavailable(own_redis: RedisProcess) -> None:
    async with connected(own_redis.url()) as (store, client):
        await client.hset("{strangler}:window:100", mapping={"version": "1", "sideways messages.create": "1 1 0 0 0"})
        with pytest.raises(StoreUnavailable, match="not ours"):
            await store.window(100, 100)


@pytest.mark.parametrize(
    ("more", "resting", "pairs"),
    [("", 0, 0), (" 2", 2, 0), (" 2 4", 2, 4), (" 2 4 7", 2, 4)],
    ids=["long ago", "earlier", "this", "later"],
)
async def test_what_another_version_counts_more_is_passed_over_and_what_it_counts_less_is_none(
    own_redis: RedisProcess, more: str, resting: int, pairs: int
) -> None:
    async with connected(own_redis.url()) as (store, client):
        counted = {"version": "1", f"native {ROUTE}": f"5 4 1 0 3{more};00000000001"}
        await client.hset("{strangler}:window:100", mapping=counted)
        assert await store.window(100, 100) == {100: {CELL[1:]: Counts(5, 4, 1, 0, 3, frozenset({1}), resting, pairs)}}
        await client.hset("{strangler}:load:29000000", "one", "3 4 5")
        assert await store.carried(29_000_000, 29_000_000) == {29_000_000: Load(3, 4)}


@pytest.mark.parametrize(
    ("text", "generation"),
    [
        ("nonsense", 0),
        ("", 0),
        ("\udcff", 0),
        ("[" * 100_000, 0),
        ('{"generation": 7}', 7),
        ('{"native": 99999, "shadow": 0, "trip": null, "generation" : 7}', 7),
        ('{"native": 500, "shadow": 0, "trip": null, "generation": 7.5}', 7),
        ('{"native": 500, "shadow": 0, "trip": null, "generation": -7}', 0),
        ('{"native": 500, "shadow": 0, "trip": null, "generation": 9, "generation": 7}', 9),
        ('{"generation": ' + "9" * 5_000 + "}", 999_999_999_999_999),
    ],
)
async def test_a_flag_that_cannot_be_read_is_a_share_of_nothing_and_can_be_replaced(
    own_redis: RedisProcess, text: str, generation: int
) -> None:
    async with connected(own_redis.url()) as (store, client):
        await client.hset(KEY, ROUTE, text.encode("utf-8", "surrogateescape"))
        await client.hset(KEY, "another", encode(Flag(native=5, generation=1)))
        assert await store.flags() == {ROUTE: Flag(generation=generation), "another": Flag(native=5, generation=1)}
        replacement = Flag(native=100, generation=min(generation + 1, 10**15 - 1))
        await store.change(ROUTE, generation, replacement, NOTE)
        assert (await store.flags())[ROUTE] == replacement


async def test_a_flag_written_by_hand_with_spaces_is_read(own_redis: RedisProcess) -> None:
    flag = Flag(native=500, generation=7)
    async with connected(own_redis.url()) as (store, client):
        await client.hset(KEY, ROUTE, json.dumps(json.loads(encode(flag)), indent=2))
        assert await store.flags() == {ROUTE: flag}


async def test_a_change_whose_answer_was_lost_may_be_repeated(own_redis: RedisProcess) -> None:
    async with connected(own_redis.url()) as (store, _):
        for _ in range(2):
            await store.change(ROUTE, 0, Flag(native=5, generation=1), NOTE)
        assert len(await store.audit(5)) == 1


async def test_a_change_that_could_not_be_recorded_is_not_made(own_redis: RedisProcess) -> None:
    async with connected(own_redis.url()) as (store, client):
        await client.set(AUDIT, "no stream")
        for order in (
            store.change(ROUTE, 0, Flag(native=5, generation=1), NOTE),
            store.seed({ROUTE: Flag(native=5)}, NOTE),
        ):
            with pytest.raises(StoreUnavailable):
                await order
        assert await store.flags() == {}


async def test_records_that_are_not_ours_are_passed_over(own_redis: RedisProcess) -> None:
    async with connected(own_redis.url()) as (store, client):
        strange = [{"route": ROUTE}, {"route": ROUTE, "note": "{", "before": "", "after": ""}]
        for fields in [*strange, {"route": ROUTE, "note": "[" * 100_000, "before": "", "after": ""}]:
            await client.xadd(AUDIT, fields)
        await client.hset(KEY, ROUTE, "nonsense")
        await store.change(ROUTE, 0, Flag(native=5, generation=1), NOTE)
        (record,) = await store.audit(5)
        assert (record.before, record.after) == (Flag(), Flag(native=5, generation=1))
        assert await store.audited("0-0", 1) == [record]


async def test_counts_said_while_redis_hung_are_not_counted_twice(own_redis: RedisProcess) -> None:
    """A paused server executes what lies in its buffers once it goes on."""
    async with connected(own_redis.url(), LIMIT) as (store, _), asyncio.timeout(2 * PATIENCE):
        await store.flags()
        own_redis.pause()
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await store.report("one", {CELL: Counts(30, 10)}, 100)
        own_redis.resume()
        await in_the_end(lambda: store.report("one", {CELL: Counts(31, 11)}, 100))
        assert await in_the_end(lambda: store.window(100, 100)) == {100: {CELL[1:]: Counts(31, 11, 0, 0)}}


async def test_databases_do_not_hear_each_other(own_redis: RedisProcess) -> None:
    async with (
        connected(own_redis.url(1)) as (one, client),
        connected(own_redis.url(2)) as (two, _),
        client.pubsub() as listener,
        asyncio.timeout(PATIENCE),
    ):
        await listener.psubscribe("*")
        await listener.get_message(timeout=5)
        await one.change(ROUTE, 0, Flag(generation=1), NOTE)
        await two.change(ROUTE, 0, Flag(generation=1), NOTE)
        heard = [await listener.get_message(timeout=5) for _ in range(2)]
    assert [message["channel"] for message in heard] == ["{strangler}:changes:1", "{strangler}:changes:2"]


async def test_every_key_carries_the_one_hash_tag_and_counts_expire(own_redis: RedisProcess) -> None:
    async with connected(own_redis.url()) as (store, client):
        await store.change(ROUTE, 0, Flag(generation=1), NOTE)
        await store.report("one", {CELL: Counts(1)}, 100)
        keys = await client.keys("*")
        assert all(str(key).startswith("{strangler}:") for key in keys)
        lifetimes = {key: await client.ttl(key) for key in keys}
    assert lifetimes.pop(KEY) == lifetimes.pop(AUDIT) == -1
    assert len(lifetimes) == 2
    assert all(0 < lifetime <= 100 for lifetime in lifetimes.values())


async def test_a_subscription_outlives_a_restart_and_tells_that_something_may_have_changed(
    own_redis: RedisProcess,
) -> None:
    async with (
        connected(own_redis.url()) as (store, _),
        aclosing(store.changes()) as changes,
        asyncio.timeout(2 * PATIENCE),
    ):
        await anext(changes)
        own_redis.kill()
        own_redis.start()
        await anext(changes)
        await store.change(ROUTE, 0, Flag(generation=1), NOTE)
        await anext(changes)


async def test_a_subscription_is_renewed_as_soon_as_redis_is_back(own_redis: RedisProcess) -> None:
    async with (
        connected(own_redis.url()) as (store, _),
        aclosing(store.changes()) as changes,
        asyncio.timeout(2 * PATIENCE),
    ):
        await anext(changes)
        waiting = asyncio.gather(anext(changes))
        own_redis.kill()
        with capture_logs() as logs:
            while not any("subscription" in entry["event"] for entry in logs):
                with suppress(StoreUnavailable):
                    await store.flags()
        own_redis.start()
        await waiting


async def test_a_subscription_on_which_nothing_is_said_is_asked_whether_it_lives(own_redis: RedisProcess) -> None:
    quick = connected(own_redis.url(), LIMIT, beat=0.05)
    async with quick as (store, _), aclosing(store.changes()) as changes, asyncio.timeout(2 * PATIENCE):
        await anext(changes)
        await anext(changes)  # the answer to the question: nobody changed anything


async def test_a_subscription_that_does_not_answer_is_given_up_and_renewed(own_redis: RedisProcess) -> None:
    quick = connected(own_redis.url(), LIMIT, beat=0.05)
    async with quick as (store, _), aclosing(store.changes()) as changes, asyncio.timeout(2 * PATIENCE):
        await anext(changes)
        own_redis.pause()
        waiting = asyncio.gather(anext(changes))
        with capture_logs() as logs:
            while not any("no sign of life" in entry.get("error", "") for entry in logs):
                with suppress(StoreUnavailable):
                    await store.flags()
        own_redis.resume()
        await waiting


async def test_a_subscription_begins_when_redis_first_appears(own_redis: RedisProcess) -> None:
    own_redis.kill()
    async with (
        connected(own_redis.url()) as (store, _),
        aclosing(store.changes()) as changes,
        asyncio.timeout(2 * PATIENCE),
    ):
        waiting = asyncio.gather(anext(changes))
        await asyncio.sleep(0)
        own_redis.start()
        await waiting


async def test_a_listener_that_leaves_takes_its_connection_with_it(own_redis: RedisProcess) -> None:
    channel = "{strangler}:changes:0"
    async with connected(own_redis.url()) as (store, client), asyncio.timeout(PATIENCE):
        async with aclosing(store.changes()) as changes:
            await anext(changes)
            assert await client.pubsub_numsub(channel) == [(channel, 1)]
        left = await client.pubsub_numsub(channel)
        while left != [(channel, 0)]:  # the server notices when it next looks at the socket
            left = await client.pubsub_numsub(channel)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "5",
        "[" * 100_000,
        *(
            ramps.encode(RAMP).replace(was, now)
            for was, now in (
                ('"running"', '"climbing"'),
                ("[100,500]", "[500,100]"),
                ("[100,500]", '["1%"]'),
                ("[100,500]", "100"),
                ('"step":0', '"step":2'),
                ('"found":7', '"found":-7'),
                ('"hold":600.0', '"hold":NaN'),
                ('"min_requests":2000', '"min_requests":null'),
            )
        ),
    ],
)
async def test_a_ramp_that_cannot_be_read_is_over_and_can_be_replaced(text: str, own_redis: RedisProcess) -> None:
    async with connected(own_redis.url()) as (store, client):
        await client.hset("{strangler}:ramps", ROUTE, text)
        found = (await store.ramps())[ROUTE]
        assert (found.state, found.step) == (State.ABORTED, 0)
        assert "cannot be read" in found.why
        assert await store.ramp(ROUTE, found.generation, RAMP.into(State.RUNNING, 1_800_000_000.0))
        assert (await store.ramps())[ROUTE].state is State.RUNNING


def test_a_ramp_of_a_later_version_is_read_as_far_as_it_is_known() -> None:
    assert ramps.decode(ramps.encode(RAMP).replace("{", '{"until": "Friday", ', 1)) == RAMP
