"""What comes of differences, with sides that are noisy, change in between, or err now and then."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from itertools import chain, count, repeat
from typing import Any

import pytest

from shadow.experiment import Limits
from shadow.mismatch import Mismatch, State
from shadow.noise import ROUNDS, Field
from shadow.runner import Runner
from tests.shadow.answers import CANDIDATE_FIRST, Ledger, answer, experiment, reply, running, side

CONTROL_FIRST, TWICE = 0.9, 0.05
Answers = Callable[[], Any]


class World:
    """Two sides that answer as they are told to, and who was asked in which order."""

    def __init__(self, legacy: Answers, native: Answers) -> None:
        self.asked: list[str] = []
        self.noise: list[Field] = []
        self._legacy, self._native = legacy, native
        self.sides = {"legacy": self._side("legacy", legacy), "native": self._side("native", native)}

    def _side(self, name: str, answers: Answers) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            self.asked.append(name)
            body = answers()
            if body is None:
                raise ConnectionResetError
            await reply(send, body if isinstance(body, bytes) else answer(body).body)

        return app

    async def observe(
        self, draws: Iterator[float], times: int = 1, limits: Limits | None = None, **told: Any
    ) -> tuple[list[str], list[Mismatch]]:
        """The outcomes of so many experiments, one after the other, and what is in the journal."""
        noise = self.noise.append
        given = {"draw": lambda: next(draws), **told}
        hears = {"noise": lambda route, field: noise(field)}
        async with running(self.sides, limits=limits, hears=hears, **given) as (runner, ledger, journal):
            for number in range(1, times + 1):
                await _one(runner, ledger, self._legacy, number)
        return ledger.outcomes, await journal.latest(100)


async def _one(runner: Runner, ledger: Ledger, legacy: Answers, number: int) -> None:
    runner.offer(experiment(answer(legacy())))
    await ledger.finished(number)


def never_twice(order: float = CANDIDATE_FIRST) -> Iterator[float]:
    return chain.from_iterable(repeat((0.99, *[order] * ROUNDS)))


def named(found: list[Mismatch], state: State = State.OPEN) -> set[tuple[str, str]]:
    return {(each.field, each.kind) for each in found if each.state(each.last) is state}


@pytest.mark.parametrize(
    ("order", "closes"), [(CANDIDATE_FIRST, ["native", "legacy"]), (CONTROL_FIRST, ["legacy", "native", "legacy"])]
)
async def test_the_control_is_always_asked_before_and_after_the_candidate(order: float, closes: list[str]) -> None:
    world = World(lambda: {"id": 1}, lambda: {"id": 2})
    outcomes, found = await world.observe(never_twice(order))
    assert world.asked == ["native", "legacy", *closes * ROUNDS]
    assert (outcomes, named(found)) == (["mismatched"], {("id", "value")})


async def test_what_was_confirmed_before_is_confirmed_by_asking_once_more() -> None:
    world = World(lambda: {"id": 1}, lambda: {"id": 2})
    draws = chain([0.99, *[CANDIDATE_FIRST] * ROUNDS], repeat(CANDIDATE_FIRST))
    outcomes, _ = await world.observe(draws, times=2)
    assert outcomes == ["mismatched"] * 2
    assert world.asked[2 + 2 * ROUNDS :] == ["native", "legacy", "native", "legacy"]


async def test_one_defect_after_another_is_confirmed_at_its_first_request() -> None:
    """As many as a route may save up confirmations for, though each of them takes several rounds."""
    turns = count()
    world = World(lambda: {"id": 1}, lambda: {"id": 1, f"field{next(turns) // (1 + ROUNDS)}": 2})
    outcomes, found = await world.observe(never_twice(), times=20)
    assert outcomes == ["mismatched"] * 20
    assert named(found) == {(f"field{number}", "extra") for number in range(20)}


async def test_a_noisy_field_hides_no_other() -> None:
    """A request id in every answer: both sides give another one each time."""
    numbers = count()
    legacy = lambda: {"id": next(numbers), "name": "Ada", "total": 10}  # noqa: E731  # read beside its counterpart
    native = lambda: {"id": next(numbers), "name": "ADA", "total": 10}  # noqa: E731
    world = World(legacy, native)
    outcomes, found = await world.observe(never_twice(), times=3)
    assert outcomes == ["mismatched"] * 3
    assert named(found) == {("name", "value")}
    assert named(found, State.UNCONFIRMED) == {("id", "value")}  # the first time nothing was known of it
    assert world.noise == [Field("id", "value")] * 2


@pytest.mark.parametrize("noisy", [60, 120])
async def test_many_noisy_fields_hide_no_other(noisy: int) -> None:
    """More than are told of one comparison, and more than are remembered; all come before the one that is wrong."""
    numbers = count()

    def answers(total: int) -> Answers:
        return lambda: {**{f"f{number:03}": next(numbers) for number in range(noisy)}, "total": total}

    outcomes, found = await World(answers(1), answers(2)).observe(never_twice(), times=8)
    assert (outcomes.count("noise"), outcomes[-3:]) == (0, ["mismatched"] * 3)
    assert named(found) == {("total", "value")}


async def test_noise_alone_is_an_outcome_and_asks_nobody_again() -> None:
    numbers = count()
    world = World(lambda: {"id": next(numbers)}, lambda: {"id": next(numbers)})
    outcomes, found = await world.observe(repeat(CANDIDATE_FIRST), times=3)
    assert outcomes == ["unconfirmed", "unconfirmed", "noise"]
    assert world.asked[-2:] == ["legacy", "native"]
    assert named(found) == set()


@pytest.mark.parametrize("order", [CANDIDATE_FIRST, CONTROL_FIRST])
async def test_noise_is_known_before_it_is_in_doubt_where_controls_are_asked_twice(order: float) -> None:
    """The control differs from itself while the candidate does not; then it is the candidate that differs."""
    legacy, native = chain([1, 2, 1, 2], repeat(1)), chain([1, 1], repeat(2))
    world = World(lambda: {"banner": next(legacy)}, lambda: {"banner": next(native)})
    draws = chain([TWICE, order] * 2, repeat(0.99))
    outcomes, found = await world.observe(draws, times=3)
    assert world.asked[:2] == (["native", "legacy"] if order == CANDIDATE_FIRST else ["legacy", "native"])
    assert (outcomes, found) == (["matched", "matched", "noise"], [])


async def test_a_write_in_between_makes_no_mismatch_and_no_noise_for_ever() -> None:
    """The count moves while it is asked for; then it stands still, and the candidate miscounts."""
    legacy = chain([0, 1, 2], repeat(7))
    native = chain([1, 2], repeat(8))
    world = World(lambda: {"count": next(legacy)}, lambda: {"count": next(native)})
    outcomes, found = await world.observe(repeat(CANDIDATE_FIRST), times=7)
    assert outcomes[0] == "unconfirmed"
    assert outcomes[-1] == "mismatched"
    assert named(found) == {("count", "value")}


async def test_a_write_between_the_control_and_the_candidate_is_seen_by_the_control_that_closes() -> None:
    world = World(lambda: {"count": len(world.asked) > 3}, lambda: {"count": len(world.asked) > 2})
    draws = iter([0.99, CONTROL_FIRST])
    sides = world.sides
    async with running(sides, draw=lambda: next(draws)) as (runner, ledger, journal):
        runner.offer(experiment(answer({"count": True})))
        await ledger.finished(1)
        found = await journal.latest(10)
    assert world.asked == ["native", "legacy", "legacy", "native", "legacy"]
    assert (ledger.outcomes, named(found)) == (["unconfirmed"], set())


async def test_an_intermittent_fault_is_listed_though_nobody_can_confirm_it() -> None:
    faults = chain([500], repeat(200))
    world = World(lambda: {"status": 200}, lambda: {"status": next(faults)})
    outcomes, found = await world.observe(never_twice())
    assert outcomes == ["unconfirmed"]
    assert named(found, State.UNCONFIRMED) == {("status", "value")}


async def test_a_defect_in_a_field_that_seldom_is_noise_is_proved_in_time() -> None:
    """Every thirtieth answer of either side has another banner; native's name is wrong wherever it has one."""
    turns = {"legacy": count(1), "native": count(11)}

    def answers(side: str, name: str) -> Answers:
        return lambda: {"name": name if next(turns[side]) % 30 else "sale"}

    world = World(answers("legacy", "Ada"), answers("native", "ADA"))
    outcomes, found = await world.observe(repeat(CANDIDATE_FIRST), times=40)
    assert "mismatched" in outcomes
    assert named(found) == {("name", "value")}


async def test_what_is_proved_is_told_though_it_does_not_show_again() -> None:
    """One answer of native in two lacks the name, whoever asks; legacy errs once, so that it takes proof."""
    turns, legacy = count(), chain([{"name": None}], repeat({"name": "Ada"}))
    world = World(lambda: next(legacy), lambda: {"name": "Ada" if next(turns) % 2 else None})
    outcomes, found = await world.observe(repeat(TWICE), times=60, limits=Limits(noise=1.0))
    assert (outcomes.count("mismatched") > 5, "mismatched" in outcomes[-3:]) == (True, True)
    assert named(found) == {("name", "type")}


@pytest.mark.parametrize(("noise", "proved"), [(0.1, {("host", "value")}), (0.0, set())])
async def test_a_defect_where_answers_differ_anyway_is_proved_by_asking_both_now_and_then(
    noise: float, proved: set[tuple[str, str]]
) -> None:
    """Two hosts answer for legacy, none of them for native; `noise`: the part that asks both, or nobody is to."""
    chance = random.Random(20260113)  # noqa: S311  # chance, not secrecy
    world = World(lambda: {"host": chance.choice("ab")}, lambda: {"host": "localhost"})
    outcomes, found = await world.observe(iter(chance.random, None), times=150, limits=Limits(noise=noise))
    assert (outcomes.count("noise") > 10, named(found)) == (True, proved)


@pytest.mark.parametrize("closing", [False, True])
async def test_a_control_that_breaks_off_when_it_is_asked_again_confirms_nothing(closing: bool) -> None:
    """`closing`: the last time; else when it is asked beside the candidate."""
    whole: list[Any] = [{"id": 1}, {"id": 1}, *([{"id": 1}] if closing else []), None]
    legacy = iter(whole)
    world = World(lambda: next(legacy, {"id": 1}), lambda: {"id": 2})
    outcomes, found = await world.observe(iter([0.99, CONTROL_FIRST, CONTROL_FIRST, CONTROL_FIRST]))
    assert (outcomes, named(found)) == (["unconfirmed"], set())


async def test_no_time_is_no_evidence() -> None:
    """The candidate has answered, the control does not any more: neither for the difference nor against it."""
    hangs = asyncio.Event()
    calls = count(1)

    async def legacy(scope: Any, receive: Any, send: Any) -> None:
        if next(calls) > 2:
            await hangs.wait()
        await reply(send, b'{"id": 1}')

    sides = {"legacy": legacy, "native": side({"id": 2})}
    for order in (CANDIDATE_FIRST, CONTROL_FIRST):
        calls = count(1)
        draws = chain([0.99], repeat(order))
        async with running(sides, limits=Limits(deadline=0.1), draw=lambda: next(draws)) as (runner, ledger, journal):  # noqa: B023  # it ends within the turn
            runner.offer(experiment(answer({"id": 1})))
            await ledger.finished(1)
            assert (ledger.outcomes, named(await journal.latest(9))) == (["unconfirmed"], set())


async def test_a_control_that_does_not_answer_beside_the_candidate_tells_nothing_about_noise() -> None:
    async def hanging(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    sides, draws = {"legacy": hanging, "native": side({"id": 1})}, iter([TWICE, CANDIDATE_FIRST])
    async with running(sides, limits=Limits(deadline=0.05), draw=lambda: next(draws)) as (runner, ledger, _):
        runner.offer(experiment(answer({"id": 1})))
        await ledger.finished(1)
    assert ledger.outcomes == ["matched"]


@pytest.mark.parametrize("told", [{"at_ease": lambda: False}, {"spared": [("list", "legacy")]}])
async def test_no_control_is_asked_twice_while_shadow_work_yields_or_where_only_users_may_ask(
    told: dict[str, Any],
) -> None:
    world = World(lambda: {"id": 1}, lambda: {"id": 1})
    outcomes, _ = await world.observe(repeat(TWICE), times=3, **told)
    assert (outcomes, world.asked) == (["matched"] * 3, ["native"] * 3)


async def test_controls_are_asked_twice_as_often_as_the_share_says() -> None:
    world = World(lambda: {"id": 1}, lambda: {"id": 1})
    draws = chain.from_iterable(repeat((0.1, 0.3, 0.5, 0.7, 0.9)))
    await world.observe(draws, times=4, limits=Limits(noise=0.2))
    assert world.asked.count("legacy") == 1
