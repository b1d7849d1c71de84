"""What an order makes of a flag, or why it makes nothing of it. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from flags.errors import Stale, Tripped
from flags.flag import Flag

Edit = Callable[[Flag], Flag]


def moved(route: str, share: int | None, shadow: int | None) -> Edit:
    """These shares; native's is refused while the route is tripped."""

    def edit(flag: Flag) -> Flag:
        if share is not None:
            if flag.trip is not None:
                raise Tripped(route, flag.trip)
            step = flag.step if share == flag.native else None
            flag = replace(flag, native=share, source=None, step=step)
        return flag if shadow is None else replace(flag, shadow=shadow)

    return edit


def lifted(flag: Flag) -> Flag:
    """Without its trip. Legacy still answers everything: only a person raises a share."""
    return replace(flag, native=0, trip=None, source=None) if flag.tripped else flag


def meant_for(route: str, generation: int | None, edit: Edit) -> Edit:
    """`edit`, if the flag is still the one that whoever orders it has looked at; for None, whatever it is."""

    def checked(flag: Flag) -> Flag:
        if generation not in (None, flag.generation):
            raise Stale(route, flag)
        return edit(flag)

    return checked
