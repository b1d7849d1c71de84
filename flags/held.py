"""What this worker goes by: the newest flags it has seen, and the trips of its own that the fleet has not. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from flags.flag import Flag, Trip


def adopt(held: Flag, seen: Flag) -> Flag:
    """The flag to go by: the newer one, so that a store restored from the past changes nothing.

    Of two with one generation, which only a lost and rewritten history can bring, the one that sends less to native.
    """
    return max(held, seen, key=_rank)


def _rank(flag: Flag) -> tuple[int, bool, int, int]:
    return flag.generation, flag.tripped, -flag.native, -flag.shadow


class Held:
    """The flags of the configured routes; every mapping here is replaced as a whole and never changed.

    `on_change` hears of each route whose flag in the snapshot is another: before and after.
    """

    def __init__(self, routes: Iterable[str], on_change: Callable[[str, Flag, Flag], None]) -> None:
        self.flags: Mapping[str, Flag] = dict.fromkeys(routes, Flag())
        self.latches: Mapping[str, Trip] = {}
        self.snapshot = self.flags  # the flags with the latches in force: what decisions are made by
        self._since = dict.fromkeys(self.flags, 0)
        self._on_change = on_change

    def adopt(self, seen: Mapping[str, Flag], now: float) -> None:
        """Take what is newer; evidence about a changed flag starts afresh with the next whole second."""
        flags = {route: adopt(held, seen.get(route, held)) for route, held in self.flags.items()}
        for route, held in self.flags.items():
            if flags[route].generation != held.generation:
                self._since[route] = int(now) + 1
        self.flags = flags
        self._enforce()

    def latch(self, routes: Iterable[str], trip: Trip) -> None:
        """Trip these routes here and now; a route that is tripped keeps its first reason."""
        new = [route for route in routes if not self.snapshot[route].tripped]
        self.latches = {**self.latches, **dict.fromkeys(new, trip)}
        self._enforce()

    def lift(self, route: str) -> None:
        """The fleet has this trip now, or the evidence for it no longer counts."""
        self.latches = {latched: trip for latched, trip in self.latches.items() if latched != route}
        self._enforce()

    def lost(self, seen: Mapping[str, Flag]) -> Mapping[str, Flag]:
        """The flags that the store must have lost, for this worker holds newer ones, as they should be written back.

        A latched route is not among them: its trip is what the store has to hear.
        """
        return {
            route: replace(held, generation=max(held.generation, known.generation + 1))
            for route, held in self.flags.items()
            if route not in self.latches and (known := seen.get(route, Flag())) != adopt(known, held)
        }

    def judged(self, now: float) -> Mapping[str, int]:
        """The routes that have native traffic to judge, each with the second from which its evidence counts."""
        judged = {}
        for route, flag in self.snapshot.items():
            if flag.native and not flag.tripped:
                # A clock that was set back must not postpone the judgement to when it catches up.
                judged[route] = self._since[route] = min(self._since[route], int(now) + 1)
        return judged

    def _enforce(self) -> None:
        before = self.snapshot
        self.snapshot = {
            route: replace(flag, native=0, trip=self.latches[route]) if route in self.latches else flag
            for route, flag in self.flags.items()
        }
        for route, flag in self.snapshot.items():
            if flag != before[route]:
                self._on_change(route, before[route], flag)
