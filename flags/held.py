"""What this worker goes by: the newest flags it has seen, and the trips of its own that the fleet has not. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Set
from dataclasses import replace

from flags.evidence.course import TOLD
from flags.flag import Flag, Trip

_UNSET = Flag()


def adopt(held: Flag, seen: Flag) -> Flag:
    """The flag to go by: the newer one, so that a store restored from the past changes nothing.

    Of two with one generation, which only a lost and rewritten history can bring, the one that sends less to native.
    """
    return max(held, seen, key=_rank)


def _rank(flag: Flag) -> tuple[int, bool, int, int]:
    return flag.generation, flag.tripped, -flag.native, -flag.shadow


class Held:
    """The flags of the configured routes; every mapping here is replaced as a whole and never changed.

    `on_change` hears of each route whose flag in the snapshot is another: before and after. A flag that is seen again
    as the same object costs nothing.
    """

    def __init__(self, routes: Iterable[str], on_change: Callable[[str, Flag, Flag], None]) -> None:
        self.flags: Mapping[str, Flag] = dict.fromkeys(routes, _UNSET)
        self.latches: Mapping[str, Trip] = {}
        self.snapshot: Mapping[str, Flag] = self.flags  # with the latches in force
        # Of these the ones that are set: what decisions are made by. Most routes wait for their turn, and of a thousand
        # flags each would be cold whenever its route is asked.
        self._in_use: Mapping[str, Flag] = {}
        self._told = self.flags  # the same, as `on_change` knows it
        self._recalled: frozenset[str] = frozenset()  # latched by a trip that the store had heard of: see `latch`
        self._halted: Mapping[str, Trip] = {}
        self._since = dict.fromkeys(self.flags, 0)
        self._on_change = on_change
        self._judged: tuple[Mapping[str, Flag], int, Mapping[str, int]] = {}, 0, {}

    def decided_by(self, route: str) -> Flag:
        """The flag by which a request of the route is decided."""
        return self._in_use.get(route, _UNSET)

    def adopt(self, seen: Mapping[str, Flag], now: float) -> None:
        """Take what is newer; evidence about a changed flag starts afresh with the next whole second.

        A flag that was changed after a recalled trip was changed by somebody who knew of that: the trip is over.
        """
        newer = {
            route: flag
            for route, held in self.flags.items()
            if (flag := seen.get(route, held)) is not held and adopt(held, flag) is flag
        }
        for route, flag in newer.items():
            if flag.generation != self.flags[route].generation:
                self._since[route] = int(now) + 1
        self.flags = {**self.flags, **newer}
        over = {route for route in self._recalled if self.flags[route].generation > self.latches[route].at * 1000}
        self._unlatch(over)
        self._enforce([*newer, *(over - newer.keys())])

    def latch(self, trips: Mapping[str, Trip], recalled: bool = False, insisted: bool = False) -> Collection[str]:
        """Trip these routes here and now, and say which; a route that is tripped keeps its first reason.

        `recalled`: the store had heard of them, long ago perhaps, and may know better as soon as it answers. Who trips
        a route anew does so whatever it knows. `insisted`: a route whose flag is tripped is latched all the same, for
        it may have been reset, of which this worker has not heard.
        """
        new = {route: trip for route, trip in trips.items() if self._is_new(route, trip, recalled)}
        again = trips.keys() - new.keys() - self.latches.keys() if insisted else ()
        self.latches = {**self.latches, **new, **{route: trips[route] for route in again}}
        self._recalled = self._recalled.union(new) if recalled else self._recalled.difference(new)
        self._enforce(new)
        return new.keys()

    def halt(self, trips: Mapping[str, Trip]) -> None:
        """Let legacy answer these routes until `go_on`: what a signal may do, in the middle of anything.

        Nobody is told and nothing else is changed; whoever halts latches as soon as he is no longer in between.
        """
        self._halted = {**trips, **self._halted}
        self._go_by_what_is_told()

    def go_on(self) -> None:
        """What was halted is latched by now, or was so without it."""
        self._halted = {}
        self._go_by_what_is_told()

    def lift(self, trips: Mapping[str, Trip]) -> None:
        """The fleet has these trips now, or the evidence for them no longer counts."""
        lifted = {route for route, trip in trips.items() if self.latches.get(route) == trip}
        self._unlatch(lifted)
        self._enforce(lifted)

    def lost(self, seen: Mapping[str, Flag]) -> Mapping[str, Flag]:
        """The flags that the store must have lost, for this worker holds newer ones, as they should be written back.

        A latched route is not among them, unless its flag is tripped anyway: its trip is what the store has to hear.
        """
        return {
            route: replace(held, generation=max(held.generation, known.generation + 1))
            for route, held in self.flags.items()
            if (known := seen.get(route, _UNSET)) is not held
            and (held.tripped or route not in self.latches)
            and known != adopt(known, held)
        }

    def judged(self, now: float) -> Mapping[str, int]:
        """The routes that have native traffic to judge, each with the second from which its evidence counts.

        The same object as before while nothing changed.
        """
        snapshot, second, judged = self._judged
        if snapshot is not self.snapshot or int(now) < second:
            # A clock that was set back must not postpone the judgement to when it catches up. If it was by more than
            # what is still open to be told, all that is told from now on would be taken for told too late.
            begin = int(now) + 1
            judged = {
                route: begin if second > int(now) + TOLD else min(self._since[route], begin)
                for route, flag in self.snapshot.items()
                if flag.native and not flag.tripped
            }
            self._since |= judged
        self._judged = self.snapshot, int(now), judged
        return judged

    def _is_new(self, route: str, trip: Trip, recalled: bool) -> bool:
        flag = self._told[route]
        if flag.after(trip) is not flag:
            return True
        return not recalled and route in self._recalled and self.latches[route] != trip

    def _unlatch(self, routes: Set[str]) -> None:
        if routes:
            self.latches = {route: trip for route, trip in self.latches.items() if route not in routes}
            self._recalled = self._recalled.difference(routes)

    def _enforce(self, routes: Iterable[str]) -> None:
        """Let the snapshot follow the flags and latches of these routes."""
        before, changed = self._told, dict[str, Flag]()
        for route in routes:
            flag, trip = self.flags[route], self.latches.get(route)
            now = flag if trip is None else flag.after(trip)
            if now != before[route]:
                changed[route] = now
        if changed:
            self._told = {**before, **changed}
            self._go_by_what_is_told()
        for route, flag in changed.items():
            self._on_change(route, before[route], flag)

    def _go_by_what_is_told(self) -> None:
        known = None
        while known is not self._halted:  # a signal may come in between, and halt
            known = self._halted
            flags = _halted(self._told, known) if known else self._told
            self._in_use = {route: flag for route, flag in flags.items() if flag.native or flag.shadow or flag.trip}
            self.snapshot = flags


def _halted(flags: Mapping[str, Flag], trips: Mapping[str, Trip]) -> Mapping[str, Flag]:
    return {route: flag.after(trips[route]) if route in trips else flag for route, flag in flags.items()}
