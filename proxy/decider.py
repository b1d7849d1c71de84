"""Which route a request belongs to and which side answers it, from memory alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from flags.decide import Decision, Reason, decide
from flags.flag import WHOLE, Flag, Side, bucket, mark
from proxy.exchange import UNMATCHED
from proxy.headers import Header
from proxy.routes import RouteTable
from proxy.subject import Subject

OUTSIDE_ROUTES = UNMATCHED, Decision(Side.LEGACY, False, Reason.SHARE)


def nobody(route: str, subject: str, address: str) -> bool:
    """For who has no rules: they choose nobody."""
    return False


class Decider:
    """`native_ready`: whether native takes requests at this moment. `chooses`: whether the rules of a route, where it
    has such and not a share, choose a subject at an address for native."""

    def __init__(
        self,
        table: RouteTable,
        flag: Callable[[str], Flag],
        subject: Subject,
        native_ready: Callable[[], bool],
        chooses: Callable[[str, str, str], bool] = nobody,
    ) -> None:
        self._table, self._flag, self._subject, self._native_ready = table, flag, subject, native_ready
        self._chooses = chooses

    def __call__(self, method: str, path: bytes, headers: Sequence[Header], client: str) -> tuple[str, Decision]:
        """The route's name and the decision; `headers` are those that a side is asked with, `client` is the address
        of whoever asks."""
        route = self._table.match(method, path)
        if route is None:
            return OUTSIDE_ROUTES
        flag = self._flag(route.name)
        if not flag.native and not flag.shadow:  # a route that waits for its turn, as most do
            return route.name, decide(flag, 0, 0, False)
        place = draw = 0
        source = flag.source
        subject = self._subject.of(headers, client) if flag.native else ""
        if source is not None and source.rules is not None and flag.native:
            place = 0 if self._chooses(route.name, subject, client) else WHOLE
        elif 0 < flag.native < WHOLE:
            group = route.group if source is None or source.group is None else source.group
            place = bucket(group, subject)
        if 0 < flag.shadow < WHOLE:
            draw = int(random.random() * WHOLE)  # noqa: S311  # chance, not secrecy
        decision = decide(flag, place, draw, self._native_ready())
        if flag.native:
            decision = Decision(decision.primary, decision.shadow, decision.reason, mark(subject))
        return route.name, decision
