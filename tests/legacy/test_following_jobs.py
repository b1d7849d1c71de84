"""The jobs that follow a message do their work once, whatever becomes of the others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from psycopg.types.json import Jsonb

from tests.legacy.facebook import World

JOBS = ("NotifyAgentsJob", "RunAutomationRulesJob", "CountReplyJob")


@pytest.fixture
def conversation(world: World) -> int:
    """A new conversation on the web."""
    return int(
        world.row(
            """insert into conversations (account_id, inbox_id, contact_id, last_activity_at, created_at, updated_at)
               values (1, 1, 1, now(), now(), now()) returning id"""
        )["id"]
    )


def replies(world: World) -> int:
    query = """select coalesce(sum(value), 0)::int as value from metrics
               where account_id = 1 and name = 'replies' and day = (now() at time zone 'UTC')::date"""
    return int(world.row(query)["value"])


def status(world: World, conversation: int) -> Any:
    return world.row("select status from conversations where id = %s", conversation)["status"]


def write(world: World, conversation: int, content: str) -> int:
    """A contact's message, stored without any of what follows one."""
    query = """insert into messages (account_id, inbox_id, conversation_id, contact_id, direction, content, status,
                                     created_at, updated_at)
               values (1, 1, %s, 1, 'incoming', %s, 'delivered', now(), now()) returning id"""
    return int(world.row(query, conversation, content)["id"])


@pytest.mark.parametrize("side", ["legacy", "native"])
def test_a_reply_is_counted_once_however_often_its_job_comes(world: World, conversation: int, side: str) -> None:
    before = replies(world)
    id = world.reply(conversation, "counted", side)
    world.eventually(lambda: replies(world) == before + 1)
    for _ in range(5):
        world.enqueue("CountReplyJob", id)
    world.work_done()
    assert replies(world) == before + 1


def test_replies_at_once_are_all_counted(world: World, conversation: int) -> None:
    before = replies(world)
    for number in range(8):
        world.reply(conversation, f"reply {number}")
    world.work_done()
    assert replies(world) == before + 8


def test_a_message_of_a_contact_is_no_reply(world: World, conversation: int) -> None:
    before = replies(world)
    id = write(world, conversation, "hello")
    world.perform("CountReplyJob", id)
    assert replies(world) == before


def test_a_message_that_is_gone_is_nobodys_business(world: World) -> None:
    for job in JOBS:
        world.perform(job, 2**62)
        assert world.retries(job) == []


@pytest.fixture
def rules(world: World) -> Iterator[None]:
    """The account's own rules are put back."""
    kept = world.rows("select id, conditions, actions from automation_rules where account_id = 1")
    yield
    world.database.execute("delete from automation_rules where account_id = 1 and id <> %s", [kept[0]["id"]])


def add_rule(world: World, conditions: list[Any], actions: list[Any], event: str = "message.created") -> None:
    world.database.execute(
        """insert into automation_rules (account_id, event, conditions, actions, created_at, updated_at)
           values (1, %s, %s, %s, now(), now())""",
        [event, Jsonb(conditions), Jsonb(actions)],
    )


def test_the_rule_of_the_seeds_puts_off_who_wants_a_refund(world: World, conversation: int) -> None:
    id = write(world, conversation, "I want a REFUND!")
    with world.listening(f"conversation:{conversation}") as heard:
        world.perform("RunAutomationRulesJob", id)
        (event,) = heard()
    assert status(world, conversation) == "pending"
    assert (event["event"], event["data"]["status"]) == ("conversation.updated", "pending")
    # An agent takes it up; the same job, delivered again, does not undo that.
    world.database.execute("update conversations set status = 'open' where id = %s", [conversation])
    world.perform("RunAutomationRulesJob", id)
    assert status(world, conversation) == "open"


def test_an_agents_word_of_a_refund_leaves_the_conversation_open(world: World, conversation: int) -> None:
    world.reply(conversation, "Your refund is on its way")
    world.work_done()
    assert status(world, conversation) == "open"


def condition(field: str, operator: str, value: Any) -> dict[str, Any]:
    return {"field": field, "operator": operator, "value": value}


@pytest.mark.parametrize(
    ("conditions", "applies"),
    [
        ([], True),
        ([condition("content", "equals", "WORD")], True),
        ([condition("content", "equals", "wor")], False),
        ([condition("content", "contains", "or")], True),
        ([condition("content", "contains", "x")], False),
        ([condition("channel", "equals", "web"), condition("direction", "equals", "incoming")], True),
        ([condition("channel", "equals", "web"), condition("direction", "equals", "outgoing")], False),
        ([condition("weather", "equals", "fine")], False),
        ([condition("content", "resembles", "word")], False),
        ([condition("content", "equals", None)], False),
    ],
    ids=str,
)
def test_a_rule_applies_if_all_its_conditions_hold(
    world: World, conversation: int, rules: None, conditions: list[Any], applies: bool
) -> None:
    add_rule(world, conditions, [{"type": "set_status", "value": "resolved"}])
    world.perform("RunAutomationRulesJob", write(world, conversation, "word"))
    assert status(world, conversation) == ("resolved" if applies else "open")


def test_rules_set_the_status_and_assign_and_the_last_has_its_way(world: World, conversation: int, rules: None) -> None:
    add_rule(world, [], [{"type": "set_status", "value": "resolved"}, {"type": "assign", "value": 3}])
    add_rule(world, [], [{"type": "set_status", "value": "pending"}])
    add_rule(world, [], [{"type": "set_status", "value": "resolved"}], event="message.deleted")
    id = write(world, conversation, "word")
    with world.listening(f"conversation:{conversation}") as heard:
        world.perform("RunAutomationRulesJob", id)
        assert [event["event"] for event in heard()] == ["conversation.updated"]
    found = world.row("select status, assignee_id from conversations where id = %s", conversation)
    assert found == {"status": "pending", "assignee_id": 3}


def test_what_a_rule_cannot_do_is_left_undone(world: World, conversation: int, rules: None) -> None:
    stranger = world.row("select min(id) as id from users where account_id = 2")["id"]
    wrong = [("set_status", "closed"), ("set_status", None), ("assign", stranger), ("assign", "me"), ("assign", None)]
    add_rule(world, [], [{"type": type, "value": value} for type, value in [*wrong, ("dance", 1)]])
    with world.listening(f"conversation:{conversation}") as heard:
        world.perform("RunAutomationRulesJob", write(world, conversation, "word"))
        assert heard() == []
    found = world.row("select status, assignee_id from conversations where id = %s", conversation)
    assert found == {"status": "open", "assignee_id": None}
    assert world.retries("RunAutomationRulesJob") == []


def test_a_subscriber_that_fails_holds_back_no_other(world: World, conversation: int) -> None:
    before = replies(world)
    # Nobody can be told: the table that notifications go to refuses them all.
    world.database.execute("alter table notifications add constraint never check (false) not valid")
    id = world.reply(conversation, f"refund {uuid4()}")
    world.work_done()
    world.database.execute("alter table notifications drop constraint never")
    assert replies(world) == before + 1
    told = "select count(*) as told from notifications where message_id = %s"
    assert world.row(told, id) == {"told": 0}
    world.try_again()
    assert world.row(told, id)["told"] == world.row("select count(*) - 1 as n from users where account_id = 1")["n"]


def test_notes_of_more_than_a_month_ago_go_two_by_two_with_those_that_come(world: World, conversation: int) -> None:
    def perform() -> int:
        id = write(world, conversation, "word")
        world.perform("RunAutomationRulesJob", id)
        return id

    ids = [perform() for _ in range(2)]
    month_old = """update finished_jobs set created_at = now() - interval '30 days 1 minute'
                    where id in (select id from finished_jobs order by id limit 3) returning id"""
    old = [row["id"] for row in world.rows(month_old)]
    left = "select count(*) as left from finished_jobs where id = any (%s)"
    ids += [perform()]
    assert world.row(left, old) == {"left": 1}
    ids += [perform(), perform()]
    assert world.row(left, old) == {"left": 0}
    assert len(world.rows("select from finished_jobs where message_id = any (%s)", ids[2:])) == 3


def test_a_job_that_fails_in_the_middle_leaves_nothing_and_is_done_whole_later(world: World, conversation: int) -> None:
    before = replies(world)
    world.database.execute("alter table metrics add constraint never check (name <> 'replies') not valid")
    id = world.reply(conversation, "counted later")
    world.work_done()
    world.database.execute("alter table metrics drop constraint never")
    notes = "select count(*) as notes from finished_jobs where message_id = %s and job = 'CountReplyJob'"
    assert (replies(world), world.row(notes, id)["notes"]) == (before, 0)
    world.try_again()
    assert (replies(world), world.row(notes, id)["notes"]) == (before + 1, 1)
