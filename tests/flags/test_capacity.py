"""Whether legacy is known to carry a rollback."""

from __future__ import annotations

from flags.capacity import DAY, LATELY, Capacity, Load, capacity

NOW = 29_000_000  # a minute


def busy(rate: float, native: float = 0.0) -> Load:
    """A minute of so many requests a second, of which native has this part."""
    return Load(round(rate * 60 * (1 - native)), round(rate * 60))


def test_what_legacy_carries_now_it_can_carry() -> None:
    found = capacity({minute: busy(40.0) for minute in range(NOW - 30, NOW)}, NOW)
    assert found == Capacity(40.0, 40.0)
    assert not found.unproved
    carried, due = "legacy lately carried 40 requests/s", "a rollback of everything would send it 40 requests/s"
    assert found.words == f"{carried}, and {due}"


def test_what_it_carried_an_hour_ago_is_proof_and_what_it_carried_days_ago_is_none() -> None:
    before, since = busy(40.0), busy(40.0, native=0.98)
    hour = {minute: before if minute < NOW - 60 else since for minute in range(NOW - 120, NOW)}
    assert not capacity(hour, NOW).unproved
    day = dict.fromkeys(range(NOW - DAY, NOW), since) | {NOW - DAY - 1: before}
    found = capacity(day, NOW)
    assert found.unproved
    assert found.words == (
        "legacy lately carried 0.8 requests/s, and a rollback of everything would send it 40 requests/s: "
        "that it can is unproved"
    )


def test_the_proof_wears_off_over_the_day() -> None:
    def known(age: int) -> Capacity:
        return capacity({NOW - age: busy(100.0), NOW - 1: busy(70.0, native=1.0)}, NOW)

    rates = [known(age).carried for age in (2, 60, 600, DAY)]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > 99.9
    assert 50.0 <= rates[-1] < 50.1
    assert [known(age).unproved for age in (2, 60, 600, DAY)] == [False, False, False, True]


def test_a_few_more_than_it_carried_prove_nothing_against_it() -> None:
    everywhere = range(NOW - DAY, NOW)
    assert not capacity({minute: busy(100.0, native=0.15) for minute in everywhere}, NOW).unproved
    assert capacity({minute: busy(100.0, native=0.25) for minute in everywhere}, NOW).unproved
    assert not capacity({minute: busy(1.0, native=1.0) for minute in everywhere}, NOW).unproved


def test_at_night_a_rollback_is_no_more_than_the_night_s_traffic() -> None:
    noon = {minute: busy(100.0) for minute in range(NOW - 700, NOW - 600)}
    night = {minute: busy(5.0, native=1.0) for minute in range(NOW - 600, NOW)}
    assert capacity(noon | night, NOW).due == 5.0
    assert not capacity(noon | night, NOW).unproved


def test_the_minute_that_is_not_over_counts_for_nothing_and_neither_does_what_is_ahead() -> None:
    assert capacity({NOW: busy(1000.0, native=1.0), NOW + 5: busy(1000.0)}, NOW) == Capacity(0.0, 0.0)


def test_the_busiest_of_the_last_minutes_is_what_would_come() -> None:
    loads = {NOW - LATELY: busy(50.0), NOW - 1: busy(20.0), NOW - LATELY - 1: busy(90.0)}
    assert capacity(loads, NOW).due == 50.0


def test_where_nothing_is_known_nothing_is_claimed() -> None:
    assert not capacity({}, NOW).unproved
