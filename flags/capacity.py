"""Whether legacy has lately carried what a rollback would send it. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DAY = 24 * 60  # minutes that are looked at
LATELY = 5  # whole minutes whose busiest is what a rollback would send
MARGIN = 1.2  # as many times what it has carried legacy is trusted with
LITTLE = 1.0  # requests a second more than that, which nobody has to prove


@dataclass(frozen=True, slots=True)
class Load:
    """Requests in one minute: what legacy `answered`, for comparisons too, and what users sent.

    A rollback sends legacy all of the latter. What it refused, failed or let wait until the user left proves nothing.
    """

    answered: int = 0
    sent: int = 0

    def __add__(self, more: Load) -> Load:
        return Load(self.answered + more.answered, self.sent + more.sent)


@dataclass(frozen=True, slots=True)
class Capacity:
    """Requests a second: what legacy lately `carried`, older minutes counting for less, and what is now its `due`."""

    carried: float
    due: float

    @property
    def unproved(self) -> bool:
        return self.due > MARGIN * self.carried + LITTLE

    @property
    def words(self) -> str:
        seen = (
            f"legacy lately carried {_rate(self.carried)}, and a rollback of everything would send it {_rate(self.due)}"
        )
        return f"{seen}: that it can is unproved" if self.unproved else seen


def capacity(minutes: Mapping[int, Load], now: int) -> Capacity:
    """`minutes` by their number since the epoch; `now` is the one that has begun, and is not whole."""
    whole = {minute: load for minute, load in minutes.items() if now - DAY <= minute < now}
    return Capacity(
        max((load.answered / 60 * _weight(now - minute) for minute, load in whole.items()), default=0.0),
        max((load.sent / 60 for minute, load in whole.items() if minute >= now - LATELY), default=0.0),
    )


def _weight(age: int) -> float:
    """What was carried a day ago proves half as much: code, data and machines change."""
    return float(0.5 ** ((age - 1) / DAY))


def _rate(rate: float) -> str:
    return f"{rate:.0f} requests/s" if rate >= 10 else f"{rate:.1f} requests/s"
