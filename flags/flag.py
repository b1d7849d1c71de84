"""What an operator sets: how much of a route's traffic each side gets. No I/O, no clock."""

from __future__ import annotations

import enum
import json
import math
from dataclasses import asdict, dataclass
from typing import Any

import mmh3

WHOLE = 10_000  # shares are in basis points: 10_000 is all of the traffic
GENERATIONS = 10**15 - 1  # milliseconds for the next 30 000 years; exact as a double, which is what Lua counts in


class Side(enum.Enum):
    LEGACY = "legacy"
    NATIVE = "native"

    # There is one object of each, and it is part of a key several times a request; Enum's own hash is a Python call.
    __hash__ = object.__hash__

    @property
    def other(self) -> Side:
        return Side.NATIVE if self is Side.LEGACY else Side.LEGACY


@dataclass(frozen=True, slots=True)
class Trip:
    """A rollback that stays until an operator resets it."""

    at: float
    reason: str


@dataclass(frozen=True, slots=True)
class Flag:
    """One route's knobs. A trip wins over the native share; shadowing goes on under it."""

    native: int = 0
    shadow: int = 0
    trip: Trip | None = None
    generation: int = 0

    def __post_init__(self) -> None:
        _within("native", self.native, WHOLE)
        _within("shadow", self.shadow, WHOLE)
        _within("generation", self.generation, GENERATIONS)

    @property
    def tripped(self) -> bool:
        return self.trip is not None

    def next_generation(self, now: float) -> int:
        """The generation of a change made `now`: past this one, and no earlier than the clock.

        The clock is what lets a change made on a store that was restored from the past outrank everything the
        fleet held before the restore, though whoever makes it never saw those generations.
        """
        return max(self.generation + 1, int(now * 1000))


def bucket(group: str, subject: str) -> int:
    """A stable place in [0, WHOLE). Changing this moves every user: don't.

    The leading two digits are Unleash's own percentile, so whole percents agree with its SDKs.
    """
    # A token's claim may hold a lone surrogate, which strict UTF-8 refuses; nobody's request may fail on that.
    h = mmh3.hash(f"{group}:{subject}".encode("utf-8", "surrogatepass"), signed=False)
    return h % 100 * 100 + h // 100 % 100


def percent(share: int) -> str:
    """A share in basis points as people write it."""
    return f"{share / 100:g} %"


def encode(flag: Flag) -> str:
    """The flag as JSON, as it is kept in a store."""
    return json.dumps(asdict(flag), separators=(",", ":"))


def decode(text: str) -> Flag:
    """The flag in `text`; a ValueError names the field that is missing, malformed or out of range.

    Fields that a later version may have added are passed over.
    """
    fields = _record("flag", json.loads(text), "native", "shadow", "trip", "generation")
    return Flag(fields["native"], fields["shadow"], _trip(fields["trip"]), fields["generation"])


def _trip(value: Any) -> Trip | None:
    if value is None:
        return None
    fields = _record("trip", value, "at", "reason")
    at, reason = fields["at"], fields["reason"]
    if type(at) not in (int, float) or not math.isfinite(at):
        raise ValueError(f"trip.at: {at!r} is not a time")
    if type(reason) is not str:
        raise ValueError(f"trip.reason: {reason!r} is not a text")
    return Trip(float(at), reason)


def _record(name: str, value: Any, *fields: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{name}: {value!r} is not an object")
    for field in fields:
        if field not in value:
            raise ValueError(f"{field}: missing from the {name}")
    return value


def _within(field: str, value: int, limit: int) -> None:
    if type(value) is not int:  # a bool is an int, and a JSON 5.0 is not
        raise ValueError(f"{field}: {value!r} is not a whole number")
    if not 0 <= value <= limit:
        raise ValueError(f"{field}: {value} is outside 0–{limit}")
