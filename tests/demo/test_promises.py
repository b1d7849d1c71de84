"""That wrong answers would be seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from demo.promises import MARK, Changing, Create, Room

ROOM, SENDER = 7, 3


def shown(id: int, **other: Any) -> dict[str, Any]:
    return {"id": id, "conversationId": ROOM, "sender": {"id": SENDER}, "content": f"{MARK}{id}", **other}


@pytest.fixture
def room() -> Room:
    """Two messages were there before; 11 and 12 were answered since, and 13 was begun."""
    room = Room(ROOM, messages=2)
    for id in (11, 12, 13):
        create = Create(f"key-{id}", f"{MARK}{id}", ROOM, SENDER)
        room.begin(create)
        if id < 13:
            create.id = id
            room.end(create)
    return room


def faults(found: Iterator[str]) -> int:
    return len(list(found))


@pytest.mark.parametrize("ids", [[12, 11], [13, 12, 11], [13, 12], [14, 12, 11]])
def test_a_page_may_show_what_was_begun_and_must_show_what_was_answered(room: Room, ids: list[int]) -> None:
    page = [shown(id, content=f"{MARK}{min(id, 13)}") for id in ids]
    assert faults(room.faults_of_page(room.known, page, whole=False)) == 0


@pytest.mark.parametrize(
    "page",
    [
        [shown(11)],
        [shown(13), shown(11)],
        [],
        [shown(11), shown(12)],
        [shown(12), shown(12), shown(11)],
        [shown(12, content="else"), shown(11)],
        [shown(14, content=f"{MARK}12"), shown(12), shown(11)],
        [shown(15), shown(12), shown(11)],
        [shown(12, sender={"id": 4}), shown(11)],
        [shown(12, conversationId=8), shown(11)],
    ],
    ids=[
        "misses the last", "misses one within", "is empty", "is out of order", "has one twice", "has another content",
        "has a content twice", "has what nobody sent", "names another sender", "is of another conversation",
    ],
)  # fmt: skip
def test_a_page_that_contradicts_what_was_told_is_wrong(room: Room, page: list[dict[str, Any]]) -> None:
    assert faults(room.faults_of_page(room.known, page, whole=False)) > 0


def test_a_page_need_not_show_what_was_answered_after_it_was_asked_for(room: Room) -> None:
    assert faults(room.faults_of_page(1, [shown(11)], whole=True)) == 0
    assert faults(room.faults_of_page(2, [shown(11)], whole=True)) == 1


@pytest.mark.parametrize(
    ("messages", "last", "wrong"), [(4, 12, 0), (5, 13, 0), (3, 12, 1), (6, 13, 1), (4, 11, 1), (4, None, 1)]
)
def test_a_conversation_counts_what_was_answered_and_not_more_than_was_begun(
    room: Room, messages: int, last: int | None, wrong: int
) -> None:
    conversation = {"id": ROOM, "messageCount": messages, "lastMessage": {"id": last} if last else None}
    assert faults(room.faults_of_conversation(room.known, conversation)) == wrong
    assert faults(room.faults_of_conversation(room.known, {**conversation, "id": 8})) == wrong + 1


def test_what_was_changed_is_shown_as_it_is_and_while_it_changes_either_way() -> None:
    name = Changing("old")
    name.begin("new")
    assert faults(name.faults(name.known, "old")) == faults(name.faults(name.known, "new")) == 0
    asked_before = name.known
    name.end()
    assert faults(name.faults(asked_before, "old")) == 0
    assert faults(name.faults(name.known, "old")) == 1
    assert faults(name.faults(name.known, "else")) == 1
