"""What an operator sets: how much of a route's traffic each side gets. No I/O, no clock."""

from __future__ import annotations

import enum
import json
import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import mmh3

WHOLE = 10_000  # shares are in basis points: 10_000 is all of the traffic
BLOCKED = "a handler of it blocked the event loop of a worker"  # the trip that shadowing ends with, too
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
    """A rollback that stays until an operator resets it. `who` made it, or the word for what did."""

    at: float
    reason: str
    who: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a share was taken from, if no operator gave it: what Unleash said at a revision.

    `group`: in which its subjects are counted, None for the route's own. `rules`: the name of the rules that choose
    among all subjects, where no share can say whom.
    """

    revision: int
    group: str | None = None
    rules: str | None = None


@dataclass(frozen=True, slots=True)
class Flag:
    """One route's knobs. A trip wins over the native share; shadowing goes on under it, unless that would block too.

    `step`: the generation that a ramp found, at which it decided to give native this share; None if no ramp did.
    """

    native: int = 0
    shadow: int = 0
    trip: Trip | None = None
    generation: int = 0
    source: Source | None = None
    step: int | None = None

    def __post_init__(self) -> None:
        _within("native", self.native, WHOLE)
        _within("shadow", self.shadow, WHOLE)
        _within("generation", self.generation, GENERATIONS)
        if self.step is not None:
            _within("step", self.step, GENERATIONS)

    @property
    def tripped(self) -> bool:
        return self.trip is not None

    @property
    def by_rules(self) -> bool:
        """Whether rules choose who goes to native, and `native` says only that there may be anybody."""
        return self.native > 0 and self.source is not None and self.source.rules is not None

    def after(self, trip: Trip) -> Flag:
        """What a trip makes of it: one that is tripped keeps its first reason, unless that let shadowing go on."""
        if trip.reason == BLOCKED:
            return self if self.tripped and not self.shadow else replace(self, native=0, shadow=0, trip=trip, step=None)
        return self if self.tripped else replace(self, native=0, trip=trip, step=None)

    def trip_time(self, now: float) -> float:
        """Of when a trip of it made `now` is: no older than the flag, though the clock may have been set back. To
        others it would be out of date."""
        return max(now, (self.generation + 1) / 1000)

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


def mark(subject: str) -> int:
    """What a subject is told apart by where it is counted: 32 bits, and nothing of it can be read back."""
    return mmh3.hash(subject.encode("utf-8", "surrogatepass"), signed=False)


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
    trip, source = _trip(fields["trip"]), _source(fields.get("source"))
    # Flags written before there were sources, and steps, name none.
    return Flag(fields["native"], fields["shadow"], trip, fields["generation"], source, fields.get("step"))


def _trip(value: Any) -> Trip | None:
    if value is None:
        return None
    fields = _record("trip", value, "at", "reason")
    at, reason = fields["at"], fields["reason"]
    if type(at) not in (int, float) or not math.isfinite(at):
        raise ValueError(f"trip.at: {at!r} is not a time")
    if type(reason) is not str:
        raise ValueError(f"trip.reason: {reason!r} is not a text")
    return Trip(float(at), reason, str(fields.get("who", "")))  # trips were once written without it


def _source(value: Any) -> Source | None:
    if value is None:
        return None
    fields = _record("source", value, "revision", "group", "rules")
    for field in ("group", "rules"):
        if not isinstance(fields[field], str | None):
            raise ValueError(f"source.{field}: {fields[field]!r} is not a text")
    _within("source.revision", fields["revision"], GENERATIONS)
    return Source(fields["revision"], fields["group"], fields["rules"])


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
