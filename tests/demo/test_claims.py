from __future__ import annotations

from dataclasses import replace

import pytest

from demo.claims import Chapter, Messages, Tripped, audit, untrue
from demo.traffic import Failure, Seen

READ = Failure("a", "GET", "/api/v1/conversations", 502)
WRITE = Failure("a", "POST", "/api/v1/messages", 500)
TRIPPED = Tripped("messages.create", 1.5, "native failed 3 of 20")
CALM = Chapter("Calm", Seen(100, 10), native_answers=20, matched=50, mismatched=0)
BROKEN_READ = replace(CALM, title="Bad read", mismatched=9, bug="conversations.list", tripped=TRIPPED)
BROKEN_WRITE = replace(CALM, title="Bad write", seen=Seen(9, 9, (WRITE,)), bug="messages.create", tripped=TRIPPED)
ALL_WELL = [CALM, BROKEN_READ, BROKEN_WRITE]
KEPT = Messages(acknowledged=5, lost=0, doubled=0, kept_unanswered=1)


def judged(chapters: list[Chapter], messages: Messages = KEPT, late: float = 0.0, refused: tuple[str, ...] = ()) -> str:
    return "; ".join(untrue(chapters, messages, late, refused))


def test_a_story_in_which_all_went_as_told_has_nothing_untrue() -> None:
    assert judged(ALL_WELL) == ""


@pytest.mark.parametrize("bug", [None, "conversations.list", "messages.create"])
def test_a_read_that_a_user_saw_fail_is_untrue_in_every_chapter(bug: str | None) -> None:
    chapter = replace(CALM, seen=Seen(100, 10, (READ, READ)), bug=bug, tripped=TRIPPED)
    assert judged([chapter]) == ("users saw 2 reads fail in “Calm” (2 × GET /api/v1/conversations: 502)")


@pytest.mark.parametrize("bug", [None, "conversations.list"])
def test_a_write_may_fail_only_while_writes_are_broken(bug: str | None) -> None:
    chapter = replace(CALM, seen=Seen(100, 10, (replace(WRITE, status=0),)), bug=bug, tripped=TRIPPED)
    assert judged([chapter]) == "users saw 1 writes fail in “Calm” (1 × POST /api/v1/messages: no answer)"


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


def test_messages_are_counted_against_what_their_senders_were_told() -> None:
    sent = {"there": True, "gone": True, "twice": True, "kept": False, "failed": False, "failed twice": False}
    kept = {"there": 1, "twice": 2, "kept": 1, "failed twice": 2}
    assert audit(sent, kept) == Messages(acknowledged=3, lost=1, doubled=2, kept_unanswered=2)


def test_the_messages_are_told_in_words() -> None:
    assert (
        KEPT.words == "5 messages were acknowledged: none is lost, none is there twice; 1 more are there that were not."
    )
    assert "2 of them are LOST" in replace(KEPT, lost=2).words
    assert "3 are there TWICE" in replace(KEPT, doubled=3).words
