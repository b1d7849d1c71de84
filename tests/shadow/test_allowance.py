from __future__ import annotations

from shadow.allowance import AT_ONCE, SHARE, Allowance


def spent(allowance: Allowance, comparisons: int, route: str = "list") -> int:
    """How many of so many comparisons, all of which differ, are confirmed."""
    confirmed = 0
    for _ in range(comparisons):
        allowance.earn(route)
        confirmed += allowance.spend(route)
    return confirmed


def test_the_first_differences_are_all_confirmed() -> None:
    assert spent(Allowance(), AT_ONCE) == AT_ONCE
    assert spent(Allowance(at_once=64), 64) == 64


def test_where_everything_differs_a_part_of_it_is_confirmed() -> None:
    allowance = Allowance()
    spent(allowance, 100)
    assert spent(allowance, 1_000) == 1_000 * SHARE


def test_each_route_has_its_own() -> None:
    allowance = Allowance()
    spent(allowance, 100, "broken")
    assert spent(allowance, AT_ONCE, "list") == AT_ONCE


def test_no_more_is_saved_up_than_may_be_spent_at_once() -> None:
    allowance = Allowance()
    for _ in range(10_000):
        allowance.earn("list")
    saved = 0
    while allowance.spend("list"):
        saved += 1
    assert saved == AT_ONCE
