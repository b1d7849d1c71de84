"""What agents write in a Facebook inbox reaches its contact, whatever Facebook says to that in the meantime."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from demo.graph import HANG, Planned, Sent
from tests.legacy.facebook import ACME_INBOX, Row, World

TAKEN = Planned()


@pytest.fixture
def recipient() -> str:
    return f"psid-{uuid4().hex}"


@pytest.fixture
def conversation(world: World, recipient: str) -> Iterator[int]:
    """A new conversation in the Facebook inbox, whose page is connected."""
    contact = world.row(
        """insert into contacts (account_id, name, external_id, created_at, updated_at)
           values (1, 'Somebody', %s, now(), now()) returning id""",
        recipient,
    )
    made = world.row(
        """insert into conversations (account_id, inbox_id, contact_id, last_activity_at, created_at, updated_at)
           values (1, %s, %s, now(), now(), now()) returning id""",
        ACME_INBOX,
        contact["id"],
    )
    yield made["id"]
    world.graph.plan()
    world.store.delete("retry", "dead")
    world.database.execute("update inboxes set status = 'active' where id = %s", [ACME_INBOX])


def sent(world: World, recipient: str) -> list[Sent]:
    return [call for call in world.graph.sent() if call.recipient == recipient]


def message(world: World, id: int) -> Row:
    return world.row("select * from messages where id = %s", id)


@pytest.mark.parametrize("side", ["legacy", "native"])
def test_a_reply_is_sent_with_the_pages_token_and_its_id_is_kept(
    world: World, conversation: int, recipient: str, side: str
) -> None:
    with world.listening(f"conversation:{conversation}") as heard:
        id = world.reply(conversation, "Hello <b>&</b> 🎉", side)
        world.eventually(lambda: message(world, id)["external_id"] is not None)
        world.work_done()
        events = heard()
    (call,) = sent(world, recipient)
    assert (call.token, call.text) == ("demo-page-token", "Hello <b>&</b> 🎉")
    assert message(world, id)["external_id"] == call.message_id
    assert message(world, id)["status"] == "sent"
    assert [event["event"] for event in events] == ["message.created", "message.sent"]
    assert events[1]["data"]["id"] == id
    assert events[1]["data"]["updatedAt"] > events[0]["data"]["updatedAt"]


def test_what_has_an_id_of_facebooks_is_not_sent_again(world: World, conversation: int, recipient: str) -> None:
    id = world.reply(conversation, "once")
    world.work_done()
    before = message(world, id)
    world.perform("FacebookSendJob", id)
    assert len(sent(world, recipient)) == 1
    assert message(world, id) == before


def test_of_two_deliveries_of_a_job_at_once_one_sends(world: World, conversation: int, recipient: str) -> None:
    world.graph.plan(Planned(seconds=0.3), Planned(seconds=0.3))
    id = world.reply(conversation, "once")
    world.enqueue("FacebookSendJob", id)
    world.perform("FacebookSendJob", id)
    assert len(sent(world, recipient)) == 1


def test_a_message_of_another_inbox_or_of_a_contact_is_not_sent(
    world: World, conversation: int, recipient: str
) -> None:
    world.database.execute("update conversations set inbox_id = 1 where id = %s", [conversation])
    id = world.reply(conversation, "on the web")
    world.perform("FacebookSendJob", id)
    incoming = world.row("select min(id) as id from messages where inbox_id = %s and user_id is null", ACME_INBOX)
    before = len(world.graph.sent())
    world.perform("FacebookSendJob", incoming["id"])
    world.perform("FacebookSendJob", 0)
    assert len(world.graph.sent()) == before
    assert sent(world, recipient) == []
    assert message(world, id)["status"] == "sent"
    assert world.retries("FacebookSendJob") == []


@pytest.mark.parametrize("status", [429, 503])
def test_facebooks_wish_to_be_left_alone_is_honoured(
    world: World, conversation: int, recipient: str, status: int
) -> None:
    world.graph.plan(Planned(status, retry_after="120"))
    id = world.reply(conversation, "later")
    world.work_done()
    ((job, pause),) = world.retries("FacebookSendJob")
    assert job["args"] == [id]
    assert 120 <= pause < 131
    assert message(world, id)["external_id"] is None
    world.try_again()
    assert message(world, id)["external_id"] == sent(world, recipient)[1].message_id
    assert world.retries("FacebookSendJob") == []


def test_a_wish_may_be_a_date_and_one_beyond_reason_is_cut(world: World, conversation: int) -> None:
    date = world.row("select to_char(now() at time zone 'UTC' + '10 min', 'Dy, DD Mon YYYY HH24:MI:SS') as date")
    for wish, least, most in [
        (f"{date['date']} GMT", 560, 630),
        ("9" * 30, 86_400, 86_440),
        ("soon", 5, 45),
        ("-5", 5, 45),
    ]:
        world.store.delete("retry")
        world.graph.plan(Planned(429, retry_after=wish))
        world.reply(conversation, "later")
        world.work_done()
        ((_, pause),) = world.retries("FacebookSendJob")
        assert least <= pause < most, wish


@pytest.mark.parametrize(
    "answer",
    [
        Planned(500),
        Planned(429),
        Planned(400, code=613),
        Planned(seconds=HANG, taken=False),
        Planned(seconds=4, taken=False),
        Planned(204, taken=False),
    ],
    ids=["500", "429 without a wish", "a limit as 400", "hanging", "slow", "no id"],
)
def test_what_facebook_cannot_take_now_is_tried_again(
    world: World, conversation: int, recipient: str, answer: Planned
) -> None:
    world.graph.plan(answer, TAKEN)
    id = world.reply(conversation, "later")
    world.work_done()
    ((_, pause),) = world.retries("FacebookSendJob")
    assert 5 <= pause < 15
    assert message(world, id)["status"] == "sent"
    world.try_again()
    assert message(world, id)["external_id"] == sent(world, recipient)[1].message_id


def test_the_pauses_grow(world: World, conversation: int) -> None:
    world.graph.plan(*[Planned(500)] * 5)
    id = world.reply(conversation, "later")
    world.work_done()
    for attempt in range(4):
        ((_, pause),) = world.retries("FacebookSendJob")
        # Sidekiq adds less than ten seconds for each attempt.
        assert 5 * 2**attempt <= pause < 5 * 2**attempt + 10 * (attempt + 1)
        world.try_again()
    assert message(world, id)["status"] == "sent"
    world.store.delete("retry")


def test_after_the_last_attempt_a_message_has_failed(world: World, conversation: int) -> None:
    world.graph.plan(*[Planned(500)] * 2)
    id = world.reply(conversation, "never")
    world.work_done()
    ((job, _),) = world.retries("FacebookSendJob")
    world.store.delete("retry")
    with world.listening(f"conversation:{conversation}") as heard:
        world.perform("FacebookSendJob", id, **(job | {"retry_count": 24}))
        (event,) = heard()
    assert world.retries("FacebookSendJob") == []
    assert message(world, id)["status"] == "failed"
    assert (event["event"], event["data"]["id"], event["data"]["status"]) == ("message.failed", id, "failed")


def test_a_failure_that_could_not_be_noted_after_the_last_attempt_is_noted_when_it_can(
    world: World, conversation: int
) -> None:
    world.graph.plan(*[Planned(500)] * 2)
    id = world.reply(conversation, "never")
    world.work_done()
    ((job, _),) = world.retries("FacebookSendJob")
    world.store.delete("retry")
    world.database.execute("alter table messages add constraint none_fails check (status <> 'failed') not valid")
    try:
        world.perform("FacebookSendJob", id, **(job | {"retry_count": 24}))
    finally:
        world.database.execute("alter table messages drop constraint none_fails")
    assert message(world, id)["status"] == "sent"
    with world.listening(f"conversation:{conversation}") as heard:
        world.try_again()
        (event,) = heard()
    assert message(world, id)["status"] == "failed"
    assert (event["event"], event["data"]["status"]) == ("message.failed", "failed")


@pytest.mark.parametrize("answer", [Planned(401), Planned(400, code=190)], ids=["401", "code 190"])
def test_a_token_that_is_refused_disconnects_the_inbox(
    world: World, conversation: int, recipient: str, answer: Planned
) -> None:
    world.graph.plan(answer)
    with world.listening(f"conversation:{conversation}", "account:1") as heard:
        first = world.reply(conversation, "first")
        world.work_done()
        second = world.reply(conversation, "second")
        world.work_done()
        events = heard()
    assert world.row("select status from inboxes where id = %s", ACME_INBOX) == {"status": "disconnected"}
    assert [message(world, id)["status"] for id in (first, second)] == ["failed", "failed"]
    assert len(sent(world, recipient)) == 1
    names = [event["event"] for event in events]
    assert sorted(names) == ["inbox.disconnected", *["message.created"] * 2, *["message.failed"] * 2]
    told = events[names.index("inbox.disconnected")]["data"]
    assert (told["id"], told["status"]) == (ACME_INBOX, "disconnected")
    assert "config" not in told
    assert world.retries("FacebookSendJob") == []


def test_a_token_that_was_replaced_meanwhile_disconnects_nothing(
    world: World, conversation: int, recipient: str
) -> None:
    world.graph.plan(Planned(401))
    put = "update inboxes set config = jsonb_set(config, '{pageToken}', %s) where id = %s"
    with psycopg.connect(world.application.database_url) as admin:
        admin.execute(put, ['"another"', ACME_INBOX])  # seen by nobody yet, and nobody can lock the row
        id = world.reply(conversation, "with the old token")
        world.eventually(lambda: len(sent(world, recipient)) == 1)
    world.work_done()
    world.database.execute(put, ['"demo-page-token"', ACME_INBOX])
    assert sent(world, recipient)[0].token == "demo-page-token"
    assert world.row("select status from inboxes where id = %s", ACME_INBOX) == {"status": "active"}
    assert message(world, id)["status"] == "failed"


def test_a_message_that_is_refused_has_failed_and_is_not_sent_again(
    world: World, conversation: int, recipient: str
) -> None:
    world.graph.plan(Planned(400, code=10))
    id = world.reply(conversation, "too late for Facebook")
    world.work_done()
    assert message(world, id)["status"] == "failed"
    assert world.retries("FacebookSendJob") == []
    world.perform("FacebookSendJob", id)
    assert len(sent(world, recipient)) == 1
    assert world.row("select status from inboxes where id = %s", ACME_INBOX) == {"status": "active"}


def test_a_contact_that_is_not_facebooks_cannot_be_reached(world: World, conversation: int) -> None:
    world.database.execute(
        "update contacts set external_id = null where id = (select contact_id from conversations where id = %s)",
        [conversation],
    )
    id = world.reply(conversation, "to whom?")
    world.work_done()
    assert message(world, id)["status"] == "failed"


def test_a_message_whose_answer_is_lost_may_be_sent_twice_and_is_kept_once(
    world: World, conversation: int, recipient: str
) -> None:
    world.graph.plan(Planned(seconds=HANG, taken=True), TAKEN)
    id = world.reply(conversation, "at least once")
    world.work_done()
    world.try_again()
    first, second = sent(world, recipient)
    assert first.message_id is not None
    assert message(world, id)["external_id"] == second.message_id
