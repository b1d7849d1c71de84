from __future__ import annotations

import os

import pytest

from proxy.crowd import AHEAD, Crowd, Share


@pytest.fixture
def crowd() -> Crowd:
    return Crowd.of(3)


def shares(crowd: Crowd) -> tuple[Share, Share, Share]:
    return Share(crowd, 1, patience=1.0), Share(crowd, 2), Share(crowd, 3)


def test_who_is_alone_has_room_whatever_it_has_taken() -> None:
    alone = Share(Crowd.of(1), 1)
    alone.took(1_000)
    assert alone.room(0.0) == AHEAD


def test_nobody_gets_further_ahead_of_the_others_than_that(crowd: Crowd) -> None:
    one, two, three = shares(crowd)
    one.took(AHEAD - 1)
    assert [each.room(0.0) for each in (one, two, three)] == [1, AHEAD, AHEAD]
    one.took(1)
    assert one.room(0.0) == 0
    two.took(1)
    assert one.room(0.0) == 0  # there is a third
    three.took(2)
    assert one.room(0.0) == 1


def test_who_takes_none_though_somebody_waits_is_waited_for_once_until_it_does(crowd: Crowd) -> None:
    one, two, three = shares(crowd)
    three.took(1)
    one.took(AHEAD)
    assert one.room(5.0) == 0
    assert one.room(6.0) == 1  # more than the third, which has taken one
    one.took(1)
    assert one.room(6.5) == 0  # for the third's sake
    three.took(1)
    assert one.room(6.6) == 1
    two.took(1)  # and is nine behind
    assert one.room(6.6) == 1
    assert crowd.taken[1] == AHEAD // 2 + 2


def test_patience_begins_anew_with_each_that_the_other_takes_and_when_nobody_waits(crowd: Crowd) -> None:
    one, two, three = shares(crowd)
    for each in (one, three):
        each.took(AHEAD)
    assert one.room(0.0) == 0
    two.took(1)
    for each in (one, three):
        each.took(1)
    assert one.room(1.0) == 0
    one.nobody_waits()
    assert one.room(2.0) == 0
    assert one.room(3.0) > 0


def test_who_comes_late_is_not_owed_what_others_had_before() -> None:
    crowd = Crowd.of(2)
    one, late = Share(crowd, 1), Share(crowd, 2)
    one.took(1_000)
    late.took(0)
    assert crowd.taken[1] == 0
    late.took(1)
    assert crowd.taken[1] == 1_001 - AHEAD // 2
    assert one.room(0.0) == AHEAD // 2 + 1


def test_who_has_inherited_the_memory_sees_what_others_write(crowd: Crowd) -> None:
    inherited = Crowd(os.dup(crowd.descriptor))
    Share(crowd, 1).took(8)
    Share(inherited, 3).took(2)
    assert list(crowd.taken) == list(inherited.taken) == [8, 0, 2]
