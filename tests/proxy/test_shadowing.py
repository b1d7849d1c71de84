"""Shadow work in the whole proxy, before real sockets: it is asked of the other side, and never at users' cost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest

from flags.flag import bucket
from shadow.pacer import LEARNS, LOOKS
from shadow.yielding import FLOOR, Cause
from tests.fidelity.cases import answer, length
from tests.fidelity.origin import Origin, running_origin
from tests.fidelity.wire import Close, Gone, Script, Whole
from tests.proxy.stage import Stage, eventually, settled, staged

MARK = b"x-strangler-shadow"
READ = {"name": "read", "match": "GET /read/{id}", "shadow": "100%"}
OTHER = {"name": "other", "match": "GET /other"}
FAIL: Script = (Whole(), answer("500 Oops", length(0)))
GIBIBYTE = 1 << 30


@dataclass(frozen=True, slots=True)
class Sides:
    """A proxy between two sides that write down what they are asked."""

    stage: Stage
    legacy: Origin
    native: Origin

    def compared(self, candidate: str, outcome: str) -> float:
        return self.stage.metric("comparisons_total", route="read", candidate=candidate, outcome=outcome)

    def dropped(self, reason: str) -> float:
        return self.stage.metric("shadow_drops_total", route="read", reason=reason)

    def second(self) -> float:
        """Let a second pass for whoever paces shadow work; the part of it that is left."""
        pacer = self.stage.strangler.pacer
        for _ in range(LOOKS):
            pacer.looked(0.0)
        return pacer.factor

    def yields_for(self) -> set[str]:
        return {cause.value for cause in Cause if self.stage.metric("shadow_yielding", cause=cause.value)}


def marked(origin: Origin) -> int:
    return sum(bool(came.values(MARK)) for came in origin.received)


@asynccontextmanager
async def between(*routes: dict[str, Any], native: Any = None, **sections: Any) -> AsyncIterator[Sides]:
    """`native`: its knobs."""
    sections["shadow"] = {"noise": "0%", **sections.get("shadow", {})}
    async with running_origin() as one, running_origin() as other:
        urls: list[dict[str, Any]] = [{"url": f"http://127.0.0.1:{origin.port}"} for origin in (one, other)]
        sides = {"legacy": urls[0], "native": {**urls[1], **(native or {})}}
        async with staged(**sides, routes=[*routes], **sections) as stage:
            yield Sides(stage, one, other)


async def read(sides: Sides, times: int = 1, **headers: str) -> None:
    for number in range(times):
        told = await sides.stage.user.get(f"/read/{number}", headers=headers)
        assert (told.status_code, told.text) == (200, "ok")


# Both ways


async def test_whoever_does_not_answer_is_the_candidate_before_the_flip_in_it_and_after() -> None:
    route, users = {**READ, "group": "g"}, [str(number) for number in range(40)]
    expected = Counter[str]()
    async with between(route, subject=["header:x-user"], holdback="20%") as sides:
        for share in (0, 5_000, 10_000):
            await sides.stage.strangler.loop.set("read", share=share)
            for user in users:
                await read(sides, **{"x-user": user})
                by_native = bucket("g", user) < min(share, 8_000)
                expected["legacy" if by_native else "native"] += 1
        await eventually(lambda: sides.compared("legacy", "matched") == expected["legacy"])
        await eventually(lambda: sides.compared("native", "matched") == expected["native"])
        assert (marked(sides.legacy), marked(sides.native)) == (expected["legacy"], expected["native"])
    assert len(users) < expected["native"] < 3 * len(users)  # those held back are compared to the end


async def test_what_is_asked_after_a_parity_was_begun_anew_counts_in_the_new_one() -> None:
    async with between(READ) as sides:
        parities = sides.stage.strangler.parities
        for times in (3, 1):
            await parities.begin("read")
            before = sides.compared("native", "matched")
            await read(sides, times)
            await eventually(lambda: sides.compared("native", "matched") == before + times)  # noqa: B023  awaited here
            await parities.look()
            assert parities.of("read").whole.compared == times


async def test_a_get_that_writes_in_legacy_is_asked_there_by_users_alone() -> None:
    async with between({**READ, "shadow_legacy": False, "share": "100%"}) as sides:
        await read(sides, 3)
        await eventually(lambda: sides.dropped("spared") == 3)
        assert await settled(lambda: len(sides.legacy.received)) == 0


async def test_what_such_a_get_answers_in_legacy_is_compared_but_never_asked_there_again() -> None:
    async with between({**READ, "shadow_legacy": False}) as sides:
        await read(sides)
        await eventually(lambda: sides.compared("native", "matched") == 1)
        sides.native.begin(FAIL)
        await read(sides)
        await eventually(lambda: sides.compared("native", "unchecked") == 1)
        assert await settled(lambda: len(sides.legacy.received)) == 2
        assert marked(sides.legacy) == 0


# Never the user's problem


async def test_candidates_that_hang_take_no_user_s_place() -> None:
    knobs = {"connections": 1, "queue": 0}
    routes = READ, {**OTHER, "share": "100%"}
    async with between(*routes, native=knobs, shadow={"concurrency": 4, "queue": 2, "deadline": "1h"}) as sides:
        sides.native.begin(*[(Whole(), Gone())] * 4, (Whole(), answer("200 OK", length(2), body=b"hi")))
        await read(sides, 10)
        await eventually(lambda: marked(sides.native) == 4)
        for _ in range(5):
            assert (await sides.stage.user.get("/other")).text == "hi"
        assert sides.dropped("queue_full") == 10 - 4 - 2
        assert sides.stage.metric("pool", pool="native_shadow", state="busy") == 4


async def test_candidates_that_hang_are_given_up_in_time_and_told_apart() -> None:
    async with between(READ, shadow={"concurrency": 2, "deadline": "50ms"}) as sides:
        sides.native.begin((Whole(), Gone()))
        await read(sides, 4)
        await eventually(lambda: sides.compared("native", "unanswered") == 4)
        assert sides.compared("native", "mismatched") == 0
        await sides.stage.quiet()


@pytest.mark.parametrize("script", [(Whole(), Close()), (Whole(), answer("200 OK", length(9), body=b"half"), Close())])
async def test_a_candidate_that_dies_of_the_question_differs(script: Script) -> None:
    async with between(READ) as sides:
        sides.native.begin(script)
        await read(sides)
        await eventually(lambda: sides.compared("native", "mismatched") == 1)
        await sides.stage.quiet()


async def test_a_candidate_that_is_down_has_not_answered() -> None:
    async with AsyncExitStack() as staying:
        native = AsyncExitStack()
        origin = await native.enter_async_context(running_origin())
        legacy = await staying.enter_async_context(running_origin())
        urls = [{"url": f"http://127.0.0.1:{each.port}"} for each in (legacy, origin)]
        stage = await staying.enter_async_context(staged(legacy=urls[0], native=urls[1], routes=[READ]))
        sides = Sides(stage, legacy, origin)
        await native.aclose()
        await read(sides)
        await eventually(lambda: sides.compared("native", "unanswered") == 1)
        assert sides.compared("native", "mismatched") == 0


@pytest.mark.parametrize("framing", [b"Content-Length: %d" % GIBIBYTE, b"Transfer-Encoding: chunked"])
async def test_an_answer_of_a_gibibyte_is_broken_off_as_soon_as_it_is_too_large(framing: bytes) -> None:
    poured, begun, ended = 0, 0, 0

    async def pours(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal poured, begun, ended
        piece = bytes(1 << 16)
        chunk = b"%x\r\n%b\r\n" % (len(piece), piece) if b"chunked" in framing else piece
        try:
            await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:  # somebody only looks whether we are there
            writer.close()
            return
        begun += 1
        with suppress(ConnectionError):
            writer.write(answer("200 OK", framing))
            while poured < GIBIBYTE:
                writer.write(chunk)
                await writer.drain()
                poured += len(piece)
        ended += 1
        writer.close()

    server = await asyncio.start_server(pours, "127.0.0.1", 0)
    async with server, running_origin() as legacy:
        port = server.sockets[0].getsockname()[1]
        urls = {"legacy": {"url": f"http://127.0.0.1:{legacy.port}"}, "native": {"url": f"http://127.0.0.1:{port}"}}
        async with staged(**urls, routes=[READ], shadow={"body": "64KiB", "noise": "0%"}) as stage:
            sides = Sides(stage, legacy, legacy)
            await read(sides)
            await eventually(lambda: sides.compared("native", "mismatched") == 1)
            await stage.quiet()
            await eventually(lambda: ended == begun > 0)
    assert poured < ended * (16 << 20)  # what the system buffers on both ends


@pytest.mark.parametrize(("crumbs", "outcome"), [(4_096, "matched"), (4_097, "mismatched")])
async def test_an_answer_in_thousands_of_crumbs_is_broken_off(crumbs: int, outcome: str) -> None:
    in_crumbs = answer("200 OK", b"Transfer-Encoding: chunked") + b"1\r\nx\r\n" * crumbs + b"0\r\n\r\n"
    async with between(READ) as sides:
        sides.legacy.begin((Whole(), answer("200 OK", length(crumbs), body=b"x" * crumbs)))
        sides.native.begin((Whole(), in_crumbs))
        assert (await sides.stage.user.get("/read/1")).text == "x" * crumbs
        await eventually(lambda: sides.compared("native", outcome) == 1)
        await sides.stage.quiet()


async def test_users_are_given_an_answer_in_however_many_crumbs() -> None:
    crumbs = answer("200 OK", b"Transfer-Encoding: chunked") + b"1\r\nx\r\n" * 5_000 + b"0\r\n\r\n"
    async with between({**OTHER, "share": "100%"}) as sides:
        sides.native.begin((Whole(), crumbs))
        assert (await sides.stage.user.get("/other")).text == "x" * 5_000


# Yielding


Serves = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def side_that(serves: Serves) -> AsyncIterator[str]:
    """A side that serves each connection so; it is gone once all of them are."""
    under_way = 0

    async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way
        under_way += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await serves(reader, writer)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        under_way -= 1

    server = await asyncio.start_server(counted, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await eventually(lambda: not under_way)


@asynccontextmanager
async def slowable() -> AsyncIterator[tuple[str, list[float]]]:
    """A side that answers `ok` after so many seconds."""
    delays = [0.0]

    async def serves(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            await asyncio.sleep(delays[0])
            writer.write(answer("200 OK", length(2), body=b"ok"))

    async with side_that(serves) as url:
        yield url, delays


async def test_fewer_requests_are_shadowed_while_legacy_is_slower_than_it_was() -> None:
    async with slowable() as (url, delays), running_origin() as native:
        urls = {"legacy": {"url": url}, "native": {"url": f"http://127.0.0.1:{native.port}"}}
        async with staged(**urls, routes=[READ], shadow={"queue": 1_000}) as stage:
            sides = Sides(stage, native, native)

            async def users(count: int) -> int:
                """How many of so many requests are shadowed."""
                before = len(native.received)
                await asyncio.gather(*[read(sides) for _ in range(count)])
                await eventually(lambda: not stage.strangler.runner.pending)
                return await settled(lambda: len(native.received)) - before

            delays[0] = 0.3  # the machine may be late by as much
            for _ in range(10):
                await users(10)
            await eventually(lambda: len(native.received) == 100)
            stage.strangler.books.fade()  # a minute has passed: what is usual is known
            delays[0] = 3.0
            await users(100)
            assert min(sides.second() for _ in range(10)) == FLOOR
            assert sides.yields_for() == {"legacy_slow"}
            delays[0] = 0.0
            assert await users(100) < 50
            while sides.second() <= FLOOR:
                await users(20)
            assert sides.yields_for() == set()


async def test_fewer_requests_are_shadowed_while_native_says_that_it_is_busy() -> None:
    async with between(READ) as sides:
        sides.native.begin((Whole(), answer("200 OK", b"X-Strangler-Busy: 1", length(2), body=b"ok")))
        await read(sides)
        await eventually(lambda: sides.compared("native", "matched") == 1)
        assert sides.second() == sides.stage.metric("shadow_factor") == 0.5
        assert sides.yields_for() == {"candidate_busy"}
        assert sides.second() == 0.55


async def test_fewer_requests_are_shadowed_while_native_breaks_off() -> None:
    async with between(READ) as sides:
        sides.native.begin((Whole(), Close()))
        await read(sides, 110)  # some of these look whether it is there, or ask once more
        await eventually(lambda: sides.compared("native", "mismatched") + sides.compared("native", "unchecked") == 110)
        assert sides.second() == 0.5
        assert sides.yields_for() == {"in_vain"}


async def test_fewer_requests_are_shadowed_than_are_dropped() -> None:
    limits = {"concurrency": 1, "queue": 1, "deadline": "1h"}
    async with between(READ, shadow=limits) as sides:
        sides.native.begin((Whole(), Gone()))
        await read(sides, 110)
        await eventually(lambda: sides.dropped("queue_full") == 108)  # as soon as the last one was answered
        assert sides.second() == 0.5
        assert sides.yields_for() == {"in_vain"}


async def test_users_are_not_told_of_it() -> None:
    async with between({**READ, "share": "100%"}) as sides:
        sides.native.begin((Whole(), answer("200 OK", b"X-Strangler-Busy: 1", length(2), body=b"ok")))
        assert "x-strangler-busy" not in (await sides.stage.user.get("/read/1")).headers


async def test_it_looks_for_itself_unless_it_is_told_not_to_yield() -> None:
    async with staged(shadow={"yields": True}) as yielding, staged() as steady:
        assert yielding.at_rest == steady.at_rest + 1


def look_at_no_event_loop() -> None:
    """Whoever looks how late it comes would have next to nothing shadowed on a busy machine."""
    next(task for task in asyncio.all_tasks() if "Pacer.run" in repr(task.get_coro())).cancel()


async def test_a_legacy_short_of_threads_is_asked_no_more_at_once_than_it_has() -> None:
    threads, most, under_way = asyncio.Semaphore(2), 0, 0

    async def serves(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal most, under_way
        while await reader.readuntil(b"\r\n\r\n"):
            under_way += 1
            most = max(most, under_way)
            async with threads:
                await asyncio.sleep(0.01)
            under_way -= 1
            writer.write(answer("200 OK", length(2), body=b"ok"))

    async with side_that(serves) as url, running_origin() as native:
        legacy = {"url": url}
        route, limits = {**READ, "share": "100%"}, {"queue": 1_000, "noise": "0%", "yields": True}
        urls = {"legacy": legacy, "native": {"url": f"http://127.0.0.1:{native.port}"}}
        async with staged(**urls, routes=[route], shadow=limits, holdback="0%") as stage:
            sides = Sides(stage, native, native)
            assert stage.metric("shadow_room") == 1
            look_at_no_event_loop()
            for _ in range(LEARNS):
                sides.second()
            matched = stage.strangler.metrics.compared.labels("read", "legacy", "matched")
            for asked in (60, 120):
                await asyncio.gather(*[read(sides) for _ in range(60)])
                await eventually(lambda asked=asked: matched.value == asked)  # type: ignore[misc]  # of this round
            assert 2 <= most <= 4
            assert 1 <= stage.metric("shadow_room") <= 4


async def test_a_legacy_that_hangs_as_candidate_has_its_threads_for_its_users() -> None:
    """It works on though nobody waits for it any more, as a thread does."""
    threads, over, hanging = asyncio.Semaphore(3), asyncio.Event(), 0

    async def serves(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal hanging
        while head := await reader.readuntil(b"\r\n\r\n"):
            async with threads:
                if MARK in head.lower():
                    hanging += 1
                    await over.wait()
                writer.write(answer("200 OK", length(2), body=b"ok"))

    async with side_that(serves) as url, running_origin() as native:
        legacy = {"url": url, "first_byte": "1h"}
        urls = {"legacy": legacy, "native": {"url": f"http://127.0.0.1:{native.port}"}}
        shadow = {"noise": "0%", "yields": True, "deadline": "500ms"}
        async with staged(**urls, routes=[{**READ, "share": "100%"}, OTHER], shadow=shadow, holdback="0%") as stage:
            sides = Sides(stage, native, native)
            look_at_no_event_loop()
            await read(sides, 20)
            await eventually(lambda: sides.compared("legacy", "unanswered") + sides.dropped("paused") == 20)
            await read(sides, 20)
            await eventually(lambda: sides.dropped("paused") == 39)
            assert (await stage.user.get("/other")).text == "ok"
            assert hanging == 1
            over.set()
