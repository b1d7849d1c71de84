"""Where hardly anybody asks legacy, what native fails is put to both sides at once: before real sockets, and booked."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from flags.decide import Decision, Reason
from flags.flag import Side, bucket
from flags.rollback import Kind
from proxy.exchange import Exchange
from proxy.metrics import PAIRED
from tests.contract.redis_process import redis_process
from tests.fidelity.cases import answer, length
from tests.fidelity.origin import OK, Origin, running_origin
from tests.fidelity.wire import Script, Whole
from tests.proxy.stage import Stage, eventually, settled, staged

READ = {"name": "read", "match": "GET /read/{id}", "group": "g", "share": "100%", "shadow": "0.01%"}
WRITE = {**READ, "name": "write", "match": "POST /read"}
FAIL: Script = (Whole(), answer("500 Oops", length(0)))
HELD = 200  # basis points of the users, who stay on legacy
OURS = [user for user in range(1, 400) if bucket("g", str(user)) < 10_000 - HELD]
FAILED, SERVED = [user for user in OURS if user % 2], [user for user in OURS if not user % 2]


@asynccontextmanager
async def half_broken(*routes: dict[str, Any], **sections: Any) -> AsyncIterator[tuple[Stage, Origin]]:
    """Native fails users of odd numbers; hardly anybody is legacy's."""
    async with running_origin() as origin:
        given = {"holdback": "2%", "subject": ["header:x-user"], "native": {"app": "tests.proxy.apps:fails_odd"}}
        legacy = {"url": f"http://127.0.0.1:{origin.port}"}
        async with staged(legacy=legacy, routes=routes or [READ], **{**given, **sections}) as stage:
            yield stage, origin


async def read(stage: Stage, users: Sequence[int], **headers: str) -> None:
    for user in users:
        assert (await stage.user.get("/read/1", headers={"x-user": str(user), **headers})).status_code == 200


async def until_it_counts(stage: Stage) -> None:
    """What is asked is evidence from the second on that follows the one in which the share was first seen."""
    await eventually(lambda: "read" in stage.strangler.loop.verdicts)
    seen = int(time.time())
    await eventually(lambda: int(time.time()) > seen)


def pairs(stage: Stage, outcome: str, route: str = "read") -> float:
    return stage.strangler.metrics.pairs.labels(route, outcome).value


async def until_told(stage: Stage, outcome: str, number: int) -> None:
    await eventually(lambda: pairs(stage, outcome) == number)


@pytest.mark.parametrize("store", ["memory", "away"])
async def test_a_native_that_fails_half_is_found_by_pairs_though_nobody_asks_legacy(store: str) -> None:
    """Whether the store answers does not matter."""
    with redis_process() as redis:
        more = {"redis": redis.url()} if store == "away" else {}
        async with half_broken(**more) as (stage, _):
            loop = stage.strangler.loop
            if store == "away":
                await loop.set("read", share=10_000, shadow=1)
                redis.kill()
                await eventually(lambda: not loop.connected)
            await until_it_counts(stage)
            for failed, served in zip(FAILED[:20], SERVED, strict=False):
                await read(stage, [failed, served])
                await eventually(lambda: loop.get("read").tripped or _all_told(stage))
            await eventually(lambda: loop.get("read").tripped)
            trip = loop.get("read").trip
            assert trip is not None
            assert "legacy was not asked; in " in trip.reason
            assert " discordant shadow pairs it failed alone; e-value " in trip.reason
            assert trip.reason.endswith("(rule A)")


async def test_what_native_failed_goes_to_both_sides_with_the_mark_beside_what_legacy_answered_the_user() -> None:
    async with half_broken() as (stage, origin):
        await read(stage, FAILED[:1])
        await until_told(stage, "native_alone", 1)
        assert [came.values(b"x-strangler-shadow") != [] for came in origin.received] == [False, True]
        assert stage.metric("requests_total", route="read", side="native", outcome="failed") == 1


async def test_where_legacy_fails_pairs_as_well_nobody_goes_back_to_it() -> None:
    async with half_broken() as (stage, origin):
        origin.begin(*[OK, FAIL] * 12)
        await until_it_counts(stage)
        for number, user in enumerate(FAILED[:12], 1):
            await read(stage, [user])
            await until_told(stage, "alike", number)
        await read(stage, SERVED[:40])
        loop = stage.strangler.loop
        await eventually(lambda: "native failed 12 of 52" in _words(stage))
        assert loop.verdicts["read"].kind is Kind.INCONCLUSIVE
        assert "going back might help nobody" in _words(stage)
        assert not loop.get("read").tripped


def _all_told(stage: Stage) -> bool:
    failed = stage.metric("requests_total", route="read", side="native", outcome="failed")
    return sum(pairs(stage, outcome) for outcome in PAIRED) == failed


def _words(stage: Stage) -> str:
    found = stage.strangler.loop.verdicts.get("read")
    return found.words if found is not None else ""


@pytest.mark.parametrize(
    ("why", "knobs"),
    [
        ("nothing is shadowed", {"shadow": "0%"}),
        ("half is legacy's", {"share": "50%"}),
        ("legacy writes when it is read", {"shadow_legacy": False}),
        ("counts alone judge", {"judge": "threshold"}),
    ],
)
async def test_elsewhere_nobody_is_asked_again(why: str, knobs: dict[str, Any]) -> None:
    lower_half = [user for user in FAILED if bucket("g", str(user)) < 5_000]
    async with half_broken({**READ, **knobs}) as (stage, origin):
        await read(stage, lower_half[:3])
        await eventually(lambda: stage.metric("fallbacks_total", route="read") == 3)
        assert await settled(lambda: len(origin.received)) == 3, why


async def test_neither_a_write_nor_what_another_proxy_compares_is_asked_again() -> None:
    async with half_broken(READ, WRITE) as (stage, _):
        first, other, third = FAILED[:3]
        told = await stage.user.post("/read", headers={"x-user": str(first)})
        assert told.status_code == 500
        await read(stage, [other], **{"x-strangler-shadow": "r-9"})
        await read(stage, [third])
        await until_told(stage, "native_alone", 1)
        assert [pairs(stage, outcome, "write") for outcome in ("native_alone", "unasked")] == [0, 0]


async def test_what_a_tester_has_native_fail_is_evidence_of_nothing() -> None:
    async with half_broken() as (stage, origin):
        forced = Decision(Side.NATIVE, False, Reason.FORCED, forced_by="Anna")
        failed = Exchange("read", forced, int(time.time()), 0.1, 500, Side.NATIVE, failure="5xx")
        stage.strangler.books.failed(failed, {"strangler.request_id": "r-1"}, b"")
        assert await settled(lambda: len(origin.received)) == 0


async def test_what_is_too_much_is_not_asked_and_is_counted() -> None:
    async with half_broken() as (stage, _):
        pairing = stage.strangler.pairing
        assert pairing is not None
        await pairing.pairs.close()
        await read(stage, FAILED[:1])
        await until_told(stage, "unasked", 1)


async def test_a_proxy_without_a_native_side_has_no_pairs() -> None:
    async with running_origin() as origin, staged(legacy={"url": f"http://127.0.0.1:{origin.port}"}) as stage:
        assert stage.strangler.pairing is None
