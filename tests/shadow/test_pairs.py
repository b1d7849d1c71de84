"""What one side failed, asked of both at the same moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from shadow.ask import DEADLINE, REFUSED, UNREACHED
from shadow.observation import BUSY, MARK, Observation
from shadow.pairs import AT_ONCE, SAVED, UNANSWERED, Alone, Listener, Pairs, Question, alone
from tests.shadow.answers import Side, answer, reply, scope, side

PATIENCE = 10.0  # a bound, not a wait
WELL, ILL = side({"a": 1}), side({"error": "oops"}, status=500)
SERVED, FAILED = answer({"a": 1}), answer(b"oops", status=500)


def broken(error: str, **told: Any) -> Observation:
    return answer(b"", status=0, complete=False, error=error, **told)


@dataclass
class Heard:
    """What was heard of the pairs that were asked."""

    told: list[Alone] = field(default_factory=list)
    harmless: int = 0

    def listener(self) -> Listener:
        return Listener(self._harmless, self.told.append)

    def _harmless(self) -> None:
        self.harmless += 1

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():  # noqa: ASYNC110  # what it watches tells nobody when it changes
                await asyncio.sleep(0)


@asynccontextmanager
async def pairs_of(control: Side, candidate: Side, **more: Any) -> AsyncIterator[Pairs]:
    given = {"limit": 1_000, "deadline": PATIENCE, "patience": PATIENCE, **more}
    pairs = Pairs(control, candidate, **given)
    try:
        yield pairs
    finally:
        await pairs.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}


def question(route: str = "list", body: bytes = b"") -> Question:
    return Question(route, scope(), body, "r-1")


async def come_of(control: Side, candidate: Side, **more: Any) -> Alone:
    heard = Heard()
    async with pairs_of(control, candidate, **more) as pairs:
        assert pairs.ask(question(), heard.listener())
        await heard.until(lambda: bool(heard.told))
    (told,) = heard.told
    return told


@pytest.mark.parametrize(
    ("control", "candidate", "who"),
    [(ILL, WELL, Alone.CONTROL), (WELL, ILL, Alone.CANDIDATE), (ILL, ILL, Alone.NEITHER), (WELL, WELL, Alone.NEITHER)],
)
async def test_who_fails_alone_is_told(control: Side, candidate: Side, who: Alone) -> None:
    assert await come_of(control, candidate) is who


@pytest.mark.parametrize(
    "failing",
    [FAILED, broken("RuntimeError"), broken(DEADLINE), answer(b"half", complete=False), answer(status=503)],
    ids=["5xx", "raised", "silent", "half", "away"],
)
def test_a_failure_is_what_a_user_would_have_taken_for_one(failing: Observation) -> None:
    assert alone(failing, SERVED) is Alone.CONTROL
    assert alone(SERVED, failing) is (Alone.SILENT if failing.error == DEADLINE else Alone.CANDIDATE)
    assert alone(failing, failing) is Alone.NEITHER


def test_neither_a_refusal_nor_a_large_answer_is_a_failure() -> None:
    for fine in (answer(status=404), answer(b"", complete=False, truncated=True)):
        assert alone(fine, SERVED) is alone(SERVED, fine) is Alone.NEITHER
        assert alone(fine, FAILED) is Alone.CANDIDATE


@pytest.mark.parametrize(
    "failing",
    [
        answer(b"", (MARK, b"wrote"), status=500),
        answer(b"", (BUSY, b"1"), status=503),
        broken(UNREACHED),
        answer(b"", status=503, complete=False, error=REFUSED),
    ],
    ids=["wrote", "busy", "unreached", "refused"],
)
def test_what_only_shadows_meet_with_is_held_against_the_candidate_and_never_against_the_control(
    failing: Observation,
) -> None:
    assert alone(failing, SERVED) is Alone.UNKNOWN
    assert alone(SERVED, failing) is (Alone.SILENT if failing.error in (UNREACHED, REFUSED) else Alone.CANDIDATE)


async def test_both_are_asked_the_same_at_once_with_the_mark_and_in_nobodys_name_twice() -> None:
    asked: list[tuple[str, Any, Any]] = []
    both = asyncio.Barrier(2)

    def waits_for_the_other(name: str) -> Side:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            asked.append((name, dict(scope["headers"])[MARK], (await receive())["body"]))
            await both.wait()
            await reply(send, b"1")

        return app

    heard = Heard()
    async with pairs_of(waits_for_the_other("control"), waits_for_the_other("candidate")) as pairs:
        assert pairs.ask(question(body=b"what"), heard.listener())
        await heard.until(lambda: bool(heard.told))
    assert sorted(asked) == [("candidate", b"r-1", b"what"), ("control", b"r-1", b"what")]
    assert heard.told == [Alone.NEITHER]


@pytest.mark.parametrize(("control", "early"), [(ILL, True), (WELL, False)], ids=["fails", "answers"])
async def test_while_the_candidate_is_silent_it_may_fail_alone_unless_the_control_has_failed(
    control: Side, early: bool
) -> None:
    answers = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await answers.wait()
        await reply(send, b"1")

    said: list[bool] = []
    heard = Heard()
    async with pairs_of(control, slow, heard=said.append) as pairs:
        assert pairs.ask(question(), heard.listener())
        await heard.until(lambda: bool(said))
        await heard.until(lambda: heard.harmless == early)
        assert heard.told == []
        answers.set()
        await heard.until(lambda: bool(heard.told))
    assert heard.harmless == 1 + early


async def test_a_candidate_that_has_answered_is_harmless_however_long_the_control_takes() -> None:
    heard, hangs = Heard(), asyncio.Event()

    async def silent(scope: Any, receive: Any, send: Any) -> None:
        await hangs.wait()

    async with pairs_of(silent, WELL) as pairs:
        assert pairs.ask(question(), heard.listener())
        await heard.until(lambda: heard.harmless == 1)
        assert heard.told == []
    assert heard.told == [Alone.UNKNOWN]  # it was closed


async def test_who_hangs_alone_fails_alone() -> None:
    async def silent(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    assert await come_of(silent, WELL, deadline=0.05) is Alone.CONTROL
    assert await come_of(WELL, silent, deadline=0.05) is Alone.SILENT


async def test_that_a_side_is_busy_is_heard() -> None:
    async def busy(scope: Any, receive: Any, send: Any) -> None:
        await reply(send, b"", (BUSY, b"1"), status=503)

    said: list[bool] = []
    assert await come_of(busy, WELL, heard=said.append) is Alone.UNKNOWN
    assert sorted(said) == [False, True]


async def test_a_fault_of_our_own_is_logged_and_tells_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    def fault(busy: bool) -> None:
        raise ZeroDivisionError

    assert await come_of(ILL, WELL, heard=fault) is Alone.UNKNOWN
    assert "a pair could not be asked" in capfd.readouterr().out


async def test_so_many_are_asked_at_once_and_fewer_where_shadows_yield() -> None:
    hangs, pace, heard = asyncio.Event(), [1.0], Heard()

    async def silent(scope: Any, receive: Any, send: Any) -> None:
        await hangs.wait()
        await reply(send, b"1")

    async with pairs_of(silent, silent, pace=lambda: pace[0]) as pairs:
        asked = [pairs.ask(question(), heard.listener()) for _ in range(AT_ONCE + 2)]
        assert asked == [True] * AT_ONCE + [False] * 2
        hangs.set()
        await heard.until(lambda: len(heard.told) == AT_ONCE)
        pace[0] = 0.01
        hangs.clear()
        assert [pairs.ask(question(), heard.listener()) for _ in range(3)] == [True, False, False]


async def test_a_route_has_so_many_saved_up_and_one_more_each_second() -> None:
    now, heard = [0.0], Heard()

    async def ask(pairs: Pairs, route: str = "list") -> bool:
        before = len(heard.told)
        if asked := pairs.ask(question(route), heard.listener()):
            await heard.until(lambda: len(heard.told) > before)
        return asked

    async with pairs_of(ILL, WELL, clock=lambda: now[0]) as pairs:
        assert [await ask(pairs) for _ in range(int(SAVED) + 1)] == [True] * int(SAVED) + [False]
        assert await ask(pairs, "another")
        now[0] = 0.5
        assert not await ask(pairs)
        now[0] = 2.0
        assert [await ask(pairs) for _ in range(3)] == [True, True, False]
        now[0] = 1e6
        assert [await ask(pairs) for _ in range(int(SAVED) + 1)] == [True] * int(SAVED) + [False]


async def test_a_candidate_that_leaves_one_unanswered_is_asked_fewer_for_it_may_work_on() -> None:
    now, heard = [0.0], Heard()

    async def hangs(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    async with pairs_of(ILL, hangs, clock=lambda: now[0], deadline=0.01) as pairs:

        async def ask(route: str = "list") -> bool:
            before = len(heard.told)
            asked = pairs.ask(question(route), heard.listener())
            await heard.until(lambda: len(heard.told) == before + asked)
            return asked

        assert [await ask() for _ in range(3)] == [True, True, False]
        assert await ask("another")
        now[0] = 2 * (1 + UNANSWERED) - SAVED + 0.5
        assert not await ask()
        now[0] += 1.0
        assert [await ask() for _ in range(2)] == [True, False]


async def test_what_is_too_large_is_not_asked_and_nothing_is_once_it_is_closed() -> None:
    heard = Heard()
    async with pairs_of(ILL, WELL, limit=3) as pairs:
        assert not pairs.ask(question(body=b"long"), heard.listener())
        assert pairs.ask(question(body=b"may"), heard.listener())
    assert heard.told == [Alone.UNKNOWN]
    assert not pairs.ask(question(), heard.listener())
