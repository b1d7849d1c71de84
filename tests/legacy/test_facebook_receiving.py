"""What people write to a page becomes messages: one each, however it is delivered, and all that follows from one."""

from __future__ import annotations

import itertools
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from demo.graph import deliver, written
from demo.stack import start_rails
from tests.legacy.facebook import ACME_INBOX, ACME_PAGE, Row, World

SIDES = ("legacy", "native")


@pytest.fixture
def sender() -> str:
    return f"psid-{uuid4().hex}"


def of(sender: str, text: str = "hello", mid: str | None = None, page: str = ACME_PAGE) -> Row:
    return written(page, sender, mid or f"m_{uuid4().hex}", text)


def messages(world: World, sender: str) -> list[Row]:
    return world.rows(
        """select m.* from messages m join contacts c on c.id = m.contact_id where c.external_id = %s order by m.id""",
        sender,
    )


def test_a_first_message_makes_a_contact_and_a_conversation(world: World, sender: str) -> None:
    assert world.deliver("legacy", of(sender, "<b>hi</b> \u2028 🎉", f"m_{sender}")) == 200
    world.work_done()
    (message,) = messages(world, sender)
    contact = world.row("select * from contacts where external_id = %s", sender)
    conversation = world.row("select * from conversations where contact_id = %s", contact["id"])
    assert (contact["account_id"], contact["name"]) == (1, f"Facebook user {sender}")
    assert (conversation["account_id"], conversation["inbox_id"]) == (1, ACME_INBOX)
    assert (conversation["status"], conversation["assignee_id"]) == ("open", None)
    assert conversation["last_activity_at"] == conversation["updated_at"] == message["created_at"]
    varies = {"id": None, "created_at": None, "updated_at": None}
    assert message | varies == varies | {
        "account_id": 1,
        "inbox_id": ACME_INBOX,
        "conversation_id": conversation["id"],
        "user_id": None,
        "contact_id": contact["id"],
        "direction": "incoming",
        "content": "<b>hi</b> \u2028 🎉",
        "external_id": f"m_{sender}",
        "status": "delivered",
    }


def test_all_that_follows_a_message_follows_one_of_facebooks(world: World, sender: str) -> None:
    world.deliver("legacy", of(sender))
    world.work_done()
    room = f"conversation:{messages(world, sender)[0]['conversation_id']}"
    world.store.mset({room: "old", f"{room}:messages": "old"})
    with world.listening(room) as heard:
        world.deliver("legacy", of(sender, "again"))
        world.work_done()
        (told,) = heard()
    message = messages(world, sender)[1]
    assert told["event"] == "message.created"
    assert (told["data"]["id"], told["data"]["content"]) == (message["id"], "again")
    assert told["data"]["sender"]["type"] == "contact"
    assert world.store.exists(room, f"{room}:messages") == 0
    users = world.row("select count(*) from users where account_id = 1")["count"]
    notified = world.row("select count(*) from notifications where message_id = %s", message["id"])["count"]
    assert notified == users


@pytest.mark.parametrize("pair", [*itertools.product(SIDES, SIDES)], ids="-then-".join)
def test_whichever_sides_take_its_deliveries_a_message_is_one(world: World, sender: str, pair: tuple[str, str]) -> None:
    first, second = of(sender, "first"), of(sender, "second")
    # The second comes before the first, and each of them once more from the other side, as when a route is rolled back.
    for side, entry in [(pair[0], second), (pair[1], first), (pair[1], second), (pair[0], first)]:
        assert world.deliver(side, entry) == 200
    world.work_done()
    found = messages(world, sender)
    assert sorted(message["content"] for message in found) == ["first", "second"]
    assert len({message["conversation_id"] for message in found}) == 1


def test_deliveries_at_once_make_one_contact_one_conversation_and_each_message_once(world: World, sender: str) -> None:
    entries = [of(sender, f"message {number}") for number in range(10)]
    with ThreadPoolExecutor(8) as threads:
        deliveries = [(side, entry) for entry in entries for side in SIDES]
        answers = [*threads.map(lambda told: world.deliver(*told), deliveries)]
    assert set(answers) == {200}
    world.work_done()
    found = messages(world, sender)
    assert sorted(message["content"] for message in found) == [f"message {number}" for number in range(10)]
    assert len({message["conversation_id"] for message in found}) == 1
    conversation = world.row("select * from conversations where id = %s", found[0]["conversation_id"])
    assert conversation["last_activity_at"] == max(message["created_at"] for message in found)


def test_what_is_no_message_is_passed_over(world: World, sender: str) -> None:
    def event(**fields: Any) -> Row:
        return {"sender": {"id": sender}, "recipient": {"id": ACME_PAGE}, "timestamp": 1, **fields}

    others = [
        event(message={"mid": f"m_{uuid4().hex}", "text": "ours", "is_echo": True}),
        event(message={"mid": f"m_{uuid4().hex}", "text": " "}),
        event(message={"mid": f"m_{uuid4().hex}"}),
        event(message={"text": "of no id"}),
        event(message={"mid": "m_\0", "text": "of an id that cannot be kept"}),
        event(message={"mid": f"m_{secrets.token_hex(127)}", "text": "of one that is too long"}),
        event(message="no object"),
        event(delivery={"mids": ["m_1"], "watermark": 1}),
        event(read={"watermark": 1}),
        event(postback={"title": "Start", "payload": "start"}),
        {"message": {"mid": "m_2", "text": "of nobody"}},
        {"sender": {"id": 5}, "message": {"mid": "m_3", "text": "of a number"}},
        {"sender": {"id": f"{sender}\0"}, "message": {"mid": "m_4", "text": "of nobody who can be kept"}},
        None,
        "text",
    ]
    odd = [None, "text", 1, {"id": ACME_PAGE}, {"id": ACME_PAGE, "messaging": "text"}, {"messaging": [event()]}]
    odd += [{"id": "page\0", "messaging": [event(message={"mid": "m_5", "text": "to no page"})]}]
    body = [*odd, {"id": ACME_PAGE, "messaging": others}, of(sender, "a message")]
    assert world.deliver("legacy", *body) == 200  # type: ignore[arg-type]  # what is no entry is the point
    world.work_done()
    assert [message["content"] for message in messages(world, sender)] == ["a message"]
    assert world.retries("FacebookWebhookJob") == []


def test_a_page_that_nobody_has_is_passed_over_and_logged(world: World, sender: str) -> None:
    page = f"page-{uuid4().hex}"
    world.deliver("native", of(sender, "lost", page=page), of(sender, "found"))
    world.work_done()
    assert [message["content"] for message in messages(world, sender)] == ["found"]
    assert f'{{"event":"facebook_page_unknown","page":"{page}",' in world.sidekiq.log.read_text()


@pytest.mark.parametrize(
    ("message", "content"),
    [
        ({"attachments": [{"type": "image", "payload": {"url": "https://cdn.example/1"}}]}, "https://cdn.example/1"),
        ({"text": "look", "attachments": [{"type": "image", "payload": {"url": "https://cdn.example/1"}}]}, "look"),
        ({"text": "a\0b"}, "ab"),
        ({"text": "x" * 10_001}, "x" * 10_000),
    ],
    ids=["an attachment alone", "text with an attachment", "a NUL", "too long"],
)
def test_what_can_be_shown_of_a_message_is_kept(world: World, sender: str, message: Row, content: str) -> None:
    entry = of(sender)
    entry["messaging"][0]["message"] = {"mid": f"m_{uuid4().hex}", **message}
    world.deliver("legacy", entry)
    world.work_done()
    assert [found["content"] for found in messages(world, sender)] == [content]


@pytest.mark.parametrize(("before", "after"), [("resolved", "open"), ("pending", "pending"), ("open", "open")])
def test_who_writes_again_opens_what_was_resolved(world: World, sender: str, before: str, after: str) -> None:
    world.deliver("legacy", of(sender))
    world.work_done()
    id = messages(world, sender)[0]["conversation_id"]
    world.database.execute("update conversations set status = %s where id = %s", [before, id])
    world.deliver("legacy", of(sender))
    world.work_done()
    assert world.row("select status from conversations where id = %s", id) == {"status": after}
    assert {message["conversation_id"] for message in messages(world, sender)} == {id}


def test_one_message_that_cannot_be_stored_keeps_back_no_other_and_is_tried_again(world: World, sender: str) -> None:
    unlucky, lucky = f"{sender}-unlucky", f"{sender}-lucky"
    refuse = f"external_id <> '{unlucky}'"
    world.database.execute(f"alter table contacts add constraint unlucky check ({refuse})")
    world.deliver("legacy", of(unlucky), of(lucky))
    world.work_done()
    world.database.execute("alter table contacts drop constraint unlucky")
    assert len(messages(world, lucky)) == 1
    assert len(world.retries("FacebookWebhookJob")) == 1
    world.try_again()
    assert (len(messages(world, unlucky)), len(messages(world, lucky))) == (1, 1)
    assert world.retries("FacebookWebhookJob") == []


def test_without_redis_facebook_is_told_to_come_again(world: World, sender: str) -> None:
    entry = of(sender)
    world.redis_server.service.pause()
    try:
        answers = {side: world.deliver(side, entry) for side in SIDES}
    finally:
        world.redis_server.service.resume()
    assert answers == {"legacy": 503, "native": 503}
    assert {world.deliver(side, entry) for side in SIDES} == {200}
    world.work_done()
    assert len(messages(world, sender)) == 1


def test_what_is_written_is_not_logged(world: World, sender: str) -> None:
    secret = f"secret-{uuid4().hex}"
    world.database.execute(f"alter table contacts add constraint unlucky check (external_id <> '{sender}')")
    for side in SIDES:
        world.deliver(side, of(sender, secret))
    world.work_done()
    world.database.execute("alter table contacts drop constraint unlucky")
    assert len(world.retries("FacebookWebhookJob")) == 2
    world.store.delete("retry")
    for service in (*world.sides.values(), world.sidekiq):
        assert secret not in service.log.read_text()


def test_without_its_secrets_legacy_believes_nobody(world: World, tmp_path: Path) -> None:
    bare = replace(world.application, facebook_app_secret="", facebook_verify_token="")
    with start_rails(tmp_path, bare, workers=0) as rails:
        assert deliver(rails.url, "") == 401
        for token in ("", world.application.facebook_verify_token):
            asked = {"hub.mode": "subscribe", "hub.verify_token": token, "hub.challenge": "1"}
            assert httpx.get(f"{rails.url}/webhooks/facebook", params=asked, timeout=30).status_code == 403
