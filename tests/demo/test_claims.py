from __future__ import annotations

from dataclasses import replace

import pytest

from demo.claims import FAULT_OF_OURS, Chapter, Messages, Tripped, audit, checked, untrue
from demo.log import Failure, Seen
from demo.promises import Create

READ = Failure("a", "GET", "list", "legacy_refused")
WRITE = Failure("a", "POST", "create", FAULT_OF_OURS)
TRIPPED = Tripped("messages.create", 1.5, "native failed 3 of 20")
CALM = Chapter("Calm", Seen(100, 10), native_answers=20, matched=50, mismatched=0)
BROKEN_READ = replace(CALM, title="Bad read", mismatched=9, bug="conversations.list", tripped=TRIPPED)
BROKEN_WRITE = replace(CALM, title="Bad write", seen=Seen(9, 9, (WRITE,)), bug="messages.create", tripped=TRIPPED)
ALL_WELL = [CALM, BROKEN_READ, BROKEN_WRITE]
KEPT = Messages(acknowledged=5, repeated=1, lost=0, doubled=0)


def judged(
    chapters: list[Chapter],
    messages: Messages = KEPT,
    wrong: tuple[str, ...] = (),
    late: float = 0.0,
    refused: tuple[str, ...] = (),
) -> str:
    return "; ".join(untrue(chapters, messages, wrong, late, refused))


def test_a_story_in_which_all_went_as_told_has_nothing_untrue() -> None:
    assert judged(ALL_WELL) == ""


@pytest.mark.parametrize("bug", [None, "conversations.list", "messages.create"])
def test_a_read_that_a_user_saw_fail_is_untrue_in_every_chapter(bug: str | None) -> None:
    chapter = replace(CALM, seen=Seen(100, 10, (READ, READ)), bug=bug, tripped=TRIPPED)
    assert judged([chapter]) == "users saw 2 reads fail in “Calm” (2 × list: legacy_refused)"


@pytest.mark.parametrize("bug", [None, "conversations.list"])
def test_a_write_may_fail_only_while_writes_are_broken(bug: str | None) -> None:
    chapter = replace(CALM, seen=Seen(100, 10, (replace(WRITE, told="ReadError"),)), bug=bug, tripped=TRIPPED)
    assert judged([chapter]) == "users saw 1 writes fail in “Calm” (1 × create: ReadError)"


def test_where_sides_die_requests_may_fail_but_not_as_if_by_a_bug() -> None:
    died = replace(CALM, seen=Seen(100, 10, (READ, replace(WRITE, told="native_broken"))), mismatched=3, deaths=2)
    assert judged([died]) == ""
    buggy = replace(died, seen=Seen(100, 10, (READ, WRITE)))
    assert judged([buggy]).startswith("a death looked to users like a bug in “Calm”")


def test_wrong_answers_are_untrue_and_of_many_the_first_are_told() -> None:
    assert judged(ALL_WELL, wrong=("show: 3",)) == "an answer was wrong: show: 3"
    assert judged(ALL_WELL, wrong=("a", "b", "c", "d", "e")).endswith("wrong: c; 2 more answers were wrong")
    assert checked(7, 0).endswith("none was wrong.")
    assert "2 were WRONG" in checked(7, 2)


@pytest.mark.parametrize(
    ("chapter", "told"),
    [
        (replace(BROKEN_READ, tripped=None), "conversations.list was broken and was not rolled back in “Bad read”"),
        (replace(CALM, mismatched=2), "2 answers of the sides differed in “Calm”, without a bug"),
        (replace(CALM, seen=Seen(100, 0)), "users did not both read and write in “Calm”"),
        (replace(CALM, matched=0), "no answer of native was compared and found equal"),
        (replace(CALM, native_answers=0), "native answered nobody"),
    ],
)
def test_what_did_not_happen_is_said(chapter: Chapter, told: str) -> None:
    assert judged([chapter]) == told


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        (replace(KEPT, lost=2), "2 messages that were acknowledged are not in the database"),
        (replace(KEPT, doubled=1), "1 messages are in the database twice"),
        (replace(KEPT, acknowledged=0), "no message was written"),
    ],
)
def test_a_message_lost_or_doubled_is_untrue(messages: Messages, told: str) -> None:
    assert judged(ALL_WELL, messages) == told


def test_a_refused_command_is_untrue() -> None:
    assert judged(ALL_WELL, refused=("strangler reset x: no such route",)) == (
        "a command was refused: strangler reset x: no such route"
    )


def test_native_may_be_asked_no_longer_than_a_request_takes_after_the_rollback() -> None:
    assert judged(ALL_WELL, late=-3.0) == ""
    assert judged(ALL_WELL, late=0.9) == ""
    assert judged(ALL_WELL, late=2.5) == "native was still asked 2.5 s after everything was rolled back"


def create(content: str, id: int | None, *failures: str) -> Create:
    return Create(f"key of {content}", content, conversation=1, sender=1, failures=list(failures), id=id)


def test_messages_are_counted_against_what_their_senders_were_told() -> None:
    creates = [
        create("there", 1, "native_broken"), create("gone", 2), create("twice", 3), create("another's", 4),
        create("unanswered", None, "legacy_broken"),
    ]  # fmt: skip
    kept = {"there": [1], "twice": [3, 5], "another's": [6], "unanswered": [7], "delivered": [8]}
    messages = audit(creates, {"delivered", "delivered and gone"}, kept)
    assert messages == Messages(acknowledged=6, repeated=1, lost=3, doubled=1)


def test_the_messages_are_told_in_words() -> None:
    whole = "5 messages were acknowledged, 1 of them when they were sent again: none is lost, none is there twice."
    assert KEPT.words == whole
    assert replace(KEPT, repeated=0).words.startswith("5 messages were acknowledged: none")
    assert "2 of them are LOST" in replace(KEPT, lost=2).words
    assert "3 are there TWICE" in replace(KEPT, doubled=3).words
