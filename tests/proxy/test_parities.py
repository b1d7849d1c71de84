"""What comparisons of this worker come to, with those of the others, and what a ramp makes of it."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from flags.ramp import Alike
from proxy.exposition import Family
from proxy.metrics import Metrics
from proxy.parities import LATELY, OTHER, Parities, digest_of, told
from proxy.sections import RouteConfig
from proxy.subject import Source
from proxy.tasks import Tasks
from shadow.experiment import Experiment
from shadow.observation import Observation
from shadow.parity import Parity, Stratum, Tally, bound
from shadow.result import Outcome
from shadow.tallies import Counted, MemoryTallies

ROUTE, OTHER_ROUTE = "things.list", "things.show"
ROLE = Source("jwt", "role")


def asked(role: object = None, status: int = 200, route: str = ROUTE, epoch: str = "") -> Experiment:
    claims = base64.urlsafe_b64encode(json.dumps({"role": role}).encode()).rstrip(b"=")
    headers = [(b"authorization", b"Bearer x." + claims + b".y")] if role is not None else []
    control = Observation(status, (), b"{}", complete=True, elapsed=0.01)
    return Experiment(route, "legacy", "native", {"headers": headers}, b"", control, "r-1", epoch)


class Fickle(MemoryTallies):
    """A store that may be away, or hang."""

    away: BaseException | None = None
    hangs = False

    async def tell(self, counted: Counted, now: float) -> None:
        await super().tell(counted, now)
        await self._reached()

    async def hear(self) -> Mapping[str, Parity]:
        await self._reached()
        return await super().hear()

    async def begin(self, route: str) -> None:
        await self._reached()
        await super().begin(route)

    async def _reached(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.away is not None:
            raise self.away


class Worker:
    def __init__(
        self, store: MemoryTallies | None = None, source: Source | None = ROLE, roles: Sequence[str] = ()
    ) -> None:
        self.store, self.clock = store or MemoryTallies(), 0.0
        self.metrics = Metrics([ROUTE, OTHER_ROUTE])
        clocks: dict[str, Any] = {"now": lambda: 1_000.0, "clock": lambda: self.clock}
        self.parities = Parities(self.store, self.metrics.parity, source, roles, **clocks)

    @property
    def shown(self) -> Family:
        return self.metrics.parity

    def bound(self, route: str = ROUTE) -> float:
        return self.shown.labels(route).value

    async def compare(self, number: int, outcome: Outcome = Outcome.MATCHED, seconds: float = 0.0) -> None:
        for _ in range(number):
            self.parities.ended(asked(epoch=self.parities.epoch(ROUTE)), outcome)
        self.clock += seconds
        await self.parities.look()


async def test_each_comparison_is_counted_by_what_was_answered_to_whom() -> None:
    worker = Worker()
    for experiment, outcome in (
        (asked("agent"), Outcome.MATCHED),
        (asked("agent"), Outcome.IGNORED),
        (asked("agent"), Outcome.MISMATCHED),
        (asked("admin", 404), Outcome.UNCONFIRMED),
        (asked(), Outcome.MATCHED),
        (asked("agent", route=OTHER_ROUTE), Outcome.MATCHED),
        (asked("agent"), Outcome.UNANSWERED),
    ):
        worker.parities.ended(experiment, outcome)
    await worker.parities.look()
    assert worker.parities.of(ROUTE) == Parity(
        1_000.0, {Stratum(200, "agent"): Tally(2, 1), Stratum(404, "admin"): Tally(0, 0, 1), Stratum(200, ""): Tally(1)}
    )
    assert worker.parities.of(OTHER_ROUTE).whole == Tally(1)
    assert worker.bound() == bound(5, 2)
    await worker.parities.look()
    assert worker.parities.of(ROUTE).whole.compared == 5  # each once


async def test_what_nobody_answered_is_no_comparison() -> None:
    worker = Worker()
    await worker.compare(3, Outcome.UNANSWERED)
    assert worker.parities.of(ROUTE) == Parity()


@pytest.mark.parametrize("said", ["anna@example.com", "x" * 33, "two words", "rôle", "a\nb"])
async def test_a_role_that_is_no_plain_word_is_not_kept(said: str) -> None:
    worker = Worker()
    worker.parities.ended(asked(said), Outcome.MATCHED)
    await worker.parities.look()
    assert set(worker.parities.of(ROUTE).strata) == {Stratum(200, OTHER)}


async def test_who_is_not_signed_in_has_no_role_whatever_he_says() -> None:
    worker = Worker()
    worker.parities.ended(asked("admin", 401), Outcome.MATCHED)
    await worker.parities.look()
    assert set(worker.parities.of(ROUTE).strata) == {Stratum(401, "")}


async def test_what_a_side_says_of_the_role_goes_before_what_the_request_says() -> None:
    worker = Worker()
    worker.parities.ended(asked("admin"), Outcome.MATCHED, "agent")
    worker.parities.ended(asked("admin"), Outcome.MATCHED, "")
    worker.parities.ended(asked(), Outcome.MATCHED, "two words")
    worker.parities.ended(asked("admin", 401), Outcome.MATCHED, "agent")
    await worker.parities.look()
    assert set(worker.parities.of(ROUTE).strata) == {
        *(Stratum(200, role) for role in ("agent", "admin", OTHER)),
        Stratum(401, ""),
    }


async def test_where_roles_are_named_all_others_are_one_whoever_says_them() -> None:
    worker = Worker(roles=("agent", "admin"))
    for said, by_side in (("agent", ""), ("", "admin"), ("bot", ""), ("agent", "bot"), ("x" * 33, ""), ("", "")):
        worker.parities.ended(asked(said), Outcome.MATCHED, by_side)
    await worker.parities.look()
    assert worker.parities.of(ROUTE).strata == {
        Stratum(200, "agent"): Tally(1),
        Stratum(200, "admin"): Tally(1),
        Stratum(200, OTHER): Tally(3),
        Stratum(200, ""): Tally(1),
    }


async def test_without_a_source_of_roles_nobody_has_one() -> None:
    worker = Worker(source=None)
    worker.parities.ended(asked("agent"), Outcome.MATCHED)
    await worker.parities.look()
    assert set(worker.parities.of(ROUTE).strata) == {Stratum(200, "")}


async def test_workers_know_what_all_of_them_have_compared() -> None:
    store = MemoryTallies()
    one, other = Worker(store), Worker(store)
    await one.compare(3)
    await other.compare(4)
    await one.parities.look()
    assert one.parities.of(ROUTE) == other.parities.of(ROUTE)
    assert one.bound() == other.bound() == bound(7, 0)


async def test_begun_anew_a_route_is_unknown_on_every_worker() -> None:
    store = MemoryTallies()
    one, other = Worker(store), Worker(store)
    await one.compare(300)
    await other.parities.look()
    one.parities.ended(asked(), Outcome.MISMATCHED)  # of before, though it was not told yet
    await one.parities.begin(ROUTE)
    await other.parities.look()
    for worker in (one, other):
        parity = worker.parities.of(ROUTE)
        assert (parity.begun, parity.strata, parity.words) == (None, {}, "nothing has been compared")
        assert (worker.bound(), worker.parities.epoch(ROUTE)) == (1.0, one.parities.epoch(ROUTE))
    await one.parities.begin(OTHER_ROUTE)  # of which nothing is known


async def test_what_was_asked_before_a_beginning_counts_on_no_worker_however_late_it_ends() -> None:
    store = MemoryTallies()
    one, other = Worker(store), Worker(store)
    for worker in (one, other):
        await worker.compare(2)
    waiting = asked(epoch=one.parities.epoch(ROUTE))
    for _ in range(2_000):
        one.parities.ended(waiting, Outcome.MATCHED)  # and told by nobody yet
    await other.parities.begin(ROUTE)
    await one.parities.look()
    one.parities.ended(waiting, Outcome.MATCHED)
    await one.compare(1)
    await other.parities.look()
    for worker in (one, other):
        assert worker.parities.of(ROUTE).whole == Tally(1)


@pytest.mark.parametrize(
    ("away", "why"),
    [(ConnectionRefusedError("nobody listens"), "nobody listens"), (TimeoutError(), "no answer in time")],
)
async def test_while_the_store_is_away_what_was_known_stays_and_it_is_said_once(away: OSError, why: str) -> None:
    store = Fickle()
    worker = Worker(store)
    await worker.compare(3)
    store.away = away
    with capture_logs() as logs:
        await started_and_stopped(worker.parities)
    assert [(entry["log_level"], entry["error"]) for entry in logs] == [("warning", why)]
    assert worker.parities.of(ROUTE).whole == Tally(3)
    store.away = None
    await started_and_stopped(worker.parities)
    assert worker.parities.of(ROUTE).whole == Tally(3)


async def started_and_stopped(parities: Parities, between: Callable[[], None] = lambda: None) -> None:
    tasks = Tasks()
    tasks.start(parities.run())
    await asyncio.sleep(0)
    between()
    await tasks.close()


async def test_what_was_counted_last_is_told_at_the_end() -> None:
    worker = Worker()
    await started_and_stopped(worker.parities, lambda: worker.parities.ended(asked(), Outcome.MATCHED))
    assert (await worker.store.hear())[ROUTE].whole == Tally(1)


async def test_a_fault_of_another_kind_ends_nothing_either() -> None:
    store = Fickle()
    store.away = KeyError("who knows")
    with capture_logs() as logs:
        await started_and_stopped(Worker(store).parities)
    assert {entry["log_level"] for entry in logs} == {"error"}


async def test_a_store_that_hangs_holds_nobody_up() -> None:
    store = Fickle()
    store.hangs = True
    with pytest.raises(TimeoutError):
        await Parities(store, Metrics([ROUTE]).parity, patience=0.01).look()


async def test_a_beginning_that_nobody_can_hear_of_is_refused_and_one_that_was_heard_is_done() -> None:
    store = Fickle()
    worker = Worker(store)
    store.away = ConnectionRefusedError("nobody listens")
    with pytest.raises(ConnectionRefusedError):
        await worker.parities.begin(ROUTE)

    class Leaving(Fickle):
        async def begin(self, route: str) -> None:
            await super().begin(route)
            self.away = ConnectionRefusedError("gone")

    await Worker(Leaving()).parities.begin(ROUTE)


async def test_a_ramp_is_told_how_many_more_are_needed_and_when_there_will_be_so_many() -> None:
    worker = Worker()
    assert worker.parities.alike(ROUTE, 10) == Alike(1.0, "nothing has been compared, so shadow it")
    await worker.compare(100)
    words = "they are ≤ 4.9 % after 100 comparisons, and 4 839 more that agree would do, and lately there were none"
    assert worker.parities.alike(ROUTE, 10) == Alike(bound(100, 0), words)
    await worker.compare(1_000, seconds=100.0)
    words = "they are ≤ 0.45 % after 1 100 comparisons, and 3 839 more that agree would do, in about 6 min at this rate"
    assert worker.parities.alike(ROUTE, 10).words == words
    assert worker.parities.alike(ROUTE, 100) == Alike(bound(1_100, 0), "they are ≤ 0.45 % after 1 100 comparisons")


async def test_a_ramp_may_ask_while_a_look_at_many_routes_is_under_way() -> None:
    names = [f"route {number}" for number in range(3_000)]
    store = MemoryTallies()
    counted = {(name, ""): {Stratum(200, ""): Tally(agreed=100 + number)} for number, name in enumerate(names)}
    await store.tell(counted, 1.0)
    parities = Parities(store, Metrics(names).parity)
    asked_meanwhile = 0
    async with asyncio.TaskGroup() as group:
        looking = group.create_task(parities.look())
        while not looking.done():
            await asyncio.sleep(0)
            asked_meanwhile += all(parities.alike(name, 10).words for name in names[::200])
    assert asked_meanwhile > 0


async def test_native_is_doubted_where_too_many_confirmed_mismatches_are_proved() -> None:
    store = MemoryTallies()
    parities = Parities(store, Metrics([ROUTE]).parity, allowed=0.05)
    for tally, words in (
        (Tally(100, 0, 100), ""),  # what was not confirmed proves nothing
        (Tally(0, 9), ""),
        (Tally(0, 60), "it answers otherwise than legacy: 69 of 269 answers, proved to be more than 5.0 %"),
    ):
        await store.tell({(ROUTE, ""): {Stratum(200, ""): tally}}, 1_000.0)
        await parities.look()
        assert parities.doubt(ROUTE) == words
    assert parities.doubt(OTHER_ROUTE) == ""


async def test_the_rate_is_that_of_lately_and_begins_anew_with_the_counts() -> None:
    worker = Worker()
    await worker.compare(1)
    await worker.compare(1_000, seconds=LATELY)
    await worker.compare(10, seconds=LATELY)
    assert "at this rate" in worker.parities.alike(ROUTE, 10).words
    await worker.compare(10, seconds=LATELY)
    slow = worker.parities.alike(ROUTE, 10).words
    await worker.parities.begin(ROUTE)
    await worker.compare(1)
    assert "in about 7 h at this rate" in slow  # 10 a minute
    assert "lately there were none" in worker.parities.alike(ROUTE, 10).words


def test_what_is_told_of_it_says_all_that_its_words_say() -> None:
    found = told(Parity(1_000.0, {Stratum(404, "agent"): Tally(30), Stratum(200, ""): Tally(8_000, 3, 2)}))
    assert (found["compared"], found["mismatched"], found["unconfirmed"], found["since"]) == (8_035, 3, 2, 1_000.0)
    assert (found["bound"], found["confirmed"], found["confidence"]) == (bound(8_035, 5), bound(8_033, 3), 0.99)
    first, second = found["strata"]
    assert (first["status"], first["role"], first["words"], first["compared"]) == (200, None, "200", 8_005)
    assert (second["status"], second["role"], second["words"]) == (404, "agent", "404 for agent")
    assert second["bound"] > first["bound"]
    assert found["words"].startswith("mismatches ≤ ")


def test_other_rules_another_match_and_another_source_of_roles_make_what_was_compared_void() -> None:
    written: dict[str, Any] = {"name": ROUTE, "match": "GET /things"}
    changed: list[dict[str, Any]] = [
        {"match": "GET /thing"},
        {"ignore": ["data.at"]},
        {"compare": {"ignore": ["data.at"]}},
        {"compare": {"cookies": ["theme"]}},
        {"compare": {"headers": ["content-type"]}},
        {"compare": {"tolerance": [{"at": "data.score", "absolute": "0.01"}]}},
        {"compare": {"tolerance": [{"at": "data.score", "absolute": "0.02"}]}},
    ]
    of = [digest_of(RouteConfig.model_validate({**written, **each}), ROLE) for each in ({}, *changed)]
    of.append(digest_of(RouteConfig.model_validate(written), None))
    of.append(digest_of(RouteConfig.model_validate(written), ROLE, ["agent"]))
    assert len(set(of)) == len(of) - 1  # where what is ignored is written does not matter
    assert of[2] == of[3]
    same = RouteConfig.model_validate({**written, "share": "5%", "slow_over": "2s"})
    assert digest_of(same, ROLE) == of[0]
