"""Which side answers one request, whether it is shadowed, and why. No I/O, no clock, no chance of its own."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from flags.flag import Flag, Side


class Reason(enum.Enum):
    SHARE = "share"
    TRIPPED = "tripped"
    UNAVAILABLE = "unavailable"


@dataclass(slots=True)  # not frozen: for a judged route one is made for every request; nobody changes it
class Decision:
    """`subject`: the mark of whose request it is, where that is evidence."""

    primary: Side
    shadow: bool
    reason: Reason
    subject: int | None = field(default=None, compare=False)


# There are few decisions and one is taken for every request: each is made once, as (unshadowed, shadowed).
_NATIVE = tuple(Decision(Side.NATIVE, shadow, Reason.SHARE) for shadow in (False, True))
_LEGACY = tuple(Decision(Side.LEGACY, shadow, Reason.SHARE) for shadow in (False, True))
_TRIPPED = tuple(Decision(Side.LEGACY, shadow, Reason.TRIPPED) for shadow in (False, True))
_UNAVAILABLE = Decision(Side.LEGACY, False, Reason.UNAVAILABLE)


def decide(flag: Flag, bucket: int, draw: int, native_ready: bool) -> Decision:
    """The decision for the subject at `bucket`; `draw` picks what is shadowed; both lie in [0, WHOLE).

    A tripped route may still be shadowed: that is how its repair is seen. Nothing is shadowed while native is
    not ready, for native would be the candidate, and its absence is no difference.
    """
    shadow = native_ready and draw < flag.shadow
    if flag.trip is not None:
        return _TRIPPED[shadow]
    if bucket >= flag.native:
        return _LEGACY[shadow]
    return _NATIVE[shadow] if native_ready else _UNAVAILABLE
