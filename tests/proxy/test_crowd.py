from __future__ import annotations

import os

import pytest

from proxy.crowd import NONE_TAKEN, Crowd, Share


@pytest.fixture
def crowd() -> Crowd:
    return Crowd.of(3)


def test_before_anybody_takes_users_nobody_has_to_leave_any_to_others(crowd: Crowd) -> None:
    assert crowd.fewest(but=2) == NONE_TAKEN
    assert Crowd.of(1).fewest(but=1) == NONE_TAKEN


def test_the_fewest_are_those_of_another_worker_that_takes_users(crowd: Crowd) -> None:
    crowd.has(1, 7)
    crowd.has(2, 5)
    assert [crowd.fewest(but=worker) for worker in (1, 2, 3)] == [5, 7, 5]
    crowd.gone(2)
    assert [crowd.fewest(but=worker) for worker in (1, 2, 3)] == [NONE_TAKEN, 7, 7]


def test_who_has_inherited_the_memory_sees_what_others_write(crowd: Crowd) -> None:
    inherited = Share(Crowd(os.dup(crowd.descriptor)), 3)
    crowd.has(1, 8)
    assert inherited.fewest == 8
    inherited.has(2)
    assert crowd.fewest(but=1) == 2
