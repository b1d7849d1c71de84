from __future__ import annotations

import asyncio
import gzip
import sys
import tracemalloc
from contextlib import suppress
from typing import Any

import pytest

from shadow.compare import Kind, Rules
from shadow.excerpt import Shown
from shadow.experiment import Experimenter, Limits
from shadow.journal import Journal, MemoryJournal
from shadow.mismatch import Finding, Mismatch, State
from shadow.noise import ROUNDS
from shadow.runner import Runner
from tests.shadow.answers import Ledger, answer, experiment, reply, running, scope, side


async def kept(journal: Journal) -> list[Mismatch]:
    """All of them, with their samples."""
    found = [await journal.find(each.id) for each in await journal.latest(100)]
    return [each for each in found if each is not None]


async def errors(journal: Journal) -> list[tuple[str | None, str | None]]:
    """What both sides ended with, of each sample of the one mismatch there is."""
    (found,) = await kept(journal)
    assert (found.field, found.kind) == ("", Kind.ERROR.value)
    return [(sample.control.shown, sample.candidate.shown) for sample in found.samples]


class Hanging:
    """A side that never answers, and counts who waits for it."""

    def __init__(self) -> None:
        self.waiting = self.most = 0
        self.begun = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.waiting -= 1


@pytest.mark.parametrize(("control", "candidate"), [("legacy", "native"), ("native", "legacy")])
async def test_the_candidate_is_compared_with_whoever_answered_the_user(control: str, candidate: str) -> None:
    async with running({control: side({"id": 9}), candidate: side({"id": 1})}) as (runner, ledger, _):
        runner.offer(experiment(answer({"id": 1}), control_side=control, candidate_side=candidate))
        await ledger.finished(1)
    assert ledger.results == [("list", candidate, "matched")]


async def test_a_confirmed_mismatch_is_journalled_as_it_was_the_second_time() -> None:
    sides = {"legacy": side({"id": 3}), "native": side({"id": 2}, {"id": 4})}
    journal = MemoryJournal({"list": Shown.parse(["id"])})
    async with running(sides, journal=journal) as (runner, ledger, _):
        asked = scope("/api/v1/conversations?status=open")
        runner.offer(experiment(answer({"id": 1}), scope=asked, request_id="r-42"))
        await ledger.finished(1)
    assert ledger.outcomes == ["mismatched"]
    (found,) = await kept(journal)
    assert (found.route, found.field, found.kind, found.first) == ("list", "id", "value", 1_700_000_000.0)
    (sample,) = found.samples
    assert (sample.method, sample.target, sample.request_id) == ("GET", "/api/v1/conversations?status=open", "r-42")
    assert (sample.control_side, sample.control_status, sample.control.shown) == ("legacy", 200, "3")
    assert (sample.candidate_side, sample.candidate_status, sample.candidate.shown) == ("native", 200, "4")
    assert sample.repeatable


async def test_the_request_is_journalled_with_what_its_answer_may_depend_on() -> None:
    given = (b"Accept", b"text/html"), (b"AUTHORIZATION", b"Bearer hunter2"), (b"User-Agent", b"x")
    async with running({"legacy": side({"id": 1}), "native": side({"id": 2})}) as (runner, ledger, journal):
        runner.offer(experiment(answer({"id": 1}), scope=scope("/a%2Fb", *given), body=b"question"))
        await ledger.finished(1)
    (sample,) = (await kept(journal))[0].samples
    assert (sample.target, sample.headers) == ("/a%2Fb", (("accept", "text/html"), ("user-agent", "x")))
    assert (sample.credentials, sample.repeatable) == (("authorization",), False)


async def test_a_mismatch_that_does_not_show_again_is_unconfirmed_and_kept_apart() -> None:
    async with running({"legacy": side({"id": 2}), "native": side({"id": 2})}) as (runner, ledger, journal):
        runner.offer(experiment(answer({"id": 1})))
        await ledger.finished(1)
    assert ledger.outcomes == ["unconfirmed"]
    (found,) = await journal.latest(10)
    assert (found.field, found.kind, found.state(found.last)) == ("id", "value", State.UNCONFIRMED)


async def test_a_control_that_changes_while_it_is_asked_again_confirms_nothing() -> None:
    moving = side({"id": 2}, {"id": 4})
    async with running({"legacy": moving, "native": side({"id": 1}, {"id": 3})}) as (runner, ledger, journal):
        runner.offer(experiment(answer({"id": 0})))
        await ledger.finished(1)
    assert ledger.outcomes == ["unconfirmed"]
    assert await journal.latest(10, wanted=lambda each: each.confirmed) == []


async def test_a_control_that_fails_when_asked_again_confirms_nothing() -> None:
    async def failing(scope: Any, receive: Any, send: Any) -> None:
        raise ConnectionRefusedError

    async with running({"legacy": failing, "native": side({"id": 2})}) as (runner, ledger, _):
        runner.offer(experiment(answer({"id": 1})))
        await ledger.finished(1)
    assert ledger.outcomes == ["unconfirmed"]


async def test_a_candidate_with_no_time_left_to_be_asked_again_confirms_nothing() -> None:
    calls = 0

    async def once(scope: Any, receive: Any, send: Any) -> None:
        nonlocal calls
        calls += 1
        if calls > 1:
            await asyncio.Event().wait()
        await reply(send, b'{"id": 2}')

    limits = Limits(deadline=0.5)  # for all that comes before as well, however busy the machine
    async with running({"legacy": side({"id": 1}), "native": once}, limits=limits) as (runner, ledger, _):
        runner.offer(experiment(answer({"id": 1})))
        await ledger.finished(1)
    assert (ledger.outcomes, calls) == (["unconfirmed"], 2)


async def test_every_question_is_the_users_marked_as_a_shadow() -> None:
    heard: list[tuple[str, Any, bytes]] = []

    def listening(name: str, body: bytes) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            heard.append((name, scope, (await receive())["body"]))
            scope["headers"] = scope["path"] = None  # applications write into their scope
            await reply(send, body)

        return app

    user = scope("/a%2Fb", (b"x-strangler-shadow", b"forged"), (b"authorization", b"Bearer x"), method="OPTIONS")
    async with running({"legacy": listening("legacy", b"1"), "native": listening("native", b"2")}) as (
        runner,
        ledger,
        _,
    ):
        runner.offer(experiment(answer(1), scope=user, body=b"question"))
        await ledger.finished(1)
    asked = ["native", "legacy", *["native", "legacy"] * ROUNDS]
    assert [(name, body) for name, _, body in heard] == [(name, b"question") for name in asked]
    assert all(
        heard_scope["raw_path"] == b"/a%2Fb" and heard_scope["method"] == "OPTIONS" for _, heard_scope, _ in heard
    )
    assert len({id(heard_scope) for _, heard_scope, _ in heard}) == len(asked)
    assert user == scope(
        "/a%2Fb", (b"x-strangler-shadow", b"forged"), (b"authorization", b"Bearer x"), method="OPTIONS"
    )


async def test_each_route_has_its_own_rules() -> None:
    rules = {"list": Rules.parse(["updatedAt"])}
    async with running({"legacy": side({"updatedAt": 1}), "native": side({"updatedAt": 2})}, rules=rules) as run:
        runner, ledger, _ = run
        runner.offer(experiment(answer({"updatedAt": 1})))
        runner.offer(experiment(answer({"updatedAt": 1}), route="show"))
        await ledger.finished(2)
    assert sorted(ledger.results) == [("list", "native", "ignored"), ("show", "native", "mismatched")]


async def test_a_candidate_that_raises_is_a_mismatch_of_its_own_kind() -> None:
    async def raising(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError

    async with running({"legacy": side({"id": 1}), "native": raising}) as (runner, ledger, journal):
        runner.offer(experiment(answer({"id": 1})))
        await ledger.finished(1)
    assert await errors(journal) == [("200", '"ZeroDivisionError"')]
    (sample,) = (await kept(journal))[0].samples
    assert (sample.control_status, sample.candidate_status) == (200, 0)


async def test_a_candidate_past_its_deadline_has_not_answered_and_frees_its_place() -> None:
    hanging = Hanging()
    async with running({"legacy": side({}), "native": hanging}, limits=Limits(1, deadline=0.01)) as (
        runner,
        ledger,
        journal,
    ):
        for _ in range(3):
            runner.offer(experiment(answer({})))
        await ledger.finished(3)
        assert (hanging.waiting, hanging.most, runner.pending) == (0, 1, 0)
    assert ledger.outcomes == ["unanswered"] * 3
    assert await journal.latest(10) == []


async def test_a_candidate_that_has_not_got_the_question_has_not_answered_it() -> None:
    class Refused(Exception):
        reached = False

    async def refusing(scope: Any, receive: Any, send: Any) -> None:
        raise Refused

    async with running({"legacy": side({}), "native": refusing}) as (runner, ledger, journal):
        runner.offer(experiment(answer({})))
        await ledger.finished(1)
    assert ledger.outcomes == ["unanswered"]
    assert await journal.latest(10) == []


async def test_a_candidate_that_goes_down_before_it_is_asked_again_confirms_nothing() -> None:
    class Refused(Exception):
        reached = False

    calls = 0

    async def once(scope: Any, receive: Any, send: Any) -> None:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise Refused
        await reply(send, b'{"id": 2}')

    async with running({"legacy": side({"id": 1}), "native": once}) as (runner, ledger, _):
        runner.offer(experiment(answer({"id": 1})))
        await ledger.finished(1)
    assert (ledger.outcomes, calls) == (["unconfirmed"], 2)


async def test_an_enormous_answer_costs_no_more_than_the_limit() -> None:
    sent = 0

    async def enormous(scope: Any, receive: Any, send: Any) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1 << 14):
            sent += 1 << 16
            await send({"type": "http.response.body", "body": bytes(1 << 16), "more_body": True})

    async with running({"legacy": side({}), "native": enormous}, limits=Limits(body=1 << 17)) as (
        runner,
        ledger,
        journal,
    ):
        runner.offer(experiment(answer({})))
        await ledger.finished(1)
    assert sent <= (1 + ROUNDS) * ((1 << 17) + (1 << 16))
    assert await errors(journal) == [("200", '"too large"')]


async def test_ten_thousand_offers_to_a_hanging_candidate_stay_within_the_bounds() -> None:
    hanging, limits = Hanging(), Limits(concurrency=4, queue=16, deadline=600.0)
    async with running({"legacy": side({}), "native": hanging}, limits=limits, grace=0.0) as (runner, ledger, _):
        body = b"x" * 10_000
        tracemalloc.start()
        try:
            for number in range(10_000):
                runner.offer(experiment(answer(bytes([number % 256]) + body)))
                if number % 100 == 0:
                    await asyncio.sleep(0)
            await hanging.begun.wait()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert (hanging.most, runner.pending) == (4, 16)
        assert len(asyncio.all_tasks()) <= 1 + 2 * 4  # this test, the workers, and a question for each
        assert ledger.drops["queue_full"] == 10_000 - 4 - 16
        assert peak < 4_000_000  # of the 100 MB offered
    assert hanging.waiting == 0
    assert ledger.drops["stopped"] == 4 + 16


async def test_a_full_queue_drops_the_oldest() -> None:
    ledger = Ledger()
    dropped: list[str] = []
    sides = {"legacy": side({}), "native": side({})}
    journal = Journalless()
    experimenter = Experimenter(sides, {}, journal, Limits(), ledger.listeners(), lambda: 0.0)
    runner = Runner(experimenter, Limits(queue=2), lambda route, _: dropped.append(route))
    for route in ("first", "second", "third", "fourth"):
        runner.offer(experiment(answer({}), route=route))
    assert (dropped, runner.pending) == (["first", "second"], 2)
    await runner.start()
    await ledger.finished(2)
    await runner.stop(10.0)
    assert sorted(ledger.results) == [("fourth", "native", "matched"), ("third", "native", "matched")]


async def test_the_bytes_waiting_are_bounded_too() -> None:
    limits = Limits(queue_bytes=10_000)
    ledger = Ledger()
    sides = {"legacy": side({}), "native": side({})}
    experimenter = Experimenter(sides, {}, Journalless(), limits, ledger.listeners(), lambda: 0.0)
    runner = Runner(experimenter, limits, ledger.drop)
    for _ in range(10):
        runner.offer(experiment(answer(b"x" * 3_000)))
    assert (runner.pending, ledger.drops["queue_full"]) == (3, 7)
    runner.offer(experiment(answer(b"x" * 10_001)))
    assert (runner.pending, ledger.drops["too_large"]) == (3, 1)
    await runner.stop(0.0)
    for _ in range(2):
        runner.offer(experiment(answer(b"x")))
    assert (runner.pending, ledger.drops["stopped"]) == (0, 3 + 2)


def test_headers_and_targets_are_counted_as_what_they_take_in_memory() -> None:
    """Whoever sends many small ones would have far more held than is told."""
    bare = experiment(answer(b""), scope=scope("/"))
    small = [(b"%x" % number, b"%x" % number) for number in range(4_096, 9_096)]
    held = sum(sys.getsizeof(each) + sum(map(sys.getsizeof, each)) for each in small)
    for more in (experiment(answer(b""), scope=scope("/", *small)), experiment(answer(b"", *small))):
        assert 0.9 * held < more.size - bare.size < 1.2 * held
    assert experiment(answer(b""), scope=scope("/?" + "q" * 50_000)).size - bare.size >= 50_000


async def test_what_a_worker_has_taken_no_longer_counts_as_waiting() -> None:
    sides, limits = {"legacy": side({}), "native": side({})}, Limits(queue_bytes=10_000)
    async with running(sides, limits=limits) as (runner, ledger, _):
        for number in range(1, 6):
            runner.offer(experiment(answer({"text": "x" * 9_000})))
            await ledger.finished(number)
        assert (len(ledger.results), ledger.drops) == (5, {})


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("no_side", {"candidate_side": "nobody"}),
        ("no_side", {"control_side": "nobody"}),
        ("too_large", {"body": bytes(1_001)}),
    ],
)
async def test_what_cannot_be_asked_is_dropped_and_counted(reason: str, told: dict[str, Any]) -> None:
    async with running({"legacy": side({}), "native": side({})}, limits=Limits(body=1_000)) as (runner, ledger, _):
        runner.offer(experiment(answer({}), **told))
        assert ledger.drops == {reason: 1}


@pytest.mark.parametrize("body", [gzip.compress(bytes(2 << 20)), b"no gzip"])
async def test_a_control_that_cannot_be_decoded_is_dropped_and_nobody_is_asked(body: bytes) -> None:
    hanging = Hanging()
    async with running({"legacy": hanging, "native": hanging}) as (runner, ledger, _):
        runner.offer(experiment(answer(body, (b"content-encoding", b"gzip"))))
        await ledger.finished(1)
    assert (ledger.drops, hanging.most) == ({"encoding": 1}, 0)


async def test_sides_that_ignore_their_cancellation_neither_block_nor_pile_up() -> None:
    free = asyncio.Event()
    ended: list[asyncio.Event] = []

    async def deaf(scope: Any, receive: Any, send: Any) -> None:
        ended.append(asyncio.Event())
        mine = ended[-1]
        while not free.is_set():
            with suppress(asyncio.CancelledError):
                await free.wait()
        mine.set()

    sides, limits = {"legacy": side({}), "native": side({}), "deaf": deaf}, Limits(2, deadline=0.5, patience=0.01)
    async with running(sides, limits=limits) as (runner, ledger, _):
        try:
            for _ in range(20):
                runner.offer(experiment(answer({}), candidate_side="deaf"))
            await ledger.finished(20)
            assert 2 <= runner.strays < 2 * 2  # a worker may be waiting for one while the other gives one up
            assert ledger.outcomes == ["unanswered"] * runner.strays
            assert ledger.drops == {"abandoned": 20 - runner.strays}
        finally:
            free.set()
        await asyncio.gather(*(each.wait() for each in ended))
        runner.offer(experiment(answer({})))
        await ledger.finished(21)
        assert (runner.strays, ledger.outcomes[-1]) == (0, "matched")


class Journalless(MemoryJournal):
    """A journal whose store is gone, or does not answer."""

    def __init__(self, *, hanging: bool = False) -> None:
        super().__init__()
        self._hanging = hanging

    async def record(self, finding: Finding) -> None:
        if self._hanging:
            await asyncio.Event().wait()
        raise ConnectionError("gone")


@pytest.mark.parametrize("hanging", [False, True])
async def test_a_journal_that_fails_is_counted_and_the_runner_goes_on(hanging: bool) -> None:
    sides, limits = {"legacy": side(1), "native": side(2)}, Limits(1, patience=0.01)
    async with running(sides, journal=Journalless(hanging=hanging), limits=limits) as (runner, ledger, _):
        for _ in range(3):
            runner.offer(experiment(answer(1)))
        await ledger.until(lambda told: told.drops["journal"] == 3)
    assert ledger.outcomes == ["mismatched"] * 3


async def test_a_fault_of_our_own_is_counted_and_the_worker_lives_on() -> None:
    async with running({"legacy": side({}), "native": side({})}, limits=Limits(1)) as (runner, ledger, _):
        runner.offer(experiment(answer({}), scope={"state": "no mapping"}))
        runner.offer(experiment(answer({}), request_id="☃"))
        await ledger.finished(2)
    assert ledger.drops == {"fault": 1}
    assert ledger.outcomes == ["matched"]


async def test_stopping_lets_what_is_under_way_finish() -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        begun.set()
        await go.wait()
        await reply(send, b"{}")

    async with running({"legacy": side({}), "native": slow}, limits=Limits(1)) as (runner, ledger, _):
        runner.offer(experiment(answer({})))
        runner.offer(experiment(answer({})))
        await begun.wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(runner.stop(10.0))
            await ledger.finished(1)
            go.set()
        runner.offer(experiment(answer({})))
    assert (ledger.outcomes, ledger.drops) == (["matched"], {"stopped": 2})


async def test_stopping_while_busy_leaves_no_task() -> None:
    hanging = Hanging()
    async with running({"legacy": hanging, "native": hanging}, grace=0.0) as (runner, ledger, _):
        for _ in range(100):
            runner.offer(experiment(answer({})))
        await hanging.begun.wait()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert (hanging.waiting, runner.pending, ledger.drops) == (0, 0, {"stopped": 100})
