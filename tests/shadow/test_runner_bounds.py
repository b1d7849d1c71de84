"""What the runner holds, and how much of it is under way at once."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from shadow.allowance import AT_ONCE, SHARE
from shadow.ask import DEADLINE
from shadow.compare import Rules
from shadow.experiment import Experiment, Experimenter, Limits
from shadow.journal import MemoryJournal
from shadow.noise import ROUNDS
from shadow.observation import Observation
from shadow.room import Room
from shadow.runner import Runner
from tests.shadow.answers import Ledger, answer, experiment, reply, running, side

RULES = {"list": Rules.parse(["ignored"])}

where = contextvars.ContextVar("where", default="nowhere")


class Gate:
    """A side that answers whom it lets through, and counts who waits."""

    def __init__(self) -> None:
        self.waiting = 0
        self.seen: list[str] = []
        self._come, self._through = asyncio.Condition(), asyncio.Semaphore(0)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen.append(where.get())
        async with self._come:
            self.waiting += 1
            self._come.notify_all()
        await self._through.acquire()
        self.waiting -= 1
        await reply(send, b"{}")

    async def come(self, count: int) -> None:
        async with asyncio.timeout(20), self._come:
            await self._come.wait_for(lambda: self.waiting == count)

    def let_through(self, count: int) -> None:
        for _ in range(count):
            self._through.release()


@asynccontextmanager
async def gated(limits: Limits, pace: Callable[[], float]) -> AsyncIterator[tuple[Runner, Ledger, Gate]]:
    ledger, gate = Ledger(), Gate()
    sides = {"legacy": side({}), "native": gate}
    experimenter = Experimenter(
        sides, RULES, MemoryJournal(), limits, ledger.listeners(), lambda: 0.0, draw=lambda: 0.99
    )
    runner = Runner(experimenter, limits, ledger.drop, pace)
    await runner.start()
    try:
        yield runner, ledger, gate
    finally:
        gate.let_through(1_000)
        await runner.stop(10.0)


async def test_as_many_are_under_way_as_the_pace_allows() -> None:
    pace = 0.5
    async with gated(Limits(concurrency=8), lambda: pace) as (runner, ledger, gate):
        for _ in range(40):
            runner.offer(experiment(answer({})))
        await gate.come(4)
        pace = 0.01
        gate.let_through(10)
        await ledger.finished(10)
        await gate.come(1)  # never none
        pace = 1.0
        gate.let_through(1)
        await ledger.finished(11)
        await gate.come(8)
        assert (runner.pending, ledger.drops) == (40 - 11 - 8, {})


async def test_what_is_under_way_counts_among_the_bytes_held() -> None:
    limits = Limits(concurrency=3, queue_bytes=10_000)
    async with gated(limits, lambda: 1.0) as (runner, ledger, gate):
        large = {"ignored": "x" * 3_000}
        for _ in range(5):
            runner.offer(experiment(answer(large)))
        await gate.come(3)
        assert (runner.pending, ledger.drops["queue_full"]) == (0, 2)
        under_way = asyncio.all_tasks() - {asyncio.current_task()}
        gate.let_through(3)
        await asyncio.gather(*under_way)
        for _ in range(3):
            runner.offer(experiment(answer(large)))
        assert ledger.drops["queue_full"] == 2  # there is room again
        gate.let_through(3)
        await ledger.finished(2 + 6)


async def test_an_experiment_runs_in_the_context_of_the_runner_and_not_of_the_request() -> None:
    where.set("at the start")
    async with gated(Limits(), lambda: 1.0) as (runner, ledger, gate):
        where.set("in a request")
        runner.offer(experiment(answer({})))
        gate.let_through(1)
        await ledger.finished(1)
        assert gate.seen == ["at the start"]


@pytest.mark.parametrize(("control", "outcome"), [("legacy", None), ("native", "unchecked")])
async def test_a_side_that_is_spared_is_asked_neither_as_candidate_nor_once_more(
    control: str, outcome: str | None
) -> None:
    asked: list[str] = []

    def listening(name: str, body: bytes) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            asked.append(name)
            await reply(send, body)

        return app

    candidate = "native" if control == "legacy" else "legacy"
    sides = {"legacy": listening("legacy", b"1"), "native": listening("native", b"2")}
    spared = [("list", "native")]
    async with running(sides, spared=spared) as (runner, ledger, journal):
        runner.offer(experiment(answer(3), control_side=control, candidate_side=candidate))
        await ledger.finished(1)
        assert ledger.outcomes == ([outcome] if outcome else [])
        assert ledger.drops == ({} if outcome else {"spared": 1})
        assert asked == (["legacy"] if outcome else [])
        runner.offer(experiment(answer(3), route="show", control_side=control, candidate_side=candidate))
        await ledger.until(lambda told: "mismatched" in told.outcomes)
    assert "native" in asked
    assert [found.route for found in await journal.latest(10)] == ["show"]


async def test_where_everything_differs_the_sides_are_not_asked_four_times_as_often() -> None:
    calls = 0

    async def different(scope: Any, receive: Any, send: Any) -> None:
        nonlocal calls
        calls += 1
        await reply(send, b'{"id": 2}')

    async with running({"legacy": side({"id": 1}), "native": different}) as (runner, ledger, _):
        for number in range(1, 201):
            runner.offer(experiment(answer({"id": 1})))
            await ledger.finished(number)
    assert set(ledger.outcomes) <= {"mismatched", "unchecked"}
    # The candidate is asked once each, and again for each that is confirmed: for the first one several times.
    assert calls <= 200 * (1 + SHARE) + AT_ONCE + ROUNDS


async def test_whoever_hears_of_answers_is_told_which_sides_are_busy() -> None:
    busy = (b"X-Strangler-Busy", b"1")

    async def strained(scope: Any, receive: Any, send: Any) -> None:
        await reply(send, b"{}", busy)

    async def at_ease(scope: Any, receive: Any, send: Any) -> None:
        await reply(send, b"{}", (b"x-strangler-busy", b"0"))

    async def silent(scope: Any, receive: Any, send: Any) -> None:
        raise ConnectionResetError

    heard: list[Observation] = []
    for candidate, told in ((strained, (200, True)), (at_ease, (200, False)), (silent, (0, False))):
        heard.clear()
        sides = {"native": candidate, "legacy": silent}
        async with running(sides, hears={"asked": lambda _, side, said: heard.append(said)}) as (runner, ledger, _):
            runner.offer(experiment(answer({})))
            await ledger.finished(1)
        assert (heard[0].status, heard[0].busy) == told


@pytest.mark.parametrize(
    ("native", "legacy", "heard"),
    [
        ("agent", "agent", "agent"),
        ("agent", None, "agent"),
        (None, "agent", "agent"),  # a candidate that fails does not come to say it
        (None, None, ""),
    ],
)
async def test_whoever_hears_of_the_end_is_told_as_whom_the_sides_were_asked(
    native: str | None, legacy: str | None, heard: str
) -> None:
    def saying(role: str | None, body: bytes) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            if role is None:
                raise ConnectionResetError
            await reply(send, body, (b"X-Strangler-Role", role.encode()))

        return app

    sides = {"native": saying(native, b'{"a": 1}'), "legacy": saying(legacy, b'{"a": 2}')}
    async with running(sides) as (runner, ledger, _):
        runner.offer(experiment(answer({"a": 2})))
        await ledger.finished(1)
    assert ledger.roles == [heard]


async def test_who_finds_no_room_lets_those_pass_whose_candidate_has_some() -> None:
    ledger, gate, room = Ledger(), Gate(), Room(most=4)
    limits, sides = Limits(concurrency=8), {"legacy": side({}), "native": gate}
    experimenter = Experimenter(
        sides, RULES, MemoryJournal(), limits, ledger.listeners(), lambda: 0.0, draw=lambda: 0.99
    )
    runner = Runner(experimenter, limits, ledger.drop, rooms={"native": room})
    await runner.start()
    for control, candidate in (("legacy", "native"), ("legacy", "native"), ("native", "legacy")):
        runner.offer(experiment(answer({}), control_side=control, candidate_side=candidate))
    await gate.come(1)
    await ledger.finished(1)
    assert ledger.results == [("list", "legacy", "matched")]
    assert (runner.pending, room.taken) == (1, 1)
    assert (runner.places("native"), runner.places("legacy")) == (1, 8)
    gate.let_through(2)
    await ledger.finished(3)
    await runner.stop(1.0)
    assert (ledger.outcomes, room.taken) == (["matched"] * 3, 0)


async def test_it_is_told_which_sides_answered_to_the_end() -> None:
    told: list[tuple[str, str, bool]] = []

    def asked(experiment: Experiment, side: str, answer: Observation) -> None:
        told.append((experiment.route, side, answer.complete))

    async def breaks(scope: Any, receive: Any, send: Any) -> None:
        raise OSError("gone")

    for candidate in (side({}), breaks):
        sides = {"legacy": side({}), "native": candidate}
        async with running(sides, hears={"asked": asked}) as (runner, ledger, _):
            runner.offer(experiment(answer({})))
            await ledger.finished(1)
    assert told[0] == ("list", "native", True)
    assert ("list", "native", False) in told[1:]


# What a side leaves unanswered


class Stubborn:
    """A side that answers nobody while it hangs, and counts whom it was asked by."""

    def __init__(self) -> None:
        self.asked, self.hangs = 0, True

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        await reply(send, b"{}")


@asynccontextmanager
async def stubborn(room: Room) -> AsyncIterator[tuple[Runner, Ledger, Stubborn]]:
    """Legacy, which has such a room, is stubborn."""
    ledger, legacy, limits = Ledger(), Stubborn(), Limits(concurrency=4, deadline=0.5)
    asked: list[Callable[..., None]] = []
    experimenter = Experimenter(
        {"native": side({}), "legacy": legacy},
        RULES,
        MemoryJournal(),
        limits,
        ledger.listeners(asked=lambda *told: asked[0](*told)),
        lambda: 0.0,
        draw=lambda: 0.01,  # every control is asked twice
    )
    runner = Runner(experimenter, limits, ledger.drop, rooms={"legacy": room})
    asked.append(runner.heard)
    await runner.start()
    try:
        yield runner, ledger, legacy
    finally:
        await runner.stop(10.0)


def of_native(route: str = "list") -> Experiment:
    return experiment(answer({}), route=route, control_side="native", candidate_side="legacy")


HOURS = {"list": 7_200.0, "show": 7_200.0}


async def test_a_side_that_hangs_is_asked_no_more_of_a_route_once_it_has_left_a_question_unanswered() -> None:
    async with stubborn(Room(4, HOURS)) as (runner, ledger, legacy):
        for _ in range(20):
            runner.offer(of_native())
        await ledger.finished(20)
        runner.offer(of_native())
        assert (ledger.outcomes, ledger.drops, legacy.asked) == (["unanswered"], {"paused": 20}, 1)


async def test_what_it_was_asked_keeps_its_place_from_other_routes() -> None:
    room = Room(4, HOURS)
    async with stubborn(room) as (runner, ledger, legacy):
        runner.offer(of_native())
        await ledger.finished(1)
        legacy.hangs = False
        for _ in range(3):
            runner.offer(of_native("show"))
        while room.taken:  # noqa: ASYNC110  # it tells nobody when it changes
            await asyncio.sleep(0)
        assert (runner.pending, room.places) == (3, 1)
    assert (ledger.drops, legacy.asked) == ({"stopped": 3}, 1)


async def test_when_that_is_over_it_is_asked_again() -> None:
    async with stubborn(Room(4, {"list": 0.01})) as (runner, ledger, legacy):
        runner.offer(of_native())
        await ledger.finished(1)
        legacy.hangs = False
        while "matched" not in ledger.outcomes:
            runner.offer(of_native())
            await asyncio.sleep(0)
        await ledger.finished(legacy.asked)


async def test_a_control_that_leaves_a_question_unanswered_is_asked_no_more_either() -> None:
    async with stubborn(Room(4, HOURS)) as (runner, ledger, legacy):
        for number in range(1, 6):
            runner.offer(experiment(answer({})))
            await ledger.finished(number)
        assert (ledger.drops, legacy.asked) == ({"paused": 4}, 1)


async def test_who_had_no_time_left_to_answer_has_left_nothing_unanswered() -> None:
    room = Room(4, HOURS)
    async with stubborn(room) as (runner, _, _):
        late = answer({}, complete=False, error=DEADLINE, elapsed=0.1)
        runner.heard(of_native(), "legacy", late)
        runner.heard(of_native(), "native", answer({}, complete=False, error=DEADLINE, elapsed=0.5))
        assert not room.paused("list", asyncio.get_running_loop().time())
        assert room.free(asyncio.get_running_loop().time())
