"""Who changed which flag, why and when: the record of a change, and how it is written down. No I/O."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from flags.change import moves
from flags.decide import in_force
from flags.flag import Flag, Trip, decode

MOST = 10_000  # records that a store keeps: the newest
EVIDENCE = "evidence"
BEGINNING = "0-0"  # the place before the first record


class What(enum.Enum):
    """What became of a route; the word that a program may choose records by."""

    TRIPPED = "tripped"
    RESET = "reset"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Note:
    """Who makes a change, why, and when that was decided, which may be before the store could hear of it.

    `did`: what was done, if it moves no share. `held`: what of the route's subjects stayed on legacy then, whatever its
    share: what was asked and what came into force are two things.
    """

    at: float
    who: str
    why: str = ""
    did: str = ""
    held: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """One change as it was made. `id` is the store's to give: its place among all of them."""

    id: str
    route: str
    note: Note
    before: Flag
    after: Flag

    @property
    def what(self) -> What:
        if self.before.tripped == self.after.tripped:
            return What.CHANGED
        return What.TRIPPED if self.after.tripped else What.RESET

    @property
    def in_force(self) -> tuple[int, int]:
        """The share that native really had, before and after."""
        return _in_force(self.before, self.note.held), _in_force(self.after, self.note.held)

    @property
    def words(self) -> str:
        what = () if self.what is What.CHANGED else (self.what.value,)
        moved = moves(self.before, self.after, self.note.held)
        return ", ".join([*what, *moved]) or self.note.did or "no share was moved"


def of_trip(trip: Trip) -> Note:
    return Note(trip.at, trip.who, trip.reason)


def place(id: str) -> tuple[int, int]:
    """Where a record stands: milliseconds, and its number among those of that millisecond."""
    milliseconds, _, number = id.partition("-")
    return int(milliseconds), int(number)


def next_id(last: str, at: float) -> str:
    """The place of a record made `at`, behind the `last` one though the clock was set back."""
    milliseconds, number = place(last)
    now = int(at * 1000)
    return f"{now}-0" if now > milliseconds else f"{milliseconds}-{number + 1}"


def encode_note(note: Note) -> str:
    rare = {name: value for name, value in (("did", note.did), ("held", note.held)) if value}
    return json.dumps({"at": note.at, "who": note.who, "why": note.why, **rare}, separators=(",", ":"))


def read(id: str, fields: Mapping[str, str]) -> Record | None:
    """The record as it was written; None if that was something else."""
    try:
        note = json.loads(fields["note"])
        said = Note(float(note["at"]), str(note["who"]), str(note["why"]))
        said = replace(said, did=str(note.get("did", "")), held=int(note.get("held", 0)))  # they were once not written
        return Record(id, fields["route"], said, _flag(fields["before"]), _flag(fields["after"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _in_force(flag: Flag, held: int) -> int:
    return 0 if flag.tripped else in_force(flag.native, held)


def _flag(text: str) -> Flag:
    """What stood there, if it could be read: what cannot be read sends nothing to native."""
    try:
        return decode(text) if text else Flag()
    except (ValueError, RecursionError):
        return Flag()
