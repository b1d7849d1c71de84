"""Which route a request belongs to and which side answers it, from memory alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from flags.decide import Decision, Reason, decide, forced, in_force
from flags.flag import WHOLE, Flag, Side, bucket, mark
from proxy.exchange import UNMATCHED
from proxy.forcing import Force
from proxy.headers import Header
from proxy.routes import RouteTable
from proxy.subject import Subject

NOBODY = "", 0
OUTSIDE_ROUTES = UNMATCHED, Decision(Side.LEGACY, False, Reason.SHARE)


def nobody(route: str, subject: str, address: str) -> bool:
    """For who has no rules: they choose nobody."""
    return False


def never_yielding() -> float:
    """For who shadows all that is to be shadowed."""
    return 1.0


def unwatched(place: int, subject: int, address: str) -> None:
    """For whom subjects are no concern."""


class Decider:
    """`native_ready`: whether native takes requests at this moment. `chooses`: whether the rules of a route, where it
    has such and not a share, choose a subject at an address for native. `saw` hears of each subject that is looked
    for: the place of its source, its mark, and from which address it came. `holdbacks`: what stays on legacy of each
    route, in basis points. `pace`: the part of what is to be shadowed that is at this moment, in (0, 1]."""

    def __init__(
        self,
        table: RouteTable,
        flag: Callable[[str], Flag],
        subject: Subject,
        native_ready: Callable[[], bool],
        chooses: Callable[[str, str, str], bool] = nobody,
        saw: Callable[[int, int, str], None] = unwatched,
        holdbacks: Mapping[str, int] = MappingProxyType({}),
        pace: Callable[[], float] = never_yielding,
    ) -> None:
        self._table, self._flag, self._subject, self._native_ready = table, flag, subject, native_ready
        self._chooses, self._saw, self._holdbacks, self._pace = chooses, saw, holdbacks, pace

    def __call__(
        self, method: str, path: bytes, headers: Sequence[Header], client: str, forces: Sequence[Force] = ()
    ) -> tuple[str, Decision]:
        """The route's name and the decision; `headers` are those that a side is asked with, `client` is the address
        of whoever asks, and `forces` what he has a token for."""
        route = self._table.match(method, path)
        if route is None:
            return OUTSIDE_ROUTES
        flag = self._flag(route.name)
        if forces and (force := next((each for each in forces if each.concerns(route.name)), None)) is not None:
            return route.name, forced(flag, force.side, force.who, self._draw(), self._native_ready())
        if not flag.native and not flag.shadow:  # a route that waits for its turn, as most do
            return route.name, decide(flag, 0, 0, False)
        place = draw = 0
        source, held = flag.source, self._holdbacks.get(route.name, 0)
        subject, found = self._subject.find(headers, client) if flag.native else NOBODY
        if source is not None and source.rules is not None and flag.native:
            chosen = self._chooses(route.name, subject, client)
            place = WHOLE if not chosen else bucket(route.group, subject) if held else 0
        elif 0 < in_force(flag.native, held) < WHOLE:
            group = route.group if source is None or source.group is None else source.group
            place = bucket(group, subject)
        if flag.shadow:
            draw = self._draw()
        decision = decide(flag, place, draw, self._native_ready(), held)
        if flag.native:
            whose = mark(subject)
            self._saw(found, whose, client)
            decision = Decision(decision.primary, decision.shadow, decision.reason, whose)
        return route.name, decision

    def _draw(self) -> int:
        return int(random.random() * WHOLE / self._pace())  # noqa: S311  # chance, not secrecy
