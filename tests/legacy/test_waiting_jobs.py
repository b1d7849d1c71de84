"""Jobs of legacy's messages are committed with them, and handed over by whoever is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.legacy.facebook import ACME_INBOX, World

FOLLOWING = ["NotifyAgentsJob", "RunAutomationRulesJob", "CountReplyJob"]


@pytest.fixture(params=[1, ACME_INBOX], ids=["web", "facebook"])
def conversation(world: World, request: pytest.FixtureRequest) -> int:
    """A new one, whose contact is none of Facebook's."""
    return int(
        world.row(
            """insert into conversations (account_id, inbox_id, contact_id, last_activity_at, created_at, updated_at)
               values (1, %s, 1, now(), now(), now()) returning id""",
            request.param,
        )["id"]
    )


@contextmanager
def nothing_taken(world: World) -> Iterator[None]:
    """Redis takes no jobs meanwhile, and native is not there at all."""
    world.sides["native"].pause()
    world.store.execute_command("ACL", "SETUSER", "default", "-lpush")
    yield
    world.store.execute_command("ACL", "SETUSER", "default", "+lpush")


def test_what_redis_did_not_take_waits_in_the_database_and_a_worker_hands_it_over(
    world: World, conversation: int
) -> None:
    world.work_done()
    try:
        with nothing_taken(world):
            id = world.reply(conversation, "kept", "legacy")
            waiting = world.rows("select queue, job, args, jid from outbox order by id")
            inbox = world.row("select inbox_id from conversations where id = %s", conversation)["inbox_id"]
            wanted = [*FOLLOWING, "FacebookSendJob"] if inbox == ACME_INBOX else FOLLOWING
            assert [row["job"] for row in waiting] == wanted
            assert {(row["queue"], *row["args"], len(row["jid"])) for row in waiting} == {("default", id, 24)}
        world.eventually(lambda: world.rows("select from outbox") == [])
    finally:
        world.sides["native"].resume()
    world.work_done()
    log = world.sidekiq.log.read_text()
    assert [log.count(f"jid={row['jid']} INFO: start") for row in waiting] == [1] * len(wanted)
    assert len(world.rows("select from finished_jobs where message_id = %s", id)) == 2
    assert '"event":"jobs_wait"' in world.sides["legacy"].log.read_text()


def test_a_message_that_is_not_kept_leaves_no_job(world: World, conversation: int) -> None:
    """Its transaction fails when the jobs are written down already."""
    world.work_done()
    refuse = f"alter table conversations add constraint never check (id <> {conversation}) not valid"
    world.database.execute(refuse)
    try:
        with pytest.raises(AssertionError, match="internal_server_error"):
            world.reply(conversation, "never", "legacy")
    finally:
        world.database.execute("alter table conversations drop constraint never")
    assert world.rows("select from messages where conversation_id = %s", conversation) == []
    assert world.rows("select from outbox") == []
