from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.units import duration, long_duration, rate, share, size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1.0), ("250ms", 0.25), ("1.5m", 90.0), ("2h", 7200.0), ("24h", 86400.0), ("10 s", 10.0), ("0.1s", 0.1)],
)
def test_a_duration_is_a_number_of_seconds(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(("text", "seconds"), [("1s", 1.0), ("36h", 129_600.0), ("7d", 604_800.0), ("0.5d", 43_200.0)])
def test_a_long_duration_may_take_days(text: str, seconds: float) -> None:
    assert long_duration(text, 7) == seconds


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("7.1d", "no longer than 7 days"),
        ("0d", "longer than 0"),
        ("1w", "use s, m, h or d"),
        ("7", '"7" has no unit; write 7d or 7h'),
        (True, "not a number with a unit"),
    ],
)
def test_a_long_duration_that_is_none_is_refused(value: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        long_duration(value, 7)


@pytest.mark.parametrize(("text", "count"), [("1B", 1), ("256KiB", 262_144), ("0.5MiB", 524_288), ("1GiB", 2**30)])
def test_a_size_is_a_number_of_bytes(text: str, count: int) -> None:
    assert size(text) == count


@pytest.mark.parametrize(
    ("text", "points"), [("0%", 0), ("0.05%", 5), ("5%", 500), ("99.99%", 9999), ("100.00%", 10_000)]
)
def test_a_share_is_a_number_of_basis_points(text: str, points: int) -> None:
    assert share(text) == points
    assert rate(text) == points / 10_000


@pytest.mark.parametrize(
    ("parse", "value", "words"),
    [
        (duration, 1, '"1" has no unit; write 1s or 1000ms'),
        (duration, "1", '"1" has no unit'),
        (duration, "5x", "use ms, s, m or h"),
        (duration, "5%", "use ms, s, m or h"),
        (duration, "0s", "longer than 0"),
        (duration, "25h", "longer than a day"),
        (duration, "-1s", "not a number with a unit"),
        (duration, "1m30s", "not a number with a unit"),
        (duration, "soon", "not a number with a unit"),
        (duration, "", "not a number with a unit"),
        (duration, True, "not a number with a unit"),
        (duration, None, "not a number with a unit"),
        (duration, ["1s"], "not a number with a unit"),
        (duration, "9" * 400 + "s", "not a number with a unit"),
        (size, 256, '"256" has no unit; write 256B or 256KiB'),
        (size, "256KB", "use B, KiB, MiB or GiB"),
        (size, "0.5B", "no whole number of bytes"),
        (share, 5, '"5" has no unit; write 5%'),
        (share, 0, '"0" has no unit; write 0%'),
        (share, "5s", "which is no share"),
        (share, "101%", "outside 0–100 %"),
        (share, "100.01%", "outside 0–100 %"),
        (share, "0.005%", "finer than a basis point"),
        (share, "-5%", "not a number with a unit"),
        (rate, 0.05, '"0.05" has no unit'),
    ],
)
def test_what_is_no_quantity_is_refused_with_the_repair(parse: object, value: object, words: str) -> None:
    assert callable(parse)
    with pytest.raises(ValueError, match=re.escape(words)):
        parse(value)


@given(st.integers(0, 10_000))
def test_every_basis_point_can_be_written(points: int) -> None:
    assert share(f"{points // 100}.{points % 100:02}%") == points


@given(st.integers(1, 86_400_000))
def test_every_millisecond_can_be_written(milliseconds: int) -> None:
    assert duration(f"{milliseconds}ms") == milliseconds / 1000
