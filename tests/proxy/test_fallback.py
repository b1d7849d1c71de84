from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flags.flag import WHOLE
from proxy.fallback import AMBIGUOUS, BEGUN, TOO_LARGE, Places, most, why_not


@pytest.mark.parametrize(
    ("begun", "harmless", "whole", "reason"),
    [
        (False, True, True, None),
        (False, True, False, TOO_LARGE),
        (False, False, True, AMBIGUOUS),
        (False, False, False, AMBIGUOUS),  # a larger limit would change nothing
        (True, True, True, BEGUN),
        (True, False, False, BEGUN),
    ],
)
def test_legacy_is_asked_what_is_harmless_whole_and_unanswered(
    begun: bool, harmless: bool, whole: bool, reason: str | None
) -> None:
    assert why_not(begun=begun, harmless=harmless, whole=whole) == reason


@pytest.mark.parametrize(
    ("connections", "share", "places"),
    [(256, 5_000, 128), (256, WHOLE, 256), (3, 5_000, 2), (1, 1, 1), (256, 1, 1), (256, 0, 0), (1, 0, 0)],
)
def test_a_share_of_the_connections_is_at_least_one_unless_it_is_nothing(
    connections: int, share: int, places: int
) -> None:
    assert most(connections, share) == places


@given(st.integers(1, 10_000), st.integers(0, WHOLE))
def test_a_share_is_never_more_than_all(connections: int, share: int) -> None:
    assert most(connections, share) <= connections


def test_no_more_places_are_taken_than_there_are() -> None:
    places = Places(2, free=lambda: 100)
    assert [places.take() for _ in range(4)] == [True, True, False, False]
    places.leave()
    assert (places.taken, places.take(), places.take()) == (1, True, False)


def test_no_place_is_taken_where_it_would_be_one_in_a_queue() -> None:
    free = [0]
    places = Places(2, free=lambda: free[0])
    assert not places.take()
    free[0] = 1
    assert places.take()
    assert places.taken == 1
