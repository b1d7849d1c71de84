"""What every journal does, whichever keeps it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from shadow.compare import Difference, Kind
from shadow.excerpt import Excerpt, Shown
from shadow.journal import AGE, Journal, MemoryJournal, RedisJournal
from shadow.mismatch import SAMPLES, Act, Finding, Mismatch, State
from tests.contract.redis_process import emptied

ENTRIES = 12
LIST, SHOW = "conversations.list", "conversations.show"
STATUS = Difference("", Kind.STATUS, 200, 500)
NAME = Difference("data[0].name", Kind.VALUE, "Jürgen", "Jurgen")
FINDING = Finding(
    at=1_700_000_000.25,
    route=LIST,
    method="GET",
    target="/api/v1/conversations?status=open",
    headers=[("Accept", "application/json"), ("Authorization", "Bearer hunter2"), ("X-Tenant", "7")],
    has_body=False,
    request_id="r-1",
    control_side="legacy",
    candidate_side="native",
    control_status=200,
    candidate_status=500,
    differences=(STATUS, NAME),
)
SECRETS = ("data.accessToken", "data.user", "headers.set-cookie", "users", "data.content")
SHOWN = {LIST: Shown.parse(["data[*].status"]), "generous": Shown.parse(SECRETS)}
RESOLVED = Act(FINDING.at + 10, "Anna", "deployed", State.RESOLVED)
MUTED = Act(FINDING.at + 10, "Ben – am Gerät", 'known: "X"', State.MUTED, FINDING.at + 3_600)


@pytest.fixture(params=["memory", "redis", "redis as text", "redis as a Cluster"])
async def journal(request: pytest.FixtureRequest) -> AsyncIterator[Journal]:
    if request.param == "memory":
        yield MemoryJournal(SHOWN, ENTRIES)
        return
    as_text = request.param == "redis as text"
    url = request.getfixturevalue("contract_redis_by")("redis" if as_text else request.param)
    async with emptied(url, decode_responses=as_text) as client:
        yield RedisJournal(client, SHOWN, ENTRIES)


def differing(*fields: str, **told: Any) -> Finding:
    differences = tuple(Difference(field, Kind.VALUE, 1, 2) for field in fields)
    return replace(FINDING, differences=differences, **told)


async def test_what_is_unconfirmed_is_another_entry_and_has_a_room_of_its_own(journal: Journal) -> None:
    await journal.record(differing("name"))
    for number in range(ENTRIES + 3):
        await journal.record(differing(f"field{number}", confirmed=False, at=FINDING.at + 1 + number))
    await journal.record(differing("name", confirmed=False, at=FINDING.at + 100))
    told = await journal.latest(100, LIST)
    assert [(each.field, each.confirmed) for each in told] == [
        ("name", False),
        *((f"field{ENTRIES + 2 - number}", False) for number in range(ENTRIES - 1)),
        ("name", True),
    ]
    assert told == await journal.latest(100)
    assert told[0].id != told[-1].id
    assert {each.state(FINDING.at) for each in told} == {State.OPEN, State.UNCONFIRMED}
    assert await journal.turn(told[-2].id, replace(RESOLVED, at=FINDING.at + 200))
    await journal.record(differing("other", confirmed=False, at=FINDING.at + 201))
    kept = await journal.latest(100, LIST)
    assert [each.id for each in kept[:2]] == [kept[0].id, told[-2].id]  # it was touched after the others
    assert len(kept) == ENTRIES + 1


async def only(journal: Journal, wanted: Callable[[Mismatch], bool] = lambda each: True) -> Mismatch:
    (listed,) = await journal.latest(10, wanted=wanted)
    found = await journal.find(listed.id)
    assert found is not None
    assert replace(found, samples=()) == listed
    return found


async def test_a_finding_is_one_entry_for_each_field_and_kind_with_the_request_and_both_answers(
    journal: Journal,
) -> None:
    await journal.record(FINDING)
    assert {(each.field, each.kind) for each in await journal.latest(10)} == {("", "status"), ("data[*].name", "value")}
    found = await only(journal, lambda each: each.kind == "value")
    assert (found.route, found.count, found.first, found.last) == (LIST, 1, FINDING.at, FINDING.at)
    assert (found.act, found.reopened, found.state(FINDING.at)) == (None, None, State.OPEN)
    (sample,) = found.samples
    assert (sample.method, sample.target, sample.path) == ("GET", "/api/v1/conversations?status=open", "data[0].name")
    assert (sample.headers, sample.credentials) == ((("accept", "application/json"),), ("authorization",))
    assert sample.others == ("x-tenant",)
    assert (sample.control_side, sample.control_status) == ("legacy", 200)
    assert (sample.candidate_side, sample.candidate_status) == ("native", 500)
    assert (sample.at, sample.request_id, sample.repeatable) == (FINDING.at, "r-1", True)
    assert (sample.control.type, sample.control.length) == ("text", 6)
    assert sample.control.digest != sample.candidate.digest


async def test_a_new_journal_is_empty(journal: Journal) -> None:
    assert await journal.latest(10) == []
    assert await journal.find("0123456789ab") is None
    assert not await journal.turn("0123456789ab", RESOLVED)


async def test_what_is_found_again_is_counted_and_the_newest_samples_are_kept(journal: Journal) -> None:
    for number in range(SAMPLES + 3):
        await journal.record(differing("data.id", request_id=f"r-{number}", at=FINDING.at + number))
    found = await only(journal)
    assert (found.count, found.first, found.last) == (SAMPLES + 3, FINDING.at, FINDING.at + SAMPLES + 2)
    assert [sample.request_id for sample in found.samples] == [f"r-{SAMPLES + 2 - back}" for back in range(SAMPLES)]


async def test_many_elements_that_differ_in_one_field_are_one_entry(journal: Journal) -> None:
    await journal.record(differing("data[0].tags[1]", "data[0].tags[2]", "data[7].tags[0]"))
    found = await only(journal)
    assert (found.field, found.count) == ("data[*].tags[*]", 1)
    assert [sample.path for sample in found.samples] == ["data[0].tags[1]"]


async def test_a_finding_of_an_older_moment_does_not_make_the_last_one_older(journal: Journal) -> None:
    for later in (5.0, 0.0):
        await journal.record(differing("data.id", at=FINDING.at + later))
    assert (await only(journal)).last == FINDING.at + 5


async def test_the_one_that_was_touched_last_comes_first_by_route_number_and_wish(journal: Journal) -> None:
    for number, (route, field) in enumerate([(LIST, "a"), (SHOW, "a"), (LIST, "b"), (LIST, "a")]):
        await journal.record(differing(field, route=route, at=FINDING.at + number))

    async def listed(*arguments: Any, **wishes: Any) -> list[tuple[str, str]]:
        return [(each.route, each.field) for each in await journal.latest(*arguments, **wishes)]

    assert await listed(10) == [(LIST, "a"), (LIST, "b"), (SHOW, "a")]
    assert await listed(10, LIST) == [(LIST, "a"), (LIST, "b")]
    assert await listed(1, LIST) == [(LIST, "a")]
    assert await listed(1, wanted=lambda each: each.count == 1) == [(LIST, "b")]
    assert await listed(0) == await listed(10, "unknown") == []


async def test_a_route_with_endless_fields_pushes_out_only_its_own(journal: Journal) -> None:
    await journal.record(differing("rare", route=SHOW))
    for number in range(3 * ENTRIES):
        await journal.record(differing(f"users.name{number}", at=FINDING.at + number))
    kept = await journal.latest(100)
    assert [each.field for each in kept[:-1]] == [f"users.name{n}" for n in range(3 * ENTRIES - 1, 2 * ENTRIES - 1, -1)]
    assert kept[-1].route == SHOW
    oldest = await journal.find(kept[ENTRIES - 1].id)
    assert oldest is not None
    assert len(oldest.samples) == 1


async def test_what_somebody_has_acted_on_makes_room_last_but_never_takes_all_of_it(journal: Journal) -> None:
    for number in range(ENTRIES):
        await journal.record(differing(f"known{number}", at=FINDING.at + number))
    for count in (2, ENTRIES):
        for listed in (await journal.latest(100))[-count:]:
            await journal.turn(listed.id, replace(MUTED, at=FINDING.at + 100 + count))
        for number in range(2 * ENTRIES):
            await journal.record(differing(f"new{count}_{number}", at=FINDING.at + 200 + count + number))
        kept = await journal.latest(100)
        assert len(kept) == ENTRIES
        assert sum(each.act is not None for each in kept) == min(count, ENTRIES // 2)
        newest = range(2 * ENTRIES - 1, 2 * ENTRIES - 1 - ENTRIES // 2, -1)
        assert [each.field for each in kept[: ENTRIES // 2]] == [f"new{count}_{number}" for number in newest]


async def test_what_nobody_touches_goes_with_time(journal: Journal) -> None:
    await journal.record(differing("old"))
    await journal.record(differing("acted", at=FINDING.at + 1))
    acted = (await journal.latest(1))[0]
    await journal.turn(acted.id, replace(MUTED, at=FINDING.at + 60))
    for route in (LIST, SHOW):
        await journal.record(differing("new", at=FINDING.at + AGE, route=route))
    assert {each.field for each in await journal.latest(10)} == {"acted", "new"}


async def test_a_resolved_one_is_open_again_as_soon_as_it_is_seen_and_says_so(journal: Journal) -> None:
    await journal.record(differing("data.id"))
    identity = (await only(journal)).id
    assert await journal.turn(identity, RESOLVED)
    found = await only(journal)
    assert (found.act, found.state(RESOLVED.at), len(found.samples)) == (RESOLVED, State.RESOLVED, 1)
    for later in (20.0, 30.0):
        await journal.record(differing("data.id", at=FINDING.at + later))
    found = await only(journal)
    assert (found.reopened, found.act, found.count) == (FINDING.at + 20, RESOLVED, 3)
    assert found.state(FINDING.at + 30) is State.OPEN
    assert await journal.turn(identity, replace(RESOLVED, at=FINDING.at + 40))
    assert ((await only(journal)).state(FINDING.at + 40), (await only(journal)).reopened) == (State.RESOLVED, None)


async def test_a_muted_one_counts_on_in_silence_until_its_time_is_over(journal: Journal) -> None:
    await journal.record(differing("data.id"))
    await journal.turn((await only(journal)).id, MUTED)
    await journal.record(differing("data.id", at=FINDING.at + 20))
    found = await only(journal)
    assert (found.act, found.count, found.reopened) == (MUTED, 2, None)
    assert MUTED.until is not None
    assert found.state(MUTED.until - 1) is State.MUTED
    assert found.state(MUTED.until) is State.OPEN


async def test_one_that_was_resolved_once_and_is_muted_now_stays_muted(journal: Journal) -> None:
    await journal.record(differing("data.id"))
    for act in (RESOLVED, MUTED):
        await journal.turn((await only(journal)).id, act)
    await journal.record(differing("data.id", at=FINDING.at + 20))
    assert (await only(journal)).state(FINDING.at + 20) is State.MUTED


async def test_values_are_kept_as_type_length_and_digest_but_for_those_that_may_be_shown(journal: Journal) -> None:
    found = (
        Difference("data[0].status", Kind.VALUE, "open", "OPEN"),
        Difference("data[0].content", Kind.VALUE, "private words", "private words "),
        Difference("data[1].subject", Kind.VALUE, "private words", None),
    )
    await journal.record(replace(FINDING, differences=found))
    await journal.record(replace(FINDING, differences=found[1:], route=SHOW))
    samples = {}
    for listed in await journal.latest(10):
        entry = await journal.find(listed.id)
        assert entry is not None
        samples[entry.route, entry.field] = entry.samples[0]
        assert "private" not in repr(entry)
    assert samples[LIST, "data[*].status"].candidate == Excerpt("text", shown='"OPEN"')
    content, subject = samples[LIST, "data[*].content"], samples[LIST, "data[*].subject"]
    assert (content.control.type, content.control.length, content.control.shown) == ("text", 13, None)
    assert content.control.digest != content.candidate.digest
    assert content.control.digest == subject.control.digest == samples[SHOW, "data[*].content"].control.digest


async def test_no_secret_is_kept_though_it_may_be_shown(journal: Journal) -> None:
    paths = [path if path != "users" else 'users["ada@example.org"]' for path in SECRETS]
    secret: dict[str, Any] = {"email": "ada@example.org", "password": "hunter2", "note": "write to ada@example.org"}
    values = ["hunter2", secret, ["sid=hunter2"], 1, "/callback?reset_token=hunter2 Bearer hunter2"]
    found = tuple(Difference(path, Kind.VALUE, value, None) for path, value in zip(paths, values, strict=True))
    given = [("Cookie", "sid=hunter2"), ("Authorization", "Bearer hunter2"), ("Accept", "ada@example.org")]
    target = "/users/ada@example.org?token=hunter2&q=ada%40example.org&a=1"
    asked = replace(FINDING, route="generous", target=target, headers=given, request_id="eyJhunter2abc")
    await journal.record(replace(asked, differences=found))
    entries = [await journal.find(each.id) for each in await journal.latest(10)]
    assert len(entries) == len(paths)
    assert "hunter2" not in repr(entries)
    assert "example.org" not in repr(entries)
    assert all(
        each and each.samples[0].target == "/users/[redacted]?token=[redacted]&q=[redacted]&a=1" for each in entries
    )
    assert not any(sample.repeatable for each in entries if each for sample in each.samples)


async def test_many_may_write_at_once(journal: Journal) -> None:
    await asyncio.gather(*(journal.record(differing("data.id", "data.name")) for _ in range(50)))
    assert [each.count for each in await journal.latest(10)] == [50, 50]


async def test_what_one_worker_records_another_reads_with_digests_that_are_equal(redis: Redis) -> None:
    one, two = RedisJournal(redis), RedisJournal(redis)
    for worker in (one, two):
        await worker.record(differing("data.name"))
    found = await only(two)
    assert found.count == 2
    assert len({sample.control.digest for sample in found.samples}) == 1
    assert found.samples[0].control.digest not in (found.samples[0].candidate.digest, None)


async def test_digests_stay_comparable_when_redis_was_emptied(redis: Redis) -> None:
    one, two = RedisJournal(redis), RedisJournal(redis)
    await one.record(differing("data.name"))
    await redis.flushdb()
    for worker in (two, one):
        await worker.record(differing("data.name"))
    assert len({sample.control.digest for sample in (await only(one)).samples}) == 1


async def test_every_key_expires_but_the_salt_and_none_is_left_of_what_made_room(redis: Redis) -> None:
    journal = RedisJournal(redis, entries=2, prefix="{t}:journal")
    for number in range(5):
        await journal.record(differing(f"data.a{number}", at=FINDING.at + number))
    keys = [key.decode() for key in await redis.keys("*")]
    assert len(keys) == 1 + 2 + 2 * 2
    for key in keys:
        assert key.startswith("{t}:journal:")
        left = await redis.ttl(key)
        assert left == -1 if key == "{t}:journal:salt" else AGE - 60 < left <= AGE
    await redis.persist("{t}:journal:index")
    await journal.turn((await journal.latest(1))[0].id, RESOLVED)
    assert AGE - 60 < await redis.ttl("{t}:journal:index") <= AGE


@pytest.mark.parametrize(
    "fields",
    [
        {"count": "many"},
        {"act": "no json"},
        {"act": '{"state": "new", "at": 1, "who": "", "why": ""}'},
        {"act": '{"state": "muted", "more": 1}'},
        {"reopened": "yesterday"},
    ],
)
async def test_entries_of_another_version_are_passed_over(redis: Redis, fields: dict[Any, Any]) -> None:
    journal = RedisJournal(redis, prefix="{t}:journal")
    await journal.record(FINDING)
    broken = (await journal.latest(1))[0].id
    await redis.hset(f"{{t}}:journal:entry:{broken}", mapping=fields)
    assert broken not in [each.id for each in await journal.latest(10)]
    assert await journal.find(broken) is None
    assert len(await journal.latest(10)) == 1


async def test_a_sample_of_another_version_takes_no_other_along(redis: Redis) -> None:
    journal = RedisJournal(redis, prefix="{t}:journal")
    for _ in range(2):
        await journal.record(FINDING)
    (entry, *_) = await journal.latest(1)
    sample = json.loads(await redis.lindex(f"{{t}}:journal:samples:{entry.id}", 0))
    await redis.lset(f"{{t}}:journal:samples:{entry.id}", 0, json.dumps({**sample, "weather": "fine"}))
    found = await journal.find(entry.id)
    assert found is not None
    assert len(found.samples) == 1
    assert await journal.turn(entry.id, RESOLVED)


async def test_a_redis_that_is_gone_is_reported_by_its_own_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        client = Redis(port=taken.getsockname()[1], retry=Retry(NoBackoff(), 0))
        journal = RedisJournal(client)
        for asking in (journal.record(FINDING), journal.latest(1), journal.find("1"), journal.turn("1", RESOLVED)):
            with pytest.raises(RedisError):
                await asking
        await client.aclose()
