"""A worker that follows Unleash: what it takes over, what holds when that is away or makes no sense, and trips."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from flags.errors import Followed
from flags.flag import WHOLE, Flag, Source
from flags.loop import Loop
from flags.store import Store
from flags.store.memory import MemoryStore
from flags.store.redis import RedisStore
from flags.unleash.backup import Backup
from flags.unleash.follow import LATE, Unleash
from flags.unleash.server import Server, environment_of
from tests.contract.redis_process import PATIENCE, RedisProcess
from tests.flags.scripted import Scripted, asks, flag, rollout, scripted
from tests.flags.workers import NOTE, OTHER, ROUTE, RULE

TOKEN, ADMIN = "default:production.secret", "*:*.secret"
HASTE = 1.0  # seconds after which is given up what is there and hangs, and no less: this machine may be busy
SWITCH = f"POST /api/admin/projects/default/features/{ROUTE}/environments/production/off"


class Follower:
    """A worker, and what it goes by; its clock stands still until it is moved."""

    def __init__(self, server: Server, store: Store, backup: Path, name: str = "one") -> None:
        self.time = 1_000.0
        self.changes = 0
        self.server = server
        self.loop = Loop(store, [ROUTE, OTHER], RULE, name, on_change=self._changed, followed=True)
        self.unleash = Unleash(server, self.loop, [ROUTE, OTHER], Backup(backup), clock=lambda: self.time)

    @property
    def flag(self) -> Flag:
        return self.loop.get(ROUTE)

    @property
    def share(self) -> int:
        return self.flag.native

    async def poll(self, after: float = 0.0) -> None:
        self.time += after
        await self.unleash.poll()

    def _changed(self, route: str, before: Flag, after: Flag) -> None:
        self.changes += route == ROUTE


class Site:
    """A scripted Unleash, and workers that follow it."""

    def __init__(self, said: Scripted, owned: AsyncExitStack, folder: Path) -> None:
        self.said, self.store, self.backup = said, MemoryStore(), folder / "unleash.json"
        self._owned = owned

    def worker(
        self, store: Store | None = None, admin: str | None = None, name: str = "one", limit: float = PATIENCE
    ) -> Follower:
        server = Server(self.said.url, TOKEN, admin, limit=limit, largest=200_000)
        self._owned.push_async_callback(server.close)
        return Follower(server, store or self.store, self.backup, name)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with scripted() as said, AsyncExitStack() as owned:
        said.tell(5, flag(ROUTE, rollout("25")))
        yield Site(said, owned, tmp_path)


async def test_a_rollout_becomes_the_routes_share_and_says_where_from(site: Site) -> None:
    worker = site.worker()
    await worker.poll()
    assert (worker.share, worker.flag.source) == (2_500, Source(5, "default"))
    assert worker.unleash.connected
    assert worker.loop.get(OTHER) == Flag()


async def test_a_rollout_that_moves_is_followed_and_one_that_stays_changes_nothing(site: Site) -> None:
    worker = site.worker()
    for _ in range(3):
        await worker.poll()
    assert worker.changes == 1
    site.said.tell(6, flag(ROUTE, rollout("25")), flag("another", rollout("5")))
    await worker.poll()
    assert worker.changes == 1
    site.said.tell(7, flag(ROUTE, rollout("50")))
    await worker.poll()
    assert (worker.share, worker.changes) == (5_000, 2)


async def test_a_flag_that_is_switched_off_or_missing_is_a_share_of_nothing(site: Site) -> None:
    worker = site.worker()
    shares = []
    for revision, told in enumerate([rollout("25"), None, rollout("25")], 6):
        site.said.tell(revision, *([] if told is None else [flag(ROUTE, told)]))
        await worker.poll()
        shares.append(worker.share)
    site.said.tell(9, flag(ROUTE, rollout("25"), enabled=False))
    await worker.poll()
    assert [*shares, worker.share] == [2_500, 0, 2_500, 0]


async def test_what_cannot_be_honoured_holds_the_last_share_and_is_said_once_until_it_can(site: Site) -> None:
    worker = site.worker()
    await worker.poll()
    with capture_logs() as logs:
        for revision in (6, 7):
            site.said.tell(revision, flag(ROUTE, rollout("2.5")), flag(OTHER, rollout("5")))
            await worker.poll()
    assert (worker.share, worker.loop.get(OTHER).native) == (2_500, 500)
    assert "'2.5' is no whole percentage" in worker.unleash.refused[ROUTE]
    assert [log["route"] for log in logs if log["log_level"] == "error"] == [ROUTE]
    assert worker.unleash.connected
    site.said.tell(8, flag(ROUTE, rollout("50")))
    await worker.poll()
    assert (worker.share, worker.unleash.refused) == (5_000, {})


async def test_what_could_never_be_honoured_leaves_the_flag_as_it_is(site: Site) -> None:
    site.said.tell(5, flag(ROUTE, rollout("50", stickiness="random")))
    await site.store.change(ROUTE, 0, Flag(native=300, generation=1), NOTE)
    worker = site.worker()
    await worker.loop.refresh()
    await worker.poll()
    assert worker.share == 300
    assert "random" in worker.unleash.refused[ROUTE]


async def test_nobody_sets_a_share_by_hand_while_unleash_is_followed(site: Site) -> None:
    worker = site.worker()
    await worker.poll()
    with pytest.raises(Followed, match=r"its share is taken from Unleash"):
        await worker.loop.set(ROUTE, share=500)
    assert (await worker.loop.set(ROUTE, shadow=700)).after.shadow == 700
    await worker.poll()
    assert (worker.share, worker.flag.shadow) == (2_500, 700)


async def test_rules_are_evaluated_by_the_engine_for_each_subject(site: Site) -> None:
    worker = site.worker()
    assert not worker.unleash.chooses(ROUTE, "ada", "::1")
    site.said.tell(6, flag(ROUTE, rollout("100", constraints=[asks("userId", "ada")])))
    await worker.poll()
    assert worker.flag.by_rules
    assert [worker.unleash.chooses(ROUTE, subject, "::1") for subject in ("ada", "bob")] == [True, False]
    generation = worker.flag.generation
    site.said.tell(7, flag(ROUTE, rollout("100", constraints=[asks("userId", "bob")])))
    await worker.poll()
    assert [worker.unleash.chooses(ROUTE, subject, "::1") for subject in ("ada", "bob")] == [False, True]
    assert worker.flag.generation > generation  # others are on native now: evidence about them begins afresh


async def test_rules_that_the_engine_does_not_take_leave_the_last_ones_in_force(site: Site) -> None:
    worker = site.worker()
    site.said.tell(6, flag(ROUTE, rollout("100", constraints=[asks("userId", "ada")])))
    await worker.poll()
    site.said.tell(7, flag(ROUTE, rollout("100", constraints=[asks("userId", "bob", operator="RESEMBLES")])))
    await worker.poll()
    assert [worker.unleash.chooses(ROUTE, subject, "::1") for subject in ("ada", "bob")] == [True, False]
    assert "does not take its rules" in worker.unleash.refused[ROUTE]


AWAY = {
    "down": lambda said: said.garble(b"", status=503),
    "forbidden": lambda said: said.garble(b"{}", status=401),
    "moved": lambda said: said.garble(b"", status=302),
    "hung": lambda said: said.hang(),
    "no JSON": lambda said: said.garble(b"<html>"),
    "too deep": lambda said: said.garble(b"[" * 100_000),
    "not HTTP": lambda said: said.garble(b"", status=7),
    "other JSON": lambda said: said.garble(b'{"features": 5}'),
    "of the past": lambda said: said.tell(4, flag(ROUTE, rollout("75"))),
    "unchanged since never": lambda said: said.garble(b"", status=304),
}


@pytest.mark.parametrize("fault", [fault for fault in AWAY if fault != "unchanged since never"])
async def test_an_unleash_that_is_away_or_talks_nonsense_midway_holds_the_shares_and_is_said_once(
    site: Site, fault: str
) -> None:
    worker = site.worker(limit=HASTE if fault == "hung" else PATIENCE)
    await worker.poll()
    AWAY[fault](site.said)
    with capture_logs() as logs:
        await worker.poll()
        assert worker.unleash.connected  # a hiccup is nothing to tell
        for _ in range(3):
            await worker.poll(after=LATE)
    assert worker.share == 2_500
    assert not worker.unleash.connected
    assert worker.unleash.problem
    assert [log["event"] for log in logs] == ["Unleash gives no answer that can be used: the last shares hold"]
    site.said.tell(6, flag(ROUTE, rollout("50")))
    await worker.poll()
    assert (worker.share, worker.unleash.connected, worker.unleash.problem) == (5_000, True, "")


@pytest.mark.parametrize("fault", [fault for fault in AWAY if fault != "of the past"])
async def test_an_unleash_that_is_away_from_the_start_leaves_everything_on_legacy(site: Site, fault: str) -> None:
    AWAY[fault](site.said)
    worker = site.worker(limit=HASTE if fault == "hung" else PATIENCE)
    await worker.poll()
    assert worker.loop.snapshot == {ROUTE: Flag(), OTHER: Flag()}
    assert not worker.unleash.connected


async def test_an_unleash_that_nobody_can_reach_holds_the_shares(site: Site) -> None:
    worker = site.worker()
    await worker.poll()
    site.said.hang()
    nobody = Server("http://127.0.0.1:9", TOKEN, limit=PATIENCE)
    other = Follower(nobody, site.store, site.backup, "two")
    await other.loop.refresh()
    await other.poll()
    assert other.share == 2_500
    assert "9" in other.unleash.problem or "connect" in other.unleash.problem.lower()
    await nobody.close()


async def test_a_restart_without_redis_and_unleash_begins_with_the_last_words(site: Site) -> None:
    site.said.tell(5, flag(ROUTE, rollout("25")), flag(OTHER, rollout("100", constraints=[asks("userId", "ada")])))
    await site.worker().poll()
    assert os.stat(site.backup).st_mode & 0o077 == 0
    site.said.hang()
    again = site.worker(MemoryStore())
    kept = again.unleash.recall()
    assert kept[ROUTE] == Flag(2_500, source=Source(5, "default"))
    assert kept[OTHER].by_rules
    assert [again.unleash.chooses(OTHER, subject, "::1") for subject in ("ada", "bob")] == [True, False]


async def test_what_was_kept_is_never_written_over_what_the_fleet_goes_by(site: Site) -> None:
    await site.worker().poll()
    site.said.hang()
    restored = MemoryStore()
    await restored.change(ROUTE, 0, Flag(native=100, generation=1, source=Source(3, "default")), NOTE)
    again = site.worker(restored, limit=HASTE)
    again.unleash.recall()
    await again.loop.refresh()
    await again.poll()
    assert again.share == 100


@pytest.mark.parametrize("text", ["", "{", "[]", '{"revision": 1, "words": {"messages.create": 5}}', "\0\xff"])
async def test_a_backup_that_cannot_be_read_counts_as_none(site: Site, text: str) -> None:
    site.backup.write_text(text)
    worker = site.worker()
    assert worker.unleash.recall() == {}
    await worker.poll()
    assert worker.share == 2_500
    assert site.worker().unleash.recall()[ROUTE].native == 2_500


async def test_a_backup_that_cannot_be_written_is_said_and_traffic_follows_all_the_same(site: Site) -> None:
    site.backup.mkdir()
    worker = site.worker()
    with capture_logs() as logs:
        await worker.poll()
    assert worker.share == 2_500
    assert "no restart would know it" in str(logs)
    assert [entry.name for entry in site.backup.parent.iterdir()] == [site.backup.name]


async def test_a_worker_that_is_behind_does_not_take_back_what_another_has_taken_over(site: Site) -> None:
    behind, ahead = site.worker(name="behind"), site.worker(name="ahead")
    await behind.poll()
    site.said.tell(6, flag(ROUTE, rollout("50")))
    await ahead.loop.refresh()
    await ahead.poll()
    site.said.tell(5, flag(ROUTE, rollout("25")))  # as from an instance of Unleash that has not heard yet
    await behind.loop.refresh()
    await behind.poll()
    assert behind.share == 5_000
    assert (await site.store.flags())[ROUTE].source == Source(6, "default")


async def test_workers_that_hear_at_once_write_once(site: Site) -> None:
    workers = [site.worker(name=name) for name in ("one", "two", "three")]
    await asyncio.gather(*(worker.poll() for worker in workers))
    generation = (await site.store.flags())[ROUTE].generation
    for worker in workers:
        await worker.loop.refresh()
        await worker.poll()
    assert {worker.flag.generation for worker in workers} == {generation}


async def test_a_trip_wins_until_it_is_reset_and_then_the_share_is_unleashs_again(site: Site) -> None:
    worker = site.worker()
    await worker.poll()
    await worker.loop.rollback(ROUTE, "incident 7")
    site.said.tell(6, flag(ROUTE, rollout("50")))
    await worker.poll()
    assert (worker.share, worker.flag.tripped) == (0, True)
    change = await worker.loop.reset(ROUTE)
    assert change.words == f"{ROUTE}: reset, on every worker; from now on native's share is what Unleash says"
    assert worker.share == 0
    await worker.poll()
    assert worker.share == 5_000
    assert not [line for line in site.said.asked if line.startswith("POST")]  # there was no token to do it with


async def test_a_trip_is_switched_off_in_unleash_with_a_token_that_may(site: Site) -> None:
    worker = site.worker(admin=ADMIN)
    await worker.poll()
    await worker.loop.rollback(ROUTE, "incident 7")
    for _ in range(3):
        await worker.poll()
    assert [line for line in site.said.asked if line.startswith("POST")] == [SWITCH]
    await worker.loop.reset(ROUTE)
    await worker.poll()
    assert worker.share == 0  # though Unleash does not show yet that it is off
    site.said.tell(6, flag(ROUTE, rollout("25"), enabled=False))
    await worker.poll()
    site.said.tell(7, flag(ROUTE, rollout("5")))
    await worker.poll()
    assert worker.share == 500


async def test_who_switches_a_tripped_route_on_again_in_unleash_finds_it_off(site: Site) -> None:
    worker = site.worker(admin=ADMIN)
    await worker.poll()
    await worker.loop.rollback(ROUTE, "incident 7")
    await worker.poll()
    site.said.tell(7, flag(ROUTE, rollout("25")))
    await worker.poll()
    assert site.said.asked.count(SWITCH) == 2
    assert worker.flag.tripped


async def test_a_trip_that_unleash_does_not_hear_is_said_and_told_again_until_it_does(site: Site) -> None:
    site.said.tell(5, flag(ROUTE, rollout("25")), flag(OTHER, rollout("25")))
    site.said.denied = f"/{ROUTE}/"
    worker = site.worker(admin=ADMIN)
    await worker.poll()
    await worker.loop.rollback_all("incident 7")
    with capture_logs() as logs:
        for _ in range(3):
            await worker.poll()
    assert site.said.asked.count(SWITCH) == 3
    assert site.said.asked.count(SWITCH.replace(ROUTE, OTHER)) == 1  # one that is denied does not keep others from it
    assert [log["log_level"] for log in logs if log["route"] == ROUTE] == ["error"]
    assert list(worker.unleash.refused) == [ROUTE]
    assert "the token is not valid, or not for this" in worker.unleash.refused[ROUTE]
    site.said.denied = "/no-such-flag/"
    await worker.poll()
    assert worker.unleash.refused == {}


async def test_an_unleash_that_hangs_is_not_asked_for_each_trip_and_hears_of_all_when_it_is_back(site: Site) -> None:
    site.said.tell(5, flag(ROUTE, rollout("25")), flag(OTHER, rollout("25")))
    worker = site.worker(admin=ADMIN, limit=HASTE)
    await worker.poll()
    await worker.loop.rollback_all("incident 7")
    site.said.hang()
    await worker.poll()
    assert len(site.said.asked) == 2  # both times what it says
    assert {"does not answer" in why for why in worker.unleash.refused.values()} == {True}
    site.said.tell(5, flag(ROUTE, rollout("25")), flag(OTHER, rollout("25")))
    await worker.poll()
    assert {SWITCH, SWITCH.replace(ROUTE, OTHER)} <= {*site.said.asked}


async def test_while_the_store_is_away_shares_hold_and_what_unleash_says_is_taken_when_it_is_back(
    site: Site, own_redis: RedisProcess
) -> None:
    store = RedisStore(own_redis.url(1), HASTE)
    worker = site.worker(store)
    await worker.poll()
    own_redis.pause()
    site.said.tell(6, flag(ROUTE, rollout("50")), flag(OTHER, rollout("5")))
    await worker.poll()
    assert (worker.share, worker.loop.connected) == (2_500, False)
    own_redis.resume()
    while not (worker.loop.connected and worker.loop.get(OTHER).native == 500):  # at first it may come too late
        await worker.poll()
    assert (worker.share, worker.loop.get(OTHER).native) == (5_000, 500)
    await store.close()


async def test_of_a_larger_answer_than_anybody_means_nothing_is_taken(site: Site) -> None:
    worker = site.worker()
    await worker.poll()
    site.said.garble(b'{"features": [], "meta": {"revisionId": 9}}' + b" " * 200_000)
    await worker.poll(after=LATE + 1)
    assert (worker.share, worker.unleash.connected) == (2_500, False)
    assert "it is larger than 200000 bytes" in worker.unleash.problem


async def test_unleash_is_asked_again_and_again_until_the_worker_ends(site: Site) -> None:
    worker = site.worker()
    followed = asyncio.Event()
    worker.loop = Loop(site.store, [ROUTE], RULE, "one", on_change=lambda *_: followed.set())
    worker.unleash = Unleash(worker.server, worker.loop, [ROUTE], Backup(site.backup))
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        watch = tasks.create_task(worker.unleash.run())
        await followed.wait()
        followed.clear()
        site.said.tell(6, flag(ROUTE, rollout("50")))
        await followed.wait()
        watch.cancel()
    assert worker.share == 5_000


async def test_a_fault_of_ours_ends_neither_the_watch_nor_the_worker(site: Site) -> None:
    worker, followed, faults = site.worker(), asyncio.Event(), ["a fault in a hook"]

    def on_change(*_: object) -> None:
        followed.set()
        if faults:
            raise RuntimeError(faults.pop())

    worker.loop = Loop(site.store, [ROUTE], RULE, "one", on_change=on_change)
    worker.unleash = Unleash(worker.server, worker.loop, [ROUTE], Backup(site.backup), every=0.05)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        watch = tasks.create_task(worker.unleash.run())
        await followed.wait()
        followed.clear()
        site.said.tell(6, flag(ROUTE, rollout("50")))
        await followed.wait()
        watch.cancel()
    assert (worker.share, faults) == (5_000, [])


async def test_a_share_and_a_group_of_a_flag_that_was_followed_end_with_a_share_by_hand(site: Site) -> None:
    await site.worker().poll()
    loop = Loop(site.store, [ROUTE], RULE, "by hand")
    change = await loop.set(ROUTE, share=500)
    assert replace(change.after, generation=0) == Flag(500)


@pytest.mark.parametrize(("token", "environment"), [("default:production.x", "production"), ("*:dev.a.b", "dev")])
def test_a_token_names_its_environment(token: str, environment: str) -> None:
    assert environment_of(token) == environment


@pytest.mark.parametrize("token", ["", "secret", "default:", "default:production", "default:.x", "a.b"])
def test_a_token_that_names_none_is_a_value_error(token: str) -> None:
    with pytest.raises(ValueError, match="no token of a client"):
        environment_of(token)


def test_the_share_of_rules_is_anybodys() -> None:
    assert Flag(WHOLE, source=Source(1, rules="x")).by_rules
    assert not Flag(0, source=Source(1, rules="x")).by_rules
    assert not Flag(WHOLE, source=Source(1)).by_rules


async def test_a_share_that_is_taken_from_unleash_is_recorded_as_its_own(site: Site) -> None:
    worker = site.worker()
    for _ in range(2):
        await worker.poll()
    (record,) = await site.store.audit(10)
    assert (record.note.who, record.note.why) == ("unleash", "its revision 5 says so")
    assert (record.before, record.after) == (Flag(), worker.flag)
