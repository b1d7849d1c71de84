from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

from proxy.exposition import Family
from proxy.shortfall import LATELY, STEP, WHY, Lost, Shortfall, Undone, status
from shadow.yielding import Cause, Pace


class Minute:
    """What is undone, on a clock that is set by hand."""

    def __init__(self) -> None:
        self.now, self.drops = 1_000.0, Family("counter", "drops", "Drops", "route", "reason")
        self.undone = Undone(self.drops, lambda: self.now)

    def drop(self, *lost: Lost) -> None:
        for route, reason in lost:
            self.undone.dropped(route, reason)

    @property
    def lost(self) -> dict[Lost, int]:
        return dict(self.undone.shortfall.lost)


def short(factor: float = 1.0, causes: Iterable[str] = (), **lost: int) -> Shortfall:
    """`lost`: how often the queue of these routes was full."""
    return Shortfall(factor, frozenset(causes), {(route, "queue_full"): times for route, times in lost.items()})


READ, WRITE = ("read", "queue_full"), ("write", "unsafe_method")


def test_what_is_given_up_is_counted_for_good_and_told_for_a_minute() -> None:
    minute = Minute()
    minute.drop(READ, READ)
    minute.now += STEP
    minute.drop(READ, WRITE)
    assert minute.lost == {READ: 3, WRITE: 1}
    minute.now += (LATELY - 1) * STEP
    assert minute.lost == {READ: 1, WRITE: 1}
    minute.now += STEP
    assert minute.lost == {}
    assert (minute.drops.labels(*READ).value, minute.drops.labels(*WRITE).value) == (3, 1)


def test_a_long_pause_in_between_makes_nothing_new_of_what_is_old() -> None:
    minute = Minute()
    minute.drop(READ)
    minute.now += 100 * STEP
    minute.drop(WRITE)
    assert minute.lost == {WRITE: 1}


def test_what_a_worker_tells_is_what_others_hear() -> None:
    minute = Minute()
    minute.drop(READ, WRITE, READ)
    minute.undone.pace = Pace(0.25, frozenset({Cause.LEGACY_SLOW, Cause.EVENT_LOOP}))
    told = minute.undone.shortfall
    assert told == Shortfall(0.25, frozenset({"legacy_slow", "event_loop"}), {READ: 2, WRITE: 1})
    assert Shortfall.heard(json.loads(json.dumps(told.told))) == told


def test_what_a_later_version_tells_is_told_as_it_is() -> None:
    told = {"factor": 0.5, "causes": ["the_moon"], "lost": [], "more": 1}
    words = "shadow work yields, down to 50 % of it, because the_moon"
    assert status([Shortfall.heard(told)])["words"] == words


def test_every_cause_has_its_words() -> None:
    assert WHY.keys() == {cause.value for cause in Cause}


@pytest.mark.parametrize(
    ("workers", "words"),
    [
        ([short()], None),
        ([short(), short()], None),
        (
            [short(0.25, ["legacy_slow"])],
            "shadow work yields, down to 25 % of it, because legacy is slower than usual",
        ),
        ([short(0.0625)], "shadow work yields, down to 6.25 % of it, and is on its way back"),
        (
            [short(), short(0.5, ["event_loop"]), short(0.3)],
            "shadow work yields on 2 of 3 workers, down to 30 % of it, because the event loop comes late",
        ),
        (
            [short(0.5, ["legacy_slow"]), short(0.5, ["candidate_busy"])],
            "shadow work yields on 2 of 2 workers, down to 50 % of it, because a side says that it is busy and legacy "
            "is slower than usual",
        ),
        ([short(read=7)], "comparisons given up in the last minute: 7 of read (queue_full)"),
        (
            [short(a=1, b=2), short(0.5, ["in_vain"], b=1, c=9, d=4)],
            "shadow work yields on 1 of 2 workers, down to 50 % of it, because most of what would be asked finds "
            "no room or no answer; "
            "comparisons given up in the last minute: 9 of c (queue_full), 4 of d (queue_full), 3 of b (queue_full), "
            "and 1 more",
        ),
    ],
)
def test_there_are_words_where_there_is_something_to_tell(workers: list[Shortfall], words: str | None) -> None:
    assert status(workers)["words"] == words


def test_all_workers_are_told_of_as_one() -> None:
    told = status([short(0.5, ["in_vain"], a=1), short(0.25, ["in_vain", "event_loop"], a=2, b=4)])
    assert told["factor"] == 0.25
    assert told["yielding"] == [{"cause": "event_loop", "workers": 1}, {"cause": "in_vain", "workers": 2}]
    assert told["givenUp"] == [
        {"route": "b", "reason": "queue_full", "times": 4},
        {"route": "a", "reason": "queue_full", "times": 3},
    ]
