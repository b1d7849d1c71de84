"""How fast a side may be asked: a token bucket, in the form of the moment at which the next request is due. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from math import inf
from typing import Final

_RATE: Final = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)/(s|m|h)")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600}


def per_second(text: str) -> float:
    """A rate as people write it."""
    found = _RATE.fullmatch(text)
    if found is None or not Decimal(found[1]):
        raise ValueError(f'"{text}" is no rate; write one above 0 such as 20/s, 90/m or 500/h')
    return float(Decimal(found[1]) / _SECONDS[found[2]])


@dataclass(frozen=True, slots=True)
class Pace:
    """In any t seconds no more than `rate` · (t + `slack`) + 1 requests. `slack`: how late one may be, in seconds, and
    still be made up for; without it every delay of a timer would be lost."""

    rate: float
    slack: float = 0.1
    due: float = -inf

    def wait(self, now: float) -> float:
        """Seconds until the next may be asked."""
        return max(0.0, self.due - now)

    def spent(self, now: float, count: int = 1) -> Pace:
        """After so many. What was asked ahead of its time is a debt, for which the next one waits."""
        return replace(self, due=max(self.due, now - self.slack) + count / self.rate)
