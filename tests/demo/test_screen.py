from __future__ import annotations

import io

from rich.console import Console

from demo.claims import Chapter, Messages
from demo.log import Failure, Seen
from demo.screen import Screen
from demo.sight import Route, Served, Sight

QUIET = Served(0, 0, ())
SIGHT = Sight(0.0, {"list": Route("list", 0.05, 1.0, None, None, QUIET, QUIET, 0, 0)}, True, 10.0)
FAILURE = Failure("a", "POST", "create", "native_broken")
SEEN = Seen(40, 9, (FAILURE, FAILURE))
CHAPTER = Chapter("A bug", SEEN, native_answers=7, matched=30, mismatched=2)
MESSAGES = Messages(acknowledged=5, repeated=0, lost=0, doubled=0)


def screen(terminal: bool = False) -> tuple[Screen, io.StringIO]:
    output = io.StringIO()
    console = Console(file=output, width=80, force_terminal=terminal, color_system=None)
    return Screen(console, lambda: SIGHT, lambda: SEEN), output


def test_without_a_terminal_the_story_is_plain_lines() -> None:
    view, output = screen()
    with view:
        view.title("1. A title")
        view.say("A sentence that is longer than one line of this screen of eighty columns, and goes on.")
        view.typed("strangler set list 5%")
        view.refresh()
    assert output.getvalue().splitlines() == [
        "",
        "1. A title",
        "  A sentence that is longer than one line of this screen of eighty columns, and",
        "  goes on.",
        "  $ strangler set list 5%",
    ]


def test_what_a_command_printed_is_cut_after_the_lines_that_matter() -> None:
    view, output = screen()
    view.printed("one\ntwo\nthree")
    view.printed("one\ntwo\nthree", lines=3)
    assert output.getvalue().split() == ["one", "…", "and", "2", "more", "lines", "one", "two", "three"]


def test_a_chapter_ends_with_the_table_and_what_users_saw() -> None:
    view, output = screen()
    view.ended(CHAPTER)
    told = output.getvalue()
    assert "req/s" in told
    assert "→ Users saw 0 of 40 reads and 2 of 9 writes fail; 1 user met it." in told
    assert "→ Compared in the shadow: 30 answers matched, 2 did not." in told


def test_a_chapter_without_comparisons_tells_of_none() -> None:
    view, output = screen()
    view.ended(Chapter("Calm", Seen(5, 1), 0, 0, 0))
    assert "Compared" not in output.getvalue()


def test_the_moral_is_drawn_only_from_a_story_that_was_true() -> None:
    view, output = screen()
    view.conclude([CHAPTER], "7 answers.", MESSAGES, [], "All is well.")
    assert "All is well." in output.getvalue()
    view, output = screen()
    view.conclude([CHAPTER], "7 answers.", MESSAGES, ["users saw 2 writes fail"], "All is well.")
    assert "All is well." not in output.getvalue()
    assert "→ Not as it should be: users saw 2 writes fail" in output.getvalue()


def test_on_a_terminal_the_table_stays_below_the_story() -> None:
    view, output = screen(terminal=True)
    with view:
        view.refresh()
        view.title("1. A title")
        told = output.getvalue()
    assert "users so far: 49 requests, 2 failed · Ctrl-C stops everything" in told
    assert told.index("1. A title") < told.rindex("req/s")
