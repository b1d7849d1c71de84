"""A job is Redis' until it is done: a worker that dies, or never hears of what it was given, takes none along."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from demo.graph import written
from demo.service import Service
from demo.stack import LEGACY, rails_environment, start_sidekiq
from tests.legacy.facebook import ACME_INBOX, ACME_PAGE, ENDED, World

SIDES = ("legacy", "native")
REGISTER = "working"
RESUMED = "working:resumed"
GONE = "working:queue:default:gone:1:abc"
DAY = 86_400


def lists(world: World) -> list[str]:
    """Of all workers, those that hold jobs."""
    return list(world.store.scan_iter("working:queue:*"))


def in_hand(world: World) -> int:
    return sum(int(world.store.llen(name)) for name in lists(world))


def own_list(world: World, worker: Service | None = None) -> str:
    pid = (worker or world.sidekiq).process.pid
    (name,) = (name for name in world.store.zrange(REGISTER, 0, -1) if f":{pid}:" in name)
    return str(name)


def silent_for(world: World, seconds: int, name: str) -> None:
    world.store.zadd(REGISTER, {name: int(time.time()) - seconds})


def half_a_minute_passes(world: World, name: str) -> None:
    """Since that worker was last seen, while others were."""
    world.store.delete(RESUMED)
    silent_for(world, 31, name)


def looked(world: World, worker: Service | None = None) -> None:
    """Return when the worker has looked once more."""
    silent_for(world, 2, own := own_list(world, worker))
    before = world.store.zscore(REGISTER, own)
    world.eventually(lambda: world.store.zscore(REGISTER, own) != before)


def deaths(payload: str) -> str:
    return f"working:deaths:{hashlib.sha1(payload.encode(), usedforsecurity=False).hexdigest()}"


def buried(world: World, payload: str) -> bool:
    return world.store.zrem("dead", payload) == 1


def job(**more: Any) -> dict[str, Any]:
    return {"class": "NotifyAgentsJob", "args": [0], "jid": uuid4().hex[:24], "queue": "default", "retry": True} | more


def done(world: World, jid: str) -> bool:
    return jid in ENDED.findall(world.sidekiq.log.read_text())


@pytest.fixture
def sender(world: World) -> str:
    """Who has written once; what he writes next waits until somebody lets go of him."""
    sender = f"psid-{uuid4().hex}"
    world.deliver("legacy", written(ACME_PAGE, sender, f"m_{uuid4().hex}", "first"))
    world.work_done()
    return sender


def contents(world: World, sender: str) -> list[str]:
    found = world.rows(
        "select content from messages m join contacts c on c.id = m.contact_id where c.external_id = %s", sender
    )
    return sorted(row["content"] for row in found)


def test_a_job_whose_time_has_come_is_done_and_one_that_its_queue_refuses_keeps_waiting(world: World) -> None:
    given, refused = job(retry_count=1), json.dumps(job(queue="refused"))
    world.store.set("queue:refused", "no list")
    # In this order, in which one that cannot be read keeps nobody back.
    world.store.zadd("retry", {"no job": 0, json.dumps(given): 1, refused: 2})
    try:
        world.eventually(lambda: "WRONGTYPE" in world.sidekiq.log.read_text())
        assert world.store.zrange("retry", "-inf", 2, byscore=True) == [refused]
    finally:
        world.store.zrem("retry", refused)
        world.store.delete("queue:refused")
    world.eventually(lambda: done(world, given["jid"]))
    world.eventually(lambda: buried(world, "no job"))


def test_what_a_worker_was_doing_when_it_was_killed_is_done_by_the_next(world: World, sender: str) -> None:
    with psycopg.connect(world.application.database_url) as other:
        other.execute("select from contacts where external_id = %s for update", [sender])
        for side in SIDES:
            assert world.deliver(side, written(ACME_PAGE, sender, f"m_{uuid4().hex}", f"by {side}")) == 200
        world.eventually(lambda: in_hand(world) == len(SIDES))
        dead = own_list(world)
        world.worker.kill()
    assert contents(world, sender) == ["first"]
    world.worker.revive()
    # Whether it is dead, or just busy with something else, nobody knows before half a minute is over.
    assert in_hand(world) == len(SIDES)
    half_a_minute_passes(world, dead)
    world.eventually(lambda: len(contents(world, sender)) == 3)
    assert contents(world, sender) == ["by legacy", "by native", "first"]
    world.work_done()
    assert lists(world) == []


def test_what_a_worker_cannot_finish_before_it_has_to_stop_is_done_once_by_the_next(world: World, sender: str) -> None:
    with psycopg.connect(world.application.database_url) as other:
        other.execute("select from contacts where external_id = %s for update", [sender])
        for side in SIDES:
            assert world.deliver(side, written(ACME_PAGE, sender, f"m_{uuid4().hex}", f"by {side}")) == 200
        world.eventually(lambda: in_hand(world) == len(SIDES))
        world.sidekiq.process.send_signal(signal.SIGTERM)
        world.eventually(lambda: "Bye!" in world.sidekiq.log.read_text())
        assert lists(world) == []
        assert world.store.llen("queue:default") == len(SIDES)
    world.sidekiq.stop()
    assert contents(world, sender) == ["first"]
    world.worker.revive()
    world.work_done()
    assert contents(world, sender) == ["by legacy", "by native", "first"]


def test_a_worker_stops_though_postgresql_never_answers_it_and_the_next_does_its_job(world: World, sender: str) -> None:
    waiting = "select pid from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    with psycopg.connect(world.application.database_url) as other:
        other.execute("select from contacts where external_id = %s for update", [sender])
        world.deliver("legacy", written(ACME_PAGE, sender, f"m_{uuid4().hex}", "second"))
        world.eventually(lambda: len(world.rows(waiting)) == 1)
        silent = world.row(waiting)["pid"]
        os.kill(silent, signal.SIGSTOP)
        try:
            world.sidekiq.process.send_signal(signal.SIGTERM)
            assert world.sidekiq.process.wait(60) == 0
        finally:
            os.kill(silent, signal.SIGCONT)
        assert world.store.llen("queue:default") == 1
        assert lists(world) == []
    world.sidekiq.stop()
    world.worker.revive()
    world.work_done()
    assert contents(world, sender) == ["first", "second"]


def test_a_worker_that_is_stopping_is_seen_until_it_exits_and_takes_nothing_over(
    world: World, sender: str, tmp_path: Path
) -> None:
    given = job()
    world.worker.kill()
    with start_sidekiq(tmp_path, world.application, extra={"SIDEKIQ_TIMEOUT": "60"}) as stopping:
        with psycopg.connect(world.application.database_url) as other:
            other.execute("select from contacts where external_id = %s for update", [sender])
            world.deliver("legacy", written(ACME_PAGE, sender, f"m_{uuid4().hex}", "second"))
            world.eventually(lambda: in_hand(world) == 1)
            stopping.process.send_signal(signal.SIGTERM)
            world.eventually(lambda: "Pausing to allow workers to finish" in stopping.log.read_text())
            world.store.lpush(GONE, json.dumps(given))
            half_a_minute_passes(world, GONE)
            looked(world, stopping)
            looked(world, stopping)
            assert world.store.lrange(GONE, 0, -1) == [json.dumps(given)]
            assert world.store.llen(own_list(world, stopping)) == 1
        assert stopping.process.wait(60) == 0
    assert contents(world, sender) == ["first", "second"]
    world.worker.revive()
    world.eventually(lambda: done(world, given["jid"]))
    world.work_done()
    assert lists(world) == []


def test_a_job_whose_end_redis_does_not_hear_of_is_told_and_done_once_more(world: World, sender: str) -> None:
    with psycopg.connect(world.application.database_url) as other:
        other.execute("select from contacts where external_id = %s for update", [sender])
        world.deliver("legacy", written(ACME_PAGE, sender, f"m_{uuid4().hex}", "second"))
        world.eventually(lambda: in_hand(world) == 1)
        own = own_list(world)
        (given,) = (json.loads(payload) for payload in world.store.lrange(own, 0, -1))
        world.store.rename(own, "aside")
        world.store.set(own, "no list")
    said = json.dumps({"class": "FacebookWebhookJob", "jid": given["jid"]}, separators=(",", ":"))
    world.eventually(lambda: f'"event":"job_not_let_go","job":{said}' in world.sidekiq.log.read_text())
    world.store.rename("aside", own)
    world.eventually(lambda: ENDED.findall(world.sidekiq.log.read_text()).count(given["jid"]) == 2)
    world.work_done()
    assert contents(world, sender) == ["first", "second"]
    assert lists(world) == []


def test_a_worker_that_is_given_two_queues_does_not_start_and_says_why(world: World, tmp_path: Path) -> None:
    command = ["bundle", "exec", "sidekiq", "-C", "config/sidekiq.yml", "-r", ".", "-q", "default", "-q", "mail"]
    environment = rails_environment(tmp_path, world.application)
    ended = subprocess.run(
        command, cwd=LEGACY, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    refused = [json.loads(line) for line in ended.stdout.splitlines() if '"event":"worker_failed"' in line]
    assert refused
    assert all("give Sidekiq one queue: it would never look at mail" in each["exception"] for each in refused)


def test_who_takes_a_job_after_a_long_silence_and_dies_before_it_is_seen_again_loses_nothing(world: World) -> None:
    half_a_minute_passes(world, GONE)
    looked(world)
    given = job()
    world.store.lpush(GONE, json.dumps(given))
    world.eventually(lambda: done(world, given["jid"]))


def test_a_worker_is_forgotten_after_a_day(world: World) -> None:
    another = f"{GONE}d"
    world.store.delete(RESUMED)
    silent_for(world, DAY - 60, GONE)
    silent_for(world, DAY + 60, another)
    world.eventually(lambda: world.store.zscore(REGISTER, another) is None)
    assert world.store.zrem(REGISTER, GONE) == 1


def test_when_redis_comes_back_nobody_is_taken_for_dead_before_he_can_have_been_seen(world: World) -> None:
    given = json.dumps(job())
    world.store.delete(deaths(given))
    with world.store.pipeline() as at_once:  # as Redis is found after 40 seconds
        for name in (*world.store.zrange(REGISTER, 0, -1), GONE):
            at_once.zadd(REGISTER, {name: int(time.time()) - 40})
        at_once.lpush(GONE, given)
        at_once.execute()
    world.eventually(lambda: 0 < world.store.ttl(RESUMED) <= 30)
    looked(world)
    assert world.store.lrange(GONE, 0, -1) == [given]
    assert not world.store.exists(deaths(given))
    world.store.delete(RESUMED)  # as time does
    world.eventually(lambda: not world.store.exists(GONE))
    assert world.store.get(deaths(given)) == "1"


def test_a_job_that_the_worker_was_given_and_never_heard_of_is_done_all_the_same(world: World) -> None:
    given = job()
    world.store.lpush(own_list(world), json.dumps(given))
    world.eventually(lambda: done(world, given["jid"]))
    world.work_done()
    assert lists(world) == []
    assert not world.store.exists(deaths(json.dumps(given)))


def test_a_job_that_workers_die_with_again_and_again_is_given_up_as_after_its_last_attempt(world: World) -> None:
    id = world.row(
        """insert into messages (account_id, conversation_id, inbox_id, user_id, direction, status, content,
                                 created_at, updated_at)
           select account_id, id, inbox_id, 2, 'outgoing', 'sent', 'deadly', now(), now()
             from conversations where inbox_id = %s limit 1
           returning id""",
        ACME_INBOX,
    )["id"]
    payload = job(**{"class": "FacebookSendJob", "args": [id]})
    given = json.dumps(payload)
    world.store.set(deaths(given), 2)
    world.store.lpush(GONE, given)
    half_a_minute_passes(world, GONE)
    world.eventually(lambda: buried(world, given))
    world.work_done()
    assert world.row("select status from messages where id = %s", id) == {"status": "failed"}
    world.eventually(lambda: not world.store.exists(deaths(given)))
    assert lists(world) == []
    said = json.dumps({"class": "FacebookSendJob", "jid": payload["jid"]}, separators=(",", ":"))
    assert f'"event":"job_buried","job":{said}' in world.sidekiq.log.read_text()


def test_what_is_no_job_at_all_is_given_up_too(world: World) -> None:
    nonsense = ["null", "[1]", '"no job"']
    world.store.delete("dead")
    for given in nonsense:
        world.store.set(deaths(given), 2)
        world.store.lpush("queue:default", given)
    world.eventually(lambda: sorted(world.store.zrange("dead", 0, -1)) == sorted(nonsense))
    world.eventually(lambda: not world.store.exists(*map(deaths, nonsense)))
    world.store.delete("dead")
    assert lists(world) == []
