"""What can go wrong with a flag.

FlagsError
├── Refused             the order cannot be carried out as things stand: nothing changed
│   ├── UnknownRoute
│   ├── Tripped
│   ├── Followed
│   └── Overtaken
├── Stale               somebody else changed the flag first: nothing changed
└── StoreUnavailable    the store did not answer: a change may or may not have arrived
"""

from __future__ import annotations

from flags.flag import Flag, Trip


class FlagsError(Exception):
    """Anything below."""


class Refused(FlagsError):
    """An order that cannot be carried out as things stand."""


class UnknownRoute(Refused):
    def __init__(self, route: str) -> None:
        super().__init__(f"{route}: no such route in the configuration; nothing changed. `strangler routes` lists them")


class Tripped(Refused):
    def __init__(self, route: str, trip: Trip) -> None:
        super().__init__(f"{route} is tripped: {trip.reason}; its traffic stays on legacy. Reset it first")
        self.trip = trip


class Followed(Refused):
    def __init__(self, route: str) -> None:
        super().__init__(
            f"{route}: its share is taken from Unleash: move it there, at the flag of this name; nothing changed. "
            "A rollback is always taken here"
        )


class Overtaken(Refused):
    def __init__(self, route: str) -> None:
        super().__init__(f"{route}: its ramp is no longer the one that this step belongs to; nothing changed")


class Stale(FlagsError):
    def __init__(self, route: str, current: Flag) -> None:
        super().__init__(
            f"{route}: somebody else changed it first, and nothing else was changed: it is at generation "
            f"{current.generation} now; look and try again"
        )
        self.route, self.current = route, current


class StoreUnavailable(FlagsError):
    """Its words say which store, and what was wrong with the answer."""
