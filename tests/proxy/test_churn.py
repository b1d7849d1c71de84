"""Subjects that do not stay, and subjects that are everybody; and the many that are neither."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable, Iterable

import pytest

from flags.flag import mark
from proxy.churn import BACK, ENOUGH, KEPT, MANY, MOST, Concern, Sample, Told, Watch, concern
from proxy.subject import ADDRESS, Source, Subject

COOKIE = Source("cookie", "sid")
Request = tuple[str, str]  # a subject and an address
CHURNING = Told(subjects=100, once=90, addresses=10, requests=400, heaviest=4)
COLLAPSED = Told(subjects=3, once=0, addresses=0, requests=MANY, heaviest=MANY // 2)


def kind(told: Told, source: Source = COOKIE) -> str | None:
    found = concern(source, told)
    return found.kind if found else None


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (Told(), None),
        (CHURNING, "churn"),
        (Told(ENOUGH, ENOUGH, 1, ENOUGH, 1), "churn"),
        (Told(ENOUGH - 1, ENOUGH - 1, 1, ENOUGH, 1), None),
        (Told(100, 74, 10, 400, 4), None),
        (Told(100, 90, 46, 400, 4), None),
        (COLLAPSED, "collapse"),
        (Told(3, 0, 0, MANY - 1, MANY - 1), None),
        (Told(9, 0, 0, 900, 299), None),
    ],
)
def test_a_concern_needs_enough_to_go_by_and_clear_figures(told: Told, expected: str | None) -> None:
    assert kind(told) == expected


def test_its_words_say_the_figures_and_what_to_do() -> None:
    churn, shared, address = concern(COOKIE, CHURNING), concern(COOKIE, COLLAPSED), concern(ADDRESS, COLLAPSED)
    assert churn is not None
    assert "90 of 100 values came once and not again, though they came from 10 addresses" in churn.words
    assert "put ahead of it, in subject" in churn.words
    assert shared is not None
    assert shared.source == "cookie:sid"
    assert "50 % of 500 requests have one value" in shared.words
    assert address is not None
    assert "50 % of 500 requests come from one address" in address.words
    assert "trusted_proxies" in address.words


def watched(minutes: int, asked: Callable[[int], Iterable[Request]]) -> list[Concern]:
    """What is told after so many minutes, in each of which it is asked like this."""
    watch = Watch([COOKIE, ADDRESS])
    for minute in range(minutes):
        for subject, address in asked(minute):
            watch.saw(0, mark(subject), address)
        watch.turn()
    return watch.concerns()


def churning(minute: int) -> list[Request]:
    """Twenty users, whose cookie is another one at each of their 30 requests."""
    return [(f"{minute}-{user}-{turn}", f"10.0.0.{user}") for user in range(20) for turn in range(30)]


def steady(minute: int) -> list[Request]:
    """300 users, three to an address, each of whom asks every other minute; now and then a new one comes."""
    users = [*range(minute % 2, 300, 2), 1_000 + minute]
    return [(f"user {user}", f"10.0.0.{user // 3}") for user in users]


def once(minute: int) -> list[Request]:
    """People who come by, each from a home of his own, ask once and are never seen again."""
    return [(f"guest {minute}-{guest}", f"10.{minute}.0.{guest}") for guest in range(200)]


def one_for_all(minute: int) -> list[Request]:
    """Half of all have one value, among thousands who have their own."""
    return [("shared" if turn % 2 else f"user {turn}", f"10.0.{turn % 256}.1") for turn in range(4 * MOST)]


def test_a_value_that_changes_with_every_answer_is_told_of() -> None:
    (found,) = watched(KEPT - 1, churning)
    assert (found.source, found.kind) == ("cookie:sid", "churn")
    assert "from 20 addresses" in found.words


def test_a_value_that_all_share_is_told_of_though_it_may_not_be_in_the_sample_by_lot() -> None:
    (found,) = watched(2, one_for_all)
    assert found.kind == "collapse"
    assert found.words.startswith("50 %")


@pytest.mark.parametrize("asked", [steady, once, lambda minute: []], ids=["steady", "once", "nobody"])
@pytest.mark.parametrize("minutes", [1, 2, BACK, KEPT - 1, KEPT, KEPT + 1, 2 * KEPT + BACK])
def test_users_who_are_what_they_seem_are_no_concern(asked: Callable[[int], Iterable[Request]], minutes: int) -> None:
    assert watched(minutes, asked) == []


def test_who_has_just_come_has_had_no_time_to_come_again() -> None:
    assert watched(BACK - 1, churning) == []
    assert watched(BACK + 1, churning) != []


def test_what_was_found_stands_until_the_next_sample_has_grown_up_and_ends_with_its_cause() -> None:
    def mended(minute: int) -> list[Request]:
        return churning(minute) if minute < KEPT else steady(minute)

    assert watched(KEPT, mended) != []
    assert watched(KEPT + BACK - 1, mended) != []
    assert watched(KEPT + BACK, mended) == []


def test_of_too_many_a_fair_part_is_remembered_each_with_all_of_its_requests() -> None:
    sample, chance = Sample(), random.Random(7)  # noqa: S311  # not for secrets
    users = [mark(f"user {number}") for number in range(20_000)] * 3
    chance.shuffle(users)
    for user in users:
        sample.saw(user, "10.0.0.1")
    sample.minutes = BACK
    told = sample.told()
    assert MOST // 8 < told.subjects <= MOST
    assert (told.once, told.heaviest, told.requests) == (0, 3, 60_000)


def test_a_sample_stays_small_whoever_chooses_the_values() -> None:
    sample = Sample()
    tracemalloc.start()
    try:
        for number in range(100_000):
            sample.saw(number << 16 & 0xFFFFFFFF | number & 0xF000, f"10.0.0.{number}")
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 256 * 1024


def test_each_source_is_judged_by_itself() -> None:
    subject = Subject.parse(["header:X-User", "address"])
    watch = Watch(subject.sources)
    for user in range(200):
        for _ in range(5):
            watch.saw(*_found(subject, [(b"x-user", b"%d" % user)], "10.0.0.1"))
    for _ in range(MANY):
        watch.saw(*_found(subject, [], "10.0.0.1"))
    assert [(found.source, found.kind) for found in watch.concerns()] == [("address", "collapse")]


def _found(subject: Subject, headers: list[tuple[bytes, bytes]], address: str) -> tuple[int, int, str]:
    found, place = subject.find(headers, address)
    return place, mark(found), address
