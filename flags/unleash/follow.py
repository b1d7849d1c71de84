"""Follows Unleash once a second: hears what it says, keeps it, has the fleet's flags obey it, tells it of trips.

Every worker does. None needs to lead: a word is written by compare-and-set and only if the flag does not obey it yet,
and the revision it was heard at stands in the flag, so that nobody who is behind takes it back.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

import structlog

from flags.errors import Stale, StoreUnavailable
from flags.flag import Flag
from flags.loop import Loop
from flags.unleash.answer import Answer, Garbage, read_answer
from flags.unleash.backup import Backup
from flags.unleash.rules import Rules
from flags.unleash.server import Denied, Server, Unreachable
from flags.unleash.word import Unclear, Word, obeyed

EVERY = 1.0  # seconds between two questions: Unleash itself renews what it tells once a second
LATE = 5.0  # seconds without an answer that can be used after which it is said that there is none

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Unleash:
    """What it last said holds while it is away or says what cannot be honoured; before any word flags are left alone.

    `refused` tells of each route whose word cannot be honoured why not, and of each trip that Unleash has not heard.
    """

    def __init__(
        self,
        server: Server,
        loop: Loop,
        routes: Collection[str],
        backup: Backup,
        *,
        clock: Callable[[], float] = time.monotonic,
        every: float = EVERY,
    ) -> None:
        self.answer = Answer(0, {})
        self.problem = "it has not answered yet"
        self._server, self._loop, self._routes, self._backup, self._clock = server, loop, routes, backup, clock
        self._rules: Mapping[str, Rules] = {}
        self._unclear: Mapping[str, str] = {}
        self._unheard: Mapping[str, str] = {}
        self._switched: dict[str, int] = {}
        self._heard: float | None = None
        self._every = every
        self._due = clock() + LATE
        self._complained = self._away = False

    @property
    def connected(self) -> bool:
        """Whether it has lately given an answer that can be used."""
        return self._heard is not None and self._clock() - self._heard <= LATE

    @property
    def refused(self) -> Mapping[str, str]:
        return {**self._unclear, **self._unheard}

    def chooses(self, route: str, subject: str, address: str) -> bool:
        """Whether the rules of a route choose this subject for native. From memory; no rules choose nobody."""
        rules = self._rules.get(route)
        return rules is not None and rules.choose(subject, address)

    def recall(self) -> Mapping[str, Flag]:
        """The flags that obey what was kept of a former life of this process."""
        kept = self._backup.load(self._routes)
        if kept is not None:
            self._take(kept)
        revision = self.answer.revision
        return {r: Flag(w.native, source=w.source(revision)) for r, w in self.answer.words.items() if w.native}

    async def run(self) -> None:
        """Follow until cancelled."""
        now = asyncio.get_running_loop().time
        try:
            while True:
                started = now()
                try:
                    await self.poll()
                except Exception:
                    # A fault here must end neither the watch nor the traffic, which goes by the last shares.
                    log.exception("following Unleash failed: the last shares hold")
                    self._server.forget()
                await asyncio.sleep(max(0.0, started + self._every - now()))
        finally:
            await self._server.close()

    async def poll(self) -> None:
        """Everything that happens once a second."""
        self._away = False
        try:
            told = await self._server.definitions()
            if told is not None:
                await self._hear(read_answer(told, self._routes))
        except Unreachable as error:
            self._away = True
            self._silent(str(error))
        except Garbage as error:
            self._server.forget()
            self._silent(f"its answer cannot be used: {error}")
        else:
            self._answered()
        await self._follow()

    async def _hear(self, answer: Answer) -> None:
        newest = max([self.answer.revision, *(f.source.revision for f in self._loop.snapshot.values() if f.source)])
        if answer.revision < newest:
            raise Garbage(f"its revision {answer.revision} is older than {newest}, which the shares were taken from")
        before = self.answer.words
        self._take(answer)
        if self.answer.words != before:
            await asyncio.to_thread(self._backup.save, self.answer)

    def _take(self, answer: Answer) -> None:
        """Go by these words; where one cannot be honoured, by the last one."""
        words, rules, unclear = dict(self.answer.words), dict(self._rules), dict(answer.refused)
        for route, word in answer.words.items():
            try:
                if word.rules is not None and word.rules != words.get(route, Word()).rules:
                    rules[route] = Rules(route, word.rules)
            except Unclear as error:
                unclear[route] = str(error)
            else:
                words[route] = word
        self._tell_unclear(unclear)
        self.answer, self._rules = Answer(answer.revision, words), rules

    def _tell_unclear(self, unclear: Mapping[str, str]) -> None:
        for route in unclear.keys() | self._unclear.keys():
            reason = unclear.get(route)
            if reason is None:
                log.warning("what Unleash says of a route can be honoured again", route=route)
            elif reason != self._unclear.get(route):
                log.error(
                    "what Unleash says of a route cannot be honoured: its last share holds", route=route, reason=reason
                )
        self._unclear = unclear

    async def _follow(self) -> None:
        if self._heard is None:
            return  # what was kept is older than whatever the store holds
        revision, unheard = self.answer.revision, dict[str, str]()
        for route, word in self.answer.words.items():
            flag = self._loop.get(route)
            if self._switched.get(route) == revision:
                continue  # it was switched off since, which no answer shows yet
            if flag.tripped:
                if word.native and self._server.can_switch:
                    await self._switch_off(route, word, unheard)
            elif obeyed(flag, word, revision) != (flag.native, flag.source):
                try:
                    obey = functools.partial(_obey, word=word, revision=revision)
                    change = await self._loop.order(route, obey, "unleash", f"its revision {revision} says so")
                except (Stale, StoreUnavailable):
                    break  # the next poll finds it as it is now
                if change.after != change.before:
                    log.info("a share was taken from Unleash", words=change.words, revision=revision)
        self._unheard = unheard

    async def _switch_off(self, route: str, word: Word, unheard: dict[str, str]) -> None:
        """Its page must not say that native answers what legacy does. Once it hangs, it is asked for nothing more."""
        try:
            if self._away:
                raise Unreachable("it does not answer")
            await self._server.switch_off(word.project, route)
        except (Unreachable, Garbage) as error:
            self._away = not isinstance(error, Denied)
            unheard[route] = f"it is tripped, and Unleash could not be told: {error}"
            if route not in self._unheard:
                log.error("Unleash could not be told of a trip: trying again", route=route, error=str(error))
        else:
            self._switched[route] = self.answer.revision
            log.warning("switched off in Unleash, for the route is tripped", route=route, project=word.project)

    def _answered(self) -> None:
        self._heard, self.problem = self._clock(), ""
        self._due = self._heard + LATE
        if self._complained:
            self._complained = False
            log.warning("Unleash answers again")

    def _silent(self, problem: str) -> None:
        self.problem = problem
        if not self._complained and self._clock() > self._due:
            self._complained = True
            log.warning("Unleash gives no answer that can be used: the last shares hold", error=problem)


def _obey(flag: Flag, word: Word, revision: int) -> Flag:
    native, source = obeyed(flag, word, revision)
    return replace(flag, native=native, source=source, step=None)
