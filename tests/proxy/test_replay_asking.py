from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from proxy.errors import Refused
from proxy.forwarding import Forwarding
from proxy.peers import Peers
from proxy.replay.ahead import ROOM, ahead
from proxy.replay.asking import SILENT, Asking, Manner
from proxy.replay.forms import Unreadable
from proxy.replay.pace import Pace
from proxy.replay.question import Question, Reason, Skipped
from proxy.replay.tally import OfRoute
from proxy.signature import Secret
from shadow.ask import MARK
from shadow.compare import Rules
from shadow.experiment import Limits
from shadow.journal import MemoryJournal
from shadow.mismatch import Finding
from tests.shadow.answers import JSON, Side, reply, side

FAST = Pace(10_000.0)
SECRET = Secret(b"s" * 32)


def questions(count: int, *headers: tuple[bytes, bytes], scheme: str = "http") -> list[list[Question]]:
    return [[Question("users.show", "GET", b"/users/%d?full=1" % each, headers, scheme)] for each in range(count)]


class Sides:
    """Both, what they were asked, and a replay of them."""

    def __init__(self, legacy: Side, native: Side, **told: Any) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.journal: MemoryJournal = told.pop("journal", None) or MemoryJournal()
        manner = Manner(**{"pace": FAST, "concurrency": 4, "host": b"api.example.com", **told.pop("manner", {})})
        sides = {"legacy": self._noting("legacy", legacy), "native": self._noting("native", native)}
        rules = {"users.show": Rules.parse(["meta"])}
        limits = Limits(**{"deadline": 5.0, "patience": 0.1, "noise": 0.0, **told})
        self.asking = Asking(sides, rules, self.journal, limits, Forwarding(Peers([]), SECRET), manner)

    def _noting(self, name: str, app: Side) -> Side:
        async def noting(scope: Any, receive: Any, send: Any) -> None:
            self.asked.append((name, scope))
            await app(scope, receive, send)

        return noting

    async def replay(self, chosen: Iterable[list[Any]]) -> OfRoute:
        try:
            await self.asking.run(chosen)
        finally:
            await self.asking.close()
        return self.asking.tally.route("users.show")

    def count(self, name: str) -> int:
        return sum(side == name for side, _ in self.asked)

    async def found(self) -> list[tuple[str, str, int]]:
        return [(each.field, each.kind, each.count) for each in await self.journal.latest(100)]


async def failing(scope: Any, receive: Any, send: Any) -> None:
    await reply(send, b'{"error": 1}', status=500)


async def refusing(scope: Any, receive: Any, send: Any) -> None:
    raise Refused("nobody listens")


async def raising(scope: Any, receive: Any, send: Any) -> None:
    raise ZeroDivisionError


async def hanging(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.Event().wait()


async def streaming(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    await send({"type": "http.response.body", "body": b"data: 1\n\n"})


async def pouring(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [JSON]})
    while True:
        await send({"type": "http.response.body", "body": b" " * 65536, "more_body": True})


async def test_both_sides_are_asked_alike_as_the_proxy_would_ask_them_and_marked() -> None:
    sides = Sides(side({"id": 1}), side({"id": 1}), manner={"headers": ((b"accept", b"application/json"),)})
    found = await sides.replay(questions(1, (b"accept", b"*/*"), (b"range", b"bytes=0-1"), scheme="https"))
    assert (found.asked, found.outcomes) == (1, {"matched": 1})
    (_, legacy), (_, native) = sides.asked
    assert legacy["headers"] is not native["headers"]
    for scope in (legacy, native):
        given = {name: value for name, value in scope["headers"] if not name.startswith(b"x-strangler-")}
        assert (scope["method"], scope["path"], scope["query_string"]) == ("GET", "/users/0", b"full=1")
        assert given[b"host"] == given[b"x-forwarded-host"] == b"api.example.com"
        assert (given[b"accept"], given[b"range"]) == (b"application/json", b"bytes=0-1")
        assert (given[b"x-forwarded-proto"], given[b"x-forwarded-for"]) == (b"https", b"127.0.0.1")
        words = SECRET.words(scope["headers"], method=b"GET", target=b"/users/0?full=1", now=_at(scope))
        assert words["shadow"] == given[b"x-request-id"].decode()


def _at(scope: dict[str, Any]) -> float:
    (signature,) = (value for name, value in scope["headers"] if name == b"x-strangler-signature")
    return float(signature.partition(b",")[0][2:])


async def test_what_differs_is_confirmed_named_by_its_field_and_told_apart_from_what_a_rule_covers() -> None:
    sides = Sides(side({"id": 1}), side({"id": 2, "meta": 7}), manner={"concurrency": 1})
    found = await sides.replay(questions(3))
    assert (found.asked, found.parity.compared, found.outcomes) == (3, 3, {"mismatched": 3})
    assert found.covered["ignore meta"] >= 3
    assert await sides.found() == [("id", "value", 3)]
    assert all(MARK in dict(scope["headers"]) for _, scope in sides.asked)
    covered = Sides(side({"id": 1}), side({"id": 1, "meta": 7}))
    assert (await covered.replay(questions(2))).outcomes == {"ignored": 2}


async def test_what_is_asked_to_confirm_is_spent_from_the_same_rate() -> None:
    now, pace = asyncio.get_running_loop().time, Pace(100.0, slack=0.01)
    sides = Sides(side({"id": 1}), side({"id": 2}), manner={"pace": pace, "concurrency": 1})
    began = now()
    await sides.replay(questions(5))
    legacy = [scope["path"] for name, scope in sides.asked if name == "legacy"]
    ahead_of_the_last = legacy.index("/users/4")
    assert ahead_of_the_last > 4
    assert now() - began >= ahead_of_the_last / 100 - 0.02


async def test_no_more_are_under_way_than_is_said_and_all_of_those() -> None:
    under_way = most = 0
    full = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if under_way == 3:
            full.set()
        await full.wait()
        under_way -= 1
        await reply(send, b"{}")

    sides = Sides(slow, side({}), manner={"concurrency": 3})
    assert (await sides.replay(questions(9))).outcomes == {"matched": 9}
    assert most == 3


async def test_the_limit_ends_it_and_what_was_passed_over_is_counted() -> None:
    sides = Sides(side({}), side({}), manner={"limit": 2})
    skipped = [Skipped(1, Reason.UNSAFE), Skipped(2, Reason.MALFORMED), Skipped(3, Reason.MALFORMED)]
    found = await sides.replay([skipped, *questions(100)])
    assert (found.asked, sides.count("legacy"), sides.asking.stopped) == (2, 2, None)
    assert sides.asking.tally.skipped == {Reason.UNSAFE: 1, Reason.MALFORMED: 2}
    assert sides.asking.tally.places == [2, 3]


@pytest.mark.parametrize(
    ("legacy", "reason", "failures"),
    [
        (streaming, "streaming", {}),
        (pouring, "too_large", {}),
        (hanging, "incomplete", {"late": 2}),
        (refusing, "incomplete", {"refused": 2}),
        (raising, "incomplete", {"exception": 2}),
    ],
)
async def test_where_legacy_gives_nothing_to_compare_with_native_is_not_asked(
    legacy: Side, reason: str, failures: dict[str, int]
) -> None:
    sides = Sides(legacy, side({}), deadline=0.2 if legacy is hanging else 30.0)
    found = await sides.replay(questions(2))
    assert (found.asked, found.parity.compared, found.uncompared) == (2, 0, {reason: 2})
    assert found.sides["legacy"].failures == failures
    assert sides.count("native") == 0


@pytest.mark.parametrize(
    ("native", "outcome", "failure"),
    [(failing, "mismatched", "5xx"), (raising, "mismatched", "exception"), (hanging, "unanswered", "late")],
)
async def test_how_native_fails_is_counted(native: Side, outcome: str, failure: str) -> None:
    sides = Sides(side({}), native, deadline=1.0 if native is hanging else 30.0)
    found = await sides.replay(questions(2))
    assert found.outcomes == {outcome: 2}
    assert set(found.sides["native"].failures) == {failure}
    assert found.sides["legacy"].failures == {}


async def test_what_failed_once_and_then_no_more_is_known_of_the_side_that_did() -> None:
    for failing_side in ("legacy", "native"):
        asked = 0

        async def failing_once(scope: Any, receive: Any, send: Any) -> None:
            nonlocal asked
            asked += 1
            await (failing if asked == 1 else side({}))(scope, receive, send)

        both = {"legacy": side({}), "native": side({}), failing_side: failing_once}
        found = await Sides(**both).replay(questions(2))
        assert (found.outcomes, found.failed_alone) == ({"unconfirmed": 1, "matched": 1}, {failing_side: 1})


async def test_noise_is_learned_though_many_are_asked_before_anything_is_known() -> None:
    many, clock = 64, itertools.count()

    async def ticking(scope: Any, receive: Any, send: Any) -> None:
        await reply(send, b'{"at": %d}' % next(clock))

    found = await Sides(ticking, ticking, manner={"concurrency": many}).replay(questions(5 * many))
    assert found.parity.compared == 5 * many
    assert found.against == 0


async def test_what_the_journal_did_not_take_was_compared_all_the_same() -> None:
    class Lost(MemoryJournal):
        async def record(self, finding: Finding) -> None:
            raise ConnectionError

    found = await Sides(side({"id": 1}), side({"id": 2}), journal=Lost()).replay(questions(2))
    assert (found.parity.compared, found.uncompared) == (2, {})
    assert found.unjournalled > 0


async def test_how_long_answers_take_is_known_of_each_side() -> None:
    sides = Sides(side({}), hanging, deadline=1.0)
    found = await sides.replay(questions(1))
    assert (found.sides["legacy"].milliseconds(0.5) or 0) > 0
    assert found.sides["native"].milliseconds(0.95) is None


@pytest.mark.parametrize(("legacy", "native", "down"), [(refusing, side({}), "legacy"), (side({}), refusing, "native")])
async def test_a_side_that_answers_nobody_ends_it_soon_and_is_named(legacy: Side, native: Side, down: str) -> None:
    sides = Sides(legacy, native, manner={"concurrency": 2})
    found = await sides.replay(questions(1_000))
    assert SILENT <= found.asked <= SILENT + 2
    assert f"{down} left {SILENT} requests in a row without an answer (refused)" in (sides.asking.stopped or "")


@pytest.mark.parametrize("native", [failing, raising])
async def test_a_side_that_answers_wrongly_is_asked_on(native: Side) -> None:
    sides = Sides(side({}), native)
    assert (await sides.replay(questions(SILENT * 3))).asked == SILENT * 3
    assert sides.asking.stopped is None


async def test_told_to_stop_it_finishes_what_is_under_way_and_asks_nothing_more() -> None:
    begun, free, never = asyncio.Event(), asyncio.Event(), threading.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        begun.set()
        await free.wait()
        await reply(send, b"{}")

    def chosen() -> Iterator[list[Question]]:
        yield from questions(1)
        never.wait(30)  # a pipe in which nothing comes

    sides = Sides(slow, side({}))
    async with asyncio.TaskGroup() as group:
        replaying = group.create_task(sides.replay(chosen()))
        await begun.wait()
        sides.asking.stop("SIGINT ended it")
        sides.asking.stop("SIGTERM ended it")
        free.set()
        found = await replaying
    never.set()
    assert (found.outcomes, sides.asking.stopped) == ({"matched": 1}, "SIGINT ended it")
    sides.asking.stop("it is over, and nothing is said of it")
    assert sides.asking.stopped == "SIGINT ended it"


async def test_a_file_that_breaks_off_ends_it_after_what_was_read() -> None:
    def chosen() -> Iterator[list[Question]]:
        yield from questions(3)
        raise Unreadable("it ends in the middle")

    sides = Sides(side({}), side({}))
    assert (await sides.replay(chosen())).outcomes == {"matched": 3}
    assert (sides.asking.stopped, sides.asking.unreadable) == ("it ends in the middle", True)


async def test_no_more_is_read_ahead_than_there_is_room_for() -> None:
    read, enough = 0, threading.Event()

    def source() -> Iterator[int]:
        nonlocal read
        for read in range(1, 10_000):
            if read > ROOM:
                enough.set()
            yield read

    reading = ahead(source())
    assert await anext(reading) == 1
    assert await asyncio.to_thread(enough.wait, 10)
    assert read <= ROOM + 2
    await reading.aclose()
    assert read <= ROOM + 2
