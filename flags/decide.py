"""Which side answers one request, whether it is shadowed, and why. No I/O, no clock, no chance of its own."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace

from flags.flag import WHOLE, Flag, Side


class Reason(enum.Enum):
    SHARE = "share"
    TRIPPED = "tripped"
    UNAVAILABLE = "unavailable"
    FORCED = "forced"


@dataclass(slots=True)  # not frozen: for a judged route one is made for every request; nobody changes it
class Decision:
    """`subject`: the mark of whose request it is, where that is evidence; `forced_by`: who demanded the side."""

    primary: Side
    shadow: bool
    reason: Reason
    subject: int | None = field(default=None, compare=False)
    forced_by: str | None = None


# There are few decisions and one is taken for every request: each is made once, as (unshadowed, shadowed).
_NATIVE = tuple(Decision(Side.NATIVE, shadow, Reason.SHARE) for shadow in (False, True))
_LEGACY = tuple(Decision(Side.LEGACY, shadow, Reason.SHARE) for shadow in (False, True))
_TRIPPED = tuple(Decision(Side.LEGACY, shadow, Reason.TRIPPED) for shadow in (False, True))
_UNAVAILABLE = Decision(Side.LEGACY, False, Reason.UNAVAILABLE)


def in_force(share: int, holdback: int) -> int:
    """The share that native really has: of every route some subjects stay on legacy, for native to be compared with."""
    return min(share, WHOLE - holdback)


def paired(share: int, shadow: int, holdback: int) -> bool:
    """Whether what native fails is put to both sides at once: where most are native's, legacy's users may be too few to
    tell how it does, and shadows are wanted."""
    return shadow > 0 and in_force(share, holdback) > WHOLE // 2


def decide(flag: Flag, bucket: int, draw: int, native_ready: bool, holdback: int = 0) -> Decision:
    """The decision for the subject at `bucket`; `draw` picks what is shadowed; both lie in [0, WHOLE). The last
    `holdback` buckets are legacy's, whatever the share.

    A tripped route may still be shadowed: that is how its repair is seen. Nothing is shadowed while native is
    not ready, for native would be the candidate, and its absence is no difference.
    """
    shadow = native_ready and draw < flag.shadow
    if flag.trip is not None:
        return _TRIPPED[shadow]
    if bucket >= flag.native or bucket >= WHOLE - holdback:
        return _LEGACY[shadow]
    return _NATIVE[shadow] if native_ready else _UNAVAILABLE


def forced(flag: Flag, side: Side, by: str, draw: int, native_ready: bool) -> Decision:
    """The decision for somebody who demands a side, whatever the share. Like everybody he is shadowed, and has legacy
    where the route is tripped or native takes no requests."""
    decision = decide(replace(flag, native=WHOLE if side is Side.NATIVE else 0), 0, draw, native_ready)
    reason = Reason.FORCED if decision.reason is Reason.SHARE else decision.reason
    return Decision(decision.primary, decision.shadow, reason, forced_by=by)
