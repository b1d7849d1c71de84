"""Rollbacks on this machine's disk: they outlive the process, and hold whether or not the flags' store answers.

A file holds the last word on one route, or on every route: that it is rolled back, or that it was reset. Before the
store has heard of a rollback nobody changes a flag knowing of it: until then it holds, whatever the store says.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from flags.flag import GENERATIONS, Trip

EVERY = "_every"  # no route's name begins with "_"
SUFFIX = ".trip"


@dataclass(frozen=True, slots=True)
class Word:
    """The last one on a route. No trip: it was reset. `told`: the store has heard of it.

    On every route: those that there were when it did; None while it has not, for then it is meant for any.
    """

    at: float
    trip: Trip | None
    told: bool
    routes: frozenset[str] | None = None

    def speaks_of(self, route: str) -> bool:
        return self.routes is None or route in self.routes


class Latched:
    """The files in a directory; every method that writes is durable once it returns, and raises OSError."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def read(self, routes: Iterable[str], told: bool) -> dict[str, Trip]:
        """The rollbacks of these routes that the store has heard of, or has not.

        A file that cannot be read is one that it has not heard of: legacy is safe.
        """
        on_every = self._word(EVERY)
        words = {
            route: _later(self._word(route), on_every if on_every and on_every.speaks_of(route) else None)
            for route in routes
        }
        return {
            route: word.trip for route, word in words.items() if word and word.trip is not None and word.told == told
        }

    def keep(self, trips: Mapping[str, Trip], known: Iterable[str] | None = None) -> float:
        """Roll these routes back; `EVERY` stands for all of them, whatever they are called. As of when is returned: a
        rollback is the last word even if the clock was set back.

        `known`: all that is new is that the store has heard of it, and these are the routes that there are.
        """
        last, all_of_them = (self._last(trips), None) if known is None else (-math.inf, frozenset(known))
        after, told = math.nextafter(last, math.inf), known is not None
        words = {
            route: Word(max(trip.at, after), trip, told, all_of_them if route == EVERY else None)
            for route, trip in trips.items()
        }
        self._write(words)
        return max((word.at for word in words.values()), default=0.0)

    def lift(self, route: str, at: float) -> None:
        """The route was reset: nothing that was kept before `at` holds it any longer."""
        word = _later(self._word(route), self._word(EVERY))
        if word is not None and word.trip is not None:
            self._write({route: Word(max(at, word.at), None, True)})  # a clock set back makes no reset older

    def _last(self, routes: Container[str]) -> float:
        """Of when the last word is that could be on one of these."""
        names = (path.name.removesuffix(SUFFIX) for path in self.directory.glob(f"*{SUFFIX}"))
        words = (self._word(name) for name in names if name in routes or name == EVERY or EVERY in routes)
        return max((word.at for word in words if word is not None), default=-math.inf)

    def _write(self, words: Mapping[str, Word]) -> None:
        """Each whole or not at all: what is there stays until the new file is on disk."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for route, word in words.items():
            with tempfile.NamedTemporaryFile("w", dir=self.directory, prefix="_new-", delete=False) as file:
                trip = {"reason": word.trip and word.trip.reason, "who": word.trip and word.trip.who}
                of = {} if word.routes is None else {"routes": sorted(word.routes)}
                json.dump({"at": word.at, **trip, "told": word.told, **of}, file)
                file.flush()
                os.fsync(file.fileno())
            Path(file.name).replace(self._path(route))
        _sync(self.directory)

    def _word(self, route: str) -> Word | None:
        path = self._path(route)
        try:
            said = json.loads(path.read_text("utf-8"))
            at, reason = float(said["at"]), said["reason"]
            if not 0 <= at <= GENERATIONS / 1000:
                raise ValueError(f"at: {at} is no time")
            trip = None if reason is None else Trip(at, _sound(reason), _sound(said.get("who", "")))
            routes = said.get("routes")
            return Word(at, trip, bool(said["told"]), None if routes is None else frozenset(map(str, routes)))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            at = _written(path)
            return Word(at, Trip(at, f"the rollback kept in {path} cannot be read: {error}"), False)

    def _path(self, route: str) -> Path:
        return self.directory / f"{route}{SUFFIX}"


def _later(one: Word | None, other: Word | None) -> Word | None:
    """The last word of two; a route's own comes first."""
    if one is None or other is None:
        return one or other
    return one if one.at >= other.at else other


def _sound(told: object) -> str:
    """Without halves of characters, which could not be told again."""
    return str(told).encode("utf-8", "replace").decode()


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _sync(directory: Path) -> None:
    """The names in it, too."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
